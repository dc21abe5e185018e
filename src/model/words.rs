//! The two closed sets of words in an entry, its state and what happened to a package. Closed for this
//! program: a newer one may write more of them into the same pool, and then the word is kept and shown
//! as it is (house rule 13). Losing the whole entry over one word would be worse than not knowing it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A word of a newer program. States and actions are passed by value everywhere, so each distinct word
/// is stored once, for as long as the program runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unknown(&'static str);

impl Unknown {
    fn new(word: &str) -> Unknown {
        static WORDS: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());
        let mut words = WORDS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let keep = || &*Box::leak(word.to_owned().into_boxed_str());
        Unknown(words.entry(word.to_owned()).or_insert_with(keep))
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// An enum that is written as words and may read words it does not know.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$of])* $variant,)*
            /// Written by a newer program.
            Other(Unknown),
        }

        impl $name {
            #[cfg(test)]
            const ALL: &[$name] = &[$($name::$variant),*];

            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                    $name::Other(word) => word.0,
                }
            }

            pub fn from_word(word: &str) -> $name {
                match word {
                    $($word => $name::$variant,)*
                    other => $name::Other(Unknown::new(other)),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                String::deserialize(from).map(|word| $name::from_word(&word))
            }
        }
    };
}

words!(
    /// Where an entry is in its life. One of an unknown state is neither open nor cancelled: it is left
    /// to the program that knows it, and counts as having happened.
    State {
        Open = "open",
        Completed = "completed",
        Failed = "failed",
        Interrupted = "interrupted",
        Cancelled = "cancelled",
    }
);

words!(
    /// What happened to a package, or was meant to.
    Action {
        Install = "install",
        Upgrade = "upgrade",
        Downgrade = "downgrade",
        Reinstall = "reinstall",
        /// The package's files went, its conffiles stayed.
        Remove = "remove",
        Purge = "purge",
        /// Only configured: it had been unpacked before.
        Configure = "configure",
        /// Only its auto mark, hold or state changed.
        Mark = "mark",
    }
);

impl Action {
    /// "7 upgraded": the word for a count of these, in the past tense. An unknown action has one form
    /// for all: `3 transmogrify`.
    pub fn past(self) -> &'static str {
        match self {
            Action::Install => "installed",
            Action::Upgrade => "upgraded",
            Action::Downgrade => "downgraded",
            Action::Reinstall => "reinstalled",
            Action::Remove => "removed",
            Action::Purge => "purged",
            Action::Configure => "configured",
            Action::Mark => "marked",
            Action::Other(word) => word.0,
        }
    }

    /// "takes back 7 upgrades": the noun, singular and plural.
    pub fn noun(self, count: usize) -> &'static str {
        let (one, many) = match self {
            Action::Install => ("installation", "installations"),
            Action::Upgrade => ("upgrade", "upgrades"),
            Action::Downgrade => ("downgrade", "downgrades"),
            Action::Reinstall => ("reinstallation", "reinstallations"),
            Action::Remove => ("removal", "removals"),
            Action::Purge => ("purge", "purges"),
            Action::Configure => ("configuration", "configurations"),
            Action::Mark => ("mark", "marks"),
            Action::Other(word) => (word.0, word.0),
        };
        if count == 1 { one } else { many }
    }
}

/// How many of each action there are, in the order people read them.
pub fn count_actions(actions: impl IntoIterator<Item = Action>) -> BTreeMap<Action, usize> {
    let mut counts = BTreeMap::new();
    for action in actions {
        *counts.entry(action).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(State::from_word(state.name()), *state);
        }
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.name());
            assert_eq!(Action::from_word(action.name()), *action);
        }
    }

    #[test]
    fn a_word_of_a_newer_program_is_kept() {
        let state: State = serde_json::from_str("\"suspended\"").unwrap();
        assert!(matches!(state, State::Other(_)) && state == State::from_word("suspended"));
        assert_eq!(serde_json::to_string(&state).unwrap(), "\"suspended\"");
        assert_eq!(Action::from_word("hold").noun(3), "hold");
        assert_ne!(Action::from_word("hold"), Action::from_word("Hold"));
    }
}
