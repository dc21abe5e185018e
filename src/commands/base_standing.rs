//! Who stands on which base: roots, points and pristine states of profiles, published, deleted or in the
//! making. `list` says it, and `prune` decides by it.

use std::ffi::OsString;
use std::path::Path;

use crate::model::error::Result;
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{BaseVersion, EntryNumber};
use crate::policy::bases::{self, Base, Facts, Kept, Standing};
use crate::system::{base, files, mountinfo, refused, roots};

use super::report;
use super::session::Session;

/// Every base with the reasons it is kept for.
pub fn plan(session: &Session) -> Result<Vec<Kept>> {
    let layout = &session.pool.layout;
    let mut found = Vec::new();
    for version in base::versions(layout)? {
        let seen = mountinfo::find_overlay(&session.pool.tail(&layout.base(&version)))?;
        let mounted = seen.map(|seen| seen.mount.mount_point.display().to_string());
        found.push(Base { standing: on(session, &version)?, mounted, version });
    }
    let (current, good) = (base::current(layout)?, base::good(layout)?);
    Ok(bases::plan(&Facts { current: current.as_ref(), good: good.as_ref(), bases: &found }))
}

/// In the order of their names.
pub fn on(session: &Session, version: &BaseVersion) -> Result<Vec<Standing>> {
    let profiles = session.pool.layout.profiles();
    let mut found = Vec::new();
    for name in files::names(&profiles)? {
        let dir = ProfileDir::at(profiles.join(&name));
        let pristine = dir.pristine();
        let refused = refused::find(&dir)?.filter(|(_, root)| stands(root, version));
        let standing = Standing {
            refused: refused.map(|(number, _)| number),
            name: name.to_string_lossy().into_owned(),
            roots: numbers(&dir.roots(), version)?,
            points: numbers(&dir.snapshots(), version)?,
            pristine: pristine.path().is_dir() && stands(&pristine, version),
        };
        if standing != (Standing { name: standing.name.clone(), ..Standing::default() }) {
            found.push(standing);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// One that names no base cannot be proved free of this one: it counts.
fn stands(root: &RootDir, version: &BaseVersion) -> bool {
    roots::base_of(root).map_or(true, |base| base == *version)
}

/// What is in there under any other name than a number is nobody's to judge, and counts as the first.
fn numbers(made: &Path, version: &BaseVersion) -> Result<Vec<EntryNumber>> {
    let is_none = |name: &OsString| {
        let name = name.as_encoded_bytes();
        name.ends_with(b".state") || name.ends_with(b".refused")
    };
    let names = files::names(made)?.into_iter().filter(|name| !is_none(name));
    let standing = names.filter(|name| stands(&RootDir::at(made.join(name)), version));
    let number =
        |name: OsString| name.to_str().and_then(|name| name.parse().ok()).unwrap_or(EntryNumber::FIRST);
    let mut numbers: Vec<EntryNumber> = standing.map(number).collect();
    numbers.sort();
    Ok(numbers)
}

/// e.g. `lab`, `lab (3 points)`, `.deleted-lab-57`
pub fn short(standing: &Standing) -> String {
    let points = report::count(standing.points.len(), "point", "points");
    match (standing.roots.len(), standing.points.len()) {
        (0, 0) if standing.refused.is_some() => format!("{} (only a root that was refused)", standing.name),
        (0, 0) => format!("{} (only its pristine state)", standing.name),
        (_, 0) => standing.name.clone(),
        (0, _) => format!("{} (only {points})", standing.name),
        (_, _) => format!("{} ({points})", standing.name),
    }
}
