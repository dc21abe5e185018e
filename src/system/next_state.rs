//! The state/ that comes with a root (`reset --wipe`, and whoever takes that back): made aside before the
//! pointer moves, and given the place of state/ only when nobody uses a root of the profile any more. Until
//! then the old root goes on with its own. Every step can be cut and done again:
//!
//! ```text
//!  .state-57 made ── current -> roots/57 ── 57.state taken ──┃ .state-57 <-> state ── .state-57 deleted
//! ```
//! What is to be deleted becomes `.state-57.old` first: where it cannot be deleted (a subvolume nested in it
//! is mounted) it stays under that name, and nobody takes it for a state/ that waits.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::model::EntryNumber;
use crate::model::error::{At, Error, Result};
use crate::model::layout::ProfileDir;
use crate::model::state_change::StateChange;

use super::{btrfs, files, nested};

/// Makes `.state-<number>`.
pub fn prepare(dir: &ProfileDir, number: EntryNumber, change: StateChange) -> Result<()> {
    let next = dir.next_state(number);
    btrfs::delete_if_there(&next)?; // half made, when there was no room for it
    let from = match change {
        StateChange::Fresh => dir.pristine_state(),
        StateChange::From(copy) => dir.point_state(copy),
    };
    btrfs::snapshot(&from, &next)
}

/// Changes a copy of state/ that then takes its place whole. For a profile nobody uses; `number` is its current
/// root. A subvolume nested in it is in no copy: then it is done in place, and `change` may be called again
/// after a cut.
pub fn renew(
    dir: &ProfileDir,
    number: EntryNumber,
    mut change: impl FnMut(&Path) -> Result<()>,
) -> Result<()> {
    let state = dir.state();
    if !btrfs::nested(&state)?.is_empty() {
        return change(&state);
    }
    let next = dir.next_state(number);
    btrfs::delete_if_there(&next)?; // half made, before a cut
    let aside = dir.old_state(number); // a cut leaves it to be deleted
    btrfs::delete_if_there(&aside)?;
    btrfs::snapshot(&state, &aside)?;
    change(&aside)?;
    files::sync_file_system(&aside)?;
    fs::rename(&aside, &next).at("rename to", &next)?;
    take_place(dir, number)
}

/// The roots that have a state/ of their own aside.
pub fn waiting(dir: &ProfileDir) -> Result<Vec<EntryNumber>> {
    let names = files::names(dir.path())?;
    Ok(names.iter().filter_map(|name| name.to_str()?.strip_prefix(".state-")?.parse().ok()).collect())
}

/// Gives the state/ of this root, which is current, its place. The caller holds the profile's lock and
/// knows that nobody uses a root of it.
pub fn take_place(dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    let (next, state, copy) = (dir.next_state(number), dir.state(), dir.point_state(number));
    if !next.is_dir() {
        return Ok(());
    }
    files::sync_file_system(dir.path())?;
    if !is_in_place(dir, number)? {
        // Also one of before a cut: the old root may have written since.
        btrfs::delete_if_there(&copy)?;
        btrfs::point(&state, &copy)?;
        renameat2(AT_FDCWD, &next, AT_FDCWD, &state, RenameFlags::RENAME_EXCHANGE)
            .at("exchange with state/", &next)?; // the visible moment of state/
        files::sync_parent(&state)?;
    }
    set_aside(dir, number)
}

/// `.state-57` is not needed any more; [`delete_old`] deletes it.
pub fn set_aside(dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    let (next, old) = (dir.next_state(number), dir.old_state(number));
    match next.is_dir() {
        true => fs::rename(&next, &old).at("rename to", &old),
        false => Ok(()),
    }
}

/// Those that were set aside, now or by a change that was cut.
pub fn old(dir: &ProfileDir) -> Result<Vec<EntryNumber>> {
    let names = files::names(dir.path())?;
    let number = |name: &OsStr| name.to_str()?.strip_prefix(".state-")?.strip_suffix(".old")?.parse().ok();
    Ok(names.iter().filter_map(|name| number(name)).collect())
}

/// Deletes what was set aside, with what is nested in it. Returns why some of it is still there: that stops
/// nobody, and the next change tries again.
pub fn delete_old(dir: &ProfileDir) -> Result<Vec<Error>> {
    let tried = old(dir)?.into_iter().map(|number| nested::delete_with(&dir.old_state(number)));
    Ok(tried.filter_map(Result::err).collect())
}

/// The copy beside the point is of the very state/ that lies aside now: the two have changed places. Any other
/// copy (a rebase makes one when it begins, and the root may take state/ over more than once) says nothing.
fn is_in_place(dir: &ProfileDir, number: EntryNumber) -> Result<bool> {
    let copy = dir.point_state(number);
    Ok(copy.is_dir() && btrfs::parent(&copy)? == Some(btrfs::uuid(&dir.next_state(number))?))
}

/// Of a root that was dropped, or never became current.
pub fn drop_other(
    dir: &ProfileDir,
    current: EntryNumber,
    is_open: impl Fn(EntryNumber) -> bool,
) -> Result<()> {
    for number in waiting(dir)?.into_iter().filter(|number| *number != current && !is_open(*number)) {
        set_aside(dir, number)?;
    }
    Ok(())
}
