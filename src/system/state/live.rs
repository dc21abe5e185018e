//! A path that comes into state/ while its profile is in use, because its package is about to: made
//! there, mounted in the root that runs, and then marked, so that a container engine never begins on an
//! overlay. A cut in between leaves a directory without its mark, which the next settling fills.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};

use crate::model::error::{At, Error, Result};
use crate::model::layout::ProfileDir;
use crate::model::state_path::StatePath;

use super::settle;
use crate::system::pool::Pool;
use crate::system::{assemble, detached, files};

/// Makes the path in state/ and mounts it at `/`, in the namespace this program was called in. Refused
/// where files lie there already: they are moved at the next start, not hidden now.
pub fn appear(pool: &Pool, profile: &ProfileDir, path: &StatePath) -> Result<()> {
    let here = Path::new("/").join(path.inside());
    if !files::names(&here)?.is_empty() {
        let why = "there is something in it already".to_owned();
        return Err(Error::BadStatePath { path: here, why });
    }
    settle::make_empty(&profile.state(), path, &here)?;
    let whole = assemble::mount_state(pool, &profile.state())?;
    let taken = detached::take(&whole.join(path.inside()));
    umount2(&whole, MntFlags::MNT_DETACH).at("unmount", &whole)?;
    let taken = taken?;
    in_namespace(&of_the_system()?, || {
        files::mount_point(Path::new("/"), path.inside()).and_then(|at| detached::put(taken, &at))
    })?;
    let made = profile.state().join(path.inside());
    let is_seen = files::identity(&made)? == in_namespace(&pool.outer, || files::identity(&here))?;
    match is_seen {
        true => super::mark(&made, super::Mark::Whole),
        // A service with mounts of its own: what is written in either place is put together later.
        false => Err(Error::BadStatePath { path: here, why: "its mount is not seen from here".into() }),
    }
}

/// The other way, for a path that is empty: the root has its directory again, where nothing is mounted.
/// Refused by the kernel while somebody works in it.
pub fn vanish(profile: &ProfileDir, path: &StatePath) -> Result<()> {
    let here = Path::new("/").join(path.inside());
    in_namespace(&of_the_system()?, || umount2(&here, MntFlags::empty()).at("unmount", &here))?;
    let empty = profile.state().join(path.inside());
    fs::remove_dir(&empty).at("remove", &empty)
}

/// The mounts that everybody in this system sees: those of its first process. A service that installs
/// packages may have a mount namespace of its own, which takes over what happens in this one.
fn of_the_system() -> Result<File> {
    let path = PathBuf::from("/proc/1/ns/mnt");
    File::open(&path).at("open", &path)
}

/// Does something in a mount namespace, and comes back.
fn in_namespace<T>(namespace: &File, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let own = File::open("/proc/self/ns/mnt").at("open", "/proc/self/ns/mnt")?;
    setns(namespace, CloneFlags::CLONE_NEWNS).at("enter the mount namespace of", "/proc/1")?;
    let done = work();
    setns(&own, CloneFlags::CLONE_NEWNS).at("leave the mount namespace of", "/proc/1")?;
    done
}
