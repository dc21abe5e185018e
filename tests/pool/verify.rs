//! `verify`, the doctor: each thing that can be wrong is made for real, found under its name, mended, and
//! then there is nothing to find.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::rig::{Rig, btrfs, need};

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

#[test]
fn what_is_wrong_with_a_base_is_found() {
    let (rig, ..) = lab();
    let base = rig.in_pool("@base/13.1");
    finds(
        &rig,
        &[],
        "sealed: base 13.1: it can be written to",
        || rig.set_read_only(&base, false),
        || rig.set_read_only(&base, true),
    );
    finds_in(&rig, "@base/13.1.manifest", None, "manifest: base 13.1:");
    finds_in(&rig, "@base/13.1.manifest", Some(b"x\n"), "names no largest_inode");
    let text = fs::read_to_string(rig.in_pool("@base/13.1.manifest")).unwrap();
    let header = text.lines().next().unwrap();
    let at_floor = text.replace(header, r#"{"manifest":1,"largest_inode":65536}"#);
    finds_in(
        &rig,
        "@base/13.1.manifest",
        Some(at_floor.as_bytes()),
        "floor: base 13.1: it has inode numbers at the floor",
    );
    let torn = &text.as_bytes()[..text.len() - 40];
    finds_in(&rig, "@base/13.1.manifest", Some(torn), "manifest: base 13.1:");
    fs::copy(rig.in_pool("@base/13.1.manifest"), rig.in_pool("kept")).unwrap();
    let stray = rig.in_pool("@base/9.manifest");
    finds(
        &rig,
        &[],
        "manifest: @base/9.manifest: there is no such base",
        || assert!(fs::copy(rig.in_pool("kept"), &stray).is_ok()),
        || fs::remove_file(&stray).unwrap(),
    );
    let current = rig.in_pool("@base/current");
    let point_to = |target: &str| {
        let _ = fs::remove_file(&current);
        symlink(target, &current).unwrap();
    };
    finds(
        &rig,
        &[],
        "current: @base/current: it names base 9, which is not there",
        || point_to("9"),
        || point_to("13.1"),
    );
    finds(&rig, &[], "current: @base/current: it names no base", || point_to("a/b"), || point_to("13.1"));
    finds(
        &rig,
        &[],
        "current: @base/current: it is missing",
        || fs::remove_file(&current).unwrap(),
        || point_to("13.1"),
    );
}

/// A base whose blocks or files changed under its seal: `--deep` reads every file, the sample some.
#[test]
fn a_base_is_held_against_its_manifest() {
    let (rig, ..) = lab();
    let base = rig.in_pool("@base/13.1");
    let changed = |change: &dyn Fn(&Path)| {
        rig.set_read_only(&base, false);
        change(&base);
        rig.set_read_only(&base, true);
    };
    let in_it = |inside: &str| base.join(inside);
    let word = "manifest: base 13.1: not as it was published:";
    let text = fs::read(in_it("opt/data/one")).unwrap();
    finds(
        &rig,
        &["--deep"],
        &format!("{word} /opt/data/one"),
        || changed(&|_| fs::write(in_it("opt/data/one"), "two\n").unwrap()),
        || changed(&|_| fs::write(in_it("opt/data/one"), &text).unwrap()),
    );
    finds(
        &rig,
        &["--deep"],
        &format!("{word} /etc/stranger"),
        || changed(&|_| fs::write(in_it("etc/stranger"), "x").unwrap()),
        || changed(&|_| fs::remove_file(in_it("etc/stranger")).unwrap()),
    );
    finds(
        &rig,
        &["--deep"],
        &format!("{word} /opt/data/deep/two"),
        || changed(&|_| fs::rename(in_it("opt/data/deep/two"), in_it("home/two")).unwrap()),
        || changed(&|_| fs::rename(in_it("home/two"), in_it("opt/data/deep/two")).unwrap()),
    );
    let mode = |bits| {
        move |base: &Path| {
            fs::set_permissions(base.join("etc/passwd"), fs::Permissions::from_mode(bits)).unwrap()
        }
    };
    finds(
        &rig,
        &["--deep"],
        &format!("{word} /etc/passwd"),
        || changed(&mode(0o666)),
        || changed(&mode(0o644)),
    );
    // Half of a base gone is seen without reading all of it.
    finds(
        &rig,
        &[],
        word,
        || changed(&|_| fs::rename(in_it("usr"), in_it("rsu")).unwrap()),
        || changed(&|_| fs::rename(in_it("rsu"), in_it("usr")).unwrap()),
    );
}

#[test]
fn what_is_wrong_with_a_profile_is_found() {
    let (rig, root, point) = lab();
    finds_in(&rig, "@profiles/lab/profile.json", Some(b"{"), "description: profile lab:");
    finds_in(&rig, "@profiles/lab/profile.json", None, "description: profile lab:");
    let current = rig.in_pool("@profiles/lab/current");
    let point_to = |target: &str| {
        let _ = fs::remove_file(&current);
        symlink(target, &current).unwrap();
    };
    let right = format!("roots/{root}");
    finds(
        &rig,
        &[],
        "pointer: profile lab: current points to root 999, which is gone",
        || point_to("roots/999"),
        || point_to(&right),
    );
    finds(&rig, &[], "pointer: profile lab: current:", || point_to("/etc"), || point_to(&right));
    finds(
        &rig,
        &[],
        "pointer: profile lab: current:",
        || fs::remove_file(&current).unwrap(),
        || point_to(&right),
    );
    let (log, gol) = (rig.in_pool("@profiles/lab/state/var/log"), rig.in_pool("@profiles/lab/state/var/gol"));
    finds(
        &rig,
        &[],
        "state: profile lab: state/var/log is missing",
        || fs::rename(&log, &gol).unwrap(),
        || fs::rename(&gol, &log).unwrap(),
    );

    for (what, dir) in [
        ("root", format!("@profiles/lab/roots/{root}")),
        ("point", format!("@profiles/lab/snapshots/{point}")),
    ] {
        let number = dir.rsplit('/').next().unwrap();
        let of = format!("lab: {what} {number}");
        let seal = |on| {
            if what == "point" {
                rig.set_read_only(&rig.in_pool(&dir), on)
            }
        };
        for (file, bytes, wanted) in [
            ("base", &b"9\n"[..], format!("base: {of}: it stands on base 9, which is gone")),
            ("base", b"../x\n", format!("facts: {of}:")),
            ("args", b"a\nb\n", format!("facts: {of}: its file args has more than one line")),
            ("dtbo", b"\0\0\n", format!("facts: {of}: its file dtbo is no text")),
        ] {
            let path = rig.in_pool(&dir).join(file);
            let old = fs::read(&path).unwrap();
            let write = |bytes: &[u8]| {
                seal(false);
                fs::write(&path, bytes).unwrap();
                seal(true);
            };
            finds(&rig, &[], &wanted, || write(bytes), || write(&old));
        }
        let (upper, aside) = (rig.in_pool(&dir).join("root"), rig.in_pool(&dir).join("toor"));
        let rename = |from: &Path, to: &Path| {
            seal(false);
            fs::rename(from, to).unwrap();
            seal(true);
        };
        finds(
            &rig,
            &[],
            &format!("root: {of}: it has no root/"),
            || rename(&upper, &aside),
            || rename(&aside, &upper),
        );
    }
    finds_in(
        &rig,
        &format!("@profiles/lab/roots/{root}/entry"),
        Some(b"7\n"),
        &format!("facts: lab: root {root}: it says entry \"7\" made it"),
    );
    let here = rig.in_pool(format!("@profiles/lab/roots/{root}"));
    finds(
        &rig,
        &[],
        &format!("root: lab: root {root}:"),
        || rig.set_read_only(&here, true),
        || rig.set_read_only(&here, false),
    );
    let sealed = rig.in_pool(format!("@profiles/lab/snapshots/{point}"));
    finds(
        &rig,
        &[],
        &format!("sealed: lab: point {point}: it can be written to"),
        || rig.set_read_only(&sealed, false),
        || rig.set_read_only(&sealed, true),
    );
    let stray = rig.in_pool("@profiles/lab/snapshots/98");
    finds(
        &rig,
        &[],
        "point: lab: point 98: it is no subvolume",
        || fs::create_dir(&stray).unwrap(),
        || fs::remove_dir(&stray).unwrap(),
    );
}

/// Upper and work in two subvolumes, and a root that does not descend from the template: overlayfs mounts
/// both without a word, and fails later.
#[test]
fn a_root_that_would_fail_later_is_found() {
    let (rig, root, _) = lab();
    let here = rig.in_pool(format!("@profiles/lab/roots/{root}"));
    let work = here.join("work");
    let damage = || {
        fs::rename(&work, here.join("old")).unwrap();
        need("btrfs", btrfs(&["subvolume", "create"]).arg(&work));
    };
    finds(&rig, &[], "root/ and work/ are in different subvolumes", damage, || {
        need("btrfs", btrfs(&["subvolume", "delete"]).arg(&work));
        fs::rename(here.join("old"), &work).unwrap();
    });
    let kept = rig.in_pool("kept");
    let damage = || {
        fs::rename(&here, &kept).unwrap();
        need("btrfs", btrfs(&["subvolume", "create"]).arg(&here));
        need("cp", Command::new("cp").arg("-a").arg(kept.join(".")).arg(&here));
    };
    finds(&rig, &[], "its inode numbers are below the floor", damage, || {
        need("btrfs", btrfs(&["subvolume", "delete"]).arg(&here));
        fs::rename(&kept, &here).unwrap();
    });
}

#[test]
fn what_is_wrong_with_the_journal_is_found() {
    let (rig, root, point) = lab();
    let file = format!("@journal/entries/lab/{point}.json");
    let text = fs::read_to_string(rig.in_pool(&file)).unwrap();
    for (bytes, why) in [
        ("{", "EOF"),
        (&*text.replace(&format!("\"number\": {point}"), "\"number\": 1"), "it says it is entry 1"),
        (&*text.replace("\"lab\"", "\"two\""), "it says it is an entry of two"),
    ] {
        finds_in(&rig, &file, Some(bytes.as_bytes()), &format!("entry: {file}: it cannot be read"));
        fs::write(rig.in_pool(&file), bytes).unwrap();
        assert!(findings(&rig, &[])[0].contains(why), "{why}");
        fs::write(rig.in_pool(&file), &text).unwrap();
    }
    let unprotected = text.replace("\"point\": true", "\"point\": false");
    finds_in(
        &rig,
        &file,
        Some(unprotected.as_bytes()),
        &format!("entry: lab: point {point}: its entry says that none was taken"),
    );
    finds_in(&rig, &file, None, &format!("entry: lab: point {point}: it has no entry"));
    let copy = rig.in_pool("@journal/entries/.pool").join(format!("{point}.json"));
    let of_the_pool = text.replace("\"profile\": \"lab\",", "");
    finds(
        &rig,
        &[],
        &format!("entry {point} is in lab and in .pool"),
        || fs::write(&copy, of_the_pool).unwrap(),
        || fs::remove_file(&copy).unwrap(),
    );
    finds_in(
        &rig,
        "@journal/next",
        Some(b"00000000000000000002\n"),
        "next: @journal/next: it says 2, but entry",
    );
    finds_in(&rig, "@journal/next", Some(b"\0\0\0"), "next: @journal/next: it cannot be read");
    let (closed, open) = (rig.in_pool(&file), rig.in_pool(format!("@journal/entries/lab/{point}.open.json")));
    let damage = || {
        fs::write(&open, text.replace("completed", "open")).unwrap();
        fs::remove_file(&closed).unwrap();
    };
    finds(&rig, &[], &format!("open: lab: entry {point}: it is open, and over: cut off"), damage, || {
        fs::write(&closed, &text).unwrap();
        fs::remove_file(&open).unwrap();
    });
    // A package run that may be alive is nobody's fault.
    let run = rig.start_waiting("lab");
    fs::write(&open, text.replace("completed", "open").replace("\"set\"", "\"packages\"")).unwrap();
    fs::remove_file(&closed).unwrap();
    assert_eq!((findings(&rig, &[]), rig.current("lab")), (Vec::new(), root));
    run.end();
}

/// An index that is gone or behind mends itself; one that is sure of something else is named.
#[test]
fn what_is_wrong_with_the_index_is_found() {
    let (rig, ..) = lab();
    rig.profile(&["log", "lab"]).ok();
    let index = rig.in_pool("@journal/journal.db");
    let sqlite = |statements: &str| {
        let line =
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.close()";
        need("python3", Command::new("python3").args(["-c", line]).arg(&index).arg(statements));
    };
    let rebuild = || drop(rig.profile(&["journal", "rebuild"]).ok());
    finds(
        &rig,
        &[],
        "index: @journal/journal.db: it says something else than entries",
        || sqlite("UPDATE entry SET document = replace(document, 'completed', 'failed')"),
        rebuild,
    );
    finds(&rig, &[], "index: @journal/journal.db:", || sqlite("UPDATE entry SET document = 'x'"), rebuild);
    sqlite("PRAGMA wal_checkpoint(TRUNCATE)");
    let garble = || {
        let mut file = fs::OpenOptions::new().write(true).open(&index).unwrap();
        for page in 1..4 {
            file.seek(SeekFrom::Start(page * 4096)).unwrap();
            file.write_all(&[0xaa; 2000]).unwrap();
        }
    };
    finds(&rig, &[], "index: @journal/journal.db:", garble, rebuild);
    for harmless in ["DELETE FROM entry", "UPDATE entry SET mtime = 0", "PRAGMA user_version = 77"] {
        sqlite(harmless);
        assert_eq!(findings(&rig, &[]), [""; 0], "{harmless}");
    }
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(rig.in_pool(format!("@journal/journal.db{suffix}")));
    }
    assert_eq!(findings(&rig, &[]), [""; 0], "missing");
}

/// Blocks that do not match their checksum are counted by btrfs; a full pool is said before it hurts.
#[test]
fn what_is_wrong_with_the_device_is_found() {
    let (rig, ..) = lab();
    let ballast = rig.in_pool("@data/home/ballast");
    let fill = || {
        // Most of what the reserve leaves of 1 GiB in one go, the rest until it is full.
        need("fallocate", Command::new("fallocate").args(["-l", "600M"]).arg(&ballast));
        let mut file = fs::OpenOptions::new().append(true).open(&ballast).unwrap();
        while file.write_all(&[7; 1 << 20]).and_then(|()| file.sync_data()).is_ok() {}
    };
    let empty = || {
        fs::remove_file(&ballast).unwrap();
        need("btrfs", btrfs(&["filesystem", "sync"]).arg(rig.top()));
        need("btrfs", btrfs(&["balance", "start", "-dusage=5"]).arg(rig.top()));
    };
    finds(&rig, &[], "MiB left for data: changes will fail soon", fill, empty);

    let file = rig.in_pool("@data/home/file");
    fs::write(&file, vec![b'k'; 1 << 20]).unwrap();
    need("sync", Command::new("sync").arg("-f").arg(rig.top()));
    rig.release();
    rig.wait_until_detached();
    spoil(&rig.image);
    rig.hold();
    assert!(fs::read(rig.in_pool("@data/home/file")).is_err(), "btrfs sees it");
    let found = findings(&rig, &[]);
    assert!(found.iter().any(|f| f.starts_with("device: ") && f.contains("corrupt blocks")), "{found:?}");
    fs::remove_file(rig.in_pool("@data/home/file")).unwrap();
    need("btrfs", btrfs(&["device", "stats", "-z"]).arg(rig.top()));
    rig.verify();
}

/// Overwrites one block of the file of `k` in an image, behind btrfs's back.
fn spoil(image: &Path) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().read(true).write(true).open(image).unwrap();
    let mut block = vec![0; 1 << 20];
    for at in (0..file.metadata().unwrap().len()).step_by(block.len()) {
        file.read_exact_at(&mut block, at).unwrap();
        let found = block.chunks(4096).position(|page| page[0] == b'k' && page.iter().all(|b| *b == b'k'));
        if let Some(page) = found {
            return file.write_all_at(b"spoilt", at + page as u64 * 4096).unwrap();
        }
    }
    panic!("the file's blocks are not in the image");
}

/// The booted file says where this machine stands; when it lies, it is named.
#[test]
fn what_is_wrong_with_the_booted_file_is_found() {
    use std::os::unix::fs::MetadataExt;
    let (rig, root, _) = lab();
    let here = fs::metadata("/").unwrap();
    let uuid = rig.profile(&["status", "--json"]).ok().out;
    let uuid = serde_json::from_str::<serde_json::Value>(&uuid).unwrap()["pool"].as_str().unwrap().to_owned();
    let id = need("btrfs", btrfs(&["inspect-internal", "rootid"]).arg(rig.root_dir("lab")));
    let good = format!(
        "profile=lab\nroot={root}\nbase=13.1\npool={uuid}\ndevice=/dev/x\nsubvolid={id}\nidentity={}:{}\nmode=boot\n",
        here.dev(),
        here.ino()
    );
    // This test's own /run.
    fs::create_dir_all("/run/flipper").unwrap();
    let booted = Path::new("/run/flipper/booted");
    fs::write(booted, &good).unwrap();
    for (bad, wanted) in [
        (good.replace("root=", "root=9"), "it names root 9"),
        (good.replace("subvolid=", "subvolid=9"), "is not the subvolume it names"),
        (good.replace("base=13.1", "base=13.2"), "it names another base than its root"),
        (good.replace("mode=boot", "mode=?"), "mode \"?\" is not known"),
        (good.replace("root=", "toor="), "it has no line root="),
    ] {
        finds(&rig, &[], wanted, || fs::write(booted, bad).unwrap(), || fs::write(booted, &good).unwrap());
    }
    // Of another pool, or of another root directory (we are in a chroot): not ours to judge.
    for other in [
        good.replace(&uuid, "x").replace("root=", "root=9"),
        good.replace("identity=", "identity=9").replace("root=", "root=9"),
    ] {
        fs::write(booted, other).unwrap();
        assert_eq!(findings(&rig, &[]), [""; 0]);
    }
}
