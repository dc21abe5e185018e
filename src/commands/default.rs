//! `flipper-profile default [ID]`: the profile that is used when nobody names one.

use crate::model::error::{Exit, Result};
use crate::model::{Kind, ProfileId, State};
use crate::system::locks::Lock;
use crate::system::{driver, files};

use super::cli::Common;
use super::session::Session;
use super::{now, report, stage};

pub fn run(common: &Common, id: Option<&str>) -> Result<Exit> {
    let Some(id) = id else { return show(common) };
    let id: ProfileId = id.parse()?;
    let session = Session::to_change(common)?;
    session.need_profile(&id)?;
    let _lock = Lock::take_soon(&session.pool.layout.base_lock(), "the pool")?;
    let mut entry = session.journal.lock()?.begin(Kind::Default, now(), |entry| {
        entry.person = Some(driver::person("/".as_ref()));
        entry.outcome = Some(format!("the default is {id}"));
    })?;
    files::sync_file_system(session.pool.layout.top())?;
    let mut settings = session.pool.settings()?;
    settings.set("default", id.as_str());
    session.write_settings(&settings)?; // the visible moment
    let outcome = entry.outcome.clone();
    stage::close(&session, &mut entry, State::Completed, outcome)?;
    report::done(
        common.json,
        serde_json::json!({"default": id}),
        format_args!("the default profile is {id}"),
    );
    Ok(Exit::Done)
}

fn show(common: &Common) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let default = session.pool.default_profile()?;
    match (common.json, default) {
        (true, default) => report::json(&serde_json::json!({ "default": default })),
        (false, Some(id)) => report::line(id),
        (false, None) => report::note("no default profile is set"),
    }
    Ok(Exit::Done)
}
