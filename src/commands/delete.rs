//! `flipper-profile delete`: the profile is set aside by one rename; `flipper-undo --profile ID`
//! brings it back until it is pruned.

use std::fs;

use crate::model::error::{At, Error, Exit, Result};
use crate::model::{Kind, ProfileId, State};
use crate::system::{driver, files, guard, roots};

use super::cli::Common;
use super::session::Session;
use super::{now, report, stage};

pub fn run(common: &Common, id: &str) -> Result<Exit> {
    let id: ProfileId = id.parse()?;
    let session = Session::to_change(common)?;
    session.need_outside("deleting a profile")?;
    let _lock = session.lock_profile(&id)?;
    let dir = session.need_profile(&id)?;
    if session.pool.default_profile()?.as_ref() == Some(&id) {
        return Err(Error::InUse { what: format!("profile {id}"), by: "it is the pool's default".into() });
    }
    // Every root stays claimed until the rename is done.
    let claimed: Vec<_> = roots::numbers(&dir.roots())?
        .into_iter()
        .map(|number| guard::claim(&session.pool, &dir.root(number)))
        .collect::<Result<_>>()?;
    report::confirm(&format!("delete profile {id}? flipper-undo --profile {id} brings it back"), common.yes)?;
    let current = roots::current(&dir)?;
    let mut entry = session.journal.lock()?.begin(Kind::Delete, now(), |entry| {
        entry.profile = Some(id.clone());
        entry.root = Some(current);
        entry.person = Some(driver::person("/".as_ref()));
    })?;
    files::sync_file_system(dir.path())?;
    let aside = session.pool.layout.deleted_profile(&id, entry.number);
    fs::rename(dir.path(), aside.path()).at("rename to", aside.path())?; // the visible moment
    files::sync_parent(aside.path())?;
    drop(claimed);
    stage::close(&session, &mut entry, State::Completed, None)?;
    let value = serde_json::json!({"deleted": id, "entry": entry.number});
    report::done(
        common.json,
        value,
        format_args!("deleted profile {id}; flipper-undo --profile {id} brings it back"),
    );
    Ok(Exit::Done)
}

/// Brings the newest deleted profile of this id back, under its own name.
pub fn undelete(session: &Session, id: &ProfileId) -> Result<Exit> {
    session.pool.need_writable_format()?;
    let (deleted_by, aside) = session.deleted(id)?.ok_or_else(|| Error::NoSuchProfile { id: id.clone() })?;
    report::note(format_args!("brings profile {id} back (deleted by entry {deleted_by})"));
    report::confirm("go on?", session.common.yes)?;
    let mut entry = session.journal.lock()?.begin(Kind::Undelete, now(), |entry| {
        entry.profile = Some(id.clone());
        entry.target = Some(deleted_by);
        entry.person = Some(driver::person("/".as_ref()));
    })?;
    files::sync_file_system(session.pool.layout.top())?;
    let home = session.pool.layout.profile(id);
    fs::rename(aside.path(), home.path()).at("rename to", home.path())?; // the visible moment
    files::sync_parent(home.path())?;
    stage::close(session, &mut entry, State::Completed, None)?;
    let value = serde_json::json!({"undeleted": id, "entry": entry.number});
    report::done(session.common.json, value, format_args!("profile {id} is back"));
    Ok(Exit::Done)
}
