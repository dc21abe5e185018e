//! Packages of the base that the candidate has no more (P2): who needs them, and what is there in their
//! place; those somebody asked for (P22) or holds (P19).

use std::collections::HashSet;

use crate::dpkg::ExtendedStates;
use crate::dpkg::status::{Package, Want};
use crate::model::error::Result;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity};
use crate::policy::check::side::{STATUS, Side};
use crate::policy::check::together::alternatives;
use crate::policy::closure::{Need, PackageId};

use super::{named, version};

const MARKS: &[u8] = b"var/lib/apt/extended_states";
/// Without an archive, too.
const CARRIES: &str = "carries it along, with the files the old base has of it";
/// Names that are said of a list.
const NAMED: usize = 3;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let dropped: Vec<(&Row, &Package)> = look
        .rows
        .iter()
        .filter(|row| row.fate == Fate::Dropped || row.is_carried())
        .filter_map(|row| Some((row, row.mine_installed()?)))
        .collect();
    if dropped.is_empty() {
        return Ok(());
    }
    let marks = [marks(look.old)?, marks(look.mine)?];
    let names: HashSet<(&str, &str)> = dropped.iter().map(|(_, p)| (p.name, p.architecture)).collect();
    let needs = look.together.mine.needs(|id| names.contains(&(id.name, id.architecture)));
    for (row, mine) in dropped {
        let is_it = |id: &PackageId| (id.name, id.architecture) == (mine.name, mine.architecture);
        let needs: Vec<&Need> =
            needs.iter().filter(|(id, need)| is_it(id) && stays(look, need)).map(|(_, n)| n).collect();
        let finding = drops(look, mine, &needs).decides(Answer::New, &[(Answer::Keep, CARRIES)]);
        found.push(match row.is_carried() {
            true => Finding { rebase: "carries it along, what is carried along needs it".into(), ..finding },
            false => finding,
        });
        found.extend(missed(look, row, mine, &marks));
    }
    Ok(())
}

/// Who needs it is there after a rebase with the very same relation.
fn stays(look: &Look, need: &Need) -> bool {
    let row = look.together.row(&need.package).map(|at| &look.rows[at]);
    row.is_some_and(|row| matches!(row.fate, Fate::Keep | Fate::Override))
}

/// P2
fn drops(look: &Look, mine: &Package, needs: &[&Need]) -> Finding {
    let unmet = |need: &&&Need| {
        let is_it =
            |id: &PackageId| (id.name, id.architecture) == (need.package.name, need.package.architecture);
        look.together.broken.iter().any(|v| is_it(&v.package) && v.relation == need.relation)
    };
    let broken = needs.iter().filter(unmet).count();
    let (severity, rebase) = match (needs.is_empty(), broken) {
        // Without a database of its own the profile has nothing to be set right.
        (true, _) if look.triple(STATUS.as_bytes()).is_none() => {
            (Severity::Harmless, "lets it go with the base")
        }
        (true, _) => (Severity::Automatic, "lets it go with the base"),
        (false, 0) => (Severity::Automatic, "lets it go, another package of the candidate stands in for it"),
        (false, _) => (Severity::Automatic, "lets it go with the base, and changes what needs it"),
    };
    let finding = Finding::package(Class::P2, severity, &named(look, mine), rebase)
        .seen("version in the base", version(mine));
    let finding = match needs.is_empty() {
        true => finding,
        false => finding.seen("needed by", listed(needs.iter().map(|need| need.package.to_string()))),
    };
    let successors = successors(look, mine, needs);
    match successors.is_empty() {
        true => finding,
        false => finding.seen("in its place", listed(successors.into_iter())),
    }
}

/// What meets the needs now, or provides the name.
fn successors(look: &Look, mine: &Package, needs: &[&Need]) -> Vec<String> {
    let merged = &look.together.merged;
    let mut found: Vec<PackageId> = Vec::new();
    for need in needs {
        found.extend(merged.providers(&alternatives(&need.relation), need.package.architecture));
    }
    if needs.is_empty() {
        found.extend(merged.successors(mine.name).into_iter().map(|(id, _)| id));
    }
    found.sort();
    found.dedup();
    found.iter().map(|id| id.to_string()).collect()
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match more {
        0 => names.join(", "),
        more => format!("{}, and {more} more", names.join(", ")),
    }
}

/// P19, P22: somebody in the profile wanted it for itself.
fn missed(look: &Look, row: &Row, mine: &Package, marks: &[ExtendedStates; 2]) -> Option<Finding> {
    let [was_automatic, is_automatic] = marks.each_ref().map(|m| m.is_auto(mine.name, mine.architecture));
    let was_held = row.old.is_some_and(|old| old.want == Want::Hold);
    let (class, seen) = match () {
        () if mine.want == Want::Hold && !was_held => (Class::P19, "held"),
        () if was_automatic && !is_automatic => (Class::P22, "asked for"),
        () => return None,
    };
    let goes = if row.is_carried() { CARRIES } else { "lets it go with the base" };
    Some(
        Finding::package(class, Severity::Decision, &named(look, mine), goes)
            .seen("in the profile it is", seen)
            .decides(Answer::New, &[(Answer::Keep, CARRIES)])
            .choice(format!("stay on the base, or afterwards: apt install {}", mine.name)),
    )
}

fn marks<'a>(side: &Side<'a>) -> Result<ExtendedStates<'a>> {
    ExtendedStates::parse(&side.texts.extended_states).map_err(|error| side.damaged(MARKS, error))
}
