//! What a rebase refuses, what it leaves behind when it fails, and what a cut leaves.

use std::fs;

use crate::rig::tree::{assert_same, read};
use crate::rig::{Ended, Rig, root};

/// Base 13.1 and one like it, 13.2; the tiny root has no apt.
fn rig() -> Rig {
    let rig = Rig::with_lab();
    let dir = rig.path("next");
    root::make(&dir);
    rig.base(&["import", dir.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    rig
}

fn rebase(rig: &Rig, args: &[&str]) -> Ended {
    rig.profile(&[&["rebase", "lab", "--yes"], args].concat())
}

fn says(ended: &Ended, status: i32, words: &str) {
    assert_eq!(ended.status, status, "{}", ended.err);
    assert!(ended.err.contains(words), "{}", ended.err);
}

#[test]
fn what_cannot_be_is_one_sentence() {
    let rig = rig();
    let before = read(&rig.top()).without(&["@journal"]);
    says(&rebase(&rig, &["--base", "14"]), 2, "there is no base 14");
    says(&rebase(&rig, &["--base", "../13.2"]), 64, "is not a base version");
    says(&rebase(&rig, &["--base", "13.1"]), 64, "it stands on base 13.1 already");
    says(&rig.profile(&["rebase", "nobody", "--base", "13.2", "--yes"]), 2, "there is no profile nobody");
    assert_same(&before, &read(&rig.top()).without(&["@journal"]));
}

/// The sandbox cannot come to its end there: nothing has changed, the entry says why, and what apt said is kept.
#[test]
fn what_is_not_proved_does_not_count() {
    let rig = rig();
    let (root, before) = (rig.current("lab"), rig.mounted("lab", read));
    says(&rebase(&rig, &["--base", "13.2"]), 2, "does not hold, and stays where it is");
    assert_eq!(rig.current("lab"), root);
    assert_same(&before, &rig.mounted("lab", read));
    let (number, entry) = rig.last_entry("lab");
    assert_eq!((&entry["kind"], &entry["state"]), (&"rebase".into(), &"failed".into()));
    assert!(rig.in_pool(format!("@journal/entries/lab/{number}/apt.log")).is_file());
    assert_eq!(rig.names("@profiles/lab/roots"), [root.to_string(), format!("{number}.refused")]);
    assert_eq!(rig.names("@profiles/lab/snapshots"), Vec::<String>::new());
    rig.verify();
}

fn roots(rig: &Rig) -> Vec<String> {
    rig.names("@profiles/lab/roots")
}

/// It can be looked at, nobody takes it for a root of the profile, and it goes with the next rebase, with a prune
/// and with a cancel.
#[test]
fn what_was_refused_is_kept_for_looking() {
    let rig = rig();
    let at = rig.path("refused");
    fs::create_dir(&at).unwrap();
    let look = |rig: &Rig| rig.profile(&["mount", "lab", "--refused", at.to_str().unwrap()]);
    look(&rig).refused("no root of lab was refused and kept");
    rig.sh("lab", "echo mine > /etc/mine");
    let ended = rebase(&rig, &["--base", "13.2"]);
    assert!(ended.err.contains("flipper-profile mount lab --refused DIR"), "{}", ended.err);
    let (current, (number, _)) = (rig.current("lab"), rig.last_entry("lab"));
    let refused = format!("{number}.refused");
    assert_eq!(roots(&rig), [current.to_string(), refused.clone()]);
    let dir = rig.in_pool(format!("@profiles/lab/roots/{refused}"));
    assert_eq!(fs::read_to_string(dir.join("base")).unwrap(), "13.2\n");

    look(&rig).ok();
    assert_eq!(fs::read_to_string(at.join("etc/mine")).unwrap(), "mine\n");
    assert!(fs::write(at.join("etc/mine"), "x").is_err(), "it is read-only");
    // Whoever looks at it holds it; the profile is free.
    rebase(&rig, &["--base", "13.2"]).refused("is in use");
    rig.undo(&["--profile", "lab", "--cancel", "--yes"]).refused("is in use");
    assert_eq!(rig.last_entry("lab").0, number, "nothing was begun");
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "mine");
    nix::mount::umount2(&at, nix::mount::MntFlags::empty()).unwrap();
    rig.wait_until_free(&dir);

    // Nothing that tidies up takes it away, and nothing calls it damage.
    rig.profile(&["set", "lab", "--note", "x"]).ok();
    rig.verify();
    assert_eq!(roots(&rig), [current.to_string(), refused.clone()]);
    let space = rig.profile(&["space", "lab"]).ok().out;
    assert!(space.contains(&format!("root {number} (refused)")), "{space}");
    rig.base(&["prune", "13.2", "--yes"]).refused("is used by lab");
    rig.profile(&["mount", "lab@1", "--refused", at.to_str().unwrap()]).says(64, "--refused");

    rebase(&rig, &["--base", "13.2"]);
    let next = format!("{}.refused", rig.last_entry("lab").0);
    assert_eq!(roots(&rig), [current.to_string(), next]);
    let dry = rig.profile(&["prune", "--dry-run"]).ok().out;
    assert!(dry.contains("refused goes"), "{dry}");
    rig.profile(&["prune", "--yes"]).ok();
    assert_eq!(roots(&rig), [current.to_string()]);
    rig.verify();
    rebase(&rig, &["--base", "13.2"]);
    rig.undo(&["--profile", "lab", "--cancel", "--dry-run"]).ok();
    assert_eq!(roots(&rig).len(), 2);
    rig.undo(&["--profile", "lab", "--cancel", "--yes"]).ok();
    assert_eq!(roots(&rig), [current.to_string()]);
    rig.undo(&["--profile", "lab", "--cancel", "--yes"]).refused("nothing waits");
    // It goes with its profile.
    rebase(&rig, &["--base", "13.2"]);
    rig.profile(&["delete", "lab", "--yes"]).ok();
    rig.profile(&["prune", "--yes"]).ok();
    rig.verify();
}

#[test]
fn a_dry_run_changes_nothing() {
    let rig = rig();
    let before = read(&rig.top());
    let ended = rebase(&rig, &["--base", "13.2", "--dry-run"]);
    assert_eq!(ended.status, 0, "{}", ended.err);
    assert!(ended.out.contains("lab on base 13.1, against 13.2"), "{}", ended.out);
    assert_same(&before, &read(&rig.top()));
}

/// A cut before the pointer leaves the old state, one behind it the new one.
#[test]
fn a_cut_leaves_before_or_after() {
    for after in [false, true] {
        let rig = rig();
        rebase(&rig, &["--base", "13.2"]);
        rig.undo(&["--profile", "lab", "--cancel", "--yes"]).ok();
        let (number, mut entry) = rig.last_entry("lab");
        let old = rig.current("lab");
        let dir = rig.in_pool("@profiles/lab");
        let snapshot = |options: &[&str], to: &str| {
            let made = std::process::Command::new("btrfs")
                .args(["subvolume", "snapshot"])
                .args(options)
                .args([dir.join("roots").join(old.to_string()), dir.join(to)])
                .output()
                .unwrap();
            assert!(made.status.success());
        };
        snapshot(&[], &format!("roots/{number}"));
        snapshot(&["-r"], &format!("snapshots/{number}"));
        fs::write(dir.join(format!("roots/{number}/base")), "13.2\n").unwrap();
        let entries = rig.in_pool("@journal/entries/lab");
        (entry["state"], entry["point"]) = ("open".into(), true.into());
        fs::remove_file(entries.join(format!("{number}.json"))).unwrap();
        fs::write(entries.join(format!("{number}.open.json")), entry.to_string()).unwrap();
        if after {
            fs::remove_file(dir.join("current")).unwrap();
            std::os::unix::fs::symlink(format!("roots/{number}"), dir.join("current")).unwrap();
        }
        rig.profile(&["set", "lab", "--note", "x"]).ok();
        let closed = &rig.entries("lab").into_iter().find(|(n, _)| *n == number).unwrap().1;
        let (state, current) = if after { ("completed", number) } else { ("cancelled", old) };
        assert_eq!(closed["state"], state);
        assert_eq!(rig.current("lab"), current);
        assert_eq!(rig.names("@profiles/lab/roots"), [current.to_string()]);
        if after {
            let ended = rig.undo(&["--profile", "lab", "--yes"]);
            ended.ok();
            let base = fs::read_to_string(rig.root_dir("lab").join("base")).unwrap();
            assert_eq!(base.trim(), "13.1");
        }
        rig.verify();
    }
}
