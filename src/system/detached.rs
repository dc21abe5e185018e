//! A mount carried from one mount namespace to another: cloned off its place (open_tree(2)), held by
//! a descriptor, attached again (move_mount(2)). nix wraps neither yet.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;

use crate::model::error::{At, Result};

/// A mount that is attached nowhere.
#[derive(Debug)]
#[must_use]
pub struct DetachedMount(File);

/// Clones the mount at `path` off its place.
pub fn take(path: &Path) -> Result<DetachedMount> {
    take_with(path, 0)
}

/// The same with everything that is mounted below it.
pub fn take_all(path: &Path) -> Result<DetachedMount> {
    take_with(path, libc::AT_RECURSIVE as libc::c_uint)
}

fn take_with(path: &Path, more: libc::c_uint) -> Result<DetachedMount> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let name = c_path(path)?;
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint | more;
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, name.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error()).at("take the mount of", path);
    }
    Ok(DetachedMount(unsafe { File::from_raw_fd(fd as i32) }))
}

/// Attaches it at `path`, in the namespace this process is in now.
pub fn put(mount: DetachedMount, path: &Path) -> Result<()> {
    const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
    let name = c_path(path)?;
    let done = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.0.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            name.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()).at("mount at", path) }
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
        .at("name", path)
}
