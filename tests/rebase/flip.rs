//! `flipper-base flip` and `rollback`: all of a device, and back in one step.

use std::fs;

use crate::alike::alike;
use crate::rig::Rig;
use crate::rig::tree::{assert_same, promised};

fn base_of(rig: &Rig, id: &str) -> String {
    fs::read_to_string(rig.root_dir(id).join("base")).unwrap().trim().to_owned()
}

fn current(rig: &Rig) -> String {
    fs::read_link(rig.in_pool("@base/current")).unwrap().to_str().unwrap().to_owned()
}

fn stand_on(rig: &Rig, bases: [&str; 3]) {
    assert_eq!(["lab", "odd", "other"].map(|id| base_of(rig, id)), bases);
}

#[test]
fn the_clean_ones_move_and_all_of_it_goes_back() {
    let rig = alike();
    for id in ["odd", "other"] {
        rig.profile(&["create", id, "--base", "1"]).ok();
    }
    rig.profile(&["run", "lab", "sh", "-c", "echo mine > /etc/mine; touch /usr/bin/cat"]).ok();
    // A package of the base removed: the person may want it another way.
    let remove = "dpkg --force-depends --force-remove-essential --remove e2fsprogs > /dev/null 2>&1";
    rig.profile(&["run", "odd", "sh", "-c", remove]).ok();
    let before = rig.mounted("lab", promised);

    let dry = rig.base(&["flip", "2", "--dry-run"]);
    assert_eq!(dry.status, 1, "{}", dry.err);
    assert!(
        dry.out.contains("lab    would move")
            && dry.out.contains("odd    stays: its check says attention: P7"),
        "{}",
        dry.out
    );
    stand_on(&rig, ["1", "1", "1"]);

    assert_eq!(rig.base(&["flip", "2", "--yes"]).status, 1);
    stand_on(&rig, ["2", "1", "2"]);
    assert_eq!(current(&rig), "2");
    let (number, entry) = rig.last_entry(".pool");
    assert_eq!((&entry["kind"], &entry["state"]), (&"flip".into(), &"completed".into()));
    assert_eq!(entry["moved"].as_object().unwrap().len(), 2);

    rig.base(&["rollback", "--yes"]).ok();
    stand_on(&rig, ["1", "1", "1"]);
    assert_eq!(current(&rig), "1");
    assert_same(&before, &rig.mounted("lab", promised));
    let (_, entry) = rig.last_entry(".pool");
    assert_eq!((&entry["kind"], &entry["target"]), (&"rollback".into(), &number.into()));
    let again = rig.base(&["rollback", "--yes"]);
    assert!(again.status == 64 && again.err.contains("there is no flip to take back"), "{}", again.err);

    // Named, it moves with the safe defaults; who is not named stays.
    rig.base(&["flip", "2", "--profiles", "odd,other", "--yes"]);
    stand_on(&rig, ["1", "2", "2"]);
    rig.profile(&["set", "other", "--args", "quiet"]).ok();
    let partly = rig.base(&["rollback", "--yes"]);
    assert_eq!(partly.status, 1);
    assert!(partly.out.contains("other  stays: 1 change since the flip"), "{}", partly.out);
    stand_on(&rig, ["1", "1", "2"]);
    assert_eq!(rig.base(&["flip", "7", "--yes"]).status, 2);
    assert_eq!(rig.base(&["flip", "2", "--profiles", "nobody", "--yes"]).status, 2);
    rig.verify();
}

/// The new root waits until the profile is left; what is written meanwhile as time goes by comes along, and
/// anything else voids what was planned.
#[test]
fn a_profile_in_use_changes_over_when_it_is_left() {
    let rig = alike();
    rig.profile(&["run", "lab", "sh", "-c", "mkdir -p /var/spool/mine; echo 1 > /var/spool/mine/1"]).ok();
    let running = rig.start(&["run", "lab", "sh", "-c", "echo ready; exec sleep 600"]);
    let ended = rig.profile(&["rebase", "lab", "--base", "2", "--yes"]);
    assert!(ended.out.contains("restart the profile to finish"), "{}{}", ended.out, ended.err);
    assert_eq!(base_of(&rig, "lab"), "2");
    let again = rig.profile(&["rebase", "lab", "--base", "1", "--yes"]);
    assert!(again.status == 2 && again.err.contains("waits for the next start"), "{}", again.err);
    // Dropped before its start, nothing is kept of it.
    rig.undo(&["--profile", "lab", "--cancel", "--yes"]).ok();
    assert_eq!(base_of(&rig, "lab"), "1");
    assert_eq!(rig.names("@profiles/lab/roots").len(), 1);
    rig.profile(&["rebase", "lab", "--base", "2", "--yes"]).ok();
    running.end();
    assert_eq!(rig.sh("lab", "cat /var/spool/mine/1"), "1");
    assert_eq!(base_of(&rig, "lab"), "2");
    assert_eq!(rig.names("@profiles/lab/roots").len(), 1);
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(base_of(&rig, "lab"), "1");
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    assert_eq!(base_of(&rig, "lab"), "2");
    rig.verify();
}

/// What is written while the new root is made: the sandbox waits in a trigger until it was.
fn written_meanwhile(what: &str) -> (Rig, crate::rig::Ended) {
    let rig = alike();
    let waits = "#!/bin/sh\n[ \"$1\" = triggered ] || exit 0\ntouch /home/asked\n\
                 while [ ! -e /home/done ]; do sleep 0.1; done\n";
    rig.mounted("lab", |dir| {
        let scratch = rig.dir.path();
        let deb = crate::deb::Deb::new("waits", "1").control("triggers", "interest-noawait waits\n");
        crate::case::Tree { dir, scratch }.install(&[deb.control("postinst", waits)]);
    });
    let line = format!(
        "mkdir -p /var/spool/mine; echo ready; while [ ! -e /home/asked ]; do sleep 0.1; done\n\
         {what}\ntouch /home/done; exec sleep 600"
    );
    let running = rig.start(&["run", "lab", "sh", "-c", &line]);
    let ended = rig.profile(&["rebase", "lab", "--base", "2", "--yes"]);
    running.end();
    assert!(rig.in_pool("@data/home/done").exists(), "it was written meanwhile: {}", ended.err);
    (rig, ended)
}

#[test]
fn what_is_written_as_time_goes_by_comes_along() {
    let (rig, ended) = written_meanwhile("echo late > /var/spool/mine/late; rm -f /var/spool/mine/none");
    ended.ok();
    assert_eq!(base_of(&rig, "lab"), "2");
    assert_eq!(rig.sh("lab", "cat /var/spool/mine/late"), "late");
    rig.verify();
}

#[test]
fn anything_else_voids_the_plan_and_leaves_nothing() {
    let (rig, ended) = written_meanwhile("echo late > /etc/late; echo late > /var/spool/mine/late");
    ended.refused("lab: /etc/late changed meanwhile");
    assert_eq!(base_of(&rig, "lab"), "1");
    let (_, entry) = rig.last_entry("lab");
    assert_eq!((&entry["kind"], &entry["state"]), (&"rebase".into(), &"failed".into()));
    assert_eq!(rig.names("@profiles/lab/roots"), [rig.current("lab").to_string()]);
    assert_eq!(rig.names("@profiles/lab/snapshots").len(), 0);
    assert_eq!(rig.sh("lab", "cat /etc/late /var/spool/mine/late"), "late\nlate");
    rig.verify();
}
