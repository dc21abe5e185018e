//! `flipper-profile reset`: back to pristine, as an entry that is taken back like any other.

use std::fs;
use std::process::Command;

use crate::rig::tree::{assert_differ, assert_same, read};
use crate::rig::{Ended, Rig, btrfs, need};

fn reset(rig: &Rig, args: &[&str]) -> Ended {
    rig.profile(&[&["--yes", "reset", "lab"], args].concat())
}

fn undo(rig: &Rig, args: &[&str]) -> Ended {
    rig.undo(&[&["--profile", "lab", "--yes"], args].concat())
}

/// A profile somebody worked in: files, an entry, settings, a log.
fn worked_in() -> Rig {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo mine > /etc/mine; rm -r /opt/data; mkdir /opt/data; echo x > /opt/data/new");
    rig.profile(&["set", "lab", "--args", "quiet", "--mount", "LABEL=x /media/x ext4 ro"]).ok();
    rig.sh("lab", "echo late > /etc/late; echo logged > /var/log/mine.log; echo stays > /home/stays");
    rig
}

#[test]
fn back_to_pristine_and_back_again() {
    let fresh = Rig::with_lab().tree("lab");
    let rig = worked_in();
    let (before, id) = (rig.tree("lab"), rig.sh("lab", "cat /etc/machine-id"));
    let preview = rig.profile(&["reset", "lab", "--dry-run", "--json"]).json();
    assert_eq!((&preview["plan"]["do"], &preview["plan"]["wipes"]), (&"reset".into(), &false.into()));
    let set = rig.last_entry("lab").0;
    assert_eq!(preview["plan"]["takes_back"], serde_json::json!([set]));
    assert_eq!(rig.last_entry("lab").0, set, "a dry run is no entry");
    rig.profile(&["reset", "lab"]).refused("not confirmed");
    let said = reset(&rig, &[]).ok();
    assert!(said.out.contains("lab: back to pristine: takes back no package change, "), "{}", said.out);
    assert!(said.out.contains("keeps state/"), "{}", said.out);
    assert_same(&fresh, &rig.tree("lab"));
    let (number, entry) = rig.last_entry("lab");
    assert_eq!(
        (&entry["kind"], &entry["state"], &entry["target"]),
        (&"reset".into(), &"completed".into(), &serde_json::Value::Null)
    );
    assert_eq!(rig.current("lab"), number);
    assert_eq!(rig.names("@profiles/lab/roots"), [number.to_string()]);
    assert_eq!(
        rig.sh("lab", "cat /etc/machine-id /var/log/mine.log /home/stays"),
        format!("{id}\nlogged\nstays")
    );
    let facts =
        |rig: &Rig| ["args", "mounts"].map(|f| fs::read_to_string(rig.root_dir("lab").join(f)).unwrap());
    assert_eq!(facts(&rig), ["\n", "\n"]);
    rig.verify();

    // Taken back, redone, taken back, and further back.
    undo(&rig, &[]).ok();
    assert_same(&before, &rig.tree("lab"));
    assert_eq!(facts(&rig)[0], "quiet\n");
    undo(&rig, &["--redo"]).ok();
    assert_same(&fresh, &rig.tree("lab"));
    undo(&rig, &[]).ok();
    undo(&rig, &[]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/mine; test -e /etc/late || echo no"), "mine\nno");
    undo(&rig, &[]).refused("nothing to undo");
    let log = rig.profile(&["log", "lab"]).ok().out;
    assert!(log.contains("reset: back to pristine"), "{log}");
    rig.verify();
}

#[test]
fn a_reset_of_a_reset_and_one_in_a_line() {
    let rig = worked_in();
    let fresh = reset(&rig, &[]).ok();
    drop(fresh);
    let pristine = rig.tree("lab");
    rig.sh("lab", "echo again > /etc/again");
    rig.profile(&["set", "lab", "--args", "again"]).ok();
    let (set, worked) = (rig.last_entry("lab").0, rig.tree("lab"));
    reset(&rig, &[]).ok();
    assert_same(&pristine, &rig.tree("lab"));
    undo(&rig, &[]).ok();
    assert_same(&worked, &rig.tree("lab"));
    undo(&rig, &[&set.to_string()]).ok();
    let show = rig
        .undo(&[
            "--profile",
            "lab",
            "--show",
            &rig.entries("lab").iter().find(|(_, e)| e["kind"] == "reset").unwrap().0.to_string(),
        ])
        .ok()
        .out;
    assert!(show.contains("etc/mine"), "{show}");
    // Journal and index say the same when the index is made again.
    let log = rig.profile(&["log", "lab", "-n", "100", "--json"]).json();
    fs::remove_file(rig.in_pool("@journal/journal.db")).unwrap();
    assert_eq!(log, rig.profile(&["log", "lab", "-n", "100", "--json"]).json());
    rig.profile(&["journal", "rebuild"]).ok();
    assert_eq!(log, rig.profile(&["log", "lab", "-n", "100", "--json"]).json());
    rig.verify();
}

#[test]
fn while_the_profile_runs_it_waits() {
    let rig = worked_in();
    let (before, root) = (rig.tree("lab"), rig.current("lab"));
    let run = rig.start_waiting("lab");
    reset(&rig, &["--wipe"]).ok();
    assert_ne!(rig.current("lab"), root);
    reset(&rig, &[]).refused("waits for the next start of lab: a reset must wait for it");
    undo(&rig, &["--redo"]).refused("nothing to redo");
    // Dropped, with its state/ aside.
    undo(&rig, &["--cancel"]).ok();
    assert_eq!(rig.current("lab"), root);
    assert_eq!(
        rig.names("@profiles/lab"),
        [
            "current",
            "ids",
            "lock",
            "pristine",
            "pristine.state",
            "profile.json",
            "roots",
            "snapshots",
            "state"
        ]
    );
    assert!(rig.entries("lab").iter().all(|(_, e)| e["kind"] != "left"), "a root nobody ran is not kept");
    // Staged again, and the run writes a log until it ends.
    reset(&rig, &["--wipe"]).ok();
    let waits = rig.current("lab");
    let first =
        crate::rig::need("pgrep", std::process::Command::new("pgrep").arg("-P").arg(run.0.id().to_string()));
    fs::write(format!("/proc/{first}/root/var/log/until-the-end"), "last words\n").unwrap();
    assert!(rig.in_pool(format!("@profiles/lab/.state-{waits}")).is_dir());
    run.end();
    assert_eq!(rig.sh("lab", "ls -A /var/log; test -e /etc/mine || echo pristine"), "apt\nprivate\npristine");
    assert!(!rig.in_pool(format!("@profiles/lab/.state-{waits}")).exists());
    rig.verify();
    // What the run wrote until its end comes back with it.
    undo(&rig, &[]).ok();
    assert_same(&before, &rig.tree("lab"));
    assert_eq!(rig.sh("lab", "cat /var/log/until-the-end /var/log/mine.log"), "last words\nlogged");
    rig.verify();
}

#[test]
fn wipe_begins_state_anew_and_taking_it_back_brings_it_back_whole() {
    let rig = worked_in();
    let state = |rig: &Rig| read(&rig.in_pool("@profiles/lab/state"));
    let old = state(&rig);
    let preview = rig.profile(&["reset", "lab", "--wipe", "--dry-run"]).ok().out;
    assert!(preview.contains("begins state/ anew"), "{preview}");
    reset(&rig, &["--wipe"]).ok();
    let number = rig.last_entry("lab").0;
    let fresh = state(&rig);
    assert_differ(&old, &fresh);
    assert!(!fresh.has("var/log/mine.log") && fresh.has("var/log/apt"));
    assert_same(&old, &read(&rig.in_pool(format!("@profiles/lab/snapshots/{number}.state"))));
    rig.sh("lab", "echo new > /var/log/new.log");
    let newer = state(&rig);
    let preview = rig.undo(&["--profile", "lab", "--dry-run"]).ok().out;
    assert!(preview.contains("puts state/ back whole"), "{preview}");
    undo(&rig, &[]).ok();
    assert_same(&old, &state(&rig));
    undo(&rig, &["--redo"]).ok();
    assert_same(&newer, &state(&rig));
    // Another undo over it, further back at once.
    let set = rig.entries("lab").into_iter().find(|(_, e)| e["kind"] == "set").unwrap().0;
    undo(&rig, &[]).ok();
    undo(&rig, &[&set.to_string()]).ok();
    assert_same(&old, &state(&rig));
    // A plain reset leaves state/ alone.
    reset(&rig, &[]).ok();
    assert_same(&old, &state(&rig));
    rig.verify();
}

#[test]
fn refused_with_the_reason() {
    let rig = worked_in();
    rig.profile(&["reset", "nobody", "--yes"]).refused("there is no profile nobody");
    rig.profile(&["reset", "lab", "--keep", "etc/x", "--yes"]).refused("it must be an absolute path");
    rig.profile(&["reset", "lab", "--keep", "/var/lib/dpkg", "--yes"]).refused("dpkg's database");
    let (tree, entries) = (rig.tree("lab"), rig.entries("lab"));
    // A pristine on another base.
    let tiny = rig.path("other");
    crate::rig::root::make(&tiny);
    rig.base(&["import", tiny.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    let pristine = rig.in_pool("@profiles/lab/pristine");
    rig.set_read_only(&pristine, false);
    fs::write(pristine.join("base"), "13.2\n").unwrap();
    rig.set_read_only(&pristine, true);
    rig.base(&["prune", "13.2", "--yes"]).refused("profile lab");
    let said = reset(&rig, &[]).refused("stands on base 13.2, and the profile on base 13.1");
    assert!(
        said.err.contains("hint: a fresh profile on it: flipper-profile create NEW --base 13.2"),
        "{}",
        said.err
    );
    // None at all, as an older program made profiles.
    rig.set_read_only(&pristine, false);
    crate::rig::need("btrfs", crate::rig::btrfs(&["subvolume", "delete"]).arg(&pristine));
    reset(&rig, &[]).refused("has no pristine state to go back to");
    rig.profile(&["clone", "lab", "copy"]).ok();
    rig.profile(&["reset", "copy", "--yes"]).refused("has no pristine state");
    assert_same(&tree, &rig.tree("lab"));
    assert_eq!(entries, rig.entries("lab"));
    rig.verify();
}

/// A clone goes back to what its source was made as, on an inode floor of its own.
#[test]
fn a_clone_has_the_pristine_state_of_its_source() {
    let rig = worked_in();
    rig.profile(&["clone", "lab", "copy"]).ok();
    rig.profile(&["--yes", "reset", "copy"]).ok();
    let fresh = Rig::with_lab().tree("lab");
    assert_same(&fresh, &rig.tree("copy"));
    let ids = ["lab", "copy"].map(|id| rig.sh(id, "cat /etc/machine-id"));
    assert_ne!(ids[0], ids[1], "its machine-id is its own still");
    rig.mounted("copy", |dir| {
        assert!(crate::rig::tree::mistaken_for_one(dir).is_empty());
    });
    rig.verify();
}

/// A copy of state/ beside a point stands on no base, and a pristine state does on one.
#[test]
fn bases_under_a_pristine_state_and_a_copy_of_state() {
    let rig = worked_in();
    let tiny = rig.path("other");
    crate::rig::root::make(&tiny);
    rig.base(&["import", tiny.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    reset(&rig, &["--wipe"]).ok();
    let copy = format!("@profiles/lab/snapshots/{}.state", rig.last_entry("lab").0);
    assert!(rig.in_pool(&copy).is_dir());
    rig.base(&["prune", "13.2", "--yes"]).ok();
    rig.verify();
    // Pruned with its point.
    undo(&rig, &[]).ok();
    rig.profile(&["prune", "lab"]).ok();
    assert!(rig.in_pool(&copy).is_dir(), "redo needs it");
}

#[test]
fn verify_looks_at_the_pristine_state() {
    let rig = worked_in();
    let pristine = rig.in_pool("@profiles/lab/pristine");
    rig.set_read_only(&pristine, false);
    let found = rig.profile(&["verify"]).says(1, "");
    assert!(found.out.contains("sealed: lab: pristine: it can be written to"), "{}", found.out);
    fs::write(pristine.join("base"), "13.9\n").unwrap();
    rig.set_read_only(&pristine, true);
    let found = rig.profile(&["verify"]).says(1, "");
    assert!(found.out.contains("it stands on base 13.9, which is gone"), "{}", found.out);
    reset(&rig, &[]).refused("stands on base 13.9");
}

/// Paths that no reset can carry stay out of it, and names that are no text go through.
#[test]
fn any_name_is_kept() {
    use std::os::unix::ffi::OsStrExt;
    let rig = worked_in();
    let name = std::ffi::OsStr::from_bytes(b"/srv/bad\xff\nname \\x41");
    rig.mounted("lab", |dir| {
        fs::create_dir_all(dir.join("srv")).unwrap();
        fs::write(dir.join("srv").join(std::path::Path::new(name).file_name().unwrap()), "kept\n").unwrap();
    });
    let words = ["--yes", "reset", "lab", "--keep"].map(std::ffi::OsStr::new);
    let words: Vec<&std::ffi::OsStr> = words.into_iter().chain([name]).collect();
    crate::rig::ended(&mut rig.command("flipper-profile", &words)).ok();
    let kept = rig.root_dir("lab").join("root/srv").join(std::path::Path::new(name).file_name().unwrap());
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept\n");
    assert_eq!(rig.last_entry("lab").1["keeps"]["paths"][0], "srv/bad\\xff\nname \\\\x41");
    rig.verify();
}

/// What a shipped profile was made with is not what two clones of it go back to.
#[test]
fn a_clone_goes_back_without_the_secrets_of_its_source() {
    let rig = Rig::with_lab();
    let pristine = rig.in_pool("@profiles/lab/pristine");
    rig.set_read_only(&pristine, false);
    for secret in ["etc/ssh/ssh_host_rsa_key", "var/lib/systemd/random-seed", "var/lib/dhcpcd/duid"] {
        let path = pristine.join("root").join(secret);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "known").unwrap();
    }
    rig.set_read_only(&pristine, true);
    rig.profile(&["clone", "lab", "two"]).ok();
    rig.profile(&["--yes", "reset", "two"]).ok();
    let left = rig.sh("two", "grep -rl known /etc /var/lib/systemd /var/lib/dhcpcd || true");
    assert_eq!(left, "");
    rig.verify();
}

fn subvolume(rig: &Rig, inside: &str) -> std::path::PathBuf {
    let path = rig.in_pool(format!("@profiles/lab/{inside}"));
    need("btrfs", btrfs(&["subvolume", "create"]).arg(&path));
    path
}

/// Any user can make a subvolume in /var/tmp. It is in no snapshot of state/: a wipe could not be taken back.
#[test]
fn a_subvolume_in_state_refuses_a_wipe_and_locks_nothing_up() {
    let rig = worked_in();
    let mine = subvolume(&rig, "state/var/tmp/mine");
    let before = rig.last_entry("lab").0;
    reset(&rig, &["--wipe"]).refused("/var/tmp/mine: a subvolume of its own");
    assert_eq!((rig.last_entry("lab").0, mine.is_dir()), (before, true));
    rig.profile(&["run", "--throwaway", "lab", "true"]).ok();
    need("btrfs", btrfs(&["subvolume", "delete"]).arg(&mine));
    // One that is made while the wipe waits, with another in it, sealed: both go with the old state/.
    let run = rig.start_waiting("lab");
    reset(&rig, &["--wipe"]).ok();
    let mine = subvolume(&rig, "state/var/tmp/mine");
    subvolume(&rig, "state/var/tmp/mine/deeper");
    rig.set_read_only(&mine, true);
    run.end();
    rig.wait_until_unused("lab");
    let said = rig.profile(&["run", "lab", "true"]).ok();
    assert!(!said.err.contains("note"), "{}", said.err);
    assert!(rig.names("@profiles/lab").iter().all(|name| !name.starts_with(".state-")));
    rig.verify();
}

/// One that is mounted is nobody's to delete: the profile starts all the same, and verify names it.
#[test]
fn a_mounted_subvolume_in_an_old_state_stays_until_it_is_unmounted() {
    let rig = worked_in();
    let run = rig.start_waiting("lab");
    reset(&rig, &["--wipe"]).ok();
    let number = rig.last_entry("lab").0;
    subvolume(&rig, "state/var/tmp/mine");
    let at = rig.path("mine");
    fs::create_dir(&at).unwrap();
    let device = crate::rig::loop_device(rig.image_name().as_ref()).unwrap();
    need(
        "mount",
        Command::new("mount").args(["-o", "subvol=@profiles/lab/state/var/tmp/mine"]).arg(device).arg(&at),
    );
    fs::write(at.join("kept"), "kept").unwrap();
    run.end();
    rig.wait_until_unused("lab");
    for _ in 0..2 {
        let said = rig.profile(&["run", "lab", "true"]).ok();
        assert!(said.err.contains("not deleted yet") && said.err.contains("mounted at"), "{}", said.err);
    }
    let verify = rig.profile(&["verify"]);
    assert!(
        verify.out.contains(&format!(".state-{number}.old")) && verify.out.contains("unmount"),
        "{}",
        verify.out
    );
    undo(&rig, &[]).ok();
    assert_eq!(fs::read_to_string(at.join("kept")).unwrap(), "kept");
    need("umount", Command::new("umount").arg(&at));
    rig.sh("lab", "test -f /var/log/mine.log");
    rig.verify();
}

/// A deleted profile with such a subvolume goes.
#[test]
fn what_is_nested_goes_with_a_profile() {
    let rig = worked_in();
    subvolume(&rig, "state/var/tmp/mine");
    rig.profile(&["delete", "lab", "--yes"]).ok();
    let deleted = rig.names("@profiles").into_iter().find(|name| name.starts_with(".deleted-lab")).unwrap();
    // As a prune leaves it that was cut; whoever comes next removes it.
    let pruned = deleted.replace(".deleted-", ".pruned-");
    fs::rename(rig.in_pool(format!("@profiles/{deleted}")), rig.in_pool(format!("@profiles/{pruned}")))
        .unwrap();
    // Another profile runs meanwhile, with its own state/ mounted.
    rig.profile(&["create", "other"]).ok();
    let run = rig.start_waiting("other");
    rig.profile(&["journal", "rebuild"]).ok();
    assert_eq!(rig.names("@profiles"), [".template", "other"]);
    run.end();
    rig.verify();
}
