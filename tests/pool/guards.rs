//! A root in use is not deleted, sealed, staged over or mounted again, whoever asks and however it is
//! used. The kernel would allow all of it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::rig::tree::assert_same;
use crate::rig::{Rig, btrfs, ended, need, within};

/// Everything that must not happen to `lab` now; none of it does.
fn refuses_everything(rig: &Rig) {
    let at = rig.path("never");
    fs::create_dir_all(&at).unwrap();
    let at = at.to_str().unwrap();
    rig.profile(&["delete", "lab", "--yes"]).refused("in use");
    rig.profile(&["run", "lab", "true"]).refused("in use");
    rig.profile(&["mount", "lab", at]).refused("in use");
    rig.profile(&["mount", "lab", "--read-only", at]).refused("in use");
    rig.base(&["prune", "13.1", "--yes"]).refused("base 13.1 is kept: current");
    assert_eq!(fs::read_dir(at).unwrap().count(), 0, "nothing was mounted");
}

#[test]
fn a_running_root_is_left_alone() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo mine > /etc/mine");
    let before = rig.tree("lab");
    let (journal, run) = (rig.entries("lab"), rig.start_waiting("lab"));
    refuses_everything(&rig);
    assert_eq!(rig.entries("lab"), journal);
    run.end();
    assert_same(&before, &rig.tree("lab"));
    rig.verify();
}

/// A clone of a running root is what it was at that moment; neither disturbs the other.
#[test]
fn a_running_root_can_be_cloned() {
    let rig = Rig::with_lab();
    let run = rig.start(&["run", "lab", "sh", "-c", "echo now > /etc/mine; echo ready; exec sleep 100"]);
    rig.profile(&["clone", "lab", "twin"]).ok();
    assert_eq!(rig.sh("twin", "cat /etc/mine"), "now");
    let upper = rig.root_dir("twin").join("root/etc/resolv.conf");
    assert!(fs::symlink_metadata(upper).is_err(), "what the run was lent is not cloned");
    refuses_everything(&rig);
    run.end();
    assert_same(&rig.tree("lab"), &rig.tree("twin"));
    rig.verify();
}

#[test]
fn a_mounted_root_is_left_alone() {
    let rig = Rig::with_lab();
    rig.mounted("lab", |_| refuses_everything(&rig));
    rig.mounted("lab", |_| drop(rig.profile(&["show", "lab"]).ok()));
    rig.verify();
}

/// No lock of ours is held: somebody mounted the overlay by hand, in another mount namespace.
#[test]
fn an_overlay_mounted_by_hand_is_seen() {
    let rig = Rig::with_lab();
    let root = rig.root_dir("lab");
    let uuid = need("findmnt", Command::new("findmnt").args(["-no", "UUID"]).arg(rig.top()));
    // The path by which our programs know a pool tells pools apart.
    let pool = format!("/run/flipper/pool/{uuid}");
    let inside = root.strip_prefix(rig.top()).unwrap().display().to_string();
    let line = format!(
        "mkdir -p {pool} /run/hand && mount --bind {top} {pool} && \
         mount -t overlay overlay /run/hand -o noatime,index=off,lowerdir={pool}/@base/13.1,\
         upperdir={pool}/{inside}/root,workdir={pool}/{inside}/work && echo ready && exec sleep 100",
        top = rig.top().display()
    );
    let mut child =
        Command::new("unshare").args(["-m", "sh", "-c", &line]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    refuses_everything(&rig);
    child.kill().unwrap();
    child.wait().unwrap();
    within(Duration::from_secs(5), "it is free", || rig.profile(&["run", "lab", "true"]).status == 0);
    rig.verify();
}

/// `umount -l` while a process stands in it: in no mountinfo, no lock, and still written to.
#[test]
fn a_lazily_detached_overlay_still_counts() {
    let rig = Rig::with_lab();
    let root = rig.root_dir("lab");
    let at = rig.path("detached");
    fs::create_dir(&at).unwrap();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},index=off,metacopy=off,redirect_dir=nofollow,xino=off",
        rig.in_pool("@base/13.1").display(),
        root.join("root").display(),
        root.join("work").display()
    );
    mount(Some("overlay"), &at, Some("overlay"), MsFlags::MS_NOATIME, Some(options.as_str())).unwrap();
    let mut child = Command::new("sleep").arg("100").current_dir(at.join("etc")).spawn().unwrap();
    umount2(&at, MntFlags::MNT_DETACH).unwrap();
    fs::write(format!("/proc/{}/cwd/late", child.id()), "late").unwrap();
    assert!(root.join("root/etc/late").is_file(), "it is still written to");
    refuses_everything(&rig);
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.undo(&["--profile", "lab", "--yes"]).refused("cannot be seen from here");
    assert!(root.is_dir());
    child.kill().unwrap();
    child.wait().unwrap();
    within(Duration::from_secs(5), "it is free", || rig.profile(&["run", "lab", "true"]).status == 0);
    rig.verify();
}

/// flock alone: nothing is mounted yet, or not any more.
#[test]
fn a_held_lock_is_enough() {
    let rig = Rig::with_lab();
    let root = rig.root_dir("lab");
    let mut child = Command::new("flock").arg(&root).args(["sleep", "100"]).spawn().unwrap();
    within(Duration::from_secs(5), "flock has it", || {
        !Command::new("flock").arg("-n").arg(&root).arg("true").status().unwrap().success()
    });
    refuses_everything(&rig);
    child.kill().unwrap();
    child.wait().unwrap();
    // flock(1) hands its lock to the sleep, which we must end too.
    need("fuser", Command::new("fuser").arg("-k").arg(&root).stdout(Stdio::null()));
    rig.wait_until_unused("lab");
    rig.sh("lab", "true");
}

/// The booted file names the root's subvolume: nobody holds its lock yet, early in the boot.
#[test]
fn the_booted_file_is_enough() {
    let rig = Rig::with_lab();
    let root = rig.root_dir("lab");
    let id = need("btrfs", btrfs(&["inspect-internal", "rootid"]).arg(&root));
    let uuid = need("findmnt", Command::new("findmnt").args(["-no", "UUID"]).arg(rig.top()));
    let here = need("stat", Command::new("stat").args(["-c", "%d:%i", "/"]));
    fs::create_dir_all("/run/flipper").unwrap();
    let booted = |identity: &str| {
        let text = format!(
            "profile=lab\nroot={}\nbase=13.1\npool={uuid}\ndevice={}\nsubvolid={id}\nidentity={identity}\nmode=boot\n",
            rig.current("lab"),
            crate::rig::loop_device(&rig.image).unwrap().display()
        );
        fs::write("/run/flipper/booted", text).unwrap();
    };
    booted(&here);
    refuses_everything(&rig);
    // Unnamed, the pool and the profile are the booted ones.
    let mut bare = rig.command("flipper-undo", &["--list".as_ref()]);
    ended(bare.env_remove("FLIPPER_POOL")).refused("nothing to undo in profile lab");
    // The `/` it speaks of is not ours: we are in a chroot or a container.
    booted("1:1");
    rig.sh("lab", "true");
    rig.verify();
}

#[test]
fn a_point_that_is_mounted_is_not_swept_away() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.mounted(&format!("lab@{point}"), |dir| {
        rig.undo(&["--profile", "lab", "--yes"]).ok();
        rig.sh("lab", "echo x > /etc/x");
        assert_eq!(fs::read(dir.join("etc/hello.conf")).unwrap(), b"greeting=hello\n");
    });
    rig.verify();
}

/// An undo of a running profile waits; the running root keeps its name and its files.
#[test]
fn undo_of_a_running_profile_waits_until_it_is_left() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo before > /etc/mine");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh("lab", "echo after > /etc/mine");
    let old = rig.root_dir("lab");
    let run = rig.start(&[
        "run",
        "lab",
        "sh",
        "-c",
        "echo ready; while [ ! -e /etc/stop ]; do sleep 0.05; done; cat /etc/mine",
    ]);
    let staged = rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert!(staged.err.contains("restart the profile to finish"), "{}", staged.err);
    assert!(old.is_dir(), "the root in use is still there");
    assert_ne!(rig.root_dir("lab"), old);
    let status = rig.profile(&["status", "--json"]).json();
    assert_eq!(status["profiles"][0]["waiting"], rig.current("lab"));
    rig.profile(&["delete", "lab", "--yes"]).refused("in use");
    // The run is left by somebody who writes to it through its own root.
    let first = need("pgrep", Command::new("pgrep").arg("-P").arg(run.0.id().to_string()));
    fs::write(format!("/proc/{first}/root/etc/stop"), "").unwrap();
    let mut run = run;
    assert!(run.0.wait().unwrap().success());
    assert!(!old.exists(), "the left root is gone");
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "before");
    // What was written into it after the undo is kept as a point.
    let (left, entry) =
        rig.entries("lab").into_iter().rfind(|(_, e)| e["kind"] == "left").expect("it is kept");
    assert_eq!(entry["state"], "completed");
    rig.mounted(&format!("lab@{left}"), |dir| assert!(dir.join("etc/stop").exists()));
    rig.verify();
}

#[test]
fn a_root_that_cannot_be_written_is_not_run() {
    let rig = Rig::with_lab();
    let root = rig.root_dir("lab");
    rig.set_read_only(&root, true);
    rig.profile(&["run", "lab", "true"]).says(3, "it is read-only");
    rig.profile(&["mount", "lab", rig.top().to_str().unwrap()]).says(3, "it is read-only");
    rig.set_read_only(&root, false);
    rig.sh("lab", "true");
    rig.verify();
}

#[test]
fn upper_and_work_in_two_subvolumes_are_refused() {
    let rig = Rig::with_lab();
    let root = rig.root_dir("lab");
    fs::remove_dir_all(root.join("work")).unwrap();
    need("btrfs", btrfs(&["subvolume", "create"]).arg(root.join("work")));
    rig.profile(&["run", "lab", "true"]).says(3, "are in different subvolumes");
    need("btrfs", btrfs(&["subvolume", "delete"]).arg(root.join("work")));
    fs::create_dir(root.join("work")).unwrap();
    rig.sh("lab", "true");
    rig.verify();
}

#[test]
fn an_upper_below_the_floor_is_refused() {
    let rig = Rig::with_lab();
    let root = rig.root_dir("lab");
    let number = rig.current("lab");
    // A root that does not come from the template: received, or made by hand.
    fs::rename(&root, rig.in_pool("@data/kept")).unwrap();
    need("btrfs", btrfs(&["subvolume", "create"]).arg(&root));
    need("cp", Command::new("cp").args(["-a", "-T"]).arg(rig.in_pool("@data/kept")).arg(&root));
    rig.profile(&["run", "lab", "true"]).says(3, "its inode numbers are below the floor");
    assert_eq!(rig.profile(&["verify"]).status, 1);
    need("btrfs", btrfs(&["subvolume", "delete"]).arg(&root));
    fs::rename(rig.in_pool("@data/kept"), rig.in_pool(format!("@profiles/lab/roots/{number}"))).unwrap();
    rig.sh("lab", "true");
}

#[test]
fn a_missing_base_is_named() {
    let rig = Rig::with_lab();
    fs::rename(rig.in_pool("@base/13.1"), rig.in_pool("@base/13.0")).unwrap();
    rig.profile(&["run", "lab", "true"]).refused("there is no base 13.1");
    rig.profile(&["create", "two"]).refused("there is no base 13.1");
    rig.profile(&["create", "two", "--base", "nope"]).refused("there is no base nope");
    assert_eq!(rig.names("@profiles"), [".template", "lab"]);
    fs::rename(rig.in_pool("@base/13.0"), rig.in_pool("@base/13.1")).unwrap();
    rig.sh("lab", "true");
    rig.verify();
}

#[test]
fn from_inside_a_run_nothing_is_deleted_or_started() {
    let rig = Rig::with_lab();
    rig.profile(&["create", "two"]).ok();
    // Our programs need their libraries in there: the tiny root has none, so this machine's are bound.
    let upper = rig.root_dir("lab").join("root");
    let program = crate::rig::program_path("flipper-profile");
    fs::create_dir_all(upper.join("opt/tools")).unwrap();
    let list = need("ldd", Command::new("ldd").arg(program));
    for path in list.split_whitespace().filter(|word| word.starts_with('/')) {
        need("cp", Command::new("cp").arg("-L").arg(path).arg(upper.join("opt/tools")));
    }
    fs::copy(program, upper.join("opt/tools/flipper-profile")).unwrap();
    let loader =
        list.split_whitespace().find(|w| w.contains("/ld-linux")).unwrap().rsplit('/').next().unwrap();
    let inside = |line: &str| {
        let line = format!("/opt/tools/{loader} --library-path /opt/tools /opt/tools/flipper-profile {line}");
        rig.profile(&["run", "lab", "sh", "-c", &line])
    };
    inside("delete two --yes").refused("is not done from inside a run");
    inside("run two true").refused("is not done from inside a run");
    assert_eq!(inside("list --json").json()[0]["booted"], true);
    inside("create three").ok();
    rig.sh("three", "true");
    rig.verify();
}
