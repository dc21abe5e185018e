//! A random life in a few subvolumes, with everything that can happen to an extent: written, overwritten
//! in part, cut, preallocated, punched, reflinked in whole and in part, shared by snapshots. Not for
//! pools: the subvolumes lie in the top level.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flipper_profiles::system::btrfs as subvolumes;

use super::Rig;

pub struct Life<'a> {
    rig: &'a Rig,
    seed: u64,
    /// The name, and whether it is read-only.
    pub subvolumes: Vec<(String, bool)>,
    made: usize,
}

const KINDS_OF_CHANGE: usize = 12;

impl<'a> Life<'a> {
    /// With one empty subvolume.
    pub fn begin(rig: &'a Rig, seed: u64) -> Life<'a> {
        subvolumes::create(&rig.in_pool("s0")).unwrap();
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Life { rig, seed, subvolumes: vec![("s0".into(), false)], made: 0 }
    }

    pub fn random(&mut self, below: usize) -> usize {
        // xorshift64
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as usize % below
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        // Half of it is compressible.
        let fill = self.random(256) as u8;
        let noise = self.random(2) == 0;
        (0..length).map(|_| if noise { self.random(256) as u8 } else { fill }).collect()
    }

    /// A writable subvolume, and a file of it if it has one.
    pub fn place(&mut self) -> (PathBuf, Option<PathBuf>) {
        let writable: Vec<_> =
            self.subvolumes.iter().filter(|(_, ro)| !ro).map(|(name, _)| name.clone()).collect();
        let dir = self.rig.in_pool(&writable[self.random(writable.len())]);
        let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        let file = (!files.is_empty()).then(|| files[self.random(files.len())].clone());
        (dir, file)
    }

    fn new_name(&mut self, dir: &Path) -> PathBuf {
        self.made += 1;
        // Names are bytes.
        let mut name = format!("f {}\n", self.made).into_bytes();
        name.extend([0xff, 0xfe]);
        dir.join(OsStr::from_bytes(&name))
    }

    pub fn change(&mut self) {
        let (dir, file) = self.place();
        let kind = self.random(KINDS_OF_CHANGE);
        let size = [100, 1900, 5000, 70_000, 400_000][self.random(5)];
        let Some(file) = file.filter(|_| kind > 2) else {
            let bytes = self.bytes(size);
            return fs::write(self.new_name(&dir), bytes).unwrap();
        };
        let open = || fs::OpenOptions::new().read(true).write(true).open(&file).unwrap();
        let length = fs::metadata(&file).unwrap().len();
        let at = self.random(length as usize + 1) as u64;
        match kind {
            3 | 4 => {
                let bytes = self.bytes(size);
                open().write_all_at(&bytes, at).unwrap();
            }
            5 => open().set_len(at).unwrap(),
            6 => open().set_len(length + 300_000).unwrap(), // a hole at its end
            7 => allocate(&open(), 0, length, 250_000),
            8 => {
                allocate(&open(), nix::libc::FALLOC_FL_PUNCH_HOLE | nix::libc::FALLOC_FL_KEEP_SIZE, at, 9000)
            }
            9 => {
                // A part of one file, in whole sectors, in the middle of another, maybe of another subvolume.
                let (other, _) = self.place();
                let to = File::create(self.new_name(&other)).unwrap();
                let from = at / 4096 * 4096;
                let part = (length - from).min(16_384) / 4096 * 4096;
                clone_range(&open(), from, part, &to, 8192);
            }
            10 => {
                let (other, _) = self.place();
                let to = File::create(self.new_name(&other)).unwrap();
                clone_range(&open(), 0, 0, &to, 0); // 0: to the end
            }
            _ => match self.random(3) {
                0 => fs::hard_link(&file, self.new_name(&dir)).unwrap(),
                1 => fs::rename(&file, self.new_name(&dir)).unwrap(),
                _ => fs::remove_file(&file).unwrap(),
            },
        }
    }

    fn snapshot(&mut self) {
        let at = self.random(self.subvolumes.len());
        let from = self.subvolumes[at].0.clone();
        self.made += 1;
        let name = format!("s{}", self.made);
        let read_only = self.random(4) > 0;
        let (from, to) = (self.rig.in_pool(from), self.rig.in_pool(&name));
        let make = if read_only { subvolumes::point } else { subvolumes::snapshot };
        make(&from, &to).unwrap();
        self.subvolumes.push((name, read_only));
    }

    pub fn live(&mut self, changes: usize) {
        for _ in 0..changes {
            match self.random(20) {
                0 => self.snapshot(),
                1 => self.rig.sync(),
                _ => self.change(),
            }
        }
    }
}

fn allocate(file: &File, mode: i32, at: u64, length: i64) {
    let done = unsafe { nix::libc::fallocate(file.as_raw_fd(), mode, at as i64, length) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// FICLONERANGE. Inline data cannot be cloned into the middle of a file: EINVAL or EOPNOTSUPP is no fault.
fn clone_range(from: &File, at: u64, length: u64, to: &File, to_at: u64) {
    let arguments: [u64; 4] = [from.as_raw_fd() as u64, at, length, to_at];
    unsafe { nix::libc::ioctl(to.as_raw_fd(), 0x4020_940d, &arguments) };
}
