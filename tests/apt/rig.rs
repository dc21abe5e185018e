//! A pool with one profile that has our package installed, made once and kept; every test gets a clone
//! of that profile (milliseconds), in a copy of the pool that nobody else uses.
//!
//! The copy is mounted by a child of ours and then unlinked: whatever ends this process, nothing of it
//! is left. The programs outside are those of the .deb too.

#![allow(dead_code)] // each test binary uses a part

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fs2::FileExt;
use serde_json::Value;

#[path = "prepared.rs"]
mod prepared;

use prepared::cache;
pub use prepared::{hex, ours, prepared_image};

use crate::repo;
use crate::tree::{self, Tree};

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    #[track_caller]
    pub fn ok(self) -> Done {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, status: i32) -> Done {
        assert_eq!(self.status, status, "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The lines of standard error that are ours.
    pub fn ours(&self) -> Vec<&str> {
        self.err.lines().filter(|line| line.starts_with("flipper-")).collect()
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Done {
        let found = self.out.contains(words) || self.err.contains(words);
        assert!(found, "no {words:?} in\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn silent(self) -> Done {
        assert_eq!(self.ours(), Vec::<&str>::new());
        self
    }
}

/// Runs a command to its end; two minutes are a hang.
pub fn command(words: &[&str], env: &[(&str, &str)], input: &[u8]) -> Done {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120"]).args(words);
    for name in ["SUDO_UID", "SUDO_USER", "PKEXEC_UID", "FLIPPER_SKIP", "FLIPPER_LOG", "LANGUAGE"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    command.envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("timeout(1) is missing: apt-get install coreutils");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("wait");
    writer.join().expect("write");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Done { status: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The path of one of our programs outside.
pub fn program(name: &str) -> String {
    let programs = &ours().programs;
    let place = if name == "flipper-undo" { "usr/bin" } else { "usr/sbin" };
    programs.join(place).join(name).to_str().expect("text").to_owned()
}

/// A pool nobody else uses, mounted while this value (or this process) lives.
pub struct Pool {
    /// The loop device.
    pub device: String,
    /// The top level of the file system, as the child sees it.
    pub top: PathBuf,
    child: Child,
}

impl Drop for Pool {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // the child's `cat` ends, and with it its mount
        let _ = self.child.wait();
    }
}

impl Pool {
    /// A copy of the prepared pool of a suite, with our package and the test archive in its profile.
    pub fn copy(suite: &str) -> Pool {
        let pool = Pool::mount_copy(&prepared_image(suite, ""));
        pool.furnish(&repo::archive());
        pool
    }

    /// The same with more packages in its base (`aptitude,python3-apt`).
    pub fn copy_with(suite: &str, packages: &str) -> Pool {
        Pool::mount_copy(&prepared_image(suite, packages))
    }

    /// Our package and an archive, in the profile that the others are cloned from.
    pub fn furnish(&self, archive: &[u8]) {
        self.run("lab", "tar x -C /home", &[], archive).ok();
        let deb = fs::read(&ours().deb).expect("read the .deb");
        self.run("lab", "cat > /home/ours.deb", &[], &deb).ok();
        self.run("lab", INSTALL_OURS, &[], b"").ok();
    }

    pub fn trixie() -> &'static Pool {
        static POOL: OnceLock<Pool> = OnceLock::new();
        POOL.get_or_init(|| Pool::copy("trixie"))
    }

    pub fn bookworm() -> &'static Pool {
        static POOL: OnceLock<Pool> = OnceLock::new();
        POOL.get_or_init(|| Pool::copy("bookworm"))
    }

    /// Mounts a copy that is unlinked at once.
    fn mount_copy(image: &Path) -> Pool {
        let copy = Pool::copy_of(image);
        Pool::mount(&copy, "image=\"$1\"", "rm \"$1\"")
    }

    /// A copy under a file-system UUID of its own: the kernel tells file systems apart by it.
    pub fn copy_of(image: &Path) -> PathBuf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let copy = cache().join(format!("copy-{}-{number}.img", std::process::id()));
        let (from, to) = (image.to_str().expect("text"), copy.to_str().expect("text"));
        command(&["cp", "--sparse=always", "--reflink=auto", from, to], &[], b"").ok();
        command(&["btrfstune", "-f", "-u", to], &[], b"").ok();
        copy
    }

    /// Mounts an image. `offer` (sh) sets `image` to what the loop device is put on, and `server` to the
    /// process that stands behind it, if any; `then` is done once it is mounted; `$1` is the image.
    pub fn mount(image: &Path, offer: &str, then: &str) -> Pool {
        let script = format!(
            "set -e; server=; mount --make-rprivate /; mount -t tmpfs none /mnt; mkdir /mnt/top
             {offer}
             mount -o loop,subvolid=5 \"$image\" /mnt/top
             {then}
             findmnt -no SOURCE /mnt/top; cat
             test -z \"$server\" || {{ umount /mnt/top || :; kill $server; }}"
        );
        let mut child = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script, "sh"])
            .arg(image)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) is missing: apt-get install util-linux");
        let mut device = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut device).expect("read");
        let device = device.trim().split('[').next().unwrap_or_default().to_owned();
        assert!(device.starts_with("/dev/loop"), "could not mount a copy of {}", image.display());
        let top = PathBuf::from(format!("/proc/{}/root/mnt/top", child.id()));
        Pool { device, top, child }
    }

    /// `flipper-profile run ID sh -c SCRIPT`
    pub fn run(&self, id: &str, script: &str, env: &[(&str, &str)], input: &[u8]) -> Done {
        self.call_with("flipper-profile", &["run", id, "sh", "-c", script], env, input)
    }

    pub fn call(&self, program: &str, words: &[&str]) -> Done {
        self.call_with(program, words, &[], b"")
    }

    fn call_with(&self, name: &str, words: &[&str], env: &[(&str, &str)], input: &[u8]) -> Done {
        let path = program(name);
        let line: Vec<&str> = [path.as_str(), "--pool", &self.device].iter().chain(words).copied().collect();
        for _ in 0..100 {
            let done = command(&line, env, input);
            // The keeper of a mount needs a moment to see that it was unmounted.
            let held = ["a run or a mount holds it", "by somebody who cannot be seen from here"];
            if done.status != 2 || !held.iter().any(|words| done.err.contains(words)) {
                return done;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{words:?}: the root stays in use");
    }

    /// Takes all the room there is.
    pub fn fill(&self) {
        let dir = self.top.join("fill");
        self.fill_data(0);
        let small = |number: u32| fs::write(dir.join(format!("small-{number}")), [0; 2000]);
        assert!((0..1_000_000).map(small).any(|done| done.is_err()), "the pool is not full");
    }

    /// Takes the room for data, but for `rest` bytes.
    pub fn fill_data(&self, rest: u64) {
        let dir = self.top.join("fill");
        fs::create_dir(&dir).expect("make");
        // posix_fallocate(3) refuses to allocate nothing.
        let kept =
            File::create(dir.join("rest")).and_then(|f| if rest > 0 { f.allocate(rest) } else { Ok(()) });
        kept.expect("room for the rest");
        for (at, size) in [256 << 20, 16 << 20, 1 << 20, 64 << 10, 4 << 10].into_iter().enumerate() {
            for number in 0.. {
                let file = File::create(dir.join(format!("{at}-{number}"))).and_then(|f| f.allocate(size));
                if file.is_err() {
                    break;
                }
            }
        }
        fs::remove_file(dir.join("rest")).expect("remove");
        let top = File::open(&dir).expect("open");
        assert_eq!(unsafe { nix::libc::syncfs(top.as_raw_fd()) }, 0, "the rest is free with the next commit");
    }

    pub fn make_room(&self) {
        fs::remove_dir_all(self.top.join("fill")).expect("remove");
    }

    /// The prepared profile, cloned.
    pub fn lab(&self, id: &str) -> Lab<'_> {
        self.call("flipper-profile", &["clone", "lab", id]).ok();
        Lab { pool: self, id: id.to_owned() }
    }
}

/// Only the local archives; apt's lists of them are read once.
const INSTALL_OURS: &str = "set -e
    rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
    cp /home/apt/test.list /etc/apt/sources.list.d/test.list
    apt-get -qq update 2>/dev/null
    apt-get -qq install /home/ours.deb
    rm /home/ours.deb
    printf 'as shipped\\n' > /etc/important.conf
    mkdir /etc/important; printf 'kept for years\\n' > /etc/important/letter";

/// One test's profile.
pub struct Lab<'a> {
    pub pool: &'a Pool,
    pub id: String,
}

impl Lab<'_> {
    pub fn run(&self, script: &str) -> Done {
        self.pool.run(&self.id, script, &[], b"")
    }

    pub fn run_with(&self, env: &[(&str, &str)], script: &str) -> Done {
        self.pool.run(&self.id, script, env, b"")
    }

    /// flipper-undo from outside.
    pub fn undo(&self, words: &[&str]) -> Done {
        let words = [&["--profile", self.id.as_str(), "--yes"], words].concat();
        self.pool.call("flipper-undo", &words)
    }

    /// The journal of this profile, newest first, without the entry that cloned it.
    pub fn entries(&self) -> Vec<Value> {
        let text = self.pool.call("flipper-profile", &["log", &self.id, "-n", "100", "--json"]).ok().out;
        let entries: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        entries.into_iter().filter(|e| e["kind"] != "clone").collect()
    }

    pub fn log(&self) -> String {
        self.pool.call("flipper-profile", &["log", &self.id]).ok().out
    }

    pub fn newest(&self) -> Value {
        self.entries().into_iter().next().expect("an entry")
    }

    /// The points that are kept.
    pub fn points(&self) -> Vec<u64> {
        let names = fs::read_dir(self.dir().join("snapshots")).expect("snapshots");
        let mut points: Vec<u64> = names.filter_map(|n| n.ok()?.file_name().to_str()?.parse().ok()).collect();
        points.sort();
        points
    }

    /// `@profiles/ID`
    pub fn dir(&self) -> PathBuf {
        self.pool.top.join("@profiles").join(&self.id)
    }

    /// The merged tree, as nobody of ours sees it: mounted, and walked from outside.
    pub fn tree(&self) -> Tree {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().to_str().expect("text");
        self.pool.call("flipper-profile", &["mount", &self.id, at]).ok();
        let tree = tree::read(dir.path());
        // Another thread's child has what this one had open, from its fork to its exec.
        let unmounted = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            command(&["umount", at], &[], b"").status == 0
        });
        assert!(unmounted, "{at} stays busy");
        tree
    }
}

impl Lab<'_> {
    /// Undo to the tree before, redo to the very tree there was.
    #[track_caller]
    pub fn back_and_forth(&self, before: &Tree) {
        let after = self.tree();
        after.must_differ_from(before);
        self.undo(&[]).ok();
        self.tree().must_be(before);
        self.undo(&["--redo"]).ok();
        self.tree().must_be(&after);
    }
}

/// What happened in an entry, sorted: `upgrade plain 1 2`.
pub fn changes(entry: &Value) -> Vec<String> {
    list(entry, "changes")
}

pub fn planned(entry: &Value) -> Vec<String> {
    list(entry, "planned")
}

fn list(entry: &Value, of: &str) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    let line = |c: &Value| [&c["action"], &c["package"], &c["old"], &c["new"]].map(text).join(" ");
    let mut lines: Vec<String> = entry[of].as_array().into_iter().flatten().map(line).collect();
    lines.sort();
    lines
}
