//! `flipper-base mark-good [V]`: this base has proved itself. It is what one falls back to, and `prune` never
//! takes it.

use crate::model::error::{Error, Exit, Result};
use crate::model::{BaseVersion, Kind, State};
use crate::system::locks::Lock;
use crate::system::{base, btrfs, driver, files};

use super::cli::Common;
use super::session::Session;
use super::{now, report, stage};

pub fn run(common: &Common, version: Option<&str>) -> Result<Exit> {
    let named: Option<BaseVersion> = version.map(str::parse).transpose()?;
    let session = Session::to_change(common)?;
    let layout = &session.pool.layout;
    let _lock = Lock::take_soon(&layout.base_lock(), "the bases")?;
    let version = match named {
        Some(version) => version,
        None => base::current(layout)?.ok_or(Error::NoBaseYet)?,
    };
    if !btrfs::is_subvolume(&layout.base(&version)) {
        return Err(Error::NoSuchBase { version });
    }
    let before = base::good(layout)?;
    if before.as_ref() != Some(&version) {
        let mut entry = session.journal.lock()?.begin(Kind::MarkGood, now(), |entry| {
            entry.base = Some(version.clone());
            entry.person = Some(driver::person("/".as_ref()));
        })?;
        files::sync_file_system(layout.top())?;
        files::replace_symlink(version.as_str(), &layout.good_base())?; // the visible moment
        stage::close(
            &session,
            &mut entry,
            State::Completed,
            before.as_ref().map(|was| format!("before: {was}")),
        )?;
    }
    report::done(
        common.json,
        serde_json::json!({"good": version, "before": before}),
        format_args!("base {version} is last good"),
    );
    Ok(Exit::Done)
}
