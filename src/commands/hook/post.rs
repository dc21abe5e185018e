//! After dpkg: what really changed, how it ended, and the entry closed. Post runs after failures too
//! (its running proves nothing), so the outcome is read from dpkg's own status.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::dpkg::command_line::{self, Asked};
use crate::dpkg::{ExtendedStates, Status};
use crate::model::entry::Planned;
use crate::model::error::{At, Error, Result};
use crate::model::layout::RootDir;
use crate::model::{Entry, State};
use crate::policy::outcome;
use crate::system::locks::Lock;
use crate::system::{background, btrfs, deb, driver, files, upper};

use super::in_the_way;
use super::packages::{apply, wait_for_look_up};
use super::session::Hook;
use super::state;
use crate::commands::{accounts, boot_files, now, recover, report};

const STATUS: &str = "var/lib/dpkg/status";

pub fn run(hook: &Hook) -> Result<()> {
    let Some(mut entry) = hook.open_entry()? else { return Ok(()) };
    let point = hook.pool.layout.profile(&hook.booted.profile).point(entry.number);
    if entry.point && !point.path().is_dir() {
        (entry.point, entry.outcome) = (false, Some("not protected: the first hook did not finish".into()));
    }
    if entry.point && recover::dpkg_never_wrote(&hook.root(), &point)? {
        return forget(hook, &entry, &point);
    }
    look(hook, &mut entry, &point)?;
    // Nobody planned anything, and nothing became different: dpkg only wrote its status anew.
    let idle = entry.planned.is_empty() && entry.changes.is_empty();
    if idle && entry.point && hook.changed_nothing(&point)? {
        return forget(hook, &entry, &point);
    }
    entry.ended = Some(now());
    if let Err(error) = wait_for_look_up(&hook.booted) {
        tracing::warn!("{error}");
    }
    note_accounts(hook, &entry, &point);
    entry.state_gone = state::gone(hook, &entry);
    if entry.state_gone.is_some() {
        state::let_go_of_emptied(hook, &entry);
    }
    let locked = hook.journal.lock()?;
    let archives = hook.journal.archives(Some(&hook.booted.profile), entry.number);
    apply(&mut entry, &archives);
    locked.close(&entry)?; // the visible moment
    drop(locked);
    boot_files::follow_kernel(&hook.pool, &hook.root());
    // Nobody waits for the index: what this child does not do, the next reader does.
    if let Err(error) = background::start(None, super::refresh_index) {
        tracing::warn!("{error}");
    }
    if entry.state == State::Failed {
        report::note(format_args!(
            "flipper-profiles: entry {}: {}; flipper-undo takes it back",
            entry.number,
            entry.outcome.as_deref().unwrap_or("not everything reached its state")
        ));
    }
    Ok(())
}

/// An initrd was made: by hand, or within a run, whose end sees to it.
pub fn kernel_changed(hook: &Hook) -> Result<()> {
    if hook.open_entry()?.is_none() {
        boot_files::follow_kernel(&hook.pool, &hook.root());
    }
    Ok(())
}

fn forget(hook: &Hook, entry: &Entry, point: &RootDir) -> Result<()> {
    hook.journal.lock()?.forget(entry)?;
    // Somebody looks at it already (mount ID@N): it stays, and verify names it.
    match Lock::of_directory(point.path(), false)? {
        Some(_lock) => {
            btrfs::delete_if_there(point.path())?;
            btrfs::delete_if_there(&hook.pool.layout.profile(&hook.booted.profile).point_state(entry.number))
        }
        None => Ok(()),
    }
}

fn look(hook: &Hook, entry: &mut Entry, point: &RootDir) -> Result<()> {
    let base = hook.pool.layout.base(&hook.booted.base);
    let now = std::fs::read(Path::new("/").join(STATUS)).at("read", "/var/lib/dpkg/status")?;
    let marks = files::read_if_there("/var/lib/apt/extended_states".as_ref())?.unwrap_or_default();
    let now = match Status::parse(&now) {
        Ok(status) => status,
        Err(error) => {
            entry.state = State::Failed;
            entry.outcome = Some(format!("dpkg's status is broken: {error}"));
            return Ok(());
        }
    };
    let marks = ExtendedStates::parse(&marks).unwrap_or_default();
    let mut debs = hook.journal.debs(entry);
    if entry.point {
        let before = upper::read(point, &base, STATUS)?.unwrap_or_default();
        let before = Status::parse(&before)
            .map_err(|e| Error::Damaged { what: point.path().to_path_buf(), why: e.to_string() })?;
        if entry.planned.is_empty() {
            (entry.planned, debs) = plan_of_dpkg(&before)?;
        }
        entry.changes = outcome::changes(&before, &now, &marks, &entry.planned);
    }
    let (state, sentence) = outcome::state(&entry.planned, &entry.changes, &now);
    entry.state = state;
    entry.outcome = sentence.or(entry.outcome.take());
    if entry.state == State::Failed {
        let parts = [entry.outcome.take(), in_the_way::sentence(hook, entry, &now, &debs)];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        entry.outcome = Some(text).filter(|text| !text.is_empty());
    }
    Ok(())
}

/// A number that is not noted now is noted when the root is left, if its account is still there then.
fn note_accounts(hook: &Hook, entry: &Entry, point: &RootDir) {
    let profile = hook.pool.layout.profile(&hook.booted.profile);
    let base = hook.pool.layout.base(&hook.booted.base);
    if !entry.point {
        return;
    }
    if let Err(error) = accounts::note_run(&profile, (&hook.root(), &base), point, &entry.changes) {
        tracing::warn!("the accounts of this run are not noted: {error}");
    }
}

/// Longer lists of .debs are not looked into one by one: whoever waits for dpkg would wait for us.
const MOST_ARCHIVES: usize = 64;

/// No apt said what a plain dpkg was to do: its words do, while it waits for us. And where the .debs lie.
fn plan_of_dpkg(before: &Status) -> Result<(Vec<Planned>, BTreeMap<String, String>)> {
    let nothing = || Ok((Vec::new(), BTreeMap::new()));
    let Some(dpkg) = driver::caller().filter(|caller| caller.name == "dpkg").map(|caller| caller.pid) else {
        return nothing();
    };
    let Some(asked) = command_line::parse(&driver::words(dpkg)) else { return nothing() };
    let paths = match &asked {
        Asked::Archives(paths) if paths.len() > MOST_ARCHIVES => return nothing(),
        Asked::Archives(paths) => paths.as_slice(),
        _ => &[],
    };
    let paths: Vec<_> = paths.iter().map(|path| deb::of_process(dpkg, path)).collect();
    let shown = paths.iter().map(|path| deb::show(path)).collect::<Result<Vec<_>>>()?;
    let deb = |(shown, path): (&Vec<u8>, &PathBuf)| {
        Some((command_line::parse_shown(shown)?.0.to_owned(), path.to_str()?.to_owned()))
    };
    let debs = shown.iter().zip(&paths).filter_map(deb).collect();
    Ok((outcome::planned_by_dpkg(&asked, &shown, before), debs))
}
