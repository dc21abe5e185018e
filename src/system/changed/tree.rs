//! One subvolume, read by inode number: what of it was touched after a transaction, under which names,
//! and the directories that lead there. Everything is asked for once and kept.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;

use super::items::{self, Child, Inode};
use super::listing::Listing;
use crate::model::difference::NodeKind;
use crate::model::error::{At, Result};
use crate::system::tree_search::{
    DIR_INDEX, EXTENT_DATA, FIRST_FREE, INODE_EXTREF, INODE_ITEM, INODE_REF, Item, Key, LAST_FREE, Range,
    TreeSearch, XATTR_ITEM,
};

/// The subvolume a search was opened in.
const HERE: u64 = 0;

/// Of more files than this the parts are not kept but asked for again: the bytes of small ones are in them.
const MOST_MADE: usize = 4096;

pub struct Tree {
    pub search: TreeSearch,
    /// Absent: it was looked for and is not there.
    inodes: HashMap<u64, Option<Inode>>,
    /// (directory, name) of an inode; as many as it has links.
    names: HashMap<u64, Vec<(u64, Vec<u8>)>>,
    /// What the scan saw of the directories that were touched.
    listings: HashMap<u64, Listing>,
    /// What the scan saw of files that were made after its transaction: that is all of them, since every
    /// leaf that holds any of it is newer.
    made: HashMap<u64, Parts>,
    touched: HashSet<u64>,
    /// For each directory that leads to something touched, the names that do.
    leads: HashMap<u64, BTreeSet<Child>>,
}

/// What a file is made of, beside its names.
pub struct Parts {
    pub inode: Inode,
    /// Sorted by name.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// (offset in the file, the item): where its bytes lie, or the bytes themselves when they are few.
    pub extents: Vec<(u64, Vec<u8>)>,
}

impl Tree {
    pub fn open(subvolume: &Path) -> Result<Tree> {
        Ok(Tree {
            search: TreeSearch::open(subvolume)?,
            inodes: HashMap::new(),
            names: HashMap::new(),
            listings: HashMap::new(),
            made: HashMap::new(),
            touched: HashSet::new(),
            leads: HashMap::new(),
        })
    }

    /// Finds what was touched after a transaction (0: everything there is), and what leads there. An
    /// inode's own transid is what counts: it rises with every change of content, attributes and names,
    /// and of what is in a directory, while its leaf also rises with its neighbours.
    pub fn find_touched(&mut self, after: u64, whole: &Path) -> Result<()> {
        self.scan(after).at("search", whole)?;
        let mut touched: Vec<u64> = self.touched.iter().copied().collect();
        touched.sort_unstable();
        for inode in touched {
            self.mark_way_to(inode).at("search", whole)?;
        }
        Ok(())
    }

    /// Keeps the inodes that were touched after a transaction, so that asking for them costs nothing.
    pub fn scan(&mut self, after: u64) -> io::Result<()> {
        let first = Key::new(FIRST_FREE, INODE_ITEM, 0);
        let last = Key::new(LAST_FREE, u8::MAX, u64::MAX);
        let range = Range::between(HERE, first, last).since(after + 1);
        let Tree { search, inodes, names, listings, made, touched, .. } = self;
        // The names follow their inode; only those of the touched and of directories will be asked for.
        let (mut wanted, mut wanted_dir, mut wanted_whole) = (0, 0, 0);
        search.each(range, |Item { key, data, .. }| match key.kind {
            INODE_ITEM => {
                let Some(inode) = Inode::parse(data) else { return };
                let is_touched = inode.transid > after;
                if is_touched {
                    touched.insert(key.object);
                    wanted_dir = if inode.kind() == NodeKind::Directory { key.object } else { 0 };
                }
                if inode.generation > after && wanted_dir != key.object && made.len() < MOST_MADE {
                    wanted_whole = key.object;
                    made.insert(key.object, Parts::of(inode));
                }
                if is_touched || inode.kind() == NodeKind::Directory {
                    inodes.insert(key.object, Some(inode));
                    wanted = key.object;
                }
            }
            INODE_REF | INODE_EXTREF if wanted == key.object => {
                let list = names.entry(key.object).or_default();
                items::names(key.kind, key.offset, data, |dir, name| list.push((dir, name.to_vec())));
            }
            XATTR_ITEM | EXTENT_DATA if wanted_whole == key.object => {
                made.entry(key.object).and_modify(|parts| parts.add(key, data));
            }
            DIR_INDEX if wanted_dir == key.object => {
                listings.entry(key.object).or_default().add(key.offset, data);
            }
            _ => {}
        })
    }

    fn mark_way_to(&mut self, inode: u64) -> io::Result<()> {
        let mut todo = vec![inode];
        while let Some(inode) = todo.pop() {
            let Some(kind) = self.inode(inode)?.map(|found| found.kind()) else { continue };
            for (dir, name) in self.names_of(inode)? {
                if dir == inode {
                    continue; // the top of a subvolume is its own parent
                }
                let first = !self.leads.contains_key(&dir);
                self.leads.entry(dir).or_default().insert(Child { name, inode, kind });
                // A directory that is touched marks its own way.
                if first && !self.touched.contains(&dir) {
                    todo.push(dir);
                }
            }
        }
        Ok(())
    }

    pub fn is_touched(&self, inode: u64) -> bool {
        self.touched.contains(&inode)
    }

    /// Is it touched, or is something below it?
    pub fn leads_on(&self, inode: u64) -> bool {
        self.touched.contains(&inode) || self.leads.contains_key(&inode)
    }

    /// The names in an untouched directory that lead to something touched.
    pub fn leads(&self, dir: u64) -> Vec<Child> {
        self.leads.get(&dir).map(|names| names.iter().cloned().collect()).unwrap_or_default()
    }

    pub fn inode(&mut self, number: u64) -> io::Result<Option<Inode>> {
        if let Some(known) = self.inodes.get(&number) {
            return Ok(*known);
        }
        let key = Key::new(number, INODE_ITEM, 0);
        let mut found = None;
        self.search.each(Range::between(HERE, key, key), |item| found = Inode::parse(item.data))?;
        self.inodes.insert(number, found);
        Ok(found)
    }

    /// Every (directory, name) of an inode. What the scan saw is all, unless some of it lay in a leaf
    /// that is older.
    pub fn names_of(&mut self, inode: u64) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let links = self.inode(inode)?.map_or(0, |i| i.links as usize);
        if let Some(known) = self.names.get(&inode).filter(|known| known.len() >= links) {
            return Ok(known.clone());
        }
        let mut found = Vec::new();
        let first = Key::new(inode, INODE_REF, 0);
        let last = Key::new(inode, INODE_EXTREF, u64::MAX);
        self.search.each(Range::between(HERE, first, last), |Item { key, data, .. }| {
            items::names(key.kind, key.offset, data, |dir, name| found.push((dir, name.to_vec())));
        })?;
        self.names.insert(inode, found.clone());
        Ok(found)
    }

    /// What is in a directory. Its size tells whether the scan saw all of it.
    pub fn listing(&mut self, dir: u64) -> io::Result<Listing> {
        let size = self.inode(dir)?.map_or(0, |inode| inode.size);
        if let Some(seen) = self.listings.remove(&dir).filter(|seen| seen.size() == size) {
            return Ok(seen);
        }
        let mut found = Listing::default();
        let first = Key::new(dir, DIR_INDEX, 0);
        let last = Key::new(dir, DIR_INDEX, u64::MAX);
        let range = Range::between(HERE, first, last);
        self.search.each(range, |Item { key, data, .. }| found.add(key.offset, data))?;
        Ok(found)
    }

    /// Without extents for a directory: it has none, but many names in between.
    pub fn parts(&mut self, number: u64, kind: NodeKind) -> io::Result<Option<Parts>> {
        let mut found = self.made.remove(&number);
        if found.is_none() {
            let last_kind = if kind == NodeKind::Directory { XATTR_ITEM } else { EXTENT_DATA };
            let first = Key::new(number, INODE_ITEM, 0);
            let last = Key::new(number, last_kind, u64::MAX);
            self.search.each(Range::between(HERE, first, last), |Item { key, data, .. }| match key.kind {
                INODE_ITEM => found = Inode::parse(data).map(Parts::of),
                _ => found.iter_mut().for_each(|parts| parts.add(key, data)),
            })?;
            self.inodes.insert(number, found.as_ref().map(|parts| parts.inode));
        }
        if let Some(parts) = &mut found {
            parts.attributes.sort();
        }
        Ok(found)
    }
}

impl Parts {
    fn of(inode: Inode) -> Parts {
        Parts { inode, attributes: Vec::new(), extents: Vec::new() }
    }

    fn add(&mut self, key: Key, data: &[u8]) {
        match key.kind {
            XATTR_ITEM => items::attributes(data, |name, value| {
                self.attributes.push((name.to_vec(), value.to_vec()));
            }),
            EXTENT_DATA => self.extents.push((key.offset, data.to_vec())),
            _ => {}
        }
    }
}
