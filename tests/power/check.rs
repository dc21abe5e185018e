//! One crash image after the other: mounted (the kernel replays its log), read, asked through our
//! programs, and, some, recovered and looked at again. Two workers, each with half of the points.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use nix::mount::{MntFlags, umount2};
use serde_json::Value;

use crate::data::left_aside;
use crate::facts::{Facts, Profile};
use crate::image::{Replay, Store};
use crate::judge::{Between, Mixed, is_half_put_back};
use crate::machine::{call, namespace_of_its_own};
use crate::moves;
use crate::points::{Point, Random};
use crate::recorder::{Loop, unmount};
use crate::recording::Recording;
use crate::rig::Done;
use crate::say;
use crate::workload::Sort;

const WORKERS: usize = 2;
/// Failures that are told at once, of each worker.
const TOLD: usize = 3;

/// What came of many points.
#[derive(Default)]
pub struct Ended {
    pub points: usize,
    /// As one could not say: the pool was not there yet.
    pub unborn: usize,
    /// Cut in the middle of a package run, and undone.
    pub undone: usize,
    pub recovered: usize,
    pub seconds: u64,
    pub failures: Vec<String>,
}

impl Ended {
    pub fn sentence(&self) -> String {
        format!(
            "{} images in {} s: {} before there was a pool, {} recovered by another command, {} by undo",
            self.points, self.seconds, self.unborn, self.recovered, self.undone
        )
    }

    pub fn text(&self) -> String {
        let shown = self.failures.iter().take(100);
        shown.map(|failure| format!("{failure}\n")).collect()
    }

    fn add(mut self, other: Ended) -> Ended {
        self.points += other.points;
        self.unborn += other.unborn;
        self.undone += other.undone;
        self.recovered += other.recovered;
        self.failures.extend(other.failures);
        self
    }
}

/// One test at a time: there are two processors, and the images of two tests have the same UUIDs.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn all(recording: &Recording, points: &[Point]) -> Ended {
    let _alone = alone();
    let begun = Instant::now();
    let half = points.len().div_ceil(WORKERS).max(1);
    let parts: Vec<Ended> = std::thread::scope(|scope| {
        let workers: Vec<_> = points
            .chunks(half)
            .enumerate()
            .map(|(worker, points)| scope.spawn(move || part(recording, points, worker as u8)))
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).collect()
    });
    let ended = parts.into_iter().fold(Ended::default(), Ended::add);
    Ended { seconds: begun.elapsed().as_secs(), ..ended }
}

fn part(recording: &Recording, points: &[Point], worker: u8) -> Ended {
    namespace_of_its_own();
    let store = Store::make();
    let mut replay = Replay::begin(recording, &store, worker);
    let mut ended = Ended::default();
    for point in points {
        let image = replay.build(point);
        let mut crash = Crash { recording, point, top: store.dir.path().join("top"), ended: &mut ended };
        let judged = catch_unwind(AssertUnwindSafe(|| crash.check(&image)));
        let judged = judged.unwrap_or_else(|panic| Err(what_it_said(&*panic)));
        if let Err(why) = judged {
            let (acknowledged, step) = recording.at(point.cut);
            let last = acknowledged.last().map_or("nothing", |step| step.name);
            let step = step.map_or("nothing", |step| step.name);
            let failure = format!("{point:?}, after {last:?}, during {step:?}: {why}");
            if ended.failures.len() < TOLD {
                say(format_args!("power: {failure}"));
            }
            ended.failures.push(failure);
        }
        ended.points += 1;
        if ended.points % 250 == 0 {
            let failures = ended.failures.len();
            say(format_args!(
                "power: worker {worker}: {} of {}, {failures} fail",
                ended.points,
                points.len()
            ));
        }
    }
    ended
}

fn what_it_said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or(panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or("a panic".into())
}

struct Crash<'a> {
    recording: &'a Recording,
    point: &'a Point,
    top: PathBuf,
    ended: &'a mut Ended,
}

impl Crash<'_> {
    fn check(&mut self, image: &Path) -> Result<(), String> {
        let device = Loop::attach(&[], image);
        let checked = match self.recording.at(self.point.cut) {
            ([], _) => self.unborn(&device.path),
            (acknowledged, step) => {
                let last = &acknowledged[acknowledged.len() - 1];
                let (before, after) = (&last.after, step.map_or(&last.after, |step| &step.after));
                let unsynced = (last.sort == Sort::LiveAndOn).then(|| before.newest());
                self.born(&device.path, &Between { before, after, step, unsynced })
            }
        };
        let _ = umount2(&self.top, MntFlags::MNT_DETACH); // still there when a look went wrong
        forget(&device.path);
        checked?;
        if self.draws(20) {
            said("btrfs check", Command::new("btrfs").args(["check", "--readonly"]).arg(image))?;
        }
        Ok(())
    }

    /// One of so many points gets the costly looks, always the same.
    fn draws(&self, of: u64) -> bool {
        let mut random = Random((self.point.durable as u64) << 32 | self.point.cut as u64);
        random.below(of) == 0
    }

    /// init was not acknowledged: it can be said again, and then there is a pool.
    fn unborn(&mut self, device: &str) -> Result<(), String> {
        self.ended.unborn += 1;
        let status = call("flipper-profile", device, &["status"], b"");
        one_sentence(&status)?;
        let words = ["init", device, "--inode-floor", "65536", "--yes"];
        let mut init = call("flipper-profile", device, &words, b"");
        if init.status == 2 && init.err.contains("it will not be formatted") {
            // A format that was cut: init cannot know whose bytes these are, and says what to do.
            said("mkfs.btrfs", Command::new("mkfs.btrfs").args(["--quiet", "--force", device]))?;
            init = call("flipper-profile", device, &words, b"");
        }
        if init.status != 0 && !(init.status == 2 && init.err.contains("already")) {
            return Err(format!("status says {:?}; init does not work again: {}", status.err, init.err));
        }
        verify(device, is_harmless)
    }

    fn born(&mut self, device: &str, between: &Between) -> Result<(), String> {
        fs::create_dir_all(&self.top).map_err(|e| e.to_string())?;
        said("mount", Command::new("mount").args(["-o", "subvolid=5", device]).arg(&self.top))?;
        let seen = self.facts()?;
        let mixed = between.judge(&seen)?;
        readers(device, &seen)?;
        if self.draws(3) || mixed.as_ref().is_some_and(|mixed| mixed.entry.is_some()) {
            self.recover(device, &seen, mixed, between)?;
            self.again(device, between)?;
            moves::again(device, between, self.draws(2), || self.facts())?;
        }
        unmount(&self.top)
    }

    fn facts(&self) -> Result<Facts, String> {
        Facts::read(&self.top, &self.recording.bases).map_err(|e| format!("reading the pool: {e}"))
    }

    /// Any command that changes something closes what the cut left open. For a package run that is undo.
    fn recover(
        &mut self,
        device: &str,
        seen: &Facts,
        mixed: Option<Mixed>,
        between: &Between,
    ) -> Result<(), String> {
        let mut expected = seen.profiles.clone();
        for profile in expected.values_mut() {
            profile.tree.lines.retain(|path, _| !is_half_put_back(path));
        }
        match (mixed, seen.profiles.keys().next()) {
            (Some(Mixed { entry: Some(entry), written }), _) => {
                let undo = call("flipper-undo", device, &["--profile", "lab", "--yes"], b"");
                ends(&undo, 0, "flipper-undo")?;
                let now = self.facts()?.profiles.remove("lab").ok_or("lab is gone")?;
                let before = &seen.profiles["lab"].points[&entry]; // judged to be as it was
                if !now.tree.is_back(before) {
                    return Err(format!(
                        "undo does not return to before entry {entry}:\n{}it had written:\n{written}undo said:\n{}{}",
                        before.differences(&now.tree),
                        undo.out,
                        undo.err
                    ));
                }
                put_back(&between.before.profiles["lab"], &now)?;
                expected.insert("lab".into(), now);
                self.ended.undone += 1;
            }
            (_, Some(id)) => {
                ends(&call("flipper-profile", device, &["default", id], b""), 0, "default")?;
                self.ended.recovered += 1;
            }
            (_, None) => {
                let made = call("flipper-profile", device, &["default", "nobody"], b"");
                ends(&made, 2, "default nobody")?;
                self.ended.recovered += 1;
            }
        }
        let after = self.facts()?;
        self.in_order(device, &expected, &after)?;
        for (id, profile) in after.profiles.iter().filter(|_| between.is_ours()) {
            between.recovered(id, profile)?;
        }
        Ok(())
    }

    /// What was cut can be said again, and then it is done, whatever the cut had left.
    fn again(&self, device: &str, between: &Between) -> Result<(), String> {
        let Some(words) = between.step.and_then(|step| step.again) else { return Ok(()) };
        let again = call("flipper-profile", device, words, b"");
        if !matches!(again.status, 0 | 2) {
            return Err(format!("{words:?}, again, ends with {}: {}{}", again.status, again.out, again.err));
        }
        ends(&call("flipper-profile", device, &["run", "lab", "true"], b""), 0, "a start")?;
        let (now, after) = (self.facts()?, &between.after.profiles["lab"]);
        let is = now.profiles.get("lab").ok_or("lab is gone")?;
        let done = Between { before: between.after, after: between.after, step: None, unsynced: None };
        done.recovered("lab", is)?;
        if is.data.listed != after.data.listed {
            return Err(format!("{words:?}, again ({}), and lab lists {}", again.err, is.data.listed));
        }
        if !is.tree.is_back(&after.tree) {
            return Err(format!("{words:?}, again, and:\n{}", after.tree.differences(&is.tree)));
        }
        verify(device, is_harmless)
    }

    /// Nothing is open, nothing half made lies about, every profile starts and can be written to.
    fn in_order(
        &self,
        device: &str,
        expected: &std::collections::BTreeMap<String, Profile>,
        after: &Facts,
    ) -> Result<(), String> {
        if let Some((key, is)) =
            after.entries.iter().find(|(_, (_, state))| state == "open" || state == "torn")
        {
            return Err(format!("recovered, and entry {key:?} is {is:?}"));
        }
        for place in ["@profiles", "@base"] {
            let names = crate::facts::names(&self.top.join(place)).map_err(|e| e.to_string())?;
            let left =
                names.iter().find(|n| [".new-", ".incoming", ".pruned-"].iter().any(|s| n.starts_with(s)));
            if let Some(left) = left.filter(|name| *name != ".new-template") {
                return Err(format!("recovered, and {place}/{left} is left"));
            }
        }
        for id in after.profiles.keys() {
            if let Some(left) = left_aside(&self.top, id).map_err(|e| e.to_string())? {
                return Err(format!("recovered, and {left} of {id} is left"));
            }
        }
        moves::nothing_saved_for_nothing(&self.top, after)?;
        for (id, profile) in expected {
            let now = after.profiles.get(id).ok_or_else(|| format!("recovery lost {id}"))?;
            // What is seen of a half is gone (Between::recovered); below what is shared nobody sees it, and the
            // next unshare clears it away.
            let mut tree = now.tree.clone();
            tree.lines.retain(|path, _| !is_half_put_back(path));
            if now.current != profile.current || !tree.is_back(&profile.tree) {
                return Err(format!("recovery changed {id}:\n{}", profile.tree.differences(&tree)));
            }
        }
        verify(device, is_harmless)?;
        if let Some(id) = expected.keys().next().filter(|_| self.draws(2)) {
            let line = "test -x /bin/sh && echo new > /etc/new && cat /etc/new && rm /etc/new && test -s /var/lib/dpkg/status";
            ends(&call("flipper-profile", device, &["run", id, "sh", "-c", line], b""), 0, "a run")?;
        }
        Ok(())
    }
}

/// Files of the person's own that a package run took out of state/ are back with the undo of the run.
fn put_back(before: &Profile, now: &Profile) -> Result<(), String> {
    let own = before.data.state.lines.iter().filter(|(path, _)| path.starts_with("srv"));
    let mut lost = own.filter(|(path, line)| now.data.state.lines.get(*path) != Some(line));
    lost.next().map_or(Ok(()), |(path, _)| Err(format!("undo does not bring back {}", path.display())))
}

/// Our programs see what lies there, and find nothing that a cut does not explain.
fn readers(device: &str, seen: &Facts) -> Result<(), String> {
    let of_a_cut = |finding: &Value| {
        let mended =
            finding["remedy"].as_str().is_some_and(|text| text.starts_with("the next command that changes"));
        mended || is_harmless(finding) || finding["check"] == "next" || finding["check"] == "manifest"
    };
    verify(device, of_a_cut)?;
    let list = json(&call("flipper-profile", device, &["list", "--json"], b""), &[0])?;
    let listed: Vec<&str> =
        list.as_array().into_iter().flatten().filter_map(|row| row["id"].as_str()).collect();
    if !listed.iter().eq(seen.profiles.keys()) {
        return Err(format!("list: {listed:?}, and there are {:?}", seen.profiles.keys()));
    }
    json(&call("flipper-profile", device, &["status", "--json"], b""), &[0, 1])?;
    for id in seen.profiles.keys() {
        let log = json(&call("flipper-profile", device, &["log", id, "-n", "1000", "--json"], b""), &[0])?;
        let logged: Vec<(u64, &str)> = log
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|e| Some((e["number"].as_u64()?, e["state"].as_str()?)))
            .collect();
        for ((_, number), (_, state)) in seen
            .entries
            .iter()
            .filter(|((owner, _), (_, state))| owner == id && state != "open" && state != "torn")
        {
            // An undo that was taken back before its boot is cancelled, whatever its own file says by then.
            let cancelled = state == "completed" && logged.contains(&(*number, "cancelled"));
            if !cancelled && !logged.contains(&(*number, state.as_str())) {
                return Err(format!("log: entry {number} of {id} is {state}, and the log has {logged:?}"));
            }
        }
    }
    Ok(())
}

/// Nothing is found but what may be.
pub fn verify(device: &str, may_be: impl Fn(&Value) -> bool) -> Result<(), String> {
    let found = json(&call("flipper-profile", device, &["verify", "--json"], b""), &[0, 1])?;
    let mut findings = found["findings"].as_array().into_iter().flatten();
    findings.find(|finding| !may_be(finding)).map_or(Ok(()), |finding| Err(format!("verify: {finding}")))
}

/// `.pool.conf.new`: a file without its name. The next one of this name takes its place.
pub fn is_harmless(finding: &Value) -> bool {
    finding["check"] == "leftovers" && finding["what"] == "written aside by a change that was cut"
}

fn json(done: &Done, statuses: &[i32]) -> Result<Value, String> {
    if !statuses.contains(&done.status) {
        return Err(format!("a reader ends with {}: {}{}", done.status, done.out, done.err));
    }
    serde_json::from_str(&done.out).map_err(|e| format!("no JSON: {e}: {}", done.out))
}

pub fn ends(done: &Done, status: i32, what: &str) -> Result<(), String> {
    if done.status == status {
        Ok(())
    } else {
        Err(format!("{what} ends with {}: {}{}", done.status, done.out, done.err))
    }
}

/// A program that cannot: an ordinary exit status and one line that says why.
fn one_sentence(done: &Done) -> Result<(), String> {
    let fine =
        matches!(done.status, 0..=3) && !done.err.contains("panicked") && done.err.lines().count() <= 3;
    if fine { Ok(()) } else { Err(format!("status ends with {}: {}", done.status, done.err)) }
}

fn said(what: &str, command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{what}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{what}: {text}")) }
}

/// The kernel remembers file systems by UUID, and would take the next image for an older copy.
pub fn forget(device: &str) {
    let _ = Command::new("btrfs").args(["device", "scan", "--forget", device]).output();
}
