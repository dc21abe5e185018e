//! A recording: every write of a workload in its order, where each step began and ended among them, and
//! what the pool held after each step.

use std::fs::{self, File};
use std::path::Path;
use std::sync::OnceLock;

use crate::facts::{self, Bases, Facts};
use crate::log::{Act, Request};
use crate::machine::{Machine, namespace_of_its_own};
use crate::rig::{Pool, command};
use crate::workload::{self, Sort, Sources, Step};
use crate::{repo, say};

/// Of the recorded device; sparse.
pub const SIZE: u64 = 2 << 30;

pub struct Recording {
    /// Has no name any more: whatever ends this process, nothing is left.
    pub log: File,
    pub requests: Vec<Request>,
    pub steps: Vec<Done>,
    pub bases: Bases,
}

/// A step that was done.
pub struct Done {
    pub name: &'static str,
    pub sort: Sort,
    /// Said to flipper-profile, it finishes what a cut left half done.
    pub again: Option<&'static [&'static str]>,
    /// It began after this many requests, and was acknowledged after this many.
    pub begun: usize,
    pub ended: usize,
    pub after: Facts,
}

impl Recording {
    /// The steps that were acknowledged when this many requests had been made, and the one under way.
    pub fn at(&self, requests: usize) -> (&[Done], Option<&Done>) {
        let ended = self.steps.iter().filter(|step| step.ended <= requests).count();
        let under_way = self.steps.get(ended).filter(|step| step.begun <= requests);
        (&self.steps[..ended], under_way)
    }
}

/// The recording of the whole workload, made once.
pub fn whole() -> &'static Recording {
    static RECORDING: OnceLock<Recording> = OnceLock::new();
    RECORDING.get_or_init(|| {
        in_a_thread(|| {
            let dir = tempfile::tempdir().expect("a directory");
            let [root, next] = debian_roots(dir.path());
            let small = dir.path().join("tiny");
            crate::root::make(&small);
            crate::root::for_this_machine(&small);
            let small = small.display().to_string();
            record(dir, &workload::whole(Sources { root, next, archive: repo::archive(), small }))
        })
    })
}

/// The recording of a few steps on the tiny root.
pub fn tiny(cheated: bool) -> Recording {
    in_a_thread(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("tiny");
        crate::root::make(&root);
        let steps = workload::tiny(root.display().to_string(), cheated);
        record(dir, &steps)
    })
}

/// The namespace of the caller stays as it is.
pub fn in_a_thread<T: Send>(make: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let made = scope.spawn(|| {
            namespace_of_its_own();
            make()
        });
        made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

pub fn record(dir: tempfile::TempDir, steps: &[Step]) -> Recording {
    let mut machine = Machine::start(dir.path(), SIZE);
    let (mut bases, mut after) = (Bases::new(), Vec::new());
    for step in steps {
        machine.recorder().mark("begin");
        step.run(&mut machine);
        machine.recorder().mark("end");
        if step.sort == Sort::Init {
            machine.hold();
        }
        learn_bases(&machine.top, &mut bases);
        after.push(Facts::read(&machine.top, &bases).expect("read the pool"));
    }
    let log = File::open(dir.path().join("log")).expect("open the log");
    let (requests, marks) = machine.stop().stop();
    drop(dir);
    assert_eq!(marks.len(), 2 * steps.len(), "a mark is missing in the log");
    let times: Vec<usize> = marks.iter().map(|(at, _)| *at).collect();
    let done = steps.iter().zip(after).zip(times.chunks(2)).map(|((step, after), times)| Done {
        name: step.name,
        sort: step.sort,
        again: step.again,
        begun: times[0],
        ended: times[1],
        after,
    });
    let recording = Recording { steps: done.collect(), requests, bases, log };
    describe(&recording);
    recording
}

/// A base never changes: it is read once.
fn learn_bases(top: &Path, bases: &mut Bases) {
    for name in facts::names(&top.join("@base")).expect("list") {
        let dir = top.join("@base").join(&name);
        if dir.is_dir() && !dir.is_symlink() && !bases.contains_key(&name) {
            bases.insert(name, facts::lines(&dir).expect("read the base"));
        }
    }
}

fn describe(recording: &Recording) {
    let count = |act: fn(&Act) -> bool| recording.requests.iter().filter(|r| act(&r.act)).count();
    let writes = count(|act| matches!(act, Act::Write { .. }));
    let flushes = count(|act| *act == Act::Flush);
    say(format_args!("power: recorded {} steps: {writes} writes, {flushes} flushes", recording.steps.len()));
}

/// Debian roots with our package in them, as tarballs: what the apt tests install in their profile, and what
/// that becomes.
fn debian_roots(dir: &Path) -> [String; 2] {
    let pool = Pool::copy("trixie");
    [("root.tar", crate::moves::OLD), ("next.tar", crate::moves::NEXT)].map(|(name, becomes)| {
        pool.run("lab", becomes, &[], b"").ok();
        tarball(&pool, &dir.join("merged"), &dir.join(name))
    })
}

fn tarball(pool: &Pool, at: &Path, tar: &Path) -> String {
    fs::create_dir_all(at).expect("make");
    pool.call("flipper-profile", &["mount", "lab", at.to_str().expect("text")]).ok();
    let tar = tar.to_str().expect("text").to_owned();
    let words = ["tar", "--xattrs", "--acls", "--one-file-system", "-C", at.to_str().expect("text")];
    command(&[&words[..], &["-cf", &tar, "."]].concat(), &[], b"").ok();
    crate::recorder::unmount(at).expect("unmount");
    tar
}
