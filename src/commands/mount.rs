//! `flipper-profile mount ID|ID@N DIR`: the bare merged tree of a profile, or of a point (or of the root that a
//! rebase refused) read-only on the base of that state, in the namespace of whoever asked. A supervisor holds the lock until
//! umount(8).

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::unistd::{ForkResult, fork, setsid};

use crate::model::error::{At, Error, Exit, Result};
use crate::model::id::StateRef;
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{EntryNumber, ProfileId};
use crate::system::assemble::{self, Assembly};
use crate::system::locks::Lock;
use crate::system::{detached, guard, mountinfo, refused, roots};

use super::cli::Common;
use super::session::Session;
use super::{pruned, report};

pub fn run(common: &Common, state: &str, dir: &Path, read_only: bool, refused: bool) -> Result<Exit> {
    let state: StateRef = state.parse()?;
    if refused && state.point.is_some() {
        return Err(Error::Usage(
            "--refused is said of a profile, not of a point: mount ID --refused DIR".into(),
        ));
    }
    let read_only = read_only || refused;
    let at = fs::canonicalize(dir).at("look at", dir)?;
    let session = Session::mending_if_allowed(common)?;
    if state.point.is_none() && !read_only {
        session.pool.need_writable_format()?;
    }
    let profile = session.need_profile(&state.profile)?;
    let inner = PathBuf::from("/run/flipper/mount");
    fs::create_dir_all(&inner).at("make", &inner)?;
    let lock = match state.point {
        _ if refused => mount_refused(&session, &state.profile, &profile, &inner)?,
        Some(number) => mount_point(&session, &state.profile, number, &inner)?,
        None => mount_current(&session, &profile, &inner, read_only)?,
    };
    let tree = detached::take(&inner)?;
    setns(&session.pool.outer, CloneFlags::CLONE_NEWNS).at("return to the namespace of", &at)?;
    detached::put(tree, &at)?;
    report::line(format_args!("mounted at {}; umount it when done", at.display()));
    hold_until_unmounted(lock, &at)?;
    Ok(Exit::Done)
}

fn mount_point(session: &Session, id: &ProfileId, number: EntryNumber, inner: &Path) -> Result<Lock> {
    let profile = session.need_profile(id)?;
    let point = profile.point(number);
    if !point.path().is_dir() {
        return Err(pruned::name(session, id, Error::PointMissing { number }));
    }
    shared(&session.pool.layout, &point, inner)
}

fn mount_refused(session: &Session, id: &ProfileId, profile: &ProfileDir, inner: &Path) -> Result<Lock> {
    match refused::find(profile)? {
        Some((_, root)) => shared(&session.pool.layout, &root, inner),
        None => Err(Error::NothingRefused { profile: id.clone() }),
    }
}

/// Read-only mounts may be many at a time; they keep the point from being deleted.
fn shared(layout: &crate::model::Layout, state: &RootDir, inner: &Path) -> Result<Lock> {
    let lock = Lock::of_directory(state.path(), true)?.ok_or_else(|| Error::InUse {
        what: state.path().display().to_string(),
        by: "somebody works on it".into(),
    })?;
    assemble::mount_read_only(layout, state, &roots::base_of(state)?, inner)?;
    Ok(lock)
}

fn mount_current(session: &Session, profile: &ProfileDir, inner: &Path, read_only: bool) -> Result<Lock> {
    // No undo moves the pointer between the look and the lock.
    let _profile = Lock::take_soon(&profile.lock(), "the profile")?;
    let root = profile.root(roots::current(profile)?);
    // Also for reading: the tree under a second mount of a root in use would change below it.
    let lock = guard::claim(&session.pool, &root)?;
    let base = roots::base_of(&root)?;
    if read_only {
        assemble::mount_read_only(&session.pool.layout, &root, &base, inner)?;
    } else {
        let assembly =
            Assembly { pool: &session.pool, profile, root: &root, base: &base, target: inner, state: None };
        assembly.mount()?;
    }
    Ok(lock)
}

/// Goes to the background and keeps the lock as long as the mount is there. The lock is on the open
/// file, which the child shares; the parent returns to the person.
fn hold_until_unmounted(lock: Lock, at: &Path) -> Result<()> {
    match unsafe { fork() }.at("fork for", at)? {
        ForkResult::Parent { .. } => {
            lock.keep();
            Ok(())
        }
        ForkResult::Child => {
            let _ = setsid();
            for fd in 0..3 {
                unsafe { libc::close(fd) };
            }
            let _ = wait_for_unmount(at);
            drop(lock);
            unsafe { libc::_exit(0) }
        }
    }
}

/// The kernel wakes poll(2) on mountinfo with POLLERR|POLLPRI at every change (proc(5)).
fn wait_for_unmount(at: &Path) -> Result<()> {
    let changes = File::open("/proc/self/mountinfo").at("open", "/proc/self/mountinfo")?;
    while is_mounted(at)? {
        let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(changes.as_raw_fd()) };
        let mut waiting = [PollFd::new(borrowed, PollFlags::POLLPRI)];
        let _ = poll(&mut waiting, PollTimeout::from(5000u16));
    }
    Ok(())
}

fn is_mounted(at: &Path) -> Result<bool> {
    let mounts = mountinfo::of_process("self")?;
    Ok(mounts.iter().any(|m| m.mount_point == at && m.file_system == "overlay"))
}
