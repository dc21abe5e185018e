//! Do the packages of the merged database hold together? What did not hold in the profile before is not the
//! candidate's doing. What the profile removed comes back where something of the merge cannot do without.

use std::collections::{HashMap, HashSet};

use crate::dpkg::deb822::Field;
use crate::dpkg::relations::{Alternative, Kind, Relations};
use crate::dpkg::status::{Package, Status};
use crate::model::error::Result;
use crate::policy::closure::{Installed, PackageId, Violation, Why};

use super::fates::{Fate, Row};
use super::side::{STATUS, Side};

pub struct Together<'a> {
    /// The packages of the profile.
    pub mine: Installed<'a>,
    /// Those of the merge.
    pub merged: Installed<'a>,
    /// What does not hold in the merge and did hold in the profile.
    pub broken: Vec<Violation<'a>>,
    /// What does not hold in the profile as it is.
    pub broken_before: Vec<Violation<'a>>,
    /// Does it not hold in the candidate alone either?
    broken_in_new: HashSet<Key>,
    /// Places of the rows, by what the merge has of them.
    rows: HashMap<(&'a str, &'a str), usize>,
    /// Who needs what comes back, by its name.
    pub restored_for: HashMap<&'a str, Vec<String>>,
}

/// A relation of a package, in whatever version.
type Key = (String, String, Kind, String);

pub fn key(violation: &Violation) -> Key {
    let PackageId { name, architecture, .. } = violation.package;
    (name.to_owned(), architecture.to_owned(), violation.kind, violation.relation.clone())
}

impl<'a> Together<'a> {
    /// Rows whose package comes back have the fate Restored afterwards.
    pub fn of(rows: &mut [Row<'a>], mine: &Side<'a>, new: &Side<'a>) -> Result<Together<'a>> {
        let native = if new.native().is_empty() { mine.native() } else { new.native() };
        let installed = |side: &Side<'a>, status: &Status<'a>| {
            Installed::new(status, native).map_err(|error| side.damaged(STATUS.as_bytes(), error))
        };
        let profile = installed(mine, &mine.status)?;
        let broken_before = profile.broken();
        let before: HashSet<Key> = broken_before.iter().map(key).collect();
        let broken_in_new = installed(new, &new.status)?.broken().iter().map(key).collect();
        let mut restored_for = HashMap::new();
        loop {
            let merged = installed(mine, &merged(rows))?;
            let mut broken = merged.broken();
            broken.retain(|violation| !before.contains(&key(violation)));
            let restored = restore(rows, &broken, &mut restored_for, native);
            if !carry(rows, &broken, native) && !restored {
                let rows = places(rows);
                let mine = profile;
                return Ok(Together {
                    mine,
                    merged,
                    broken,
                    broken_before,
                    broken_in_new,
                    rows,
                    restored_for,
                });
            }
        }
    }

    /// The candidate has this fault without any profile on it.
    pub fn is_of_the_candidate(&self, violation: &Violation) -> bool {
        self.broken_in_new.contains(&key(violation))
    }

    /// Where the row of a package of the merge is in the list.
    pub fn row(&self, id: &PackageId) -> Option<usize> {
        self.rows.get(&(id.name, id.architecture)).copied()
    }
}

fn merged<'a>(rows: &[Row<'a>]) -> Status<'a> {
    Status { packages: rows.iter().filter_map(|row| row.merged().cloned()).collect() }
}

fn places<'a>(rows: &[Row<'a>]) -> HashMap<(&'a str, &'a str), usize> {
    let merged = rows.iter().enumerate().filter_map(|(at, row)| Some((row.merged()?, at)));
    merged.map(|(package, at)| ((package.name, package.architecture), at)).collect()
}

/// Of the removed packages, those that the candidate has and that would meet what is not met. False: none.
fn restore<'a>(
    rows: &mut [Row<'a>],
    broken: &[Violation<'a>],
    restored_for: &mut HashMap<&'a str, Vec<String>>,
    native: &str,
) -> bool {
    let is_away = |row: &Row| matches!(row.fate, Fate::Removed | Fate::RemovedWithSettings);
    let away: Vec<Package> = rows.iter().filter(|row| is_away(row)).filter_map(|r| r.new.cloned()).collect();
    let unmet = |violation: &&Violation| !matches!(violation.why, Why::Present(_));
    if away.is_empty() || !broken.iter().any(|violation| unmet(&violation)) {
        return false;
    }
    let away = Status { packages: away };
    let Ok(away) = Installed::new(&away, native) else { return false };
    let mut any = false;
    for violation in broken.iter().filter(unmet) {
        let wanted = alternatives(&violation.relation);
        let Some(found) = away.providers(&wanted, violation.package.architecture).first().copied() else {
            continue;
        };
        let is_it = |row: &&mut Row<'a>| row.new.is_some_and(|p| id(p) == (found.name, found.architecture));
        if let Some(row) = rows.iter_mut().filter(|row| row.fate != Fate::New).find(is_it) {
            row.fate = Fate::Restored;
            let needs = format!("{} {}: {}", violation.package, violation.kind.name(), violation.relation);
            restored_for.entry(row.name).or_default().push(needs);
            any = true;
        }
    }
    any
}

/// What is carried along needs what the candidate drops with it: that is carried along, too. False: nothing.
fn carry(rows: &mut [Row], broken: &[Violation], native: &str) -> bool {
    let is_dropped = |row: &&Row| row.fate == Fate::Dropped && row.mine_installed().is_some();
    let dropped: Vec<Package> = rows.iter().filter(is_dropped).filter_map(|row| row.mine.cloned()).collect();
    let is_carried = |violation: &&Violation| {
        let name = (violation.package.name, violation.package.architecture);
        rows.iter().any(|row| row.is_carried() && row.mine.is_some_and(|mine| id(mine) == name))
    };
    let unmet = broken.iter().filter(is_carried).filter(|v| !matches!(v.why, Why::Present(_)));
    let dropped = Status { packages: dropped };
    let Ok(dropped) = Installed::new(&dropped, native) else { return false };
    let needed: Vec<(String, String)> = unmet
        .filter_map(|v| {
            dropped
                .providers(&alternatives(&v.relation), v.package.architecture)
                .first()
                .map(|found| (found.name.to_owned(), found.architecture.to_owned()))
        })
        .collect();
    let mut any = false;
    for row in rows.iter_mut().filter(|row| row.fate == Fate::Dropped) {
        let is_it =
            |(name, architecture): &(String, String)| row.mine.is_some_and(|m| id(m) == (name, architecture));
        if needed.iter().any(is_it) {
            row.fate = Fate::Keep;
            any = true;
        }
    }
    any
}

fn id<'a>(package: &Package<'a>) -> (&'a str, &'a str) {
    (package.name, package.architecture)
}

/// Of a relation as dpkg writes it.
pub fn alternatives(relation: &str) -> Vec<Alternative<'_>> {
    let field = Field { name: b"Depends", raw: relation.as_bytes(), line: 1 };
    Relations::new(Kind::Depends, &field).filter_map(|alternative| alternative.ok()).collect()
}
