//! `verify`, the doctor: each thing that can be wrong is made for real, found under its name, mended, and
//! then there is nothing to find.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::rig::{Rig, btrfs, need};

mod bases;
mod device;
mod journal;
mod profiles;

/// What is wrong now, as `check: of: what`.
#[track_caller]
fn findings(rig: &Rig, args: &[&str]) -> Vec<String> {
    let ended = rig.profile(&[&["verify", "--json"], args].concat());
    let value: serde_json::Value =
        serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {}{}", ended.out, ended.err));
    let list = value["findings"].as_array().unwrap();
    assert_eq!(ended.status, i32::from(!list.is_empty()), "{}", ended.out);
    let text = |f: &serde_json::Value, key: &str| f[key].as_str().expect(key).to_owned();
    list.iter()
        .map(|f| {
            assert!(!text(f, "remedy").is_empty(), "{f}");
            format!("{}: {}: {}", text(f, "check"), text(f, "of"), text(f, "what"))
        })
        .collect()
}

/// Made, found (and nothing beside it), mended, and found no more.
#[track_caller]
fn finds(rig: &Rig, args: &[&str], wanted: &str, damage: impl FnOnce(), mend: impl FnOnce()) {
    assert_eq!(findings(rig, args), [""; 0], "before: {wanted}");
    damage();
    let found = findings(rig, args);
    assert!(found.iter().any(|f| f.contains(wanted)), "{wanted:?} is not among {found:#?}");
    let said = rig.profile(&[&["verify"], args].concat());
    assert!(said.status == 1 && said.out.contains(wanted) && !said.out.contains("in order"), "{}", said.out);
    mend();
    assert_eq!(findings(rig, args), [""; 0], "after: {wanted}");
}

/// A file or link is changed, and put back as it was.
#[track_caller]
fn finds_in(rig: &Rig, inside: &str, bytes: Option<&[u8]>, wanted: &str) {
    let path = rig.in_pool(inside);
    let (old, mode) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().permissions());
    let damage = || match bytes {
        Some(bytes) => fs::write(&path, bytes).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    };
    finds(rig, &[], wanted, damage, || {
        fs::write(&path, old).unwrap();
        fs::set_permissions(&path, mode).unwrap();
    });
}

#[track_caller]
fn finds_stranger(rig: &Rig, inside: &str, wanted: &str) {
    let path = rig.in_pool(inside);
    finds(rig, &[], wanted, || fs::write(&path, "x").unwrap(), || fs::remove_file(&path).unwrap());
}

fn subvolume(rig: &Rig, words: &[&str], inside: &str) {
    need("btrfs", btrfs(&["subvolume"]).args(words).arg(rig.in_pool(inside)));
}

fn snapshot(rig: &Rig, from: &str, to: &str) {
    need("btrfs", btrfs(&["subvolume", "snapshot"]).arg(rig.in_pool(from)).arg(rig.in_pool(to)));
}

fn lab() -> (Rig, u64, u64) {
    let rig = Rig::with_lab();
    for args in ["1", "2"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
    }
    let (point, root) = (rig.last_entry("lab").0, rig.current("lab"));
    (rig, root, point)
}

#[test]
fn a_pool_in_use_is_in_order() {
    let (rig, ..) = lab();
    rig.profile(&["clone", "lab", "two"]).ok();
    rig.profile(&["delete", "two", "--yes"]).ok();
    rig.profile(&["default", "lab"]).ok();
    let run = rig.start_waiting("lab");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.profile(&["save", "lab"]).ok();
    assert_eq!(findings(&rig, &["--deep"]), [""; 0], "a root waits, another is in use");
    run.end();
    rig.profile(&["journal", "rebuild"]).ok();
    assert_eq!(findings(&rig, &["--deep"]), [""; 0]);
}

#[test]
fn what_is_wrong_with_the_pool_is_found() {
    let (rig, ..) = lab();
    rig.profile(&["default", "lab"]).ok();
    finds_in(
        &rig,
        "@journal/pool.conf",
        Some(b"default=nobody\n"),
        "settings: @journal/pool.conf: its default profile, \"nobody\", is not there",
    );
    let format = fs::read_to_string(rig.in_pool("@journal/format")).unwrap();
    let newer = format.replace("oldest_writer=1", "oldest_writer=2");
    finds_in(
        &rig,
        "@journal/format",
        Some(newer.as_bytes()),
        "format: @journal/format: a newer program writes this pool",
    );
    fs::write(rig.in_pool("@journal/format"), "x").unwrap();
    rig.profile(&["verify"]).says(3, "@journal/format is damaged");
    fs::write(rig.in_pool("@journal/format"), format).unwrap();

    let (home, kept) = (rig.in_pool("@data/home"), rig.in_pool("@data/kept"));
    finds(
        &rig,
        &[],
        "home: @data/home: it is no subvolume",
        || fs::rename(&home, &kept).unwrap(),
        || fs::rename(&kept, &home).unwrap(),
    );
    let template = rig.in_pool("@profiles/.template");
    finds(
        &rig,
        &[],
        "template: @profiles/.template: it is no subvolume",
        || fs::rename(&template, &kept).unwrap(),
        || fs::rename(&kept, &template).unwrap(),
    );
    let low = || {
        fs::rename(&template, &kept).unwrap();
        subvolume(&rig, &["create"], "@profiles/.template");
        fs::create_dir(template.join(".floor")).unwrap();
    };
    finds(&rig, &[], "its inode numbers are below the floor", low, || {
        subvolume(&rig, &["delete"], "@profiles/.template");
        fs::rename(&kept, &template).unwrap();
    });
    finds(
        &rig,
        &[],
        "it lacks root/ or work/",
        || fs::rename(template.join("work"), template.join("w")).unwrap(),
        || fs::rename(template.join("w"), template.join("work")).unwrap(),
    );

    let program = rig.in_pool("@journal/bin/0.1.0/flipper-rescue");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy(crate::rig::program_path("flipper-rescue"), &program).unwrap();
    finds_in(
        &rig,
        "@journal/bin/0.1.0/flipper-rescue",
        None,
        "programs: @journal/bin/0.1.0/flipper-rescue: it is missing",
    );
    finds_in(&rig, "@journal/bin/0.1.0/flipper-rescue", Some(b"#!/bin/sh\n"), "it is no program");
    let mode = |bits| fs::set_permissions(&program, fs::Permissions::from_mode(bits)).unwrap();
    finds(&rig, &[], "it is not executable", || mode(0o644), || mode(0o755));
}

#[test]
fn what_a_cut_left_is_found() {
    let (rig, root, _) = lab();
    let new = rig.in_pool("@profiles/.new-x");
    finds(
        &rig,
        &[],
        "leftovers: @profiles/.new-x: left by a change",
        || fs::create_dir(&new).unwrap(),
        || fs::remove_dir(&new).unwrap(),
    );
    finds(
        &rig,
        &[],
        "leftovers: @base/.incoming",
        || subvolume(&rig, &["create"], "@base/.incoming"),
        || subvolume(&rig, &["delete"], "@base/.incoming"),
    );
    finds(
        &rig,
        &[],
        "leftovers: @base/.pruned-9",
        || subvolume(&rig, &["create"], "@base/.pruned-9"),
        || subvolume(&rig, &["delete"], "@base/.pruned-9"),
    );
    for inside in [
        "@journal/.pool.conf.new",
        "@base/.9.manifest.new",
        "@profiles/lab/.profile.json.new",
        "@journal/entries/lab/.9.plan.json.new",
    ] {
        finds_stranger(&rig, inside, &format!("leftovers: {inside}: written aside"));
    }
    let link = rig.in_pool("@profiles/lab/.current.new");
    finds(
        &rig,
        &[],
        "leftovers: @profiles/lab/.current.new",
        || symlink("roots/1", &link).unwrap(),
        || fs::remove_file(&link).unwrap(),
    );
    let (from, to) = (format!("@profiles/lab/roots/{root}"), "@profiles/lab/roots/99");
    finds(
        &rig,
        &[],
        "leftovers: lab: root 99: nobody uses it",
        || {
            snapshot(&rig, &from, to);
            fs::write(rig.in_pool(to).join("entry"), "99\n").unwrap();
        },
        || subvolume(&rig, &["delete"], to),
    );
    // One that is being made is somebody's.
    fs::create_dir(&new).unwrap();
    let lock = fs::File::create(new.join("lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(findings(&rig, &[]), [""; 0]);
    drop(lock);
    // And the remedy it names works.
    rig.profile(&["journal", "rebuild"]).ok();
    assert_eq!(findings(&rig, &[]), [""; 0]);
}

#[test]
fn what_is_wrong_with_a_lock_is_found() {
    let (rig, ..) = lab();
    for inside in ["@journal/lock", "@profiles/lab/lock"] {
        let path = rig.in_pool(inside);
        let damage = || {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        };
        finds(&rig, &[], &format!("locks: {inside}: it is not a file"), damage, || {
            fs::remove_dir(&path).unwrap();
            fs::write(&path, "").unwrap();
        });
    }
    let file = fs::File::create(rig.in_pool("@journal/lock")).unwrap();
    finds(
        &rig,
        &[],
        "locks: @journal/lock: somebody has held it for seconds",
        || file.lock().unwrap(),
        || file.unlock().unwrap(),
    );
}
