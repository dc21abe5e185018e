//! `flipper-base list`: each base and who stands on it.

use crate::model::BaseVersion;
use crate::model::error::{Exit, Result};
use crate::model::layout::RootDir;
use crate::system::{base, files, roots};

use super::cli::Common;
use super::report;
use super::session::Session;

pub fn run(common: &Common) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let current = base::current(&session.pool.layout)?;
    let mut rows = vec![["VERSION", "", "PROFILES"].map(str::to_owned).to_vec()];
    let mut list = Vec::new();
    for version in base::versions(&session.pool.layout)? {
        let users = users(&session, &version)?;
        let is_current = current.as_ref() == Some(&version);
        list.push(serde_json::json!({"version": version, "current": is_current, "users": users}));
        let mark = if is_current { "current" } else { "" };
        let who = if users.is_empty() { "-".to_owned() } else { users.join(", ") };
        rows.push(vec![version.to_string(), mark.to_owned(), who]);
    }
    match common.json {
        true => report::json(&list.into()),
        false => report::table(&rows),
    }
    Ok(Exit::Done)
}

/// Everything that stands on a base: roots and points of profiles, published, deleted or in the
/// making. e.g. `lab`, `lab (3 points)`, `.deleted-lab-57`
pub fn users(session: &Session, version: &BaseVersion) -> Result<Vec<String>> {
    let profiles = session.pool.layout.profiles();
    let mut users = Vec::new();
    for name in files::names(&profiles)? {
        let dir = crate::model::layout::ProfileDir::at(profiles.join(&name));
        let stands = |made: &std::path::Path| -> Result<usize> {
            let is_state = |name: &std::ffi::OsString| name.as_encoded_bytes().ends_with(b".state");
            let names = files::names(made)?.into_iter().filter(|name| !is_state(name));
            let roots = names.map(|name| RootDir::at(made.join(name)));
            // One that names no base cannot be proved free of this one: it counts.
            Ok(roots.filter(|root| roots::base_of(root).map_or(true, |base| base == *version)).count())
        };
        let (roots, points) = (stands(&dir.roots())?, stands(&dir.snapshots())?);
        let name = name.to_string_lossy().into_owned();
        let pristine = Some(dir.pristine()).filter(|pristine| pristine.path().is_dir());
        match (roots, points) {
            (0, 0)
                if pristine
                    .is_some_and(|state| roots::base_of(&state).is_ok_and(|base| base == *version)) =>
            {
                users.push(format!("{name} (only its pristine state)"));
            }
            (0, 0) => {}
            (_, 0) => users.push(name),
            (0, n) => users.push(format!("{name} (only {})", report::count(n, "point", "points"))),
            (_, n) => users.push(format!("{name} ({})", report::count(n, "point", "points"))),
        }
    }
    users.sort();
    Ok(users)
}
