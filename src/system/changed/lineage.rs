//! When two states of a pool were last one: the transaction of the snapshot where their lines part.
//!
//! ```text
//! root 1 ──t10── point 3 ──t12── root 4 ──t20── point 7      parents by UUID, each with the
//!    └────t15── point 5                                      transaction it was snapshotted in
//! ```
//! Point 7 descends from root 1 as it was at t10, point 5 from root 1 as it was at t15: they were one
//! at t10. What both hold from then or before is the same in both, down to the inode number. A parent
//! that was deleted is still known by its UUID, but not its own parent: where the line is broken there
//! is no answer.

use std::collections::HashMap;

use super::items::Subvolume;
use crate::system::tree_search::{FIRST_FREE, Key, LAST_FREE, ROOT_ITEM, ROOT_TREE, Range, TreeSearch};

/// (a subvolume, the last transaction of it this state descends from), the state itself first.
fn line(of: u64, all: &HashMap<u64, Subvolume>) -> Vec<([u8; 16], u64)> {
    let by_uuid: HashMap<[u8; 16], &Subvolume> = all.values().map(|s| (s.uuid, s)).collect();
    let mut line = Vec::new();
    let mut here = all.get(&of);
    if let Some(first) = here {
        line.push((first.uuid, u64::MAX));
    }
    while let Some(subvolume) = here.filter(|s| s.parent != [0; 16] && line.len() <= all.len()) {
        line.push((subvolume.parent, subvolume.made_in));
        here = by_uuid.get(&subvolume.parent).copied();
    }
    line
}

/// The transaction up to which subvolumes `a` and `b` (by id) are one; None when that is not known.
pub fn common(search: &mut TreeSearch, a: u64, b: u64) -> std::io::Result<Option<u64>> {
    let all = subvolumes(search)?;
    let (a, b) = (line(a, &all), line(b, &all));
    let met = a.iter().find_map(|(uuid, at)| {
        let there = b.iter().find(|(other, _)| other == uuid)?;
        Some((*at).min(there.1))
    });
    Ok(met)
}

fn subvolumes(search: &mut TreeSearch) -> std::io::Result<HashMap<u64, Subvolume>> {
    let (first, last) = (Key::new(FIRST_FREE, ROOT_ITEM, 0), Key::new(LAST_FREE, ROOT_ITEM, u64::MAX));
    let mut found = HashMap::new();
    search.each(Range::between(ROOT_TREE, first, last), |item| {
        if item.key.kind == ROOT_ITEM {
            found.extend(Subvolume::parse(item.data).map(|subvolume| (item.key.object, subvolume)));
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(a: u64, b: u64, gone: &[u64]) -> Option<u64> {
        // id, parent, made in: the picture above, and a subvolume of its own
        let rows = [(1, 0, 5), (3, 1, 10), (4, 3, 12), (5, 1, 15), (7, 4, 20), (9, 0, 3)];
        let uuid = |n: u64| {
            let mut uuid = [0; 16];
            uuid[0] = n as u8;
            uuid
        };
        let there = rows.iter().filter(|row| !gone.contains(&row.0));
        let all: HashMap<u64, Subvolume> = there
            .map(|(id, parent, made)| {
                (*id, Subvolume { uuid: uuid(*id), parent: uuid(*parent), made_in: *made })
            })
            .collect();
        let (a, b) = (line(a, &all), line(b, &all));
        a.iter().find_map(|(u, at)| Some((*at).min(b.iter().find(|(o, _)| o == u)?.1)))
    }

    #[test]
    fn lines_meet_where_they_part() {
        assert_eq!(meet(3, 5, &[]), Some(10), "two points of one root: the earlier");
        assert_eq!(meet(5, 3, &[]), Some(10));
        assert_eq!(meet(3, 1, &[]), Some(10), "a point and the live root");
        assert_eq!(meet(3, 7, &[]), Some(12), "a point and what came from it");
        assert_eq!(meet(5, 7, &[]), Some(10), "across the point in between");
        assert_eq!(meet(7, 7, &[]), Some(u64::MAX), "itself");
        assert_eq!(meet(5, 9, &[]), None);
        // A deleted subvolume is known as a parent, but not where it came from.
        assert_eq!(meet(3, 5, &[1]), Some(10));
        assert_eq!(meet(5, 7, &[4]), None);
    }
}
