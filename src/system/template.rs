//! The inode floor: `@profiles/.template`, the empty root every root descends from.
//!
//! Upper and base lie on one btrfs, so overlayfs reports their own inode numbers under one st_dev and
//! takes two files of the same number for one (facts: `cp a b` says "are the same file", dpkg leaves
//! obsolete files behind). btrfs numbers inodes per subvolume, always upward; so the template's
//! counter is driven past the floor once, with unnamed files that are never written (O_TMPFILE), and
//! every snapshot of it goes on from there.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::model::error::{At, Error, Result};
use crate::model::layout::{Layout, RootDir, RootFact};

use super::{btrfs, files};

/// Makes the template, unless an init that was cut later has made it; `progress` is told how many of `floor` numbers are burnt. Order: burn, anchor,
/// THEN root/ and work/, so that the root directory of every profile lies above the floor too.
pub fn make(layout: &Layout, floor: u64, mut progress: impl FnMut(u64)) -> Result<()> {
    if fs::metadata(RootDir::at(layout.template()).floor()).is_ok_and(|anchor| anchor.ino() >= floor) {
        return Ok(());
    }
    btrfs::delete_if_there(&layout.template())?; // made for a lower floor
    let aside = layout.profiles().join(".new-template");
    btrfs::delete_if_there(&aside)?;
    btrfs::create(&aside)?;
    burn(&aside, floor, &mut progress)?;
    let template = RootDir::at(&aside);
    files::make_dir(&template.floor(), 0o700)?; // the anchor: the counter is read back from the highest inode
    files::make_dir(&template.upper(), 0o755)?; // 0755: it becomes the mode of /
    files::make_dir(&template.work(), 0o700)?;
    for fact in RootFact::ALL {
        let path = template.fact(fact);
        fs::write(&path, b"\n").at("write", &path)?;
    }
    let anchor = fs::metadata(template.floor()).at("look at", template.floor())?.ino();
    if anchor < floor {
        let why = format!("the inode floor was not reached ({anchor} of {floor})");
        return Err(Error::Damaged { what: aside, why });
    }
    files::sync_file_system(&aside)?;
    fs::rename(&aside, layout.template()).at("rename to", layout.template())?; // the visible moment
    files::sync_parent(&layout.template())
}

fn burn(dir: &Path, floor: u64, progress: &mut impl FnMut(u64)) -> Result<()> {
    loop {
        let mut options = OpenOptions::new();
        let file = options.write(true).mode(0o600).custom_flags(nix::libc::O_TMPFILE).open(dir);
        let number = file.and_then(|f| f.metadata()).at("burn inode numbers in", dir)?.ino();
        if number % 4096 == 0 {
            progress(number.min(floor));
        }
        if number >= floor {
            progress(floor);
            return Ok(());
        }
    }
}

/// The directories of an empty pool.
pub fn make_directories(layout: &Layout) -> Result<()> {
    for dir in [layout.bases(), layout.profiles(), layout.data(), layout.journal()] {
        if btrfs::is_subvolume(&dir) {
            // Ours are plain directories: this is somebody's root or home.
            let what = format!("a subvolume {}", dir.file_name().unwrap_or_default().to_string_lossy());
            return Err(Error::DeviceHolds { path: layout.top().to_path_buf(), what });
        }
    }
    for dir in [layout.bases(), layout.profiles(), layout.data(), layout.journal(), layout.all_entries()] {
        files::make_dir(&dir, 0o700)?;
    }
    files::make_dir(&layout.entries(None), 0o700)?;
    if !btrfs::is_subvolume(&layout.home()) {
        btrfs::create(&layout.home())?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(layout.home(), mode).at("set the mode of", layout.home())?;
    }
    Ok(())
}
