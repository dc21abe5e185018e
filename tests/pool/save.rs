//! `flipper-profile save`: a state a person named, and how it is returned to.

use std::fs;

use crate::rig::Rig;
use crate::rig::tree::assert_same;

fn save(rig: &Rig, note: &str) -> u64 {
    rig.profile(&["save", "lab", "--note", note, "--json"]).json()["entry"].as_u64().unwrap()
}

#[test]
fn a_saved_state_is_returned_to_from_anywhere_and_again() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo good > /etc/step");
    let good = rig.tree("lab");
    let saved = save(&rig, "before the great change");
    rig.sh("lab", "echo bad > /etc/step");
    rig.profile(&["set", "lab", "--args", "bad"]).ok();
    let number = saved.to_string();
    for _ in 0..3 {
        rig.undo(&["--profile", "lab", "--yes", &number]).ok();
        assert_same(&good, &rig.tree("lab"));
        assert_eq!(fs::read_to_string(rig.root_dir("lab").join("args")).unwrap(), "\n");
        rig.sh("lab", "echo worse > /etc/step");
    }
    rig.profile(&["clone", &format!("lab@{saved}"), "twin"]).ok();
    assert_eq!(rig.sh("twin", "cat /etc/step"), "good");
    let log = rig.profile(&["log", "lab"]).ok().out;
    assert!(log.contains("saved by hand") && log.contains("\"before the great change\""), "{log}");
    let list = rig.undo(&["--profile", "lab", "--list"]).ok().out;
    assert!(list.contains("save: before the great change") && list.contains("(by number)"), "{list}");
    let show = rig.undo(&["--profile", "lab", "--show", &number]).ok().out;
    assert!(show.contains("before the great change") && show.contains("kept"), "{show}");
    rig.verify();
}

#[test]
fn a_plain_undo_and_a_redo_pass_over_what_was_saved() {
    let rig = Rig::with_lab();
    for args in ["1", "2"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
        save(&rig, args);
    }
    let args = |rig: &Rig| fs::read_to_string(rig.root_dir("lab").join("args")).unwrap();
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(args(&rig), "1\n");
    save(&rig, "in between");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(args(&rig), "\n");
    rig.undo(&["--profile", "lab", "--yes"]).refused("nothing to undo");
    for wanted in ["1\n", "2\n"] {
        rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
        assert_eq!(args(&rig), wanted);
    }
    rig.verify();
}

/// What is saved while a profile runs is what runs, also while an undo waits.
#[test]
fn the_running_root_is_saved() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "x"]).ok();
    let run = rig.start(&["run", "lab", "sh", "-c", "echo here > /etc/running; echo ready; exec sleep 100"]);
    let first = save(&rig, "while it runs");
    let old = rig.current("lab");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    let said = rig.profile(&["save", "lab"]).ok().out;
    assert!(said.contains("lab, as it runs now, as entry"), "{said}");
    let (second, entry) = rig.last_entry("lab");
    assert_eq!((&entry["kind"], &entry["root"]), (&"save".into(), &old.into()));
    run.end();
    for number in [first, second] {
        let at = rig.in_pool(format!("@profiles/lab/snapshots/{number}/root/etc/running"));
        assert_eq!(fs::read_to_string(at).unwrap(), "here\n");
    }
    rig.verify();
}

/// From inside a run too; but never halfway through a package run.
#[test]
fn it_is_refused_while_dpkg_is_at_work() {
    let rig = Rig::with_lab();
    // What dpkg holds: an fcntl lock on its database, taken through the merged root.
    const HOLD: &str = "import fcntl,time;f=open('/proc/self/cwd/var/lib/dpkg/lock','w');fcntl.lockf(f,fcntl.LOCK_EX);\
        print('ready',flush=True);time.sleep(100)";
    let at = rig.path("merged");
    fs::create_dir(&at).unwrap();
    rig.profile(&["mount", "lab", at.to_str().unwrap()]).ok();
    let mut python = std::process::Command::new("python3");
    let mut holder =
        python.args(["-c", HOLD]).current_dir(&at).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = [0; 6];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
    let numbers = rig.entries("lab").len();
    rig.profile(&["save", "lab"])
        .refused(&format!("apt or dpkg is at work in this profile (process {})", holder.id()));
    assert_eq!(rig.entries("lab").len(), numbers, "nothing was begun");
    holder.kill().unwrap();
    holder.wait().unwrap();
    rig.profile(&["save", "lab"]).ok();
    crate::rig::need("umount", std::process::Command::new("umount").arg(&at));
    rig.wait_until_unused("lab");
    rig.verify();
}

#[test]
fn a_save_that_was_cut_is_done_or_never_was() {
    let rig = Rig::with_lab();
    let (kept, lost) = (save(&rig, "kept"), save(&rig, "lost"));
    for number in [kept, lost] {
        let dir = rig.in_pool("@journal/entries/lab");
        let text = fs::read_to_string(dir.join(format!("{number}.json"))).unwrap();
        fs::write(dir.join(format!("{number}.open.json")), text.replace("completed", "open")).unwrap();
        fs::remove_file(dir.join(format!("{number}.json"))).unwrap();
    }
    let point = rig.in_pool(format!("@profiles/lab/snapshots/{lost}"));
    crate::rig::need("btrfs", crate::rig::btrfs(&["subvolume", "delete"]).arg(point));
    rig.profile(&["set", "lab", "--note", "anything"]).ok();
    let state =
        |number| rig.entries("lab").into_iter().find(|(n, _)| *n == number).unwrap().1["state"].clone();
    assert_eq!((state(kept), state(lost)), ("completed".into(), "cancelled".into()));
    rig.verify();
}

#[test]
fn what_is_no_note_is_refused() {
    let rig = Rig::with_lab();
    rig.profile(&["save", "lab", "--note", "two\nlines"]).says(64, "the note must be one line");
    rig.profile(&["save", "nobody"]).refused("there is no profile nobody");
    rig.profile(&["save"]).refused("no profile is booted here and none was named");
    rig.profile(&["default", "lab"]).ok();
    rig.profile(&["save", "--note", "  "]).ok();
    assert!(rig.last_entry("lab").1.get("comment").is_none());
    rig.verify();
}
