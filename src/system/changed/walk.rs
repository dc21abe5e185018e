//! From the tops of both merged trees downward, but only where something can differ. A directory that
//! neither side touched since the two were one has the same names on both; of those, only the ones that
//! lead to something touched are gone into. Every other directory is listed on both sides, name by name.
//!
//! What has a name on one side only is put aside, whole, for `renames.rs`: it may have come from there.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::bytes;
use super::items::Child;
use super::listing::Listing;
use super::side::{Node, Seen, Side};
use crate::model::difference::{Attributes, NodeKind, PathChange, What};
use crate::model::error::Result;

/// The same place on both sides; below a directory that was renamed, two paths.
#[derive(Clone, Debug)]
pub struct Place {
    pub a: PathBuf,
    pub b: PathBuf,
}

/// What an upper has under a name.
type Upper = Option<(u64, NodeKind)>;

/// Names in a directory, each with what the uppers of both sides have under it.
type Names = BTreeMap<Vec<u8>, (Upper, Upper)>;

impl Place {
    fn below(&self, name: &[u8]) -> Place {
        let name = OsStr::from_bytes(name);
        Place { a: self.a.join(name), b: self.b.join(name) }
    }
}

pub struct Walk {
    pub a: Side,
    pub b: Side,
    /// The transaction until which both are one; None when there is none that is known.
    pub since: Option<u64>,
    pub same_base: bool,
    pub found: Vec<PathChange>,
    /// Trees of `a` that have no name in `b`, and the other way round: by their topmost path.
    pub gone: Vec<(PathBuf, Node)>,
    pub new: Vec<(PathBuf, Node)>,
    /// Directories of `a` that are another name's now: their old name is free.
    pub moved: HashSet<u64>,
    /// Directories of `a` that were compared with what else has their name now: they did not move.
    pub replaced: HashSet<u64>,
}

impl Walk {
    pub fn new(a: Side, b: Side, since: Option<u64>, same_base: bool) -> Walk {
        let (found, gone, new) = (Vec::new(), Vec::new(), Vec::new());
        let (moved, replaced) = (HashSet::new(), HashSet::new());
        Walk { a, b, since, same_base, found, gone, new, moved, replaced }
    }

    pub fn begin_at_the_top(&mut self) -> Result<()> {
        let place = Place { a: PathBuf::new(), b: PathBuf::new() };
        let (a, b) = (self.a.top_node(), self.b.top_node());
        self.present_in_both(&place, a, b)
    }

    /// Compares what is at a place, on each side one or nothing.
    fn compare(&mut self, place: &Place, a: Option<Node>, b: Option<Node>) -> Result<()> {
        // Below a directory that was renamed, what stood here may have been found elsewhere already.
        let a = a.filter(|node| !node.upper().is_some_and(|inode| self.moved.contains(&inode)));
        match (a, b) {
            (None, None) => Ok(()),
            (Some(a), None) => {
                self.gone.push((place.a.clone(), a));
                Ok(())
            }
            (None, Some(b)) => {
                self.new.push((place.b.clone(), b));
                Ok(())
            }
            (Some(a), Some(b)) => self.present_in_both(place, a, b),
        }
    }

    pub fn present_in_both(&mut self, place: &Place, a: Node, b: Node) -> Result<()> {
        if a == Node::Base && b == Node::Base && self.one_base(place) {
            return Ok(());
        }
        let kinds = (self.a.kind(a, &place.a), self.b.kind(b, &place.b));
        let (Some(was), Some(is)) = kinds else { return Ok(()) };
        if a.upper() != b.upper() {
            self.replaced.extend(a.upper());
        }
        if was != is {
            self.record(&place.b, is, What::TypeChanged { was });
            if was == NodeKind::Directory {
                self.gone.extend(self.a.children(a, &place.a)?);
            }
            if is == NodeKind::Directory {
                self.new.extend(self.b.children(b, &place.b)?);
            }
            return Ok(());
        }
        if !self.is_still(a, b) {
            self.compare_nodes(place, a, b, is)?;
        }
        if is == NodeKind::Directory { self.walk_directory(place, a, b) } else { Ok(()) }
    }

    /// One inode, as it was when both were one.
    fn is_still(&self, a: Node, b: Node) -> bool {
        let untouched = |inode| !self.a.tree.is_touched(inode) && !self.b.tree.is_touched(inode);
        self.since.is_some() && a.upper() == b.upper() && a.upper().is_some_and(untouched)
    }

    /// Does the same of a base lie under both sides of a place?
    fn one_base(&self, place: &Place) -> bool {
        self.same_base && place.a == place.b
    }

    fn walk_directory(&mut self, place: &Place, a: Node, b: Node) -> Result<()> {
        let showing = (a.shows_base(), b.shows_base());
        let alike_below = showing == (false, false) || (showing == (true, true) && self.one_base(place));
        let one_line = self.since.filter(|_| alike_below && a.upper().is_some() && a.upper() == b.upper());
        let names = match one_line {
            Some(since) => self.names_since(place, a, b, since)?,
            None => self.all_names(place, a, b, alike_below)?,
        };
        for (name, (in_a, in_b)) in names {
            let nothing_there = |(inode, _)| !self.a.tree.leads_on(inode) && !self.b.tree.leads_on(inode);
            if alike_below && self.since.is_some() && in_a == in_b && in_a.is_some_and(nothing_there) {
                continue;
            }
            let place = place.below(&name);
            let there = (self.a.resolve(a, &place.a, in_a)?, self.b.resolve(b, &place.b, in_b)?);
            self.compare(&place, there.0, there.1)?;
        }
        Ok(())
    }

    /// Of one directory: the names that are not the same on both sides, and those that lead to something
    /// touched.
    fn names_since(&mut self, place: &Place, a: Node, b: Node, since: u64) -> Result<Names> {
        let mut names = Names::new();
        if !self.is_still(a, b) {
            let (only_a, only_b) = self.differing(place, a, b, since)?;
            for child in only_a {
                names.entry(child.name).or_default().0 = Some((child.inode, child.kind));
            }
            for child in only_b {
                names.entry(child.name).or_default().1 = Some((child.inode, child.kind));
            }
        }
        if let Some(inode) = a.upper() {
            for child in self.a.tree.leads(inode).into_iter().chain(self.b.tree.leads(inode)) {
                let upper = Some((child.inode, child.kind));
                names.entry(child.name).or_insert((upper, upper));
            }
        }
        Ok(names)
    }

    /// A name that went leaves no trace but in the size of its directory, which is twice the length of all
    /// names. So where the new names alone make up for the difference, `a` is asked for those alone.
    fn differing(&mut self, place: &Place, a: Node, b: Node, since: u64) -> Result<(Vec<Child>, Vec<Child>)> {
        let listing = self.b.listing(b, &place.b)?;
        let new = listing.since(since);
        let size =
            a.upper().map(|dir| self.a.inode(dir, &place.a)).transpose()?.flatten().map(|dir| dir.size);
        let few = new.len() * 8 <= listing.len();
        if few && a.upper().is_some_and(|dir| !self.a.tree.is_touched(dir)) {
            let replaced: Vec<Child> =
                new.iter().filter_map(|child| self.a.child(&place.a, &child.name)).collect();
            let length = |of: &[Child]| of.iter().map(|child| 2 * child.name.len() as u64).sum::<u64>();
            if size == Some(listing.size() - length(&new) + length(&replaced)) {
                return Ok((replaced, new));
            }
        }
        Ok(Listing::differing(&self.a.listing(a, &place.a)?, &listing, since))
    }

    /// Of two directories, or of one of which it is not known until when the sides were one.
    fn all_names(&mut self, place: &Place, a: Node, b: Node, alike_below: bool) -> Result<Names> {
        let mut names = Names::new();
        for child in self.a.upper_names(a, &place.a)? {
            names.insert(child.name, (Some((child.inode, child.kind)), None));
        }
        for child in self.b.upper_names(b, &place.b)? {
            names.entry(child.name).or_default().1 = Some((child.inode, child.kind));
        }
        if !alike_below {
            let below = [self.a.base_names(a, &place.a)?, self.b.base_names(b, &place.b)?];
            for name in below.into_iter().flatten() {
                names.entry(name).or_default();
            }
        }
        Ok(names)
    }

    /// Records what differs between two nodes of one kind, what is in a directory aside.
    pub fn compare_nodes(&mut self, place: &Place, a: Node, b: Node, kind: NodeKind) -> Result<()> {
        let (Some(was), Some(is)) = (self.a.look(a, &place.a)?, self.b.look(b, &place.b)?) else {
            return Ok(());
        };
        let attributes = attributes(&was, &is);
        if bytes::differ((&self.a, &place.a, a, &was), (&self.b, &place.b, b, &is), kind)? {
            self.record(&place.b, kind, What::Changed { attributes });
        } else if !attributes.is_empty() {
            self.record(&place.b, kind, What::Metadata { attributes });
        }
        Ok(())
    }

    pub fn record(&mut self, path: &Path, kind: NodeKind, what: What) {
        self.found.push(PathChange { path: path.to_path_buf(), kind, what });
    }
}

fn attributes(was: &Seen, is: &Seen) -> Attributes {
    let both = |was: u32, is: u32| (was != is).then_some((was, is));
    let names = was.attributes.keys().chain(is.attributes.keys());
    let differ = names.filter(|name| was.attributes.get(*name) != is.attributes.get(*name));
    let mut extended: Vec<String> = differ.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    extended.sort();
    extended.dedup();
    Attributes {
        mode: both(was.mode & 0o7777, is.mode & 0o7777),
        owner: both(was.uid, is.uid),
        group: both(was.gid, is.gid),
        extended,
    }
}
