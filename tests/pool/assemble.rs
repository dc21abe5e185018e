//! `flipper-rescue assemble`: what the initramfs calls, on a machine that is running.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use crate::rig::{Ended, Rig};

pub fn assemble(rig: &Rig, words: &[&str]) -> (Ended, PathBuf) {
    let at = rig.path("at");
    fs::create_dir_all(&at).unwrap();
    let fixed = ["assemble", "--init", "/bin/sh", "--at", at.to_str().unwrap()];
    (rig.rescue(&[&fixed, words].concat()), at)
}

fn booted(key: &str) -> String {
    let text = fs::read_to_string("/run/flipper/booted").unwrap();
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap().to_owned()
}

pub fn take_apart(at: &Path) {
    umount2(at, MntFlags::MNT_DETACH).unwrap();
    fs::remove_file("/run/flipper/booted").unwrap();
}

#[test]
fn the_only_profile_with_home_and_state() {
    let rig = Rig::with_lab();
    let (done, at) = assemble(&rig, &[]);
    done.ok();
    assert_eq!((booted("profile"), booted("mode")), ("lab".into(), "boot".into()));
    fs::write(at.join("etc/here"), "x").unwrap();
    fs::write(at.join("var/log/here"), "x").unwrap();
    fs::write(at.join("home/here"), "x").unwrap();
    let there = |inside: &str| rig.in_pool(inside).exists();
    let root = rig.root_dir("lab");
    assert!(root.join("root/etc/here").exists() && !root.join("root/var/log/here").exists());
    assert!(there("@profiles/lab/state/var/log/here") && there("@data/home/here"));
    take_apart(&at);
    rig.wait_until_unused("lab");
    rig.verify();
}

/// Which of two is not guessed, and nothing is mounted or written when it is refused.
#[test]
fn what_cannot_be_assembled_leaves_nothing() {
    let rig = Rig::with_lab();
    let refused = |words: &[&str], why: &str| {
        let (ended, at) = assemble(&rig, words);
        ended.refused(why);
        assert_eq!(fs::read_dir(&at).unwrap().count(), 0);
        assert!(!Path::new("/run/flipper/booted").exists());
    };
    refused(&["nosuch"], "there is no profile nosuch");
    refused(&["lab", "--root", "77"], "profile lab has no root 77");
    rig.profile(&["create", "other"]).ok();
    refused(&[], "no profile");
    let base = rig.in_pool("@base/13.1");
    fs::rename(&base, base.with_file_name("13.0")).unwrap();
    refused(&["lab"], "there is no base 13.1");
}

/// Its last change is taken back, and the one before it, until it starts.
#[test]
fn what_does_not_start_is_taken_back() {
    let rig = Rig::with_lab();
    let break_it = || {
        rig.profile(&["set", "lab", "--args", "step"]).ok();
        fs::create_dir_all(rig.root_dir("lab").join("root/usr/bin")).unwrap();
        fs::write(rig.root_dir("lab").join("root/usr/bin/busybox"), "no program\n").unwrap();
    };
    let good = rig.tree("lab");
    break_it();
    rig.profile(&["set", "lab", "--args", "step-2"]).ok();
    // A root that was asked for by its number is nobody's to change.
    let root = rig.current("lab").to_string();
    assemble(&rig, &["lab", "--root", &root]).0.refused("cannot be started: /bin/sh cannot be started");
    let (done, at) = assemble(&rig, &["lab"]);
    assert_eq!(done.ok().err.matches("its last change is taken back").count(), 2);
    take_apart(&at);
    rig.wait_until_unused("lab");
    crate::rig::tree::assert_same(&good, &rig.tree("lab"));
    let undone = rig.entries("lab").into_iter().filter(|(_, entry)| entry["kind"] == "undo").count();
    assert_eq!(undone, 2);
    rig.verify();
}

#[test]
fn an_entry_is_taken_back_first_and_one_that_cannot_be_stops_nothing() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo before > /etc/step");
    rig.profile(&["set", "lab", "--args", "step"]).ok();
    rig.sh("lab", "echo after > /etc/step");
    let (done, at) = assemble(&rig, &["--undo", "last"]);
    done.ok();
    assert_eq!(fs::read_to_string(at.join("etc/step")).unwrap(), "before\n");
    take_apart(&at);
    rig.wait_until_unused("lab");
    let (done, at) = assemble(&rig, &["--undo", "99"]);
    assert!(done.ok().err.contains("99 is not taken back"));
    take_apart(&at);
}
