//! The disk as a power cut leaves it: one image that follows the log flush by flush, and a reflink copy
//! of it for each point, with what else is kept of the later writes.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::log::{Act, Request};
use crate::points::{Kept, Point, Random};
use crate::recorder::{apply, need};
use crate::recording::{Recording, SIZE};

/// A place where copies of images cost nothing: a btrfs in a file, mounted for the calling thread.
pub struct Store {
    pub dir: tempfile::TempDir,
}

impl Store {
    pub fn make() -> Store {
        let dir = tempfile::tempdir().expect("a directory");
        let (outer, top) = (dir.path().join("outer.img"), dir.path().join("outer"));
        File::create(&outer).and_then(|file| file.set_len(64 << 30)).expect("make");
        fs::create_dir(&top).expect("make");
        need(Command::new("mkfs.btrfs").args(["--quiet", "--metadata", "single"]).arg(&outer));
        // Nothing in it outlives this process: it may forget as it likes. What an image held goes back to
        // the disk below with the next commit: thousands of them would fill that.
        let options = "loop,nodatasum,noatime,nobarrier,commit=20,discard";
        need(Command::new("mount").args(["-o", options]).arg(&outer).arg(&top));
        fs::remove_file(&outer).expect("remove"); // it goes with its mount, whatever ends this process
        Store { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("outer").join(name)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.dir.path().join("outer"), nix::mount::MntFlags::MNT_DETACH);
    }
}

pub struct Replay<'a> {
    recording: &'a Recording,
    store: &'a Store,
    log: File,
    image: File,
    /// This many requests are in it.
    done: usize,
    worker: u8,
}

impl<'a> Replay<'a> {
    /// Images of different workers have different UUIDs: the kernel tells file systems apart by it.
    pub fn begin(recording: &'a Recording, store: &'a Store, worker: u8) -> Replay<'a> {
        let log = recording.log.try_clone().expect("share the log");
        let image = make(&store.path(&format!("durable-{worker}.img")));
        image.set_len(SIZE).expect("size");
        Replay { recording, store, log, image, done: 0, worker }
    }

    /// The disk at this point. Points come in the order of what is durable.
    pub fn build(&mut self, point: &Point) -> PathBuf {
        let requests = &self.recording.requests;
        assert!(self.done <= point.durable, "points out of order");
        for request in &requests[self.done..point.durable] {
            apply(&self.log, request, &self.image, request.length);
        }
        self.done = point.durable;
        let path = self.store.path(&format!("cut-{}.img", self.worker));
        let _ = fs::remove_file(&path);
        let copy = make(&path);
        clone(&self.image, &copy);
        let mut random = Random(match point.kept {
            Kept::Some(seed) => seed,
            _ => 0,
        });
        let often = 1 + random.below(15);
        for request in &requests[point.durable..point.cut] {
            let length = kept_of(request, point.kept, often, &mut random);
            if length > 0 {
                apply(&self.log, request, &copy, length);
            }
        }
        if self.worker > 0 {
            rename_file_system(&copy, self.worker);
        }
        path
    }
}

/// How many bytes of a write reach the disk: pages of 4096 bytes are written whole or not at all.
fn kept_of(request: &Request, kept: Kept, often: u64, random: &mut Random) -> u64 {
    match (request.act, kept) {
        (Act::Flush, _) => 0,
        (Act::Write { fua: true }, _) | (_, Kept::Everything) => request.length,
        (_, Kept::Nothing) => 0,
        (_, Kept::Some(_)) if random.below(16) >= often => 0,
        (_, Kept::Some(_)) if random.below(8) == 0 => random.below(request.length / 4096 + 1) * 4096,
        (_, Kept::Some(_)) => request.length,
    }
}

fn make(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("make an image")
}

fn clone(from: &File, to: &File) {
    const FICLONE: u64 = 0x4004_9409;
    let done = unsafe { nix::libc::ioctl(to.as_raw_fd(), FICLONE as _, from.as_raw_fd()) };
    assert_eq!(done, 0, "reflink: {}", std::io::Error::last_os_error());
}

/// Another fsid in every super block that is there; the old one goes on as the UUID of the metadata
/// (kernel: btrfs_tree.h, struct btrfs_super_block; BTRFS_FEATURE_INCOMPAT_METADATA_UUID).
fn rename_file_system(image: &File, worker: u8) {
    const PLACES: [u64; 2] = [64 << 10, 64 << 20];
    const METADATA_UUID: u8 = 4; // bit 10: in the second byte
    for place in PLACES {
        let mut block = [0; 4096];
        image.read_exact_at(&mut block, place).expect("read");
        let sum = crc32c(&block[0x20..]).to_le_bytes();
        if &block[0x40..0x48] != b"_BHRfS_M" || block[..4] != sum {
            continue;
        }
        let fsid: [u8; 16] = block[0x20..0x30].try_into().expect("16 bytes");
        block[0x23b..0x24b].copy_from_slice(&fsid);
        block[0xbd] |= METADATA_UUID;
        block[0x2f] ^= worker;
        let sum = crc32c(&block[0x20..]).to_le_bytes();
        block[..4].copy_from_slice(&sum);
        image.write_all_at(&block, place).expect("write");
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
