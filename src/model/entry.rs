//! A journal entry: what was intended, then what happened. `@journal/entries/lab/57.open.json` while
//! it is open, `57.json` once it is closed: closing creates a new name, so a torn file can never
//! replace a good one, and what is open is found by reading one directory.
//!
//! The words of an entry's life: *open* (begun, nothing is known yet), then one of *completed*,
//! *failed* (it ended, and not everything it wanted is so), *interrupted* (nobody closed it and
//! nobody is left who could), *cancelled* (taken back before it became visible).
//!
//! Within one format only additions are made, and a program that is older than what wrote an entry
//! keeps what it does not know: fields here in `more`, kinds, states and actions as the word they are,
//! and what lies deeper through [`super::kept`] when it writes the entry again. Numbers are integers
//! below 2^63.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::carried::as_texts;
use super::id::{BaseVersion, EntryNumber, ProfileId};
use super::state_path::BytePath;
pub use super::words::{Action, State, count_actions};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub number: EntryNumber,
    /// Absent for entries of the pool itself (import, flip, default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// The root that was current (or in use, while another waits) when the entry began; its state
    /// just before is the point `snapshots/<number>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<EntryNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseVersion>,
    pub kind: Kind,
    pub state: State,
    /// The state this entry returns to, for undo and redo: the state before entry `target`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<EntryNumber>,
    /// The waiting entry that this one drops once its own moment has come: its root goes, and it becomes
    /// cancelled before this one is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancels: Option<EntryNumber>,
    /// True once `snapshots/<number>` was taken. Whether it still is there, only the pool knows.
    #[serde(default)]
    pub point: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Driver>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// `apt --comment`, or what a person gave with `--note`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// RFC 3339, UTC. For people; numbers give the order.
    pub started: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What apt said it would do (Pre-Install-Pkgs), one per package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned: Vec<Planned>,
    /// What really changed, from the dpkg status before and after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// How it ended, in one sentence, when there is more to say than the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How far an interrupted package run got; absent when nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// What a package run took out of state/, of which there is a snapshot beside the point. Absent: there
    /// is none, or the run was cut before anybody could look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_gone: Option<Vec<Gone>>,
    /// What an undo puts back into state/: whoever finishes it after a cut does that too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state_back: Vec<Back>,
    /// Other facts of this kind of entry, and what a newer program wrote: kept and shown.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What an entry is about. A kind a newer program wrote is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Kind {
    /// A package run: apt, dpkg or anything above them.
    Packages,
    /// A root staged from an earlier point.
    Undo,
    /// An undo taken back.
    Redo,
    /// A root that waited was dropped: the pointer went back to the root in use.
    Cancel,
    /// `flipper-undo N --path P`: some paths put back, live.
    Restore,
    /// A profile was made.
    Create,
    /// A profile was made from another.
    Clone,
    /// A profile was deleted (renamed aside).
    Delete,
    /// A deleted profile was brought back.
    Undelete,
    /// A root staged from the pristine state of the profile.
    Reset,
    /// A root made from the present one, standing on another base.
    Rebase,
    /// A root made from the present one, without what a check found wrong and can set right by itself.
    Repair,
    /// Settings that live in the root were changed.
    Set,
    /// What was written into a root after an undo had been staged, kept when the root went.
    Left,
    /// A base was imported.
    Import,
    /// A base was received from a btrfs send stream.
    Receive,
    /// `current` of the bases was moved to another one.
    Flip,
    /// What a flip moved was put back.
    Rollback,
    /// A base was called last good.
    MarkGood,
    /// The default profile was chosen.
    Default,
    /// A base was removed.
    PruneBase,
    /// A point taken by hand: the state before it IS the saved state.
    Save,
    /// Paths went to @data/shared, or came back from there.
    Share,
    /// Points and deleted profiles were let go. `more` says which: [`PRUNED_POINTS`].
    Prune,
    Other(String),
}

/// The field of a prune entry that names the points it lets go: `{"lab": [57, 60]}`. Written before
/// anything is deleted, so it may name one that is still there; the pool decides.
pub const PRUNED_POINTS: &str = "points";

/// The same for deleted profiles, by the names of their directories: `[".deleted-lab-57"]`.
pub const PRUNED_PROFILES: &str = "profiles";

/// The field of a set entry that names the path `state remove` moved into the root, as text. The
/// points before it have nothing there.
const STATE_REMOVED: &str = "state_removed";

/// The field of a flip entry that says which entry moved which profile, e.g. `{"lab": 57}`; of a rollback,
/// which took it back.
pub const MOVED: &str = "moved";

/// The field of a flip entry with the base that was current before it.
pub const FROM_BASE: &str = "from";

/// The field of a rebase or repair with the btrfs generation its root had when it was made: as long as it
/// has that, nobody wrote into it.
const MADE_AT: &str = "made_at";

/// The field of a rebase that says what the person decided, each as it can be typed: `C6:/etc/x=new`.
const DECIDED: &str = "decided";

/// The field of a repair that says what it mended, a line each.
const MENDED: &str = "mended";

/// The field of an import or receive entry that has the UUID by which streams name that base: a delta to a
/// base that is gone can still say which one it was.
pub const STREAM_UUID: &str = "uuid";

/// The field of a receive entry that names the base its stream was a delta to.
pub const DELTA_TO: &str = "delta_to";

impl Kind {
    const NAMES: [(Kind, &'static str); 24] = [
        (Kind::Packages, "packages"),
        (Kind::Undo, "undo"),
        (Kind::Redo, "redo"),
        (Kind::Cancel, "cancel"),
        (Kind::Restore, "restore"),
        (Kind::Create, "create"),
        (Kind::Clone, "clone"),
        (Kind::Delete, "delete"),
        (Kind::Undelete, "undelete"),
        (Kind::Reset, "reset"),
        (Kind::Rebase, "rebase"),
        (Kind::Repair, "repair"),
        (Kind::Receive, "receive"),
        (Kind::Flip, "flip"),
        (Kind::Rollback, "rollback"),
        (Kind::MarkGood, "mark-good"),
        (Kind::Share, "share"),
        (Kind::Set, "set"),
        (Kind::Left, "left"),
        (Kind::Import, "import"),
        (Kind::Default, "default"),
        (Kind::PruneBase, "prune-base"),
        (Kind::Save, "save"),
        (Kind::Prune, "prune"),
    ];

    pub fn name(&self) -> &str {
        if let Kind::Other(name) = self {
            return name;
        }
        Kind::NAMES.iter().find(|(kind, _)| kind == self).map_or("other", |(_, name)| name)
    }

    /// Does an entry of this kind make `roots/<its number>`?
    pub fn makes_root(&self) -> bool {
        self.leaves_its_root() || matches!(self, Kind::Create | Kind::Clone)
    }

    /// Does an entry of this kind move the pointer from the root it begins in to one it makes?
    pub fn leaves_its_root(&self) -> bool {
        matches!(self, Kind::Undo | Kind::Redo | Kind::Reset) || self.remakes_root()
    }

    /// Does it make its root from the very state it leaves, changed?
    pub fn remakes_root(&self) -> bool {
        matches!(self, Kind::Rebase | Kind::Repair)
    }

    /// Does a plain `flipper-undo` take this kind back? Undo itself is not among them, so calling it
    /// again goes further back; `--redo` or the number takes an undo back.
    pub fn is_change(&self) -> bool {
        matches!(self, Kind::Packages | Kind::Set | Kind::Restore | Kind::Reset) || self.remakes_root()
    }

    /// Is its state worth returning to by its number, wherever the profile went since? The states an
    /// undo or a redo left, what was left behind, and what a person saved.
    pub fn is_destination(&self) -> bool {
        matches!(self, Kind::Undo | Kind::Redo | Kind::Left | Kind::Save)
    }
}

impl From<String> for Kind {
    fn from(name: String) -> Kind {
        let known = Kind::NAMES.iter().find(|(_, n)| *n == name).map(|(kind, _)| kind.clone());
        known.unwrap_or(Kind::Other(name))
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> String {
        kind.name().to_owned()
    }
}

/// The process that holds a package run together. A pid alone lies (it is given again, and means
/// something else in another namespace); with its start time and namespace it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    pub pid: i32,
    /// Clock ticks after boot, field 22 of /proc/PID/stat.
    pub start: u64,
    /// Inode of /proc/PID/ns/pid.
    pub pid_namespace: u64,
    /// The boot this happened in, /proc/sys/kernel/random/boot_id.
    pub boot: String,
    /// e.g. `apt-get`, `unattended-upgr` (the kernel cuts at 15 bytes)
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub uid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Where a package run was cut, as dpkg's database tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Planned packages that had reached their state.
    pub reached: usize,
    /// 0 when no plan is known (a plain dpkg has none).
    pub planned: usize,
    /// The last sign of life in dpkg's database. RFC 3339, UTC.
    pub at: String,
}

/// A path of state/ that vanished; a directory with all that was in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Relative to state/ and to the merged root, e.g. `var/log/nginx`
    pub path: BytePath,
    #[serde(default)]
    pub directory: bool,
}

/// A path of state/ as it was before entry `from`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    pub from: EntryNumber,
    pub path: BytePath,
}

/// One package of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub package: String,
    pub architecture: String,
    /// The version that is installed; absent when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The version it will have; absent for a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    pub action: Action,
}

/// One package that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub package: String,
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    pub action: Action,
    /// apt's auto mark after the run; absent when the package is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
    /// The archive the new version came from, e.g. `trixie-security/main`; absent when no list
    /// apt knows has it (a local .deb).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    #[serde(default)]
    pub security: bool,
    /// The state dpkg left it in, when that is not the one that was meant, e.g. `half-configured`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<String>,
}

impl Entry {
    /// A fresh open entry; the caller fills in what it knows.
    pub fn begin(number: EntryNumber, kind: Kind, started: String) -> Entry {
        Entry {
            number,
            profile: None,
            root: None,
            base: None,
            kind,
            state: State::Open,
            target: None,
            cancels: None,
            point: false,
            driver: None,
            command_line: None,
            person: None,
            comment: None,
            started,
            ended: None,
            planned: Vec::new(),
            changes: Vec::new(),
            outcome: None,
            cut: None,
            state_gone: None,
            state_back: Vec::new(),
            more: Map::new(),
        }
    }

    /// The points of a profile that this entry of kind prune lets go.
    pub fn pruned_points(&self, profile: &ProfileId) -> Vec<EntryNumber> {
        let named = self.more.get(PRUNED_POINTS).and_then(|points| points.get(profile.as_str()));
        let numbers = named.filter(|_| self.kind == Kind::Prune).cloned();
        numbers.and_then(|numbers| serde_json::from_value(numbers).ok()).unwrap_or_default()
    }

    pub fn note_state_removed(&mut self, path: &Path) {
        self.more.insert(STATE_REMOVED.to_owned(), as_texts::text(path).into());
    }

    /// Relative to the merged root.
    pub fn state_removed(&self) -> Option<PathBuf> {
        Some(as_texts::path(self.more.get(STATE_REMOVED)?.as_str()?))
    }

    pub fn note_made_at(&mut self, generation: u64) {
        self.more.insert(MADE_AT.to_owned(), generation.into());
    }

    /// Absent: an older program made its root, or it was cut before it had made it.
    pub fn made_at(&self) -> Option<u64> {
        self.more.get(MADE_AT)?.as_u64()
    }

    pub fn note_decided(&mut self, lines: Vec<String>) {
        if !lines.is_empty() {
            self.more.insert(DECIDED.to_owned(), lines.into());
        }
    }

    pub fn decided(&self) -> impl Iterator<Item = &str> {
        self.more.get(DECIDED).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    pub fn note_mended(&mut self, lines: Vec<String>) {
        self.more.insert(MENDED.to_owned(), lines.into());
    }

    pub fn mended(&self) -> impl Iterator<Item = &str> {
        self.more.get(MENDED).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// "7 upgraded, 2 installed": what the entry did to packages (planned, while it is open).
    pub fn counts(&self) -> BTreeMap<Action, usize> {
        if self.changes.is_empty() && self.state != State::Completed {
            return count_actions(self.planned.iter().map(|p| p.action));
        }
        count_actions(self.changes.iter().map(|c| c.action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_kinds_of_a_newer_program_are_kept() {
        let text = r#"{"number":57,"profile":"lab","kind":"teleport","state":"completed","started":"x","colour":"red"}"#;
        let entry: Entry = serde_json::from_str(text).unwrap();
        assert_eq!(entry.kind, Kind::Other("teleport".into()));
        let again = serde_json::to_value(&entry).unwrap();
        assert_eq!(again["colour"], "red");
        assert_eq!(again["kind"], "teleport");
    }

    #[test]
    fn every_kind_prints_the_name_it_is_read_by() {
        for (kind, name) in Kind::NAMES {
            assert_eq!(Kind::from(name.to_string()), kind);
            assert_eq!(kind.name(), name);
        }
    }
}
