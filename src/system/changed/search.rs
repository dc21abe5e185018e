//! Items of a btrfs tree by key range, through BTRFS_IOC_TREE_SEARCH_V2 (linux/btrfs.h). Every file of
//! a subvolume is a handful of items that lie side by side: one call brings hundreds of them, where a
//! walk pays a system call or two for each name.
//!
//! Two things the kernel's header says and people trip over: a range is a slice of the linear order of
//! (objectid, type, offset), not a box; and the transid filter asks when the LEAF was last written, so
//! neighbours of what changed come along (and whole trees after a balance). Whoever filters looks at
//! the transid inside the inode item as well.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::libc;

use crate::model::error::{At, Result};

/// Holds the largest item there can be (one leaf, 64 KiB) and a few more. The kernel touches every page
/// of it for each leaf it reads, so larger is slower.
const BUFFER: usize = 128 << 10;
const LARGEST_ITEM: usize = 64 << 10;
/// struct btrfs_ioctl_search_key, then buf_size.
const HEAD: usize = 104 + 8;
const ITEM_HEAD: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub object: u64,
    pub kind: u8,
    pub offset: u64,
}

impl Key {
    pub fn new(object: u64, kind: u8, offset: u64) -> Key {
        Key { object, kind, offset }
    }

    fn next(self) -> Option<Key> {
        if let Some(offset) = self.offset.checked_add(1) {
            return Some(Key { offset, ..self });
        }
        match (self.kind.checked_add(1), self.object.checked_add(1)) {
            (Some(kind), _) => Some(Key { kind, offset: 0, ..self }),
            (None, Some(object)) => Some(Key { object, kind: 0, offset: 0 }),
            (None, None) => None,
        }
    }
}

pub struct Slice {
    /// 0: the subvolume the directory is in.
    pub tree: u64,
    /// Both ends are part of it.
    pub from: Key,
    pub to: Key,
    /// Only leaves written after this transaction.
    pub newer_than: u64,
}

/// An open directory of a subvolume, and the room its answers are read into.
pub struct Searcher {
    dir: File,
    /// In words: the kernel writes structures of them.
    buffer: Vec<u64>,
}

impl Searcher {
    pub fn open(dir: &Path) -> Result<Searcher> {
        let dir = File::open(dir).at("open", dir)?;
        Ok(Searcher { dir, buffer: vec![0; (HEAD + BUFFER) / 8] })
    }

    /// Calls `visit` with the key and the bytes of every item of the slice, in the order of the keys.
    pub fn each(&mut self, slice: &Slice, mut visit: impl FnMut(Key, &[u8])) -> io::Result<()> {
        let mut from = slice.from;
        loop {
            let count = self.ask(slice, from)?;
            let bytes = as_bytes(&self.buffer);
            let (mut at, mut last) = (HEAD, None);
            for _ in 0..count {
                let word = |offset: usize| u64::from_ne_bytes(array(&bytes[at + offset..]));
                let (object, offset) = (word(8), word(16));
                let kind = u32::from_ne_bytes(array(&bytes[at + 24..])) as u8;
                let length = u32::from_ne_bytes(array(&bytes[at + 28..])) as usize;
                let key = Key { object, kind, offset };
                visit(key, &bytes[at + ITEM_HEAD..at + ITEM_HEAD + length]);
                at += ITEM_HEAD + length;
                last = Some(key);
            }
            // Where the largest item would still have fitted, the kernel stopped at the end of the slice.
            let room_left = bytes.len() - at > LARGEST_ITEM + ITEM_HEAD;
            match last.and_then(Key::next).filter(|next| !room_left && *next <= slice.to) {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    fn ask(&mut self, slice: &Slice, from: Key) -> io::Result<u32> {
        // linux/btrfs.h, struct btrfs_ioctl_search_key: tree; min and max of objectid, offset, transid;
        // then, as u32, min and max of type, and how many at most.
        let kinds = u64::from(from.kind) | u64::from(slice.to.kind) << 32;
        let kinds = if cfg!(target_endian = "big") { kinds.rotate_left(32) } else { kinds };
        let head = [slice.tree, from.object, slice.to.object, from.offset, slice.to.offset];
        self.buffer[..5].copy_from_slice(&head);
        self.buffer[5] = slice.newer_than + 1;
        self.buffer[6] = u64::MAX;
        self.buffer[7] = kinds;
        self.buffer[8..13].fill(0);
        let most = u64::from(u32::MAX);
        self.buffer[8] = if cfg!(target_endian = "big") { most.rotate_left(32) } else { most };
        self.buffer[13] = BUFFER as u64;
        let request = nix::request_code_readwrite!(0x94, 17, HEAD);
        let done = unsafe { libc::ioctl(self.dir.as_raw_fd(), request as _, self.buffer.as_mut_ptr()) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(u32::from_ne_bytes(array(&as_bytes(&self.buffer)[64..])))
    }
}

fn as_bytes(words: &[u64]) -> &[u8] {
    // Any bytes are fine as bytes.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len() * 8) }
}

pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}
