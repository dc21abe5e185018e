//! Records of three sides, merged by their names.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::error::Result;
use crate::policy::check::Look;
use crate::policy::compare::{Change, change};

use super::draft::{Decision, Draft};

/// Whose record it is where both changed it differently.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Both {
    Mine,
    Theirs,
}

pub fn merge<K: Ord + Clone, V: PartialEq + Clone>(
    old: &BTreeMap<K, V>,
    mine: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    both: Both,
) -> BTreeMap<K, V> {
    let names: BTreeSet<&K> = mine.keys().chain(new.keys()).collect();
    let merged = names.into_iter().filter_map(|name| {
        let [o, m, n] = [old, mine, new].map(|side| side.get(name));
        let wins = match change(o, m, n) {
            Change::Mine => m,
            Change::Conflict if both == Both::Mine => m.or(n),
            Change::Conflict => n.or(m),
            Change::Neither | Change::Theirs | Change::Agreed => n,
        };
        wins.map(|value| (name.clone(), value.clone()))
    });
    merged.collect()
}

/// The file with what was merged: the upper's or the candidate's where one of them says the same.
pub fn put<T: PartialEq>(
    look: &Look,
    draft: &mut Draft,
    path: &str,
    merged: (&T, impl FnOnce() -> Vec<u8>),
    [mine, new]: [&T; 2],
) -> Result<()> {
    let (value, text) = merged;
    let path = path.as_bytes();
    let in_the_upper = look.triple(path).is_some();
    let is_there = look.triple(path).is_some_and(|triple| triple.mine.is_some());
    let candidate_has_it = look.trees.new.find(path)?.is_some();
    let decision = match () {
        () if value == new && candidate_has_it && !in_the_upper => return Ok(()),
        () if value == new && candidate_has_it => Decision::Drop,
        () if value == mine && is_there => Decision::Keep,
        () if value == new && value == mine => return Ok(()), // nobody has such a file
        () => Decision::Write(text(), None),
    };
    draft.decide(path, decision);
    Ok(())
}
