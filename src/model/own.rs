//! What a person may lose by going back and can ask to keep: files of their own, Wi-Fi connections,
//! passwords. Facts only; `policy/own.rs` decides what is whose.

use std::path::PathBuf;

/// When a file was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// btrfs's transaction: a file that was written back late has a later one.
    pub transaction: u64,
    /// Nanoseconds since 1970 by the clock of then.
    pub time: i64,
}

/// While a package run, or a verb of ours, wrote into a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its point holds all up to this transaction; None: the point is gone.
    pub after: Option<u64>,
    /// When it began, by the clock (to the second).
    pub began: i64,
    /// Its entry was closed then.
    pub closed: Stamp,
}

/// What goes with an undo unless it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Relative to the merged root, in their order.
    pub files: Vec<PathBuf>,
    pub connections: Vec<Connection>,
    /// Accounts that are on both sides and have another password now.
    pub passwords: Vec<String>,
}

/// A file that makes the device know a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// e.g. `the Wi-Fi connection 'Home'`
    pub name: String,
    pub path: PathBuf,
}

impl Own {
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.connections.is_empty() && self.passwords.is_empty()
    }
}
