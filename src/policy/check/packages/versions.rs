//! Which version a package has: the database as a whole (P1), and packages of the profile's own that a base
//! has too (P4, P5, P6).

use std::cmp::Ordering;

use crate::dpkg::version::compare;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity};
use crate::policy::check::side::STATUS;

use super::{named, version};

/// P1: the profile has its own copy of the database, and packages it inherits have other versions in the
/// candidate.
pub fn outdated_database(look: &Look) -> Option<Finding> {
    look.triple(STATUS.as_bytes())?;
    let outdated = |row: &&Row| match row.fate {
        Fate::Inherit => row.mine.and_then(|mine| mine.version) != row.new.and_then(|new| new.version),
        Fate::Dropped | Fate::New => true,
        _ => false,
    };
    let rows: Vec<&Row> = look.rows.iter().filter(outdated).collect();
    (!rows.is_empty()).then(|| {
        let names: Vec<&str> = rows.iter().take(5).map(|row| row.name).collect();
        let merges = "merges the package databases of the profile and the candidate";
        Finding::path(Class::P1, Severity::Automatic, STATUS.as_bytes(), merges)
            .seen("packages it would be wrong about", rows.len().to_string())
            .seen("among them", names.join(", "))
    })
}

/// P4, P5, P6: the profile's own version of a package the candidate has too.
pub fn own_version(look: &Look, row: &Row) -> Option<Finding> {
    let (mine, new) = (row.mine_installed()?, row.new.filter(|new| new.state.has_files())?);
    let old = row.old.filter(|old| old.state.has_files());
    let lowered = old.is_some_and(|old| compare(version(mine), version(old)) == Ordering::Less);
    let class = match old {
        Some(_) if lowered => Class::P5,
        Some(_) => Class::P4,
        None => Class::P6,
    };
    const KEEPS: &str = "keeps the profile's package on top of the candidate's older one";
    // It would have the fate Override, had the person not decided.
    let newer = compare(version(mine), version(new)) == Ordering::Greater;
    let (severity, rebase) = match row.fate {
        Fate::Superseded if newer => (Severity::Decision, KEEPS),
        Fate::Superseded if lowered => (Severity::Decision, "takes the candidate's newer package"),
        Fate::Superseded => (Severity::Automatic, "takes the candidate's package, it is as new"),
        Fate::Override => (Severity::Decision, KEEPS),
        _ => return None,
    };
    let finding = Finding::package(class, severity, &named(look, mine), rebase)
        .seen("version in the profile", version(mine))
        .seen("version in the candidate", version(new));
    let finding = match newer {
        true => {
            let takes = "takes the candidate's older package, as a downgrade would";
            finding.decides(Answer::Keep, &[(Answer::New, takes)])
        }
        false => finding,
    };
    Some(match old {
        Some(old) => finding.seen("version in the base", version(old)),
        None => finding,
    })
}

/// P3: said only where a merge of databases is to be made, as for P1.
pub fn new_in_the_candidate(look: &Look, row: &Row) -> Option<Finding> {
    look.triple(STATUS.as_bytes())?;
    let new = row.new.filter(|new| row.fate == Fate::New && new.state.has_files())?;
    let takes = "adds it to the profile's database";
    Some(
        Finding::package(Class::P3, Severity::Harmless, &named(look, new), takes)
            .seen("version in the candidate", version(new)),
    )
}
