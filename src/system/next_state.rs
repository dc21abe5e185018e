//! The state/ that comes with a root (`reset --wipe`, and whoever takes that back): made aside before the
//! pointer moves, and given the place of state/ only when nobody uses a root of the profile any more. Until
//! then the old root goes on with its own. Every step can be cut and done again:
//!
//! ```text
//!  .state-57 made ── current -> roots/57 ── 57.state taken ──┃ .state-57 <-> state ── .state-57 deleted
//! ```

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::model::EntryNumber;
use crate::model::error::{At, Result};
use crate::model::layout::ProfileDir;
use crate::model::state_change::StateChange;

use super::{btrfs, files};

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
    btrfs::delete(&next)
}

/// The copy beside the point is of a state/ that is not there any more.
fn is_in_place(dir: &ProfileDir, number: EntryNumber) -> Result<bool> {
    let copy = dir.point_state(number);
    Ok(copy.is_dir() && btrfs::parent(&copy)? != Some(btrfs::uuid(&dir.state())?))
}

/// Of a root that was dropped, or never became current.
pub fn drop_other(
    dir: &ProfileDir,
    current: EntryNumber,
    is_open: impl Fn(EntryNumber) -> bool,
) -> Result<()> {
    for number in waiting(dir)?.into_iter().filter(|number| *number != current && !is_open(*number)) {
        btrfs::delete(&dir.next_state(number))?;
    }
    Ok(())
}
