//! A block device that writes down every request: qemu-storage-daemon's `blklogwrites` over an image,
//! exported by NBD on a unix socket, made a file by nbdfuse, made a block device by a loop device with
//! direct I/O. (The storage daemon's own FUSE export is not used: its log and its image disagreed.)
//!
//! Marks go into the last MiB of the file, which the loop device does not show: without a flush of
//! their own, so they make nothing durable, and their place in the log is their time.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;

use crate::log::{self, Act, Request};

const MARKS: u64 = 1 << 20;

#[repr(align(4096))]
struct Block([u8; 4096]);

/// A loop device that goes with this value, or with the process.
pub struct Loop {
    pub path: String,
    held: Option<File>,
}

impl Loop {
    pub fn attach(options: &[&str], file: &Path) -> Loop {
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show", "--nooverlap"]).args(options).arg(file);
        let path = need(&mut losetup);
        let held = Some(File::open(&path).expect("open the loop device"));
        // Detached while it is open: it goes away with its last user.
        need(Command::new("losetup").args(["--detach", &path]));
        Loop { path, held }
    }

    fn is_there(&self) -> bool {
        let name = self.path.trim_start_matches("/dev/");
        Path::new("/sys/block").join(name).join("loop/backing_file").exists()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        drop(self.held.take());
        let begun = Instant::now();
        while self.is_there() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

pub struct Recorder {
    pub device: Option<Loop>,
    size: u64,
    dir: PathBuf,
    marks: Option<File>,
    daemon: Child,
    fuse: Child,
}

impl Recorder {
    /// `dir` gets the image and the log; the thread must be in a mount namespace of its own.
    pub fn start(dir: &Path, size: u64) -> Recorder {
        let (image, file, socket) = (dir.join("recorded.img"), dir.join("device"), dir.join("socket"));
        File::create(&image).and_then(|f| f.set_len(size)).expect("make the image");
        File::create(dir.join("log")).expect("make the log");
        File::create(&file).expect("make the mount point");
        let daemon = storage_daemon(dir, &image, &socket);
        wait_for("qemu-storage-daemon", dir, || socket.exists());
        let fuse = child(
            dir,
            Command::new("nbdfuse").arg(&file).arg(format!("nbd+unix:///pool?socket={}", socket.display())),
        );
        wait_for("nbdfuse", dir, || file.metadata().is_ok_and(|meta| meta.len() == size));
        let mut options = OpenOptions::new();
        let marks = options.write(true).custom_flags(nix::libc::O_DIRECT).open(&file).expect("open");
        let limit = (size - MARKS).to_string();
        let device = Loop::attach(&["--direct-io=on", "--sizelimit", &limit], &file);
        Recorder { device: Some(device), size, dir: dir.to_owned(), marks: Some(marks), daemon, fuse }
    }

    pub fn device(&self) -> &str {
        &self.device.as_ref().expect("it records").path
    }

    /// Everything this machine was told before is older than what comes after.
    pub fn mark(&self, text: &str) {
        let mut block = Block([0; 4096]);
        block.0[..text.len()].copy_from_slice(text.as_bytes());
        let marks = self.marks.as_ref().expect("it records");
        marks.write_all_at(&block.0, self.size - MARKS).expect("write a mark");
    }

    /// Nothing may be mounted any more. What was written, with the marks and their place among it.
    pub fn stop(mut self) -> (Vec<Request>, Vec<(usize, String)>) {
        drop(self.device.take());
        drop(self.marks.take());
        unmount(&self.dir.join("device")).expect("unmount the recorded file");
        self.fuse.wait().expect("wait");
        end(&mut self.daemon);
        let path = self.dir.join("log");
        let (requests, marks) = split_marks(&path, log::read(&path), self.size - MARKS);
        need_same_image(&self.dir, &requests);
        (requests, marks)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.device.take());
        drop(self.marks.take());
        for child in [&mut self.fuse, &mut self.daemon] {
            end(child);
        }
    }
}

fn split_marks(path: &Path, all: Vec<Request>, from: u64) -> (Vec<Request>, Vec<(usize, String)>) {
    let log = File::open(path).expect("open the log");
    let (mut requests, mut marks) = (Vec::new(), Vec::new());
    for request in all {
        if request.at < from {
            requests.push(request);
            continue;
        }
        let mut text = vec![0; 4096];
        log.read_exact_at(&mut text, request.data).expect("read a mark");
        text.retain(|byte| *byte != 0);
        marks.push((requests.len(), String::from_utf8(text).expect("a mark is text")));
    }
    (requests, marks)
}

/// What a rig like this must prove first: the log, replayed, is the image.
fn need_same_image(dir: &Path, requests: &[Request]) {
    let (log, image) =
        (File::open(dir.join("log")).expect("open"), File::open(dir.join("recorded.img")).expect("open"));
    let replayed = dir.join("replayed.img");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&replayed).expect("make");
    file.set_len(image.metadata().expect("look").len()).expect("size");
    for request in requests {
        apply(&log, request, &file, request.length);
    }
    let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let end = image.metadata().expect("look").len() - MARKS;
    for at in (0..end).step_by(1 << 20) {
        file.read_exact_at(&mut ours, at).expect("read");
        image.read_exact_at(&mut theirs, at).expect("read");
        assert!(ours == theirs, "the log, replayed, is not the image (at {at}): this rig proves nothing");
    }
    drop(file);
    for made in [replayed, dir.join("recorded.img")] {
        std::fs::remove_file(made).expect("remove");
    }
}

/// Carries out the first `length` bytes of a request.
pub fn apply(log: &File, request: &Request, image: &File, length: u64) {
    match request.act {
        Act::Flush => {}
        Act::Discard => punch(image, request.at, length),
        Act::Write { .. } => {
            let mut bytes = vec![0; length as usize];
            log.read_exact_at(&mut bytes, request.data).expect("read the log");
            image.write_all_at(&bytes, request.at).expect("write the image");
        }
    }
}

fn punch(image: &File, at: u64, length: u64) {
    use nix::fcntl::{FallocateFlags, fallocate};
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(image, flags, at as i64, length as i64).expect("punch a hole");
}

fn storage_daemon(dir: &Path, image: &Path, socket: &Path) -> Child {
    let file = |name: &str, path: &Path| format!("driver=file,node-name={name},filename={}", path.display());
    let mut daemon = Command::new("qemu-storage-daemon");
    daemon.args(["--blockdev", &file("image", image), "--blockdev", &file("log", &dir.join("log"))]);
    daemon.args(["--blockdev", "driver=blklogwrites,node-name=logged,file=image,log=log,log-sector-size=512,log-super-update-interval=1"]);
    daemon.args(["--nbd-server", &format!("addr.type=unix,addr.path={}", socket.display())]);
    daemon.args(["--export", "type=nbd,id=pool,node-name=logged,name=pool,writable=on"]);
    child(dir, &mut daemon)
}

/// It ends with the thread that started it, also when that is killed.
fn child(dir: &Path, command: &mut Command) -> Child {
    let said = OpenOptions::new().create(true).append(true).open(dir.join("said")).expect("open");
    command.stdin(Stdio::null()).stdout(said.try_clone().expect("share")).stderr(said);
    unsafe { command.pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(Into::into)) };
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().unwrap_or_else(|e| panic!("{name}: {e}; `tests/run power` installs it"))
}

fn end(child: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::kill(pid, Signal::SIGTERM);
    let _ = child.wait();
}

fn wait_for(what: &str, dir: &Path, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        let said = std::fs::read_to_string(dir.join("said")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(30), "{what} does not come up: {said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whole, not detached: what it held is written. A program that another thread starts has our files open for
/// a moment, until it is another program.
pub fn unmount(top: &Path) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match umount2(top, MntFlags::empty()) {
            Err(Errno::EBUSY) if begun.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done.map_err(|e| format!("umount {}: {e}", top.display())),
        }
    }
}

/// A tool of the rig; it must end well. What it printed.
#[track_caller]
pub fn need(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
