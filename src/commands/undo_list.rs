//! `flipper-undo --list` and `--show N`.

use crate::model::entry::Action;
use crate::model::error::{Error, Exit, Result};
use crate::model::{Entry, EntryNumber, Kind};
use crate::policy::descent::{History, changes};
use crate::policy::outcome;
use crate::policy::undo::went_with;

use super::cli::Common;
use super::session::{ProfileFacts, Session};
use super::{report, undo_plan};

/// What can be taken back, newest first: the changes in the line of descent, and the undos, redos and
/// leftovers whose state can be returned to by number.
pub fn list(common: &Common, profile: Option<&str>) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let facts = undo_plan::look(&session, profile)?;
    let history = History::new(&facts.entries);
    let in_line = |entry: &Entry| changes(entry) && history.contains(facts.current, entry.number);
    let by_number = |entry: &Entry| matches!(entry.kind.name(), "undo" | "redo" | "left");
    let offered: Vec<&Entry> = facts
        .entries
        .iter()
        .rev()
        .filter(|e| facts.points.contains(&e.number) && (in_line(e) || by_number(e)))
        .collect();
    if common.json {
        report::json(&serde_json::to_value(&offered).unwrap_or_default());
        return Ok(Exit::Done);
    }
    if offered.is_empty() {
        return Err(Error::NothingToUndo { profile: facts.id });
    }
    for entry in offered {
        let beside = if in_line(entry) { "" } else { "  (by number)" };
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
        ("point", Some(if facts.points.contains(&number) { "kept" } else { "none" }.to_owned())),
    ];
    let rows: Vec<Vec<String>> =
        rows.into_iter().filter_map(|(key, value)| Some(vec![format!("  {key}"), value?])).collect();
    report::table(&rows);
    report::table(&entry.changes.iter().map(change_row).collect::<Vec<_>>());
    if entry.kind == Kind::Left {
        show_what_was_left(&session, &facts, entry)?;
    }
    Ok(Exit::Done)
}

/// What went with the root that was left: the entries made there after the undo, and the conffiles that
/// somebody changed by hand, as long as both points are kept.
fn show_what_was_left(session: &Session, facts: &ProfileFacts, left: &Entry) -> Result<()> {
    let Some((since, entries)) = went_with(&facts.entries, left) else { return Ok(()) };
    for number in entries.iter().rev() {
        let entry = facts.entries.iter().find(|entry| entry.number == *number);
        entry.iter().for_each(|entry| report::line(format_args!("  with entry {}", entry_line(entry))));
    }
    if facts.points.contains(&since) && facts.points.contains(&left.number) {
        let (before, then) = (facts.dir.point(since), facts.dir.point(left.number));
        for path in undo_plan::conffiles_between(session, before, then)? {
            report::line(format_args!("  changed {}", path.display()));
        }
    }
    report::line(format_args!("  flipper-undo {} returns to it", left.number));
    Ok(())
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
