//! The items a file or directory is made of, as they lie on disk (linux/btrfs_tree.h; all numbers
//! little-endian, nothing aligned). An item that is too short for what it says it is, is passed over:
//! the kernel checks leaves when it reads them.

use crate::model::difference::NodeKind;
use crate::system::tree_search::{INODE_ITEM, INODE_REF};

/// What `stat` shows, and three things it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// The transaction it was made in: a number that is used again has another.
    pub generation: u64,
    /// The last transaction that changed it: content, attributes, names, and for a directory what is
    /// in it. For this inode alone, not for its leaf.
    pub transid: u64,
    pub size: u64,
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    /// With the file type, as in st_mode.
    pub mode: u32,
    pub device: u64,
    /// When it was made; never changes.
    pub born: (u64, u32),
}

impl Inode {
    pub fn parse(data: &[u8]) -> Option<Inode> {
        (data.len() >= 160).then(|| Inode {
            generation: long(data, 0),
            transid: long(data, 8),
            size: long(data, 16),
            links: word(data, 40),
            uid: word(data, 44),
            gid: word(data, 48),
            mode: word(data, 52),
            device: long(data, 56),
            born: (long(data, 148), word(data, 156)),
        })
    }

    pub fn kind(&self) -> NodeKind {
        NodeKind::of_mode(self.mode)
    }
}

/// The names in an INODE_REF (all in the directory `offset`) or an INODE_EXTREF (each with its own
/// directory): (directory, name).
pub fn names(kind: u8, offset: u64, data: &[u8], mut visit: impl FnMut(u64, &[u8])) {
    let mut rest = data;
    let head = if kind == INODE_REF { 10 } else { 18 };
    while rest.len() >= head {
        let length = usize::from(short(rest, head - 2));
        let Some(name) = rest.get(head..head + length) else { return };
        visit(if kind == INODE_REF { offset } else { long(rest, 0) }, name);
        rest = &rest[head + length..];
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Child {
    pub name: Vec<u8>,
    pub inode: u64,
    pub kind: NodeKind,
}

/// The same as it lies in a directory, whose name number `index` it is.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub name: &'a [u8],
    pub inode: u64,
    pub kind: NodeKind,
    /// The transaction that put the name there. A name is never changed in place.
    pub transid: u64,
}

/// From a DIR_INDEX, which says what kind of node it is, too. None for a subvolume that lies there: it
/// is a tree of its own.
pub fn entry(data: &[u8]) -> Option<Entry<'_>> {
    let length = usize::from(short(data.get(..30)?, 27));
    let name = data.get(30..30 + length)?;
    let kind = match data[29] {
        2 => NodeKind::Directory,
        3 => NodeKind::CharacterDevice,
        4 => NodeKind::BlockDevice,
        5 => NodeKind::Fifo,
        6 => NodeKind::Socket,
        7 => NodeKind::Link,
        _ => NodeKind::File,
    };
    (data[8] == INODE_ITEM).then(|| Entry { name, inode: long(data, 0), kind, transid: long(data, 17) })
}

/// From an XATTR_ITEM (several, where their names have one hash): (name, value).
pub fn attributes(data: &[u8], mut visit: impl FnMut(&[u8], &[u8])) {
    let mut rest = data;
    while rest.len() >= 30 {
        let (value, name) = (usize::from(short(rest, 25)), usize::from(short(rest, 27)));
        let Some(both) = rest.get(30..30 + name + value) else { return };
        visit(&both[..name], &both[name..]);
        rest = &rest[30 + name + value..];
    }
}

/// The bytes of a file that lies in its item whole and uncompressed.
pub fn inline(data: &[u8]) -> Option<&[u8]> {
    let plain = data.len() >= 21 && data[16] == 0 && data[17] == 0 && data[20] == 0;
    plain.then(|| &data[21..])
}

/// A subvolume, from its ROOT_ITEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subvolume {
    pub uuid: [u8; 16],
    /// What it is a snapshot of; zero when of nothing.
    pub parent: [u8; 16],
    /// The transaction it was made in.
    pub made_in: u64,
}

impl Subvolume {
    pub fn parse(data: &[u8]) -> Option<Subvolume> {
        (data.len() >= 311).then(|| Subvolume {
            uuid: array(&data[247..]),
            parent: array(&data[263..]),
            made_in: long(data, 303),
        })
    }
}

fn long(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(&data[at..]))
}

fn word(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(&data[at..]))
}

fn short(data: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(&data[at..]))
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}
