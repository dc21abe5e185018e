//! What a cut left open: judged the same way by readers, who only say it, and by every command that
//! changes something, which closes it first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::difference::{PathChange, What};
use crate::model::error::{Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{Entry, Kind, ProfileId, State};
use crate::policy::outcome;
use crate::policy::recover::{OpenFacts, Verdict, verdict};
use crate::system::locks::{self, DpkgLocks, Lock};
use crate::system::state::{self, back};
use crate::system::{
    base, btrfs, changed, driver, files, guard, mountinfo, pool, profiles, reserve, roots, shared, upper,
};

use super::session::Session;
use super::{boot_files, cut, found, left, now, remake, report};

/// Closes what is over and removes what is left over. One profile that cannot be judged stops no other:
/// the next thing somebody needs may be an undo elsewhere.
pub fn recover(session: &Session) -> Result<()> {
    let mut owners: Vec<Option<ProfileId>> = session.journal.profiles()?.into_iter().map(Some).collect();
    owners.push(None);
    for owner in owners {
        let name = owner.as_ref().map_or("the pool", ProfileId::as_str);
        tell_and_go_on(name, close_what_is_over(session, owner.as_ref()));
    }
    for id in session.profiles()? {
        tell_and_go_on(id.as_str(), found::write_down(session, &id));
    }
    tell_and_go_on("the reserve", reserve::make(&session.pool.layout));
    if session.need_outside("removing what is left").is_err() {
        return Ok(()); // from inside a run other processes are not seen
    }
    tell_and_go_on("a leftover", profiles::remove_leftovers(&session.pool));
    if let Ok(_lock) = Lock::take(&session.pool.layout.base_lock(), "the bases") {
        tell_and_go_on("a leftover", base::remove_leftovers(&session.pool.layout));
    }
    for id in session.profiles()? {
        tell_and_go_on(id.as_str(), retire_left_roots(session, &id));
    }
    Ok(())
}

fn tell_and_go_on(what: &str, done: Result<()>) {
    if let Err(error) = done {
        report::note(format_args!("note: {what}: {error}"));
    }
}

/// Judged and acted on under the lock an author would hold: who looks first and acts later may find the
/// root it deletes current by then. Somebody else's lock means that somebody is at work: later.
fn close_what_is_over(session: &Session, owner: Option<&ProfileId>) -> Result<()> {
    session.journal.lock()?.tidy(owner)?;
    if session.journal.open_entries(owner)?.is_empty() {
        return Ok(());
    }
    let dir = owner.map(|id| session.pool.layout.profile(id)).filter(|dir| dir.path().is_dir());
    let made = owner.map(|id| session.pool.layout.new_profile(id)).filter(|dir| dir.path().is_dir());
    // Past another command's recover, which has it for a moment.
    let patience = Duration::from_millis(300);
    let _lock = match author_lock(session, dir.as_ref().or(made.as_ref()), patience)? {
        Some(lock) => lock,
        None => return Ok(()),
    };
    for entry in session.journal.open_entries(owner)? {
        if let Verdict::Close { state, outcome, drop_root } = judge(session, &entry, true)? {
            let Some(_still) = keep_others_out(session, &entry)? else { continue };
            if drop_root {
                drop_unfinished_root(session, &entry)?;
            }
            if entry.kind == Kind::Share {
                let merged = merged_root(session, &entry)?;
                shared::remove_half_copies(&session.pool, &entry, merged.as_deref())?;
            }
            if let (Kind::Import | Kind::Receive | Kind::PruneBase, Some(version)) =
                (&entry.kind, &entry.base)
            {
                base::forget_manifest(&session.pool.layout, version)?;
            }
            if state == State::Completed {
                if let Some(dir) = &dir {
                    back::finish(dir, entry.number, &entry.state_back)?;
                }
                left::drop_cancelled(session, &entry)?;
            }
            close(session, &entry, state, outcome)?;
        }
    }
    Ok(())
}

/// A hook may have closed it meanwhile: what it wrote is better than what we concluded.
fn close(session: &Session, judged: &Entry, state: State, outcome: String) -> Result<()> {
    let locked = session.journal.lock()?;
    let Some(mut entry) = session.journal.entry(judged.profile.as_ref(), judged.number)? else {
        return Ok(());
    };
    if !entry.is_open() {
        return Ok(());
    }
    tracing::info!("entry {} closed: {outcome}", entry.number);
    entry.point &= point_exists(session, &entry);
    (entry.state, entry.outcome, entry.ended) = (state, Some(outcome), Some(now()));
    cut::note(&session.pool.layout, &mut entry);
    locked.close(&entry)?;
    drop(locked);
    session.index(&entry);
    boot_files::follow(&session.pool);
    Ok(())
}

fn point_exists(session: &Session, entry: &Entry) -> bool {
    let dir = entry.profile.as_ref().map(|id| session.pool.layout.profile(id));
    dir.is_some_and(|dir| dir.point(entry.number).path().is_dir())
}

/// While a package run of a root in use is closed, nobody can begin one there: dpkg's locks are ours, or
/// those of the program that called us. None: somebody was faster.
fn keep_others_out(session: &Session, entry: &Entry) -> Result<Option<Option<DpkgLocks>>> {
    let merged = if entry.kind == Kind::Packages { merged_root(session, entry)? } else { None };
    let Some(merged) = merged else { return Ok(Some(None)) };
    if driver::ancestor_holds_frontend(&merged)? {
        return Ok(Some(None));
    }
    match locks::dpkg(&merged) {
        Ok(held) => Ok(Some(Some(held))),
        Err(Error::AptRunning { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Where an entry's root is mounted, as this process sees it: `/`, or the root of a run that is seen from
/// outside. dpkg's locks are seen only through it.
fn merged_root(session: &Session, entry: &Entry) -> Result<Option<PathBuf>> {
    let (Some(id), Some(number)) = (&entry.profile, entry.root) else { return Ok(None) };
    if is_our_root(session, entry)? {
        return Ok(Some(PathBuf::from("/")));
    }
    let upper = session.pool.layout.profile(id).root(number).upper();
    Ok(mountinfo::find_overlay(&session.pool.tail(&upper))?.map(|seen| seen.path()))
}

/// The state a person should be told: what recover would make of an open entry.
pub fn state_of(session: &Session, entry: &Entry) -> Result<(State, Option<String>)> {
    if !entry.is_open() {
        return Ok((entry.state, entry.outcome.clone()));
    }
    Ok(match judge(session, entry, false)? {
        Verdict::Leave => (State::Open, None),
        Verdict::Close { state, outcome, .. } => (state, Some(outcome)),
    })
}

/// The entries of a profile as they really stand, for display and for planning.
pub fn settle(session: &Session, entries: &mut [Entry]) -> Result<()> {
    for entry in entries.iter_mut().filter(|e| e.is_open()) {
        (entry.state, entry.outcome) = state_of(session, entry)?;
        cut::note(&session.pool.layout, entry);
    }
    let done = entries.iter().filter(|e| e.state == State::Completed);
    let dropped: Vec<_> = done.filter_map(|e| e.cancels).collect();
    for entry in entries.iter_mut().filter(|e| dropped.contains(&e.number)) {
        entry.state = State::Cancelled;
    }
    Ok(())
}

/// dpkg wrote nothing into this root since the point was taken.
pub fn dpkg_never_wrote(root: &RootDir, point: &RootDir) -> Result<bool> {
    const STATUS: &str = "var/lib/dpkg/status";
    // What dpkg makes before its first note in updates/, and takes away again when it is not cut.
    const ASIDE: [&str; 2] = ["var/lib/dpkg/status-new", "var/lib/dpkg/tmp.ci"];
    let nothing_begun =
        !has_notes(root)? && ASIDE.iter().all(|path| upper::inode(point, path) == upper::inode(root, path));
    Ok(outcome::never_wrote(upper::inode(point, STATUS), upper::inode(root, STATUS), nothing_begun))
}

/// `updates/0000`, `0001`...: what dpkg began. `tmp.i`, where it writes the next one, says nothing.
fn has_notes(root: &RootDir) -> Result<bool> {
    let names = files::names(&root.upper().join("var/lib/dpkg/updates"))?;
    Ok(names.iter().any(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit)))
}

/// What a dpkg that had nothing to do leaves different all the same, and what aptitude copies each time
/// it looks; and a run lends a link.
const REWRITTEN: [&str; 4] = [
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/updates/tmp.i",
    "var/lib/aptitude/pkgstates.old",
    "etc/resolv.conf",
];

/// dpkg wrote its status anew, as a dpkg does that finds nothing to do (aptitude always calls one): is
/// the root as it was, in all that an undo would bring back? Whatever a script may have done shows in
/// the tree, so nothing of what dpkg says of itself is believed. Asked only while the status is the
/// same, byte for byte: it brings the root to the disk.
pub fn nothing_changed(root: &RootDir, point: &RootDir, base: &Path) -> Result<bool> {
    let same = |inside: &str| upper::same_file((point, base), (root, base), Path::new(inside));
    if !same("var/lib/dpkg/status") || has_notes(root)? {
        return Ok(false);
    }
    let of = |state: &RootDir| changed::State::merged(state, base.to_path_buf());
    let found = changed::between(&of(point), &of(root))?;
    let of_no_account = |change: &PathChange| {
        let named = REWRITTEN.iter().any(|path| change.path == Path::new(path));
        let lent = change.what == What::Removed && roots::has_lent(point);
        named && (change.path != Path::new("etc/resolv.conf") || lent)
    };
    Ok(found.changes.iter().all(of_no_account))
}

fn judge(session: &Session, entry: &Entry, locked: bool) -> Result<Verdict> {
    let layout = &session.pool.layout;
    let dir = entry.profile.as_ref().map(|id| layout.profile(id)).filter(|dir| dir.path().is_dir());
    let root = dir.as_ref().zip(entry.root).map(|(dir, number)| dir.root(number));
    let root_exists = root.as_ref().is_some_and(|root| root.path().is_dir());
    let root_in_use = match &root {
        Some(root) if root_exists => guard::is_used(&session.pool, root)?,
        _ => false,
    };
    let point = dir.as_ref().map(|dir| dir.point(entry.number)).filter(|point| point.path().is_dir());
    let never_wrote = match (&root, &point) {
        (Some(root), Some(point)) if root_exists && entry.kind == Kind::Packages => {
            let base = roots::base_of(root).map(|version| layout.base(&version));
            dpkg_never_wrote(root, point)?
                || base.is_ok_and(|base| nothing_changed(root, point, &base).unwrap_or(false))
        }
        _ => false,
    };
    let inside = is_our_root(session, entry)?;
    // Asked before the pointer is read: what its author has done by now, the pointer shows.
    let author_gone = locked || author_lock(session, dir.as_ref(), Duration::ZERO)?.is_some();
    Ok(verdict(&OpenFacts {
        number: entry.number,
        kind: entry.kind.clone(),
        root: entry.root,
        root_exists,
        root_in_use,
        made_root_exists: dir.as_ref().is_some_and(|d| d.root(entry.number).path().is_dir()),
        current: dir.as_ref().and_then(|d| roots::current(d).ok()),
        point_exists: point.is_some(),
        never_wrote,
        subject_exists: subject_exists(session, entry, dir.as_ref()),
        author_gone,
        driver_holds_lock: inside
            && entry.driver.as_ref().is_some_and(driver::is_alive)
            && locks::frontend_holder("/".as_ref())? == entry.driver.as_ref().map(|d| d.pid),
        no_other_run: match merged_root(session, entry)? {
            Some(merged) => nobody_else_at_work(entry, &merged)?,
            None => false,
        },
    }))
}

fn is_our_root(session: &Session, entry: &Entry) -> Result<bool> {
    let booted = pool::booted()?;
    Ok(booted.is_some_and(|b| {
        b.pool == session.pool.uuid && Some(b.profile) == entry.profile && Some(b.root) == entry.root
    }))
}

fn subject_exists(session: &Session, entry: &Entry, dir: Option<&ProfileDir>) -> bool {
    match entry.kind {
        Kind::Import | Kind::Receive | Kind::PruneBase => {
            entry.base.as_ref().is_some_and(|v| btrfs::is_subvolume(&session.pool.layout.base(v)))
        }
        Kind::MarkGood => {
            entry.base.is_some() && base::good(&session.pool.layout).is_ok_and(|good| good == entry.base)
        }
        _ => dir.is_some(),
    }
}

/// No other package run of this merged root can be alive: an ancestor of ours holds dpkg's lock, or nobody
/// holds any and the driver is gone too (dpkg runs its first hook before it takes its locks).
fn nobody_else_at_work(entry: &Entry, merged: &Path) -> Result<bool> {
    if driver::ancestor_holds_frontend(merged)? {
        return Ok(true);
    }
    let driver_gone = entry.driver.as_ref().is_some_and(driver::is_gone);
    Ok(driver_gone && locks::dpkg_at_work(merged)?.is_none())
}

/// The lock a living author holds: the profile's, or that of the bases. None: somebody has it.
fn author_lock(session: &Session, dir: Option<&ProfileDir>, patience: Duration) -> Result<Option<Lock>> {
    let path = dir.map_or_else(|| session.pool.layout.base_lock(), ProfileDir::lock);
    match Lock::take_within(&path, "", patience) {
        Ok(lock) => Ok(Some(lock)),
        Err(Error::Busy { .. }) => Ok(None),
        // A profile that was being made got its name since it was looked for: its author is at work.
        Err(_) if dir.is_some_and(|dir| !dir.path().is_dir()) => Ok(None),
        Err(other) => Err(other),
    }
}

fn drop_unfinished_root(session: &Session, entry: &Entry) -> Result<()> {
    let Some(id) = &entry.profile else { return Ok(()) };
    let root = session.pool.layout.profile(id).root(entry.number);
    let _claimed = guard::claim(&session.pool, &root)?;
    remake::drop_saved(session, id, entry)?;
    btrfs::delete(root.path())
}

/// Roots that are neither current nor in use: an undo left them.
fn retire_left_roots(session: &Session, id: &ProfileId) -> Result<()> {
    let dir = session.pool.layout.profile(id);
    let Ok(_lock) = Lock::take(&dir.lock(), "") else { return Ok(()) };
    let current = roots::current(&dir)?;
    if !dir.root(current).path().is_dir() {
        return Ok(()); // a damaged pointer: of these roots one is the right one
    }
    profiles::remove_written_aside(&dir)?;
    profiles::remove_orphans(&dir)?;
    let open = session.journal.open_entries(Some(id))?;
    if session.root_in_use(&dir)?.is_none() {
        state::remove_leftovers(&dir.state(), |number| open.iter().any(|e| e.number.to_string() == number))?;
    }
    for number in roots::numbers(&dir.roots())? {
        let being_made = open.iter().any(|entry| entry.number == number);
        if number != current && !being_made && files::names(dir.root(number).path()).is_ok() {
            left::retire(session, &dir, number)?;
        }
    }
    left::settle_state(session, &dir)?;
    take_lent_back(session, &dir.root(current))
}

/// A run that was cut left its link to name servers, which leads nowhere when the profile is booted.
fn take_lent_back(session: &Session, root: &RootDir) -> Result<()> {
    if !roots::has_lent(root) || guard::is_used(&session.pool, root)? {
        return Ok(());
    }
    let _claimed = guard::claim(&session.pool, root)?;
    roots::give_back_lent(root, &session.pool.layout.base(&roots::base_of(root)?))
}
