//! What a cut left open: judged the same way by readers, who only say it, and by every command that
//! changes something, which closes it first.

use std::path::Path;

use crate::model::error::{Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{Entry, Kind, ProfileId, State};
use crate::policy::outcome;
use crate::policy::recover::{OpenFacts, Verdict, verdict};
use crate::system::locks::{self, DpkgLocks, Lock};
use crate::system::{base, btrfs, driver, files, guard, pool, profiles, roots, upper};

use super::session::Session;
use super::stage;

/// Closes what is over and removes what is left over.
pub fn recover(session: &Session) -> Result<()> {
    let mut owners: Vec<Option<ProfileId>> = session.journal.profiles()?.into_iter().map(Some).collect();
    owners.push(None);
    for owner in owners {
        session.journal.lock()?.tidy(owner.as_ref())?;
        for mut entry in session.journal.open_entries(owner.as_ref())? {
            if let Verdict::Close { state, outcome, drop_root } = judge(session, &entry)? {
                let Some(_still) = keep_others_out(session, &entry)? else { continue };
                tracing::info!("entry {} closed: {outcome}", entry.number);
                if drop_root {
                    drop_unfinished_root(session, &entry)?;
                }
                if let (Kind::Import | Kind::PruneBase, Some(version)) = (&entry.kind, &entry.base) {
                    base::forget_manifest(&session.pool.layout, version)?;
                }
                stage::close(session, &mut entry, state, Some(outcome))?;
            }
        }
    }
    profiles::remove_leftovers(&session.pool)?;
    if let Ok(_lock) = Lock::take(&session.pool.layout.base_lock(), "the bases") {
        base::remove_leftovers(&session.pool.layout)?;
    }
    for id in session.profiles()? {
        // One damaged profile must not keep the others from working; whoever names it is told.
        if let Err(error) = retire_left_roots(session, &id) {
            tracing::warn!("{error}");
        }
    }
    Ok(())
}

/// While a package run of the root we are in is closed, nobody can begin one: dpkg's locks are ours, or
/// those of the program that called us. None: somebody was faster.
fn keep_others_out(session: &Session, entry: &Entry) -> Result<Option<Option<DpkgLocks>>> {
    let here = Path::new("/");
    let concerned = entry.kind == Kind::Packages && is_our_root(session, entry)?;
    if !concerned || driver::ancestor_holds_frontend(here)? {
        return Ok(Some(None));
    }
    match locks::dpkg(here) {
        Ok(held) => Ok(Some(Some(held))),
        Err(Error::AptRunning { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// The state a person should be told: what recover would make of an open entry.
pub fn state_of(session: &Session, entry: &Entry) -> Result<(State, Option<String>)> {
    if !entry.is_open() {
        return Ok((entry.state, entry.outcome.clone()));
    }
    Ok(match judge(session, entry)? {
        Verdict::Leave => (State::Open, None),
        Verdict::Close { state, outcome, .. } => (state, Some(outcome)),
    })
}

/// The entries of a profile as they really stand, for display and for planning.
pub fn settle(session: &Session, entries: &mut [Entry]) -> Result<()> {
    for entry in entries.iter_mut().filter(|e| e.is_open()) {
        (entry.state, entry.outcome) = state_of(session, entry)?;
    }
    Ok(())
}

/// dpkg wrote nothing into this root since the point was taken.
pub fn dpkg_never_wrote(root: &RootDir, point: &RootDir) -> Result<bool> {
    const STATUS: &str = "var/lib/dpkg/status";
    let updates = files::names(&root.upper().join("var/lib/dpkg/updates"))?;
    Ok(outcome::never_wrote(upper::inode(point, STATUS), upper::inode(root, STATUS), updates.is_empty()))
}

fn judge(session: &Session, entry: &Entry) -> Result<Verdict> {
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
        (Some(root), Some(point)) if root_exists => dpkg_never_wrote(root, point)?,
        _ => false,
    };
    let inside = is_our_root(session, entry)?;
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
        author_gone: author_gone(session, dir.as_ref())?,
        driver_holds_lock: inside
            && entry.driver.as_ref().is_some_and(driver::is_alive)
            && locks::frontend_holder("/".as_ref())? == entry.driver.as_ref().map(|d| d.pid),
        no_other_run: inside
            && (driver::ancestor_holds_frontend("/".as_ref())?
                || locks::dpkg_at_work("/".as_ref())?.is_none()),
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
        Kind::Import | Kind::PruneBase => {
            entry.base.as_ref().is_some_and(|v| btrfs::is_subvolume(&session.pool.layout.base(v)))
        }
        _ => dir.is_some(),
    }
}

/// A living author holds the profile's lock, or that of the bases. We may hold it ourselves: flock
/// counts per open file, so asking again from here would say "busy"; the verbs recover first.
fn author_gone(session: &Session, dir: Option<&ProfileDir>) -> Result<bool> {
    let path = dir.map_or_else(|| session.pool.layout.base_lock(), ProfileDir::lock);
    match Lock::take(&path, "") {
        Ok(_lock) => Ok(true),
        Err(Error::Busy { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

fn drop_unfinished_root(session: &Session, entry: &Entry) -> Result<()> {
    let Some(id) = &entry.profile else { return Ok(()) };
    let root = session.pool.layout.profile(id).root(entry.number);
    let _claimed = guard::claim(&session.pool, &root)?;
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
    let open = session.journal.open_entries(Some(id))?;
    for number in roots::numbers(&dir.roots())? {
        let being_made = open.iter().any(|entry| entry.number == number);
        if number != current && !being_made && files::names(dir.root(number).path()).is_ok() {
            stage::retire(session, &dir, number)?;
        }
    }
    Ok(())
}
