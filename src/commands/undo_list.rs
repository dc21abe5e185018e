//! `flipper-undo --list` and `--show N`.

use crate::model::entry::Action;
use crate::model::error::{Error, Exit, Result};
use crate::model::{Entry, EntryNumber, Kind};
use crate::policy::descent::{History, changes};
use crate::policy::outcome;

use super::cli::Common;
use super::session::Session;
use super::{pruned, report, undo_plan};

/// What can be taken back, newest first: the changes in the line of descent, and the undos, redos and
/// leftovers whose state can be returned to by number.
pub fn list(common: &Common, profile: Option<&str>) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let facts = undo_plan::look(&session, profile)?;
    let history = History::new(&facts.entries);
    let in_line = |entry: &Entry| changes(entry) && history.contains(facts.current, entry.number);
    let by_number = |entry: &Entry| matches!(entry.kind.name(), "undo" | "redo" | "left");
    let pruned = pruned::points(&session, &facts.id)?;
    let there = |entry: &Entry| facts.points.contains(&entry.number);
    let known = |entry: &Entry| there(entry) || pruned.contains_key(&entry.number);
    let offered: Vec<&Entry> =
        facts.entries.iter().rev().filter(|e| known(e) && (in_line(e) || by_number(e))).collect();
    if common.json {
        let value = |entry: &&Entry| {
            let mut value = serde_json::to_value(entry).unwrap_or_default();
            if let (Some(by), false) = (pruned.get(&entry.number), there(entry)) {
                value["pruned"] = serde_json::json!(by.number);
            }
            value
        };
        report::json(&offered.iter().map(value).collect::<Vec<_>>().into());
        return Ok(Exit::Done);
    }
    if offered.is_empty() {
        return Err(Error::NothingToUndo { profile: facts.id });
    }
    for entry in offered {
        let beside = match (there(entry), in_line(entry)) {
            (false, _) => "  (point pruned)",
            (true, true) => "",
            (true, false) => "  (by number)",
        };
        report::line(format_args!("{}{beside}", entry_line(entry)));
    }
    Ok(Exit::Done)
}

pub fn show(common: &Common, profile: Option<&str>, number: EntryNumber) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let facts = undo_plan::look(&session, profile)?;
    let entry = facts.entries.iter().find(|e| e.number == number);
    let entry = entry.ok_or(Error::NoSuchEntry { number })?;
    if common.json {
        report::json(&serde_json::to_value(entry).unwrap_or_default());
        return Ok(Exit::Done);
    }
    report::line(entry_line(entry));
    let person = entry.person.as_ref().map(|p| p.name.clone().unwrap_or_else(|| p.uid.to_string()));
    let rows = [
        ("state", Some(entry.state.name().to_owned())),
        ("outcome", entry.outcome.clone()),
        ("command", entry.command_line.clone()),
        ("by", person),
        ("comment", entry.comment.clone()),
        ("started", Some(report::when(&entry.started))),
        ("ended", entry.ended.as_deref().map(report::when)),
        ("base", entry.base.as_ref().map(ToString::to_string)),
        ("point", Some(point_word(&session, &facts, number)?)),
    ];
    let rows: Vec<Vec<String>> =
        rows.into_iter().filter_map(|(key, value)| Some(vec![format!("  {key}"), value?])).collect();
    report::table(&rows);
    report::table(&entry.changes.iter().map(change_row).collect::<Vec<_>>());
    Ok(Exit::Done)
}

/// `kept`, `none`, or who pruned it.
fn point_word(
    session: &Session,
    facts: &super::session::ProfileFacts,
    number: EntryNumber,
) -> Result<String> {
    if facts.points.contains(&number) {
        return Ok("kept".to_owned());
    }
    let by = pruned::points(session, &facts.id)?.remove(&number);
    Ok(by.map_or("none".to_owned(), |by| {
        format!("pruned {} (entry {})", report::when(&by.started), by.number)
    }))
}

fn change_row(change: &crate::model::entry::Change) -> Vec<String> {
    let version = match (&change.old, &change.new) {
        (Some(old), Some(new)) if old != new => format!("{old} -> {new}"),
        (Some(version), _) | (None, Some(version)) => version.clone(),
        (None, None) => String::new(),
    };
    let mut marks: Vec<String> = Vec::new();
    marks.extend(change.archive.clone());
    marks.extend(change.security.then(|| "security".to_owned()));
    marks.extend((change.auto == Some(true)).then(|| "auto".to_owned()));
    marks.extend(change.stuck.clone());
    vec![
        format!("  {}", change.action.past()),
        format!("{}:{}", change.package, change.architecture),
        version,
        marks.join(", "),
    ]
}

/// "57  2026-11-23 02:24  7 upgraded, 2 installed: nginx, nginx-common  (failed)"
pub fn entry_line(entry: &Entry) -> String {
    let counts = entry.counts();
    let mut what = outcome::summary(&counts);
    if counts.is_empty() && entry.kind != Kind::Packages {
        what = entry.target.map_or(entry.kind.name().to_owned(), |t| format!("{} of {t}", entry.kind.name()));
    }
    let named = entry.changes.iter().filter(|c| c.action != Action::Mark).map(|c| c.package.as_str());
    let names: Vec<&str> = named.take(5).collect();
    if !names.is_empty() {
        what = format!("{what}: {}", names.join(", "));
    }
    let state = match entry.state {
        crate::model::State::Completed => String::new(),
        other => format!("  ({})", other.name()),
    };
    format!("{}  {}  {what}{state}", entry.number, report::when(&entry.started))
}
