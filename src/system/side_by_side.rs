//! A sealed state and a root that nobody sees yet, both mounted as the merged trees they are: what is
//! handed on from one to the other with `--keep`. Through overlayfs, because only it knows for certain how
//! a directory of the base is hidden or an absence is written.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use crate::model::error::{At, Result};
use crate::model::layout::{ProfileDir, RootDir};

use super::assemble::{self, Assembly};
use super::pool::Pool;
use super::roots;

/// `work` gets the merged tree of `then`, read-only, and that of `root`. Only this process sees them.
pub fn with_both<T>(
    pool: &Pool,
    profile: &ProfileDir,
    then: &RootDir,
    root: &RootDir,
    work: impl FnOnce(&Path, &Path) -> Result<T>,
) -> Result<T> {
    let (then_at, root_at) = (PathBuf::from("/run/flipper/kept"), PathBuf::from("/run/flipper/new"));
    for dir in [&then_at, &root_at] {
        fs::create_dir_all(dir).at("make", dir)?;
    }
    assemble::mount_read_only(&pool.layout, then, &roots::base_of(then)?, &then_at)?;
    let base = roots::base_of(root)?;
    let assembly = Assembly { pool, profile, root, base: &base, target: &root_at, state: None };
    let done = assembly.mount().and_then(|_| {
        let done = work(&then_at, &root_at);
        umount2(&root_at, MntFlags::empty()).at("unmount", &root_at).and(done)
    });
    umount2(&then_at, MntFlags::empty()).at("unmount", &then_at).and(done)
}
