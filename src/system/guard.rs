//! Is a root, a point or a base in use? The kernel lets anyone delete a subvolume an overlay stands
//! on, so nothing is deleted or sealed before all of these say no, in this order:
//!
//! 1. the flock on its directory: `run` and `mount` hold it in a supervisor, the boot service for
//!    the booted root;
//! 2. the booted file names its subvolume id;
//! 3. the mountinfo of every process;
//! 4. the kernel itself: overlayfs marks an upper it uses, also under a lazily detached mount that
//!    is in no mountinfo any more. A mount that cannot succeed asks it: with `index=on` and a
//!    workdir on another mount, the answer is EBUSY for an upper in use and EINVAL for a free one
//!    (fs/overlayfs/super.c takes the upper's mark before it looks at the workdir).

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::model::error::{Error, Result};
use crate::model::layout::RootDir;

use super::locks::Lock;
use super::pool::{self, Pool};
use super::{btrfs, mountinfo};

/// How long a claim waits for what is about to end by itself: a supervisor whose mount is gone wakes up
/// and lets go of its lock within milliseconds, and the kernel takes a namespace apart after its last
/// process has ended.
const LETTING_GO: Duration = Duration::from_secs(2);

/// Takes a root's lock and proves that nobody uses it; the lock keeps it so.
pub fn claim(pool: &Pool, root: &RootDir) -> Result<Lock> {
    let begin = Instant::now();
    loop {
        match try_claim(pool, root, false)? {
            Ok(lock) => return Ok(lock),
            Err(user) if user.may_pass && begin.elapsed() < LETTING_GO => sleep(Duration::from_millis(10)),
            Err(user) => return Err(in_use(pool, root, &user.by)),
        }
    }
}

/// Like [`claim`], without keeping it so and without waiting: for readers. They ask with a shared lock,
/// so that two who look at the same moment do not take each other for users.
pub fn is_used(pool: &Pool, root: &RootDir) -> Result<bool> {
    Ok(try_claim(pool, root, true)?.is_err())
}

struct User {
    by: String,
    /// No mount is to be seen: only the lock is held, or only the kernel's mark is left.
    may_pass: bool,
}

fn try_claim(pool: &Pool, root: &RootDir, shared: bool) -> Result<Result<Lock, User>> {
    let lock = Lock::of_directory(root.path(), shared)?;
    match (lock, user_beside_lock(pool, root)?) {
        (Some(lock), None) => Ok(Ok(lock)),
        (None, None) => Ok(Err(User { by: "a run or a mount holds it".into(), may_pass: true })),
        (_, Some(user)) => Ok(Err(user)),
    }
}

fn user_beside_lock(pool: &Pool, root: &RootDir) -> Result<Option<User>> {
    if let Some(booted) = pool::booted()? {
        if booted.pool == pool.uuid && booted.subvolid == btrfs::subvolume_id(root.path())? {
            return Ok(Some(User { by: "this machine runs on it".into(), may_pass: false }));
        }
    }
    if let Some(seen) = mountinfo::find_overlay(&pool.tail(&root.upper()))? {
        let by = format!("mounted at {} (process {})", seen.mount.mount_point.display(), seen.pid);
        return Ok(Some(User { by, may_pass: false }));
    }
    if kernel_uses_upper(pool, root) {
        let by = "an overlay nobody shows any more stands on it".into();
        return Ok(Some(User { by, may_pass: true }));
    }
    Ok(None)
}

fn kernel_uses_upper(pool: &Pool, root: &RootDir) -> bool {
    if btrfs::is_read_only(root.path()).unwrap_or(true) {
        return false; // a point is never an upper
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir=/,index=on",
        pool.layout.bases().display(),
        root.upper().display()
    );
    let nowhere = Path::new("/run/flipper");
    let asked =
        mount(Some("flipper-guard"), nowhere, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
    match asked {
        Err(Errno::EBUSY) => true,
        Err(_) => false,
        Ok(()) => {
            // Cannot be (the workdir is on another mount). If it is after all, leave no trace.
            let _ = nix::mount::umount(nowhere);
            true
        }
    }
}

fn in_use(pool: &Pool, root: &RootDir, by: &str) -> Error {
    let what = root.path().strip_prefix(pool.layout.profiles()).unwrap_or(root.path());
    Error::InUse { what: what.display().to_string(), by: by.to_owned() }
}
