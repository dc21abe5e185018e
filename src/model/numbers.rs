//! Numbers of accounts that become others: of an upper in a rebase, and of state/ when the root that uses it
//! next has its accounts under other numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EntryNumber;

/// What each number becomes; those that stay are not in it. All at once: a number may be taken from one
/// account and given to another in the same map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    pub users: BTreeMap<u32, u32>,
    pub groups: BTreeMap<u32, u32>,
}

impl Numbers {
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    pub fn user(&self, number: u32) -> u32 {
        self.users.get(&number).copied().unwrap_or(number)
    }

    pub fn group(&self, number: u32) -> u32 {
        self.groups.get(&number).copied().unwrap_or(number)
    }

    /// An ACL with its numbers given anew (acl(5); linux/posix_acl_xattr.h: a version, then entries of tag,
    /// permissions and id, little-endian). None: nothing of it changes.
    pub fn acl(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut acl = value.to_vec();
        for entry in acl.get_mut(4..)?.chunks_exact_mut(8) {
            let number = u32::from_le_bytes(entry[4..8].try_into().ok()?);
            let given = match u16::from_le_bytes([entry[0], entry[1]]) {
                0x02 => self.user(number),
                0x08 => self.group(number),
                _ => continue,
            };
            entry[4..8].copy_from_slice(&given.to_le_bytes());
        }
        (acl != value).then_some(acl)
    }
}

/// Is it the name of an attribute that [`Numbers::acl`] is about?
pub fn is_acl(name: &[u8]) -> bool {
    name.starts_with(b"system.posix_acl_")
}

/// Whose numbers a state/ bears: the accounts of the root that used it last, and the base below that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bearers {
    /// e.g. `13.2`
    pub base: String,
    pub users: BTreeMap<String, u32>,
    pub groups: BTreeMap<String, u32>,
    /// The rebase whose changes of state/ were merged into it last (`system/state/made.rs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<EntryNumber>,
}

impl Bearers {
    /// What becomes of the numbers when other accounts use it: by name. A name that is gone keeps its number.
    pub fn numbers(&self, now: &Bearers) -> Numbers {
        let map = |was: &BTreeMap<String, u32>, is: &BTreeMap<String, u32>| {
            let changed = was.iter().filter_map(|(name, old)| Some((*old, *is.get(name)?)));
            changed.filter(|(old, new)| old != new).collect()
        };
        Numbers { users: map(&self.users, &now.users), groups: map(&self.groups, &now.groups) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearers(base: &str, users: &[(&str, u32)]) -> Bearers {
        let users = users.iter().map(|(name, number)| (name.to_string(), *number)).collect();
        Bearers { base: base.into(), users, ..Bearers::default() }
    }

    #[test]
    fn numbers_change_places_by_name() {
        let old = bearers("1", &[("bus", 100), ("mine", 997), ("same", 5), ("gone", 7)]);
        let new = bearers("2", &[("bus", 997), ("mine", 991), ("same", 5), ("new", 100)]);
        let there = old.numbers(&new);
        assert_eq!((there.user(100), there.user(997), there.user(5), there.user(7)), (997, 991, 5, 7));
        let back = new.numbers(&old);
        for number in [100, 997, 5] {
            assert_eq!(back.user(there.user(number)), number);
        }
        assert!(old.numbers(&old).is_empty());
    }

    #[test]
    fn an_acl_names_them_too() {
        let numbers = Numbers { users: [(100, 997)].into(), groups: [(5, 6)].into() };
        let entry = |tag: u16, id: u32| {
            let mut bytes = tag.to_le_bytes().to_vec();
            bytes.extend([7, 0]);
            bytes.extend(id.to_le_bytes());
            bytes
        };
        let acl = |ids: [u32; 4]| {
            let entries =
                [entry(0x01, ids[0]), entry(0x02, ids[1]), entry(0x08, ids[2]), entry(0x20, ids[3])];
            [vec![2, 0, 0, 0], entries.concat()].concat()
        };
        let nobody = u32::MAX;
        assert_eq!(numbers.acl(&acl([nobody, 100, 5, nobody])), Some(acl([nobody, 997, 6, nobody])));
        assert_eq!(numbers.acl(&acl([100, 5, 100, 100])), None);
        assert_eq!(numbers.acl(b""), None);
    }
}
