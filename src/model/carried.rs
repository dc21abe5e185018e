//! What an undo does not take back: the ONE list of paths that the present state hands on to the
//! root an undo, redo or reset stages, and that therefore the proof ("the merged tree is back byte
//! for byte") leaves out: [`CARRIED`] always, and the [`Keeps`] of the entry that made the root.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Entry;

/// Paths relative to the merged root. machine-id is the identity of the profile and stays with it;
/// the random seed must never be used twice.
pub const CARRIED: [&str; 2] = ["etc/machine-id", "var/lib/systemd/random-seed"];

/// What `run` lends a profile that has no name servers of its own: `/etc/resolv.conf` becomes a link
/// to this file on the run's tmpfs, and is taken away again afterwards, also out of a root staged
/// from a point that was taken during the run. Never a bind mount: resolvconf's postinst renames
/// over the file and fails on a mount point.
pub const LENT_RESOLV_CONF: &str = "/run/flipper/resolv.conf";

/// What lies in state/ from the first day of a profile: not in the upper, so undo leaves it alone.
/// Relative to the merged root. Part S adds the rest of design section 7.
pub const STATE_PATHS: [&str; 4] = ["var/log", "var/tmp", "var/lib/apt/lists", "var/cache/apt"];

/// The passwords lie in it: the fields of kept ones differ from the point's.
pub const SHADOW: &str = "etc/shadow";

/// The field of an entry that says what a person wanted kept.
const KEEPS: &str = "keeps";

/// What `--keep` handed on to the root an entry made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeps {
    /// Relative to the merged root: file, directory with all below it, or absence.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "as_texts")]
    pub paths: Vec<PathBuf>,
    /// Accounts whose password stayed the present one: those fields of [`SHADOW`], nothing else of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passwords: Vec<String>,
}

impl Keeps {
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.passwords.is_empty()
    }

    /// Nothing where the entry says nothing of it, or says what cannot be read.
    pub fn of(entry: &Entry) -> Keeps {
        let said = entry.more.get(KEEPS).cloned();
        said.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
    }

    pub fn note_in(&self, entry: &mut Entry) {
        if !self.is_empty() {
            entry.more.insert(KEEPS.to_owned(), serde_json::to_value(self).unwrap_or_default());
        }
    }
}

/// Is this path of the root that `maker` made handed on from the state it left, and not of the point?
pub fn is_carried(maker: &Entry, path: &Path) -> bool {
    let keeps = Keeps::of(maker);
    CARRIED.iter().any(|carried| path == Path::new(carried))
        || keeps.paths.iter().any(|kept| path.starts_with(kept))
        || (!keeps.passwords.is_empty() && path == Path::new(SHADOW))
}

/// Paths in JSON, which has no bytes: a byte that is not UTF-8 is `\xff`, a backslash `\\`.
pub mod as_texts {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        paths.iter().map(|path| text(path)).collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
        Ok(Vec::<String>::deserialize(from)?.iter().map(|text| path(text)).collect())
    }

    pub fn text(path: &Path) -> String {
        let mut text = String::new();
        for part in path.as_os_str().as_bytes().utf8_chunks() {
            text.push_str(&part.valid().replace('\\', "\\\\"));
            part.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        }
        text
    }

    /// What is no escape of ours stays as it is.
    pub fn path(text: &str) -> PathBuf {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        while let [first, after @ ..] = rest {
            let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
            let (byte, more) = match (first, after) {
                (b'\\', [b'\\', more @ ..]) => (b'\\', more),
                (b'\\', [b'x', a, b, more @ ..]) => match hex(&[*a, *b]) {
                    Some(byte) => (byte, more),
                    None => (*first, after),
                },
                _ => (*first, after),
            };
            bytes.push(byte);
            rest = more;
        }
        OsString::from_vec(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::model::{EntryNumber, Kind};

    #[test]
    fn every_path_survives_the_entry() {
        for bytes in [&b"etc/a b"[..], b"srv/\xff\n\\x41", b"\\", b"\\\\x", "\u{fffd}é".as_bytes(), b"\\xzz"]
        {
            let path = PathBuf::from(OsStr::from_bytes(bytes));
            let mut entry = Entry::begin(EntryNumber::FIRST, Kind::Undo, String::new());
            let keeps = Keeps { paths: vec![path], passwords: vec!["anna".into()] };
            keeps.note_in(&mut entry);
            let again: Entry = serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
            assert_eq!(Keeps::of(&again), keeps);
        }
    }

    #[test]
    fn what_is_carried() {
        let mut entry = Entry::begin(EntryNumber::FIRST, Kind::Undo, String::new());
        assert!(is_carried(&entry, Path::new("etc/machine-id")) && !is_carried(&entry, Path::new(SHADOW)));
        Keeps { paths: vec!["srv/x".into()], passwords: vec!["a".into()] }.note_in(&mut entry);
        for (path, carried) in [("srv/x", true), ("srv/x/y", true), ("srv/xy", false), (SHADOW, true)] {
            assert_eq!(is_carried(&entry, Path::new(path)), carried, "{path}");
        }
    }
}
