//! `flipper-base list`: each base, what it is for whom, how it came, what it takes, and who stands on it.

use serde_json::{Value, json};

use crate::model::entry::DELTA_TO;
use crate::model::error::{Exit, Result};
use crate::model::{BaseVersion, Entry, Kind, State};
use crate::policy::space::{Sizes, Space};
use crate::system::{base, btrfs};

use super::cli::Common;
use super::report::space::{size_cell, size_title};
use super::session::Session;
use super::space_parts::Group;
use super::{base_standing, report, space};

/// What the list says of a base.
struct Row {
    version: BaseVersion,
    /// New profiles stand on it.
    current: bool,
    /// One falls back to it.
    good: bool,
    /// The entry it came with, where there is one.
    came: Option<Entry>,
    /// None: could not be measured.
    sizes: Option<Sizes>,
    users: Vec<String>,
}

pub fn run(common: &Common) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let rows = look(&session)?;
    match common.json {
        true => report::json(&rows.iter().map(value).collect::<Vec<_>>().into()),
        false => people(&rows),
    }
    Ok(Exit::Done)
}

fn look(session: &Session) -> Result<Vec<Row>> {
    let layout = &session.pool.layout;
    let (current, good) = (base::current(layout)?, base::good(layout)?);
    let entries = session.journal.entries(None)?.entries;
    let measured = space::measure(session);
    if let Err(error) = &measured {
        report::note(format_args!("note: what they take is not known: {error}"));
    }
    let space = measured.as_ref().ok().map(|found| Space::new(&found.holdings));
    let mut rows = Vec::new();
    for version in base::versions(layout)? {
        let id = btrfs::subvolume_id(&layout.base(&version))?;
        rows.push(Row {
            current: current.as_ref() == Some(&version),
            good: good.as_ref() == Some(&version),
            came: came(&entries, &version).cloned(),
            sizes: space.as_ref().map(|space| space.of(&Group::from([id]))),
            users: base_standing::on(session, &version)?.iter().map(base_standing::short).collect(),
            version,
        });
    }
    Ok(rows)
}

/// The newest: a base of this name may have been here before.
fn came<'a>(entries: &'a [Entry], version: &BaseVersion) -> Option<&'a Entry> {
    entries.iter().rev().find(|entry| {
        let brings = matches!(entry.kind, Kind::Import | Kind::Receive);
        // One that was cut after its moment is still open, and closed by the next change.
        let happened = matches!(entry.state, State::Completed | State::Open);
        brings && happened && entry.base.as_ref() == Some(version)
    })
}

fn how(entry: &Entry) -> &'static str {
    if entry.kind == Kind::Receive { "received" } else { "imported" }
}

impl Row {
    /// Published, and not what new profiles stand on.
    fn role(&self) -> &'static str {
        match (self.current, self.good) {
            (true, true) => "current, last good",
            (true, false) => "current",
            (false, true) => "last good",
            (false, false) => "candidate",
        }
    }
}

fn people(rows: &[Row]) {
    let mut table = vec![["VERSION", "", "CAME"].map(str::to_owned).to_vec()];
    table[0].extend(["UNIQUE", "TOTAL"].map(size_title));
    table[0].push("WHO STANDS ON IT".to_owned());
    for row in rows {
        let came = row.came.as_ref().map_or("-".to_owned(), |entry| {
            let delta = entry.more.get(DELTA_TO).and_then(Value::as_str);
            let delta = delta.map_or(String::new(), |parent| format!(", delta to {parent}"));
            format!("{} {}{delta}", how(entry), report::when(&entry.started))
        });
        let mut cells = vec![row.version.to_string(), row.role().to_owned(), came];
        let sizes = row.sizes.map(|sizes| [sizes.unique, sizes.total()].map(size_cell));
        cells.extend(sizes.unwrap_or_else(|| ["-", "-"].map(size_title)));
        cells.push(if row.users.is_empty() { "-".to_owned() } else { row.users.join(", ") });
        table.push(cells);
    }
    report::table(&table);
}

/// Sizes in bytes.
fn value(row: &Row) -> Value {
    let came = row.came.as_ref().map(|entry| {
        json!({
            "how": how(entry), "entry": entry.number, "when": entry.started,
            "delta_to": entry.more.get(DELTA_TO),
        })
    });
    json!({
        "version": row.version, "current": row.current, "good": row.good,
        "candidate": !row.current && !row.good, "came": came,
        "unique": row.sizes.map(|sizes| sizes.unique), "shared": row.sizes.map(|sizes| sizes.shared),
        "total": row.sizes.map(|sizes| sizes.total()), "users": row.users,
    })
}
