//! May a machine start from this state once more? Every state that is not the one that came up last is on trial:
//! nothing has to be armed by whoever changes something.
//!
//! ```text
//!  good 41/57, then a package run 60: 41/60 is on trial      start 1, 2, 3: not confirmed
//!  start 4: back to the state before 60 (an undo, 61)        61/61 is on trial
//!  confirmed: good is 61/61;  not confirmed three times: given up, the default profile or a base alone
//! ```

use crate::model::EntryNumber;
use crate::model::trial::{StateMark, TRIES, Trial};

use super::descent::{History, Stretch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It came up before.
    Good,
    /// It is tried; so many starts there were, this one included.
    Try(u32),
    /// Its tries are spent: back to the state before this entry.
    GoBack(EntryNumber),
    /// Its tries are spent, and it is what its profile fell back to.
    GiveUp,
}

/// The state of a root that is about to be started.
pub fn state(history: &History<'_>, root: EntryNumber) -> StateMark {
    let newest = history.changes_in(Stretch { root, below: None }).next();
    StateMark { root, entry: newest.map_or(root, |e| e.number.max(root)) }
}

/// The oldest point above the good entry, of the root it is in: it is the good state, because `current` was that
/// root until then.
pub fn way_back(
    history: &History<'_>,
    points: impl IntoIterator<Item = EntryNumber>,
    good: StateMark,
) -> Option<EntryNumber> {
    let of_root = |number: EntryNumber| history.get(number).is_some_and(|e| e.root == Some(good.root));
    points.into_iter().filter(|number| *number > good.entry && of_root(*number)).min()
}

pub fn judge(trial: &Trial, state: StateMark, way_back: Option<EntryNumber>) -> Start {
    if trial.good == Some(state) {
        return Start::Good;
    }
    let starts = trial.starts_of(state);
    match way_back {
        _ if starts < TRIES => Start::Try(starts + 1),
        _ if trial.fallback == Some(state.root) => Start::GiveUp,
        Some(number) => Start::GoBack(number),
        // It may be the power, or that nobody waits for the confirmation: a base in memory would be no help.
        None => Start::Try(starts + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::descent::tests::{history, number};
    use super::*;

    fn mark(root: u64, entry: u64) -> StateMark {
        StateMark { root: number(root), entry: number(entry) }
    }

    #[test]
    fn a_state_is_a_root_and_its_last_change() {
        for (text, root, entry) in [
            ("1 create", 1, 1),
            ("1 create, 2 apt @1", 1, 2),
            ("1 create, 2 apt @1 failed, 3 apt @1 cancelled", 1, 2),
            ("1 create, 2 apt @1, 3 undo>2 @1", 3, 3),
            ("1 create, 2 apt @1, 3 undo>2 @1, 4 apt @3", 3, 4),
        ] {
            let entries = history(text);
            assert_eq!(state(&History::new(&entries), number(root)), mark(root, entry), "{text}");
        }
    }

    #[test]
    fn the_way_back_is_the_oldest_point_above_in_that_root() {
        let entries = history("1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 apt @4");
        let from = |points: &[u64], good| {
            way_back(&History::new(&entries), points.iter().map(|n| number(*n)), good).map(EntryNumber::get)
        };
        assert_eq!(from(&[2, 3, 4, 5], mark(1, 1)), Some(2));
        assert_eq!(from(&[2, 3, 4, 5], mark(1, 2)), Some(3));
        assert_eq!(from(&[2, 3, 4, 5], mark(1, 3)), Some(4), "the undo that left it");
        assert_eq!(from(&[2, 3, 4, 5], mark(4, 4)), Some(5));
        assert_eq!(from(&[5], mark(1, 2)), None, "of another root");
    }

    #[test]
    fn three_starts_once_back_and_no_further() {
        let mut none_good = Trial::default();
        (0..7).for_each(|_| none_good.begin(mark(1, 1)));
        assert_eq!(judge(&none_good, mark(1, 1), None), Start::Try(8), "there is nothing better");
        let mut trial = Trial { good: Some(mark(1, 1)), ..Trial::default() };
        let judged = |trial: &Trial, state| judge(trial, state, Some(number(2)));
        assert_eq!(judged(&trial, mark(1, 1)), Start::Good);
        for nth in 1..=TRIES {
            assert_eq!(judged(&trial, mark(1, 2)), Start::Try(nth));
            trial.begin(mark(1, 2));
        }
        assert_eq!(judged(&trial, mark(1, 2)), Start::GoBack(number(2)));
        assert_eq!(judged(&trial, mark(1, 3)), Start::Try(1), "another change is another state");
        (trial.fallback, trial.trying) = (Some(number(3)), None);
        (0..TRIES).for_each(|_| trial.begin(mark(3, 3)));
        assert_eq!(judged(&trial, mark(3, 3)), Start::GiveUp);
        assert!(!trial.confirm(number(1)) && trial.confirm(number(3)));
        assert_eq!(judged(&trial, mark(3, 3)), Start::Good);
        assert_eq!(trial.fallback, None);
    }
}
