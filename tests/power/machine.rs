//! The machine whose writes are recorded: our programs on the recorded device, as a person types them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::recorder::{Recorder, need, unmount};
use crate::rig::{self, Done};

/// A mount namespace with a /run of its own, for the calling thread and what it starts.
pub fn namespace_of_its_own() {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).expect("unshare; these tests need root");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("make private");
    mount(Some("none"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).expect("mount /run");
}

/// Runs one of our programs on the pool of a device.
pub fn call(program: &str, device: &str, words: &[&str], input: &[u8]) -> Done {
    let path = rig::program(program);
    let line = [&[path.as_str(), "--pool", device], words].concat();
    rig::command(&line, &[], input)
}

pub struct Machine {
    recorder: Option<Recorder>,
    pub top: PathBuf,
    running: Option<Child>,
    held: bool,
}

impl Machine {
    pub fn start(dir: &Path, size: u64) -> Machine {
        let top = dir.join("top");
        std::fs::create_dir(&top).expect("make");
        Machine { recorder: Some(Recorder::start(dir, size)), top, running: None, held: false }
    }

    pub fn recorder(&self) -> &Recorder {
        self.recorder.as_ref().expect("it records")
    }

    pub fn device(&self) -> String {
        self.recorder().device().to_owned()
    }

    /// Keeps the pool mounted, as a running system does: nothing may become durable only because a
    /// program's own mount ended. The kernel's commit every 30 seconds must not help either.
    pub fn hold(&mut self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "subvolid=5,noatime,commit=300", &self.device()]);
        need(mount.arg(&self.top));
        self.held = true;
    }

    pub fn profile(&mut self, words: &[&str]) -> Done {
        call("flipper-profile", &self.device(), words, b"")
    }

    pub fn base(&mut self, words: &[&str]) -> Done {
        call("flipper-base", &self.device(), words, b"")
    }

    /// On `lab`, asking nothing.
    pub fn undo(&mut self, words: &[&str]) -> Done {
        self.undo_of("lab", words)
    }

    pub fn undo_of(&mut self, id: &str, words: &[&str]) -> Done {
        call("flipper-undo", &self.device(), &[&["--profile", id, "--yes"], words].concat(), b"")
    }

    /// The same with every fsync swallowed by strace(1): it says it is done, and has waited for nothing.
    pub fn undo_without_fsync(&mut self) -> Done {
        let (device, path) = (self.device(), rig::program("flipper-undo"));
        let swallow = "inject=fsync,fdatasync:retval=0";
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", swallow];
        let words = [path.as_str(), "--pool", &device, "--profile", "lab", "--yes"];
        rig::command(&[&strace[..], &words].concat(), &[], b"")
    }

    /// A shell line in `lab`.
    pub fn run(&mut self, line: &str) -> Done {
        self.run_with(line, b"")
    }

    pub fn run_with(&mut self, line: &str, input: &[u8]) -> Done {
        call("flipper-profile", &self.device(), &["run", "lab", "sh", "-c", line], input)
    }

    /// `lab` is in use from here on: the line has ended well, and the run has not. What it wrote is as
    /// durable as it made it itself (the end of a run syncs what it wrote).
    pub fn enter(&mut self, line: &str) -> Done {
        let line = format!("({line}) > /dev/null 2>&1 && echo ready && exec sleep 600");
        let mut command = Command::new(rig::program("flipper-profile"));
        command.args(["--pool", &self.device(), "run", "lab", "sh", "-c", &line]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("start");
        let mut said = [0; 6];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("it ended before it was ready");
        self.running = Some(child);
        done()
    }

    pub fn leave(&mut self) -> Done {
        let mut child = self.running.take().expect("somebody is in it");
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("kill");
        child.wait().expect("wait");
        done()
    }

    /// The power cut that is not one: everything is unmounted and the recording ends.
    pub fn stop(mut self) -> Recorder {
        assert!(self.running.is_none(), "somebody is still in it");
        if self.held {
            unmount(&self.top).expect("unmount");
            self.held = false;
        }
        self.recorder.take().expect("it records")
    }
}

fn done() -> Done {
    Done { status: 0, out: String::new(), err: String::new() }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.held {
            let _ = umount2(&self.top, MntFlags::MNT_DETACH);
        }
    }
}
