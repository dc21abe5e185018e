//! `flipper-base import`: a Debian root becomes a read-only base with its manifest.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::entry::STREAM_UUID;
use crate::model::error::{At, Error, Exit, Result};
use crate::model::send_stream::uuid_text;
use crate::model::{BaseVersion, Entry, Kind, State};
use crate::system::locks::Lock;
use crate::system::{base, btrfs, driver, files, manifest, reserve};

use super::cli::Common;
use super::session::Session;
use super::{base_inspect, now, report, stage};

/// What to do with what a base should not carry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cleaning {
    Ask,
    Clean,
    Leave,
}

impl Cleaning {
    pub fn from(clean: bool, no_clean: bool) -> Cleaning {
        match (clean, no_clean) {
            (true, _) => Cleaning::Clean,
            (_, true) => Cleaning::Leave,
            _ => Cleaning::Ask,
        }
    }
}

pub fn run(common: &Common, source: &Path, version: &str, cleaning: Cleaning) -> Result<Exit> {
    let version: BaseVersion = version.parse()?;
    fs::metadata(source).at("look at", source)?;
    let session = Session::to_change(common)?;
    let layout = &session.pool.layout;
    let _lock = Lock::take_soon(&layout.base_lock(), "the bases")?;
    if layout.base(&version).exists() {
        return Err(Error::BaseExists { version });
    }
    let mut entry = session.journal.lock()?.begin(Kind::Import, now(), |entry| {
        entry.base = Some(version.clone());
        entry.person = Some(driver::person("/".as_ref()));
        entry.command_line = Some(format!("flipper-base import {}", source.display()));
    })?;
    files::sync_file_system(layout.top())?;
    let made = import(&session, source, &version, cleaning);
    match made {
        Ok(paths) => {
            note_uuid(&mut entry, &layout.base(&version))?;
            stage::close(&session, &mut entry, State::Completed, None)?;
            tell(&session, &version, paths)
        }
        Err(error) => Err(give_up(&session, &mut entry, error)),
    }
}

/// Takes away what there is of it and closes its entry. Where even that fails, recover does it; what the
/// person must know is why it failed.
pub fn give_up(session: &Session, entry: &mut Entry, error: Error) -> Error {
    let layout = &session.pool.layout;
    let removed = || -> Result<()> {
        let subvolume = btrfs::subvolume_id(&layout.incoming_base());
        btrfs::delete_if_there(&layout.incoming_base())?;
        entry.base.as_ref().map_or(Ok(()), |version| base::forget_manifest(layout, version))?;
        match (error.is_no_space(), subvolume) {
            // The entry wants room too, and a deleted subvolume gives it back a moment later.
            (true, Ok(id)) => reserve::wait_until_cleaned(layout, &[id], Duration::from_secs(20)),
            _ => Ok(()),
        }
    };
    let removed = removed();
    let closed = removed.and_then(|()| stage::close(session, entry, State::Failed, Some(error.to_string())));
    closed.unwrap_or_else(|other| report::note(format_args!("note: {other}")));
    error
}

fn import(session: &Session, source: &Path, version: &BaseVersion, cleaning: Cleaning) -> Result<u64> {
    let layout = &session.pool.layout;
    let spinner = report::progress("copying the root", 3);
    let root = base::extract(source, layout)?;
    base::need_real_directories(&root, source)?;
    spinner.inc(1);
    let found = base::to_clean(&root)?;
    if !found.is_empty() && wants_cleaning(session, cleaning, &found)? {
        base::clean(&root, &found)?;
    }
    base::ensure_machine_id(&root)?;
    base::write_name(&root, version)?;
    if !base::ship_policy(&root)? {
        report::note("note: the root has its own policy-rc.d; in a run it decides which services start");
    }
    spinner.inc(1);
    let manifest = manifest::read_tree(&root)?;
    spinner.finish_and_clear();
    base_inspect::need_settled(source, &root, &manifest, session.pool.format.inode_floor)?;
    base::publish(layout, version, &manifest.to_bytes(version, session.pool.format.inode_floor))?;
    base::make_first_current(layout, version)?;
    Ok(manifest.paths())
}

/// By which UUID deltas to this base will name it, also when it is gone.
pub fn note_uuid(entry: &mut Entry, base: &Path) -> Result<()> {
    if let Some(uuid) = btrfs::stream_uuids(base)?.first() {
        entry.more.insert(STREAM_UUID.to_owned(), uuid_text(uuid).into());
    }
    Ok(())
}

/// Lists what would go, then asks (once, for all of it).
fn wants_cleaning(session: &Session, cleaning: Cleaning, found: &[PathBuf]) -> Result<bool> {
    if cleaning != Cleaning::Ask {
        return Ok(cleaning == Cleaning::Clean);
    }
    report::note("a base should not carry these into every profile:");
    for path in found.iter().take(12) {
        report::note(format_args!("  /{}", path.display()));
    }
    if found.len() > 12 {
        report::note(format_args!("  and {} more", found.len() - 12));
    }
    report::confirm("take them out of the base? (--no-clean imports it as it is)", session.common.yes)?;
    Ok(true)
}

fn tell(session: &Session, version: &BaseVersion, paths: u64) -> Result<Exit> {
    let current = base::current(&session.pool.layout)?.is_some_and(|c| c == *version);
    if session.common.json {
        report::json(&serde_json::json!({"base": version, "paths": paths, "current": current}));
        return Ok(Exit::Done);
    }
    let role = role(current);
    report::line(format_args!("imported base {version}: {paths} paths, sealed; {role}"));
    Ok(Exit::Done)
}

pub fn role(current: bool) -> &'static str {
    if current { "it is current" } else { "a candidate: flipping comes after checking" }
}
