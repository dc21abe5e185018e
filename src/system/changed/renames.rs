//! What has a name on one side only: added, removed, or the same file under another name. A name that
//! is there on both sides is never half of a rename (`mv a a.old; write a` is a changed `a` and an added
//! `a.old`): what a person looks for is the name.
//!
//! A directory that was renamed is one rename; what is in it moved along, and is compared with what was
//! in it. Files are told apart by inode number and the transaction they were made in; several names of
//! one file are paired in the order of their paths.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::side::Node;
use super::walk::{Place, Walk};
use crate::model::difference::{NodeKind, What};
use crate::model::error::Result;

/// Names on one side only, each with the kind and the node under it.
type Names = Vec<(PathBuf, NodeKind, Node)>;

impl Walk {
    /// After the walk: settles what it put aside.
    pub fn settle_names(&mut self) -> Result<()> {
        let mut added: Names = Vec::new();
        let mut gone_dirs: HashSet<u64> = self.gone.iter().filter_map(|(_, node)| node.upper()).collect();
        while let Some((path, node)) = self.new.pop() {
            let Some(kind) = self.b.kind(node, &path) else { continue };
            if kind != NodeKind::Directory {
                added.push((path, kind, node));
                continue;
            }
            match self.came_from(node, &gone_dirs)? {
                Some((from, before)) => {
                    self.moved.extend(node.upper());
                    self.record(&path, kind, What::Renamed { from: from.clone() });
                    self.present_in_both(&Place { a: from, b: path }, before, node)?;
                    gone_dirs.extend(self.gone.iter().filter_map(|(_, node)| node.upper()));
                }
                None => {
                    self.record(&path, kind, What::Added);
                    self.new.extend(self.b.children(node, &path)?);
                }
            }
        }
        let removed = self.removed()?;
        self.pair(removed, added)
    }

    /// The directory of `a` that this one of `b` is, when its name there is gone.
    fn came_from(&mut self, node: Node, gone: &HashSet<u64>) -> Result<Option<(PathBuf, Node)>> {
        let Some(inode) = node.upper() else { return Ok(None) };
        if self.replaced.contains(&inode) || !self.is_one_inode(inode)? {
            return Ok(None);
        }
        let Some(way) = self.a.way_to(inode)? else { return Ok(None) };
        if !way.iter().any(|step| gone.contains(&step.inode)) {
            return Ok(None);
        }
        // Down the same way, so that it is known whether the base shows through it.
        let (mut here, mut path) = (self.a.top_node(), PathBuf::new());
        for step in way {
            path.push(OsStr::from_bytes(&step.name));
            match self.a.resolve(here, &path, Some((step.inode, step.kind)))? {
                Some(next) => here = next,
                None => return Ok(None),
            }
        }
        Ok(Some((path, here)))
    }

    /// Was it made before the two sides parted? After that, both may give the same number to two files.
    fn is_one_inode(&mut self, inode: u64) -> Result<bool> {
        let path = Path::new("");
        let (Some(a), Some(b)) = (self.a.inode(inode, path)?, self.b.inode(inode, path)?) else {
            return Ok(false);
        };
        let parted_after = |since| a.generation <= since;
        Ok(a.generation == b.generation && a.born == b.born && self.since.is_none_or(parted_after))
    }

    /// Everything below the names that are gone, without the directories that moved away. Directories
    /// are recorded at once: they have one name.
    fn removed(&mut self) -> Result<Names> {
        let mut removed = Vec::new();
        while let Some((path, node)) = self.gone.pop() {
            let Some(kind) = self.a.kind(node, &path) else { continue };
            if kind != NodeKind::Directory {
                removed.push((path, kind, node));
            } else if !node.upper().is_some_and(|inode| self.moved.contains(&inode)) {
                self.record(&path, kind, What::Removed);
                self.gone.extend(self.a.children(node, &path)?);
            }
        }
        Ok(removed)
    }

    fn pair(&mut self, mut removed: Names, mut added: Names) -> Result<()> {
        removed.sort_by(|a, b| a.0.cmp(&b.0));
        added.sort_by(|a, b| a.0.cmp(&b.0));
        let mut by_inode: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, (_, _, node)) in removed.iter().enumerate().rev() {
            by_inode.entry(node.upper().unwrap_or(0)).or_default().push(at);
        }
        let mut paired = HashSet::new();
        for (path, kind, node) in added {
            let inode = node.upper().unwrap_or(0);
            let candidate = by_inode.get(&inode).and_then(|left| left.last().copied());
            let from = match candidate {
                Some(at) if inode != 0 && self.is_one_inode(inode)? => at,
                _ => {
                    self.record(&path, kind, What::Added);
                    continue;
                }
            };
            by_inode.entry(inode).or_default().pop();
            paired.insert(from);
            let (from, _, before) = removed[from].clone();
            self.record(&path, kind, What::Renamed { from: from.clone() });
            self.compare_nodes(&Place { a: from, b: path }, before, node, kind)?;
        }
        for (at, (path, kind, _)) in removed.into_iter().enumerate() {
            if !paired.contains(&at) {
                self.record(&path, kind, What::Removed);
            }
        }
        Ok(())
    }
}
