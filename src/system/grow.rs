//! A pool that came in an image is as large as the image was, and not as its partition is.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::model::error::{At, Result};

use super::btrfs;

/// What is less than this is what partitioning rounds off.
const WORTH_IT: u64 = 16 << 20;

/// Bytes of the device that the file system does not use.
pub fn room_behind(device: &Path) -> Result<u64> {
    let mut file = File::open(device).at("open", device)?;
    let size = file.seek(SeekFrom::End(0)).at("read", device)?;
    let room = size.saturating_sub(btrfs::size_on_device(device)?.bytes);
    Ok(if room < WORTH_IT { 0 } else { room })
}

/// Makes a mounted pool as large as its device.
pub fn to_device(top: &Path, device: &Path) -> Result<()> {
    let of_device = format!("{}:max", btrfs::size_on_device(device)?.device);
    let mut asked = VolumeArguments { fd: 0, name: [0; 4088] };
    asked.name[..of_device.len()].copy_from_slice(of_device.as_bytes());
    let dir = File::open(top).at("open", top)?;
    unsafe { resize(dir.as_raw_fd(), &raw const asked) }.map(drop).at("grow", device)
}

/// linux/btrfs.h: struct btrfs_ioctl_vol_args
#[repr(C)]
struct VolumeArguments {
    fd: i64,
    name: [u8; 4088],
}

nix::ioctl_write_ptr!(resize, 0x94, 3, VolumeArguments);
