//! Block devices: which one holds the pool somebody means, and loop devices for image files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::model::error::{At, Error, Result};

use super::{btrfs, files, mountinfo};

/// What `--pool` names: a block device, an image file, or the UUID of a file system.
pub fn named(text: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    match fs::metadata(path) {
        Ok(meta) if meta.file_type().is_block_device() => Ok(path.to_path_buf()),
        Ok(meta) if meta.is_file() => attach_image(path),
        Ok(_) => below_directory(path),
        Err(_) if !text.contains('/') => {
            with_uuid(text).ok_or_else(|| Error::NotAPool { path: path.to_path_buf() })
        }
        Err(error) => Err(error).at("look at", path),
    }
}

/// The device of the btrfs a directory lies on.
pub fn below_directory(dir: &Path) -> Result<PathBuf> {
    let dir = fs::canonicalize(dir).at("look at", dir)?;
    let mount = mountinfo::below(&dir)?.ok_or_else(|| Error::NotBtrfs { path: dir.clone() })?;
    if mount.file_system != "btrfs" {
        return Err(Error::NotBtrfs { path: dir });
    }
    Ok(mount.source)
}

/// The device of the mounted or known file system with this UUID.
pub fn with_uuid(uuid: &str) -> Option<PathBuf> {
    let by_uuid = Path::new("/dev/disk/by-uuid").join(uuid);
    if let Ok(device) = fs::canonicalize(&by_uuid) {
        return Some(device);
    }
    let members = Path::new("/sys/fs/btrfs").join(uuid).join("devices");
    let name = files::names(&members).ok()?.into_iter().next()?;
    Some(Path::new("/dev").join(name))
}

/// The device, if it really carries this file system now: device names move, UUIDs do not.
pub fn carrying(uuid: &str, hint: &Path) -> Option<PathBuf> {
    let carries = |device: &Path| btrfs::uuid_on_device(device).is_ok_and(|found| found == uuid);
    if carries(hint) {
        return Some(hint.to_path_buf());
    }
    with_uuid(uuid).filter(|device| carries(device))
}

/// Refuses a pool of which this machine sees a copy under the same UUID (a disk that was copied whole): the
/// kernel tells file systems apart by it, and what is written could reach either. The devices of one file
/// system over several have different UUIDs of their own.
pub fn need_no_twin(device: &Path) -> Result<()> {
    let same = |other: &Path| -> Result<bool> {
        let ids = |of: &Path| Ok::<_, Error>((btrfs::uuid_on_device(of)?, btrfs::own_uuid_of_device(of)?));
        Ok(ids(other)? == ids(device)?)
    };
    let number = |path: &Path| fs::metadata(path).map(|meta| meta.rdev()).ok();
    let class = Path::new("/sys/class/block");
    for name in files::names(class)? {
        let other = Path::new("/dev").join(&name);
        // What something stands on (multipath, device-mapper) shows the superblock of what stands on it.
        let carries = !files::names(&class.join(&name).join("holders"))?.is_empty();
        if carries || number(&other) == number(device) || !same(&other).unwrap_or(false) {
            continue;
        }
        return Err(Error::TwinPools { one: device.to_path_buf(), other });
    }
    Ok(())
}

/// The loop device of an image file: the one it has already, else a new one that goes away by itself
/// with its last user (LO_FLAGS_AUTOCLEAR).
pub fn attach_image(image: &Path) -> Result<PathBuf> {
    let image = fs::canonicalize(image).at("look at", image)?;
    if let Some(device) = attached(&image)? {
        let held = OpenOptions::new().read(true).open(&device).at("open", &device)?;
        // Its last user may have ended between the look and the open: then it is gone again.
        if attached(&image)?.as_ref() == Some(&device) {
            std::mem::forget(held);
            return Ok(device);
        }
    }
    let output = std::process::Command::new("losetup")
        .args(["--find", "--show", "--nooverlap"])
        .arg(&image)
        .output()
        .at("run losetup for", &image)?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Child { program: "losetup".into(), why });
    }
    let device = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    hold_until_unused(&device)?;
    Ok(device)
}

/// Marks a loop device of ours to go away with its last user, and holds it until this process ends:
/// by then it is mounted or not needed.
fn hold_until_unused(device: &Path) -> Result<()> {
    const LOOP_SET_STATUS64: u64 = 0x4C04;
    const LOOP_GET_STATUS64: u64 = 0x4C05;
    const FLAGS_AT: usize = 52; // struct loop_info64 (linux/loop.h): lo_flags
    const LO_FLAGS_AUTOCLEAR: u8 = 4;
    let file = OpenOptions::new().read(true).write(true).open(device).at("open", device)?;
    let mut info = [0u8; 232];
    let call = |request: u64, info: &mut [u8; 232]| {
        let done = unsafe { nix::libc::ioctl(file.as_raw_fd(), request as _, info.as_mut_ptr()) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    call(LOOP_GET_STATUS64, &mut info).at("ask", device)?;
    info[FLAGS_AT] |= LO_FLAGS_AUTOCLEAR;
    call(LOOP_SET_STATUS64, &mut info).at("set up", device)?;
    std::mem::forget(file);
    Ok(())
}

fn attached(image: &Path) -> Result<Option<PathBuf>> {
    let meta = fs::metadata(image).at("look at", image)?;
    for name in files::names(Path::new("/sys/block"))? {
        let backing = Path::new("/sys/block").join(&name).join("loop/backing_file");
        let Ok(file) = fs::read_to_string(&backing) else { continue };
        let same = fs::metadata(file.trim_end_matches('\n'));
        if same.is_ok_and(|m| m.dev() == meta.dev() && m.ino() == meta.ino()) {
            return Ok(Some(Path::new("/dev").join(name)));
        }
    }
    Ok(None)
}

/// What a device holds, as blkid names it; None when it is empty. A device nobody can read is not empty.
pub fn content(device: &Path) -> Result<Option<String>> {
    let output = std::process::Command::new("blkid")
        .args(["--probe", "--output", "value", "--match-tag", "TYPE", "--match-tag", "PTTYPE"])
        .arg(device)
        .output()
        .at("run blkid for", device)?;
    // blkid: 0 = found, 2 = nothing found, 8 = ambivalent (several signatures)
    match output.status.code() {
        Some(2) if is_blank(device)? => Ok(None),
        Some(2) => Ok(Some("data blkid does not know".into())),
        Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim().replace('\n', ", "))),
        _ => Ok(Some("more than one signature".into())),
    }
}

/// Is it all zero, as far as can be told without reading the whole: the first and the last MiB, and a
/// block in each 1024th part between them? A device with foreign data must not look empty.
fn is_blank(device: &Path) -> Result<bool> {
    use std::os::unix::fs::FileExt;
    const MIB: u64 = 1 << 20;
    const BLOCK: u64 = 4096;
    let mut file = File::open(device).at("open", device)?;
    let size = io::Seek::seek(&mut file, io::SeekFrom::End(0)).at("read", device)?;
    let is_zero = |at: u64, length: u64| -> Result<bool> {
        let mut bytes = vec![0u8; length.min(size.saturating_sub(at)) as usize];
        file.read_exact_at(&mut bytes, at).at("read", device)?;
        Ok(bytes.iter().all(|b| *b == 0))
    };
    for part in 1..1024 {
        if !is_zero(size / 1024 * part, BLOCK)? {
            return Ok(false);
        }
    }
    Ok(is_zero(0, MIB)? && is_zero(size.saturating_sub(MIB), MIB)?)
}
