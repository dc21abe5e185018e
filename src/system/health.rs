//! What btrfs itself knows of its devices: errors counted since somebody last asked for a reset, and
//! the room left for data and for metadata. Asked with the ioctls behind `btrfs device stats` and
//! `btrfs filesystem usage` (kernel: include/uapi/linux/btrfs.h).

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::model::error::{At, Result};

const FS_INFO: u64 = 0x8400_941f; // _IOR(0x94, 31, 1024 bytes)
const DEV_INFO: u64 = 0xd000_941e; // _IOWR(0x94, 30, 4096 bytes)
const GET_DEV_STATS: u64 = 0xc408_9434; // _IOWR(0x94, 52, 1032 bytes)
const SPACE_INFO: u64 = 0xc010_9414; // _IOWR(0x94, 20, 16 bytes, more behind them)

/// In the order of the kernel's enum btrfs_dev_stat_values.
const ERRORS: [&str; 5] = ["write errors", "read errors", "flush errors", "corrupt blocks", "stale blocks"];

pub struct Device {
    pub path: PathBuf,
    /// What was counted, and how often.
    pub errors: Vec<(&'static str, u64)>,
    unallocated: u64,
}

/// Bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    pub size: u64,
    pub free: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Space {
    pub data: Room,
    pub metadata: Room,
}

/// The devices of the file system a path lies on.
pub fn devices(top: &Path) -> Result<Vec<Device>> {
    let file = File::open(top).at("open", top)?;
    let mut info = vec![0u64; 128];
    ioctl(&file, FS_INFO, &mut info).at("ask for the devices of", top)?;
    let last = info[0];
    Ok((1..=last).filter_map(|id| device(&file, id).ok()).collect())
}

fn device(file: &File, id: u64) -> io::Result<Device> {
    // devid, uuid (2 words), bytes_used, total_bytes, 379 unused, path (1024 bytes)
    let mut info = vec![0u64; 512];
    info[0] = id;
    ioctl(file, DEV_INFO, &mut info)?;
    let bytes: Vec<u8> =
        info[384..].iter().flat_map(|word| word.to_ne_bytes()).take_while(|b| *b != 0).collect();
    // devid, number of values, flags, values
    let mut stats = vec![0u64; 129];
    (stats[0], stats[1]) = (id, ERRORS.len() as u64);
    ioctl(file, GET_DEV_STATS, &mut stats)?;
    Ok(Device {
        path: PathBuf::from(OsString::from_vec(bytes)),
        errors: ERRORS.into_iter().zip(stats[3..].iter().copied()).collect(),
        unallocated: info[4].saturating_sub(info[3]),
    })
}

/// What is left for each kind: in the chunks it has, and in what no chunk has yet, which either may take.
pub fn space(top: &Path) -> Result<Space> {
    const DATA: u64 = 1;
    const METADATA: u64 = 4;
    const TWO_COPIES: u64 = 0x10 | 0x20 | 0x40; // RAID1, DUP, RAID10
    let file = File::open(top).at("open", top)?;
    let unallocated: u64 = devices(top)?.iter().map(|device| device.unallocated).sum();
    let mut space = Space::default();
    for (flags, total, used) in spaces(&file).at("ask for the space of", top)? {
        let unallocated = if flags & TWO_COPIES > 0 { unallocated / 2 } else { unallocated };
        let room = Room { size: total + unallocated, free: total.saturating_sub(used) + unallocated };
        if flags & DATA > 0 {
            space.data = room;
        }
        if flags & METADATA > 0 {
            space.metadata = room;
        }
    }
    Ok(space)
}

/// Flags, bytes in chunks and bytes used, of each kind.
fn spaces(file: &File) -> io::Result<Vec<(u64, u64, u64)>> {
    const SLOTS: usize = 64;
    let mut info = vec![0u64; 2 + 3 * SLOTS];
    info[0] = SLOTS as u64;
    ioctl(file, SPACE_INFO, &mut info)?;
    let found = (info[1] as usize).min(SLOTS);
    Ok(info[2..].chunks(3).take(found).map(|c| (c[0], c[1], c[2])).collect())
}

fn ioctl(file: &File, request: u64, words: &mut [u64]) -> io::Result<()> {
    let done = unsafe { libc::ioctl(file.as_raw_fd(), request as _, words.as_mut_ptr()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
