//! Packages of the base that were removed in the profile (P7), and what is left of those that were not
//! purged (P8).

use crate::dpkg::status::Package;
use crate::model::error::Result;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity};
use crate::policy::check::side::stem;

use super::{named, version};

pub fn find(look: &Look, row: &Row) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    match (row.fate, row.new) {
        (Fate::Removed | Fate::RemovedWithSettings, Some(new)) => {
            found.push(comes_with_the_candidate(look, new))
        }
        (Fate::Restored, Some(new)) => found.push(comes_back(look, new)),
        _ => {}
    }
    if let (Fate::RemovedWithSettings | Fate::SettingsOnly, Some(mine), Some(old)) =
        (row.fate, row.mine, row.old)
    {
        found.extend(left_behind(look, mine, old)?);
    }
    Ok(found)
}

/// P7, and P23 where dpkg calls it essential.
fn comes_with_the_candidate(look: &Look, new: &Package) -> Finding {
    let (class, severity) = match (new.essential, new.protected) {
        (true, _) => (Class::P23, Severity::Decision),
        (_, true) => (Class::P7, Severity::Decision),
        _ => (Class::P7, Severity::Automatic),
    };
    let keeps = "keeps it removed, and hides the candidate's files of it";
    let finding = Finding::package(class, severity, &named(look, new), keeps)
        .seen("version in the candidate", version(new));
    match severity {
        Severity::Decision => finding
            .seen("dpkg calls it", if new.essential { "essential" } else { "protected" })
            .choice(format!("have it again: apt install {}, in the profile as it is", new.name)),
        _ => finding,
    }
}

/// P7, where something of the merge cannot do without.
fn comes_back(look: &Look, new: &Package) -> Finding {
    let name = named(look, new);
    let needs = look.together.restored_for.get(new.name).map(|needs| needs.join("; ")).unwrap_or_default();
    let back = "brings it back, as the candidate has it, since another package cannot do without";
    Finding::package(Class::P7, Severity::Decision, &name, back)
        .seen("version in the candidate", version(new))
        .seen("needed by", needs)
        .choice("stay on the base, or remove in the profile what needs it")
}

/// P8: dpkg needs the postrm to purge it one day, and the base that has it goes.
fn left_behind(look: &Look, mine: &Package, old: &Package) -> Result<Option<Finding>> {
    let postrm = format!("var/lib/dpkg/info/{}.postrm", stem(old));
    let in_the_upper = look.triple(postrm.as_bytes()).is_some();
    if in_the_upper || look.trees.old.text(postrm.as_bytes())?.is_none() {
        return Ok(None);
    }
    let copies = "copies its postrm and its conffiles from the old base into the profile";
    Ok(Some(
        Finding::package(Class::P8, Severity::Automatic, &named(look, mine), copies)
            .seen("only in the base", format!("/{postrm}")),
    ))
}
