//! Bad input and a damaged pool: one sentence, the right exit status, nothing lost.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::rig::tree::assert_same;
use crate::rig::{Rig, btrfs, ended, need, program_path};

#[test]
fn without_a_pool_every_program_says_so() {
    let rig = Rig::bare();
    let plain = rig.path("plain.img");
    fs::File::create(&plain).unwrap().set_len(1 << 20).unwrap();
    let cases: [(&str, &str); 4] = [
        ("/nowhere/pool.img", "cannot look at /nowhere/pool.img"),
        (plain.to_str().unwrap(), "is not on btrfs"),
        ("/run", "is not on btrfs"),
        ("00000000-0000-4000-8000-000000000000", "holds no pool"),
    ];
    for (pool, words) in cases {
        for (program, args) in [
            ("flipper-profile", &["list"][..]),
            ("flipper-profile", &["create", "lab"]),
            ("flipper-undo", &["--list"]),
            ("flipper-base", &["list"]),
            ("flipper-rescue", &["list"]),
        ] {
            rig.run(program, &[&["--pool", pool], args].concat()).says(3, words);
        }
    }
    // A btrfs that is no pool.
    need(
        "mkfs.btrfs",
        Command::new("mkfs.btrfs").arg("-q").arg({
            let file = rig.path("empty.img");
            fs::File::create(&file).unwrap().set_len(256 << 20).unwrap();
            file
        }),
    );
    rig.profile(&["--pool", rig.path("empty.img").to_str().unwrap(), "list"]).says(3, "holds no pool");
    // None named and none below /.
    let mut status = rig.command("flipper-profile", &["status".as_ref()]);
    let said = ended(status.env_remove("FLIPPER_POOL"));
    assert_eq!(said.status, 1, "{}", said.err);
    assert!(
        said.out.contains("nothing is protected") && said.out.contains("next: flipper-profile init"),
        "{}",
        said.out
    );
    let mut list = rig.command("flipper-profile", &["list".as_ref()]);
    ended(list.env_remove("FLIPPER_POOL")).says(3, "there is no pool");
}

#[test]
fn without_root_every_program_says_so() {
    let rig = Rig::with_lab();
    fs::set_permissions(rig.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (program, args) in [
        ("flipper-profile", &["list"][..]),
        ("flipper-profile", &["run", "lab", "true"]),
        ("flipper-profile", &["init", "--image", "x.img"]),
        ("flipper-undo", &["--yes"]),
        ("flipper-base", &["list"]),
        ("flipper-rescue", &["list"]),
    ] {
        let copy = rig.path(program);
        // By a program of its own: another test's child would hold our descriptor of it ("Text file busy").
        let copied = Command::new("cp").arg(program_path(program)).arg(&copy).status().unwrap();
        assert!(copied.success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy).args(args);
        ended(command.env_clear().env("FLIPPER_POOL", &rig.image)).says(3, "this needs root");
    }
    // Help needs nobody's permission.
    let mut help = Command::new("setpriv");
    help.args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(rig.path("flipper-undo"))
        .arg("--help");
    ended(&mut help).ok();
}

#[test]
fn what_is_not_there_and_what_is_no_name_is_said() {
    let rig = Rig::with_lab();
    for args in [
        &["show", "nobody"][..],
        &["run", "nobody", "true"],
        &["log", "nobody"],
        &["delete", "nobody", "--yes"],
    ] {
        rig.profile(args).refused("there is no profile nobody");
    }
    for args in [&["show", "No"][..], &["run", "../lab", "true"], &["clone", "lab", "x y"], &["default", "."]]
    {
        rig.profile(args).says(64, "is not a profile id");
    }
    for args in [&["frobnicate"][..], &["create"], &["list", "--format", "xml"]] {
        assert_eq!(rig.profile(args).status, 64, "{args:?}");
    }
    rig.undo(&["--profile", "nobody", "--yes"]).refused("there is no profile nobody");
    rig.undo(&["--profile", "lab", "--yes"]).refused("nothing to undo in profile lab");
    rig.verify();
}

#[test]
fn the_number_of_the_next_entry_is_found_again() {
    let rig = Rig::with_lab();
    let next = rig.in_pool("@journal/next");
    for (n, text) in [None, Some(&b""[..]), Some(b"garbage\xff"), Some(&[0; 21])].into_iter().enumerate() {
        let (highest, _) = rig.last_entry("lab");
        match text {
            None => fs::remove_file(&next).unwrap(),
            Some(bytes) => fs::write(&next, bytes).unwrap(),
        }
        assert_eq!(rig.profile(&["verify"]).status, 1);
        rig.profile(&["set", "lab", "--args", &n.to_string()]).ok();
        assert_eq!(rig.last_entry("lab").0, highest + 1);
        rig.verify();
    }
}

/// An old number in `next` (a restored file) must not make an entry over an existing one.
#[test]
fn a_number_is_never_given_twice() {
    let rig = Rig::with_lab();
    for _ in 0..3 {
        rig.profile(&["set", "lab", "--args", "x"]).ok();
    }
    let (before, (highest, _)) = (rig.entries("lab"), rig.last_entry("lab"));
    fs::write(rig.in_pool("@journal/next"), "00000000000000000002\n").unwrap();
    rig.profile(&["set", "lab", "--args", "y"]).ok();
    assert_eq!(rig.entries("lab")[..before.len()], before[..]);
    assert_eq!(rig.last_entry("lab").0, highest + 1);
    rig.verify();
}

/// A power cut kept the name of an entry that had just begun, neither its text nor the next number.
#[test]
fn an_empty_open_entry_is_cleared_away() {
    let rig = Rig::with_lab();
    let (highest, _) = rig.last_entry("lab");
    fs::write(rig.in_pool(format!("@journal/entries/lab/{}.open.json", highest + 1)), "").unwrap();
    rig.profile(&["set", "lab", "--args", "x"]).ok();
    assert_eq!(rig.profile(&["log", "lab"]).ok().err, "");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.verify();
}

#[test]
fn an_entry_that_cannot_be_read_is_named_and_passed_over() {
    let rig = Rig::with_lab();
    for args in ["1", "2", "3"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
    }
    let numbers: Vec<u64> = rig.entries("lab").iter().map(|(n, _)| *n).collect();
    let [.., second, _] = numbers[..] else { panic!() };
    let file = rig.in_pool(format!("@journal/entries/lab/{second}.json"));
    let kept = fs::read(&file).unwrap();
    for garbage in [&b"{\"number\": 12,"[..], b"", b"\xff\xfe", b"[]"] {
        fs::write(&file, garbage).unwrap();
        let log = rig.profile(&["log", "lab"]).ok();
        assert!(log.err.contains(&format!("{second}.json cannot be read")), "{}", log.err);
        assert_eq!(rig.profile(&["verify"]).status, 1);
        assert_eq!(rig.profile(&["status"]).status, 1);
        rig.profile(&["list"]).ok();
    }
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(fs::read_to_string(rig.root_dir("lab").join("args")).unwrap(), "2\n");
    // Its point is still there and can be reached by the name of its state.
    rig.profile(&["clone", &format!("lab@{second}"), "then"]).ok();
    assert_eq!(fs::read_to_string(rig.root_dir("then").join("args")).unwrap(), "1\n");
    let list = rig.rescue(&["list", "lab"]).ok().out;
    assert!(list.contains(&format!("{second}  before: (its entry is lost)")), "{list}");
    fs::write(&file, kept).unwrap();
    rig.verify();
}

#[test]
fn the_index_is_made_again_from_the_entries() {
    let rig = Rig::with_lab();
    for args in ["1", "2"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
    }
    let log = || rig.profile(&["log", "lab"]).ok();
    let told = log();
    assert_eq!(told.err, "");
    let index = rig.in_pool("@journal/journal.db");
    let forget = || {
        for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
            let _ = fs::remove_file(rig.in_pool("@journal").join(name));
        }
    };
    let damages: [(&str, &dyn Fn()); 6] = [
        ("missing", &forget),
        ("garbage", &|| {
            forget();
            fs::write(&index, vec![b'x'; 10000]).unwrap();
        }),
        ("empty", &|| {
            forget();
            fs::write(&index, "").unwrap();
        }),
        ("cut", &|| {
            rig.profile(&["log", "lab"]).ok();
            need("sqlite", &mut sqlite(&rig, "PRAGMA wal_checkpoint(TRUNCATE)"));
            let bytes = fs::read(&index).unwrap();
            forget();
            fs::write(&index, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("of another version", &|| {
            need("sqlite", &mut sqlite(&rig, "PRAGMA user_version = 0"));
        }),
        ("of another program", &|| {
            need("sqlite", &mut sqlite(&rig, "DROP TABLE change; PRAGMA user_version = 1"));
        }),
    ];
    for (what, damage) in damages {
        damage();
        let again = log();
        assert!(again.err.contains("made again from 4 entries"), "{what}: {}", again.err);
        assert_eq!(again.out, told.out, "{what}");
        assert_eq!(log().err, "", "{what}: said once");
        damage();
        rig.profile(&["set", "lab", "--note", "a change goes on too"]).ok();
        log();
    }
    let ended = rig.profile(&["journal", "rebuild"]).ok();
    assert!(ended.out.contains("4 entries"), "{}", ended.out);
    // Lost entries are lost in the index too: the entries are the truth.
    let (last, _) = rig.last_entry("lab");
    fs::remove_file(rig.in_pool(format!("@journal/entries/lab/{last}.json"))).unwrap();
    let log = rig.profile(&["log", "lab", "--json"]).json();
    assert!(log.as_array().unwrap().iter().all(|entry| entry["number"] != last), "{log}");
}

/// python3's module stands for the sqlite3 program: it is on every Debian with apt-listchanges or less.
fn sqlite(rig: &Rig, statements: &str) -> Command {
    let mut command = Command::new("python3");
    let line =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.close()";
    command.args(["-c", line]).arg(rig.in_pool("@journal/journal.db")).arg(statements);
    command
}

#[test]
fn a_point_that_was_deleted_behind_our_back_is_missed() {
    let rig = Rig::with_lab();
    for args in ["1", "2"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
    }
    let (point, _) = rig.last_entry("lab");
    need(
        "btrfs",
        btrfs(&["subvolume", "delete"]).arg(rig.in_pool(format!("@profiles/lab/snapshots/{point}"))),
    );
    let before = rig.tree("lab");
    let missing = format!("the point before entry {point} is not kept any more");
    rig.undo(&["--profile", "lab", "--yes"]).refused(&missing);
    rig.undo(&["--profile", "lab", "--yes", &point.to_string()]).refused(&missing);
    rig.profile(&["mount", &format!("lab@{point}"), "/run"]).refused(&missing);
    rig.profile(&["clone", &format!("lab@{point}"), "x"]).refused(&missing);
    assert_same(&before, &rig.tree("lab"));
    // By its number the one before is still reached.
    rig.undo(&["--profile", "lab", "--yes", &(point - 1).to_string()]).ok();
    assert_eq!(fs::read_to_string(rig.root_dir("lab").join("args")).unwrap(), "\n");
}

#[test]
fn one_damaged_profile_does_not_take_the_others_with_it() {
    let rig = Rig::with_lab();
    rig.profile(&["create", "two"]).ok();
    rig.profile(&["set", "two", "--args", "x"]).ok();
    let (current, json) = (rig.in_pool("@profiles/lab/current"), rig.in_pool("@profiles/lab/profile.json"));
    let kept = fs::read(&json).unwrap();
    let number = rig.current("lab");
    let damages: [(&dyn Fn(), &str); 3] = [
        (&|| fs::write(&json, "{").unwrap(), "profile.json"),
        (&|| fs::remove_file(&current).unwrap(), "current"),
        (
            &|| {
                let _ = fs::remove_file(&current);
                std::os::unix::fs::symlink("roots/999", &current).unwrap();
            },
            "999",
        ),
    ];
    for (damage, word) in damages {
        damage();
        let verify = rig.profile(&["verify"]);
        assert!(verify.status == 1 && verify.out.contains(word), "{word}: {}{}", verify.out, verify.err);
        let run = rig.profile(&["run", "lab", "true"]);
        // What only describes a profile stops no run: it may be the way to mend things. It is said.
        let expected: &[i32] = if word == "profile.json" { &[0] } else { &[2, 3] };
        assert!(
            expected.contains(&run.status) && run.err.contains(word),
            "{word}: {} {}",
            run.status,
            run.err
        );
        rig.sh("two", "true");
        rig.undo(&["--profile", "two", "--yes"]).ok();
        rig.undo(&["--profile", "two", "--redo", "--yes"]).ok();
        let list = rig.profile(&["list"]);
        assert!(list.out.contains("two"), "{word}: the others are listed: {}{}", list.out, list.err);
        fs::write(&json, &kept).unwrap();
        let _ = fs::remove_file(&current);
        std::os::unix::fs::symlink(format!("roots/{number}"), &current).unwrap();
    }
    rig.verify();
}

#[test]
fn a_full_pool_loses_nothing_and_says_one_sentence() {
    let rig = Rig::bare();
    rig.profile(&["init", "--image", rig.image_name(), "--size", "256M", "--inode-floor", "65536"]).ok();
    let tiny = rig.path("tiny");
    crate::rig::root::make(&tiny);
    rig.base(&["import", tiny.to_str().unwrap(), "--version", "13.1", "--clean"]).ok();
    rig.profile(&["create", "lab"]).ok();
    rig.hold();
    rig.sh("lab", "echo mine > /etc/mine");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let before = rig.tree("lab");
    // Data first, then metadata too.
    let mut file = fs::File::create(rig.in_pool("@data/home/ballast")).unwrap();
    let block = vec![7u8; 1 << 20];
    while file.write_all(&block).is_ok() {}
    drop(file);
    for n in 0.. {
        if fs::write(rig.in_pool(format!("@data/home/small-{n}")), vec![n as u8; 2000]).is_err() || n > 60000
        {
            break;
        }
    }
    need("sync", Command::new("sync").arg("-f").arg(rig.top()));
    for args in [&["list"][..], &["log", "lab"], &["status"], &["show", "lab"]] {
        rig.profile(args).ok();
    }
    rig.undo(&["--profile", "lab", "--list"]).ok();
    rig.rescue(&["list"]).ok();
    for args in [&["set", "lab", "--args", "more"][..], &["clone", "lab", "x"], &["create", "y"]] {
        let ended = rig.profile(args);
        assert!(ended.status == 0 || ended.status == 3, "{args:?}: {} {}", ended.status, ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
    let ended = rig.undo(&["--profile", "lab", "--yes"]);
    assert!(
        ended.status == 0 || ended.status == 3 && ended.err.contains("No space left"),
        "{} {}",
        ended.status,
        ended.err
    );
    // With space again everything works, and nothing that was acknowledged is gone.
    fs::remove_file(rig.in_pool("@data/home/ballast")).unwrap();
    need("sync", Command::new("sync").arg("-f").arg(rig.top()));
    rig.profile(&["set", "lab", "--note", "x"]).ok();
    rig.verify();
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "mine");
    assert_same(&before, &rig.tree("lab"));
}
