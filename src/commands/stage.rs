//! Moving a profile to another state: the steps undo, redo and flipper-rescue share. Order of a
//! staged change (house rule 2): entry open and durable, own point, new root, sync, POINTER, entry
//! closed. A cut before the pointer leaves the old state, after it the new one; recover closes the
//! entry accordingly.

use crate::model::error::{Error, Result};
use crate::model::layout::{ProfileDir, RootDir, RootFact};
use crate::model::{Entry, EntryNumber, Kind, State};
use crate::policy::undo::Plan;
use crate::system::locks::{self, DpkgLocks};
use crate::system::reserve::{For, with_room};
use crate::system::{btrfs, driver, files, guard, mountinfo, roots};

use super::now;
use super::session::{ProfileFacts, Session};

/// What was done, for the report.
pub struct Staged {
    pub entry: Entry,
    /// The new root waits until the one in use is left.
    pub waits: bool,
}

/// Keeps apt and dpkg out of a root that is in use while its successor is staged; they are asked
/// through the merged root, where their locks are seen.
pub fn keep_packages_still(session: &Session, facts: &ProfileFacts) -> Result<Option<DpkgLocks>> {
    let Some(root) = facts.in_use else { return Ok(None) };
    let upper = facts.dir.root(root).upper();
    let here = crate::system::pool::booted()?.filter(|booted| {
        booted.profile == facts.id && booted.root == root && booted.pool == session.pool.uuid
    });
    if here.is_some() {
        return locks::dpkg("/".as_ref()).map(Some);
    }
    match mountinfo::find_overlay(&session.pool.tail(&upper))? {
        Some(seen) => locks::dpkg(&seen.path()).map(Some),
        None => Err(Error::InUse {
            what: format!("root {root} of {}", facts.id),
            by: "by somebody who cannot be seen from here".into(),
        }),
    }
}

/// Keeps our programs in the pool before a change that takes them out of the profile.
pub fn keep_programs(session: &Session, facts: &ProfileFacts) -> Result<()> {
    let root = facts.dir.root(facts.in_use.unwrap_or(facts.current));
    let base = session.pool.layout.base(&roots::base_of(&root)?);
    crate::system::programs::keep(&session.pool.layout, &root, &base)
}

/// An open entry is somebody's work; where it is apt's, its process is named.
pub fn name_worker(session: &Session, facts: &ProfileFacts, error: Error) -> Error {
    match (&error, keep_packages_still(session, facts)) {
        (Error::Busy { .. }, Err(apt @ Error::AptRunning { .. })) => apt,
        _ => error,
    }
}

/// Carries a plan out. The caller holds the profile's lock and has the person's yes.
pub fn act(session: &Session, facts: &ProfileFacts, plan: &Plan) -> Result<Staged> {
    let _still = keep_packages_still(session, facts)?;
    need_nothing_new(session, facts)?;
    match plan {
        Plan::Stage { kind, target, leaves, cancels, waits, .. } => {
            stage(session, facts, kind.clone(), *target, *leaves, *cancels, *waits)
        }
        Plan::Cancel { entry, back_to } => cancel(session, facts, *entry, *back_to),
    }
}

/// A package run may have begun and ended while the person read the preview: it was not in it.
fn need_nothing_new(session: &Session, facts: &ProfileFacts) -> Result<()> {
    let newest = |entries: &[Entry]| entries.last().map(|entry| entry.number);
    let now = newest(&session.journal.entries(Some(&facts.id))?.entries);
    match now > newest(&facts.entries) {
        true => {
            Err(Error::Busy { what: format!("{}: something happened there since the preview", facts.id) })
        }
        false => Ok(()),
    }
}

fn stage(
    session: &Session,
    facts: &ProfileFacts,
    kind: Kind,
    target: EntryNumber,
    leaves: EntryNumber,
    cancels: Option<EntryNumber>,
    waits: bool,
) -> Result<Staged> {
    let (dir, layout) = (&facts.dir, &session.pool.layout);
    let point = dir.point(target);
    let base = roots::base_of(&point)?;
    if !layout.base(&base).is_dir() {
        return Err(Error::NoSuchBase { version: base });
    }
    let mut entry = session.journal.lock()?.begin(kind, now(), |entry| {
        entry.profile = Some(facts.id.clone());
        entry.root = Some(leaves);
        entry.base = Some(base.clone());
        entry.target = Some(target);
        entry.point = true;
        entry.person = Some(driver::person("/".as_ref()));
    })?;
    let root = dir.root(entry.number);
    with_room(layout, For::Recovery, || {
        files::sync_file_system(layout.top())?;
        btrfs::point(dir.root(leaves).path(), dir.point(entry.number).path())
    })?;
    with_room(layout, For::Recovery, || {
        btrfs::delete_if_there(root.path())?; // the same, when there was no room for it
        btrfs::snapshot(point.path(), root.path())?;
        roots::write_fact(&root, RootFact::Entry, &entry.number.to_string())?;
        roots::carry(&dir.root(leaves), &root, &layout.base(&base))?;
        roots::give_back_lent(&root, &layout.base(&base))?;
        files::sync_file_system(layout.top())
    })?;
    with_room(layout, For::Recovery, || roots::flip(dir, entry.number))?; // the visible moment
    close(session, &mut entry, State::Completed, None)?;
    if let Some(waiting) = cancels {
        cancel_entry(session, facts, waiting)?;
        drop_if_unused(session, &dir.root(waiting))?;
    }
    if !waits {
        retire(session, dir, leaves)?;
    }
    Ok(Staged { entry, waits })
}

fn cancel(
    session: &Session,
    facts: &ProfileFacts,
    waiting: EntryNumber,
    back_to: EntryNumber,
) -> Result<Staged> {
    let root = facts.dir.root(waiting);
    let _claimed = guard::claim(&session.pool, &root)?; // refused before anything changed
    let layout = &session.pool.layout;
    with_room(layout, For::Recovery, || roots::flip(&facts.dir, back_to))?; // the visible moment
    let entry = cancel_entry(session, facts, waiting)?;
    btrfs::delete(root.path())?;
    Ok(Staged { entry, waits: false })
}

/// A root nobody ran, so nothing was written into it. Somebody may look at it: recover removes it later.
fn drop_if_unused(session: &Session, root: &RootDir) -> Result<()> {
    match guard::claim(&session.pool, root) {
        Ok(_claimed) => btrfs::delete(root.path()),
        Err(Error::InUse { .. }) => Ok(()),
        Err(other) => Err(other),
    }
}

/// The entry of a root that waited and will never be booted.
fn cancel_entry(session: &Session, facts: &ProfileFacts, waiting: EntryNumber) -> Result<Entry> {
    let entry = facts.entries.iter().find(|entry| entry.number == waiting).cloned();
    let mut entry = entry.ok_or(Error::NoSuchEntry { number: waiting })?;
    close(session, &mut entry, State::Cancelled, Some("cancelled before its boot".into()))?;
    Ok(entry)
}

/// Deletes a root that is not current any more and that nobody uses. What was written into it after
/// its last point is kept first, as the point of an entry of kind `left`. The caller holds the profile's
/// lock; another program may have been faster.
pub fn retire(session: &Session, dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    let root = dir.root(number);
    if !root.path().is_dir() {
        return Ok(());
    }
    let lock = match guard::claim(&session.pool, &root) {
        Err(Error::InUse { .. }) => return Ok(()),
        other => other?,
    };
    if written_since_last_point(session, dir, number)? {
        keep_what_was_left(session, dir, number)?;
    }
    btrfs::delete(root.path())?;
    drop(lock);
    Ok(())
}

fn written_since_last_point(session: &Session, dir: &ProfileDir, number: EntryNumber) -> Result<bool> {
    let Some(id) = profile_of(dir) else { return Ok(false) };
    let entries = session.journal.entries(Some(&id))?.entries;
    let of_root = entries.iter().filter(|entry| entry.root == Some(number)).map(|entry| entry.number);
    let newest = of_root.filter(|n| dir.point(*n).path().exists()).max();
    let Some(newest) = newest else { return Ok(true) };
    files::sync_file_system(dir.path())?;
    let taken = btrfs::created_in(dir.point(newest).path())?;
    Ok(btrfs::generation(dir.root(number).path())? > taken)
}

fn keep_what_was_left(session: &Session, dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    let base = roots::base_of(&dir.root(number))?;
    let mut entry = session.journal.lock()?.begin(Kind::Left, now(), |entry| {
        entry.profile = profile_of(dir);
        entry.root = Some(number);
        entry.base = Some(base);
        entry.point = true;
        entry.outcome = Some("what was written after the last entry of a root that was left".into());
    })?;
    with_room(&session.pool.layout, For::Recovery, || {
        files::sync_file_system(session.pool.layout.top())?;
        btrfs::point(dir.root(number).path(), dir.point(entry.number).path())
    })?;
    let outcome = entry.outcome.clone();
    close(session, &mut entry, State::Completed, outcome)
}

fn profile_of(dir: &ProfileDir) -> Option<crate::model::ProfileId> {
    dir.path().file_name()?.to_str()?.parse().ok()
}

/// Closes an entry and tells the index.
pub fn close(session: &Session, entry: &mut Entry, state: State, outcome: Option<String>) -> Result<()> {
    entry.state = state;
    entry.outcome = outcome.or(entry.outcome.take());
    entry.ended = Some(now());
    session.journal.lock()?.close(entry)?;
    session.index(entry);
    Ok(())
}
