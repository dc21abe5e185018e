//! Classes U: a profile that does not keep still, a base that is gone, points on another base.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::libc;

use crate::case::{Case, Tree};
use crate::rig::{btrfs, need};

fn nothing(_: &Tree) {}

/// Somebody replaces this file again and again, and a check says so. On a busy machine the writer may be
/// late for one of the looks: then another check.
fn is_found_while_written(path: &str, wanted: &str) {
    let case = Case::on(nothing, |profile| profile.write(path, "0"));
    let end = AtomicBool::new(false);
    case.rig.mounted("lab", |dir| {
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let (path, aside) = (dir.join(path), dir.join(format!("{path}.new")));
                while !end.load(Ordering::Relaxed) {
                    fs::write(&aside, "1").unwrap();
                    fs::rename(&aside, &path).unwrap();
                }
            });
            let found = (0..50).any(|_| case.findings().iter().any(|line| line == wanted));
            end.store(true, Ordering::Relaxed);
            writer.join().unwrap();
            assert!(found, "never {wanted}");
        })
    });
}

#[test]
fn u1_found_a_profile_that_is_written_to() {
    is_found_while_written("srv/x", "U1 decision lab");
}

#[test]
fn u1_found_accounts_that_change() {
    is_found_while_written("etc/passwd", "U1 blocker lab");
}

/// As dpkg takes it: fcntl, on the whole file, below the merged root.
fn locked(path: &Path) -> File {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &mut lock) }, 0);
    file
}

#[test]
fn u1_found_a_package_run() {
    let case = Case::on(nothing, nothing);
    case.rig.mounted("lab", |dir| {
        let lock = locked(&dir.join("var/lib/dpkg/lock"));
        case.is(&["U1 blocker lab"]);
        case.doctor_is(&["U1 blocker lab"]);
        drop(lock);
        case.is(&[]);
    });
}

#[test]
fn u1_near_miss_in_use_and_quiet() {
    let case = Case::on(nothing, |profile| profile.write("srv/x", "0"));
    case.rig.mounted("lab", |dir| {
        fs::write(dir.join("srv/x"), "1").unwrap();
        case.is(&[]);
    });
    // To ask for dpkg's locks does not copy them up.
    assert!(!case.rig.root_dir("lab").join("root/var/lib/dpkg/lock").exists());
}

#[test]
fn u2_found_a_base_without_its_manifest() {
    let case = Case::on(nothing, nothing);
    fs::remove_file(case.rig.in_pool("@base/1.manifest")).unwrap();
    case.is(&["U2 blocker base 1"]);
    case.doctor_is(&["U2 blocker base 1"]);
}

#[test]
fn u2_found_a_base_of_which_only_the_manifest_is_left() {
    let case = Case::on(nothing, |profile| profile.write("srv/x", "x"));
    need("btrfs", btrfs(&["subvolume", "delete"]).arg(case.rig.in_pool("@base/1")));
    case.is(&["U2 harmless base 1"]);
    case.doctor_is(&[]);
}

#[test]
fn u2_near_miss_another_base_without_a_manifest() {
    let case = Case::on(nothing, nothing);
    fs::remove_file(case.rig.in_pool("@base/2.manifest")).unwrap();
    case.doctor_is(&[]);
    case.check(&["--base", "2"]).refused("there is no base 2");
}

/// A point, and the root afterwards on base 2, as a rebase leaves them.
#[test]
fn u3_found_points_on_another_base() {
    let case = Case::on(nothing, nothing);
    for _ in 0..2 {
        case.rig.profile(&["save", "lab"]).ok();
    }
    fs::write(case.rig.root_dir("lab").join("base"), "2\n").unwrap();
    case.is(&["U3 harmless base 1"]);
    assert_eq!(case.evidence("U3")["points on it"], "2");
}

#[test]
fn u3_near_miss_points_on_the_same_base() {
    let case = Case::on(nothing, nothing);
    case.rig.profile(&["save", "lab"]).ok();
    case.is(&[]);
}
