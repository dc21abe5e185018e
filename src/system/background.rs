//! Work that nobody waits for: a child that has let go of everything of its parent's. Forked and not
//! executed, because a hook knows already what such work needs.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::unistd::ForkResult;

use crate::model::error::{At, Result};

use super::locks::Lock;

/// Runs `work` in a child and returns at once. The child has a session of its own, the lowest
/// priority, and of this process only `held`: a child of a hook that kept apt's output open would make
/// apt wait for it. What the work returns is lost: whoever needs it looks for what it leaves.
///
/// The caller is of one thread (a fork takes along no other), and what it opened is not the child's to
/// use: paths and plain data are.
pub fn start(held: Option<&Lock>, work: impl FnOnce() -> Result<()>) -> Result<()> {
    match unsafe { nix::unistd::fork() }.at("start a child of", "/proc/self")? {
        ForkResult::Parent { .. } => Ok(()),
        ForkResult::Child => {
            let done = leave(held).and_then(|()| work());
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
    }
}

fn leave(held: Option<&Lock>) -> Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null").at("open", "/dev/null")?;
    let held = held.map_or(nothing.as_raw_fd(), Lock::descriptor);
    unsafe {
        libc::setsid();
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
        libc::dup2(held, 0);
        libc::dup2(nothing.as_raw_fd(), 1);
        libc::dup2(nothing.as_raw_fd(), 2);
    }
    std::mem::forget(nothing); // closed with all the others
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if closed != 0 {
        return Err(std::io::Error::last_os_error()).at("let go of", "/proc/self/fd");
    }
    Ok(())
}
