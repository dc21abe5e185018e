//! Whole profile directories: made aside, published, set aside and removed, each by one rename.

use std::fs;
use std::time::{Duration, Instant};

use crate::model::error::{At, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{EntryNumber, Layout};

use super::locks::Lock;
use super::pool::Pool;
use super::{btrfs, files, guard, identity, nested, roots};

/// Makes `@profiles/.new-lab` with its directories and holds its lock, so that recover leaves it alone.
pub fn make_aside(dir: &ProfileDir) -> Result<Lock> {
    let lock = lock_aside(dir)?;
    files::make_dir(&dir.roots(), 0o700)?;
    files::make_dir(&dir.snapshots(), 0o700)?;
    Ok(lock)
}

/// A recover that finds the directory before our lock is on it takes it for a leftover: it has the lock
/// for a moment, and then lock and directory are gone. Then once more.
fn lock_aside(dir: &ProfileDir) -> Result<Lock> {
    let end = Instant::now() + Duration::from_secs(1);
    loop {
        files::make_dir(dir.path(), 0o700)?;
        match Lock::take(&dir.lock(), &dir.path().display().to_string()) {
            Ok(lock) if lock.is_of(&dir.lock()) => return Ok(lock),
            Err(error) if Instant::now() > end => return Err(error),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// What a reset goes back to: the root and the state/ of a profile that is being made.
pub fn seal_pristine(dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    btrfs::point(dir.root(number).path(), dir.pristine().path())?;
    btrfs::point(&dir.state(), &dir.pristine_state())
}

/// A clone goes back to what its source was made as, without what would make two machines one to others.
/// Profiles of older programs have nothing to hand on.
pub fn hand_on_pristine(layout: &Layout, from: &ProfileDir, to: &ProfileDir) -> Result<()> {
    let (pristine, root) = (from.pristine(), to.pristine());
    if pristine.path().is_dir() {
        let base = layout.base(&roots::base_of(&pristine)?);
        // Mostly there are none, and sealing costs a commit.
        if identity::has_secrets(&pristine, &base)? {
            btrfs::snapshot(pristine.path(), root.path())?;
            roots::drop_random_seed(&root)?;
            identity::drop_secrets(&root, &base)?;
            identity::drop_keys(&root, &base)?;
            btrfs::seal(root.path())?;
        } else {
            btrfs::point(pristine.path(), root.path())?;
        }
    }
    match from.pristine_state().is_dir() {
        true => btrfs::point(&from.pristine_state(), &to.pristine_state()),
        false => Ok(()),
    }
}

/// Everything is synced, then the directory gets its name: it is there, whole, or it is not.
pub fn publish(from: &ProfileDir, to: &ProfileDir) -> Result<()> {
    files::sync_file_system(from.path())?;
    fs::rename(from.path(), to.path()).at("rename to", to.path())?; // the visible moment
    files::sync_parent(to.path())
}

/// Removes a profile's directory with all its subvolumes, and those nested in state/. Every root and point
/// is claimed first; one in use, or a nested one that is mounted, stops it before anything is gone.
pub fn remove(pool: &Pool, dir: &ProfileDir) -> Result<()> {
    let mut claimed = Vec::new();
    for made in [dir.roots(), dir.snapshots()] {
        for name in files::names(&made)? {
            let root = RootDir::at(made.join(name));
            if btrfs::is_subvolume(root.path()) {
                claimed.push((guard::claim(pool, &root)?, root));
            }
        }
    }
    let own = files::names(dir.path())?.into_iter().map(|name| dir.path().join(name));
    let own: Vec<_> = own.filter(|path| !path.is_symlink() && btrfs::is_subvolume(path)).collect();
    own.iter().try_for_each(|path| nested::need_none_mounted(path))?;
    for (lock, root) in claimed {
        btrfs::delete(root.path())?;
        drop(lock);
    }
    remove_orphans(dir)?;
    own.iter().try_for_each(|path| nested::delete_with(path))?; // state/ may hold others
    files::remove_tree(dir.path())
}

/// Deletes a point for good, its copy of state/ after it. The caller holds its lock. Each is there or
/// gone, also after a power cut; a copy that outlived its point goes with [`remove_orphans`].
pub fn remove_point(dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    btrfs::delete(dir.point(number).path())?; // the visible moment
    btrfs::delete_if_there(&dir.point_state(number))
}

/// `.current.new`, `.profile.json.new`: written aside by a change that was cut before the rename. The
/// caller holds the profile's lock, so nobody is about to rename one.
pub fn remove_written_aside(dir: &ProfileDir) -> Result<()> {
    for path in [dir.current(), dir.description(), dir.applied()] {
        files::remove_if_there(&files::beside(&path, ".new"))?;
    }
    Ok(())
}

/// Copies of state/ whose point is gone.
pub fn remove_orphans(dir: &ProfileDir) -> Result<()> {
    for name in files::names(&dir.snapshots())? {
        let number = name.to_str().and_then(|n| n.strip_suffix(".state")?.parse::<EntryNumber>().ok());
        let Some(number) = number else { continue };
        if !dir.point(number).path().exists() {
            btrfs::delete(&dir.point_state(number))?;
        }
    }
    Ok(())
}

/// Takes a deleted profile out of undo's reach, then removes it. Half removed under its old name it
/// could be brought back without its roots.
pub fn remove_deleted(pool: &Pool, deleted: &ProfileDir, aside: &ProfileDir) -> Result<()> {
    fs::rename(deleted.path(), aside.path()).at("rename to", aside.path())?; // the visible moment
    files::sync_parent(aside.path())?;
    remove(pool, aside)
}

/// Removes directories that a cut left half made or half removed: nobody holds their lock any more. One that
/// cannot be removed stops no other.
pub fn remove_leftovers(pool: &Pool) -> Result<()> {
    let mut done = Ok(());
    for name in files::names(&pool.layout.profiles())? {
        let name_text = name.to_str().unwrap_or_default();
        let made = name_text.starts_with(".new-") && name_text != ".new-template";
        if !made && !name_text.starts_with(".pruned-") {
            continue;
        }
        let dir = ProfileDir::at(pool.layout.profiles().join(name));
        if let Ok(_lock) = Lock::take(&dir.lock(), "a leftover") {
            done = done.and(remove(pool, &dir));
        }
    }
    done
}

/// The ids of every subvolume of a profile's directory.
pub fn subvolumes(dir: &ProfileDir) -> Result<Vec<u64>> {
    let mut ids = Vec::new();
    for place in [dir.path().to_path_buf(), dir.roots(), dir.snapshots()] {
        for name in files::names(&place)? {
            let path = place.join(name);
            if btrfs::is_subvolume(&path) {
                ids.push(btrfs::subvolume_id(&path)?);
            }
        }
    }
    Ok(ids)
}
