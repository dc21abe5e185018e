//! profile.json: what belongs to a profile and does NOT roll back with its roots.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{BaseVersion, EntryNumber, ProfileId};

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
    /// What a newer program wrote is kept.
    #[serde(flatten)]
    pub more: Map<String, Value>,
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
}
