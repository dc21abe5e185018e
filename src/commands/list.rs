//! `flipper-profile list`: one line a profile.

use crate::model::ProfileId;
use crate::model::error::{Exit, Result};
use crate::system::{btrfs, pool, roots};

use super::cli::Common;
use super::report;
use super::session::Session;

/// What the list says of a profile.
struct Row {
    id: ProfileId,
    name: String,
    kind: String,
    base: String,
    created: String,
    last_used: Option<String>,
    origin: String,
    subvolume: u64,
    booted: bool,
    default: bool,
}

pub fn run(common: &Common, columns: bool) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let mut rows = Vec::new();
    let mut exit = Exit::Done;
    for id in session.profiles()? {
        match look(&session, id.clone()) {
            Ok(row) => rows.push(row),
            Err(error) => {
                report::note(format_args!("profile {id}: {error}"));
                exit = Exit::Attention;
            }
        }
    }
    match (common.json, columns) {
        (true, _) => report::json(&rows.iter().map(json).collect::<Vec<_>>().into()),
        (_, true) => screen(&rows),
        _ => people(&rows),
    }
    Ok(exit)
}

fn look(session: &Session, id: ProfileId) -> Result<Row> {
    let dir = session.need_profile(&id)?;
    let profile = session.describe(&dir)?;
    let root = dir.root(roots::current(&dir)?);
    let booted = pool::booted()?.is_some_and(|b| b.profile == id && b.pool == session.pool.uuid);
    let origin = match (&profile.origin.profile, profile.origin.point) {
        (Some(from), Some(point)) => format!("{from}@{point}"),
        (Some(from), None) => from.to_string(),
        (None, _) if profile.origin.builtin.is_some() => profile.origin.builtin.unwrap_or_default(),
        (None, _) => profile.origin.base.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    Ok(Row {
        base: roots::base_of(&root)?.to_string(),
        subvolume: btrfs::subvolume_id(root.path())?,
        default: session.pool.default_profile()?.as_ref() == Some(&id),
        name: profile.name,
        kind: profile.kind,
        created: profile.created,
        last_used: profile.last_used,
        origin,
        booted,
        id,
    })
}

fn people(rows: &[Row]) {
    let mut table = vec![["PROFILE", "NAME", "BASE", "CREATED", "FROM", ""].map(str::to_owned).to_vec()];
    for row in rows {
        let mut marks = Vec::new();
        marks.extend(row.booted.then_some("<- booted"));
        marks.extend(row.default.then_some("default"));
        table.push(vec![
            row.id.to_string(),
            row.name.clone(),
            row.base.clone(),
            report::when(&row.created),
            row.origin.clone(),
            marks.join(", "),
        ]);
    }
    report::table(&table);
}

/// The shape the device's screen reads: columns split on two or more blanks, `-` when empty.
fn screen(rows: &[Row]) {
    let header = ["NAME", "KIND", "ID", "CREATED", "LAST USED", "RO", "PARENT", "ORIGIN"];
    let mut table = vec![header.map(str::to_owned).to_vec()];
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    for row in rows {
        // The name is a cell of its own: two blanks in it would split it.
        let name = row.name.split_whitespace().collect::<Vec<_>>().join(" ");
        let mark = if row.booted { " <- booted" } else { "" };
        table.push(vec![
            format!("{name}{mark}"),
            "profile".to_owned(),
            row.subvolume.to_string(),
            report::when(&row.created),
            or_dash(row.last_used.as_deref().map(report::when).unwrap_or_default()),
            "-".to_owned(),
            or_dash(row.base.clone()),
            or_dash(row.origin.clone()),
        ]);
    }
    report::table(&table);
}

fn json(row: &Row) -> serde_json::Value {
    serde_json::json!({
        "id": row.id, "name": row.name, "kind": row.kind, "base": row.base, "created": row.created,
        "last_used": row.last_used, "origin": row.origin, "subvolume": row.subvolume,
        "booted": row.booted, "default": row.default,
    })
}
