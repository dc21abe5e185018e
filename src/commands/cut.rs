//! How far a package run got that nobody closed: its plan against dpkg's database, together with what
//! dpkg had only noted in updates/ when it was cut.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::dpkg::Status;
use crate::model::entry::Cut;
use crate::model::layout::RootDir;
use crate::model::{Entry, Kind, Layout, State};
use crate::policy::outcome;
use crate::system::{files, roots, upper};

const DATABASE: &str = "var/lib/dpkg";

/// Notes in an interrupted package run where it was cut. Before anything repairs it; a database that
/// cannot be read says nothing.
pub fn note(layout: &Layout, entry: &mut Entry) {
    if entry.kind == Kind::Packages && entry.state == State::Interrupted && entry.cut.is_none() {
        entry.cut = look(layout, entry);
    }
}

fn look(layout: &Layout, entry: &Entry) -> Option<Cut> {
    let root = layout.profile(entry.profile.as_ref()?).root(entry.root?);
    let base = layout.base(&roots::base_of(&root).ok()?);
    let text = upper::read(&root, &base, format!("{DATABASE}/status")).ok()??;
    let updates = updates(&root)?;
    let mut status = Status::parse(&text).ok()?;
    for update in &updates {
        status.amend(Status::parse(update).ok()?);
    }
    let reached = outcome::progress(&entry.planned, &status);
    Some(Cut { reached, planned: entry.planned.len(), at: last_sign_of_life(&root, &entry.started) })
}

/// The files dpkg reads after its status, in the order of their names.
fn updates(root: &RootDir) -> Option<Vec<Vec<u8>>> {
    let dir = root.upper().join(DATABASE).join("updates");
    let mut names = files::names(&dir).ok()?;
    names.retain(|name| name.to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit())));
    names.sort();
    names.iter().map(|name| files::read_if_there(&dir.join(name)).ok()?).collect()
}

/// The newest change of dpkg's database; never before the run began.
fn last_sign_of_life(root: &RootDir, started: &str) -> String {
    let database = root.upper().join(DATABASE);
    let places = ["status", "updates", "info", "triggers"].map(|name| database.join(name));
    let noted = files::names(&places[1]).unwrap_or_default();
    let noted = noted.iter().map(|name| places[1].join(name));
    let changed = |path: std::path::PathBuf| path.symlink_metadata().and_then(|meta| meta.modified()).ok();
    let newest: Option<SystemTime> = places.iter().cloned().chain(noted).filter_map(changed).max();
    let newest = newest.map(DateTime::<Utc>::from);
    let began = DateTime::parse_from_rfc3339(started).ok().map(|time| time.with_timezone(&Utc));
    newest.max(began).map_or(started.to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
