//! `flipper-undo --list` and `--show N`.

use crate::model::carried::Keeps;
use crate::model::entry::Action;
use crate::model::error::{Error, Exit, Result};
use crate::model::{Entry, EntryNumber, Kind};
use crate::policy::descent::{History, changes};
use crate::policy::outcome;
use crate::policy::span::{self, Kept, Span};
use crate::policy::undo::went_with;
use crate::system::roots;

use super::cli::Common;
use super::compared::{Compared, compare};
use super::report::difference::Length;
use super::session::{ProfileFacts, Session};
use super::{keep, pruned, report, undo_plan};

/// What can be taken back, newest first: the changes in the line of descent, and the undos, redos,
/// leftovers and saves whose state can be returned to by number.
pub fn list(common: &Common, profile: Option<&str>) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let facts = undo_plan::look(&session, profile)?;
    let history = History::new(&facts.entries);
    let in_line = |entry: &Entry| changes(entry) && history.contains(facts.current, entry.number);
    let by_number = |entry: &Entry| entry.kind.is_destination();
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

/// One entry whole: what was intended, how it ended, and what is different since it.
pub fn show(common: &Common, profile: Option<&str>, number: EntryNumber, length: Length) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let facts = undo_plan::look(&session, profile)?;
    let entry = facts.entries.iter().find(|e| e.number == number);
    let entry = entry.ok_or(Error::NoSuchEntry { number })?;
    let roots = roots::numbers(&facts.dir.roots())?;
    let span = span::of_entry(&History::new(&facts.entries), &facts.points, &roots, number);
    let state = |kept: Kept| match kept {
        Kept::Point(number) => facts.dir.point(number),
        Kept::Root(number) => facts.dir.root(number),
    };
    let compared = span.as_ref().map(|span| compare(&session, state(span.from), state(span.to), None));
    let compared = compared.transpose()?;
    if common.json {
        let mut value = serde_json::to_value(entry).unwrap_or_default();
        if let (Some(compared), Some(span)) = (&compared, &span) {
            value["difference"] = report::difference::json(compared);
            value["difference"]["mixed_in"] = serde_json::to_value(&span.mixed).unwrap_or_default();
        }
        report::json(&value);
        return Ok(Exit::Done);
    }
    entry_rows(&session, &facts, entry)?;
    match (compared, span) {
        (Some(compared), Some(span)) => files(compared, &span, entry, length),
        _ => report::line("the files it changed cannot be told: a state beside it is not kept"),
    }
    Ok(Exit::Done)
}

fn entry_rows(session: &Session, facts: &ProfileFacts, entry: &Entry) -> Result<()> {
    report::line(entry_line(entry));
    let person = entry.person.as_ref().map(|p| p.name.clone().unwrap_or_else(|| p.uid.to_string()));
    let rows = [
        ("state", Some(entry.state.name().to_owned())),
        ("outcome", entry.outcome.clone()),
        ("command", entry.command_line.clone()),
        ("decided", Some(entry.decided().collect::<Vec<_>>().join(", ")).filter(|said| !said.is_empty())),
        ("kept", keep::sentence(&Keeps::of(entry))),
        ("by", person),
        ("comment", entry.comment.clone()),
        ("started", Some(report::when(&entry.started))),
        ("ended", entry.ended.as_deref().map(report::when)),
        ("base", entry.base.as_ref().map(ToString::to_string)),
        ("point", Some(point_word(session, facts, entry.number)?)),
    ];
    let rows: Vec<Vec<String>> =
        rows.into_iter().filter_map(|(key, value)| Some(vec![format!("  {key}"), value?])).collect();
    report::table(&rows);
    report::table(&entry.changes.iter().map(report::change_row).collect::<Vec<_>>());
    entry.mended().for_each(|mended| report::line(format_args!("  {mended}")));
    if entry.kind == Kind::Left {
        what_went_with_it(facts, entry);
    }
    Ok(())
}

/// `kept`, `none`, or who pruned it.
fn point_word(session: &Session, facts: &ProfileFacts, number: EntryNumber) -> Result<String> {
    if facts.points.contains(&number) {
        return Ok("kept".to_owned());
    }
    let by = pruned::points(session, &facts.id)?.remove(&number);
    Ok(by.map_or("none".to_owned(), |by| {
        format!("pruned {} (entry {})", report::when(&by.started), by.number)
    }))
}

/// The entries that went with the root that was left: those made there after the undo.
fn what_went_with_it(facts: &ProfileFacts, left: &Entry) {
    let Some((_, entries)) = went_with(&facts.entries, left) else { return };
    for number in entries.iter().rev() {
        let entry = facts.entries.iter().find(|entry| entry.number == *number);
        entry.iter().for_each(|entry| report::line(format_args!("  with entry {}", entry_line(entry))));
    }
    report::line(format_args!("  flipper-undo {} returns to it", left.number));
}

/// What lies between the states around the entry: its own work, and whatever else happened until the
/// later one was taken.
fn files(mut compared: Compared, span: &Span, entry: &Entry, length: Length) {
    let until = match span.to {
        Kept::Point(next) if Some(next) == entry.target => "the state it returned to".to_owned(),
        Kept::Point(next) if next == entry.number => "the end of the root that was left".to_owned(),
        Kept::Point(next) => format!("the state before entry {next}"),
        Kept::Root(_) => "now".to_owned(),
    };
    let from = match span.from {
        Kept::Point(first) if first != entry.number => format!("the state before entry {first}"),
        _ => "the state before it".to_owned(),
    };
    report::line(format_args!("from {from} to {until}, what was done by hand meanwhile included:"));
    if !span.mixed.is_empty() {
        let mixed: Vec<String> = span.mixed.iter().map(ToString::to_string).collect();
        let which = if mixed.len() == 1 { "entry" } else { "entries" };
        report::line(format_args!("  mixed in, their points are not kept: {which} {}", mixed.join(", ")));
    }
    if span.mixed.is_empty() && !entry.changes.is_empty() {
        compared.packages = None; // the entry has said them
    }
    report::difference::page(&compared, length);
}

/// "57  2026-11-23 02:24  7 upgraded, 2 installed: nginx, nginx-common  (failed)"
pub fn entry_line(entry: &Entry) -> String {
    let counts = entry.counts();
    let mut what = outcome::summary(&counts);
    if counts.is_empty() && entry.kind != Kind::Packages {
        what = entry.target.map_or(entry.kind.name().to_owned(), |t| format!("{} of {t}", entry.kind.name()));
    }
    if let (Kind::Rebase, Some(base)) = (&entry.kind, &entry.base) {
        what = match counts.is_empty() {
            true => format!("rebase to base {base}"),
            false => format!("rebase to base {base}: {what}"),
        };
    }
    if let (Kind::Save | Kind::Repair, Some(note)) = (&entry.kind, says(entry)) {
        what = format!("{what}: {note}");
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

/// What a saved state is good for, or what a repair did.
fn says(entry: &Entry) -> Option<&String> {
    if entry.kind == Kind::Save { entry.comment.as_ref() } else { entry.outcome.as_ref() }
}
