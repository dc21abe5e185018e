//! The root of a rebase that was not proved, kept for looking: `roots/57.refused`, of each profile one at the
//! most. Its name is no number, so nobody takes it for a root that could be current. It goes with the next rebase
//! of the profile, with `flipper-profile prune`, and with `flipper-undo --cancel`.

use std::fs;

use crate::model::EntryNumber;
use crate::model::error::{At, Result};
use crate::model::layout::{ProfileDir, RootDir};

use super::pool::Pool;
use super::{btrfs, files, guard};

const ENDING: &str = ".refused";

/// The entry that made it, and the root.
pub fn find(dir: &ProfileDir) -> Result<Option<(EntryNumber, RootDir)>> {
    let names = files::names(&dir.roots())?;
    let number = |name: &std::ffi::OsString| name.to_str()?.strip_suffix(ENDING)?.parse().ok();
    let newest: Option<EntryNumber> = names.iter().filter_map(number).max();
    Ok(newest.map(|number| (number, at(dir, number))))
}

fn at(dir: &ProfileDir, number: EntryNumber) -> RootDir {
    RootDir::at(dir.roots().join(format!("{number}{ENDING}")))
}

/// In the place of one that was kept before. Nobody uses the root.
pub fn keep(pool: &Pool, dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    drop_kept(pool, dir)?;
    let (from, to) = (dir.root(number), at(dir, number));
    fs::rename(from.path(), to.path()).at("rename to", to.path())
}

/// Refused while somebody looks at it. The caller holds the profile's lock.
pub fn drop_kept(pool: &Pool, dir: &ProfileDir) -> Result<Option<EntryNumber>> {
    let mut dropped = None;
    while let Some((number, root)) = find(dir)? {
        let _claimed = guard::claim(pool, &root)?;
        btrfs::delete(root.path())?;
        dropped = Some(number);
    }
    Ok(dropped)
}
