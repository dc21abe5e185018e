//! What a prune leaves because somebody uses it, waits for it, or may want it back.

use std::fs;
use std::time::Duration;

use super::{edit, points, reasons, set_rules, with_points};
use crate::rig::{Rig, btrfs, ended, need, within};

#[test]
fn a_profile_in_use_is_passed_over_and_the_others_are_not() {
    let (rig, n) = with_points(4);
    rig.profile(&["create", "two"]).ok();
    for args in ["1", "2", "3"] {
        rig.profile(&["set", "two", "--args", args]).ok();
    }
    set_rules(&rig, "");
    let run = rig.start_waiting("lab");
    let said = rig.profile(&["prune", "--yes"]);
    assert_eq!(said.status, 1, "{}", said.err);
    assert!(said.out.contains("lab: nothing goes now: root"), "{}", said.out);
    assert_eq!(points(&rig), n);
    assert_eq!(rig.names("@profiles/two/snapshots").len(), 2, "the first, and what undo returns to");
    run.end();
    rig.wait_until_unused("lab");
    // A package run that is open, and may live.
    reopen_as_packages(&rig, n[3]);
    let lock = rig.in_pool(format!("@profiles/lab/roots/{}", rig.current("lab")));
    let mut holder = std::process::Command::new("flock").arg(&lock).args(["sleep", "100"]).spawn().unwrap();
    within(Duration::from_secs(5), "flock has it", || {
        !std::process::Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap().success()
    });
    let said = rig.profile(&["prune", "lab", "--yes"]);
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains(&format!("entry {} is open", n[3])), "{}", said.out);
    assert_eq!(points(&rig), n);
    holder.kill().unwrap();
    holder.wait().unwrap();
    need(
        "fuser",
        std::process::Command::new("fuser").arg("-k").arg(&lock).stdout(std::process::Stdio::null()),
    );
    rig.wait_until_unused("lab");
    // Somebody works on the profile.
    let mut holder = std::process::Command::new("flock")
        .arg(rig.in_pool("@profiles/lab/lock"))
        .args(["sleep", "100"])
        .spawn()
        .unwrap();
    within(Duration::from_secs(5), "flock has it", || {
        let mut try_it = std::process::Command::new("flock");
        !try_it.arg("-n").arg(rig.in_pool("@profiles/lab/lock")).arg("true").status().unwrap().success()
    });
    let said = rig.profile(&["prune", "lab", "--yes"]);
    assert_eq!((said.status, points(&rig).len()), (1, n.len()), "{}{}", said.out, said.err);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let lock = rig.in_pool("@profiles/lab/lock");
    need(
        "fuser",
        std::process::Command::new("fuser").arg("-k").arg(&lock).stdout(std::process::Stdio::null()),
    );
    within(Duration::from_secs(5), "it is free", || rig.profile(&["prune", "lab", "--yes"]).status == 0);
    assert!(points(&rig).len() < n.len());
    rig.verify();
}

fn reopen_as_packages(rig: &Rig, number: u64) {
    edit(rig, "lab", number, "kind", "packages");
    edit(rig, "lab", number, "state", "open");
    let dir = rig.in_pool("@journal/entries/lab");
    fs::rename(dir.join(format!("{number}.json")), dir.join(format!("{number}.open.json"))).unwrap();
}

/// Booted, the profile is always in use: its points go all the same, but not during a package run.
#[test]
fn a_booted_profile_is_pruned_while_it_runs() {
    let (rig, n) = with_points(4);
    set_rules(&rig, "");
    let root = rig.root_dir("lab");
    let id = need("btrfs", btrfs(&["inspect-internal", "rootid"]).arg(&root));
    let uuid = need("findmnt", std::process::Command::new("findmnt").args(["-no", "UUID"]).arg(rig.top()));
    let here = need("stat", std::process::Command::new("stat").args(["-c", "%d:%i", "/"]));
    fs::create_dir_all("/run/flipper").unwrap();
    let booted = |mode: &str| {
        let text = format!(
            "profile=lab\nroot={}\nbase=13.1\npool={uuid}\ndevice={}\nsubvolid={id}\nidentity={here}\nmode={mode}\n",
            rig.current("lab"),
            crate::rig::loop_device(&rig.image).unwrap().display()
        );
        fs::write("/run/flipper/booted", text).unwrap();
    };
    booted("run");
    let mut prune = rig.command("flipper-profile", &["prune", "--yes"].map(AsRef::as_ref));
    ended(prune.env_remove("FLIPPER_POOL")).refused("is not done from inside a run");
    assert_eq!(points(&rig), n);
    booted("boot");
    let mut prune = rig.command("flipper-profile", &["prune", "--yes"].map(AsRef::as_ref));
    ended(prune.env_remove("FLIPPER_POOL")).ok();
    assert_eq!(points(&rig), [n[0], n[3]]);
    fs::remove_file("/run/flipper/booted").unwrap();
    rig.verify();
}

#[test]
fn a_mounted_point_stays() {
    let (rig, n) = with_points(4);
    set_rules(&rig, "");
    rig.mounted(&format!("lab@{}", n[1]), |dir| {
        let plan = rig.profile(&["prune", "--dry-run", "--json"]).json();
        assert_eq!(reasons(&plan, n[1]), ["mounted"]);
        rig.profile(&["prune", "--yes"]).ok();
        assert_eq!(fs::read(dir.join("etc/hello.conf")).unwrap(), b"greeting=hello\n");
    });
    assert_eq!(points(&rig), [n[0], n[1], n[3]]);
    rig.profile(&["prune", "--yes"]).ok();
    assert_eq!(points(&rig), [n[0], n[3]]);
    rig.verify();
}

#[test]
fn a_staged_undo_keeps_its_points() {
    let (rig, n) = with_points(4);
    set_rules(&rig, "");
    let run = rig.start_waiting("lab");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    let said = rig.profile(&["prune", "--dry-run", "--json"]);
    assert_eq!(said.status, 1, "it is in use");
    let plan = serde_json::from_str(&said.out).unwrap();
    let staged = rig.current("lab");
    assert_eq!(reasons(&plan, staged), ["staged"]);
    run.end();
    rig.wait_until_unused("lab");
    rig.profile(&["prune", "--yes"]).ok();
    assert_eq!(points(&rig), [n[0], n[2], n[3], staged]);
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    rig.verify();
}

#[test]
fn a_deleted_profile_goes_when_its_days_are_over() {
    let (rig, n) = with_points(2);
    rig.profile(&["delete", "lab", "--yes"]).ok();
    let (deleted, _) = rig.last_entry("lab");
    let dir = format!(".deleted-lab-{deleted}");
    set_rules(&rig, "deleted_days=30");
    rig.profile(&["prune", "--yes"]).ok();
    assert!(rig.names("@profiles").contains(&dir));
    // A pinned point keeps all of it.
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.profile(&["pin", &format!("lab@{}", n[0])]).ok();
    rig.profile(&["delete", "lab", "--yes"]).ok();
    // It was long ago; newer entries are the clock.
    for owner in ["lab", ".pool"] {
        for (number, _) in rig.entries(owner) {
            edit(&rig, owner, number, "started", "2026-01-01T00:00:00Z");
        }
    }
    let (deleted, _) = rig.last_entry("lab");
    let dir = format!(".deleted-lab-{deleted}");
    let going = |rig: &Rig| rig.profile(&["prune", "--dry-run"]).ok().out;
    assert!(going(&rig).contains(&format!("deleted profile lab (entry {deleted}): kept: pinned, days")));
    rig.profile(&["create", "other"]).ok();
    rig.profile(&["prune", "--yes"]).ok();
    assert!(rig.names("@profiles").contains(&dir), "it is pinned");
    rig.profile(&["unpin", &format!("lab@{}", n[0])]).ok();
    assert!(
        going(&rig).contains(&format!("deleted profile lab (entry {deleted}): goes: ")),
        "{}",
        going(&rig)
    );
    assert!(rig.names("@profiles").contains(&dir));
    rig.profile(&["prune", "--yes"]).ok();
    assert_eq!(rig.names("@profiles"), [".template", "other"]);
    let (_, entry) = rig.last_entry(".pool");
    assert_eq!(entry["profiles"], serde_json::json!([dir]));
    rig.undo(&["--profile", "lab", "--yes"]).refused("there is no profile lab");
    rig.profile(&["create", "lab"]).ok();
    rig.verify();
}
