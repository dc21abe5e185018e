//! A tree of files as data: what stands at a path, and three trees side by side. check and rebase compare
//! the base a profile stands on, the profile, and a candidate base; two of them are only manifests.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::difference::NodeKind;
use super::error::Result;

/// What stands at a path. Times are not here: nothing is decided by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub kind: NodeKind,
    /// The permission bits with set-id and sticky: 0o7777 and below.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of a file. None: not a file, or in the manifest of an older program.
    pub size: Option<u64>,
    /// Of a file; None where nothing else at this path could be equal (see [`Triple`]).
    pub sha256: Option<[u8; 32]>,
    /// Where a link leads.
    pub target: Option<Box<[u8]>>,
    /// Of a device node.
    pub device: u64,
    /// All but overlayfs's own. None: in the manifest of an older program, which did not look.
    pub xattrs: Option<Xattrs>,
    /// The same number, the same file: of files with several names only.
    pub linked: Option<u64>,
}

/// Extended attributes: capabilities, ACLs, what the person set.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

impl Object {
    pub fn is_directory(&self) -> bool {
        self.kind == NodeKind::Directory
    }

    pub fn is_file(&self) -> bool {
        self.kind == NodeKind::File
    }

    pub fn is_link(&self) -> bool {
        self.kind == NodeKind::Link
    }

    /// The same type and the same bytes, whatever mode, owner and attributes are.
    pub fn same_content(&self, other: &Object) -> bool {
        let sizes_agree = self.size.is_none() || other.size.is_none() || self.size == other.size;
        self.kind == other.kind
            && match self.kind {
                NodeKind::File => sizes_agree && self.sha256.is_some() && self.sha256 == other.sha256,
                NodeKind::Link => self.target == other.target,
                NodeKind::CharacterDevice | NodeKind::BlockDevice => self.device == other.device,
                NodeKind::Directory | NodeKind::Fifo | NodeKind::Socket => true,
            }
    }

    /// Mode, owner and attributes alike. A link's mode says nothing; attributes nobody looked at are
    /// taken to be equal.
    pub fn same_metadata(&self, other: &Object) -> bool {
        let xattrs = match (&self.xattrs, &other.xattrs) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        (self.mode == other.mode || self.is_link())
            && (self.uid, self.gid) == (other.uid, other.gid)
            && xattrs
    }

    pub fn same(&self, other: &Object) -> bool {
        self.same_content(other) && self.same_metadata(other)
    }
}

/// One path of a profile's upper, beside what both bases have there. `old` and `new` are hashed
/// always, `mine` only where one of them could be equal to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triple {
    /// Relative to the root, e.g. `usr/bin/cat`; bytes.
    pub path: Vec<u8>,
    /// None: a whiteout.
    pub mine: Option<Box<Object>>,
    pub inode: u64,
    /// A directory that hides the base's (`trusted.overlay.opaque`).
    pub opaque: bool,
    /// Names of the attributes overlayfs left here besides `opaque`: `trusted.overlay.origin`, ...
    pub marks: Vec<Box<str>>,
    pub old: Option<Box<Object>>,
    pub new: Option<Box<Object>>,
}

impl Triple {
    pub fn is_whiteout(&self) -> bool {
        self.mine.is_none()
    }

    pub fn has_mark(&self, name: &str) -> bool {
        self.marks.iter().any(|mark| **mark == *name)
    }
}

/// A tree that can be asked: a base by its manifest, a profile's merged view, what a flip would show.
pub trait Tree {
    /// None: nothing is there. Links on the way are not followed.
    fn find(&self, path: &[u8]) -> Result<Option<Object>>;

    /// The bytes of a file. Of a base only those texts that its manifest holds: the databases of dpkg and
    /// apt, ucf, debconf, and /etc.
    fn text(&self, path: &[u8]) -> Result<Option<Vec<u8>>>;

    /// What is below a directory, however deep, in [`order`]: path and object.
    fn below(&self, dir: &[u8], visit: &mut dyn FnMut(&[u8], &Object)) -> Result<()>;

    /// The texts below a directory whose names end so, in [`order`].
    fn texts(&self, dir: &[u8], ending: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()>;
}

/// The order of all lists of paths: a directory, then what is in it, then its next neighbour. (By bytes
/// alone, `a-b` would come between `a` and `a/b`.)
pub fn order(a: &[u8], b: &[u8]) -> Ordering {
    let differ = a.iter().zip(b).position(|(a, b)| a != b);
    match differ {
        None => a.len().cmp(&b.len()),
        Some(at) => {
            let rank = |byte: u8| if byte == b'/' { 0 } else { byte }; // a name never has a 0
            rank(a[at]).cmp(&rank(b[at]))
        }
    }
}

/// Is `path` below `dir`? Everything is below the empty path.
pub fn is_below(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || (path.len() > dir.len() && path.starts_with(dir) && path[dir.len()] == b'/')
}

/// `usr/bin` of `usr/bin/cat`; empty at the top.
pub fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(b"", |at| &path[..at])
}

/// `cat` of `usr/bin/cat`
pub fn name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(path, |at| &path[at + 1..])
}

/// The directories above a path, the topmost first: `usr`, `usr/bin` of `usr/bin/cat`.
pub fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_before_what_is_in_it_and_that_before_its_neighbours() {
        let sorted: [&[u8]; 7] = [b"a", b"a/b", b"a/b/c", b"a/b-", b"a-b", b"a.b", b"b"];
        for (at, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(order(a, b), at.cmp(&other), "{} {}", a.escape_ascii(), b.escape_ascii());
            }
        }
    }

    #[test]
    fn parts_of_a_path() {
        assert_eq!((parent(b"usr/bin/cat"), name(b"usr/bin/cat")), (&b"usr/bin"[..], &b"cat"[..]));
        assert_eq!((parent(b"usr"), name(b"usr")), (&b""[..], &b"usr"[..]));
        assert_eq!(above(b"usr/bin/cat").collect::<Vec<_>>(), [&b"usr"[..], b"usr/bin"]);
        assert!(is_below(b"usr/bin", b"usr") && is_below(b"usr", b"") && !is_below(b"usrx", b"usr"));
        assert!(!is_below(b"usr", b"usr"));
    }
}
