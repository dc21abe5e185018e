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
    let whole = assemble::mount_state(pool, profile)?;
    let taken = detached::take(&whole.join(path.inside()));
    umount2(&whole, MntFlags::MNT_DETACH).at("unmount", &whole)?;
    let taken = taken?;
    outside(pool, || {
        files::mount_point(Path::new("/"), path.inside()).and_then(|at| detached::put(taken, &at))
    })?;
    super::mark(&profile.state().join(path.inside()))
}

/// The other way, for a path that is empty: the root has its directory again, where nothing is mounted.
/// Refused by the kernel while somebody works in it.
pub fn vanish(pool: &Pool, profile: &ProfileDir, path: &StatePath) -> Result<()> {
    let here = Path::new("/").join(path.inside());
    outside(pool, || umount2(&here, MntFlags::empty()).at("unmount", &here))?;
    let empty = profile.state().join(path.inside());
    fs::remove_dir(&empty).at("remove", &empty)
}

/// Does something in the mount namespace this program was called in.
fn outside(pool: &Pool, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let own = own_namespace()?;
    setns(&pool.outer, CloneFlags::CLONE_NEWNS).at("return to the namespace of", "/")?;
    let done = work();
    setns(&own, CloneFlags::CLONE_NEWNS).at("leave the namespace of", "/")?;
    done
}

fn own_namespace() -> Result<File> {
    let path = PathBuf::from("/proc/self/ns/mnt");
    File::open(&path).at("open", &path)
}
