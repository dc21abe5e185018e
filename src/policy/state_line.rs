//! Which state/ belongs to which root. Undo leaves state/ alone, so a root nearly always lives with the
//! state/ of the root it replaced. Only where a reset began it anew (--wipe) is there more than one, and
//! then who goes back over that reset, or forward again, gets the state/ that was there, whole.
//!
//! ```text
//!  1 create   2 apt @1   3 reset --wipe @1   4 apt @3   5 undo to before 3 @3
//!  roots 1: state of 1   3: of 3             before 5: of 3, kept as 5.state
//!                                            5: of 1 again, from 3.state
//! ```

use super::descent::History;
use crate::model::state_change::StateChange;
use crate::model::{Entry, EntryNumber, Kind, State};

/// The root that the state/ of a root began with. None where the journal lost a page.
pub fn began_with(history: &History<'_>, root: EntryNumber) -> Option<EntryNumber> {
    let mut root = root;
    loop {
        let maker = history.maker(root)?;
        let before = match (StateChange::of(maker), &maker.kind) {
            (Some(StateChange::From(copy)), _) => history.get(copy)?.root?,
            (Some(StateChange::Fresh), _) | (None, Kind::Create | Kind::Clone) => return Some(root),
            (None, _) => maker.root?,
        };
        root = (before < root).then_some(before)?;
    }
}

/// The entry whose copy of state/ must come back when `leaves` is left for the state before `target`;
/// None: state/ stays as it is. `copied`: is there a copy beside this entry's point?
pub fn comes_back(
    history: &History<'_>,
    leaves: EntryNumber,
    target: EntryNumber,
    copied: impl Fn(EntryNumber) -> bool,
) -> Option<EntryNumber> {
    let wanted = began_with(history, history.get(target)?.root?)?;
    if began_with(history, leaves)? == wanted {
        return None;
    }
    let has_it = |e: &&Entry| {
        StateChange::of(e).is_some()
            && e.state != State::Cancelled
            && e.root.and_then(|root| began_with(history, root)) == Some(wanted)
            && copied(e.number)
    };
    history.entries().iter().rev().find(has_it).map(|e| e.number)
}

#[cfg(test)]
mod tests {
    use super::super::descent::tests::{history, number};
    use super::*;

    /// `changes`: (entry, 0 for fresh or the entry whose copy it took).
    fn back(text: &str, changes: &[(u64, u64)], leaves: u64, target: u64) -> Option<u64> {
        let mut entries = history(text);
        for (at, from) in changes {
            let change = if *from == 0 { StateChange::Fresh } else { StateChange::From(number(*from)) };
            change.note_in(entries.iter_mut().find(|e| e.number == number(*at)).unwrap());
        }
        let history = History::new(&entries);
        comes_back(&history, number(leaves), number(target), |n| n != number(99)).map(|n| n.get())
    }

    #[test]
    fn the_state_that_belonged_to_it() {
        let wiped = "1 create, 2 apt @1, 3 reset @1, 4 apt @3";
        assert_eq!(back(wiped, &[(3, 0)], 3, 3), Some(3));
        assert_eq!(back(wiped, &[(3, 0)], 3, 2), Some(3), "further back too");
        assert_eq!(back(wiped, &[(3, 0)], 3, 4), None, "it is that of the root");
        assert_eq!(back(wiped, &[], 3, 3), None, "without --wipe it was never another");
        let undone = "1 create, 2 apt @1, 3 reset @1, 4 apt @3, 5 undo>3 @3, 6 apt @5";
        assert_eq!(back(undone, &[(3, 0), (5, 3)], 5, 5), Some(5), "redo");
        assert_eq!(back(undone, &[(3, 0), (5, 3)], 5, 2), None);
        let twice = "1 create, 2 reset @1, 3 apt @2, 4 reset @2, 5 apt @4";
        assert_eq!(back(twice, &[(2, 0), (4, 0)], 4, 3), Some(4));
        assert_eq!(back(twice, &[(2, 0), (4, 0)], 4, 2), Some(2));
        assert_eq!(back(twice, &[(2, 0)], 4, 2), Some(2), "the second reset left it alone");
        // What is lost is not guessed.
        assert_eq!(back("2 apt @1, 3 reset @1, 4 apt @3", &[(3, 0)], 3, 3), None);
        assert_eq!(back("1 create, 3 reset @1 cancelled, 4 apt @3", &[(3, 0)], 3, 3), None);
    }
}
