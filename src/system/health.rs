//! What btrfs itself knows of its devices: errors counted since somebody last asked for a reset, and
//! what is not allocated. Asked with the ioctls behind `btrfs device stats` and `btrfs device usage`
//! (kernel: include/uapi/linux/btrfs.h).

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

/// In the order of the kernel's enum btrfs_dev_stat_values.
const ERRORS: [&str; 5] = ["write errors", "read errors", "flush errors", "corrupt blocks", "stale blocks"];

pub struct Device {
    pub path: PathBuf,
    /// What was counted, and how often.
    pub errors: Vec<(&'static str, u64)>,
    /// Bytes that no block group has yet.
    pub unallocated: u64,
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

fn ioctl(file: &File, request: u64, words: &mut [u64]) -> io::Result<()> {
    let done = unsafe { libc::ioctl(file.as_raw_fd(), request as _, words.as_mut_ptr()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
