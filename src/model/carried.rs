//! What an undo does not take back: the ONE list of paths that the present state hands on to the
//! root an undo, redo or reset stages, and that therefore the proof ("the merged tree is back byte
//! for byte") leaves out, with the lines of other files that it leaves out.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
