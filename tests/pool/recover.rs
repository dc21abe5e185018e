//! What a power cut or a kill leaves: the state before or the state after, never something between.
//! The cut is made by hand: an entry is put back to open, and the pool to how it was at that moment.

use std::fs;
use std::path::PathBuf;

use crate::rig::tree::assert_same;
use crate::rig::{Rig, btrfs, need};

/// Writes a closed entry back as the open one it was.
pub fn reopen(rig: &Rig, owner: &str, number: u64) {
    let dir = rig.in_pool(format!("@journal/entries/{owner}"));
    let closed = dir.join(format!("{number}.json"));
    let mut entry: serde_json::Value = serde_json::from_slice(&fs::read(&closed).unwrap()).unwrap();
    entry["state"] = "open".into();
    for key in ["ended", "outcome"] {
        entry.as_object_mut().unwrap().remove(key);
    }
    fs::write(dir.join(format!("{number}.open.json")), entry.to_string()).unwrap();
    fs::remove_file(closed).unwrap();
}

pub fn point_to(rig: &Rig, id: &str, number: u64) {
    let link = rig.in_pool(format!("@profiles/{id}/current"));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(format!("roots/{number}"), link).unwrap();
}

fn state_of(rig: &Rig, owner: &str, number: u64) -> (String, String) {
    let (_, entry) = rig.entries(owner).into_iter().find(|(n, _)| *n == number).expect("the entry is kept");
    (entry["state"].as_str().unwrap().to_owned(), entry["outcome"].as_str().unwrap_or_default().to_owned())
}

/// Anything that changes something recovers first.
fn recover(rig: &Rig) {
    rig.profile(&["set", "lab", "--note", "anything"]).ok();
}

struct Undone {
    rig: Rig,
    undo: u64,
    old: u64,
}

/// `lab` with an undo whose old root was kept beside, as it is until the very end of an undo.
fn undone() -> Undone {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo before > /etc/mine");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh("lab", "echo after > /etc/mine");
    let old = rig.current("lab");
    let aside = rig.in_pool("@data/kept");
    need("btrfs", btrfs(&["subvolume", "snapshot"]).arg(rig.root_dir("lab")).arg(&aside));
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    let undo = rig.current("lab");
    fs::rename(aside, rig.in_pool(format!("@profiles/lab/roots/{old}"))).unwrap();
    reopen(&rig, "lab", undo);
    Undone { rig, undo, old }
}

#[test]
fn an_undo_cut_before_the_pointer_never_was() {
    let Undone { rig, undo, old } = undone();
    point_to(&rig, "lab", old);
    // A reader says what it is, and mends nothing.
    let log = rig.profile(&["log", "lab", "--json"]).json();
    let told = log.as_array().unwrap().iter().find(|e| e["number"] == undo).unwrap().clone();
    assert_eq!(told["state"], "cancelled");
    assert_eq!(rig.names("@profiles/lab/roots").len(), 2);
    recover(&rig);
    let (state, outcome) = state_of(&rig, "lab", undo);
    assert_eq!((state.as_str(), outcome.as_str()), ("cancelled", "cut off before it took effect"));
    assert_eq!(rig.names("@profiles/lab/roots"), [old.to_string()]);
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "after");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "before");
    rig.verify();
}

#[test]
fn an_undo_cut_before_its_root_was_made_never_was() {
    let Undone { rig, undo, old } = undone();
    point_to(&rig, "lab", old);
    for made in [format!("roots/{undo}"), format!("snapshots/{undo}")] {
        need("btrfs", btrfs(&["subvolume", "delete"]).arg(rig.in_pool(format!("@profiles/lab/{made}"))));
    }
    recover(&rig);
    assert_eq!(state_of(&rig, "lab", undo).0, "cancelled");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "before");
    rig.verify();
}

#[test]
fn an_undo_cut_after_the_pointer_is_done() {
    let Undone { rig, undo, old } = undone();
    recover(&rig);
    let (state, outcome) = state_of(&rig, "lab", undo);
    assert_eq!((state.as_str(), outcome.as_str()), ("completed", "finished after a cut"));
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "before");
    assert!(!rig.in_pool(format!("@profiles/lab/roots/{old}")).exists(), "the left root goes");
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "after");
    rig.verify();
}

/// The root an undo made, already in use by the next run, is not judged away.
#[test]
fn what_is_alive_is_left_open() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (number, _) = rig.last_entry("lab");
    let run = rig.start_waiting("lab");
    // A package run's entry whose root is in use might be alive.
    let dir = rig.in_pool("@journal/entries/lab");
    reopen(&rig, "lab", number);
    let open = dir.join(format!("{number}.open.json"));
    let text = fs::read_to_string(&open).unwrap().replace("\"set\"", "\"packages\"");
    fs::write(&open, text).unwrap();
    recover(&rig);
    assert!(open.exists());
    fs::write(rig.root_dir("lab").join("root/etc/half"), "done").unwrap();
    run.end();
    recover(&rig);
    let (state, outcome) = state_of(&rig, "lab", number);
    assert_eq!(
        (state.as_str(), outcome.as_str()),
        ("interrupted", "cut off: undo returns to the state before it")
    );
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.verify();
}

#[test]
fn a_set_that_was_cut_can_be_taken_back() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (number, _) = rig.last_entry("lab");
    reopen(&rig, "lab", number);
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(state_of(&rig, "lab", number).0, "interrupted");
    assert_eq!(fs::read_to_string(rig.root_dir("lab").join("args")).unwrap(), "\n");
    rig.verify();
}

/// dpkg writes its status beside the old one, and unpacks a control archive before it notes anything. Undo
/// means the run that was cut there, and not the good one before it.
#[test]
fn a_package_run_cut_in_its_first_moments_is_undone() {
    for aside in ["status-new", "tmp.ci"] {
        let rig = Rig::with_lab();
        rig.sh("lab", "echo >> /var/lib/dpkg/status");
        rig.profile(&["set", "lab", "--args", "quiet"]).ok();
        let before = rig.tree("lab");
        let (number, _) = rig.last_entry("lab");
        reopen(&rig, "lab", number);
        let open = rig.in_pool(format!("@journal/entries/lab/{number}.open.json"));
        let text = fs::read_to_string(&open).unwrap().replace("\"set\"", "\"packages\"");
        fs::write(&open, text).unwrap();
        let told = || rig.profile(&["log", "lab", "--json"]).json()[0]["state"].clone();
        assert_eq!(told(), "cancelled");
        fs::write(rig.root_dir("lab").join("root/var/lib/dpkg").join(aside), "half").unwrap();
        assert_eq!(told(), "interrupted", "{aside}");
        rig.undo(&["--profile", "lab", "--yes"]).ok();
        assert_same(&before, &rig.tree("lab"));
    }
}

#[test]
fn a_create_or_clone_that_was_cut_leaves_nothing() {
    let rig = Rig::with_lab();
    rig.profile(&["create", "two"]).ok();
    rig.profile(&["clone", "lab", "three"]).ok();
    for id in ["two", "three"] {
        fs::rename(rig.in_pool(format!("@profiles/{id}")), rig.in_pool(format!("@profiles/.new-{id}")))
            .unwrap();
        reopen(&rig, id, rig.entries(id)[0].0);
    }
    assert_eq!(rig.profile(&["list", "--json"]).json().as_array().unwrap().len(), 1);
    recover(&rig);
    assert_eq!(rig.names("@profiles"), [".template", "lab"]);
    for id in ["two", "three"] {
        assert_eq!(state_of(&rig, id, rig.entries(id)[0].0).0, "cancelled", "{id}");
        rig.profile(&["create", id]).ok();
    }
    rig.verify();
}

/// Cut at its very first step, between the directory and its lock.
#[test]
fn an_empty_leftover_goes_too() {
    let rig = Rig::with_lab();
    fs::create_dir(rig.in_pool("@profiles/.new-two")).unwrap();
    recover(&rig);
    assert_eq!(rig.names("@profiles"), [".template", "lab"]);
}

#[test]
fn a_create_that_was_cut_after_its_rename_is_done() {
    let rig = Rig::with_lab();
    let (number, _) = rig.last_entry("lab");
    reopen(&rig, "lab", number);
    recover(&rig);
    assert_eq!(state_of(&rig, "lab", number).0, "completed");
    rig.verify();
}

#[test]
fn a_delete_that_was_cut_is_done_or_never_was() {
    let rig = Rig::with_lab();
    rig.profile(&["create", "two"]).ok();
    rig.profile(&["delete", "two", "--yes"]).ok();
    let (number, _) = rig.last_entry("two");
    reopen(&rig, "two", number);
    recover(&rig);
    assert_eq!(state_of(&rig, "two", number).0, "completed");
    reopen(&rig, "two", number);
    let aside = rig.in_pool(format!("@profiles/.deleted-two-{number}"));
    fs::rename(aside, rig.in_pool("@profiles/two")).unwrap();
    recover(&rig);
    assert_eq!(state_of(&rig, "two", number).0, "cancelled");
    rig.sh("two", "true");
    rig.verify();
}

#[test]
fn an_import_that_was_cut_leaves_nothing() {
    let rig = Rig::with_lab();
    let (tiny, pool) = (rig.path("tiny"), rig.in_pool("@base"));
    crate::rig::root::make(&tiny);
    let import = |v: &str| rig.base(&["import", tiny.to_str().unwrap(), "--version", v, "--clean"]);
    import("13.2").ok();
    let (number, _) = rig.last_entry(".pool");
    reopen(&rig, ".pool", number);
    fs::rename(pool.join("13.2"), pool.join(".incoming")).unwrap();
    recover(&rig);
    assert_eq!(state_of(&rig, ".pool", number).0, "cancelled");
    import("13.3").ok();
    assert_eq!(
        rig.names("@base"),
        ["13.1", "13.1.manifest", "13.3", "13.3.manifest", "current", "lock"],
        "what the cut one left is gone"
    );
    rig.verify();
}

/// The first import of a pool, cut between its rename and `current`.
#[test]
fn the_only_base_is_current_even_after_a_cut() {
    let rig = Rig::new();
    fs::remove_file(rig.in_pool("@base/current")).unwrap();
    let (number, _) = rig.last_entry(".pool");
    reopen(&rig, ".pool", number);
    rig.profile(&["create", "lab"]).ok();
    assert_eq!(rig.sh("lab", "cat /opt/data/one"), "one");
}

#[test]
fn a_prune_that_was_cut_is_finished() {
    let rig = Rig::with_lab();
    let tiny = rig.path("tiny");
    crate::rig::root::make(&tiny);
    rig.base(&["import", tiny.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    let base = rig.in_pool("@base/13.2");
    need("btrfs", btrfs(&["subvolume", "snapshot", "-r"]).arg(&base).arg(rig.in_pool("@base/.pruned-13.2")));
    fs::copy(rig.in_pool("@base/13.2.manifest"), rig.in_pool("manifest")).unwrap();
    rig.base(&["prune", "13.2", "--yes"]).ok();
    fs::rename(rig.in_pool("manifest"), rig.in_pool("@base/13.2.manifest")).unwrap();
    let (number, _) = rig.last_entry(".pool");
    reopen(&rig, ".pool", number);
    recover(&rig);
    assert_eq!(state_of(&rig, ".pool", number).0, "completed");
    assert_eq!(rig.names("@base"), ["13.1", "13.1.manifest", "current", "lock"]);
    rig.verify();
}

#[test]
fn killing_any_command_at_any_moment_leaves_a_pool_in_order() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo mine > /etc/mine");
    let before = rig.tree("lab");
    let commands: [&[&str]; 4] = [
        &["flipper-profile", "set", "lab", "--args", "x"],
        &["flipper-undo", "--profile", "lab", "--yes"],
        &["flipper-profile", "clone", "lab", "twin"],
        &["flipper-profile", "create", "other"],
    ];
    let mut wait = std::time::Duration::from_millis(1);
    for round in 0..6 {
        for words in commands {
            let args: Vec<&std::ffi::OsStr> = words[1..].iter().map(std::ffi::OsStr::new).collect();
            let mut command = rig.command(words[0], &args);
            let mut child = command
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(wait);
            let _ = child.kill();
            child.wait().unwrap();
        }
        recover(&rig);
        rig.verify();
        assert_same(&before, &rig.tree("lab"));
        for id in ["twin", "other"] {
            let there: PathBuf = rig.in_pool(format!("@profiles/{id}"));
            if there.is_dir() {
                rig.sh(id, "true");
            }
        }
        assert!(rig.entries("lab").iter().all(|(_, e)| e["state"] != "open"), "round {round}");
        wait *= 2;
    }
}
