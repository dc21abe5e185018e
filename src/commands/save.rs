//! `flipper-profile save`: a point taken by hand. The entry is of its own kind, changes nothing, and its
//! point IS the saved state: `flipper-undo N` returns to it from wherever the profile went since. Plain
//! `flipper-undo` passes over it.

use crate::model::error::{Exit, Result};
use crate::model::{Entry, Kind, State};
use crate::system::{btrfs, driver, files, roots};

use super::cli::Common;
use super::session::{ProfileFacts, Session};
use super::{now, report, set, stage, undo_plan};

/// Refused while apt or dpkg is at work: halfway through a run is no state to return to. While an undo
/// waits, the running root is saved, because that is what the person sees.
pub fn run(common: &Common, id: Option<&str>, note: Option<&str>) -> Result<Exit> {
    let note = note.map(str::trim).filter(|text| !text.is_empty());
    set::need_one_line("note", note.unwrap_or_default())?;
    let session = Session::to_change(common)?;
    let id = session.profile(id)?;
    let _lock = session.lock_profile(&id)?;
    let facts = undo_plan::look(&session, Some(id.as_str()))?;
    let _still = stage::keep_packages_still(&session, &facts)?;
    let entry = save(&session, &facts, note)?;
    let number = entry.number;
    let value = serde_json::json!({"saved": id, "entry": number, "root": entry.root, "note": note});
    let what = match undo_plan::waiting(&facts) {
        Some(_) => format!("{id}, as it runs now,"),
        None => id.to_string(),
    };
    let sentence =
        format!("saved {what} as entry {number}; flipper-undo --profile {id} {number} returns to it");
    report::done(common.json, value, sentence);
    Ok(Exit::Done)
}

fn save(session: &Session, facts: &ProfileFacts, note: Option<&str>) -> Result<Entry> {
    let number = facts.in_use.unwrap_or(facts.current);
    let root = facts.dir.root(number);
    let base = roots::base_of(&root)?;
    let mut entry = session.journal.lock()?.begin(Kind::Save, now(), |entry| {
        entry.profile = Some(facts.id.clone());
        entry.root = Some(number);
        entry.base = Some(base);
        entry.point = true;
        entry.person = Some(driver::person("/".as_ref()));
        entry.comment = note.map(str::to_owned);
    })?;
    files::sync_file_system(session.pool.layout.top())?;
    btrfs::point(root.path(), facts.dir.point(entry.number).path())?; // the visible moment
    stage::close(session, &mut entry, State::Completed, None)?;
    Ok(entry)
}
