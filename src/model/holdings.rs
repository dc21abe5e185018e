//! Which subvolumes hold which data extents. btrfs frees an extent whole, when nothing refers to any
//! part of it any more; so everything that can be asked about space (what is unique, what is shared,
//! what a deletion frees) follows from the set of holders of each extent. 200 points of one profile
//! hold almost the same extents: each extent is kept once, with the number of its set of holders, and
//! there are few different sets.

use std::collections::{BTreeSet, HashMap};

pub mod encoding;

/// One data extent on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// Where it lies: btrfs's logical address, in bytes; two extents never begin at one address.
    pub at: u64,
    /// Bytes on disk: after compression, with what no file refers to any more.
    pub length: u64,
}

/// What is known of one subvolume, and as of when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subvolume {
    pub id: u64,
    /// Ids may be given again after the newest subvolume is gone; these never.
    pub uuid: [u8; 16],
    /// Equal generations, equal content.
    pub generation: u64,
    /// Bytes of small files that lie in the metadata itself: in no extent, so in no sum of ours.
    pub inline: u64,
}

/// A set of subvolumes, by their place in [`Holdings::subvolumes`]: bit 0 of the first word is the
/// first. The last word is never 0, so equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holders(Vec<u64>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// None: a place that is free for the next one.
    subvolumes: Vec<Option<Subvolume>>,
    /// By address.
    extents: Vec<Held>,
    /// Each set once, and none that no extent has.
    sets: Vec<Holders>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    extent: Extent,
    /// Index in `sets`.
    set: u32,
}

impl Holdings {
    /// The subvolumes whose extents are known.
    pub fn subvolumes(&self) -> impl Iterator<Item = &Subvolume> {
        self.subvolumes.iter().flatten()
    }

    /// Adds a subvolume with its extents, in any order and named any number of times.
    pub fn hold(&mut self, subvolume: Subvolume, mut extents: Vec<Extent>) {
        self.release(&BTreeSet::from([subvolume.id]));
        extents.sort_unstable();
        extents.dedup_by_key(|extent| extent.at);
        let place = self.subvolumes.iter().position(Option::is_none).unwrap_or(self.subvolumes.len());
        if place == self.subvolumes.len() {
            self.subvolumes.push(None);
        }
        self.subvolumes[place] = Some(subvolume);
        self.mark(place, &extents);
    }

    fn mark(&mut self, place: usize, extents: &[Extent]) {
        let mut sets = Sets::new(std::mem::take(&mut self.sets));
        let alone = sets.number(Holders::default().with(place));
        let mut joined: Vec<Option<u32>> = vec![None; sets.list.len()]; // what became of the old ones
        let mut missing = Vec::new();
        let mut known = 0;
        for extent in extents {
            while self.extents.get(known).is_some_and(|held| held.extent.at < extent.at) {
                known += 1;
            }
            match self.extents.get_mut(known) {
                Some(held) if held.extent.at == extent.at => {
                    // The newest word counts: the extent may be another one at the same address.
                    held.extent = *extent;
                    let old = held.set as usize;
                    held.set = *joined[old].get_or_insert_with(|| {
                        let more = sets.list[old].clone().with(place);
                        sets.number(more)
                    });
                }
                _ => missing.push(Held { extent: *extent, set: alone }),
            }
        }
        self.sets = sets.list;
        if !missing.is_empty() {
            self.extents.extend(missing);
            self.extents.sort_by_key(|held| held.extent.at); // two sorted runs: one merge
        }
        self.take_away(&Holders::default());
    }

    /// Forgets these subvolumes, and the extents that only they held.
    pub fn release(&mut self, ids: &BTreeSet<u64>) {
        let mut gone = Holders::default();
        for (place, subvolume) in self.subvolumes.iter_mut().enumerate() {
            if subvolume.as_ref().is_some_and(|subvolume| ids.contains(&subvolume.id)) {
                *subvolume = None;
                gone = gone.with(place);
            }
        }
        if gone != Holders::default() {
            self.take_away(&gone);
        }
    }

    /// Out of every set, with the extents and the sets that are left over then.
    fn take_away(&mut self, gone: &Holders) {
        let mut used = vec![false; self.sets.len()];
        self.extents.iter().for_each(|held| used[held.set as usize] = true);
        let mut sets = Sets::new(Vec::new());
        let old = std::mem::take(&mut self.sets);
        let left: Vec<Option<u32>> = std::iter::zip(&old, used)
            .map(|(set, used)| used.then(|| set.without(gone)))
            .map(|set| set.filter(|set| !set.0.is_empty()).map(|set| sets.number(set)))
            .collect();
        self.extents.retain_mut(|held| {
            let set = left[held.set as usize];
            held.set = set.unwrap_or_default();
            set.is_some()
        });
        self.sets = sets.list;
    }

    /// The bytes each set of holders has between them.
    pub fn bytes_by_holders(&self) -> Vec<(&Holders, u64)> {
        let mut bytes = vec![0; self.sets.len()];
        for held in &self.extents {
            let sum: &mut u64 = &mut bytes[held.set as usize];
            *sum = sum.saturating_add(held.extent.length);
        }
        self.sets.iter().zip(bytes).collect()
    }

    /// These subvolumes as a set; what is not known holds nothing.
    pub fn group(&self, ids: &BTreeSet<u64>) -> Holders {
        let known = self.subvolumes.iter().enumerate();
        let places = known.filter(|(_, s)| s.as_ref().is_some_and(|s| ids.contains(&s.id)));
        places.fold(Holders::default(), |group, (place, _)| group.with(place))
    }
}

impl Holders {
    /// Has this set nothing that is not in the other?
    pub fn is_within(&self, other: &Holders) -> bool {
        let word = |at: usize| other.0.get(at).copied().unwrap_or(0);
        self.0.len() <= other.0.len() && self.0.iter().enumerate().all(|(at, mine)| mine & !word(at) == 0)
    }

    pub fn meets(&self, other: &Holders) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    fn with(mut self, place: usize) -> Holders {
        let words = place / 64 + 1;
        if self.0.len() < words {
            self.0.resize(words, 0);
        }
        self.0[place / 64] |= 1 << (place % 64);
        self
    }

    fn without(&self, others: &Holders) -> Holders {
        let theirs = others.0.iter().copied().chain(std::iter::repeat(0));
        let mut words: Vec<u64> = self.0.iter().zip(theirs).map(|(a, b)| a & !b).collect();
        while words.last() == Some(&0) {
            words.pop();
        }
        Holders(words)
    }
}

/// Sets and the number each has.
struct Sets {
    list: Vec<Holders>,
    numbers: HashMap<Holders, u32>,
}

impl Sets {
    fn new(list: Vec<Holders>) -> Sets {
        let numbers = list.iter().cloned().zip(0..).collect();
        Sets { list, numbers }
    }

    fn number(&mut self, set: Holders) -> u32 {
        let list = &mut self.list;
        *self.numbers.entry(set).or_insert_with_key(|set| {
            list.push(set.clone());
            list.len() as u32 - 1
        })
    }
}

#[cfg(test)]
mod tests;
