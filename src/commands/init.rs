//! `flipper-profile init`: a pool on the btrfs below a directory, on a block device, or in an image
//! file.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::model::Layout;
use crate::model::config::{FORMAT, Format, POOL_CONF};
use crate::model::error::{At, Error, Exit, Result};
use crate::system::{base, device, files, pool, reserve, template};

use super::cli::{Common, Init};
use super::report;

const SMALLEST_FLOOR: u64 = 1 << 16;
/// Burning goes one by one, some 60,000 a second.
const LARGEST_FLOOR: u64 = 1 << 28;

pub fn run(common: &Common, args: &Init) -> Result<Exit> {
    pool::need_root()?;
    if !(SMALLEST_FLOOR..=LARGEST_FLOOR).contains(&args.inode_floor) {
        let range = format!("{SMALLEST_FLOOR} to {LARGEST_FLOOR}");
        return Err(Error::Usage(format!("--inode-floor must be {range}")));
    }
    let device = match (&args.image, &args.target) {
        (Some(image), _) => make_image(image, &args.size)?,
        (None, Some(target)) => prepare_target(target, common.yes)?,
        (None, None) => device::below_directory(Path::new("/"))?,
    };
    let (layout, uuid, _outer) = pool::mount_top(&device)?;
    if files::read_if_there(&layout.format())?.is_some() {
        return Err(Error::AlreadyAPool { path: device });
    }
    make_pool(&layout, args.inode_floor)?;
    tell(common, args, &device, &uuid);
    Ok(Exit::Done)
}

/// The format file comes last: without it there is no pool, and init goes on where it was cut. What
/// is there already stays: the numbers given out, the settings.
fn make_pool(layout: &Layout, floor: u64) -> Result<()> {
    template::make_directories(layout)?;
    let bar = report::progress("burning the inode floor", floor);
    template::make(layout, floor, |number| bar.set_position(number))?;
    bar.finish_and_clear();
    let first_number = format!("{:020}\n", 1);
    for (path, text) in [(layout.pool_conf(), POOL_CONF), (layout.next(), &first_number)] {
        if files::read_if_there(&path)?.is_none() {
            files::replace(&path, text.as_bytes())?;
        }
    }
    let format = Format { format: FORMAT, oldest_reader: 1, oldest_writer: 1, inode_floor: floor };
    reserve::make(layout)?;
    files::sync_file_system(layout.top())?;
    files::replace(&layout.format(), format.to_text().as_bytes()) // the visible moment
}

/// A new file only: an existing one is somebody's.
fn make_image(image: &Path, size: &str) -> Result<PathBuf> {
    let bytes = parse_size(size)?;
    let file = OpenOptions::new().write(true).create_new(true).open(image).at("make", image)?;
    let made = file.set_len(bytes).at("make", image).and_then(|()| format_btrfs(image));
    if let Err(error) = made {
        files::remove_if_there(image)?;
        return Err(error);
    }
    device::attach_image(image)
}

/// A directory: the btrfs it lies on. A block device: its btrfs, or, empty, a fresh one.
fn prepare_target(target: &Path, yes: bool) -> Result<PathBuf> {
    let meta = fs::metadata(target).at("look at", target)?;
    if !meta.file_type().is_block_device() {
        return device::below_directory(target);
    }
    match device::content(target)?.as_deref() {
        Some("btrfs") => return Ok(target.to_path_buf()),
        Some(other) => return Err(Error::DeviceHolds { path: target.to_path_buf(), what: other.to_owned() }),
        None => {}
    }
    report::confirm(&format!("format {} with btrfs?", target.display()), yes)?;
    format_btrfs(target)?;
    Ok(target.to_path_buf())
}

fn format_btrfs(device: &Path) -> Result<()> {
    base::run(Command::new("mkfs.btrfs").args(["--quiet", "--label", "flipper-profiles"]).arg(device))
}

/// `8G`, `512M`, `1T`, or bytes.
fn parse_size(text: &str) -> Result<u64> {
    let wrong = || Error::Usage(format!("{text:?} is not a size; e.g. 8G"));
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        Some((at, 'T' | 't')) => (&text[..at], 1u64 << 40),
        _ => (text, 1),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(wrong)?;
    if bytes < 256 << 20 {
        return Err(Error::Usage("a pool needs at least 256M".into()));
    }
    Ok(bytes)
}

fn tell(common: &Common, args: &Init, device: &Path, uuid: &str) {
    if common.json {
        return report::json(&serde_json::json!({"pool": uuid, "device": device}));
    }
    let option = match (&args.image, &args.target) {
        (Some(image), _) => format!(" --pool {}", image.display()),
        (None, Some(target)) => format!(" --pool {}", target.display()),
        (None, None) => String::new(),
    };
    report::line(format_args!("made a pool on {} ({uuid})", device.display()));
    report::line(format_args!("next: flipper-base{option} import DIR|TARBALL --version V"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(parse_size("8G").unwrap(), 8 << 30);
        assert_eq!(parse_size("512m").unwrap(), 512 << 20);
        for bad in ["", "G", "8X", "-1G", "1", "99999999999999T", "8 G", "é"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
