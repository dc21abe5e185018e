//! Going back, going forward again, and dropping what waits: which point a new root is made from.
//! Nothing is moved back in place. Undo is an entry like any other: it takes the point of the state it
//! leaves, makes a new root from an older point, and turns `current` to it. So an undo can be taken
//! back, and the old root keeps its name while it is in use.
//!
//! ```text
//!  entry               its own point   root made   holds     root 1 --2--3     left at point 4
//!  4 undo, target 3    root 1: 2 3     from 3      2         root 4 --2        left at point 5
//!  5 undo, target 2    root 4: 2       from 2      -         root 5 --         left at point 6
//!  6 redo, target 5    root 5: -       from 5      2         root 6 --2        left at point 7
//!  7 redo, target 4    root 6: 2       from 4      2 3       root 7 --2--3     current
//! ```
//!
//! *Last* is the newest change in the line of descent of `current`; what was taken back is no longer
//! in that line, so calling it again goes further back, with no marks kept anywhere. *Redo* returns to
//! the state before the undo that made this root; through a redo it looks at the root that redo
//! returned to, and any change made on the way ends it, as it would in an editor.
//!
//! While a root waits for its boot, the machine still runs the old one. Then "now" has two meanings:
//! `current` is the state to go on from, and the root in use is the one that is left.

use std::collections::BTreeSet;

use super::descent::{History, Stretch, changes};
use super::repair;
use crate::model::{Entry, EntryNumber, Error, Kind, ProfileId, Result, State};

pub struct Facts<'a> {
    pub profile: &'a ProfileId,
    /// Of this profile, ascending. What recover would close is expected to be closed in them.
    pub entries: &'a [Entry],
    /// The root behind `current`: the next boot mounts it.
    pub current: EntryNumber,
    /// The root that is mounted and in use now.
    pub in_use: Option<EntryNumber>,
    /// The points that exist.
    pub points: &'a BTreeSet<EntryNumber>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Last,
    /// The state before this entry.
    To(EntryNumber),
    /// The point of an entry that is lost: it is there, and that is all that is known of it.
    Point(EntryNumber),
    Redo,
    Cancel,
}

#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    Stage {
        /// Undo or redo.
        kind: Kind,
        /// The new root is made from `snapshots/<target>`.
        target: EntryNumber,
        /// The root whose state becomes this entry's own point, and the entry's `root`.
        leaves: EntryNumber,
        /// Changes in `current` that will not be in the new root, newest first.
        takes_back: Vec<EntryNumber>,
        /// Changes that are not in `current` and will be in the new root, newest first.
        brings_back: Vec<EntryNumber>,
        /// The waiting entry this one replaces. Its root goes only after the new one is made.
        cancels: Option<EntryNumber>,
        /// The root it leaves is in use: the new one waits for a boot.
        waits: bool,
    },
    /// A new root from the profile's pristine state.
    Reset {
        leaves: EntryNumber,
        /// Changes in `current` that will not be in the new root, newest first.
        takes_back: Vec<EntryNumber>,
        /// state/ begins anew too.
        wipes: bool,
        waits: bool,
    },
    /// The pointer goes back to the root in use; `entry` becomes cancelled.
    Cancel { entry: EntryNumber, back_to: EntryNumber },
}

impl Plan {
    /// The new state is the one before this entry.
    pub fn target(&self) -> Option<EntryNumber> {
        match self {
            Plan::Stage { target, .. } => Some(*target),
            Plan::Reset { .. } | Plan::Cancel { .. } => None,
        }
    }

    /// The root whose state becomes this entry's own point; None where no root is made.
    pub fn leaves(&self) -> Option<EntryNumber> {
        match self {
            Plan::Stage { leaves, .. } | Plan::Reset { leaves, .. } => Some(*leaves),
            Plan::Cancel { .. } => None,
        }
    }
}

pub fn plan(facts: &Facts<'_>, ask: Ask) -> Result<Plan> {
    let history = History::new(facts.entries);
    match ask {
        Ask::Last => Ok(stage(facts, history, last(facts, history)?, None)),
        Ask::To(number) => Ok(stage(facts, history, named(facts, history, number)?, None)),
        Ask::Point(number) => Ok(stage(facts, history, kept(facts, number)?, Some(Kind::Undo))),
        Ask::Redo if redo_is_cancel(facts, history) => cancel(facts),
        Ask::Redo => Ok(stage(facts, history, redo(facts, history)?, Some(Kind::Redo))),
        Ask::Cancel => cancel(facts),
    }
}

/// Back to pristine. Refused while a root waits: what is in use then is not what would be reset.
pub fn reset(facts: &Facts<'_>, wipes: bool) -> Result<Plan> {
    if let Some(entry) = waiting(facts) {
        return Err(Error::Waits { profile: facts.profile.clone(), entry, what: "a reset".into() });
    }
    let history = History::new(facts.entries);
    let line: Vec<&Entry> = history.line(facts.current).into_iter().filter(|e| changes(e)).collect();
    if let Some(open) = line.iter().find(|e| e.is_open()) {
        return Err(Error::Busy { what: format!("entry {}", open.number) });
    }
    Ok(Plan::Reset {
        leaves: facts.current,
        takes_back: line.iter().map(|e| e.number).collect(),
        wipes,
        waits: facts.in_use.is_some(),
    })
}

/// The root that waits for its boot: another one is in use.
pub fn waiting(facts: &Facts<'_>) -> Option<EntryNumber> {
    facts.in_use.filter(|in_use| *in_use != facts.current).map(|_| facts.current)
}

/// Changes made in the root in use after the waiting one was staged, newest first: no point holds
/// them yet, and they go with that root unless they are kept first.
pub fn left_behind(facts: &Facts<'_>) -> Vec<EntryNumber> {
    let (Some(waiting), Some(root)) = (waiting(facts), facts.in_use) else { return Vec::new() };
    let made_there = History::new(facts.entries).changes_in(Stretch { root, below: None });
    made_there.map(|e| e.number).take_while(|number| *number > waiting).collect()
}

/// What a root that was left had in it after the undo that left it: that undo, and the changes since,
/// newest first. `left`: the entry that kept it.
pub fn went_with(entries: &[Entry], left: &Entry) -> Option<(EntryNumber, Vec<EntryNumber>)> {
    let history = History::new(entries);
    let of_root = |e: &&Entry| e.root.is_some() && e.root == left.root && e.number < left.number;
    let left_it = |e: &&Entry| e.kind.leaves_its_root();
    let since = entries.iter().rev().filter(of_root).find(left_it)?.number;
    let stretch = Stretch { root: left.root?, below: Some(left.number) };
    let changes = history.changes_in(stretch).map(|e| e.number).take_while(|number| *number > since);
    Some((since, changes.collect()))
}

/// The newest change of the line that a plain undo takes back. A run that never had a point is passed
/// over (and taken back with the one before it); one whose point went is not: the person must choose.
/// A repair goes together with the run that was cut before it; alone, by its number.
fn last(facts: &Facts<'_>, history: History<'_>) -> Result<EntryNumber> {
    let offered = |e: &&Entry| {
        let ended = !matches!(e.state, State::Open | State::Cancelled);
        e.kind.is_change() && ended && (e.point || facts.points.contains(&e.number))
    };
    let open = |e: &&Entry| e.kind.is_change() && e.is_open();
    let line: Vec<&Entry> = history.line(facts.current).into_iter().filter(|e| changes(e)).collect();
    let newest = line.iter().position(|e| offered(e) || open(e));
    let at = newest.ok_or_else(|| Error::NothingToUndo { profile: facts.profile.clone() })?;
    if line[at].is_open() {
        // Passing over it would take back more than the last change.
        return Err(Error::Busy { what: format!("entry {}", line[at].number) });
    }
    let newest = kept(facts, line[at].number)?;
    let cut = line[at + repair::one_step(&line[at..]) - 1].number;
    Ok(if facts.points.contains(&cut) { cut } else { newest })
}

/// The repairs that a plan takes back together with the run that was cut before them, newest first.
pub fn repairs(facts: &Facts<'_>, plan: &Plan) -> Vec<EntryNumber> {
    let Plan::Stage { kind: Kind::Undo, target, takes_back, .. } = plan else { return Vec::new() };
    let history = History::new(facts.entries);
    let taken: Vec<&Entry> = takes_back.iter().filter_map(|number| history.get(*number)).collect();
    let one_step = taken.len() > 1 && repair::one_step(&taken) == taken.len();
    let whole = one_step && taken.last().is_some_and(|cut| cut.number == *target);
    takes_back[..if whole { takes_back.len() - 1 } else { 0 }].to_vec()
}

/// By number, the person may also leave the line: the states before an undo or a redo, what was left
/// behind and what was saved by hand are returned to by their own number. Other entries beside the line
/// are refused: the same states are reached by the undo that left them, and that is what the list shows.
fn named(facts: &Facts<'_>, history: History<'_>, number: EntryNumber) -> Result<EntryNumber> {
    let entry = history.get(number).ok_or(Error::NoSuchEntry { number })?;
    if entry.is_open() {
        return Err(Error::Busy { what: format!("entry {number}") });
    }
    if entry.kind == Kind::Cancel {
        return Err(Error::NoStateBefore { number });
    }
    kept(facts, number)?;
    let reachable = entry.kind.is_destination() && history.before(number).is_some();
    if reachable || history.contains(facts.current, number) {
        return Ok(number);
    }
    Err(Error::NotInLine { number, profile: facts.profile.clone() })
}

/// The undo to return before, found down the roots that redo returned to.
fn redo(facts: &Facts<'_>, history: History<'_>) -> Result<EntryNumber> {
    let mut newer = None;
    for stretch in history.descent(facts.current) {
        newer = newer.or_else(|| history.changes_in(stretch).next().map(|e| e.number));
        match history.maker(stretch.root).map(|maker| &maker.kind) {
            Some(Kind::Undo) if newer.is_none() => return kept(facts, stretch.root),
            Some(Kind::Redo | Kind::Other(_)) => continue,
            Some(Kind::Undo | Kind::Reset | Kind::Rebase | Kind::Repair) => break,
            _ => newer = None, // no undo to return before: nothing stands in the way of one
        }
    }
    Err(Error::NothingToRedo { profile: facts.profile.clone(), newer })
}

/// Taking a waiting undo back is forgetting it. A waiting redo is not: redo goes further forward. A
/// reset or a rebase that waits is no undo: there is nothing to redo.
fn redo_is_cancel(facts: &Facts<'_>, history: History<'_>) -> bool {
    let other = |maker: &Entry| matches!(maker.kind, Kind::Redo | Kind::Reset) || maker.kind.remakes_root();
    waiting(facts).is_some_and(|root| !history.maker(root).is_some_and(other))
}

fn cancel(facts: &Facts<'_>) -> Result<Plan> {
    match (waiting(facts), facts.in_use) {
        (Some(entry), Some(back_to)) => Ok(Plan::Cancel { entry, back_to }),
        _ => Err(Error::NothingToCancel { profile: facts.profile.clone() }),
    }
}

/// Without a kind it is a redo if it only brings back, else an undo: after an undo, `--redo` returns
/// to exactly the state that was left, which is what whoever lost something by it will want.
fn stage(facts: &Facts<'_>, history: History<'_>, target: EntryNumber, kind: Option<Kind>) -> Plan {
    let numbers = |line: Vec<&Entry>| -> Vec<EntryNumber> {
        line.into_iter().filter(|e| changes(e)).map(|e| e.number).collect()
    };
    let now = numbers(history.line(facts.current));
    let then = numbers(history.line_before(target));
    let takes_back = without(&now, &then);
    let brings_back = without(&then, &now);
    let only_brings = takes_back.is_empty() && !brings_back.is_empty();
    let leaves = facts.in_use.unwrap_or(facts.current);
    let lived_in = |root| facts.entries.iter().any(|e| e.root == Some(root));
    Plan::Stage {
        kind: kind.unwrap_or(if only_brings { Kind::Redo } else { Kind::Undo }),
        target,
        leaves,
        takes_back,
        brings_back,
        // A root that things happened in was booted before (this is a fallback): it stays as it was.
        cancels: waiting(facts).filter(|root| !lived_in(*root)),
        waits: facts.in_use.is_some(),
    }
}

fn kept(facts: &Facts<'_>, number: EntryNumber) -> Result<EntryNumber> {
    if facts.points.contains(&number) { Ok(number) } else { Err(Error::PointMissing { number }) }
}

fn without(these: &[EntryNumber], those: &[EntryNumber]) -> Vec<EntryNumber> {
    let those: BTreeSet<_> = those.iter().collect();
    these.iter().filter(|number| !those.contains(number)).copied().collect()
}

#[cfg(test)]
mod tests;
