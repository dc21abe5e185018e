//! A repair of a profile that runs: its root waits.

use std::fs;

use crate::repair::*;
use crate::rig::Rig;

#[test]
fn while_the_profile_runs_it_waits() {
    let rig = ill();
    let run = rig.start_waiting("lab");
    let before = rig.current("lab");
    let said = repair(&rig, &[]).ok();
    assert!(said.out.contains("lab is in use: it counts from the next start"), "{}", said.out);
    assert!(said.err.contains("it counts from the next start of lab"), "{}", said.err);
    assert_ne!(rig.current("lab"), before);
    repair(&rig, &[]).refused("waits for the next start of lab: a repair must wait for it");
    rig.profile(&["repair", "lab", "--dry-run"]).refused("a repair must wait for it");
    undo(&rig, &["--redo"]).refused("nothing to redo");
    // Nobody wrote into it: nothing is kept of it.
    undo(&rig, &["--cancel"]).ok();
    assert_eq!(rig.current("lab"), before);
    assert_eq!(rig.names("@profiles/lab/roots"), [before.to_string()]);
    let left = |rig: &Rig| rig.entries("lab").into_iter().filter(|(_, e)| e["kind"] == "left").count();
    assert_eq!(left(&rig), 0);
    // Somebody did.
    repair(&rig, &[]).ok();
    fs::write(upper(&rig, "etc/late"), "late\n").unwrap();
    rig.sync();
    undo(&rig, &["--cancel"]).ok();
    let (kept, entry) = rig.last_entry("lab");
    assert_eq!(entry["kind"], "left");
    assert_eq!(
        fs::read_to_string(rig.in_pool(format!("@profiles/lab/snapshots/{kept}/root/etc/late"))).unwrap(),
        "late\n"
    );
    // And one that comes into force.
    repair(&rig, &[]).ok();
    let waits = rig.current("lab");
    run.end();
    rig.wait_until_unused("lab");
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "mine");
    assert_eq!(rig.names("@profiles/lab/roots"), [waits.to_string()]);
    assert_eq!(doctor(&rig), ["F2 /usr/share/doc/hello/copyright"]);
    rig.verify();
}

/// A root that was only looked at while it waited is not kept either.
#[test]
fn a_waiting_root_that_was_mounted_and_not_written_is_not_kept() {
    let rig = ill();
    let run = rig.start_waiting("lab");
    repair(&rig, &[]).ok();
    let number = rig.current("lab");
    let made_at = rig.last_entry("lab").1["made_at"].as_u64().unwrap();
    // As a mount of it does.
    fs::create_dir(rig.root_dir("lab").join("work/trace")).unwrap();
    rig.sync();
    let shown = crate::rig::need(
        "btrfs",
        crate::rig::btrfs(&["subvolume", "show"]).arg(rig.in_pool(format!("@profiles/lab/roots/{number}"))),
    );
    assert!(!shown.contains(&format!("Generation: \t\t{made_at}\n")), "else this proves nothing: {shown}");
    undo(&rig, &["--cancel"]).ok();
    assert!(rig.entries("lab").iter().all(|(_, e)| e["kind"] != "left"));
    run.end();
}
