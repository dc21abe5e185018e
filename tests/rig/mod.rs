//! The rig of the slow tests: a fresh pool in an image file for each test, seen from outside too, and
//! the programs run on it as a person would. Everything is mounted in a namespace of the test's
//! thread, on a /run of its own, so tests run side by side and leave nothing when they are killed.

#![allow(dead_code)] // each test binary uses a part

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

pub mod life;
pub mod root;
pub mod tree;

/// Small enough to be burnt in a second.
pub const FLOOR: u64 = 65536;
pub const SIZE: u64 = 1 << 30;
const NONE: Option<&str> = None;

pub struct Rig {
    /// Image, sources and mount points of this test.
    pub dir: tempfile::TempDir,
    pub image: PathBuf,
}

impl Rig {
    /// A pool with the base `13.1` (the tiny root), nothing more. A copy of one that was made once: it has
    /// no name any more, so it goes with this process, whatever ends it.
    pub fn new() -> Rig {
        static PATTERN: OnceLock<File> = OnceLock::new();
        let pattern = PATTERN.get_or_init(|| {
            let rig = Rig::bare();
            rig.profile(&["init", "--image", rig.image_name(), "--size", "1G", "--inode-floor", "65536"])
                .ok();
            let tiny = rig.dir.path().join("tiny");
            root::make(&tiny);
            rig.base(&["import", tiny.to_str().unwrap(), "--version", "13.1", "--clean"]).ok();
            rig.wait_until_detached();
            File::open(&rig.image).unwrap()
        });
        let pattern = format!("/proc/{}/fd/{}", std::process::id(), pattern.as_raw_fd());
        let rig = Rig::bare();
        need(
            "cp",
            Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(pattern).arg(&rig.image),
        );
        // The kernel tells pools apart by their UUID, and so do we.
        need("btrfstune", Command::new("btrfstune").args(["-f", "-u"]).arg(&rig.image));
        rig.hold();
        rig
    }

    /// With the profile `lab`.
    pub fn with_lab() -> Rig {
        let rig = Rig::new();
        rig.profile(&["create", "lab"]).ok();
        rig
    }

    /// No pool yet: a directory, a namespace, and the name of an image that is not there.
    pub fn bare() -> Rig {
        assert!(nix::unistd::geteuid().is_root(), "these tests mount file systems: run them as root");
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).unwrap();
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("pool.img");
        fs::create_dir(dir.path().join("top")).unwrap();
        Rig { dir, image }
    }

    /// A btrfs without a pool, mounted at [`Rig::top`] with these options more, e.g. `compress=zstd`.
    pub fn bare_btrfs_with(options: &str) -> Rig {
        let rig = Rig::bare();
        File::create(&rig.image).unwrap().set_len(SIZE).unwrap();
        need("mkfs.btrfs", Command::new("mkfs.btrfs").arg("-q").arg(&rig.image));
        let options = format!("loop,subvolid=5,{options}");
        need("mount", Command::new("mount").args(["-o", &options]).arg(&rig.image).arg(rig.top()));
        rig
    }

    pub fn bare_btrfs() -> Rig {
        Rig::bare_btrfs_with("noatime")
    }

    pub fn image_name(&self) -> &str {
        self.image.to_str().unwrap()
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    // ---- the pool from outside ------------------------------------------------------------------

    /// Mounts the pool's top level at [`Rig::top`]; the image keeps its loop device meanwhile.
    pub fn hold(&self) {
        need("mount", Command::new("mount").args(["-o", "loop,subvolid=5"]).arg(&self.image).arg(self.top()));
    }

    pub fn release(&self) {
        // Another thread's child has what this one had open, from its fork to its exec.
        within(Duration::from_secs(10), "nobody has a file of the pool open", || {
            umount2(&self.top(), MntFlags::empty()).is_ok()
        });
    }

    /// Waits until the kernel has let go of the image: a mount that went with its process is taken
    /// down a moment after it.
    pub fn wait_until_detached(&self) {
        within(Duration::from_secs(10), "the image's loop device goes", || {
            loop_device(&self.image).is_none()
        });
    }

    /// Commits the pool's running transaction.
    pub fn sync(&self) {
        need("btrfs", btrfs(&["filesystem", "sync"]).arg(self.top()));
    }

    pub fn top(&self) -> PathBuf {
        self.path("top")
    }

    pub fn in_pool(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.top().join(inside)
    }

    /// What `@profiles/<id>/current` names.
    pub fn current(&self, id: &str) -> u64 {
        let link = fs::read_link(self.in_pool(format!("@profiles/{id}/current"))).unwrap();
        link.strip_prefix("roots").unwrap().to_str().unwrap().parse().unwrap()
    }

    pub fn root_dir(&self, id: &str) -> PathBuf {
        self.in_pool(format!("@profiles/{id}/roots/{}", self.current(id)))
    }

    /// The names in a directory of the pool, sorted.
    pub fn names(&self, inside: &str) -> Vec<String> {
        let list = fs::read_dir(self.in_pool(inside)).unwrap();
        let mut names: Vec<_> = list.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Every entry of a profile (`.pool`: of the pool), by number.
    pub fn entries(&self, owner: &str) -> Vec<(u64, serde_json::Value)> {
        let dir = self.in_pool(format!("@journal/entries/{owner}"));
        let mut found = Vec::new();
        for item in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if item.file_type().unwrap().is_dir() {
                continue; // what an entry keeps beside its text
            }
            let name = item.file_name().into_string().unwrap();
            let number = name.split('.').next().and_then(|n| n.parse().ok());
            if let (Some(number), Ok(value)) =
                (number, serde_json::from_slice(&fs::read(item.path()).unwrap()))
            {
                found.push((number, value));
            }
        }
        // While both are there the closed one counts.
        found.sort_by_key(|(number, value): &(u64, serde_json::Value)| (*number, value["state"] == "open"));
        found.dedup_by_key(|(number, _)| *number);
        found
    }

    pub fn last_entry(&self, owner: &str) -> (u64, serde_json::Value) {
        self.entries(owner).pop().expect("an entry")
    }

    /// A subvolume's flag, as `btrfs property` names it.
    pub fn set_read_only(&self, path: &Path, on: bool) {
        need(
            "btrfs",
            btrfs(&["property", "set", "-ts"]).arg(path).args(["ro", if on { "true" } else { "false" }]),
        );
    }

    // ---- the programs ---------------------------------------------------------------------------

    pub fn profile(&self, args: &[&str]) -> Ended {
        self.run("flipper-profile", args)
    }

    pub fn base(&self, args: &[&str]) -> Ended {
        self.run("flipper-base", args)
    }

    pub fn undo(&self, args: &[&str]) -> Ended {
        self.run("flipper-undo", args)
    }

    pub fn rescue(&self, args: &[&str]) -> Ended {
        self.run("flipper-rescue", args)
    }

    pub fn run(&self, program: &str, args: &[&str]) -> Ended {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        ended(&mut self.command(program, &args))
    }

    /// A shell line in a profile; it must end well. What it printed, without the last newline.
    pub fn sh(&self, id: &str, line: &str) -> String {
        self.profile(&["run", id, "sh", "-c", line]).ok().out.trim_end_matches('\n').to_owned()
    }

    /// One of our programs with nothing in its environment but the pool.
    pub fn command(&self, program: &str, args: &[&OsStr]) -> Command {
        let mut command = Command::new(program_path(program));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("FLIPPER_POOL", &self.image);
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Starts a program and returns when it has printed `ready`.
    pub fn start(&self, args: &[&str]) -> Started {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let mut child = self
            .command("flipper-profile", &args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let out = child.stdout.as_mut().unwrap();
        while !said.ends_with(b"ready\n") {
            let mut byte = [0];
            if out.read(&mut byte).unwrap() == 0 {
                let mut error = String::new();
                child.stderr.as_mut().unwrap().read_to_string(&mut error).unwrap();
                panic!("it ended before it was ready: {error}");
            }
            said.push(byte[0]);
        }
        Started(child)
    }

    /// A profile in use by a run that only waits.
    pub fn start_waiting(&self, id: &str) -> Started {
        self.start(&["run", id, "sh", "-c", "echo ready; exec sleep 100"])
    }

    /// The merged tree of `lab` or `lab@57` at a place of this test, for as long as `look` takes.
    pub fn mounted<T>(&self, state: &str, look: impl FnOnce(&Path) -> T) -> T {
        let at = self.path("merged");
        fs::create_dir_all(&at).unwrap();
        self.profile(&["mount", state, at.to_str().unwrap()]).ok();
        let seen = look(&at);
        // Another thread's child has what this one had open, from its fork to its exec.
        within(Duration::from_secs(10), "nobody has a file of the mount open", || {
            umount2(&at, MntFlags::empty()).is_ok()
        });
        self.wait_until_unused(state);
        seen
    }

    /// The merged tree, without what an undo never takes back.
    pub fn tree(&self, state: &str) -> tree::Tree {
        self.mounted(state, tree::promised)
    }

    /// Like [`Rig::tree`], for a pool nobody may write to.
    pub fn mounted_read_only(&self, state: &str) -> tree::Tree {
        let at = self.path("read-only");
        fs::create_dir_all(&at).unwrap();
        self.profile(&["mount", state, at.to_str().unwrap(), "--read-only"]).ok();
        let tree = tree::promised(&at);
        within(Duration::from_secs(10), "nobody has a file of the mount open", || {
            umount2(&at, MntFlags::empty()).is_ok()
        });
        self.wait_until_unused(state);
        tree
    }

    /// Waits until nobody holds the root or point of `lab` or `lab@57`.
    pub fn wait_until_unused(&self, state: &str) {
        let dir = match state.split_once('@') {
            Some((id, number)) => self.in_pool(format!("@profiles/{id}/snapshots/{number}")),
            None => self.root_dir(state),
        };
        self.wait_until_free(&dir);
    }

    pub fn wait_until_free(&self, dir: &Path) {
        within(Duration::from_secs(10), "the root is free again", || {
            let file = File::open(dir).unwrap();
            unsafe { nix::libc::flock(file.as_raw_fd(), nix::libc::LOCK_EX | nix::libc::LOCK_NB) == 0 }
        });
    }

    /// `verify` finds nothing.
    pub fn verify(&self) {
        let ended = self.profile(&["verify"]);
        assert_eq!((ended.status, ended.out.trim()), (0, "the pool is in order"), "{}", ended.err);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Also what a test that failed left mounted: a supervisor would wait for its end for ever.
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
        for line in mounts.lines().rev() {
            let at = line.split(' ').nth(4).unwrap_or_default().replace("\\040", " ").replace("\\012", "\n");
            if Path::new(&at).starts_with(self.dir.path()) {
                let _ = umount2(Path::new(&at), MntFlags::MNT_DETACH);
            }
        }
        let _ = umount2("/run", MntFlags::MNT_DETACH);
    }
}

pub fn program_path(program: &str) -> &'static Path {
    Path::new(match program {
        "flipper-profile" => env!("CARGO_BIN_EXE_flipper-profile"),
        "flipper-base" => env!("CARGO_BIN_EXE_flipper-base"),
        "flipper-undo" => env!("CARGO_BIN_EXE_flipper-undo"),
        "flipper-hook" => env!("CARGO_BIN_EXE_flipper-hook"),
        "flipper-rescue" => env!("CARGO_BIN_EXE_flipper-rescue"),
        other => panic!("{other} is none of our programs"),
    })
}

/// A program that runs until the test ends it.
pub struct Started(pub Child);

impl Started {
    /// Ends the whole run as a person would from outside.
    pub fn end(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.0.wait().unwrap();
    }

    /// SIGKILL to the supervisor alone.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// 128 + the signal's number when one ended it.
    pub status: i32,
    pub out: String,
    pub err: String,
    what: String,
}

impl Ended {
    #[track_caller]
    pub fn ok(self) -> Ended {
        assert_eq!(self.status, 0, "{}\n{}{}", self.what, self.out, self.err);
        self
    }

    /// It said no (2), could not (3), or did not understand (64), in one sentence with these words.
    #[track_caller]
    pub fn says(self, status: i32, words: &str) -> Ended {
        let last = self.err.lines().last().unwrap_or_default();
        assert_eq!(self.status, status, "{}\n{}{}", self.what, self.out, self.err);
        assert!(last.contains(words), "{}: {words:?} is not in the last line\n{}", self.what, self.err);
        self
    }

    #[track_caller]
    pub fn refused(self, words: &str) -> Ended {
        self.says(2, words)
    }

    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let ended = self.ok();
        serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{}: {e}\n{}", ended.what, ended.out))
    }
}

pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        status: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap()),
        out: text(&output.stdout),
        err: text(&output.stderr),
        what: format!("{command:?}"),
    }
}

/// A tool the rig itself needs; it must end well.
#[track_caller]
pub fn need(name: &str, command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn btrfs(args: &[&str]) -> Command {
    let mut command = Command::new("btrfs");
    command.args(args);
    command
}

/// The loop device an image file has at the moment.
pub fn loop_device(image: &Path) -> Option<PathBuf> {
    fs::read_dir("/sys/block").unwrap().map(Result::unwrap).find_map(|item| {
        let backing = fs::read_to_string(item.path().join("loop/backing_file")).ok()?;
        (Path::new(backing.trim_end()) == image).then(|| Path::new("/dev").join(item.file_name()))
    })
}

/// Waits for something that happens by itself.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
