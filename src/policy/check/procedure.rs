//! What stands around a check (classes U1 to U3): whether the profile kept still, whether its base can
//! still be asked, and on what its points stand. Nothing of it is in the three trees.

use std::collections::BTreeMap;

use super::class::Class;
use super::finding::{Finding, Severity, Subject, readable};
use super::territory::{self, Territory};

#[derive(Debug, Default)]
pub struct Circumstances {
    /// Paths that were written while the last look went on, relative to the root.
    pub changed: Vec<Vec<u8>>,
    /// apt or dpkg is at work in the profile: the process, 0 when it lives in another pid namespace.
    pub package_run: Option<i32>,
    /// The tree of the profile's base is gone; its manifest is there.
    pub base_is_gone: bool,
    /// Points of the profile by the base they stand on, without those on the base of its root.
    pub points: BTreeMap<String, usize>,
}

/// Names that are said of a list.
const NAMED: usize = 4;

/// `profile` is its id, `base` the version it stands on.
pub fn findings(profile: &str, base: &str, is_doctor: bool, around: &Circumstances) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(moving(profile, around));
    if around.base_is_gone && !is_doctor {
        let goes =
            "goes by its manifest; nothing that only the base itself has can be copied into the profile";
        let base = Subject::Named(format!("base {base}"));
        found.push(
            Finding::new(Class::U2, Severity::Harmless, base, goes).seen("still there", "its manifest").seen(
                "cannot be done",
                "keeping a library the candidate drops, copying scripts of removed packages",
            ),
        );
    }
    for (other, count) in &around.points {
        let leaves = "leaves them: an undo to one of them goes back to its base too";
        let subject = Subject::Named(format!("base {other}"));
        found.push(
            Finding::new(Class::U3, Severity::Harmless, subject, leaves)
                .seen("points on it", count.to_string()),
        );
    }
    found
}

/// U2: without the manifest of its base nothing can be compared.
pub fn no_manifest(base: &str) -> Finding {
    let refused = "is refused: what you changed cannot be told from what the base had";
    Finding::new(Class::U2, Severity::Blocker, Subject::Named(format!("base {base}")), refused)
        .seen("gone", format!("@base/{base}.manifest"))
        .choice(format!("bring it back: flipper-base import or receive base {base} again"))
}

/// U1
fn moving(profile: &str, around: &Circumstances) -> Option<Finding> {
    let counts = |path: &&Vec<u8>| {
        !matches!(territory::of(path), Territory::Running | Territory::Cache | Territory::Hidden)
    };
    let changed: Vec<&Vec<u8>> = around.changed.iter().filter(counts).collect();
    let subject = Subject::Named(profile.to_owned());
    let finding = match (around.package_run, changed.is_empty()) {
        (Some(pid), _) => {
            let refused = "is refused while packages are installed in it";
            let who = if pid == 0 { "apt or dpkg".to_owned() } else { format!("apt or dpkg, process {pid}") };
            Finding::new(Class::U1, Severity::Blocker, subject, refused)
                .seen("at work", who)
                .choice("wait until it has ended, and look again")
        }
        (None, true) => return None,
        (None, false) => {
            let decides =
                |path: &&&Vec<u8>| matches!(territory::of(path), Territory::Database | Territory::Accounts);
            let (severity, rebase) = match changed.iter().any(|path| decides(&path)) {
                true => (Severity::Blocker, "is refused: packages or accounts changed while they were read"),
                false => (Severity::Decision, "looks again at what was changed since"),
            };
            Finding::new(Class::U1, severity, subject, rebase).choice("look again when it is quiet")
        }
    };
    if changed.is_empty() {
        return Some(finding);
    }
    let names: Vec<String> = changed.iter().take(NAMED).map(|path| format!("/{}", readable(path))).collect();
    Some(
        finding
            .seen("paths written meanwhile", changed.len().to_string())
            .seen("among them", names.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_all_the_time_says_nothing() {
        let severity = |paths: &[&str], package_run| {
            let changed = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
            let around = Circumstances { changed, package_run, ..Circumstances::default() };
            findings("lab", "1", true, &around).first().map(|finding| finding.severity)
        };
        assert_eq!(
            severity(&["var/log/syslog", "run/x", "var/cache/man/index.db", "home/anna/x"], None),
            None
        );
        assert_eq!(severity(&["var/log/syslog", "srv/x"], None), Some(Severity::Decision));
        assert_eq!(severity(&["srv/x", "etc/shadow"], None), Some(Severity::Blocker));
        assert_eq!(severity(&["var/lib/dpkg/status"], None), Some(Severity::Blocker));
        assert_eq!(severity(&[], Some(7)), Some(Severity::Blocker));
    }
}
