//! What lies on the disk for whom: the subvolumes of the whole file system and the data extents each
//! refers to, read from their trees; and how full the file system says it is. No qgroups: they freeze
//! machines under snapshots (facts). Who holds what is remembered in `@journal/space.cache`, by the
//! generation of each subvolume, so that a point is read once in its life.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::model::error::{Error, Result};
use crate::model::holdings::{Extent, Holdings, Subvolume};
use crate::model::layout::Layout;

use super::space_cache;
use super::tree_search::{EXTENT_DATA, FIRST_FREE, Item, LAST_FREE, ROOT_ITEM, ROOT_TREE, Range, TreeSearch};

/// The id of the top level, in which our plain directories lie. Every entry changes it and it holds
/// little: it is always read and never remembered.
pub const TOP_LEVEL: u64 = 5;

/// More than this many at once only wait for each other in the kernel.
const MOST_READERS: usize = 4;

/// What was found, and what could not be.
pub struct Found {
    pub holdings: Holdings,
    /// Subvolumes that are deleted and not cleaned up yet: their bytes are still in use, by nobody.
    pub being_deleted: usize,
    /// How many subvolumes had to be read; the others were remembered.
    pub read: usize,
}

/// Who holds what on this file system, all subvolumes of it, ours or not: what somebody else's snapshot
/// shares is not freed. `progress` is told how many of how many subvolumes are read. What is written to
/// the file system while it is read may be missing; the caller syncs it first.
pub fn holdings(layout: &Layout, may_write: bool, mut progress: impl FnMut(usize, usize)) -> Result<Found> {
    let mut search = TreeSearch::open(layout.top())?;
    let roots = subvolumes(&mut search)?;
    let being_deleted = roots.iter().filter(|root| root.being_deleted).count();
    let there: Vec<Subvolume> = roots.into_iter().filter(|r| !r.being_deleted).map(|r| r.subvolume).collect();
    let mut holdings = space_cache::load(layout).unwrap_or_default();
    let version = |s: &Subvolume| (s.id, s.uuid, s.generation);
    let remembered: BTreeSet<_> = holdings.subvolumes().map(version).collect();
    let (known, unknown): (Vec<&Subvolume>, Vec<&Subvolume>) =
        there.iter().partition(|subvolume| remembered.contains(&version(subvolume)));
    let kept: BTreeSet<u64> = known.iter().map(|subvolume| subvolume.id).collect();
    holdings.release(&remembered.iter().map(|(id, ..)| *id).filter(|id| !kept.contains(id)).collect());

    let (top, unknown): (Vec<&Subvolume>, Vec<&Subvolume>) = unknown.iter().partition(|s| s.id == TOP_LEVEL);
    let mut read = 0;
    progress(0, unknown.len());
    read_all(layout.top(), &unknown, |subvolume, extents| {
        holdings.hold(subvolume, extents);
        read += 1;
        progress(read, unknown.len());
    })?;
    if may_write && (read > 0 || known.len() < remembered.len()) {
        space_cache::store(layout, &holdings);
    }
    for subvolume in top {
        let (inline, extents) = extents(&mut search, subvolume.id)?.unwrap_or_default();
        holdings.hold(Subvolume { inline, ..subvolume.clone() }, extents);
    }
    Ok(Found { holdings, being_deleted, read })
}

/// Reads several subvolumes side by side; `take` is called here, in any order.
fn read_all(top: &Path, wanted: &[&Subvolume], mut take: impl FnMut(Subvolume, Vec<Extent>)) -> Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::sync_channel(2 * MOST_READERS);
    let reader = |sender: mpsc::SyncSender<Result<_>>| {
        let mut search = TreeSearch::open(top)?;
        while let Some(subvolume) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some((inline, extents)) = extents(&mut search, subvolume.id)? else { continue };
            let subvolume = Subvolume { inline, ..(*subvolume).clone() };
            if sender.send(Ok((subvolume, extents))).is_err() {
                break; // another reader failed, and that has been said
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..processors.min(MOST_READERS).min(wanted.len()) {
            let sender = sender.clone();
            let reader = &reader;
            scope.spawn(move || {
                let failed = reader(sender.clone()).err();
                failed.map(|error| sender.send(Err(error)))
            });
        }
        drop(sender);
        // Moved in: when this returns early, no reader waits for room in it.
        for found in receiver {
            let (subvolume, extents) = found?;
            take(subvolume, extents);
        }
        Ok(())
    })
}

/// A subvolume as the tree of trees has it.
struct Root {
    subvolume: Subvolume,
    being_deleted: bool,
}

fn subvolumes(search: &mut TreeSearch) -> Result<Vec<Root>> {
    let mut found = Vec::new();
    search.items(Range::all(ROOT_TREE), |item| {
        let ours = item.key.object == TOP_LEVEL || (FIRST_FREE..=LAST_FREE).contains(&item.key.object);
        if item.key.kind == ROOT_ITEM && ours {
            found.push(root(item));
        }
    })?;
    Ok(found)
}

/// struct btrfs_root_item: an inode item of 160 bytes, then generation at 160, refs (u32) at 216, the
/// uuid at 247 (missing in items of very old file systems).
fn root(item: Item<'_>) -> Root {
    let uuid = item.data.get(247..263).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    let generation = long(item.data, 160).unwrap_or_default();
    let refs = item.data.get(216..220).unwrap_or_default();
    Root {
        subvolume: Subvolume { id: item.key.object, uuid, generation, inline: 0 },
        being_deleted: refs.iter().all(|byte| *byte == 0),
    }
}

/// The data extents a subvolume refers to, each maybe many times, and the bytes of its small files that
/// lie in the metadata. None when the subvolume has been deleted meanwhile.
fn extents(search: &mut TreeSearch, subvolume: u64) -> Result<Option<(u64, Vec<Extent>)>> {
    let (mut inline, mut found) = (0, Vec::new());
    let done = search.items(Range::all(subvolume), |item| {
        if item.key.kind != EXTENT_DATA {
            return;
        }
        match extent(item.data) {
            Some(Extent { at: 0, .. }) => {} // a hole
            Some(extent) => found.push(extent),
            None => inline += item.data.len().saturating_sub(INLINE_BEGINS) as u64,
        }
    });
    match done {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(|()| Some((inline, found))),
    }
}

/// Where the bytes of a small file begin in its item.
const INLINE_BEGINS: usize = 21;
const INLINE: u8 = 0;

/// struct btrfs_file_extent_item: type at 20 (0 inline, 1 regular, 2 preallocated); for the last two
/// disk_bytenr at 21 (0 for a hole) and disk_num_bytes at 29, which are of the whole extent however
/// little of it this file uses. None for inline data.
fn extent(data: &[u8]) -> Option<Extent> {
    match data.get(20)? {
        &INLINE => None,
        _ => Some(Extent { at: long(data, 21)?, length: long(data, 29)? }),
    }
}

fn long(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}
