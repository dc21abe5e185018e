//! `flipper-profile run` and `mount`: what a profile that is not booted sees, and what stays.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::tree::{self, assert_differ, assert_same};
use crate::rig::{Rig, need, within};

#[test]
fn a_run_has_processes_a_name_and_a_clock_of_its_own() {
    let rig = Rig::with_lab();
    assert_eq!(rig.sh("lab", "echo $$"), "2");
    let seen = rig.sh("lab", "ps -o pid");
    assert!(seen.lines().count() <= 4, "only its own processes:\n{seen}");
    assert_eq!(rig.sh("lab", "hostname"), "lab");
    rig.sh("lab", "echo box > /etc/hostname");
    assert_eq!(rig.sh("lab", "hostname"), "box");
    let own = need("readlink", Command::new("readlink").arg("/proc/self/ns/net"));
    let look = "cd /proc/self/ns; for n in net mnt pid ipc uts; do readlink $n; done";
    let inside = rig.sh("lab", look);
    let mut inside = inside.lines();
    assert_eq!(inside.next(), Some(own.as_str()), "the network is shared: apt needs it");
    for (name, inside) in ["mnt", "pid", "ipc", "uts"].iter().zip(inside) {
        let outside = need("readlink", Command::new("readlink").arg(format!("/proc/self/ns/{name}")));
        assert_ne!(outside, inside, "{name}");
    }
}

#[test]
fn this_machines_kernel_settings_cannot_be_changed_from_a_run() {
    let rig = Rig::with_lab();
    for place in ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/power/state"] {
        let tried = rig.profile(&["run", "lab", "sh", "-c", &format!("echo x > {place}")]);
        assert_ne!(tried.status, 0, "{place}");
        assert!(
            tried.err.contains("ead-only") || tried.err.contains("nonexistent"),
            "{place}: {}",
            tried.err
        );
    }
    let mounts = rig.sh("lab", "cat /proc/mounts");
    let options = |at: &str| -> String {
        let line = mounts.lines().rfind(|l| l.split(' ').nth(1) == Some(at));
        line.unwrap_or_else(|| panic!("no mount at {at}:\n{mounts}")).split(' ').nth(3).unwrap().to_owned()
    };
    for at in ["/sys", "/proc/sys"] {
        assert!(options(at).split(',').any(|o| o == "ro"), "{at}");
    }
    assert!(options("/").split(',').any(|o| o == "noatime"), "{}", options("/"));
    for option in ["index=off", "metacopy=off", "xino=off"] {
        // The kernel does not print what is its default.
        assert!(!options("/").contains(&option.replace("off", "on")), "{}", options("/"));
    }
}

#[test]
fn a_run_has_a_small_dev_with_the_pool_and_nothing_else() {
    let rig = Rig::with_lab();
    let names: Vec<String> = rig.sh("lab", "ls /dev").lines().map(str::to_owned).collect();
    let device = crate::rig::loop_device(&rig.image).unwrap();
    let device = device.file_name().unwrap().to_str().unwrap();
    let mut expected = vec![
        "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero", device,
    ];
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(rig.sh("lab", "echo x > /dev/null; head -c 3 /dev/zero | wc -c"), "3");
    assert_eq!(rig.sh("lab", &format!("stat -c %a /dev/{device} /dev/null")), "600\n666");
    let booted = rig.sh("lab", "cat /run/flipper/booted; echo identity=$(stat -c %d:%i /)");
    assert!(booted.contains("profile=lab\n") && booted.contains("mode=run"), "{booted}");
    let identities: Vec<&str> = booted.lines().filter(|l| l.starts_with("identity=")).collect();
    assert!(identities.len() == 2 && identities[0] == identities[1], "{booted}");
}

#[test]
fn the_commands_status_is_ours() {
    let rig = Rig::with_lab();
    let status = |args: &[&str]| rig.profile(&[&["run", "lab"], args].concat()).status;
    assert_eq!(status(&["true"]), 0);
    assert_eq!(status(&["sh", "-c", "exit 7"]), 7);
    assert_eq!(status(&["sh", "-c", "kill -9 $$"]), 128 + 9);
    assert_eq!(status(&["sh", "-c", "kill -15 $$"]), 128 + 15);
    assert_eq!(status(&["no-such-command"]), 127);
    assert_eq!(status(&["/etc/passwd"]), 126);
    let said =
        rig.profile(&["run", "lab", "sh", "-c", "echo out; echo err >&2; echo $0 \"$@\"", "a b", "-n", "--"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("out\na b -n --\n", "err\n"));
}

#[test]
fn nothing_outlives_the_command() {
    let rig = Rig::with_lab();
    rig.sh("lab", "setsid sh -c 'sleep 1; echo alive > /var/tmp/alive' >/dev/null 2>&1 </dev/null & true");
    rig.wait_until_unused("lab");
    std::thread::sleep(Duration::from_millis(1200));
    assert!(!rig.in_pool("@profiles/lab/state/var/tmp/alive").exists());
    rig.verify();
}

#[test]
fn killing_the_supervisor_ends_the_run_and_frees_the_root() {
    let rig = Rig::with_lab();
    for how in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP] {
        let run = rig.start(&[
            "run",
            "lab",
            "sh",
            "-c",
            "(while :; do echo x >> /var/tmp/x; sleep 0.02; done) & echo ready; wait",
        ]);
        kill(Pid::from_raw(run.0.id() as i32), how).unwrap();
        rig.wait_until_unused("lab");
        let length = || fs::metadata(rig.in_pool("@profiles/lab/state/var/tmp/x")).map_or(0, |m| m.len());
        let mut last = length();
        within(Duration::from_secs(5), "the writer has ended", || {
            std::thread::sleep(Duration::from_millis(60));
            std::mem::replace(&mut last, length()) == length()
        });
        drop(run);
        within(Duration::from_secs(10), "the root can be used again", || {
            rig.profile(&["run", "lab", "true"]).status == 0
        });
    }
    rig.verify();
}

#[test]
fn interrupting_is_for_the_command() {
    let rig = Rig::with_lab();
    let mut run = rig.start(&["run", "lab", "sh", "-c", "echo ready; sleep 0.3; exit 5"]);
    kill(Pid::from_raw(run.0.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(run.0.wait().unwrap().code(), Some(5));
}

/// A profile without name servers gets this machine's for the run, and looks as before afterwards.
#[test]
fn name_servers_are_lent_and_taken_back() {
    let rig = Rig::with_lab();
    let before = rig.tree("lab");
    let here = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    assert_eq!(rig.sh("lab", "cat /etc/resolv.conf"), here.trim_end_matches('\n'));
    assert!(!rig.sh("lab", "cat /proc/mounts").contains("resolv.conf"), "never a mount");
    rig.sh(
        "lab",
        "echo mine > /etc/resolv.conf.new; mv /etc/resolv.conf.new /etc/resolv.conf; rm /etc/resolv.conf",
    );
    assert_same(&before, &rig.tree("lab"));
    let upper = rig.root_dir("lab").join("root/etc/resolv.conf");
    assert!(fs::symlink_metadata(&upper).is_err(), "not even a whiteout");
    // Its own is left alone: a file, and a link into /run, which is provided.
    rig.sh("lab", "rm -f /etc/resolv.conf; echo nameserver 192.0.2.1 > /etc/resolv.conf");
    assert_eq!(rig.sh("lab", "cat /etc/resolv.conf"), "nameserver 192.0.2.1");
    rig.mounted("lab", |dir| {
        fs::remove_file(dir.join("etc/resolv.conf")).unwrap();
        symlink("../run/systemd/resolve/stub.conf", dir.join("etc/resolv.conf")).unwrap();
    });
    let linked = rig.tree("lab");
    assert_eq!(rig.sh("lab", "cat /etc/resolv.conf"), here.trim_end_matches('\n'));
    assert_same(&linked, &rig.tree("lab"));
}

/// What a killed run left lent is not handed on to whoever comes from that root.
#[test]
fn a_killed_run_leaves_no_lent_name_servers() {
    let rig = Rig::with_lab();
    let before = rig.tree("lab");
    let run = rig.start_waiting("lab");
    run.kill();
    rig.wait_until_unused("lab");
    within(Duration::from_secs(10), "a run again", || rig.profile(&["run", "lab", "true"]).status == 0);
    assert_same(&before, &rig.tree("lab"));
    rig.profile(&["clone", "lab", "twin"]).ok();
    assert_same(&before, &rig.tree("twin"));
}

#[test]
fn home_is_everybodys_and_state_stays_when_the_root_goes_back() {
    let rig = Rig::with_lab();
    rig.profile(&["create", "two"]).ok();
    rig.sh("lab", "mkdir /home/u; echo hello > /home/u/letter");
    assert_eq!(rig.sh("two", "cat /home/u/letter"), "hello");
    assert!(rig.in_pool("@data/home/u/letter").is_file());
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh(
        "lab",
        "echo line > /var/log/syslog; echo t > /var/tmp/t; echo c > /var/cache/apt/c; echo e > /etc/e",
    );
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /var/log/syslog /var/tmp/t /var/cache/apt/c"), "line\nt\nc");
    assert_eq!(rig.profile(&["run", "lab", "test", "-e", "/etc/e"]).status, 1);
    assert_eq!(rig.sh("lab", "stat -c %a /var/tmp /var/log/private /tmp"), "1777\n700\n1777");
    let options = rig.sh("lab", "grep ' /home ' /proc/mounts");
    assert!(options.contains("nosuid") && options.contains("nodev"), "{options}");
    assert!(!rig.sh("lab", "cat /proc/mounts").contains("/run/flipper/state"));
    rig.verify();
}

#[test]
fn a_throwaway_run_leaves_no_trace() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo mine > /etc/mine; echo log > /var/log/x");
    let (tree, journal) = (rig.tree("lab"), tree::read(&rig.in_pool("@journal")));
    let profile = tree::read(&rig.in_pool("@profiles"));
    let line = "cat /etc/mine; echo other > /etc/mine; rm -r /opt; echo more >> /var/log/x; exit 3";
    let ended = rig.profile(&["run", "--throwaway", "lab", "sh", "-c", line]);
    assert_eq!((ended.status, ended.out.as_str()), (3, "mine\n"));
    assert_same(&tree, &rig.tree("lab"));
    assert_same(&journal, &tree::read(&rig.in_pool("@journal")));
    assert_same(&profile, &tree::read(&rig.in_pool("@profiles")));
    // Also of a profile that is in use, and of one whose supervisor is killed.
    let run = rig.start_waiting("lab");
    assert_eq!(rig.profile(&["run", "--throwaway", "lab", "true"]).status, 0);
    run.end();
    rig.start(&["run", "--throwaway", "lab", "sh", "-c", "echo ready; sleep 100"]).kill();
    within(Duration::from_secs(10), "the copy is swept up", || {
        rig.profile(&["set", "lab", "--note", "x"]).ok();
        rig.names("@profiles") == [".template", "lab"]
    });
    assert_same(&tree, &rig.tree("lab"));
    rig.verify();
}

#[test]
fn a_mount_is_the_bare_merged_tree_and_ends_with_umount() {
    let rig = Rig::with_lab();
    let at = rig.path("here and\nthere");
    fs::create_dir(&at).unwrap();
    rig.profile(&["mount", "lab", at.to_str().unwrap()]).ok();
    assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o7777, 0o755);
    fs::write(at.join("etc/by-mount"), "x").unwrap();
    assert_eq!(fs::read_dir(at.join("proc")).unwrap().count(), 0);
    rig.profile(&["run", "lab", "true"]).refused("in use");
    need("umount", Command::new("umount").arg(&at));
    // Whoever unmounts and goes on at once is not refused.
    assert_eq!(rig.sh("lab", "cat /etc/by-mount"), "x");
    rig.profile(&["mount", "lab", "/nowhere"]).says(3, "/nowhere");
    rig.profile(&["mount", "lab", "--read-only", at.to_str().unwrap()]).ok();
    assert!(fs::write(at.join("etc/x"), "x").is_err());
    need("umount", Command::new("umount").arg(&at));
    rig.wait_until_unused("lab");
    rig.verify();
}

#[test]
fn a_point_is_mounted_read_only_on_its_own_base() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo before > /etc/mine");
    let before = rig.tree("lab");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.sh("lab", "echo after > /etc/mine");
    let state = format!("lab@{point}");
    assert_same(&before, &rig.tree(&state));
    rig.mounted(&state, |dir| {
        assert!(fs::write(dir.join("etc/x"), "x").is_err());
        assert!(fs::remove_file(dir.join("etc/mine")).is_err());
        // Twice, and beside a running root: a point is never written.
        let second = rig.path("second");
        fs::create_dir(&second).unwrap();
        rig.profile(&["mount", &state, second.to_str().unwrap()]).ok();
        assert_same(&tree::read(dir), &tree::read(&second));
        assert_eq!(rig.sh("lab", "cat /etc/mine"), "after");
        need("umount", Command::new("umount").arg(&second));
    });
    assert_differ(&before, &rig.tree("lab"));
    rig.profile(&["mount", "lab@999", rig.path("second").to_str().unwrap()]).refused("is not kept any more");
    rig.profile(&["mount", "lab@x", "/tmp"]).says(64, "is not an entry number");
    rig.verify();
}
