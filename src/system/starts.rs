//! Can a merged root start its programs at all? Asked before a machine is handed over to it: a root without
//! its loader or with a broken C library would only panic the kernel.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::unistd::{chdir, chroot};

use crate::model::error::{At, Result};

/// Whoever takes longer than this is slow, not broken: that is for the machine's owner to judge.
const PATIENCE: Duration = Duration::from_secs(10);

/// None: it starts. Else why not, for a sentence. `init` is what the kernel is to start, e.g. `/sbin/init`.
pub fn hindrance(root: &Path, init: &Path) -> Result<Option<String>> {
    let Some(found) = in_root(root, init)? else {
        return Ok(Some(format!("it has no {}", init.display())));
    };
    // systemd loads all its libraries for this too. Of another init nobody knows what it would do.
    let systemd = found.file_name().is_some_and(|name| name == "systemd");
    let shell = Path::new("/bin/sh");
    let (program, words) =
        if systemd { (&*found, ["--version"].as_slice()) } else { (shell, &["-c", ":"][..]) };
    // Twice: a passing fault must not take a person's change back.
    Ok(attempt(root, program, words).and_then(|_| attempt(root, program, words)))
}

fn attempt(root: &Path, program: &Path, words: &[&str]) -> Option<String> {
    let (inside, name) = (root.to_path_buf(), program.display());
    let mut command = Command::new(program);
    command.args(words).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let enter = move || Ok(chroot(&inside).and_then(|()| chdir("/"))?);
    unsafe { command.pre_exec(enter) };
    match command.spawn() {
        Err(error) => Some(format!("{name} cannot be started: {error}")),
        Ok(child) => ended(child).map(|how| format!("{name} {how}")),
    }
}

/// How it failed; None when it did not, or not in time.
fn ended(mut child: Child) -> Option<String> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return None,
            Ok(Some(status)) => return Some(format!("ended with {status}")),
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Would the system in this merged root confirm that it came up? Not where flipper-confirm.service is disabled,
/// masked or gone, nor where the default target is one that never reaches it: there nothing would tell the good
/// starts from the bad ones.
pub fn can_confirm(root: &Path) -> bool {
    let is_file = |inside: &str| fs::symlink_metadata(root.join(inside)).is_ok_and(|meta| meta.is_file());
    let is_there = |inside: &str| fs::symlink_metadata(root.join(inside)).is_ok();
    let target = fs::read_link(root.join("etc/systemd/system/default.target")).ok();
    let reaches = target
        .is_none_or(|target| target.ends_with("multi-user.target") || target.ends_with("graphical.target"));
    reaches
        && is_there("etc/systemd/system/multi-user.target.wants/flipper-confirm.service")
        && !is_there("etc/systemd/system/flipper-confirm.service")
        && is_file("usr/lib/systemd/system/flipper-confirm.service")
        && is_file("usr/libexec/flipper-profiles/flipper-hook")
}

/// Where a path leads inside a root, its links followed as the root itself would follow them.
fn in_root(root: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let top = File::open(root).at("open", root)?;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    // EAGAIN: somebody mounted or renamed something while `..` was followed (openat2(2)).
    let found = loop {
        match openat2(&top, path, how) {
            Err(Errno::EAGAIN) => {}
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
            other => break other.at("open", path)?,
        }
    };
    let seen = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
    let full = fs::read_link(&seen).at("read", &seen)?;
    Ok(full.strip_prefix(root).ok().map(|inside| Path::new("/").join(inside)))
}
