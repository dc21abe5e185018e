//! `flipper-profile log`: a page of what happened, newest first, undone or not.

use crate::model::Entry;
use crate::model::error::{Exit, Result};
use crate::policy::descent::History;
use crate::system::index::Index;

use super::cli::Common;
use super::report::log::{LogRow, Paper, page};
use super::session::{ProfileFacts, Session};
use super::{pruned, recover, report, undo_plan};

pub fn run(common: &Common, id: Option<&str>, number: usize) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let mut facts = undo_plan::look(&session, id)?;
    if let Some(entries) = indexed(&session, &facts) {
        facts.entries = entries;
        recover::settle(&session, &mut facts.entries)?;
    }
    for damaged in &facts.damaged {
        report::note(format_args!("note: {} cannot be read and is left out", damaged.display()));
    }
    let newest: Vec<&Entry> = facts.entries.iter().rev().take(number).collect();
    if common.json {
        report::json(&serde_json::to_value(&newest).unwrap_or_default());
        return Ok(Exit::Done);
    }
    print(&facts, &newest, &pruned::points(&session, &facts.id)?);
    Ok(Exit::Done)
}

fn print(facts: &ProfileFacts, newest: &[&Entry], pruned: &pruned::Pruned) {
    let history = History::new(&facts.entries);
    let waiting = undo_plan::waiting(facts);
    let rows: Vec<LogRow> = newest
        .iter()
        .map(|entry| LogRow {
            entry,
            in_line: entry.number == facts.current || history.contains(facts.current, entry.number),
            point: facts.points.contains(&entry.number),
            pruned: pruned.get(&entry.number).map(|by| by.number),
            note: (waiting == Some(entry.number)).then(|| "waits until the running root is left".to_owned()),
        })
        .collect();
    let paper = Paper { colour: report::colour(), width: report::width(), when: &report::when };
    report::text(page(facts.id.as_str(), &rows, &history, facts.current, &paper));
}

/// From the index, brought up to date; when there is none to be had, the entry files serve.
fn indexed(session: &Session, facts: &ProfileFacts) -> Option<Vec<Entry>> {
    let read = || {
        let (mut index, made) = Index::open(&session.pool.layout)?;
        let refreshed = index.refresh(&session.journal)?;
        if made {
            let entries = report::count(refreshed.added, "entry", "entries");
            report::note(format_args!(
                "note: the journal's index was missing or damaged; made again from {entries}"
            ));
        }
        index.entries(Some(&facts.id))
    };
    read()
        .inspect_err(|error| report::note(format_args!("note: {error}; reading the entries themselves")))
        .ok()
}
