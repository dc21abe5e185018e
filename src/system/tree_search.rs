//! The items of a btrfs tree, read in the order of their keys (BTRFS_IOC_TREE_SEARCH_V2, linux/btrfs.h
//! and btrfs_tree.h). One search reads a subvolume of 30,000 files in tens of milliseconds, where a walk
//! with a stat of each file takes hundreds. Needs CAP_SYS_ADMIN.
//!
//! Two things the kernel's header says and people trip over: a range is a stretch of the linear order
//! of (object, kind, offset), not a box; and the transaction asked for is that of the LEAF, so
//! neighbours of what changed come along (and whole trees after a balance).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::model::error::{At, Result};

/// The tree of tree roots: every subvolume's ROOT_ITEM.
pub const ROOT_TREE: u64 = 1;

// Item types (`Key::kind`).
pub const INODE_ITEM: u8 = 1;
pub const INODE_REF: u8 = 12;
pub const INODE_EXTREF: u8 = 13;
pub const XATTR_ITEM: u8 = 24;
pub const DIR_ITEM: u8 = 84;
pub const DIR_INDEX: u8 = 96;
pub const EXTENT_DATA: u8 = 108;
pub const ROOT_ITEM: u8 = 132;

/// The first inode number and subvolume id of the person's own.
pub const FIRST_FREE: u64 = 256;
/// The last one; above it are numbers of btrfs's own.
pub const LAST_FREE: u64 = -256i64 as u64;

/// Bytes asked for at once: room for the largest item and a few more. The kernel touches every page of
/// what is left of it before each leaf it copies (5.15 and later), so larger is slower (measured).
const BUFFER: usize = 128 << 10;
/// No item is larger than a leaf, and no leaf larger than this.
const LARGEST_ITEM: usize = 64 << 10;

/// Where an item is in its tree; items are ordered by it, object first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// e.g. the inode number
    pub object: u64,
    /// The item's type, e.g. [`EXTENT_DATA`]
    pub kind: u8,
    /// e.g. the offset in the file, or a hash of a name
    pub offset: u64,
}

impl Key {
    pub const FIRST: Key = Key { object: 0, kind: 0, offset: 0 };
    pub const LAST: Key = Key { object: u64::MAX, kind: u8::MAX, offset: u64::MAX };

    pub fn new(object: u64, kind: u8, offset: u64) -> Key {
        Key { object, kind, offset }
    }

    /// The key right after this one; None after the last.
    fn next(self) -> Option<Key> {
        let Key { object, kind, offset } = self;
        if let Some(offset) = offset.checked_add(1) {
            return Some(Key { object, kind, offset });
        }
        if let Some(kind) = kind.checked_add(1) {
            return Some(Key { object, kind, offset: 0 });
        }
        object.checked_add(1).map(|object| Key { object, kind: 0, offset: 0 })
    }
}

/// One item, as it lies in its leaf.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub key: Key,
    /// The transaction that wrote the LEAF: an item that did not change has a new one when its
    /// neighbour did.
    pub transid: u64,
    /// Little-endian fields, unaligned.
    pub data: &'a [u8],
}

/// What to read of a tree.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// A subvolume's id, or [`ROOT_TREE`]; 0 is the subvolume the search was opened in
    pub tree: u64,
    /// First and last key, both included. A range is a stretch of the order of keys: every type of item
    /// of the objects between them comes along.
    pub first: Key,
    pub last: Key,
    /// Leaves written before this transaction are skipped whole.
    pub min_transid: u64,
}

impl Range {
    /// Everything in a tree.
    pub fn all(tree: u64) -> Range {
        Range::between(tree, Key::FIRST, Key::LAST)
    }

    /// Both keys are part of it.
    pub fn between(tree: u64, first: Key, last: Key) -> Range {
        Range { tree, first, last, min_transid: 0 }
    }

    /// Only what lies in leaves that were written in this transaction or later.
    pub fn since(self, min_transid: u64) -> Range {
        Range { min_transid, ..self }
    }
}

/// An open file system and the buffer its items are read into; good for any number of searches.
pub struct TreeSearch {
    place: File,
    path: PathBuf,
    buffer: Vec<u64>,
}

/// struct btrfs_ioctl_search_key (104 bytes) and the size of the buffer that follows.
#[repr(C)]
#[derive(Clone, Copy)]
struct Arguments {
    tree: u64,
    min_object: u64,
    max_object: u64,
    min_offset: u64,
    max_offset: u64,
    min_transid: u64,
    max_transid: u64,
    min_kind: u32,
    max_kind: u32,
    /// In: at most so many; out: found.
    count: u32,
    unused: u32,
    more_unused: [u64; 4],
    buffer_size: u64,
}

const ARGUMENTS: usize = size_of::<Arguments>();
/// struct btrfs_ioctl_search_header: transid, object, offset, kind (u32), length (u32)
const HEADER: usize = 32;

nix::ioctl_readwrite!(tree_search_v2, 0x94, 17, Arguments);

impl TreeSearch {
    /// `place` is any directory or file of the file system.
    pub fn open(place: &Path) -> Result<TreeSearch> {
        let file = File::open(place).at("open", place)?;
        let buffer = vec![0u64; (ARGUMENTS + BUFFER) / 8];
        Ok(TreeSearch { place: file, path: place.to_path_buf(), buffer })
    }

    /// Calls `visit` for each item of the range, in the order of the keys. What the tree holds now is
    /// read, also what no commit has made durable yet. A subvolume that is being deleted is NotFound.
    pub fn items(&mut self, range: Range, visit: impl FnMut(Item<'_>)) -> Result<()> {
        self.each(range, visit).at("read the tree of", &self.path)
    }

    /// The same, for who can name a better path in an error: that of the one file that was looked for.
    pub fn each(&mut self, range: Range, mut visit: impl FnMut(Item<'_>)) -> io::Result<()> {
        let mut from = range.first;
        loop {
            let found = self.batch(range, from)?;
            let bytes = as_bytes(&self.buffer);
            let mut at = ARGUMENTS;
            let mut last = None;
            for _ in 0..found {
                let item = item_at(bytes, at).ok_or(io::ErrorKind::InvalidData)?;
                at += HEADER + item.data.len();
                // The kernel's own range is of the whole keys too, but it steps over its end by one.
                if (from..=range.last).contains(&item.key) {
                    visit(item);
                }
                last = Some(item.key);
            }
            // Where any item would still have fitted, the kernel stopped at the end of the range.
            let had_room = bytes.len().saturating_sub(at) >= HEADER + LARGEST_ITEM;
            match last.and_then(Key::next) {
                Some(next) if !had_room && next <= range.last => from = next,
                _ => return Ok(()),
            }
        }
    }

    /// How many items lie in the buffer now.
    fn batch(&mut self, range: Range, from: Key) -> io::Result<u32> {
        let arguments = Arguments {
            tree: range.tree,
            min_object: from.object,
            max_object: range.last.object,
            min_offset: from.offset,
            max_offset: range.last.offset,
            min_transid: range.min_transid,
            max_transid: u64::MAX,
            min_kind: from.kind.into(),
            max_kind: range.last.kind.into(),
            count: u32::MAX,
            unused: 0,
            more_unused: [0; 4],
            buffer_size: BUFFER as u64,
        };
        let place = self.buffer.as_mut_ptr().cast::<Arguments>();
        // Sound: the buffer is aligned to eight bytes and holds the arguments and BUFFER bytes after them.
        unsafe {
            place.write(arguments);
            tree_search_v2(self.place.as_raw_fd(), place)?;
            Ok((*place).count)
        }
    }
}

fn as_bytes(words: &[u64]) -> &[u8] {
    // Sound: every byte of a u64 is a u8.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// None when it does not lie inside the buffer.
fn item_at(bytes: &[u8], at: usize) -> Option<Item<'_>> {
    let header = bytes.get(at..at + HEADER)?;
    // The kernel's own numbers, in the order of this machine; packed in a row, so maybe not aligned.
    let long = |i: usize| u64::from_ne_bytes(header[i..i + 8].try_into().unwrap_or_default());
    let short = |i: usize| u32::from_ne_bytes(header[i..i + 4].try_into().unwrap_or_default());
    let key = Key { object: long(8), kind: short(24) as u8, offset: long(16) };
    let data = bytes.get(at + HEADER..at + HEADER + short(28) as usize)?;
    Some(Item { key, transid: long(0), data })
}
