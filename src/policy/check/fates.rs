//! What becomes of each package when the base below a profile is exchanged: the decision matrix. A package
//! is the base's as long as the profile did not touch it; then the candidate decides. What the profile
//! installed stays, unless the candidate has it at least as new.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::dpkg::status::{Package, PackageState};
use crate::dpkg::version;

use super::decided::{Answer, Decisions};
use super::side::{Side, shown};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// The profile has it as the old base had it: it is as the candidate has it.
    Inherit,
    /// The profile has it as the old base had it, and the candidate has it no more.
    Dropped,
    /// The profile's own version; the candidate's is at least as new and takes its place.
    Superseded,
    /// The profile's version of a package that the candidate has older: the profile's stays on top.
    Override,
    /// The candidate has no such package: the profile's stays.
    Keep,
    /// Removed in the profile, its settings kept (config-files); the candidate has it.
    RemovedWithSettings,
    /// Removed in the profile, its settings kept; the candidate does not have it either.
    SettingsOnly,
    /// Purged in the profile; the candidate has it.
    Removed,
    /// Removed in the profile, and something of the merge needs it: it is there again, as the candidate
    /// has it (see [`super::together`]).
    Restored,
    /// In the old base only.
    Gone,
    /// In the candidate only.
    New,
}

/// One package on all three sides. At least one is there.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    pub name: &'a str,
    pub architecture: &'a str,
    pub old: Option<&'a Package<'a>>,
    pub mine: Option<&'a Package<'a>>,
    pub new: Option<&'a Package<'a>>,
    pub fate: Fate,
}

impl<'a> Row<'a> {
    /// The paragraph the merged database has; None: no paragraph.
    pub fn merged(&self) -> Option<&'a Package<'a>> {
        match self.fate {
            Fate::Inherit | Fate::Superseded | Fate::New | Fate::Restored => self.new,
            Fate::Override | Fate::Keep | Fate::RemovedWithSettings | Fate::SettingsOnly => self.mine,
            Fate::Dropped | Fate::Removed | Fate::Gone => None,
        }
    }

    /// The candidate dropped it, and it stays as the old base has it.
    pub fn is_carried(&self) -> bool {
        self.fate == Fate::Keep && same(self.old, self.mine)
    }

    /// The version the profile has, where it is installed there.
    pub fn mine_installed(&self) -> Option<&'a Package<'a>> {
        self.mine.filter(|package| package.state.has_files())
    }
}

/// Every package of the three sides, by name.
pub fn rows<'a>(old: &'a Side<'a>, mine: &'a Side<'a>, new: &'a Side<'a>) -> Vec<Row<'a>> {
    let mut names: BTreeSet<(&str, &str)> = BTreeSet::new();
    for side in [new, mine, old] {
        for package in &side.status.packages {
            // `all` and the native architecture may have changed places: one row.
            let known = [new, mine].iter().any(|other| {
                !std::ptr::eq(*other, side)
                    && other.find(package.name, package.architecture).is_some_and(|found| {
                        found.architecture != package.architecture
                            && names.contains(&(found.name, found.architecture))
                    })
            });
            if !known {
                names.insert((package.name, package.architecture));
            }
        }
    }
    let row = |(name, architecture)| {
        let (old, mine, new) =
            (old.find(name, architecture), mine.find(name, architecture), new.find(name, architecture));
        let fate = fate(old, mine, new)?;
        Some(Row { name, architecture, old, mine, new, fate })
    };
    names.into_iter().filter_map(row).collect()
}

/// What the person decided of packages: not to keep what the profile has newer than the candidate (P4, P6), and
/// to carry along what the candidate drops (P2).
pub fn decide(rows: &mut [Row], decided: &Decisions, native: &str) {
    for row in rows.iter_mut().filter(|_| !decided.is_empty()) {
        let Some(mine) = row.mine_installed() else { continue };
        let is_there = row.new.is_some_and(|new| new.state.has_files());
        row.fate = match (row.fate, decided.of_package(&shown(mine, native))) {
            (Fate::Override, Some(Answer::New)) if is_there => Fate::Superseded,
            (Fate::Dropped, Some(Answer::Keep)) => Fate::Keep,
            (other, _) => other,
        };
    }
}

/// None: no side has more than a selection of it.
fn fate(old: Option<&Package>, mine: Option<&Package>, new: Option<&Package>) -> Option<Fate> {
    let there = |package: Option<&Package>| package.is_some_and(|p| p.state.has_files());
    let settings = |package: Option<&Package>| package.is_some_and(|p| p.state == PackageState::ConfigFiles);
    let known = |package: Option<&Package>| there(package) || settings(package);
    Some(match (known(old), known(mine), known(new)) {
        (_, false, false) => return known(old).then_some(Fate::Gone),
        (false, false, true) => Fate::New,
        (true, false, true) => Fate::Removed,
        (_, true, _) if settings(mine) => match (known(old) && same(old, mine), known(new)) {
            (true, true) => Fate::Inherit,
            (true, false) => Fate::Dropped,
            (false, true) if there(new) && !known(old) => Fate::Inherit,
            (false, true) => Fate::RemovedWithSettings,
            (false, false) => Fate::SettingsOnly,
        },
        (was, true, is) => match (was && same(old, mine), is, order(mine, new)) {
            (true, true, _) => Fate::Inherit,
            (true, false, _) => Fate::Dropped,
            (false, true, Ordering::Greater) => Fate::Override,
            // Installed in the profile, of the candidate only the settings.
            (false, true, _) if !there(new) => Fate::Override,
            (false, true, _) => Fate::Superseded,
            (false, false, _) => Fate::Keep,
        },
    })
}

/// Untouched: the same version in the same state, whatever somebody wants of it.
fn same(old: Option<&Package>, mine: Option<&Package>) -> bool {
    match (old, mine) {
        (Some(old), Some(mine)) => old.version == mine.version && old.state == mine.state,
        _ => false,
    }
}

fn order(mine: Option<&Package>, new: Option<&Package>) -> Ordering {
    let version = |package: Option<&Package>| package.and_then(|p| p.version).unwrap_or("").to_owned();
    version::compare(&version(mine), &version(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpkg::Status;

    fn one(word: &str) -> String {
        match word {
            "-" => String::new(),
            version => {
                let (state, version) = match version.strip_prefix("rc:") {
                    Some(version) => ("deinstall ok config-files", version),
                    None => ("install ok installed", version),
                };
                format!("Package: x\nStatus: {state}\nArchitecture: all\nVersion: {version}\n")
            }
        }
    }

    #[test]
    fn the_matrix() {
        use Fate::*;
        for (old, mine, new, wanted) in [
            ("1", "1", "2", Some(Inherit)),
            ("1", "1", "1", Some(Inherit)),
            ("2", "2", "1", Some(Inherit)),
            ("1", "1", "-", Some(Dropped)),
            ("1", "2", "2", Some(Superseded)),
            ("1", "2", "3", Some(Superseded)),
            ("1", "3", "2", Some(Override)),
            ("2", "1", "3", Some(Superseded)),
            ("1", "2", "-", Some(Keep)),
            ("1", "rc:1", "2", Some(RemovedWithSettings)),
            ("1", "rc:1", "-", Some(SettingsOnly)),
            ("1", "-", "2", Some(Removed)),
            ("1", "-", "-", Some(Gone)),
            ("-", "1", "-", Some(Keep)),
            ("-", "1", "1:0", Some(Superseded)),
            ("-", "2", "1", Some(Override)),
            ("-", "2", "2~rc1", Some(Override)),
            ("-", "rc:1", "1", Some(Inherit)),
            ("-", "rc:1", "-", Some(SettingsOnly)),
            ("-", "-", "1", Some(New)),
            ("rc:1", "rc:1", "1", Some(Inherit)),
            ("rc:1", "rc:1", "-", Some(Dropped)),
            ("rc:1", "1", "rc:1", Some(Override)),
            ("-", "-", "-", None),
        ] {
            let texts = [one(old), one(mine), one(new)];
            let parsed = texts.each_ref().map(|text| Status::parse(text.as_bytes()).unwrap());
            let package = |at: usize| parsed[at].packages.first();
            assert_eq!(fate(package(0), package(1), package(2)), wanted, "{old} {mine} {new}");
        }
    }
}
