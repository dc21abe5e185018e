//! What is gone from state/ comes back from a snapshot of it, under names where nothing is. The copies
//! are made aside before the undo's pointer moves, so that a full disk or a cut leaves nothing; after it
//! each takes its place with one rename, which whoever finishes the undo after a cut does again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::EntryNumber;
use crate::model::entry::Back;
use crate::model::error::{At, Result};
use crate::model::layout::ProfileDir;

use super::copy::Copy;
use super::{aside, make_parents};
use crate::system::files;

/// Copies what entry `number` puts back, aside and durable.
pub fn prepare(profile: &ProfileDir, number: EntryNumber, items: &[Back]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let dir = aside(&profile.state())?.join(format!("back-{number}"));
    files::remove_tree(&dir)?;
    files::make_dir(&dir, 0o700)?;
    let mut copy = Copy::new(&[]);
    for (at, item) in items.iter().enumerate() {
        let source = profile.point_state(item.from).join(&item.path.0);
        copy.path(&source, &dir.join(at.to_string()))?;
    }
    files::sync_file_system(&dir)
}

/// Gives each copy its place, where nothing is there by now; then what is left aside goes. May be called
/// again after a cut, and where nothing was prepared.
pub fn finish(profile: &ProfileDir, number: EntryNumber, items: &[Back]) -> Result<()> {
    let (state, dir) = (profile.state(), aside_of(profile, number));
    if !dir.is_dir() {
        return Ok(());
    }
    for (at, item) in items.iter().enumerate() {
        let (copy, place) = (dir.join(at.to_string()), state.join(&item.path.0));
        if copy.symlink_metadata().is_err() || !is_free(&state, &item.path.0) {
            continue;
        }
        make_parents(&state, &item.path.0, &[&profile.point_state(item.from)])?;
        fs::rename(&copy, &place).at("rename to", &place)?; // the visible moment of this path
    }
    files::sync_file_system(&state)?;
    drop_prepared(profile, number)
}

/// Of an undo that did not happen.
pub fn drop_prepared(profile: &ProfileDir, number: EntryNumber) -> Result<()> {
    files::remove_tree(&aside_of(profile, number))
}

/// Nothing is at this place, and on the way to it lie directories or nothing.
pub fn is_free(state: &Path, inside: &Path) -> bool {
    let mut above = inside.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty());
    let way = above.all(|dir| state.join(dir).symlink_metadata().map_or(true, |meta| meta.is_dir()));
    way && state.join(inside).symlink_metadata().is_err()
}

/// How many files a path of a snapshot is, directories not counted.
pub fn files_in(tree: &Path) -> Result<usize> {
    if !tree.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(1);
    }
    files::names(tree)?.iter().map(|name| files_in(&tree.join(name))).sum()
}

/// `state/.flipper/back-61`
fn aside_of(profile: &ProfileDir, number: EntryNumber) -> PathBuf {
    profile.state().join(crate::model::state_path::ASIDE).join(format!("back-{number}"))
}
