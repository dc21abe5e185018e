//! btrfs: subvolumes and snapshots, through libbtrfsutil. Every error carries its path. The
//! btrfs(8) program is never spawned: it costs 2 to 200 times the call, and it has printed "Create a
//! readonly snapshot" and failed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use libbtrfsutil::{CreateSnapshotOptions, DeleteSubvolumeOptions, IterateSubvolume};

use crate::model::error::{At, Error, Result};

/// Makes an empty subvolume, e.g. `@profiles/.template`.
pub fn create(path: &Path) -> Result<()> {
    libbtrfsutil::create_subvolume(path).map_err(|e| e.os_error()).at("make subvolume", path)
}

/// A writable snapshot: how roots are made.
pub fn snapshot(from: &Path, to: &Path) -> Result<()> {
    CreateSnapshotOptions::new().create(from, to).map_err(|e| e.os_error()).at("snapshot to", to)
}

/// Two writable snapshots that lie in two directories, taken at once: one commit serves both.
pub fn snapshot_both(one: (&Path, &Path), other: (&Path, &Path)) -> Result<()> {
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| snapshot(one.0, one.1));
        let here = snapshot(other.0, other.1);
        beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(here)
    })
}

/// A read-only snapshot: how points are taken. It commits the running transaction, so everything
/// that was synced before it, and the snapshot itself, is durable when it returns.
pub fn point(from: &Path, to: &Path) -> Result<()> {
    CreateSnapshotOptions::new()
        .readonly(true)
        .create(from, to)
        .map_err(|e| e.os_error())
        .at("snapshot to", to)
}

/// Writes a small file out and says whether it lies in the metadata whole (`max_inline`): then the next
/// commit, a [`point`] for one, makes it durable, and an fsync of its own would cost a second flush of
/// the device. A file that lies anywhere else, or where the kernel cannot say, is the caller's to sync.
/// Kernel: Documentation/filesystems/fiemap.rst.
pub fn is_flushed_inline(file: &File) -> bool {
    let mut asked =
        Fiemap { length: u64::MAX, flags: FIEMAP_FLAG_SYNC, extent_count: 2, ..Fiemap::default() };
    let answered = unsafe { fiemap(file.as_raw_fd(), &raw mut asked) }.is_ok();
    answered && asked.mapped_extents == 1 && asked.extents[0].flags & FIEMAP_EXTENT_DATA_INLINE != 0
}

/// linux/fiemap.h
#[derive(Default)]
#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [Extent; 2],
}

#[derive(Default)]
#[repr(C)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

const FIEMAP_FLAG_SYNC: u32 = 1;
const FIEMAP_EXTENT_DATA_INLINE: u32 = 0x200;

// The size in the number is that of the part before the extents.
nix::ioctl_readwrite_bad!(fiemap, nix::request_code_readwrite!(b'f', 11, 32), Fiemap);

/// Deletes one subvolume; ENOTEMPTY when another is nested in it. The kernel does NOT refuse one
/// that is mounted: the caller holds its lock and has asked `guard`.
pub fn delete(path: &Path) -> Result<()> {
    DeleteSubvolumeOptions::new().delete(path).map_err(|e| e.os_error()).at("delete subvolume", path)
}

/// Missing is fine.
pub fn delete_if_there(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() { Ok(()) } else { delete(path) }
}

/// The subvolumes nested in one, relative to it, the innermost first.
pub fn nested(path: &Path) -> Result<Vec<PathBuf>> {
    let each = || -> std::result::Result<Vec<PathBuf>, libbtrfsutil::Error> {
        IterateSubvolume::new(path)
            .post_order()
            .iter_with_id()?
            .map(|found| found.map(|(at, _)| at))
            .collect()
    };
    each().map_err(|e| e.os_error()).at("list the subvolumes in", path)
}

pub fn is_subvolume(path: &Path) -> bool {
    libbtrfsutil::is_subvolume(path).unwrap_or(false)
}

pub fn subvolume_id(path: &Path) -> Result<u64> {
    libbtrfsutil::subvolume_id(path).map_err(|e| e.os_error()).at("ask for the subvolume of", path)
}

/// Commits what is running and wakes the thread that clears deleted subvolumes away (the BTRFS sync
/// ioctl does both; syncfs(2) only the first).
pub fn sync_and_wake_cleaner(path: &Path) -> Result<()> {
    libbtrfsutil::sync(path).map_err(|e| e.os_error()).at("sync", path)
}

/// Is a deleted subvolume not cleared away yet? Its space is free only then.
pub fn is_left(top: &Path, id: u64) -> bool {
    libbtrfsutil::subvolume_info_with_id(top, id).is_ok()
}

/// Counts up with every commit that changed the subvolume: equal generations, equal content.
pub fn generation(path: &Path) -> Result<u64> {
    let info = libbtrfsutil::subvolume_info(path).map_err(|e| e.os_error());
    Ok(info.at("ask for the subvolume of", path)?.generation())
}

/// The transaction a snapshot was taken in: its source was as it is while the source's generation
/// is not above this.
pub fn created_in(path: &Path) -> Result<u64> {
    let info = libbtrfsutil::subvolume_info(path).map_err(|e| e.os_error());
    Ok(info.at("ask for the subvolume of", path)?.otransid())
}

pub fn uuid(path: &Path) -> Result<[u8; 16]> {
    let info = libbtrfsutil::subvolume_info(path).map_err(|e| e.os_error());
    Ok(*info.at("ask for the subvolume of", path)?.uuid().as_bytes())
}

/// The UUIDs a delta may name this subvolume by, as its parent: the one that was received with it, if it came
/// by a stream, and its own. The first is what a stream of it says.
pub fn stream_uuids(path: &Path) -> Result<Vec<[u8; 16]>> {
    let info = libbtrfsutil::subvolume_info(path).map_err(|e| e.os_error());
    let info = info.at("ask for the subvolume of", path)?;
    let received = info.received_uuid().map(|uuid| *uuid.as_bytes());
    Ok(received.into_iter().chain([*info.uuid().as_bytes()]).collect())
}

/// The UUID of the subvolume this one is a snapshot of, if it is one.
pub fn parent(path: &Path) -> Result<Option<[u8; 16]>> {
    let info = libbtrfsutil::subvolume_info(path).map_err(|e| e.os_error());
    Ok(info.at("ask for the subvolume of", path)?.parent_uuid().map(|uuid| *uuid.as_bytes()))
}

pub fn is_read_only(path: &Path) -> Result<bool> {
    libbtrfsutil::subvolume_read_only(path).map_err(|e| e.os_error()).at("ask for the subvolume of", path)
}

/// Seals a subvolume that nobody writes to: a base, once it is complete.
pub fn seal(path: &Path) -> Result<()> {
    libbtrfsutil::set_subvolume_read_only(path, true).map_err(|e| e.os_error()).at("seal", path)
}

/// Lets a subvolume be written to that its owner may have sealed.
pub fn unseal(path: &Path) -> Result<()> {
    libbtrfsutil::set_subvolume_read_only(path, false).map_err(|e| e.os_error()).at("unseal", path)
}

/// The UUID of the btrfs on a block device, from its first superblock (at 64 KiB: magic at 0x40,
/// fsid at 0x20; kernel: btrfs_tree.h), or NotBtrfs.
pub fn uuid_on_device(device: &Path) -> Result<String> {
    let block = superblock(device)?;
    let hex: String = block[0x20..0x30].iter().map(|b| format!("{b:02x}")).collect();
    let parts = [&hex[0..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]];
    Ok(parts.join("-"))
}

/// What tells the devices of one file system apart: the UUID of this one (in the superblock's dev_item).
/// Two devices that share it too are copies of each other.
pub fn own_uuid_of_device(device: &Path) -> Result<[u8; 16]> {
    const ITS_UUID: usize = 66;
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&superblock(device)?[DEV_ITEM + ITS_UUID..][..16]);
    Ok(uuid)
}

/// As large as the file system takes this device to be, and the number it has there (dev_item again).
pub struct OnDevice {
    pub device: u64,
    pub bytes: u64,
}

pub fn size_on_device(device: &Path) -> Result<OnDevice> {
    let block = superblock(device)?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&block[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    Ok(OnDevice { device: number(DEV_ITEM), bytes: number(DEV_ITEM + 8) })
}

/// struct btrfs_dev_item in the superblock: devid, total_bytes, ...
const DEV_ITEM: usize = 0xc9;

fn superblock(device: &Path) -> Result<[u8; 0x200]> {
    let mut block = [0u8; 0x200];
    let mut file = File::open(device).at("open", device)?;
    file.seek(SeekFrom::Start(0x1_0000)).at("read", device)?;
    match file.read_exact(&mut block) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        other => other.at("read", device)?,
    }
    if &block[0x40..0x48] != b"_BHRfS_M" {
        return Err(Error::NotBtrfs { path: device.to_path_buf() });
    }
    Ok(block)
}
