//! Is a tree a settled Debian root, fit to be a base? Everything a base is wrong about, every profile
//! on it inherits and nobody can mend, because a base is read-only.

use std::str::FromStr;

use crate::dpkg::Status;
use crate::dpkg::status::{Flag, PackageState};

/// What was read from the tree.
pub struct TreeFacts<'a> {
    /// /usr/lib/os-release
    pub os_release: Option<&'a [u8]>,
    /// /var/lib/dpkg/status
    pub status: Option<&'a [u8]>,
    /// Names in /var/lib/dpkg/updates: a dpkg that was cut leaves some.
    pub updates: usize,
    /// /usr/bin/dpkg is there.
    pub has_dpkg: bool,
    /// /bin, /lib and /sbin are links into /usr (Debian 12 and later).
    pub merged_usr: bool,
    /// Lines of /etc/fstab that mount `/`: on an overlay root systemd-remount-fs fails over them.
    pub fstab_mounts_root: bool,
    pub largest_inode: u64,
    pub inode_floor: u64,
}

/// Why it is not one, in sentences; empty when it is.
pub fn complaints(facts: &TreeFacts) -> Vec<String> {
    let mut found = Vec::new();
    let mut complain = |when: bool, text: String| {
        if when {
            found.push(text);
        }
    };
    complain(!is_debian(facts.os_release), "os-release does not say Debian or a relative of it".into());
    complain(!facts.has_dpkg, "it has no /usr/bin/dpkg".into());
    complain(!facts.merged_usr, "/bin, /lib and /sbin are not links into /usr".into());
    complain(facts.updates > 0, "dpkg was cut in it: var/lib/dpkg/updates is not empty".into());
    complain(facts.fstab_mounts_root, "its /etc/fstab mounts /, which fails on an overlay".into());
    complain(
        facts.largest_inode >= facts.inode_floor,
        format!(
            "its inode numbers reach {}, and the pool's floor is {}",
            facts.largest_inode, facts.inode_floor
        ),
    );
    match facts.status.map(Status::parse) {
        None => complain(true, "it has no dpkg status".into()),
        Some(Err(error)) => complain(true, format!("var/lib/dpkg/status: {error}")),
        Some(Ok(status)) => complain(true, packages(&status)),
    }
    found.retain(|text| !text.is_empty());
    found
}

/// Every package installed whole or gone, with a version Debian policy 5.6.12 allows.
fn packages(status: &Status) -> String {
    let unsettled = status.packages.iter().find(|package| {
        let ended = [PackageState::Installed, PackageState::ConfigFiles, PackageState::NotInstalled];
        !ended.contains(&package.state) || package.flag != Flag::Ok
    });
    if let Some(package) = unsettled {
        return format!("package {} is {}", package.name, package.state.name());
    }
    let unversioned = status.packages.iter().find(|package| {
        package.state == PackageState::Installed
            && package.version.is_none_or(|v| debversion::Version::from_str(v).is_err())
    });
    if let Some(package) = unversioned {
        return format!("package {} has no Debian version", package.name);
    }
    match status.packages.iter().any(|package| package.state == PackageState::Installed) {
        true => String::new(),
        false => "no package is installed in it".into(),
    }
}

fn is_debian(os_release: Option<&[u8]>) -> bool {
    let text = String::from_utf8_lossy(os_release.unwrap_or_default());
    text.lines().any(|line| {
        let value = line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE="));
        value.is_some_and(|v| v.trim_matches('"').split_whitespace().any(|word| word == "debian"))
    })
}

/// What a root calls itself in os-release(5): the version of the image it was made as.
pub fn image_version(os_release: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(os_release);
    let value = text.lines().find_map(|line| line.strip_prefix("IMAGE_VERSION="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] =
        b"Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.22.21\n\n";

    fn facts<'a>() -> TreeFacts<'a> {
        TreeFacts {
            os_release: Some(b"NAME=x\nID=debian\n"),
            status: Some(GOOD),
            updates: 0,
            has_dpkg: true,
            merged_usr: true,
            fstab_mounts_root: false,
            largest_inode: 900,
            inode_floor: 65536,
        }
    }

    #[test]
    fn a_settled_root_has_no_complaints_and_each_fault_has_one() {
        assert_eq!(complaints(&facts()), Vec::<String>::new());
        let half = b"Package: a\nStatus: install ok half-configured\nArchitecture: all\nVersion: 1\n\n";
        let reinst = b"Package: a\nStatus: install reinstreq installed\nArchitecture: all\nVersion: 1\n\n";
        let faults: Vec<(&str, TreeFacts)> = vec![
            ("os-release", TreeFacts { os_release: Some(b"ID=fedora\n"), ..facts() }),
            ("no dpkg status", TreeFacts { status: None, ..facts() }),
            ("line 1", TreeFacts { status: Some(b"garbage\n"), ..facts() }),
            ("half-configured", TreeFacts { status: Some(half), ..facts() }),
            ("package a", TreeFacts { status: Some(reinst), ..facts() }),
            ("no package", TreeFacts { status: Some(b""), ..facts() }),
            ("updates", TreeFacts { updates: 1, ..facts() }),
            ("/usr/bin/dpkg", TreeFacts { has_dpkg: false, ..facts() }),
            ("links into", TreeFacts { merged_usr: false, ..facts() }),
            ("fstab", TreeFacts { fstab_mounts_root: true, ..facts() }),
            ("floor", TreeFacts { largest_inode: 65536, ..facts() }),
        ];
        for (word, facts) in faults {
            let found = complaints(&facts);
            assert!(found.len() == 1 && found[0].contains(word), "{word}: {found:?}");
        }
        let like = TreeFacts { os_release: Some(b"ID=raspbian\nID_LIKE=\"debian\"\n"), ..facts() };
        assert!(complaints(&like).is_empty());
    }

    #[test]
    fn an_image_may_say_its_version() {
        let said = |text: &str| image_version(text.as_bytes());
        assert_eq!(said("ID=debian\nIMAGE_VERSION=13.2\n").as_deref(), Some("13.2"));
        assert_eq!(said("IMAGE_VERSION=\"13.2 b\"\n").as_deref(), Some("13.2 b"));
        assert_eq!(said("VERSION_ID=13\n"), None);
    }
}
