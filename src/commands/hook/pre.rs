//! Before dpkg changes anything: the entry, then the point. What it costs is two commits of the
//! file system, whatever the size of the profile.

use crate::model::error::{At, Result};
use crate::model::{Entry, Kind, State};
use crate::policy::recover::{Verdict, unfinished};
use crate::system::journal::LockedJournal;
use crate::system::reserve::{For, with_room};
use crate::system::{btrfs, driver, files, pool, roots, unprotected};

use super::session::Hook;
use crate::commands::{cut, now, report};

/// Programs whose one transaction is many commits: every post closes the entry, the next pre of the
/// same living process opens it again.
const MANY_COMMITS: [&str; 4] = ["unattended-upgr", "do-release-upgr", "release-upgrade", "dselect"];

pub fn run(hook: &Hook) -> Result<()> {
    if driver::stranger_holds_frontend("/".as_ref())? {
        return Ok(()); // another run is at work: dpkg will say so and change nothing
    }
    files::remove_if_there(pool::UNPROTECTED.as_ref())?;
    let locked = hook.journal.lock()?;
    if let Some(entry) = joined(hook, &locked)? {
        return still_unprotected(&entry);
    }
    close_interrupted(hook, &locked)?;
    // What other programs renamed without a sync is whole in the snapshot, or nearly always.
    files::sync_file_system(hook.pool.layout.top())?;
    let base = roots::base_of(&hook.root())?;
    let mut entry = locked.begin(Kind::Packages, now(), |entry| {
        entry.profile = Some(hook.booted.profile.clone());
        entry.root = Some(hook.booted.root);
        entry.base = Some(base);
        entry.point = true;
        entry.driver = Some(hook.driver.clone());
        entry.command_line = driver::command_line(hook.driver.pid);
        entry.person = Some(driver::person("/".as_ref()));
    })?;
    drop(locked);
    if let Err(error) = take_point(hook, &entry) {
        note_missing_point(hook, &mut entry, &error.to_string());
        return Err(error);
    }
    unprotected::forget("/".as_ref())?;
    tell_if_left(hook)
}

/// The entry's name becomes durable with the snapshot, and its text too where it lies in the metadata.
fn take_point(hook: &Hook, entry: &Entry) -> Result<()> {
    hook.journal.sync_before_point(entry)?;
    let profile = hook.pool.layout.profile(&hook.booted.profile);
    let (root, point) = (hook.root(), profile.point(entry.number));
    with_room(&hook.pool.layout, For::PackageRun, || btrfs::point(root.path(), point.path()))
}

/// A program that set apt up twice runs this hook twice a commit; and a program of many commits goes
/// on with the entry that its last post closed.
fn joined(hook: &Hook, locked: &LockedJournal) -> Result<Option<Entry>> {
    if let Some(entry) = hook.open_entry()? {
        return Ok((!was_refused(hook, &entry)?).then_some(entry));
    }
    if !MANY_COMMITS.contains(&hook.driver.name.as_str()) {
        return Ok(None);
    }
    let profile = Some(&hook.booted.profile);
    let Some(newest) = hook.journal.numbers(profile)?.last().copied() else { return Ok(None) };
    match hook.journal.entry(profile, newest)? {
        Some(mut entry) if hook.is_ours(&entry) && entry.kind == Kind::Packages && entry.point => {
            entry.state = State::Open;
            (entry.ended, entry.outcome) = (None, None);
            locked.reopen(&entry).map(|()| Some(entry))
        }
        _ => Ok(None),
    }
}

/// The first of two calls could not take the point, and said so: what `strict` goes by stays.
fn still_unprotected(entry: &Entry) -> Result<()> {
    match entry.outcome.as_ref().filter(|_| !entry.point) {
        Some(why) => std::fs::write(pool::UNPROTECTED, format!("{why}\n")).at("write", pool::UNPROTECTED),
        None => Ok(()),
    }
}

/// A hook after ours refused the commit before this one, and the program lives on (packagekitd): no post
/// will ever close that entry, and its point is older than this commit.
fn was_refused(hook: &Hook, entry: &Entry) -> Result<bool> {
    let point = hook.pool.layout.profile(&hook.booted.profile).point(entry.number);
    Ok(!entry.planned.is_empty() && entry.point && hook.changed_nothing(&point)?)
}

/// Our driver holds dpkg's lock, so no other package run of this root is alive: what is open was cut
/// (interrupted, and undo offers it), or refused by a hook after ours (apt-listbugs) before dpkg wrote
/// anything (cancelled: plain undo would take back nothing).
fn close_interrupted(hook: &Hook, locked: &LockedJournal) -> Result<()> {
    let open = hook.journal.open_entries(Some(&hook.booted.profile))?;
    let of_this_root = |entry: &&Entry| entry.kind == Kind::Packages && entry.root == Some(hook.booted.root);
    if open.iter().find(of_this_root).is_none() || !driver::ancestor_holds_frontend("/".as_ref())? {
        return Ok(());
    }
    for mut entry in open.into_iter().filter(|entry| of_this_root(&entry)) {
        let point = hook.pool.layout.profile(&hook.booted.profile).point(entry.number);
        entry.point &= point.path().is_dir();
        let never_wrote = entry.point && hook.changed_nothing(&point)?;
        if let Verdict::Close { state, outcome, .. } = unfinished(never_wrote, entry.point) {
            (entry.state, entry.outcome) = (state, Some(outcome));
            entry.ended = Some(now());
            cut::note(&hook.pool.layout, &mut entry);
            locked.close(&entry)?;
        }
    }
    Ok(())
}

/// The entry stays, without a point: the log shows that this run was not protected.
fn note_missing_point(hook: &Hook, entry: &mut Entry, why: &str) {
    entry.point = false;
    entry.outcome = Some(format!("not protected: {why}"));
    let _ = hook.journal.lock().and_then(|locked| locked.reopen(entry));
}

fn tell_if_left(hook: &Hook) -> Result<()> {
    let profile = hook.pool.layout.profile(&hook.booted.profile);
    let current = roots::current(&profile)?;
    if current != hook.booted.root {
        report::note(format_args!(
            "flipper-profiles: an undo waits (root {current}); this run goes into the state that is being left; flipper-undo --cancel stays in it"
        ));
    }
    Ok(())
}
