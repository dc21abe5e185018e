//! `flipper-base rollback`: what the last flip moved goes back to the points before it, in one entry.

use std::collections::BTreeMap;

use crate::model::entry::{FROM_BASE, MOVED};
use crate::model::error::{Error, Exit, Result};
use crate::model::{BaseVersion, Entry, EntryNumber, Kind, ProfileId, State};
use crate::policy::descent::{History, changes};
use crate::policy::undo::Ask;
use crate::system::locks::Lock;
use crate::system::{driver, files};

use super::base_flip::base_is_current;
use super::cli::{self, Common};
use super::session::Session;
use super::{now, report, stage, undo_plan};

/// A profile that the flip moved.
enum Goes {
    Back(EntryNumber),
    /// It stays where it is: why.
    Stays(String),
}

pub fn run(common: &Common, args: &cli::Rollback) -> Result<Exit> {
    let session = if args.dry_run { Session::to_read(common)? } else { Session::to_change(common)? };
    session.need_outside("a rollback")?;
    let layout = &session.pool.layout;
    let _lock = if args.dry_run { None } else { Some(Lock::take_soon(&layout.base_lock(), "the bases")?) };
    let flip = last_flip(&session)?;
    let from = base_before(&flip)?;
    if !layout.base(&from).is_dir() {
        return Err(Error::NoSuchBase { version: from });
    }
    let mut goes = look(&session, &flip, args.all)?;
    tell(common, &from, &goes, "would go back");
    if args.dry_run {
        return Ok(exit(&goes));
    }
    report::confirm(&format!("go back to base {from}?"), common.yes)?;
    let mut entry = begin(&session, &flip, &from)?;
    let moved = put_back(&session, &mut goes);
    base_is_current(&session, &from)?; // the visible moment of the pool
    let numbers = moved.iter().map(|(id, number)| (id.clone(), number.get().into()));
    entry.more.insert(MOVED.into(), serde_json::Value::Object(numbers.collect()));
    let outcome = format!("{} back on base {from}", report::count(moved.len(), "profile is", "profiles are"));
    stage::close(&session, &mut entry, State::Completed, Some(outcome))?;
    tell(common, &from, &goes, "is back");
    Ok(exit(&goes))
}

/// The newest flip that no rollback took back.
fn last_flip(session: &Session) -> Result<Entry> {
    let entries = session.journal.entries(None)?.entries;
    let back: Vec<EntryNumber> =
        entries.iter().filter(|e| e.kind == Kind::Rollback).filter_map(|e| e.target).collect();
    let mut newest_first = entries.into_iter().rev();
    let flip = newest_first.find(|entry| entry.kind == Kind::Flip && !back.contains(&entry.number));
    flip.ok_or_else(|| Error::Usage("there is no flip to take back".into()))
}

fn base_before(flip: &Entry) -> Result<BaseVersion> {
    let text = flip.more.get(FROM_BASE).and_then(|base| base.as_str()).unwrap_or_default();
    text.parse()
}

fn look(session: &Session, flip: &Entry, all: bool) -> Result<BTreeMap<ProfileId, Goes>> {
    let mut goes = BTreeMap::new();
    for (id, number) in moved(session, flip)? {
        let one = one(session, &id, number, all).unwrap_or_else(|error| Goes::Stays(error.to_string()));
        goes.insert(id, one);
    }
    Ok(goes)
}

/// As the flip noted it; of one that was cut, whoever was rebased to its base since.
fn moved(session: &Session, flip: &Entry) -> Result<Vec<(ProfileId, EntryNumber)>> {
    if let Some(noted) = flip.more.get(MOVED).and_then(|moved| moved.as_object()) {
        let parse = |(id, number): (&String, &serde_json::Value)| {
            Some((id.parse().ok()?, number.as_u64()?.to_string().parse().ok()?))
        };
        return Ok(noted.iter().filter_map(parse).collect());
    }
    let mut found = Vec::new();
    for id in session.profiles()? {
        let of_it = |e: &&Entry| {
            let moves = e.kind == Kind::Rebase && e.state == State::Completed;
            moves && e.base == flip.base && e.number > flip.number
        };
        let entries = session.facts(&id)?.entries;
        found.extend(entries.iter().find(of_it).map(|entry| (id.clone(), entry.number)));
    }
    Ok(found)
}

fn one(session: &Session, id: &ProfileId, number: EntryNumber, all: bool) -> Result<Goes> {
    let facts = undo_plan::look(session, Some(id.as_str()))?;
    let history = History::new(&facts.entries);
    if !history.contains(facts.current, number) {
        return Ok(Goes::Stays("it went elsewhere since".into()));
    }
    let since =
        history.line(facts.current).into_iter().filter(|e| changes(e)).take_while(|e| e.number != number);
    match since.count() {
        0 => Ok(Goes::Back(number)),
        _ if all => Ok(Goes::Back(number)),
        count => Ok(Goes::Stays(format!(
            "{} since the flip: --all takes that back too",
            report::count(count, "change", "changes")
        ))),
    }
}

fn begin(session: &Session, flip: &Entry, from: &BaseVersion) -> Result<Entry> {
    let entry = session.journal.lock()?.begin(Kind::Rollback, now(), |entry| {
        entry.base = Some(from.clone());
        entry.target = Some(flip.number);
        entry.person = Some(driver::person("/".as_ref()));
        entry.command_line = Some("flipper-base rollback".into());
    })?;
    files::sync_file_system(session.pool.layout.top())?;
    Ok(entry)
}

/// Each as `flipper-undo N` would.
fn put_back(session: &Session, goes: &mut BTreeMap<ProfileId, Goes>) -> BTreeMap<String, EntryNumber> {
    let mut back = BTreeMap::new();
    for (id, goes) in goes.iter_mut() {
        let Goes::Back(number) = goes else { continue };
        let done = session.lock_profile(id).and_then(|_lock| {
            let facts = undo_plan::look(session, Some(id.as_str()))?;
            let plan = undo_plan::plan(&facts, Ask::To(*number))?;
            stage::act(session, &facts, &plan, &Default::default(), &[])
        });
        match done {
            Ok(staged) => drop(back.insert(id.to_string(), staged.entry.number)),
            Err(error) => *goes = Goes::Stays(error.to_string()),
        }
    }
    back
}

fn tell(common: &Common, from: &BaseVersion, goes: &BTreeMap<ProfileId, Goes>, back: &str) {
    let word = |goes: &Goes| match goes {
        Goes::Back(_) => back.to_owned(),
        Goes::Stays(why) => format!("stays: {why}"),
    };
    if common.json {
        let all = goes.iter().map(|(id, goes)| (id.to_string(), word(goes).into()));
        report::json(
            &serde_json::json!({"base": from, "profiles": serde_json::Value::Object(all.collect())}),
        );
        return;
    }
    let rows: Vec<Vec<String>> = goes.iter().map(|(id, goes)| vec![id.to_string(), word(goes)]).collect();
    report::table(&rows);
}

fn exit(goes: &BTreeMap<ProfileId, Goes>) -> Exit {
    let stays = goes.values().any(|goes| matches!(goes, Goes::Stays(_)));
    if stays { Exit::Attention } else { Exit::Done }
}
