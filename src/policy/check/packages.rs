//! Packages (classes P): what becomes of the package database and of each package.

use crate::model::error::Result;

use super::Look;
use super::class::Class;
use super::fates::{Fate, Row};
use super::finding::{Finding, Severity};
use super::side::{STATUS, shown};

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    outdated_database(look, found);
    for row in &look.rows {
        found.extend(versions(look, row));
    }
    Ok(())
}

/// P1: the profile has its own copy of the database, and packages it inherits have other versions in the
/// candidate.
fn outdated_database(look: &Look, found: &mut Vec<Finding>) {
    let copied = look.trees.triples.iter().any(|triple| triple.path == STATUS.as_bytes());
    let other = |row: &&Row| {
        let version = |package: Option<&crate::dpkg::status::Package>| {
            package.and_then(|p| p.version).map(str::to_owned)
        };
        match row.fate {
            Fate::Inherit => version(row.mine) != version(row.new),
            Fate::Dropped | Fate::New => true,
            _ => false,
        }
    };
    let outdated: Vec<&Row> = look.rows.iter().filter(other).collect();
    if copied && !outdated.is_empty() {
        let names: Vec<&str> = outdated.iter().take(5).map(|row| row.name).collect();
        let merged = "merges the package databases of the profile and the candidate";
        found.push(
            Finding::path(Class::P1, Severity::Automatic, STATUS.as_bytes(), merged)
                .seen("packages it would be wrong about", outdated.len().to_string())
                .seen("among them", names.join(", ")),
        );
    }
}

/// P4, P6: a package of the profile's own that the candidate has too.
fn versions(look: &Look, row: &Row) -> Option<Finding> {
    let (mine, new) = (row.mine_installed()?, row.new?);
    let class = if row.old.is_some_and(|old| old.state.has_files()) { Class::P4 } else { Class::P6 };
    let name = shown(mine, look.mine.native());
    let finding = match row.fate {
        Fate::Superseded => {
            Finding::package(class, Severity::Automatic, &name, "takes the candidate's package, it is as new")
        }
        Fate::Override => {
            let keeps = "keeps the profile's package on top of the candidate's older one";
            Finding::package(class, Severity::Decision, &name, keeps)
                .choice(format!("take the candidate's: flipper-profile rebase --take {name}"))
        }
        _ => return None,
    };
    Some(
        finding
            .seen("version in the profile", mine.version.unwrap_or_default())
            .seen("version in the candidate", new.version.unwrap_or_default()),
    )
}
