//! The reserve: 32 MiB in `@journal/reserve/` that are given back when the file system is full, so that
//! the journal and an undo always have room. Two portions; a package run may use up the first only, so
//! that the second is there for the undo that must follow it.
//!
//! What btrfs needs then is of two kinds, and one does not help the other. On a full file system whose
//! metadata still has room, snapshots, links and renames succeed and no byte of a file can be written,
//! not even of one small enough to live in metadata. Where metadata is full, snapshots succeed (the
//! kernel has a reserve of its own for them and for deletions), and no file can be made or renamed,
//! however much data is free; a rename asks for the most, about 3 MiB. So a portion is ONE file of
//! 12 MiB that are allocated and never written (nothing to compress, nothing to copy on write), with
//! extended attributes that fill 4 MiB of metadata; removing it gives both back. (Measured on 300 MB
//! and 1 GB, mixed and split, filled to the last byte of either kind; tests/pool/full_disk.rs.)
//!
//! Nothing else touches it: a file system with room never looks here.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::model::Layout;
use crate::model::error::{At, Result};

use super::locks::Lock;
use super::{btrfs, files};

const PORTIONS: [&str; 2] = ["1", "2"];
const DATA: u64 = 12 << 20;
/// The longest value every node size takes (4 KiB nodes: of a mixed file system).
const VALUE: [u8; 3800] = [0; 3800];
const VALUES: usize = (4 << 20) / VALUE.len();

/// Bytes that must be left over before the reserve is made again: the room is more needed elsewhere.
const LEFT_OVER: u64 = 32 << 20;

/// Who needs the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// A package run: the first portion.
    PackageRun,
    /// An undo, the journal, a prune: all of it.
    Recovery,
}

/// Bytes in all, and bytes an ordinary program may still write (statfs).
pub fn room(layout: &Layout) -> Result<(u64, u64)> {
    let stat = fs2::statvfs(layout.top()).at("look at", layout.top())?;
    Ok((stat.total_space(), stat.available_space()))
}

/// Does something; while the file system is full, gives a portion back and does it again. What is done
/// must bear being done twice.
pub fn with_room<T>(layout: &Layout, who: For, mut what: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match what() {
            Err(error) if error.is_no_space() && give_back(layout, who)? => {
                tracing::warn!("the file system is full: a part of the reserve was given back");
            }
            ended => return ended,
        }
    }
}

/// Removes the next portion. False: there is none left for this.
fn give_back(layout: &Layout, who: For) -> Result<bool> {
    let mine = if who == For::PackageRun { &PORTIONS[..1] } else { &PORTIONS[..] };
    let next = mine.iter().map(|name| layout.reserve().join(name)).find(|path| path.exists());
    let Some(portion) = next else { return Ok(false) };
    files::remove_if_there(&portion)?;
    // What was freed can be used after the next commit only.
    let _ = files::sync_file_system(layout.top());
    Ok(true)
}

/// Is it all there?
pub fn is_whole(layout: &Layout) -> bool {
    PORTIONS.iter().all(|name| layout.reserve().join(name).exists())
}

/// Makes what is missing of it, when there is room for it and as much again. A full disk is no failure;
/// neither is somebody else who is at it.
pub fn make(layout: &Layout) -> Result<()> {
    if is_whole(layout) {
        return Ok(());
    }
    if room(layout)?.1 < DATA + LEFT_OVER {
        return Ok(());
    }
    files::make_dir(&layout.reserve(), 0o700)?;
    let Some(_lock) = Lock::of_directory(&layout.reserve(), false)? else { return Ok(()) };
    // The last portion first: it is the one that must be there.
    for name in PORTIONS.iter().rev() {
        let portion = layout.reserve().join(name);
        let (_, free) = room(layout)?;
        if portion.exists() || free < DATA + LEFT_OVER {
            continue;
        }
        match make_portion(&portion) {
            Err(error) if error.is_no_space() => return files::remove_if_there(&aside(&portion)),
            other => other?,
        }
    }
    Ok(())
}

fn make_portion(portion: &Path) -> Result<()> {
    let aside = aside(portion);
    files::remove_if_there(&aside)?; // of one that was cut
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&aside).at("make", &aside)?;
    fs2::FileExt::allocate(&file, DATA).at("allocate", &aside)?;
    for number in 0..VALUES {
        xattr::set(&aside, format!("trusted.r{number}"), &VALUE).at("write attributes of", &aside)?;
    }
    file.sync_all().at("sync", &aside)?;
    std::fs::rename(&aside, portion).at("rename to", portion) // the visible moment
}

fn aside(portion: &Path) -> PathBuf {
    files::beside(portion, ".new")
}

/// Waits until the space of deleted subvolumes is free, but not for ever: the kernel's cleaner works in
/// the background, and a statfs before it has ended says nothing.
pub fn wait_until_cleaned(layout: &Layout, ids: &[u64], at_most: std::time::Duration) -> Result<()> {
    let end = std::time::Instant::now() + at_most;
    btrfs::sync_and_wake_cleaner(layout.top())?;
    while ids.iter().any(|id| btrfs::is_left(layout.top(), *id)) && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(20));
        btrfs::sync_and_wake_cleaner(layout.top())?;
    }
    Ok(())
}
