//! An undo that left no entry is written down by the next program that may write: `commands/bare.rs` makes
//! a point, a root and the pointer, and which came from which btrfs itself remembers. Also the entry of an
//! undo that was lost from the journal is found again so.

use crate::model::error::Result;
use crate::model::{Entry, Kind, ProfileId, State};
use crate::system::locks::Lock;
use crate::system::{btrfs, roots};

use super::now;
use super::session::Session;

/// Looks at the current root only: one file is read where all is well.
pub fn write_down(session: &Session, id: &ProfileId) -> Result<()> {
    let dir = session.pool.layout.profile(id);
    let Ok(current) = roots::current(&dir) else { return Ok(()) };
    if session.journal.entry(Some(id), current)?.is_some() {
        return Ok(());
    }
    let (root, point) = (dir.root(current), dir.point(current));
    if !btrfs::is_subvolume(root.path()) || !btrfs::is_subvolume(point.path()) {
        return Ok(()); // made by create or clone, or not whole: nothing to conclude from
    }
    let Ok(_lock) = Lock::take(&dir.lock(), "") else { return Ok(()) };
    let (made_from, taken_of) = (btrfs::parent(root.path())?, btrfs::parent(point.path())?);
    let is = |path: &std::path::Path, wanted| btrfs::uuid(path).is_ok_and(|found| Some(found) == wanted);
    let points = roots::numbers(&dir.snapshots())?;
    let target = points.into_iter().find(|number| is(dir.point(*number).path(), made_from));
    let left = roots::numbers(&dir.roots())?.into_iter().find(|n| is(dir.root(*n).path(), taken_of));
    if target.is_none() || left.is_none() {
        return Ok(());
    }
    let mut entry = Entry::begin(current, Kind::Undo, now());
    (entry.profile, entry.root, entry.target) = (Some(id.clone()), left, target);
    (entry.base, entry.point, entry.state) = (Some(roots::base_of(&root)?), true, State::Completed);
    entry.ended = Some(entry.started.clone());
    entry.outcome = Some("found: done by a program that could not write this journal".into());
    let locked = session.journal.lock()?;
    locked.close(&entry)?;
    if locked.free_number()? == current.next() {
        locked.count_past(current)?;
    }
    drop(locked);
    session.index(&entry);
    Ok(())
}
