//! `flipper-base rollback`: what the last flip moved goes back to the points before it, in one entry.

use std::collections::BTreeMap;

use crate::model::error::{Error, Exit, Result};
use crate::model::flip::Moved;
use crate::model::{BaseVersion, Entry, EntryNumber, Kind, ProfileId};
use crate::policy::descent::{History, changes};
use crate::policy::flip;
use crate::policy::undo::Ask;
use crate::system::locks::Lock;
use crate::system::reserve::{For, with_room};
use crate::system::{driver, files, roots};

use super::base_flip::base_is_current;
use super::cli::{self, Common};
use super::session::Session;
use super::{flips, now, report, stage, state_back, undo_plan};

/// A profile that the flip moved.
enum Goes {
    /// To before this entry.
    Back(EntryNumber),
    /// The root this entry made waits for the next start, and is dropped.
    Cancels(EntryNumber),
    /// It stands on that base.
    IsThere,
    /// It stays where it is: why.
    Stays(String),
}

pub fn run(common: &Common, args: &cli::Rollback) -> Result<Exit> {
    let session = if args.dry_run { Session::to_read(common)? } else { Session::to_change(common)? };
    session.need_outside("a rollback")?;
    let layout = &session.pool.layout;
    let _lock = if args.dry_run { None } else { Some(Lock::take_soon(&layout.base_lock(), "the bases")?) };
    let flips = flips::look(&session)?;
    let flip =
        flip::last(&flips.facts()).ok_or_else(|| Error::Usage("there is no flip to take back".into()))?;
    let from = flip.base_before().ok_or(Error::NoBaseYet)?;
    if !layout.base(&from).is_dir() {
        return Err(Error::NoSuchBase { version: from });
    }
    let mut goes = look(&session, &flip::moved(&flips.facts(), flip), &from, args.all);
    tell(common, &from, &goes, "would go back");
    if args.dry_run {
        return Ok(exit(&goes));
    }
    report::confirm(&format!("go back to base {from}?"), common.yes)?;
    let mut entry = begin(&session, flip, &from)?;
    let mut moved = Moved::new();
    let done = put_back(&session, &mut goes, &mut moved, common.yes)
        .and_then(|()| with_room(layout, For::Recovery, || base_is_current(&session, &from))); // the visible moment of the pool
    flips::finish(&session, &mut entry, &moved, "put back", &done)?;
    done?;
    tell(common, &from, &goes, "is back");
    Ok(exit(&goes))
}

fn look(session: &Session, moved: &Moved, from: &BaseVersion, all: bool) -> BTreeMap<ProfileId, Goes> {
    let one = |(id, number): (&ProfileId, &EntryNumber)| {
        let goes =
            one(session, id, *number, from, all).unwrap_or_else(|error| Goes::Stays(error.to_string()));
        (id.clone(), goes)
    };
    moved.iter().map(one).collect()
}

fn one(
    session: &Session,
    id: &ProfileId,
    number: EntryNumber,
    from: &BaseVersion,
    all: bool,
) -> Result<Goes> {
    let facts = undo_plan::look(session, Some(id.as_str()))?;
    let history = History::new(&facts.entries);
    if !history.contains(facts.current, number) {
        let stands_on = roots::base_of(&facts.dir.root(facts.current))?;
        let is_there = stands_on == *from;
        return Ok(if is_there { Goes::IsThere } else { Goes::Stays("it went elsewhere since".into()) });
    }
    if undo_plan::waiting(&facts) == Some(number) {
        return Ok(Goes::Cancels(number));
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

/// Each as `flipper-undo N` would, or `flipper-undo --cancel`.
fn put_back(
    session: &Session,
    goes: &mut BTreeMap<ProfileId, Goes>,
    back: &mut Moved,
    yes: bool,
) -> Result<()> {
    for (id, goes) in goes.iter_mut() {
        let (ask, waits) = match goes {
            Goes::Back(number) => (Ask::To(*number), None),
            Goes::Cancels(number) => (Ask::Cancel, Some(*number)),
            Goes::IsThere | Goes::Stays(_) => continue,
        };
        let done = session.lock_profile(id).and_then(|_lock| {
            let facts = undo_plan::look(session, Some(id.as_str()))?;
            if waits.is_some() && undo_plan::waiting(&facts) != waits {
                return Err(Error::Busy { what: format!("{id}: something happened there since") });
            }
            let plan = undo_plan::plan(&facts, ask)?;
            let back_in_state = state_back::look(session, &facts, &plan, &[])?.confirmed(yes);
            stage::act(session, &facts, &plan, &Default::default(), &back_in_state)
        });
        match done {
            Ok(staged) => drop(back.insert(id.clone(), staged.entry.number)),
            Err(error) if error.is_no_space() => return Err(error),
            Err(error) => *goes = Goes::Stays(error.to_string()),
        }
    }
    Ok(())
}

fn tell(common: &Common, from: &BaseVersion, goes: &BTreeMap<ProfileId, Goes>, back: &str) {
    let told = |goes: &Goes| match goes {
        Goes::Back(_) | Goes::Cancels(_) => back.to_owned(),
        Goes::IsThere => "is there already".to_owned(),
        Goes::Stays(why) => format!("stays: {why}"),
    };
    flips::tell(common, from, goes.iter().map(|(id, goes)| (id.clone(), told(goes))));
}

fn exit(goes: &BTreeMap<ProfileId, Goes>) -> Exit {
    let stays = goes.values().any(|goes| matches!(goes, Goes::Stays(_)));
    if stays { Exit::Attention } else { Exit::Done }
}
