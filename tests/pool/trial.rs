//! Starts that nobody confirms: tried three times, then the good state is back. A machine is started as the
//! initramfs does it, and confirms as flipper-confirm.service does, without being one.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::assemble::{assemble, take_apart};
use crate::rig::tree::assert_same;
use crate::rig::{Ended, Rig, need};

const ON_TRIAL: &str = "/run/flipper/on-trial";

/// Its flipper-confirm.service is there and enabled.
const CONFIRMS: &str = "
    mkdir -p /etc/systemd/system/multi-user.target.wants /usr/lib/systemd/system /usr/libexec/flipper-profiles
    touch /usr/lib/systemd/system/flipper-confirm.service /usr/libexec/flipper-profiles/flipper-hook
    ln -s /usr/lib/systemd/system/flipper-confirm.service /etc/systemd/system/multi-user.target.wants/";

pub fn lab() -> Rig {
    let rig = Rig::with_lab();
    rig.sh("lab", CONFIRMS);
    rig
}

/// A start that the power ends.
fn start(rig: &Rig) -> Ended {
    let (ended, at) = assemble(rig, &["lab"]);
    if ended.status == 0 {
        take_apart(&at);
        rig.wait_until_unused("lab");
    }
    let _ = fs::remove_file(ON_TRIAL);
    ended
}

/// A start that comes up.
pub fn comes_up(rig: &Rig) -> Ended {
    let (ended, at) = assemble(rig, &["lab"]);
    // The booted file speaks of our `/`, as if we were in it.
    let here = need("stat", Command::new("stat").args(["-c", "%d:%i", "/"]));
    let there = need("stat", Command::new("stat").args(["-c", "%d:%i"]).arg(&at));
    let booted = fs::read_to_string("/run/flipper/booted").unwrap();
    fs::write("/run/flipper/booted", booted.replace(&there, &here)).unwrap();
    rig.run("flipper-hook", &["confirm"]).ok();
    assert!(!Path::new(ON_TRIAL).exists());
    take_apart(&at);
    rig.wait_until_unused("lab");
    ended
}

fn change(rig: &Rig, text: &str) {
    rig.profile(&["set", "lab", "--args", text]).ok();
    rig.sh("lab", &format!("echo {text} > /etc/step"));
}

pub fn trial(rig: &Rig) -> serde_json::Value {
    serde_json::from_slice(&fs::read(rig.in_pool("@profiles/lab/trial")).unwrap()).unwrap()
}

fn status(rig: &Rig) -> serde_json::Value {
    rig.profile(&["status", "--json"]).json()["profiles"][0].clone()
}

/// A new boot: nothing in /run.
fn switch_off() {
    let _ = fs::remove_file("/run/flipper/given-up");
}

#[test]
fn three_starts_and_it_is_back() {
    let rig = lab();
    comes_up(&rig).ok();
    let good = rig.tree("lab");
    assert_eq!(trial(&rig)["good"]["root"], rig.current("lab"));
    change(&rig, "bad");
    let bad = rig.tree("lab");
    let (broken, _) = rig.last_entry("lab");
    assert!(!start(&rig).ok().err.contains("try"), "the first try is nothing to tell");
    assert_eq!(status(&rig)["trying"]["starts"], 1);
    assert!(rig.profile(&["status"]).out.contains("on trial: 1 of 3 starts"));
    assert!(start(&rig).ok().err.contains("did not come up at its last start: this is try 2 of 3"));
    assert!(start(&rig).ok().err.contains("this is try 3 of 3"));
    assert_same(&bad, &rig.tree("lab"));
    let said = comes_up(&rig).ok().err;
    let way = format!("was started 3 times and never came up: back to the state before entry {broken}");
    assert!(said.contains(&way), "{said}");
    assert_same(&good, &rig.tree("lab"));
    assert_eq!(
        (&trial(&rig)["good"]["root"], &trial(&rig)["trying"]),
        (&rig.current("lab").into(), &().into())
    );
    // It is good now, and the other can be had again.
    assert!(!start(&rig).ok().err.contains("try"));
    let (_, again) = said.split_once("flipper-undo ").unwrap();
    let number = again.split_once(" brings it again").unwrap().0;
    rig.undo(&["--profile", "lab", number, "--yes"]).ok();
    assert_same(&bad, &rig.tree("lab"));
    rig.verify();
}

/// What came up is not on trial: its starts write nothing, and count nothing.
#[test]
fn what_came_up_is_not_on_trial() {
    let rig = lab();
    comes_up(&rig).ok();
    let before = fs::metadata(rig.in_pool("@profiles/lab/trial")).unwrap().modified().unwrap();
    for _ in 0..5 {
        let (ended, at) = assemble(&rig, &["lab"]);
        assert_eq!(ended.ok().err, "");
        assert!(!Path::new(ON_TRIAL).exists());
        take_apart(&at);
        rig.wait_until_unused("lab");
    }
    assert_eq!(fs::metadata(rig.in_pool("@profiles/lab/trial")).unwrap().modified().unwrap(), before);
}

/// The good state does not come up either (the disk, say): no third one is guessed; the caller goes on with
/// another profile. With the next boot the tries begin anew.
#[test]
fn what_is_back_and_does_not_come_up_is_given_up() {
    let rig = lab();
    comes_up(&rig).ok();
    change(&rig, "bad");
    (0..6).for_each(|_| drop(start(&rig).ok()));
    let entries = rig.entries("lab").len();
    start(&rig).refused("never came up, and there is no better state of it");
    // The default profile may be the same one.
    start(&rig).refused("never came up, and there is no better state of it");
    assert_eq!(rig.entries("lab").len(), entries);
    switch_off();
    start(&rig).ok();
    rig.verify();
}

/// It never came up, so there is nothing better: it is tried again and again.
#[test]
fn without_a_good_state_it_is_tried_again_and_again() {
    let rig = lab();
    (0..3).for_each(|_| drop(start(&rig).ok()));
    assert!(start(&rig).ok().err.contains("this is try 4 and there is nothing better"));
    comes_up(&rig).ok();
}

/// The good state is not in the line of the one that fails: what was changed was taken back, and that fails.
#[test]
fn an_undo_that_does_not_come_up_is_taken_back_too() {
    let rig = lab();
    change(&rig, "one");
    comes_up(&rig).ok();
    let good = rig.tree("lab");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    change(&rig, "two");
    (0..3).for_each(|_| drop(start(&rig).ok()));
    comes_up(&rig).ok();
    assert_same(&good, &rig.tree("lab"));
    // Beside its line: taken back by hand before it was ever started.
    change(&rig, "three");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    (0..3).for_each(|_| drop(start(&rig).ok()));
    comes_up(&rig).ok();
    assert_same(&good, &rig.tree("lab"));
    rig.verify();
}

/// Its point went: it is tried again and again rather than not at all.
#[test]
fn the_way_back_is_kept_and_without_it_there_are_more_tries() {
    let rig = lab();
    comes_up(&rig).ok();
    change(&rig, "bad");
    let (number, _) = rig.last_entry("lab");
    let kept = rig.profile(&["prune", "lab", "--dry-run", "--json"]).ok().out;
    assert!(kept.contains("last good"), "{kept}");
    rig.profile(&["pin", &format!("lab@{number}")]).ok();
    need(
        "btrfs",
        Command::new("btrfs")
            .args(["subvolume", "delete"])
            .arg(rig.in_pool(format!("@profiles/lab/snapshots/{number}"))),
    );
    (0..3).for_each(|_| drop(start(&rig).ok()));
    assert!(start(&rig).ok().err.contains("this is try 4"));
}

#[test]
fn who_cannot_confirm_and_what_was_typed_are_not_on_trial() {
    for cannot in [
        "true",
        "rm /etc/systemd/system/multi-user.target.wants/flipper-confirm.service",
        "rm /usr/lib/systemd/system/flipper-confirm.service",
        "rm /usr/libexec/flipper-profiles/flipper-hook",
        "ln -s /dev/null /etc/systemd/system/flipper-confirm.service",
        "ln -s /usr/lib/systemd/system/rescue.target /etc/systemd/system/default.target",
    ] {
        let rig = if cannot == "true" { Rig::with_lab() } else { lab() };
        rig.sh("lab", cannot);
        (0..4).for_each(|_| assert_eq!(start(&rig).ok().err, "", "{cannot}"));
        assert!(!rig.in_pool("@profiles/lab/trial").exists(), "{cannot}");
    }
    let rig = lab();
    let root = rig.current("lab").to_string();
    for words in [&["lab", "--root", &root][..], &["lab", "--no-trial"]].repeat(4) {
        let (ended, at) = assemble(&rig, words);
        ended.ok();
        take_apart(&at);
        rig.wait_until_unused("lab");
    }
    assert!(!rig.in_pool("@profiles/lab/trial").exists());
}

/// A package run between the start and its confirmation is not part of what came up.
#[test]
fn what_happened_since_the_start_is_on_trial_again() {
    let rig = lab();
    comes_up(&rig).ok();
    let good = trial(&rig)["good"].clone();
    change(&rig, "later");
    assert_eq!(trial(&rig)["good"], good);
    assert_eq!(start(&rig).ok().status, 0);
    assert_eq!(trial(&rig)["trying"]["starts"], 1);
    // Another change is another state: its tries begin anew.
    change(&rig, "better");
    start(&rig).ok();
    assert_eq!(trial(&rig)["trying"]["starts"], 1);
}

#[test]
fn a_file_that_is_damaged_keeps_nothing_from_starting() {
    let rig = lab();
    comes_up(&rig).ok();
    let path = rig.in_pool("@profiles/lab/trial");
    for text in ["{", "\0\0\0", "[]", "{\"good\": 3}"] {
        fs::write(&path, text).unwrap();
        rig.profile(&["status"]);
        assert!(start(&rig).ok().err.contains("trial"), "{text}");
        comes_up(&rig).ok();
    }
}

/// Asked for where no machine runs on the profile: nothing is staged.
#[test]
fn there_is_no_machine_to_restart() {
    let rig = lab();
    change(&rig, "later");
    let entries = rig.entries("lab").len();
    for word in ["--reboot", "--soft-reboot"] {
        let ended = rig.undo(&["--profile", "lab", word, "--yes"]);
        assert_eq!(ended.status, 64, "{}", ended.err);
        assert!(ended.err.contains("this machine did not start from lab"), "{}", ended.err);
    }
    assert_eq!(rig.entries("lab").len(), entries);
}
