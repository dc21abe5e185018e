//! Packages that have another architecture in the candidate, or another Multi-Arch: dpkg's records of them
//! have another name (P17).

use crate::model::tree;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity};
use crate::policy::check::side::stem;

use super::named;

const INFO: &[u8] = b"var/lib/dpkg/info";

/// The candidate is made for another machine.
pub fn of_the_candidate(look: &Look) -> Option<Finding> {
    let (old, new) = (look.old.native(), look.new.native());
    (old != new && !old.is_empty() && !new.is_empty()).then(|| {
        let refused = "is refused: the candidate is made for another machine";
        Finding::package(Class::P17, Severity::Blocker, "dpkg", refused)
            .seen("architecture of the base", old)
            .seen("architecture of the candidate", new)
    })
}

/// The candidate's package takes the place of one with records of another name in the upper.
pub fn changed(look: &Look, row: &Row) -> Option<Finding> {
    let (mine, new) = (row.mine?, row.new?);
    let (was, is) = (stem(mine), stem(new));
    if was == is || !matches!(row.fate, Fate::Inherit | Fate::Superseded) {
        return None;
    }
    let prefix = [INFO, b"/", was.as_bytes(), b"."].concat();
    let start = look.trees.triples.partition_point(|t| tree::order(&t.path, &prefix).is_lt());
    let records = look.trees.triples[start..].iter().take_while(|t| t.path.starts_with(&prefix));
    let records = records.filter(|triple| triple.mine.is_some()).count();
    (records > 0).then(|| {
        let takes = "takes the candidate's records, and removes those under the other name";
        Finding::package(Class::P17, Severity::Automatic, &named(look, mine), takes)
            .seen("records in the profile", format!("{was}.*"))
            .seen("records in the candidate", format!("{is}.*"))
    })
}
