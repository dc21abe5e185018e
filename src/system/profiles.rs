//! Whole profile directories: made aside, published, set aside and removed, each by one rename.

use std::fs;

use crate::model::error::{At, Result};
use crate::model::layout::{ProfileDir, RootDir};

use super::locks::Lock;
use super::pool::Pool;
use super::{btrfs, files, guard};

/// Makes `@profiles/.new-lab` with its directories and holds its lock, so that recover leaves it alone.
pub fn make_aside(dir: &ProfileDir) -> Result<Lock> {
    files::make_dir(dir.path(), 0o700)?;
    let lock = Lock::take(&dir.lock(), &dir.path().display().to_string())?;
    files::make_dir(&dir.roots(), 0o700)?;
    files::make_dir(&dir.snapshots(), 0o700)?;
    Ok(lock)
}

/// Everything is synced, then the directory gets its name: it is there, whole, or it is not.
pub fn publish(from: &ProfileDir, to: &ProfileDir) -> Result<()> {
    files::sync_file_system(from.path())?;
    fs::rename(from.path(), to.path()).at("rename to", to.path())?; // the visible moment
    files::sync_parent(to.path())
}

/// Removes a profile's directory with all its subvolumes. Every root and point is claimed first; one
/// in use stops it before anything is gone.
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
    for (lock, root) in claimed {
        btrfs::delete(root.path())?;
        drop(lock);
    }
    for name in files::names(dir.path())? {
        let path = dir.path().join(name);
        if btrfs::is_subvolume(&path) {
            btrfs::delete(&path)?;
        }
    }
    files::remove_tree(dir.path())
}

/// Removes directories that a cut left half made: nobody holds their lock any more.
pub fn remove_leftovers(pool: &Pool) -> Result<()> {
    for name in files::names(&pool.layout.profiles())? {
        let made = name.to_str().is_some_and(|n| n.starts_with(".new-") && n != ".new-template");
        if !made {
            continue;
        }
        let dir = ProfileDir::at(pool.layout.profiles().join(name));
        if let Ok(_lock) = Lock::take(&dir.lock(), "a leftover") {
            remove(pool, &dir)?;
        }
    }
    Ok(())
}
