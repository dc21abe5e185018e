//! `flipper-profile pin` and `unpin`: a point that stays whatever the rules say. Pins belong to the
//! profile, not to a root: no undo takes one back.

use crate::model::error::{Error, Exit, Result};
use crate::model::id::StateRef;
use crate::model::layout::ProfileDir;
use crate::model::profile::Pin;
use crate::model::{EntryNumber, ProfileId};
use crate::system::locks::Lock;

use super::cli::Common;
use super::session::Session;
use super::set::need_one_line;
use super::{now, pruned, report};

pub fn pin(common: &Common, point: &str, note: String) -> Result<Exit> {
    let (id, number) = point_of(point)?;
    need_one_line("note", &note)?;
    let session = Session::to_change(common)?;
    let dir = session.need_profile(&id)?;
    let _lock = session.lock_profile(&id)?;
    if !dir.point(number).path().is_dir() {
        return Err(pruned::name(&session, &id, Error::PointMissing { number }));
    }
    let mut profile = session.describe(&dir)?;
    profile.pins.retain(|pin| pin.point != number);
    profile.pins.push(Pin { point: number, note, since: now() });
    profile.pins.sort_by_key(|pin| pin.point);
    session.write_description(&dir, &profile)?; // the visible moment
    let value = serde_json::json!({"profile": id, "pinned": number});
    report::done(common.json, value, format_args!("{id}@{number} is pinned: it stays until it is unpinned"));
    Ok(Exit::Done)
}

/// Also in a deleted profile, which its pins would keep for ever.
pub fn unpin(common: &Common, point: &str) -> Result<Exit> {
    let (id, number) = point_of(point)?;
    let session = Session::to_change(common)?;
    let dir = profile_or_deleted(&session, &id)?;
    let _lock = Lock::take_soon(&dir.lock(), &format!("profile {id}"))?;
    let mut profile = session.describe(&dir)?;
    let pins = profile.pins.len();
    profile.pins.retain(|pin| pin.point != number);
    if profile.pins.len() == pins {
        return Err(Error::NotPinned { number });
    }
    session.write_description(&dir, &profile)?; // the visible moment
    let value = serde_json::json!({"profile": id, "unpinned": number});
    report::done(common.json, value, format_args!("{id}@{number} is left to the rules again"));
    Ok(Exit::Done)
}

fn profile_or_deleted(session: &Session, id: &ProfileId) -> Result<ProfileDir> {
    match session.need_profile(id) {
        Err(Error::ProfileDeleted { entry, .. }) => Ok(session.pool.layout.deleted_profile(id, entry)),
        other => other,
    }
}

fn point_of(text: &str) -> Result<(ProfileId, EntryNumber)> {
    let state: StateRef = text.parse()?;
    match state.point {
        Some(number) => Ok((state.profile, number)),
        None => Err(Error::Usage(format!("{text:?} names no point: give ID@N, the state before entry N"))),
    }
}
