//! Is a root that came as a stream fit to be a base, beyond what [`super::settled`] asks of each? It came from
//! somebody else's machine and stays as it is, for every device that receives it: what import would mend in a
//! copy of its own is refused here, with what whoever published it must do, or accepted where no profile is
//! worse for it.

use std::path::{Path, PathBuf};

use crate::model::difference::NodeKind;

/// What was read from the tree.
pub struct ReceivedFacts {
    /// What an import would take out, relative to the root.
    pub dirt: Vec<PathBuf>,
    /// Path, kind and number of every device node.
    pub devices: Vec<(PathBuf, NodeKind, u64)>,
    /// A path with attributes of overlayfs.
    pub of_an_overlay: Option<PathBuf>,
    pub nested_subvolumes: usize,
    /// Of its dpkg; None: nobody can say.
    pub architecture: Option<String>,
    /// What this machine runs, in dpkg's words.
    pub machine: String,
    pub has_policy: bool,
}

/// null, zero, full, random, urandom, tty, console and ptmx: what debootstrap makes in /dev (major * 256 + minor).
const ORDINARY_DEVICES: [u64; 8] = [0x103, 0x105, 0x107, 0x108, 0x109, 0x500, 0x501, 0x502];

/// Why it cannot be a base here; empty when it can.
pub fn complaints(facts: &ReceivedFacts) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(path) = facts.dirt.iter().find(|path| is_of_one_machine(path)) {
        let path = path.display();
        found.push(format!("/{path} would be the same on every device: it is to be published without"));
    }
    if let Some((path, ..)) = facts.devices.iter().find(|device| !is_ordinary(device)) {
        found.push(format!(
            "/{} is a device, which no base has: it is to be published without",
            path.display()
        ));
    }
    if let Some(path) = &facts.of_an_overlay {
        let path = path.display();
        found.push(format!("/{path} is of an overlay's upper: publish the merged root, or import it"));
    }
    if facts.nested_subvolumes > 0 {
        found.push("it has a subvolume in it".to_owned());
    }
    match &facts.architecture {
        Some(theirs) if *theirs == facts.machine => {}
        Some(theirs) => found.push(format!("it is for {theirs}, and this machine is {}", facts.machine)),
        None => found.push("its dpkg status does not say for which architecture it is".to_owned()),
    }
    found
}

/// What is worth a word, and harms nobody.
pub fn remarks(facts: &ReceivedFacts) -> Vec<String> {
    let mut found = Vec::new();
    if !facts.has_policy {
        found.push("it has no policy-rc.d: in a run, services of packages are started".to_owned());
    }
    let mut dirt: Vec<_> = facts.dirt.iter().filter(|path| !is_of_one_machine(path)).collect();
    dirt.sort();
    if let Some(first) = dirt.first() {
        let more = if dirt.len() > 1 { format!(" and {} more", dirt.len() - 1) } else { String::new() };
        found.push(format!("every profile has what an import would take out: /{}{more}", first.display()));
    }
    found
}

/// Who a machine is to others, and secrets: given to every device they are nobody's.
fn is_of_one_machine(path: &Path) -> bool {
    let ids = ["etc/machine-id", "var/lib/dbus/machine-id"].iter().any(|id| path == Path::new(id));
    ids || path.starts_with("etc/ssh")
}

/// One that debootstrap makes. At a start it is hidden by the kernel's own /dev; anywhere else, and of any
/// other number, it would be a door past the permissions of what it stands for.
fn is_ordinary((path, kind, number): &(PathBuf, NodeKind, u64)) -> bool {
    *kind == NodeKind::CharacterDevice && path.starts_with("dev") && ORDINARY_DEVICES.contains(number)
}

/// What dpkg calls the machine that Rust calls so (dpkg's data/cputable).
pub fn machine(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> ReceivedFacts {
        ReceivedFacts {
            dirt: vec![],
            devices: vec![("dev/null".into(), NodeKind::CharacterDevice, 0x103)],
            of_an_overlay: None,
            nested_subvolumes: 0,
            architecture: Some("amd64".into()),
            machine: machine("x86_64").into(),
            has_policy: true,
        }
    }

    #[test]
    fn each_fault_has_one_complaint_and_harmless_things_a_remark() {
        assert_eq!((complaints(&facts()), remarks(&facts())), (vec![], vec![]));
        let dirt = |path: &str| ReceivedFacts { dirt: vec![path.into()], ..facts() };
        let device = |path: &str, kind, number| ReceivedFacts {
            devices: vec![(path.into(), kind, number)],
            ..facts()
        };
        use NodeKind::{BlockDevice, CharacterDevice};
        for (word, facts) in [
            ("/etc/machine-id", dirt("etc/machine-id")),
            ("/etc/ssh/ssh_host_rsa_key", dirt("etc/ssh/ssh_host_rsa_key")),
            ("/dev/sda", device("dev/sda", BlockDevice, 0x800)),
            ("/dev/mem", device("dev/mem", CharacterDevice, 0x101)),
            ("/srv/null", device("srv/null", CharacterDevice, 0x103)),
            ("/usr/bin/x", device("usr/bin/x", CharacterDevice, 0)),
            ("overlay", ReceivedFacts { of_an_overlay: Some("etc".into()), ..facts() }),
            ("subvolume", ReceivedFacts { nested_subvolumes: 1, ..facts() }),
            ("for arm64", ReceivedFacts { architecture: Some("arm64".into()), ..facts() }),
            ("which architecture", ReceivedFacts { architecture: None, ..facts() }),
        ] {
            let found = complaints(&facts);
            assert!(found.len() == 1 && found[0].contains(word), "{word}: {found:?}");
        }
        for (word, facts) in [
            ("policy-rc.d", ReceivedFacts { has_policy: false, ..facts() }),
            ("/etc/resolv.conf", dirt("etc/resolv.conf")),
            ("and 1 more", ReceivedFacts { dirt: vec!["etc/a".into(), "etc/b".into()], ..facts() }),
        ] {
            let found = remarks(&facts);
            assert!(found.len() == 1 && found[0].contains(word), "{word}: {found:?}");
            assert!(complaints(&facts).is_empty());
        }
    }
}
