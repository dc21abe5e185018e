//! The entries, the next number, and the index over them.

use std::collections::BTreeMap;

use crate::model::error::{Error, Result};
use crate::model::{Entry, EntryNumber, ProfileId, State};
use crate::system::files;

use super::{Findings, NEXT_CHANGE, pool};
use crate::commands::recover;
use crate::commands::session::Session;

pub fn check(session: &Session, findings: &mut Findings) -> Result<()> {
    let mut owners: Vec<Option<ProfileId>> = session.journal.profiles()?.into_iter().map(Some).collect();
    owners.push(None);
    let mut seen: BTreeMap<EntryNumber, String> = BTreeMap::new();
    for owner in &owners {
        let name = owner.as_ref().map_or(".pool".to_owned(), ToString::to_string);
        let found = session.journal.entries(owner.as_ref())?;
        for path in &found.damaged {
            let of = path.strip_prefix(session.pool.layout.top()).unwrap_or(path).display().to_string();
            let what = match session.journal.reread(path) {
                Err(Error::Damaged { why, .. }) => format!("it cannot be read: {why}"),
                _ => "it cannot be read".to_owned(),
            };
            findings.add("entry", of, what, "its point can still be cloned: flipper-rescue list names it");
        }
        for entry in &found.entries {
            if let Some(other) = seen.insert(entry.number, name.clone()) {
                let what = format!("entry {} is in {other} and in {name}", entry.number);
                findings.add(
                    "entry",
                    format!("@journal/entries/{name}"),
                    what,
                    "one is a copy: take it away",
                );
            }
        }
        open(session, owner.as_ref(), &found.entries, findings)?;
        let dir = session.pool.layout.entries(owner.as_ref());
        pool::written_aside(&dir, &format!("@journal/entries/{name}"), findings)?;
    }
    next(session, seen.keys().last().copied(), findings)?;
    index(session, findings);
    Ok(())
}

/// Open, and nobody is left who could close it: what recover would say.
fn open(
    session: &Session,
    owner: Option<&ProfileId>,
    entries: &[Entry],
    findings: &mut Findings,
) -> Result<()> {
    for entry in entries.iter().filter(|entry| entry.is_open()) {
        let (state, outcome) = recover::state_of(session, entry)?;
        if state != State::Open {
            let of = format!("{}: entry {}", owner.map_or("the pool", ProfileId::as_str), entry.number);
            let what =
                format!("it is open, and over: {}", outcome.unwrap_or_else(|| state.name().to_owned()));
            findings.add("open", of, what, NEXT_CHANGE);
        }
    }
    Ok(())
}

fn next(session: &Session, highest: Option<EntryNumber>, findings: &mut Findings) -> Result<()> {
    const REMEDY: &str = "the next entry finds the right one by itself";
    let text = files::read_line(&session.pool.layout.next())?;
    let highest = highest.map_or(0, EntryNumber::get);
    match text.trim_start_matches('0').parse::<u64>() {
        Ok(next) if next > highest => {}
        Ok(next) => {
            findings.add(
                "next",
                "@journal/next",
                format!("it says {next}, but entry {highest} exists"),
                REMEDY,
            );
        }
        Err(_) => findings.add("next", "@journal/next", "it cannot be read", REMEDY),
    }
    Ok(())
}

/// An index that is missing or behind is none: whoever reads it next brings it up to the entries. One
/// that takes itself for up to date and says something else would be believed.
#[cfg(feature = "index")]
fn index(session: &Session, findings: &mut Findings) {
    const REMEDY: &str = "make it again: flipper-profile journal rebuild";
    match crate::system::index::Index::lies(&session.pool.layout, &session.journal) {
        Ok(numbers) if numbers.is_empty() => {}
        Ok(numbers) => {
            let names: Vec<String> = numbers.iter().take(10).map(ToString::to_string).collect();
            let what = format!("it says something else than entries {}", names.join(", "));
            findings.add("index", "@journal/journal.db", what, REMEDY);
        }
        Err(error) => findings.add("index", "@journal/journal.db", error, REMEDY),
    }
}

#[cfg(not(feature = "index"))]
fn index(_session: &Session, _findings: &mut Findings) {}
