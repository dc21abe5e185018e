//! dpkg's records that follow from which packages there are: the trigger database (G4), the files in info/
//! (G5), and the backups dpkg makes (G6).

use std::collections::BTreeMap;

use crate::model::tree::{self, Triple};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::Fate;
use crate::policy::check::finding::{Finding, Severity, Subject};
use crate::policy::check::side::stem;
use crate::policy::check::territory::{self, Territory};
use crate::policy::compare::{Change, change_by};

const INFO: &[u8] = b"var/lib/dpkg/info";
const TRIGGERS: &[u8] = b"var/lib/dpkg/triggers";

pub fn find(look: &Look, found: &mut Vec<Finding>) {
    found.extend(triggers(look));
    info(look, found);
    found.extend(backups(look));
}

fn in_directory<'a>(look: &'a Look, dir: &'a [u8]) -> impl Iterator<Item = &'a Triple> {
    look.trees.triples.iter().filter(move |triple| tree::parent(&triple.path) == dir)
}

/// A plain exchange would show the profile's where the candidate has changed its own.
pub fn hides_a_change(triple: &Triple) -> bool {
    let (old, mine, new) = (triple.old.as_deref(), triple.mine.as_deref(), triple.new.as_deref());
    let change = change_by(old, mine, new, |a, b| a.same_content(b));
    matches!(change, Change::Theirs | Change::Conflict)
}

/// G4: one finding for the database.
fn triggers(look: &Look) -> Option<Finding> {
    let of_packages = |triple: &&Triple| ![&b"Lock"[..], b"Unincorp"].contains(&tree::name(&triple.path));
    let outdated = in_directory(look, TRIGGERS).filter(of_packages).filter(|t| hides_a_change(t)).count();
    (outdated > 0).then(|| {
        let makes = "makes it anew from the packages there are then";
        Finding::path(Class::G4, Severity::Automatic, TRIGGERS, makes)
            .seen("files of it that are not as the candidate has them", outdated.to_string())
    })
}

/// G5: files of a package that is the candidate's, lying in the upper. One finding a package.
fn info(look: &Look, found: &mut Vec<Finding>) {
    let mut outdated: BTreeMap<String, usize> = BTreeMap::new();
    for triple in in_directory(look, INFO).filter(|triple| hides_a_change(triple)) {
        let name = String::from_utf8_lossy(tree::name(&triple.path)).into_owned();
        let stem = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem);
        *outdated.entry(stem.to_owned()).or_default() += 1;
    }
    if let Some(count) = outdated.get("format") {
        let takes = "takes the candidate's, which its dpkg reads";
        let path = [INFO, b"/format"].concat();
        found.push(
            Finding::path(Class::G5, Severity::Automatic, &path, takes).seen("files", count.to_string()),
        );
    }
    for row in look.rows.iter().filter(|row| row.fate == Fate::Inherit) {
        let stems = [row.mine, row.new].into_iter().flatten().map(stem);
        let mut stems: Vec<String> = stems.collect();
        stems.dedup();
        let count: usize = stems.iter().filter_map(|stem| outdated.get(stem)).sum();
        if count > 0 {
            let drops = "drops them, the package is the candidate's";
            let subject = Subject::Package(stems.swap_remove(0));
            found.push(
                Finding::new(Class::G5, Severity::Automatic, subject, drops)
                    .seen("its files in /var/lib/dpkg/info that are the profile's", count.to_string()),
            );
        }
    }
}

/// G6: one finding, however many there are: every run of dpkg leaves some.
fn backups(look: &Look) -> Option<Finding> {
    let count = look.trees.triples.iter().filter(|triple| is_backup(triple)).count();
    (count > 0 && !look.is_doctor()).then(|| {
        let subject = Subject::Named("backups of databases".to_owned());
        let drops = "drops them, they are of a database that is merged";
        Finding::new(Class::G6, Severity::Automatic, subject, drops).seen("files", count.to_string())
    })
}

pub fn is_backup(triple: &Triple) -> bool {
    const DIRECTORIES: [&[u8]; 4] = [b"var/lib/dpkg", b"var/backups", b"var/cache/debconf", b"var/lib/ucf"];
    let (dir, name) = (tree::parent(&triple.path), tree::name(&triple.path));
    let file = triple.mine.as_ref().is_some_and(|mine| mine.is_file());
    let of_an_account = dir == b"etc" && territory::of(&triple.path) == Territory::Accounts;
    let named = match dir {
        b"var/backups" => name.starts_with(b"dpkg.") || name.starts_with(b"alternatives."),
        b"var/lib/ucf" => name.starts_with(b"hashfile.") || name.starts_with(b"registry."),
        _ => name.ends_with(b"-old") || name == b"available",
    };
    file && ((DIRECTORIES.contains(&dir) && named) || (of_an_account && name.ends_with(b"-")))
}
