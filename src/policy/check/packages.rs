//! Packages (classes P): what becomes of the package database and of each package.

use crate::dpkg::status::Package;
use crate::model::error::Result;

use super::Look;
use super::finding::Finding;
use super::side::shown;

mod architecture;
mod dropped;
mod relations;
mod removed;
pub mod shared;
mod states;
mod versions;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    if let Some(finding) = architecture::of_the_candidate(look) {
        found.push(finding);
        return Ok(()); // whatever else could be said of packages would only be noise
    }
    found.extend(versions::outdated_database(look));
    states::unsettled(look, found);
    states::automatic_marks(look, found)?;
    relations::find(look, found);
    dropped::find(look, found)?;
    shared::find(look, found)?;
    for row in &look.rows {
        found.extend(versions::own_version(look, row));
        found.extend(versions::new_in_the_candidate(look, row));
        found.extend(architecture::changed(look, row));
        found.extend(states::held(look, row));
        found.extend(relations::held_back(look, row));
        found.extend(removed::find(look, row)?);
    }
    Ok(())
}

/// A package as people name it in this profile.
fn named(look: &Look, package: &Package) -> String {
    shown(package, look.mine.native())
}

fn version<'a>(package: &Package<'a>) -> &'a str {
    package.version.unwrap_or("none")
}
