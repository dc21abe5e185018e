//! The two kinds of lock that never meet. flock: ours, on files and roots of the pool (it follows the
//! inode, so every mount of the pool sees it). fcntl: dpkg's, on its database, taken through the
//! merged root; through the upper it would be invisible to dpkg.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fs2::FileExt;
use nix::libc;

use crate::model::error::{At, Error, Result};

/// A thousand times as long as anybody holds a lock that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// An flock, released when it is dropped or the process ends.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Waits for the lock file; for what is held for milliseconds only. Not for ever: a stopped process
    /// that holds it must not hang every package run.
    pub fn wait(path: &Path) -> Result<Lock> {
        let begin = Instant::now();
        loop {
            match Lock::take(path, &path.display().to_string()) {
                Err(Error::Busy { .. }) if begin.elapsed() < PATIENCE => sleep(Duration::from_millis(1)),
                ended => return ended,
            }
        }
    }

    /// Takes the lock or says that somebody else is at work on `what`.
    pub fn take(path: &Path, what: &str) -> Result<Lock> {
        let file = open_lock_file(path)?;
        match file.try_lock_exclusive() {
            Ok(()) => Ok(Lock { file }),
            Err(error) if is_contended(&error) => Err(Error::Busy { what: what.to_owned() }),
            Err(error) => Err(error).at("lock", path),
        }
    }

    /// Like [`Lock::take`], but past those who have it for a moment: every command that changes
    /// something asks for the locks of all profiles first, to see what a cut left. On a slow card a moment
    /// with a sync in it is seconds.
    pub fn take_soon(path: &Path, what: &str) -> Result<Lock> {
        Lock::take_within(path, what, Duration::from_secs(4))
    }

    pub fn take_within(path: &Path, what: &str, patience: Duration) -> Result<Lock> {
        let end = Instant::now() + patience;
        loop {
            match Lock::take(path, what) {
                Err(Error::Busy { .. }) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(5))
                }
                other => return other,
            }
        }
    }

    /// The lock of a root or a point is on its subvolume directory itself. None: somebody holds it.
    pub fn of_directory(dir: &Path, shared: bool) -> Result<Option<Lock>> {
        let file = File::open(dir).at("open", dir)?;
        let tried = if shared { FileExt::try_lock_shared(&file) } else { file.try_lock_exclusive() };
        match tried {
            Ok(()) => Ok(Some(Lock { file })),
            Err(error) if is_contended(&error) => Ok(None),
            Err(error) => Err(error).at("lock", dir),
        }
    }

    /// The same past those who ask whether it is held, and have it for a moment.
    pub fn of_directory_within(dir: &Path, patience: Duration) -> Result<Option<Lock>> {
        let end = Instant::now() + patience;
        loop {
            match Lock::of_directory(dir, false)? {
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                other => return Ok(other),
            }
        }
    }

    /// Does somebody hold this lock file at the moment? Makes none, and is not in anybody's way for longer
    /// than it takes to ask.
    pub fn is_held(path: &Path) -> Result<bool> {
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.at("open", path)?,
        };
        match FileExt::try_lock_shared(&file) {
            Ok(()) => Ok(false),
            Err(error) if is_contended(&error) => Ok(true),
            Err(error) => Err(error).at("lock", path),
        }
    }

    /// A shared lock for a child: held while any process has its descriptor.
    pub fn for_child(path: &Path) -> Result<Lock> {
        let file = open_lock_file(path)?;
        FileExt::lock_shared(&file).at("lock", path)?;
        Ok(Lock { file })
    }

    /// Is the locked file the one that bears this name now?
    pub fn is_of(&self, path: &Path) -> bool {
        let locked = self.file.metadata().map(|meta| (meta.dev(), meta.ino()));
        let named = std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        matches!((locked, named), (Ok(a), Ok(b)) if a == b)
    }

    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Waits until no such child is left, but not for long.
    pub fn wait_for_children(path: &Path, at_most: Duration) -> Result<()> {
        let file = open_lock_file(path)?;
        let end = Instant::now() + at_most;
        while file.try_lock_exclusive().is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Keeps the lock for as long as this process lives.
    pub fn keep(self) {
        std::mem::forget(self.file);
    }
}

fn is_contended(error: &io::Error) -> bool {
    error.raw_os_error() == fs2::lock_contended_error().raw_os_error()
}

fn open_lock_file(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).at("open", path)
}

/// dpkg's two locks of one merged root, in the order dpkg takes them.
#[derive(Debug)]
#[must_use]
pub struct DpkgLocks {
    _files: Vec<File>,
}

const DPKG_LOCKS: [&str; 2] = ["var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock"];

/// Takes both of dpkg's locks below a merged root, or says which process has one.
pub fn dpkg(merged: &Path) -> Result<DpkgLocks> {
    let mut files = Vec::new();
    for name in DPKG_LOCKS {
        let path = merged.join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o640);
        let file = match options.open(&path) {
            Err(error) if cannot_be_locked(&error) => continue,
            other => other.at("open", &path)?,
        };
        let mut request = write_lock();
        let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &mut request) };
        if done != 0 {
            let pid = holder(&path)?.unwrap_or(0);
            return Err(Error::AptRunning { pid });
        }
        files.push(file);
    }
    Ok(DpkgLocks { _files: files })
}

/// The process that holds apt's lock-frontend of this merged root (its number in our pid namespace;
/// 0 when it lives in another).
pub fn frontend_holder(merged: &Path) -> Result<Option<i32>> {
    holder(&merged.join(DPKG_LOCKS[0]))
}

/// Is apt or dpkg at work below this merged root? dpkg alone takes only the second lock.
pub fn dpkg_at_work(merged: &Path) -> Result<Option<i32>> {
    for name in DPKG_LOCKS {
        if let Some(pid) = holder(&merged.join(name))? {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

fn holder(path: &Path) -> Result<Option<i32>> {
    // To ask needs no right to write, and opened for that a file of the base would be copied up.
    let file = match File::open(path) {
        Err(error) if cannot_be_locked(&error) => return Ok(None),
        other => other.at("open", path)?,
    };
    let mut request = write_lock();
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut request) };
    if done != 0 {
        return Err(io::Error::last_os_error()).at("ask for the lock of", path);
    }
    Ok((request.l_type != libc::F_UNLCK as libc::c_short).then_some(request.l_pid))
}

/// A root that lost /var/lib/dpkg, or is read-only, has nothing dpkg could lock or work with; undo is
/// what brings it back.
fn cannot_be_locked(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, ReadOnlyFilesystem};
    matches!(error.kind(), NotFound | NotADirectory | ReadOnlyFilesystem)
}

/// The whole file, for writing: what dpkg and apt ask for (`file_lock` in libdpkg).
fn write_lock() -> libc::flock {
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}
