//! Roots that are left: by an undo, or dropped before their boot. What was written into one after its
//! last point is kept before it goes, as the point of an entry of kind `left`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::model::carried::is_handed_on;
use crate::model::entry::Change;
use crate::model::error::{Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{Entry, EntryNumber, Kind, ProfileId, State};
use crate::policy::check::territory::{self, Territory};
use crate::system::reserve::{For, with_room};
use crate::system::state::made;
use crate::system::{btrfs, changed, files, guard, next_state, roots};

use super::session::Session;
use super::stage::close;
use super::{accounts, now, numbers, report, undo_plan};

/// Drops the waiting root that `by` cancels: its entry first, so that a root nobody ran is not kept for
/// what was never written into it. Done before `by` is closed, and done again after a cut.
pub fn drop_cancelled(session: &Session, by: &Entry) -> Result<()> {
    let (Some(id), Some(waiting)) = (&by.profile, by.cancels) else { return Ok(()) };
    match session.journal.entry(Some(id), waiting) {
        Ok(Some(mut entry)) if entry.state != State::Cancelled => {
            let outcome = format!("dropped by entry {} before its boot", by.number);
            close(session, &mut entry, State::Cancelled, Some(outcome))?;
        }
        Ok(_) | Err(Error::Damaged { .. }) => {} // lost: the pointer has decided
        Err(other) => return Err(other),
    }
    let dir = session.pool.layout.profile(id);
    next_state::set_aside(&dir, waiting)?;
    made::drop_copy(&dir, waiting)?;
    delete_old_state(&dir)?;
    retire(session, &dir, waiting)
}

/// Gives the state/ that came with the current root its place, once nobody uses a root of the profile, and
/// drops those of roots that never became current. The caller holds the profile's lock and is outside of
/// every run. The boot has to do the same before it mounts state/.
pub fn settle_state(session: &Session, dir: &ProfileDir) -> Result<()> {
    delete_old_state(dir)?;
    let current = roots::current(dir)?;
    let (waiting, made) = (next_state::waiting(dir)?, made::waiting(dir)?);
    if !waiting.is_empty() || !made.is_empty() {
        let open = session.journal.open_entries(profile_of(dir).as_ref())?;
        let is_open = |number| open.iter().any(|entry| entry.number == number);
        next_state::drop_other(dir, current, is_open)?;
        for number in made.into_iter().filter(|number| *number != current && !is_open(*number)) {
            made::drop_copy(dir, number)?;
        }
    }
    if session.root_in_use(dir)?.is_none() {
        with_room(&session.pool.layout, For::Recovery, || next_state::take_place(dir, current))?;
        if session.pool.format.may_write() {
            with_room(&session.pool.layout, For::Recovery, || numbers::settle(session, dir, current))?;
        }
    }
    delete_old_state(dir)
}

/// What stays of it is in nobody's way.
fn delete_old_state(dir: &ProfileDir) -> Result<()> {
    for error in next_state::delete_old(dir)? {
        report::note(format_args!("note: a state/ of before is not deleted yet: {error}"));
    }
    Ok(())
}

/// Deletes a root that is not current any more and that nobody uses; one that somebody looks at goes
/// later. What was written into it after its last point is kept first. The caller holds the profile's
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
    if let Some(id) = profile_of(dir) {
        let points = points_of(session, dir, &id, number)?;
        if written_since(session, dir, &id, number, points.first().map(|entry| entry.number))? {
            keep(session, dir, &id, number, &points)?;
        }
    }
    btrfs::delete(root.path())?;
    drop(lock);
    Ok(())
}

/// The entries of a root whose points are kept, newest first, down to the undo that left it. An entry
/// is read for each; those of other roots lie below.
fn points_of(session: &Session, dir: &ProfileDir, id: &ProfileId, number: EntryNumber) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    for point in roots::numbers(&dir.snapshots())?.into_iter().rev().take_while(|point| *point > number) {
        match session.journal.entry(Some(id), point) {
            Ok(Some(entry)) if entry.root == Some(number) => {
                let left_it = entry.kind.leaves_its_root();
                found.push(entry);
                if left_it {
                    break;
                }
            }
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

/// Was anything written into the root after its newest point? Without one, only a root that was
/// dropped before its boot may have nothing to keep.
fn written_since(
    session: &Session,
    dir: &ProfileDir,
    id: &ProfileId,
    number: EntryNumber,
    newest: Option<EntryNumber>,
) -> Result<bool> {
    let Some(newest) = newest else {
        let maker = session.journal.entry(Some(id), number).ok().flatten();
        return match maker {
            Some(maker) if maker.state == State::Cancelled => written_while_it_waited(session, dir, &maker),
            _ => Ok(true),
        };
    };
    files::sync_file_system(dir.path())?;
    let taken = btrfs::created_in(dir.point(newest).path())?;
    Ok(btrfs::generation(dir.root(number).path())? > taken)
}

/// A root that waits can be run: is it still what its entry made of the point? A point that is gone
/// cannot tell, and of what a rebase made there is none.
fn written_while_it_waited(session: &Session, dir: &ProfileDir, maker: &Entry) -> Result<bool> {
    let root = dir.root(maker.number);
    if let Some(made_at) = maker.made_at() {
        files::sync_file_system(dir.path())?;
        if btrfs::generation(root.path())? <= made_at {
            return Ok(false);
        }
    }
    let made_from = match maker.kind {
        Kind::Reset => Some(dir.pristine()),
        Kind::Rebase => None,
        // Nobody sees a difference to what it was made from, unless it was asked for one by name.
        Kind::Repair => Some(dir.point(maker.number)),
        _ => maker.target.map(|target| dir.point(target)),
    };
    let point = made_from;
    let Some(point) = point.filter(|point| point.path().is_dir()) else { return Ok(true) };
    let base = session.pool.layout.base(&roots::base_of(&root)?);
    let of = |state: &RootDir| changed::State::merged(state, base.clone());
    let found = changed::between(&of(&point), &of(&root))?;
    let handed_on = |path: &Path| {
        let lent = path == Path::new("etc/resolv.conf") && roots::has_lent(&point);
        // Below a mount point a repair drops what it finds.
        let unseen = territory::of(path.as_os_str().as_bytes()) == Territory::Hidden;
        lent || unseen || is_handed_on(maker, path) || accounts::only_reserved(path, &point, &root, &base)
    };
    Ok(found.changes.iter().any(|change| !handed_on(&change.path)))
}

fn keep(
    session: &Session,
    dir: &ProfileDir,
    id: &ProfileId,
    number: EntryNumber,
    points: &[Entry],
) -> Result<()> {
    let root = dir.root(number);
    let base = roots::base_of(&root)?;
    // The undo that left it; where none did (a fallback), the newest entry.
    let left_it = |entry: &&Entry| entry.kind.leaves_its_root();
    let since = points.last().filter(left_it).or(points.first());
    let changes = since.and_then(|since| changes_since(session, dir, since.number, number));
    let mut entry = session.journal.lock()?.begin(Kind::Left, now(), |entry| {
        entry.profile = Some(id.clone());
        entry.root = Some(number);
        entry.base = Some(base);
        entry.point = true;
        entry.changes = changes.unwrap_or_default();
        entry.outcome = Some(match since.filter(|since| since.kind != Kind::Left) {
            Some(since) => format!("what was written into root {number} after entry {}", since.number),
            None => format!("what was written into root {number}"),
        });
    })?;
    with_room(&session.pool.layout, For::Recovery, || {
        files::sync_file_system(session.pool.layout.top())?;
        btrfs::point(root.path(), dir.point(entry.number).path())
    })?;
    let outcome = entry.outcome.clone();
    close(session, &mut entry, State::Completed, outcome)
}

/// The packages that differ now from what they were at a point of the same root.
fn changes_since(
    session: &Session,
    dir: &ProfileDir,
    since: EntryNumber,
    number: EntryNumber,
) -> Option<Vec<Change>> {
    undo_plan::changes_between(session, dir.point(since), dir.root(number)).ok().flatten()
}

fn profile_of(dir: &ProfileDir) -> Option<ProfileId> {
    dir.path().file_name()?.to_str()?.parse().ok()
}
