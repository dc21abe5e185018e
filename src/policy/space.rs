//! Space: what is unique to some subvolumes, what they share with others, and what deleting them frees.
//! Only data extents count. What deleting a set frees is more than the sum of what is unique to each:
//! an extent that only two points hold is unique to neither, and goes when both go.

use std::collections::BTreeSet;

use crate::model::holdings::{Holders, Holdings};

/// In bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Held by nothing else: freed when all of it is deleted together.
    pub unique: u64,
    /// Held by something else too.
    pub shared: u64,
}

impl Sizes {
    pub fn total(self) -> u64 {
        self.unique + self.shared
    }
}

/// The holdings, summed up once, to be asked many times.
pub struct Space<'a> {
    holdings: &'a Holdings,
    bytes: Vec<(&'a Holders, u64)>,
}

impl<'a> Space<'a> {
    pub fn new(holdings: &'a Holdings) -> Space<'a> {
        Space { holdings, bytes: holdings.bytes_by_holders() }
    }

    /// Of some subvolumes taken together, by their ids.
    pub fn of(&self, subvolumes: &BTreeSet<u64>) -> Sizes {
        let group = self.holdings.group(subvolumes);
        let mut sizes = Sizes::default();
        for (holders, bytes) in &self.bytes {
            if holders.is_within(&group) {
                sizes.unique += bytes;
            } else if holders.meets(&group) {
                sizes.shared += bytes;
            }
        }
        sizes
    }

    /// The bytes of data that are free again when exactly these subvolumes are deleted.
    pub fn freed_by(&self, subvolumes: &BTreeSet<u64>) -> u64 {
        self.of(subvolumes).unique
    }

    /// Everything any subvolume holds.
    pub fn held(&self) -> u64 {
        self.bytes.iter().map(|(_, bytes)| bytes).sum()
    }
}
