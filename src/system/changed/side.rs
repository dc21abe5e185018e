//! One of the two states: an upper and the base that shows through it, seen as the one merged tree that
//! a person sees, a name at a time and without a mount. (kernel: Documentation/filesystems/overlayfs,
//! "whiteouts and opaque directories")

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::State;
use super::items::{Child, Inode};
use super::listing::Listing;
use super::tree::Tree;
use crate::model::difference::NodeKind;
use crate::model::error::{At, Error, Result};
use crate::system::files;

/// What a merged name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// In the upper. `merges`: a directory through which one of the base shows.
    Upper { inode: u64, kind: NodeKind, merges: bool },
    /// Only in the base, whole.
    Base,
}

impl Node {
    /// Can names of the base be seen in this directory?
    pub fn shows_base(self) -> bool {
        matches!(self, Node::Base | Node::Upper { merges: true, .. })
    }

    pub fn upper(self) -> Option<u64> {
        match self {
            Node::Upper { inode, .. } => Some(inode),
            Node::Base => None,
        }
    }
}

/// What is to be compared of a node, all but its bytes.
pub struct Seen {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub device: u64,
    /// Without those overlayfs keeps for itself.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where the bytes lie; for a node of the base not asked.
    pub extents: Option<Vec<(u64, Vec<u8>)>>,
}

pub struct Side {
    pub tree: Tree,
    pub base: Option<PathBuf>,
    upper: PathBuf,
    open_upper: File,
    /// The inode of the upper itself.
    pub top: u64,
}

impl Side {
    pub fn open(state: &State) -> Result<Side> {
        let tree = Tree::open(&state.subvolume)?;
        let open_upper = File::open(&state.upper).at("open", &state.upper)?;
        let top = open_upper.metadata().at("look at", &state.upper)?.ino();
        Ok(Side { tree, base: state.base.clone(), upper: state.upper.clone(), open_upper, top })
    }

    pub fn top_node(&self) -> Node {
        Node::Upper { inode: self.top, kind: NodeKind::Directory, merges: self.base.is_some() }
    }

    /// What a name in a directory stands for, given what the upper has under it (inode, kind).
    pub fn resolve(
        &mut self,
        dir: Node,
        path: &Path,
        upper: Option<(u64, NodeKind)>,
    ) -> Result<Option<Node>> {
        let Some((inode, kind)) = upper else {
            let shows = dir.shows_base() && self.base_kind(path).is_some();
            return Ok(shows.then_some(Node::Base));
        };
        if kind == NodeKind::CharacterDevice && self.base.is_some() {
            let device = self.inode(inode, path)?.map(|inode| inode.device);
            if device == Some(0) {
                return Ok(None); // a whiteout
            }
        }
        let directories = kind == NodeKind::Directory && dir.shows_base();
        let over = directories && self.base_kind(path) == Some(NodeKind::Directory);
        Ok(Some(Node::Upper { inode, kind, merges: over && !self.is_opaque(inode, path)? }))
    }

    fn base_kind(&self, path: &Path) -> Option<NodeKind> {
        let meta = self.base.as_ref()?.join(path).symlink_metadata().ok()?;
        Some(NodeKind::of_mode(meta.mode()))
    }

    fn is_opaque(&mut self, inode: u64, path: &Path) -> Result<bool> {
        let parts = self.tree.parts(inode, NodeKind::Directory).at("search", self.upper.join(path))?;
        let mark = |(name, value): &(Vec<u8>, Vec<u8>)| name == b"trusted.overlay.opaque" && value == b"y";
        Ok(parts.is_some_and(|parts| parts.attributes.iter().any(mark)))
    }

    /// None when it went while we looked (a root in use is not still).
    pub fn inode(&mut self, inode: u64, path: &Path) -> Result<Option<Inode>> {
        self.tree.inode(inode).at("search", self.upper.join(path))
    }

    /// None when it went while we looked.
    pub fn kind(&self, node: Node, path: &Path) -> Option<NodeKind> {
        match node {
            Node::Base => self.base_kind(path),
            Node::Upper { kind, .. } => Some(kind),
        }
    }

    /// The names the upper has in a directory, whiteouts among them.
    pub fn upper_names(&mut self, dir: Node, path: &Path) -> Result<Vec<Child>> {
        Ok(self.listing(dir, path)?.children())
    }

    pub fn listing(&mut self, dir: Node, path: &Path) -> Result<Listing> {
        match dir.upper() {
            Some(inode) => self.tree.listing(inode).at("search", self.upper.join(path)),
            None => Ok(Listing::default()),
        }
    }

    /// One name the upper has in a directory.
    pub fn child(&self, dir: &Path, name: &[u8]) -> Option<Child> {
        let path = self.upper.join(dir).join(OsStr::from_bytes(name));
        let meta = path.symlink_metadata().ok()?;
        Some(Child { name: name.to_vec(), inode: meta.ino(), kind: NodeKind::of_mode(meta.mode()) })
    }

    /// The names of the base that can be seen in a directory, hidden by the upper or not.
    pub fn base_names(&self, dir: Node, path: &Path) -> Result<Vec<Vec<u8>>> {
        let Some(base) = self.base.as_ref().filter(|_| dir.shows_base()) else { return Ok(Vec::new()) };
        let names = files::names(&base.join(path))?;
        Ok(names.into_iter().map(|name| name.as_bytes().to_vec()).collect())
    }

    /// Everything that can be seen in a directory.
    pub fn children(&mut self, dir: Node, path: &Path) -> Result<Vec<(PathBuf, Node)>> {
        let mut names: BTreeMap<Vec<u8>, Option<(u64, NodeKind)>> =
            self.base_names(dir, path)?.into_iter().map(|name| (name, None)).collect();
        names.extend(self.upper_names(dir, path)?.into_iter().map(|c| (c.name, Some((c.inode, c.kind)))));
        let mut found = Vec::new();
        for (name, upper) in names {
            let path = path.join(OsStr::from_bytes(&name));
            if let Some(node) = self.resolve(dir, &path, upper)? {
                found.push((path, node));
            }
        }
        Ok(found)
    }

    pub fn look(&mut self, node: Node, path: &Path) -> Result<Option<Seen>> {
        let Node::Upper { inode, kind, .. } = node else { return self.look_in_base(path).map(Some) };
        let parts = self.tree.parts(inode, kind).at("search", self.upper.join(path))?;
        Ok(parts.map(|parts| Seen {
            mode: parts.inode.mode,
            uid: parts.inode.uid,
            gid: parts.inode.gid,
            size: parts.inode.size,
            device: parts.inode.device,
            attributes: parts.attributes.into_iter().filter(|(name, _)| is_the_persons(name)).collect(),
            extents: Some(parts.extents),
        }))
    }

    fn look_in_base(&self, path: &Path) -> Result<Seen> {
        let path = self.base.iter().map(|base| base.join(path)).next().unwrap_or_default();
        let meta = path.symlink_metadata().at("look at", &path)?;
        let mut attributes = BTreeMap::new();
        for name in xattr::list(&path).at("read attributes of", &path)? {
            let value = xattr::get(&path, &name).at("read attributes of", &path)?.unwrap_or_default();
            if is_the_persons(name.as_bytes()) {
                attributes.insert(name.as_bytes().to_vec(), value);
            }
        }
        let device = meta.rdev();
        Ok(Seen {
            mode: meta.mode(),
            uid: meta.uid(),
            gid: meta.gid(),
            size: meta.size(),
            device,
            attributes,
            extents: None,
        })
    }

    /// A reader of a file's bytes; of a link, its target. No link on the way is followed: in a root in
    /// use a directory may have become one since.
    pub fn open_bytes(&self, node: Node, path: &Path, kind: NodeKind) -> Result<Box<dyn Read>> {
        let whole = match node {
            Node::Upper { .. } => self.upper.join(path),
            Node::Base => self.base.iter().map(|base| base.join(path)).next().unwrap_or_default(),
        };
        if kind == NodeKind::Link {
            let target = fs::read_link(&whole).at("read", &whole)?;
            return Ok(Box::new(io::Cursor::new(target.into_os_string().into_encoded_bytes())));
        }
        if node == Node::Base {
            return Ok(Box::new(File::open(&whole).at("open", &whole)?));
        }
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let inside = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let file = openat2(&self.open_upper, path, OpenHow::new().flags(flags).resolve(inside));
        let file = File::from(file.at("open", &whole)?);
        if file.metadata().at("look at", &whole)?.is_file() {
            return Ok(Box::new(file));
        }
        Err(Error::Io { path: whole, action: "read", source: io::ErrorKind::InvalidData.into() })
    }

    /// Where a directory lies, from the top downward, without the top itself. None when
    /// it lies outside.
    pub fn way_to(&mut self, dir: u64) -> Result<Option<Vec<Child>>> {
        let mut way = Vec::new();
        let mut here = dir;
        while here != self.top {
            let names = self.tree.names_of(here).at("search", &self.upper)?;
            let Some((parent, name)) = names.into_iter().next().filter(|(parent, _)| *parent != here) else {
                return Ok(None);
            };
            way.push(Child { name, inode: here, kind: NodeKind::Directory });
            here = parent;
        }
        way.reverse();
        Ok(Some(way))
    }
}

fn is_the_persons(attribute: &[u8]) -> bool {
    !attribute.starts_with(b"trusted.overlay.")
}
