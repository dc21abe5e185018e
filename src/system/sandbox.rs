//! `run`: a profile that is not booted, with namespaces of its own (mount, PID, IPC, UTS), so that apt
//! and its hooks work in it exactly as when it is booted. This process stays outside as the
//! supervisor: it holds the root's lock, and when the command ends, everything in there ends.

use std::ffi::{CString, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::model::booted::Booted;
use crate::model::carried::LENT_RESOLV_CONF;
use crate::model::error::{At, Error, Result};

use super::assemble::Assembly;
use super::files;
use super::state::settle::Problem;

/// Where the root is assembled; only this process and its children see it.
const TARGET: &str = "/run/flipper/root";
const NONE: Option<&str> = None;

/// Assembles the root and everything a package run needs around it. Returns where.
/// `booted` is absent for a throwaway copy: its package runs are not journalled.
pub fn prepare(
    assembly: impl FnOnce(&Path) -> Result<()>,
    device: &Path,
    booted: Option<Booted>,
) -> Result<PathBuf> {
    let root = PathBuf::from(TARGET);
    fs::create_dir_all(&root).at("make", &root)?;
    assembly(&root)?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    tmpfs(&files::mount_point(&root, "run")?, plain, "mode=0755")?;
    tmpfs(&files::mount_point(&root, "tmp")?, plain, "mode=1777")?;
    let sys = files::mount_point(&root, "sys")?;
    let read_only = plain | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(Some("sysfs"), &sys, Some("sysfs"), read_only, NONE).at("mount", &sys)?;
    files::mount_point(&root, "proc")?;
    small_dev(&files::mount_point(&root, "dev")?, device)?;
    files::make_dir(&root.join("run/lock"), 0o1777)?;
    files::make_dir(&root.join("run/flipper"), 0o755)?;
    let mark = root.join("run/flipper/run"); // policy-rc.d looks for it: nothing is started in a run
    fs::write(&mark, b"").at("write", &mark)?;
    if let Some(mut booted) = booted {
        booted.identity = files::identity(&root)?;
        let path = root.join("run/flipper/booted");
        fs::write(&path, booted.to_text()).at("write", &path)?;
    }
    Ok(root)
}

/// Runs the command in the prepared root and waits for its end. Returns its exit status (128 + the
/// signal's number when one ended it).
pub fn supervise(root: &Path, hostname: &str, command: &[OsString]) -> Result<i32> {
    lend_name_servers(root)?;
    let own = fs::File::open("/proc/self/ns/pid").at("open", "/proc/self/ns/pid")?;
    unshare(CloneFlags::CLONE_NEWPID).at("make a PID namespace for", root)?;
    match unsafe { fork() }.at("fork for", root)? {
        ForkResult::Child => {
            let status = first_process(root, hostname, command);
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => {
            let ended = wait_outside(child);
            // That namespace is over, and nothing could be started in it any more.
            setns(&own, CloneFlags::CLONE_NEWPID).at("return to the PID namespace of", root)?;
            ended
        }
    }
}

/// Runs one command, silently, in a root that is assembled for it alone and taken apart after it, in a child.
pub fn once(assembly: &Assembly, hostname: &str, command: &[OsString]) -> Result<i32> {
    let what = assembly.root.path();
    match unsafe { fork() }.at("fork for", what)? {
        ForkResult::Child => {
            let silent = || {
                let null = fs::OpenOptions::new().write(true).open("/dev/null").at("open", "/dev/null")?;
                alone(assembly, hostname, command, &[(1, &null)])
            };
            let status = silent().unwrap_or_else(|error| tell(&error));
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).at("wait for", what)? {
            WaitStatus::Exited(_, status) => Ok(status),
            _ => Ok(128),
        },
    }
}

/// Like [`once`], with everything the command says in a file of ours.
pub fn logged(assembly: &Assembly, hostname: &str, command: &[OsString], log: &Path) -> Result<i32> {
    let what = assembly.root.path();
    let file = fs::OpenOptions::new().append(true).create(true).open(log).at("write", log)?;
    match unsafe { fork() }.at("fork for", what)? {
        ForkResult::Child => {
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
            let says = [(1, &file), (2, &file)];
            let status = alone(assembly, hostname, command, &says).unwrap_or_else(|error| tell(&error));
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).at("wait for", what)? {
            WaitStatus::Exited(_, status) => Ok(status),
            _ => Ok(128),
        },
    }
}

/// `says`: where its output goes, by the number of the stream.
fn alone(
    assembly: &Assembly,
    hostname: &str,
    command: &[OsString],
    says: &[(i32, &fs::File)],
) -> Result<i32> {
    unshare(CloneFlags::CLONE_NEWNS).at("make a namespace for", assembly.root.path())?;
    let root = prepare(|target| assembly.at(target).map(drop), &assembly.pool.device, None)?;
    for (stream, file) in says {
        unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(*file), *stream) };
    }
    let status = supervise(&root, hostname, command);
    take_name_servers_back(&root)?;
    dismantle(&root)?;
    status
}

/// Like [`supervise`], in a child: a process that made a PID namespace can start nothing more outside of it
/// once that one has ended. It ends with us.
pub fn supervise_apart(root: &Path, hostname: &str, command: &[OsString]) -> Result<i32> {
    match unsafe { fork() }.at("fork for", root)? {
        ForkResult::Child => {
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
            let status = supervise(root, hostname, command).unwrap_or_else(|error| tell(&error));
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).at("wait for", root)? {
            WaitStatus::Exited(_, status) => Ok(status),
            _ => Ok(128),
        },
    }
}

static FIRST_PROCESS: AtomicI32 = AtomicI32::new(0);

extern "C" fn end_the_run(_: libc::c_int) {
    unsafe { libc::kill(FIRST_PROCESS.load(Ordering::SeqCst), libc::SIGKILL) };
}

/// The terminal's interrupt belongs to the command; TERM and HUP end the whole run.
fn wait_outside(child: Pid) -> Result<i32> {
    FIRST_PROCESS.store(child.as_raw(), Ordering::SeqCst);
    for (which, what) in [
        (Signal::SIGINT, SigHandler::SigIgn),
        (Signal::SIGQUIT, SigHandler::SigIgn),
        (Signal::SIGTERM, SigHandler::Handler(end_the_run)),
        (Signal::SIGHUP, SigHandler::Handler(end_the_run)),
    ] {
        unsafe { signal(which, what) }.at("handle signals of", "the run")?;
    }
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            Ok(WaitStatus::Exited(_, status)) => return Ok(status),
            Ok(WaitStatus::Signaled(_, which, _)) => return Ok(128 + which as i32),
            Ok(_) => {}
            Err(error) => return Err(error).at("wait for", "the run"),
        }
    }
}

/// PID 1 of the run: finishes the namespaces, starts the command, collects what ends, and ends with
/// the command; the kernel then ends everything else in here.
fn first_process(root: &Path, hostname: &str, command: &[OsString]) -> i32 {
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if let Err(error) = enter(root, hostname) {
        return tell(&error);
    }
    let child = match unsafe { fork() } {
        Ok(ForkResult::Child) => return become_command(command),
        Ok(ForkResult::Parent { child }) => child,
        Err(_) => return 3,
    };
    for which in [Signal::SIGINT, Signal::SIGQUIT] {
        let _ = unsafe { signal(which, SigHandler::SigIgn) };
    }
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => return status,
            Ok(WaitStatus::Signaled(pid, which, _)) if pid == child => return 128 + which as i32,
            Err(Errno::ECHILD) => return 3,
            _ => {}
        }
    }
}

fn enter(root: &Path, hostname: &str) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)
        .at("make namespaces for", root)?;
    let _ = nix::unistd::sethostname(hostname);
    let proc = root.join("proc");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &proc, Some("proc"), flags, NONE).at("mount", &proc)?;
    for inside in ["sys", "sysrq-trigger", "irq", "bus"] {
        let path = proc.join(inside);
        if path.exists() {
            mount(Some(&path), &path, NONE, MsFlags::MS_BIND, NONE).at("bind", &path)?;
            let flags = flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(NONE, &path, NONE, flags, NONE).at("make read-only", &path)?;
        }
    }
    nix::unistd::chdir(root).at("enter", root)?;
    nix::unistd::pivot_root(".", ".").at("enter", root)?;
    umount2(".", MntFlags::MNT_DETACH).at("leave the old root of", root)?;
    nix::unistd::chdir("/").at("enter", "/")
}

/// Replaces this process by the command; returns only when that failed (127: not there, as in sh).
fn become_command(command: &[OsString]) -> i32 {
    let words: Vec<CString> = command.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect();
    if words.len() != command.len() || words.is_empty() {
        return 64;
    }
    let _ = nix::unistd::chdir("/root");
    match nix::unistd::execvpe(&words[0], &words, &environment()) {
        Err(Errno::ENOENT) => 127,
        _ => 126,
    }
}

/// What a command in a run may know of the world outside: its terminal, its language, who asked, and
/// how packages are fetched and asked about.
fn environment() -> Vec<CString> {
    const KEPT: [&str; 14] = [
        "TERM",
        "LANG",
        "LANGUAGE",
        "LC_ALL",
        "LC_MESSAGES",
        "SUDO_UID",
        "SUDO_USER",
        "PKEXEC_UID",
        "DEBIAN_FRONTEND",
        "DEBIAN_PRIORITY",
        "FLIPPER_SKIP",
        "FLIPPER_LOG",
        "http_proxy",
        "https_proxy",
    ];
    let mut lines = vec![
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "HOME=/root".to_owned(),
        "USER=root".to_owned(),
    ];
    lines.extend(KEPT.iter().filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?))));
    lines.into_iter().filter_map(|line| CString::new(line).ok()).collect()
}

fn tell(error: &Error) -> i32 {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "flipper-profile: {error}");
    error.exit() as i32
}

fn tmpfs(at: &Path, flags: MsFlags, options: &str) -> Result<()> {
    fs::create_dir_all(at).at("make", at)?;
    mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options)).at("mount", at)
}

/// A /dev with what packages need and the pool's own node, nothing else of this machine.
fn small_dev(dev: &Path, pool_device: &Path) -> Result<()> {
    tmpfs(dev, MsFlags::MS_NOSUID, "mode=0755")?;
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        node(&dev.join(name), SFlag::S_IFCHR, makedev(major, minor), 0o666)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).at("make", dev.join(name))?;
    }
    let pts = dev.join("pts");
    files::make_dir(&pts, 0o755)?;
    let options = Some("newinstance,ptmxmode=0666,mode=0620,gid=5");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("devpts"), &pts, Some("devpts"), flags, options).at("mount", &pts)?;
    tmpfs(&dev.join("shm"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777")?;
    let meta = fs::metadata(pool_device).at("look at", pool_device)?;
    if meta.file_type().is_block_device() {
        if let Ok(inside) = pool_device.strip_prefix("/dev") {
            let path = dev.join(inside);
            fs::create_dir_all(path.parent().unwrap_or(dev)).at("make", &path)?;
            node(&path, SFlag::S_IFBLK, meta.rdev(), 0o600)?;
        }
    }
    Ok(())
}

fn node(path: &Path, kind: SFlag, device: u64, mode: u32) -> Result<()> {
    mknod(path, kind, Mode::from_bits_truncate(mode), device).at("make", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).at("set the mode of", path)
}

/// A profile without name servers of its own borrows this machine's for the run: the file lies on
/// the run's tmpfs, and only a link to it in the profile, taken back afterwards.
fn lend_name_servers(root: &Path) -> Result<()> {
    let servers = fs::read("/etc/resolv.conf").unwrap_or_default();
    let lent = root.join(LENT_RESOLV_CONF.trim_start_matches('/'));
    fs::write(&lent, &servers).at("write", &lent)?;
    if !files::is_real_directory(root, Path::new("etc")) {
        return Ok(()); // behind a link lies the /etc of this machine
    }
    let path = root.join("etc/resolv.conf");
    match fs::read_link(&path) {
        // A link into /run (systemd-resolved, connman) dangles in a run: its target is provided.
        Ok(target) => {
            let target = if target.is_absolute() { target } else { Path::new("/etc").join(target) };
            let Some(inside) = inside_run(&target) else { return Ok(()) };
            let file = root.join("run").join(inside);
            if file.symlink_metadata().is_err() {
                fs::create_dir_all(file.parent().unwrap_or(root)).at("make", &file)?;
                fs::write(&file, &servers).at("write", &file)?;
            }
            Ok(())
        }
        Err(_) if path.exists() => Ok(()),
        Err(_) => {
            files::keeping_times(&root.join("etc"), || symlink(LENT_RESOLV_CONF, &path).at("make", &path))
        }
    }
}

/// `/run/systemd/resolve/stub-resolv.conf` or `/etc/../run/...` -> what is below /run
fn inside_run(target: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in target.components() {
        match part {
            std::path::Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean.strip_prefix("/run").or_else(|_| clean.strip_prefix("/var/run")).ok().map(Path::to_path_buf)
}

/// Gives the profile its missing resolv.conf back.
pub fn take_name_servers_back(root: &Path) -> Result<()> {
    let path = root.join("etc/resolv.conf");
    if fs::read_link(&path).is_ok_and(|target| target == Path::new(LENT_RESOLV_CONF)) {
        files::keeping_times(&root.join("etc"), || files::remove_if_there(&path))?;
    }
    Ok(())
}

/// Takes everything apart that is mounted here, so that the root is unused again.
pub fn dismantle(root: &Path) -> Result<()> {
    umount2(root, MntFlags::MNT_DETACH).at("unmount", root)
}

/// The host name inside: the profile's own, else its id.
pub fn hostname(root: &Path, id: &str) -> String {
    let own = files::read_line(&root.join("etc/hostname")).unwrap_or_default();
    if own.is_empty() { id.to_owned() } else { own }
}

impl Assembly<'_> {
    /// For [`prepare`]: this assembly, at the place the sandbox chose.
    pub fn at(&self, target: &Path) -> Result<Vec<Problem>> {
        Assembly { target, state: self.state.clone(), ..*self }.mount()
    }
}
