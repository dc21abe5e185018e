//! `flipper-base prune V`: removes a base nothing stands on. The kernel would empty a running root
//! without a word, so every root and point is asked first.

use std::fs;

use crate::model::error::{At, Error, Exit, Result};
use crate::model::{BaseVersion, Kind, State};
use crate::system::locks::Lock;
use crate::system::{base, btrfs, driver, files, mountinfo};

use super::cli::Common;
use super::session::Session;
use super::{base_list, now, report, stage};

pub fn run(common: &Common, version: &str) -> Result<Exit> {
    let version: BaseVersion = version.parse()?;
    let session = Session::to_change(common)?;
    session.need_outside("removing a base")?;
    let layout = &session.pool.layout;
    let _lock = Lock::take_soon(&layout.base_lock(), "the bases")?;
    if !btrfs::is_subvolume(&layout.base(&version)) {
        return Err(Error::NoSuchBase { version });
    }
    need_unused(&session, &version)?;
    report::confirm(&format!("remove base {version} for good?"), common.yes)?;
    // A profile may have been made on it while the question stood. From here on none can: create holds
    // the base shared until its root names it.
    let _claimed = Lock::of_directory(&layout.base(&version), false)?
        .ok_or_else(|| Error::BaseInUse { version: version.clone(), by: "a profile being made".into() })?;
    need_unused(&session, &version)?;
    let mut entry = session.journal.lock()?.begin(Kind::PruneBase, now(), |entry| {
        entry.base = Some(version.clone());
        entry.person = Some(driver::person("/".as_ref()));
    })?;
    files::sync_file_system(layout.top())?;
    let aside = layout.bases().join(format!(".pruned-{version}"));
    btrfs::delete_if_there(&aside)?; // of a prune that was cut
    fs::rename(layout.base(&version), &aside).at("rename", &aside)?; // the visible moment
    files::remove_if_there(&layout.manifest(&version))?;
    files::sync_parent(&aside)?;
    btrfs::delete(&aside)?;
    stage::close(&session, &mut entry, State::Completed, None)?;
    report::done(
        common.json,
        serde_json::json!({"removed": version}),
        format_args!("removed base {version}"),
    );
    Ok(Exit::Done)
}

fn need_unused(session: &Session, version: &BaseVersion) -> Result<()> {
    let in_use = |by: String| Err(Error::BaseInUse { version: version.clone(), by });
    if base::current(&session.pool.layout)?.as_ref() == Some(version) {
        return in_use("every new profile: it is current".into());
    }
    if base::good(&session.pool.layout)?.as_ref() == Some(version) {
        return in_use("whoever falls back: it is last good".into());
    }
    let users = base_list::users(session, version)?;
    if !users.is_empty() {
        return in_use(users.join(", "));
    }
    match mountinfo::find_overlay(&session.pool.tail(&session.pool.layout.base(version)))? {
        Some(seen) => in_use(format!("what is mounted at {}", seen.mount.mount_point.display())),
        None => Ok(()),
    }
}
