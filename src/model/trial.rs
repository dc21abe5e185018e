//! `@profiles/lab/trial`: which state of a profile a machine has started from well, and which it is trying.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{Error, Result};
use super::id::EntryNumber;
use super::kernel::KernelKey;

/// A state of a profile: a root, and the last entry that changed it. The root's own number where nothing has
/// happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateMark {
    pub root: EntryNumber,
    pub entry: EntryNumber,
}

/// Starts of a state that nobody has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trying {
    #[serde(flatten)]
    pub state: StateMark,
    /// The starts there were, this one included.
    pub starts: u32,
}

/// So often a state is started without being confirmed.
pub const TRIES: u32 = 3;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// A machine came up with this one. None: it never did, or it had no flipper-confirm.service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<StateMark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trying: Option<Trying>,
    /// The root that was made because a state's tries were spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<EntryNumber>,
    /// The kernel the machine came up with last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_kernel: Option<KernelKey>,
    /// The root for which a start was given up, because another kernel ran than its own: once is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<EntryNumber>,
    /// What a newer program wrote is kept.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Trial {
    /// An empty text is that of a profile nobody has started from.
    pub fn parse(text: &[u8]) -> Result<Trial> {
        if text.is_empty() {
            return Ok(Trial::default());
        }
        let damaged =
            |error: serde_json::Error| Error::Damaged { what: "trial".into(), why: error.to_string() };
        serde_json::from_slice(text).map_err(damaged)
    }

    /// How often this state was started since it was there.
    pub fn starts_of(&self, state: StateMark) -> u32 {
        self.trying.filter(|trying| trying.state == state).map_or(0, |trying| trying.starts)
    }

    /// The start of this state counts, before the machine is handed over to it.
    pub fn begin(&mut self, state: StateMark) {
        self.trying = Some(Trying { state, starts: self.starts_of(state) + 1 });
    }

    /// Its loader has counted: no start is left.
    pub fn spend(&mut self, state: StateMark) {
        self.trying = Some(Trying { state, starts: TRIES });
    }

    /// The machine came up. What happened since its start is not part of what was good. False: there is nothing
    /// to confirm.
    pub fn confirm(&mut self, root: EntryNumber) -> bool {
        let Some(tried) = self.trying.filter(|trying| trying.state.root == root) else { return false };
        (self.good, self.trying, self.fallback) = (Some(tried.state), None, None);
        true
    }
}
