//! btrfs receive, kept to the one subvolume it makes. A stream says paths, and `btrfs receive` follows them as
//! root: through a link of the stream's own making it would write anywhere, and beside the bases lie their
//! manifests. So it has `@base` for its root, and sees the pool through a mount that follows no link;
//! [`Stream::pour`] lets no `..` through.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr::null;

use nix::libc;

use crate::model::Layout;
use crate::model::error::{At, Error, Result};

use super::btrfs;
use super::stream::{Poured, Stream};

/// linux/mount.h; Linux 5.10 and later.
const MS_NOSYMFOLLOW: libc::c_ulong = 256;

/// Receives a stream as `@base/.incoming`, which is sealed afterwards. What a failure leaves there, the caller
/// removes.
pub fn receive(stream: &mut Stream, layout: &Layout, progress: impl FnMut(u64)) -> Result<()> {
    let incoming = layout.incoming_base();
    btrfs::delete_if_there(&incoming)?;
    let mut command = Command::new("btrfs");
    command.args(["receive", "--chroot"]).arg(layout.bases()).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    confine(&mut command, layout.top())?;
    let mut child = command.spawn().at("run btrfs for", &stream.path)?;
    let poured = child.stdin.take().map_or(Ok(Poured::Stopped), |to| stream.pour(to, progress));
    if poured.is_err() {
        let _ = child.kill(); // it must not take the end of its input for the end of the stream
    }
    let ended = child.wait_with_output().at("run btrfs for", &stream.path)?;
    let is_whole = poured? == Poured::Whole && ended.status.success();
    if is_whole && btrfs::is_subvolume(&incoming) && btrfs::is_read_only(&incoming)? {
        return Ok(());
    }
    Err(why(stream, layout, &String::from_utf8_lossy(&ended.stderr)))
}

/// What it said, without the word before it: `ERROR: crc32 mismatch in command`.
fn why(stream: &Stream, layout: &Layout, said: &str) -> Error {
    const ENOSPC: i32 = 28;
    let line = said.lines().find_map(|line| line.strip_prefix("ERROR: "));
    let why = line.or(said.lines().last()).unwrap_or("it failed without a word");
    if why.contains("No space left on device") {
        let (path, source) = (layout.bases(), io::Error::from_raw_os_error(ENOSPC));
        return Error::Io { path, action: "receive into", source };
    }
    Error::BrokenStream { path: stream.path.clone(), why: format!("btrfs receive: {why}") }
}

/// In a mount namespace of its own, where the pool follows no link; it ends when we do, or what it still had
/// in its pipe would be written into the next stream that is received.
fn confine(command: &mut Command, top: &Path) -> Result<()> {
    let top = CString::new(top.as_os_str().as_bytes()).map_err(io::Error::from).at("name", top)?;
    let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_NOSUID | libc::MS_NODEV;
    let flags = flags | libc::MS_NOEXEC | libc::MS_NOATIME | MS_NOSYMFOLLOW;
    let ours = std::process::id() as libc::pid_t;
    let confined = move || -> io::Result<()> {
        let done = unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0
                && libc::getppid() == ours
                && libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(null(), top.as_ptr(), null(), flags, null()) == 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    unsafe { command.pre_exec(confined) };
    Ok(())
}
