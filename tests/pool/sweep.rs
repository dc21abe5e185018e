//! kill -9 before every call of a command that could change something, one after the other: what is
//! left must read as the state before or the state after, for a reader at once, and on disk after the
//! next command. The short form takes a sample, always with the calls around the pointer.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::rig::tree::{Tree, assert_same};
use crate::rig::{Rig, Started, tree};

#[path = "sweep/calls.rs"]
mod calls;

pub use calls::*;

struct Case {
    name: &'static str,
    /// A run of the profile goes on meanwhile: what is staged waits.
    in_use: bool,
    /// flipper-undo with these, one after the other, leads to the state before.
    prepare: &'static [&'static [&'static str]],
    /// The command that is cut.
    command: fn(&Rig) -> Vec<String>,
    /// From the state after back to the state before.
    back: &'static [&'static [&'static str]],
    /// The entry that waited is cancelled by it.
    drops: bool,
}

const UNDO: &[&str] = &[];

fn plain(_: &Rig) -> Vec<String> {
    Vec::new()
}

#[test]
fn an_undo() {
    sweep(&Case {
        name: "undo",
        in_use: false,
        prepare: &[],
        command: plain,
        back: &[&["--redo"]],
        drops: false,
    });
}

#[test]
fn an_undo_of_a_running_profile() {
    let back: &[&[&str]] = &[&["--cancel"]];
    sweep(&Case { name: "undo in use", in_use: true, prepare: &[], command: plain, back, drops: false });
}

#[test]
fn a_second_undo_while_one_waits() {
    let back: &[&[&str]] = &[&["--cancel"], UNDO];
    sweep(&Case { name: "second undo", in_use: true, prepare: &[UNDO], command: plain, back, drops: true });
}

#[test]
fn a_cancel() {
    let command = |_: &Rig| vec!["--cancel".to_owned()];
    sweep(&Case { name: "cancel", in_use: true, prepare: &[UNDO], command, back: &[UNDO], drops: true });
}

#[test]
fn a_redo_of_what_waits() {
    let command = |_: &Rig| vec!["--redo".to_owned()];
    sweep(&Case { name: "redo in use", in_use: true, prepare: &[UNDO], command, back: &[UNDO], drops: true });
}

#[test]
fn a_redo() {
    let command = |_: &Rig| vec!["--redo".to_owned()];
    sweep(&Case { name: "redo", in_use: false, prepare: &[UNDO], command, back: &[UNDO], drops: false });
}

#[test]
fn an_undo_that_keeps() {
    let command = |_: &Rig| ["--keep", "/opt", "--keep", "/etc/step"].map(str::to_owned).to_vec();
    let back: &[&[&str]] = &[&["--redo"]];
    sweep(&Case { name: "undo --keep", in_use: false, prepare: &[], command, back, drops: false });
}

#[test]
fn a_reset() {
    let command = |_: &Rig| vec!["reset".to_owned()];
    sweep(&Case { name: "reset", in_use: false, prepare: &[], command, back: &[UNDO], drops: false });
}

#[test]
fn a_reset_with_its_state() {
    let command = |_: &Rig| vec!["reset".to_owned(), "--wipe".to_owned()];
    sweep(&Case { name: "reset --wipe", in_use: false, prepare: &[], command, back: &[UNDO], drops: false });
}

#[test]
fn a_reset_of_a_running_profile() {
    let command = |_: &Rig| vec!["reset".to_owned(), "--wipe".to_owned()];
    let back: &[&[&str]] = &[&["--cancel"]];
    sweep(&Case { name: "reset in use", in_use: true, prepare: &[], command, back, drops: false });
}

/// Taking a reset --wipe back exchanges state/ once more.
#[test]
fn an_undo_of_a_reset() {
    let (prepare, back): (&[&[&str]], &[&[&str]]) = (&[&["reset", "--wipe"]], &[&["--redo"]]);
    sweep(&Case { name: "undo reset", in_use: false, prepare, command: plain, back, drops: false });
}

#[test]
fn an_undo_of_an_undo() {
    // The root that an undo made has the number of the undo.
    let command = |rig: &Rig| vec![rig.current("lab").to_string()];
    sweep(&Case { name: "by number", in_use: false, prepare: &[UNDO], command, back: &[UNDO], drops: false });
}

/// Each step of it is one of an upper that nobody sees before the pointer.
#[test]
fn a_repair() {
    let command = |_: &Rig| vec!["repair".to_owned()];
    sweep(&Case { name: "repair", in_use: false, prepare: &[], command, back: &[UNDO], drops: false });
}

#[test]
fn a_repair_of_a_running_profile() {
    let command = |_: &Rig| vec!["repair".to_owned()];
    let back: &[&[&str]] = &[&["--cancel"]];
    sweep(&Case { name: "repair in use", in_use: true, prepare: &[], command, back, drops: false });
}

/// A built-in appears whole or not at all, also when what is left of it is cleared away in two goes.
#[test]
fn a_built_in() {
    let rig = with_two_changes();
    let dir = rig.path("builtin");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("builtin.conf"), "id=router\nbase=13.*\n").unwrap();
    let point = rig.in_pool(format!("@profiles/lab/snapshots/{}", rig.last_entry("lab").0));
    let stream = dir.join("upper.stream");
    crate::rig::need("btrfs", crate::rig::btrfs(&["send", "--quiet", "-f"]).arg(&stream).arg(point));
    let words = |id: &str| ["install-builtin", dir.to_str().unwrap(), "--id", id].map(str::to_owned);
    let moments = trace(&rig, "flipper-profile", &words("whole"));
    assert_eq!(moments.iter().filter(|m| m.moves_the_pointer).count(), 1, "one visible moment: {moments:?}");
    let made = |id: &str| upper(&rig.root_dir(id));
    let whole = made("whole");
    let (mut cut, mut published) = (0, 0);
    for (at, moment) in chosen(&moments).into_iter().enumerate() {
        let id = format!("cut-{at}");
        let options = ["-o", "/dev/null", "-e", &moment.inject()];
        cut += usize::from(under_strace(&rig, "flipper-profile", &words(&id), &options).status == 137);
        recover(&rig, at);
        rig.verify();
        let there = rig.in_pool(format!("@profiles/{id}")).is_dir();
        if there {
            assert_same(&whole, &made(&id));
            rig.profile(&["--yes", "reset", &id]).ok();
            assert_same(&whole, &made(&id));
            published += 1;
        }
        let hidden: Vec<_> =
            rig.names("@profiles").into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(hidden, [".template"], "{moment:?}");
        if rig.in_pool(format!("@journal/entries/{id}")).is_dir() && !rig.entries(&id).is_empty() {
            let expected = if there { "completed" } else { "cancelled" };
            assert_eq!(rig.entries(&id)[0].1["state"], expected, "{moment:?}");
        }
    }
    assert!(cut > 5 && published > 0 && published < cut, "{cut} cuts, {published} published");
}

/// A root that an undo left, and that was written after it: kept whole before it goes, once.
#[test]
fn what_was_left_is_kept() {
    let rig = with_two_changes();
    let words = ["set", "lab", "--note", "anything"].map(str::to_owned);
    let old = leave_a_written_root(&rig, 0);
    let moments = trace(&rig, "flipper-profile", &words);
    assert_same(&old.upper, &kept_by(&rig, rig.last_entry("lab").0));
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    let mut cut = 0;
    for (at, moment) in chosen(&moments).into_iter().enumerate() {
        let old = leave_a_written_root(&rig, at + 1);
        let options = ["-o", "/dev/null", "-e", &moment.inject()];
        cut += usize::from(under_strace(&rig, "flipper-profile", &words, &options).status == 137);
        recover(&rig, at);
        rig.verify();
        let since =
            |(number, e): &(u64, serde_json::Value)| *number > rig.current("lab") && e["kind"] == "left";
        let left: Vec<_> = rig.entries("lab").into_iter().filter(since).collect();
        let done: Vec<u64> =
            left.iter().filter(|(_, e)| e["state"] == "completed").map(|(n, _)| *n).collect();
        assert!(left.iter().all(|(_, e)| e["state"] != "open") && done.len() == 1, "{moment:?}: {left:#?}");
        assert_same(&old.upper, &kept_by(&rig, done[0]));
        assert_eq!(Place::look(&rig).roots, BTreeSet::from([rig.current("lab")]), "{moment:?}");
        rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    }
    assert!(cut > 5, "{cut} cuts");
}

/// An undo waits, something is written into the running root, and the power goes. Returns that root.
fn leave_a_written_root(rig: &Rig, at: usize) -> Place {
    let line = format!(
        "while [ ! -e /run/go ]; do sleep 0.02; done; echo {at} > /etc/late; echo ready; exec sleep 100"
    );
    let run = rig.start(&["run", "lab", "sh", "-c", &format!("echo ready; {line}")]);
    let first = crate::rig::need("pgrep", Command::new("pgrep").arg("-P").arg(run.0.id().to_string()));
    let (number, root) = (rig.current("lab"), rig.root_dir("lab"));
    undo_each(rig, &[UNDO]);
    std::fs::write(format!("/proc/{first}/root/run/go"), "").unwrap();
    let written = root.join("root/etc/late");
    crate::rig::within(std::time::Duration::from_secs(10), "it is written", || {
        std::fs::read_to_string(&written).is_ok_and(|text| text == format!("{at}\n"))
    });
    run.kill();
    crate::rig::within(std::time::Duration::from_secs(10), "the run has ended", || {
        !std::path::Path::new(&format!("/proc/{first}")).exists()
    });
    let state = tree::read(&rig.in_pool("@profiles/lab/state"));
    Place { current: number, upper: upper(&root), state, roots: BTreeSet::new() }
}

fn kept_by(rig: &Rig, entry: u64) -> Tree {
    upper(&rig.in_pool(format!("@profiles/lab/snapshots/{entry}")))
}

/// The same three states for every case: 0 before the first change, 1 before the second, 2 now.
fn with_two_changes() -> Rig {
    let rig = Rig::with_lab();
    for step in 0..2 {
        rig.sh("lab", &format!("echo {step} > /etc/step; mkdir /opt/step-{step}; rm -rf /opt/data/deep"));
        rig.profile(&["set", "lab", "--args", &format!("step={step}")]).ok();
    }
    // Something for a repair: a copy of the base's, one in a directory that was made anew, a directory of dpkg's.
    rig.sh("lab", "chmod 600 /etc/fstab; chmod 644 /etc/fstab; cp -a /opt/data /opt/copy; rm -r /opt/data");
    rig.sh(
        "lab",
        "mkdir /opt/data; cp -a /opt/copy/one /opt/data; mkdir /srv/new; mv /srv/new /srv/x || true",
    );
    rig.sh("lab", "echo 2 > /etc/step; echo 2 > /var/log/step");
    rig
}

fn sweep(case: &Case) {
    let rig = with_two_changes();
    let run: Option<Started> = case.in_use.then(|| rig.start_waiting("lab"));
    let in_use = run.is_some().then(|| rig.current("lab"));
    if case.in_use {
        undo_each(&rig, &[UNDO, &["--cancel"]]); // dpkg's locks are copied up when they are first taken
    }
    undo_each(&rig, case.prepare);
    let before = Place::look(&rig);
    let (program, words) = called(&(case.command)(&rig));
    let moments = trace(&rig, program, &words);
    assert_eq!(moments.iter().filter(|m| m.moves_the_pointer).count(), 1, "one visible moment: {moments:?}");
    let after = Place::look(&rig);
    assert_ne!(before.current, after.current, "{}: the command moved nothing", case.name);
    undo_each(&rig, case.back);
    assert_same(&before.upper, &Place::look(&rig).upper);
    let (mut cut, mut moved) = (0, 0);
    for (at, moment) in chosen(&moments).into_iter().enumerate() {
        let start = Place::look(&rig);
        let killed = strace(&rig, &(case.command)(&rig), &moment.inject()).status == 137;
        cut += usize::from(killed);
        let told = states(&rig.profile(&["log", "lab", "-n", "1000", "--json"]).json());
        recover(&rig, at);
        let done = check(case, &rig, in_use, [&start, &after], &told, &format!("{}: {moment:?}", case.name));
        moved += usize::from(done && killed);
        if done {
            undo_each(&rig, case.back);
        }
        assert_same(&before.upper, &Place::look(&rig).upper);
    }
    assert!(cut > 5 && moved > 0 && moved < cut, "{}: {cut} cuts, {moved} after the pointer", case.name);
    run.into_iter().for_each(Started::end);
    rig.verify();
}

/// Where the pointer is, and what is there.
struct Place {
    current: u64,
    upper: Tree,
    state: Tree,
    roots: BTreeSet<u64>,
}

impl Place {
    fn look(rig: &Rig) -> Place {
        Place {
            current: rig.current("lab"),
            upper: upper(&rig.root_dir("lab")),
            state: tree::read(&rig.in_pool("@profiles/lab/state")),
            roots: rig.names("@profiles/lab/roots").iter().map(|name| name.parse().unwrap()).collect(),
        }
    }
}

/// What a root or a point has over its base. A run of the profile has its lent link in it, what is made
/// from a point of that run has not.
fn upper(of: &std::path::Path) -> Tree {
    tree::promised(&of.join("root")).without(&["etc/resolv.conf"])
}

/// The state before or the state after, with everything that belongs to it. True: after.
fn check(
    case: &Case,
    rig: &Rig,
    in_use: Option<u64>,
    [start, after]: [&Place; 2],
    told: &States,
    what: &str,
) -> bool {
    let now = Place::look(rig);
    let done = now.current != start.current;
    let of = if done { after } else { start };
    assert_same(&of.upper, &now.upper);
    assert_same(&of.state, &now.state);
    rig.verify();
    let entries = rig.entries("lab");
    let on_disk: States =
        entries.iter().map(|(n, e)| (*n, e["state"].as_str().unwrap().to_owned())).collect();
    assert_eq!(told, &on_disk, "{what}: a reader was told something else");
    assert!(on_disk.values().all(|state| state != "open"), "{what}");
    assert!(
        entries.iter().all(|(_, e)| e["kind"] != "left"),
        "{what}: nothing was written that could be left"
    );
    let of = |number: u64| on_disk[&number].as_str();
    if case.drops {
        assert_eq!(of(start.current), if done { "cancelled" } else { "completed" }, "{what}");
    }
    let mut expected = vec![now.current];
    expected.extend(in_use.filter(|root| *root != now.current));
    assert_eq!(now.roots, BTreeSet::from_iter(expected), "{what}: the roots");
    assert_eq!(of(now.current), "completed", "{what}");
    done
}

type States = BTreeMap<u64, String>;

fn states(log: &serde_json::Value) -> States {
    let entries = log.as_array().unwrap().iter();
    entries.map(|e| (e["number"].as_u64().unwrap(), e["state"].as_str().unwrap().to_owned())).collect()
}

/// Recovering is cut as well, each time at another place; then it may finish.
pub fn recover(rig: &Rig, at: usize) {
    let call = ["unlink", "fsync", "ioctl", "rename"][at % 4];
    let inject = format!("inject=?{call}:signal=KILL:when={}", 1 + at / 4 % 4);
    let words = ["set", "lab", "--note", "anything"];
    under_strace(rig, "flipper-profile", &words.map(str::to_owned), &["-e", &inject]);
    rig.profile(&words).ok();
}

fn undo_each(rig: &Rig, each: &[&[&str]]) {
    for words in each {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (program, words) = called(&words);
        rig.run(program, &words.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    }
}
