//! What an undo does not take back: the ONE list of paths that the present state hands on to the
//! root an undo, redo or reset stages, and that therefore the proof ("the merged tree is back byte
//! for byte") leaves out, with the lines of other files that it leaves out, and the [`Keeps`] of the entry
//! that made the root.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Entry;
use super::ledger::ACCOUNT_FILES;
use super::reserved;

/// Paths relative to the merged root. machine-id is the identity of the profile and stays with it;
/// the random seed must never be used twice. That one is missing is handed on too.
pub const CARRIED: [&str; 2] = ["etc/machine-id", "var/lib/systemd/random-seed"];

/// Who the machine is to others: its name, its ssh host keys, and how DHCP servers know it. What is there
/// is handed on, where the other root has its directory; that one is missing is not (an undo of the
/// installation of openssh-server has no keys, and a redo must not lose them).
pub const IDENTITY: [&str; 10] = [
    "etc/hostname",
    HOST_KEYS,
    "var/lib/systemd/credential.secret",
    "var/lib/NetworkManager/secret_key",
    "var/lib/NetworkManager/*.lease",
    "var/lib/dhcp/*.leases",
    "var/lib/dhcpcd/duid",
    "var/lib/dhcpcd/secret",
    "var/lib/dhcpcd/*.lease",
    "etc/dhcpcd.duid",
];

/// `ssh_host_ed25519_key`, its `.pub`, its `-cert.pub`
pub const HOST_KEYS: &str = "etc/ssh/ssh_host_*";

/// Of these a clone begins without: two profiles that are one to a DHCP server would share an address.
pub fn not_cloned() -> impl Iterator<Item = &'static str> {
    IDENTITY.into_iter().filter(|pattern| *pattern != "etc/hostname" && *pattern != HOST_KEYS)
}

/// Does the present state hand this path on?
pub fn is_carried(inside: &Path) -> bool {
    CARRIED.iter().any(|path| inside == Path::new(path)) || IDENTITY.iter().any(|p| matches(p, inside))
}

/// One `*` stands for any text without `/`.
pub fn matches(pattern: &str, inside: &Path) -> bool {
    let bytes = inside.as_os_str().as_bytes();
    match pattern.split_once('*') {
        None => bytes == pattern.as_bytes(),
        Some((before, after)) => {
            let rest = bytes.strip_prefix(before.as_bytes()).and_then(|b| b.strip_suffix(after.as_bytes()));
            rest.is_some_and(|rest| !rest.contains(&b'/'))
        }
    }
}

/// A file as the proof compares it: None where it is carried whole; without the accounts that are reserved
/// and without the line in which this machine has its name. `gshadow` is etc/gshadow of the same root.
pub fn compared(inside: &Path, bytes: Vec<u8>, gshadow: &[u8]) -> Option<Vec<u8>> {
    if is_carried(inside) {
        return None;
    }
    let name = inside.to_str().unwrap_or_default();
    if ACCOUNT_FILES.contains(&name) {
        return Some(reserved::without(name, &bytes, gshadow));
    }
    if name == HOSTS {
        let lines = bytes.split_inclusive(|b| *b == b'\n').filter(|line| !line.starts_with(OWN_ADDRESS));
        return Some(lines.flatten().copied().collect());
    }
    Some(bytes)
}

pub const HOSTS: &str = "etc/hosts";

/// hosts(5): where Debian's installer writes the machine's own name.
pub const OWN_ADDRESS: &[u8] = b"127.0.1.1";

/// What `run` lends a profile that has no name servers of its own: `/etc/resolv.conf` becomes a link
/// to this file on the run's tmpfs, and is taken away again afterwards, also out of a root staged
/// from a point that was taken during the run. Never a bind mount: resolvconf's postinst renames
/// over the file and fails on a mount point.
pub const LENT_RESOLV_CONF: &str = "/run/flipper/resolv.conf";

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
pub fn is_handed_on(maker: &Entry, path: &Path) -> bool {
    let keeps = Keeps::of(maker);
    is_carried(path)
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

    use super::*;
    use crate::model::{EntryNumber, Kind};

    #[test]
    fn a_pattern_stays_in_its_directory() {
        let carried = |path: &str| is_carried(Path::new(path));
        for path in
            ["etc/machine-id", "etc/hostname", "etc/ssh/ssh_host_rsa_key.pub", "var/lib/dhcp/dhclient.leases"]
        {
            assert!(carried(path), "{path}");
        }
        for path in
            ["etc/ssh", "etc/ssh/sshd_config", "etc/ssh/ssh_host_x/y", "etc/hostname/x", "var/lib/dhcp"]
        {
            assert!(!carried(path), "{path}");
        }
        assert!(!not_cloned().any(|p| matches(p, Path::new("etc/ssh/ssh_host_rsa_key"))));
    }

    #[test]
    fn the_name_of_the_machine_is_not_compared() {
        let hosts = b"127.0.0.1 localhost\n127.0.1.1\tbox.lan\tbox\n10.0.0.1 other\n".to_vec();
        let rest = compared(Path::new("etc/hosts"), hosts, b"").unwrap();
        assert_eq!(rest, b"127.0.0.1 localhost\n10.0.0.1 other\n");
    }

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
        assert!(
            is_handed_on(&entry, Path::new("etc/machine-id")) && !is_handed_on(&entry, Path::new(SHADOW))
        );
        Keeps { paths: vec!["srv/x".into()], passwords: vec!["a".into()] }.note_in(&mut entry);
        for (path, carried) in [("srv/x", true), ("srv/x/y", true), ("srv/xy", false), (SHADOW, true)] {
            assert_eq!(is_handed_on(&entry, Path::new(path)), carried, "{path}");
        }
    }
}
