//! `flipper-undo` on a profile that is not running, with entries that `set` makes: last, by number,
//! redo, cancel, list, show, dry run; and what always stays.

use std::fs;

use crate::rig::tree::{Tree, assert_differ, assert_same};
use crate::rig::{Rig, Started};

/// A profile with three entries; before each of them /etc/step said how many there were.
fn with_history() -> (Rig, Vec<u64>, Vec<Tree>) {
    let rig = Rig::with_lab();
    let (mut numbers, mut trees) = (Vec::new(), Vec::new());
    for step in 0..3 {
        rig.sh("lab", &format!("echo {step} > /etc/step; mkdir /opt/step-{step}; rm -rf /opt/data/deep"));
        trees.push(rig.tree("lab"));
        rig.profile(&["set", "lab", "--args", &format!("step={step}")]).ok();
        numbers.push(rig.last_entry("lab").0);
    }
    rig.sh("lab", "echo end > /etc/step");
    trees.push(rig.tree("lab"));
    (rig, numbers, trees)
}

fn undo(rig: &Rig, args: &[&str]) -> crate::rig::Ended {
    rig.undo(&[&["--profile", "lab", "--yes"], args].concat())
}

fn args(rig: &Rig) -> String {
    fs::read_to_string(rig.root_dir("lab").join("args")).unwrap().trim_end().to_owned()
}

#[test]
fn again_and_again_goes_further_back_and_redo_comes_forward() {
    let (rig, _, trees) = with_history();
    for step in (0..3).rev() {
        undo(&rig, &[]).ok();
        assert_same(&trees[step], &rig.tree("lab"));
        assert_eq!(args(&rig), if step == 0 { String::new() } else { format!("step={}", step - 1) });
    }
    undo(&rig, &[]).refused("nothing to undo in profile lab");
    for tree in &trees[1..] {
        undo(&rig, &["--redo"]).ok();
        assert_same(tree, &rig.tree("lab"));
    }
    undo(&rig, &["--redo"]).refused("nothing to redo in profile lab");
    assert_eq!(args(&rig), "step=2");
    rig.verify();
}

#[test]
fn a_number_goes_to_the_state_before_it() {
    let (rig, numbers, trees) = with_history();
    let preview = rig.undo(&["--profile", "lab", "--dry-run", "--json", &numbers[1].to_string()]).json();
    assert_eq!(preview["plan"]["target"], numbers[1]);
    assert_eq!(preview["plan"]["takes_back"], serde_json::json!([numbers[2], numbers[1]]));
    undo(&rig, &[&numbers[1].to_string()]).ok();
    assert_same(&trees[1], &rig.tree("lab"));
    // What was taken back is not in this line any more; the way there is the undo's own number.
    undo(&rig, &[&numbers[2].to_string()]).refused("is not in the line of descent");
    let (number, entry) = rig.entries("lab").into_iter().rfind(|(_, e)| e["kind"] == "undo").unwrap();
    assert_eq!((&entry["target"], &entry["state"]), (&numbers[1].into(), &"completed".into()));
    undo(&rig, &[&number.to_string()]).ok();
    assert_same(&trees[3], &rig.tree("lab"));
    undo(&rig, &["999"]).refused("there is no entry 999");
    undo(&rig, &["x"]).says(64, "is not an entry number");
    undo(&rig, &["0"]).says(64, "is not an entry number");
    rig.verify();
}

#[test]
fn a_change_after_an_undo_ends_redo_but_loses_nothing() {
    let (rig, _, trees) = with_history();
    undo(&rig, &[]).ok();
    rig.profile(&["set", "lab", "--args", "other"]).ok();
    let ended = undo(&rig, &["--redo"]).refused("nothing to redo");
    assert!(ended.err.contains("was made since"), "{}", ended.err);
    let list = rig.undo(&["--profile", "lab", "--list", "--json"]).json();
    let by_number =
        list.as_array().unwrap().iter().find(|e| e["kind"] == "undo").unwrap()["number"].to_string();
    undo(&rig, &[&by_number]).ok();
    assert_same(&trees[3], &rig.tree("lab"));
    rig.verify();
}

#[test]
fn list_show_and_log_tell_the_same_story() {
    let (rig, numbers, _) = with_history();
    let list = rig.undo(&["--profile", "lab", "--list"]).ok().out;
    let order: Vec<u64> =
        list.lines().map(|l| l.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert_eq!(order, numbers.iter().rev().copied().collect::<Vec<_>>(), "newest first");
    let show = rig.undo(&["--profile", "lab", "--show", &numbers[1].to_string()]).ok().out;
    assert!(show.contains("changed args") && show.contains("kept"), "{show}");
    rig.undo(&["--profile", "lab", "--show", "999"]).refused("there is no entry 999");
    let log = rig.profile(&["log", "lab", "--json"]).json();
    let logged: Vec<u64> = log.as_array().unwrap().iter().map(|e| e["number"].as_u64().unwrap()).collect();
    assert_eq!(logged[..3], order[..]);
    undo(&rig, &[]).ok();
    let log = rig.profile(&["log", "lab"]).ok().out;
    assert!(log.contains("undo"), "{log}");
    assert_eq!(rig.profile(&["log", "lab", "-n", "2", "--json"]).json().as_array().unwrap().len(), 2);
}

#[test]
fn looking_changes_nothing() {
    let (rig, ..) = with_history();
    let before = [".", "lab"].map(|_| crate::rig::tree::read(&rig.top()));
    rig.undo(&["--profile", "lab", "--dry-run"]).ok();
    rig.undo(&["--profile", "lab"]).refused("not confirmed");
    rig.undo(&["--profile", "lab", "--list"]).ok();
    rig.rescue(&["list"]).ok();
    rig.profile(&["verify"]).ok();
    assert_same(&before[0], &crate::rig::tree::read(&rig.top()));
}

#[test]
fn the_machine_id_and_the_random_seed_stay_what_they_are() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo old > /etc/machine-id; echo old > /var/lib/systemd/random-seed; chmod 600 /var/lib/systemd/random-seed");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh("lab", "echo new > /etc/machine-id; echo new > /var/lib/systemd/random-seed; echo x > /etc/other");
    undo(&rig, &[]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/machine-id /var/lib/systemd/random-seed"), "new\nnew");
    assert_eq!(rig.sh("lab", "stat -c %a /var/lib/systemd/random-seed"), "600");
    assert_eq!(rig.profile(&["run", "lab", "test", "-e", "/etc/other"]).status, 1);
    // Gone is a state too.
    rig.sh("lab", "rm /var/lib/systemd/random-seed");
    undo(&rig, &["--redo"]).ok();
    assert_eq!(rig.profile(&["run", "lab", "test", "-e", "/var/lib/systemd/random-seed"]).status, 1);
    assert_eq!(rig.sh("lab", "cat /etc/other"), "x");
    rig.verify();
}

/// An undo staged while a run goes on, then dropped: all is as if nobody had asked.
#[test]
fn cancel_drops_what_waits() {
    let (rig, _, trees) = with_history();
    undo(&rig, &["--cancel"]).refused("nothing waits for a boot");
    let (root, run): (u64, Started) = (rig.current("lab"), rig.start_waiting("lab"));
    undo(&rig, &[]).ok();
    let waiting = rig.current("lab");
    assert_ne!(waiting, root);
    // Another undo stages anew, one step further, and the first is cancelled.
    undo(&rig, &[]).ok();
    assert_eq!(rig.names("@profiles/lab/roots").len(), 2, "the running one and the waiting one");
    let state = |n: u64| rig.entries("lab").into_iter().find(|(e, _)| *e == n).unwrap().1["state"].clone();
    assert_eq!(state(waiting), "cancelled");
    undo(&rig, &["--cancel"]).ok();
    assert_eq!(rig.current("lab"), root);
    assert_eq!(rig.names("@profiles/lab/roots"), [root.to_string()]);
    // `--redo` of a waiting undo is the same.
    undo(&rig, &[]).ok();
    undo(&rig, &["--redo"]).ok();
    assert_eq!(rig.current("lab"), root);
    run.end();
    assert_same(&trees[3], &rig.tree("lab"));
    rig.verify();
}

/// Somebody worked in the state that waits, and then stays in the other after all.
#[test]
fn what_was_written_into_a_root_that_waits_is_kept() {
    let (rig, _, trees) = with_history();
    let run = rig.start_waiting("lab");
    undo(&rig, &[]).ok();
    rig.sh("lab", "echo work > /etc/work");
    let (waiting, worked) = (rig.current("lab"), rig.tree("lab"));
    undo(&rig, &["--cancel"]).ok();
    assert_eq!(rig.names("@profiles/lab/roots").len(), 1, "the root that waited is gone");
    let (kept, entry) =
        rig.entries("lab").into_iter().find(|(_, e)| e["kind"] == "left").expect("it is kept");
    assert_eq!(entry["outcome"], format!("what was written into root {waiting}"));
    run.end();
    assert_same(&trees[3], &rig.tree("lab"));
    undo(&rig, &[&kept.to_string()]).ok();
    assert_same(&worked, &rig.tree("lab"));
    rig.verify();
}

#[test]
fn dpkg_at_work_is_waited_for_by_a_person() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let run = rig.start_waiting("lab");
    let first =
        crate::rig::need("pgrep", std::process::Command::new("pgrep").arg("-P").arg(run.0.id().to_string()));
    // dpkg's lock, taken as dpkg does, through the run's own root.
    let path = format!("/proc/{first}/root/var/lib/dpkg/lock-frontend");
    let file = fs::File::options().write(true).create(true).truncate(false).open(path).unwrap();
    let mut lock: nix::libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = nix::libc::F_WRLCK as _;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    assert_eq!(unsafe { nix::libc::fcntl(fd, nix::libc::F_SETLK, &lock) }, 0);
    let (current, entries) = (rig.current("lab"), rig.entries("lab"));
    undo(&rig, &[]).refused("apt or dpkg is at work in this profile");
    assert_eq!((rig.current("lab"), rig.entries("lab")), (current, entries));
    drop(file);
    undo(&rig, &[]).ok();
    run.end();
    rig.verify();
}

/// The static program alone, on a profile that has lost everything it would need.
#[test]
fn rescue_works_when_the_profile_is_broken() {
    let (rig, numbers, trees) = with_history();
    rig.mounted("lab", |dir| {
        for gone in ["usr", "etc", "var", "bin"] {
            let path = dir.join(gone);
            if path.is_symlink() { fs::remove_file(path).unwrap() } else { fs::remove_dir_all(path).unwrap() }
        }
    });
    assert_ne!(rig.profile(&["run", "lab", "true"]).status, 0);
    let list = rig.rescue(&["list", "lab"]).ok().out;
    assert!(list.contains(&format!("{}  before: set", numbers[2])), "{list}");
    rig.rescue(&["stage", "lab", "last"]).refused("not confirmed");
    rig.rescue(&["--yes", "stage", "lab", "last"]).ok();
    assert_same(&trees[2], &rig.tree("lab"));
    rig.rescue(&["--yes", "stage", "lab", &numbers[0].to_string()]).ok();
    assert_same(&trees[0], &rig.tree("lab"));
    rig.rescue(&["--yes", "stage", "lab", "999"]).refused("999");
    rig.verify();
}

#[test]
fn undo_from_outside_mends_a_profile_without_dpkg_database() {
    let (rig, _, trees) = with_history();
    rig.sh("lab", "rm -r /var/lib/dpkg; rm /etc/passwd; echo garbage > /etc/os-release");
    let broken = rig.tree("lab");
    assert_differ(&trees[3], &broken);
    undo(&rig, &[]).ok();
    assert_same(&trees[2], &rig.tree("lab"));
    undo(&rig, &["--redo"]).ok();
    assert_same(&broken, &rig.tree("lab"));
    rig.verify();
}
