//! Between which two states an entry's change is to be seen. A point is the state BEFORE its entry, so
//! what an entry did lies between its own point and the next state of the same root that is kept: the
//! point of a later entry, or the root itself. Where entries lie in between whose points are gone, their
//! changes are mixed in, and the person is told which.
//!
//! ```text
//!  root 41:  ──57──────58──────59──────60──── now      57 changed: from point 57 to point 58
//!   points     57      -       59      -               58 is not to be told: its point is gone
//!                                                      59 changed: to root 41, with 60 mixed in
//! ```

use std::collections::BTreeSet;

use super::descent::{History, changes};
use super::undo::went_with;
use crate::model::{Entry, EntryNumber, Kind, State};

/// A state that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The state before this entry.
    Point(EntryNumber),
    /// A root as it is now.
    Root(EntryNumber),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Kept,
    pub to: Kept,
    /// Entries whose changes are seen with this one's, ascending.
    pub mixed: Vec<EntryNumber>,
}

/// The span of one entry; None when a state it needs is not kept, or when it changed no root.
pub fn of_entry(
    history: &History<'_>,
    points: &BTreeSet<EntryNumber>,
    roots: &BTreeSet<EntryNumber>,
    number: EntryNumber,
) -> Option<Span> {
    let entry = history.get(number)?;
    let root = entry.root?;
    match &entry.kind {
        // What was left is the end of its root: the change is what came after the undo.
        Kind::Left => {
            let undo = went_with(history.entries(), entry).map(|(since, _)| since);
            let since = undo.filter(|since| points.contains(since));
            let from = since.or_else(|| last(history, points, root, number))?;
            let to = points.contains(&number).then_some(Kept::Point(number))?;
            Some(Span { from: Kept::Point(from), to, mixed: Vec::new() })
        }
        Kind::Undo | Kind::Redo | Kind::Reset | Kind::Rebase | Kind::Repair => {
            let from = points.contains(&number).then_some(Kept::Point(number))?;
            let made = || first_state(history, points, roots, number, number);
            let to = entry.target.filter(|t| points.contains(t)).map(Kept::Point).or_else(made)?;
            let until = if let Kept::Point(point) = to { point } else { LAST };
            let mixed = if to == Kept::Root(number) || Some(until) != entry.target {
                mixed(history, number, number, until, number)
            } else {
                Vec::new()
            };
            Some(Span { from, to, mixed })
        }
        Kind::Create | Kind::Clone | Kind::Delete | Kind::Undelete => None,
        _ => {
            let from = points.contains(&number).then_some(Kept::Point(number))?;
            let to = first_state(history, points, roots, root, number)?;
            let until = if let Kept::Point(point) = to { point } else { LAST };
            Some(Span { from, to, mixed: mixed(history, root, number, until, number) })
        }
    }
}

/// The first kept state of a root after an entry.
fn first_state(
    history: &History<'_>,
    points: &BTreeSet<EntryNumber>,
    roots: &BTreeSet<EntryNumber>,
    root: EntryNumber,
    after: EntryNumber,
) -> Option<Kept> {
    let of_root = |n: &&EntryNumber| history.get(**n).is_some_and(|e| e.root == Some(root));
    let next = points.range(after.next()..).find(of_root).map(|n| Kept::Point(*n));
    next.or_else(|| roots.contains(&root).then_some(Kept::Root(root)))
}

/// The last kept point of a root before an entry.
fn last(
    history: &History<'_>,
    points: &BTreeSet<EntryNumber>,
    root: EntryNumber,
    before: EntryNumber,
) -> Option<EntryNumber> {
    let of_root = |n: &&EntryNumber| history.get(**n).is_some_and(|e| e.root == Some(root));
    points.range(..before).rev().find(of_root).copied()
}

/// Changes in a root from `from` (itself among them) to before `to`, without the one that is shown.
fn mixed(
    history: &History<'_>,
    root: EntryNumber,
    from: EntryNumber,
    to: EntryNumber,
    shown: EntryNumber,
) -> Vec<EntryNumber> {
    let inside = |e: &&Entry| e.root == Some(root) && e.number >= from && e.number < to;
    let counts = |e: &&Entry| changes(e) && e.state != State::Cancelled && e.number != shown;
    history.entries().iter().filter(inside).filter(counts).map(|e| e.number).collect()
}

/// Above every entry there is.
const LAST: EntryNumber = EntryNumber::LAST;

#[cfg(test)]
mod tests {
    use super::super::descent::tests::{history, number};
    use super::*;

    /// `57>58 +59`: from point 57 to point 58, with 59 mixed in; `r41` is root 41.
    fn span(text: &str, points: &[u64], roots: &[u64], of: u64) -> String {
        let entries = history(text);
        let set = |numbers: &[u64]| numbers.iter().map(|n| number(*n)).collect();
        let Some(span) = of_entry(&History::new(&entries), &set(points), &set(roots), number(of)) else {
            return "-".into();
        };
        let kept = |kept| match kept {
            Kept::Point(n) => n.to_string(),
            Kept::Root(n) => format!("r{n}"),
        };
        let mixed: String = span.mixed.iter().map(|n| format!(" +{n}")).collect();
        format!("{}>{}{mixed}", kept(span.from), kept(span.to))
    }

    #[test]
    fn from_its_point_to_the_next_state_that_is_kept() {
        let line = "1 create, 2 apt @1, 3 set @1, 4 apt @1";
        assert_eq!(span(line, &[2, 3, 4], &[1], 2), "2>3");
        assert_eq!(span(line, &[2, 3, 4], &[1], 4), "4>r1");
        assert_eq!(span(line, &[2, 4], &[1], 2), "2>4 +3");
        assert_eq!(span(line, &[2], &[1], 2), "2>r1 +3 +4");
        assert_eq!(span(line, &[3, 4], &[1], 2), "-", "its own point is gone");
        assert_eq!(span(line, &[4], &[], 4), "-", "the root is gone and nothing came after");
        assert_eq!(span(line, &[2, 3, 4], &[1], 1), "-", "a profile that was made");
    }

    #[test]
    fn the_point_of_an_undo_is_the_end_of_the_root_it_left() {
        let line = "1 create, 2 apt @1, 3 undo>2 @1, 4 apt @3, 5 apt @1";
        assert_eq!(span(line, &[2, 3, 4, 5], &[3], 2), "2>3", "not 4, which is of another root");
        assert_eq!(span(line, &[2, 3, 4, 5], &[3], 3), "3>2", "it brought that state back");
        assert_eq!(span(line, &[3, 4, 5], &[3], 3), "3>4", "else the first one of the root it made");
        assert_eq!(span(line, &[3], &[3], 3), "3>r3 +4");
        assert_eq!(span(line, &[2, 3, 4, 5], &[3], 5), "-");
        let reset = "1 create, 2 apt @1, 3 reset @1, 4 apt @3";
        assert_eq!(span(reset, &[2, 3, 4], &[3], 2), "2>3");
        assert_eq!(span(reset, &[2, 3, 4], &[3], 3), "3>4");
        assert_eq!(span(reset, &[2, 3], &[3], 3), "3>r3 +4");
    }

    #[test]
    fn what_was_left_is_what_came_after_the_undo() {
        let line = "1 create, 2 apt @1, 3 undo>2 @1, 4 apt @1, 5 left @1";
        assert_eq!(span(line, &[2, 3, 4, 5], &[3], 5), "3>5", "4 went with it");
        assert_eq!(span(line, &[2, 4, 5], &[3], 5), "4>5");
        assert_eq!(span(line, &[5], &[3], 5), "-");
    }

    #[test]
    fn a_cancelled_entry_is_not_mixed_in() {
        assert_eq!(span("1 create, 2 apt @1, 3 apt @1 cancelled", &[2], &[1], 2), "2>r1");
    }
}
