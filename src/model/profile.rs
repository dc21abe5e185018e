//! profile.json: what belongs to a profile and does NOT roll back with its roots.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{BaseVersion, EntryNumber, ProfileId};
use super::identity::Identity;
use super::state_path::StateList;

/// `@profiles/lab/profile.json`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// What people call it; may change, any text on one line.
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// `overlay`, or `fork` (a whole root, as devices have them today).
    pub kind: String,
    /// RFC 3339, UTC; shown, never used for ordering (a board without a clock is in 1970).
    pub created: String,
    pub origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// Points that are kept whatever the rules say, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// Paths that lie in `@data/shared` and are bound into this profile, relative to its root, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "super::carried::as_texts")]
    pub shared: Vec<PathBuf>,
    /// Which hostname and ssh host keys it has.
    #[serde(default, skip_serializing_if = "Identity::is_default")]
    pub identity: Identity,
    /// Which paths lie in state/, where that differs from the defaults.
    #[serde(default, skip_serializing_if = "StateList::is_empty")]
    pub state: StateList,
    /// What a newer program wrote is kept.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A point somebody wants kept. A list and not a map by number: beside a flattened field serde reads
/// no numbers as keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The state before this entry.
    pub point: EntryNumber,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// RFC 3339, UTC; shown only.
    pub since: String,
}

/// Where a profile came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Origin {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// The point it was cloned from; absent when it was cloned from the current root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<EntryNumber>,
    /// The built-in it was made from, e.g. `router`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<String>,
}
