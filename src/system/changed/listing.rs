//! What is in a directory, in the order in which the names were put there. Two sides that were one have
//! the same names from that time under the same numbers, so most of a directory is held against the
//! other side without looking at a name.

use super::items::{self, Child};
use crate::model::difference::NodeKind;

/// All names lie in one stretch of bytes: a directory of a hundred names is two allocations.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    index: u64,
    transid: u64,
    inode: u64,
    kind: NodeKind,
    /// Where the name ends; it begins where the one before it ends.
    end: usize,
}

impl Listing {
    /// Adds a DIR_INDEX; they come in the order of their numbers.
    pub fn add(&mut self, index: u64, data: &[u8]) {
        let Some(items::Entry { name, inode, kind, transid }) = items::entry(data) else { return };
        self.names.extend_from_slice(name);
        self.entries.push(Entry { index, transid, inode, kind, end: self.names.len() });
    }

    /// The size of a directory that has these names and no other: twice their length.
    pub fn size(&self) -> u64 {
        2 * self.names.len() as u64
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// By name.
    pub fn children(&self) -> Vec<Child> {
        let mut all: Vec<Child> = (0..self.entries.len()).map(|at| self.child(at)).collect();
        all.sort_unstable();
        all
    }

    /// The names that were put there after a transaction.
    pub fn since(&self, since: u64) -> Vec<Child> {
        let new = |at: &usize| self.entries[*at].transid > since;
        (0..self.entries.len()).filter(new).map(|at| self.child(at)).collect()
    }

    /// The names that are not one and the same on both sides: those of `a`, those of `b`. The two are
    /// listings of one directory that was one until the transaction `since`.
    pub fn differing(a: &Listing, b: &Listing, since: u64) -> (Vec<Child>, Vec<Child>) {
        let (mut only_a, mut only_b) = (Vec::new(), Vec::new());
        let (mut at_a, mut at_b) = (0, 0);
        while at_a < a.entries.len() || at_b < b.entries.len() {
            let (in_a, in_b) = (a.entries.get(at_a), b.entries.get(at_b));
            let index = [in_a, in_b].into_iter().flatten().map(|entry| entry.index).min().unwrap_or_default();
            let here = |entry: &&Entry| entry.index == index;
            let (in_a, in_b) = (in_a.filter(here), in_b.filter(here));
            let is_one = [in_a, in_b].iter().all(|side| side.is_some_and(|entry| entry.transid <= since));
            if in_a.is_some() {
                if !is_one {
                    only_a.push(a.child(at_a));
                }
                at_a += 1;
            }
            if in_b.is_some() {
                if !is_one {
                    only_b.push(b.child(at_b));
                }
                at_b += 1;
            }
        }
        (only_a, only_b)
    }

    fn child(&self, at: usize) -> Child {
        let begin = if at == 0 { 0 } else { self.entries[at - 1].end };
        let Entry { inode, kind, end, .. } = self.entries[at];
        Child { name: self.names[begin..end].to_vec(), inode, kind }
    }
}
