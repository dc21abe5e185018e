//! The reserve: 32 MiB in `@journal/reserve/` that are given back when the file system is full, so that
//! the journal and an undo always have room. Two portions; a package run may use up the first only, so
//! that the second is there for the undo that must follow it.
//!
//! What btrfs needs then is of two kinds, and one does not help the other. On a full file system whose
//! metadata still has room, snapshots, links and renames succeed and no byte of a file can be written,
//! not even of one small enough to live in metadata. Where metadata is full, snapshots succeed (the
//! kernel has a reserve of its own for them and for deletions), and no file can be made or renamed,
//! however much data is free; a rename asks for the most, some 4 MiB. So a portion is ONE file of
//! 10 MiB that are allocated and never written (nothing to compress, nothing to copy on write), with
//! extended attributes that fill 6 MiB of metadata; removing it gives both back. (Measured on 300 MB
//! and 1 GB, mixed and split, filled to the last byte of either kind; tests/pool/full_disk.rs.)
//!
//! Nothing else touches it: a file system with room never looks here.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::model::error::{At, Result};
use crate::model::{Kind, Layout};

use super::locks::Lock;
use super::{btrfs, files};

const PORTIONS: [&str; 2] = ["1", "2"];
const DATA: u64 = 10 << 20;
/// The longest value every node size takes (4 KiB nodes: of a mixed file system).
const VALUE: [u8; 3800] = [0; 3800];
const VALUES: usize = (6 << 20) / VALUE.len();

/// A portion that is made first and taken away last: the room that is left over.
const MARGIN: &str = ".margin";

/// Free bytes below which nobody even tries.
const ENOUGH: u64 = 40 << 20;

/// Free bytes with which a package run comes to no end.
const A_LITTLE: u64 = 4 << 20;

/// Who needs the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// What can wait until there is room: nothing.
    Ordinary,
    /// A package run: the first portion.
    PackageRun,
    /// An undo, a prune, and what else takes back or makes room: all of it.
    Recovery,
}

impl For {
    /// For whom an entry of this kind is written.
    pub fn of(kind: &Kind) -> For {
        match kind {
            Kind::Packages => For::PackageRun,
            Kind::Undo | Kind::Redo | Kind::Reset | Kind::Cancel | Kind::Left => For::Recovery,
            Kind::Rollback => For::Recovery,
            Kind::Prune | Kind::PruneBase | Kind::Delete => For::Recovery,
            _ => For::Ordinary,
        }
    }
}

/// Bytes in all, and bytes an ordinary program may still write (statfs).
pub fn room(layout: &Layout) -> Result<(u64, u64)> {
    let stat = fs2::statvfs(layout.top()).at("look at", layout.top())?;
    Ok((stat.total_space(), stat.available_space()))
}

/// Does something; while the file system is full, gives a portion back and does it again, and once more
/// when there is none left: a commit also frees what was deleted and what was promised and not used. What
/// is done must bear being done twice.
pub fn with_room<T>(layout: &Layout, who: For, mut what: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match what() {
            Err(error) if error.is_no_space() && give_back(layout, who)? => {
                tracing::warn!("the file system is full: a part of the reserve was given back");
            }
            Err(error) if error.is_no_space() && who == For::Recovery => {
                btrfs::sync_and_wake_cleaner(layout.top())?;
                return what();
            }
            ended => return ended,
        }
    }
}

/// Removes the next portion. False: there is none left for this.
fn give_back(layout: &Layout, who: For) -> Result<bool> {
    let mine = match who {
        For::Ordinary => &PORTIONS[..0],
        For::PackageRun => &PORTIONS[..1],
        For::Recovery => &PORTIONS[..],
    };
    let next = mine.iter().map(|name| layout.reserve().join(name)).find(|path| path.exists());
    let Some(portion) = next else { return Ok(false) };
    files::remove_if_there(&portion)?;
    // What was freed can be used after the next commit only.
    let _ = files::sync_file_system(layout.top());
    Ok(true)
}

/// Is it all there, and nothing of a making that was cut?
fn is_whole(layout: &Layout) -> bool {
    let dir = layout.reserve();
    PORTIONS.iter().all(|name| dir.join(name).exists()) && !dir.join(MARGIN).exists()
}

/// Is there no room to write even a little? (Of data: who has none of metadata is told by the kernel.)
pub fn is_full(layout: &Layout) -> Result<bool> {
    Ok(room(layout)?.1 < A_LITTLE)
}

/// Makes what is missing of it, when there is room for it and for a portion more: a file system must not
/// be full because of it. A full one is no failure; neither is somebody else who is at it.
pub fn make(layout: &Layout) -> Result<()> {
    if is_whole(layout) {
        return Ok(());
    }
    if room(layout)?.1 < ENOUGH {
        return Ok(());
    }
    files::make_dir(&layout.reserve(), 0o700)?;
    let Some(_lock) = Lock::of_directory(&layout.reserve(), false)? else { return Ok(()) };
    let margin = layout.reserve().join(MARGIN);
    files::remove_if_there(&margin)?;
    let made = make_portion(&margin).and_then(|()| make_missing(layout));
    files::remove_if_there(&margin)?;
    match made {
        Err(error) if error.is_no_space() => Ok(()),
        other => other,
    }
}

/// The last portion first: it is the one that must be there.
fn make_missing(layout: &Layout) -> Result<()> {
    for name in PORTIONS.iter().rev() {
        let portion = layout.reserve().join(name);
        if !portion.exists() {
            make_portion(&portion)?;
        }
    }
    Ok(())
}

fn make_portion(portion: &Path) -> Result<()> {
    let aside = aside(portion);
    files::remove_if_there(&aside)?; // of one that was cut
    let filled = fill(&aside);
    if filled.is_err() {
        files::remove_if_there(&aside)?;
    }
    filled?;
    std::fs::rename(&aside, portion).at("rename to", portion) // the visible moment
}

fn fill(aside: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(aside).at("make", aside)?;
    fs2::FileExt::allocate(&file, DATA).at("allocate", aside)?;
    for number in 0..VALUES {
        xattr::set(aside, format!("trusted.r{number}"), &VALUE).at("write attributes of", aside)?;
    }
    file.sync_all().at("sync", aside)
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
    btrfs::sync_and_wake_cleaner(layout.top()) // the last tree that went counts as free after a commit
}
