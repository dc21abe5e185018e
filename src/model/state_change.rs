//! What an entry that makes a root did to state/, which most leave alone: a reset with --wipe begins it
//! anew, and who takes that back gets the old one back whole. The state/ of before lies beside the point
//! of such an entry, `snapshots/57.state`.

use serde_json::Value;

use super::{Entry, EntryNumber};

/// The field of an entry.
const STATE: &str = "state_from";

/// The word for [`StateChange::Fresh`].
const FRESH: &str = "fresh";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// As create makes it.
    Fresh,
    /// A copy of `snapshots/<number>.state`.
    From(EntryNumber),
}

impl StateChange {
    pub fn of(entry: &Entry) -> Option<StateChange> {
        match entry.more.get(STATE)? {
            Value::String(word) if word == FRESH => Some(StateChange::Fresh),
            number => serde_json::from_value(number.clone()).ok().map(StateChange::From),
        }
    }

    pub fn note_in(self, entry: &mut Entry) {
        let value = match self {
            StateChange::Fresh => FRESH.into(),
            StateChange::From(number) => serde_json::to_value(number).unwrap_or_default(),
        };
        entry.more.insert(STATE.to_owned(), value);
    }
}
