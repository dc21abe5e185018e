//! The entries are the truth and the index is made from them: whatever becomes of the index, the log
//! prints the same bytes, and a rebuild changes none.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::rig::{Rig, btrfs, need};

/// A journal with everything in it that a log can show.
fn rich() -> Rig {
    let rig = Rig::with_lab();
    for args in ["1", "2", "3", "4"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
    }
    packages(&rig, "failed", "\"outcome\": \"hello is half-configured\"");
    packages(
        &rig,
        "interrupted",
        "\"outcome\": \"cut off\", \"comment\": \"bad \\u001b[31m\\u202e weather\"",
    );
    packages(&rig, "suspended", "\"beam\": {\"of\": [1, 2.5, null]}");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.undo(&["--profile", "lab", "--yes", "--redo"]).ok();
    rig.profile(&["save", "lab", "--note", "grüße 🦎"]).ok();
    let run = rig.start_waiting("lab");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.undo(&["--profile", "lab", "--yes", "--cancel"]).ok();
    run.end();
    rig.profile(&["clone", "lab", "two"]).ok();
    rig.profile(&["set", "two", "--args", "x"]).ok();
    rig.profile(&["delete", "two", "--yes"]).ok();
    rig.undo(&["--profile", "two", "--yes"]).ok();
    rig.profile(&["default", "lab"]).ok();
    // A point that is not kept any more, and a run that is not over.
    let (gone, _) = rig.entries("lab")[2].clone();
    need(
        "btrfs",
        btrfs(&["subvolume", "delete"]).arg(rig.in_pool(format!("@profiles/lab/snapshots/{gone}"))),
    );
    rig
}

/// A package run as a hook leaves it, with a point of its own.
fn packages(rig: &Rig, state: &str, more: &str) {
    rig.profile(&["set", "lab", "--args", state]).ok();
    let (number, entry) = rig.last_entry("lab");
    let (root, base, started) = (&entry["root"], &entry["base"], &entry["started"]);
    let text = format!(
        r#"{{"number": {number}, "profile": "lab", "root": {root}, "base": {base}, "kind": "packages",
            "state": "{state}", "point": true, "started": {started}, "ended": {started}, {more},
            "command_line": "apt install hello", "person": {{"uid": 1000, "name": "kim"}},
            "changes": [
                {{"package": "hello", "architecture": "amd64", "old": "1", "new": "2", "action": "upgrade"}},
                {{"package": "lib\u202eolleh", "architecture": "amd64", "new": "2", "action": "teleport", "far": 9}}]}}"#
    );
    fs::write(rig.in_pool(format!("@journal/entries/lab/{number}.json")), text).unwrap();
}

/// Everything that is printed from the journal, errors too.
fn told(rig: &Rig) -> Vec<String> {
    let mut told = Vec::new();
    for words in [&["lab"][..], &["two"], &["lab", "-n", "1000", "--json"], &["two", "-n", "1000", "--json"]]
    {
        told.push(rig.profile(&[&["log"], words].concat()).ok().out);
    }
    for words in [&["--list"][..], &["--list", "--json"]] {
        told.push(rig.undo(&[&["--profile", "lab"], words].concat()).ok().out);
    }
    told
}

fn index(rig: &Rig, suffix: &str) -> PathBuf {
    rig.in_pool(format!("@journal/journal.db{suffix}"))
}

fn forget(rig: &Rig) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(index(rig, suffix));
    }
}

/// python3's module stands for the sqlite3 program.
fn sqlite(rig: &Rig, statements: &str) {
    let line =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.close()";
    need("python3", Command::new("python3").args(["-c", line]).arg(index(rig, "")).arg(statements));
}

/// The truth itself, without any index: a directory stands where it would be made.
fn truth(rig: &Rig) -> Vec<String> {
    forget(rig);
    fs::create_dir(index(rig, "")).unwrap();
    let truth = told(rig);
    fs::remove_dir(index(rig, "")).unwrap();
    truth
}

#[test]
fn the_log_is_the_same_whatever_becomes_of_the_index() {
    let rig = rich();
    let first = told(&rig);
    for word in
        ["suspended", "teleport", "\"grüße 🦎\"", "taken back", "not kept any more", "interrupted: cut off"]
    {
        assert!(first[0].contains(word), "{word} is not in the log\n{}", first[0]);
    }
    assert!(first[2].contains("\"far\": 9") || first[2].contains("\"beam\""), "{}", first[2]);
    let rebuild = |what: &str| {
        rig.profile(&["journal", "rebuild"]).ok();
        assert_eq!(told(&rig), first, "rebuilt after: {what}");
    };
    rebuild("nothing");
    need("python3", &mut checkpoint(&rig));
    let (whole, length) = (fs::read(index(&rig, "")).unwrap(), fs::metadata(index(&rig, "")).unwrap().len());
    assert!(length > 8192, "the index is in the file");
    for keep in [0, 1, 16, 100, 4095, 4096, 4097, length / 2, length - 4096, length - 1] {
        forget(&rig);
        fs::write(index(&rig, ""), &whole[..keep as usize]).unwrap();
        assert_eq!(told(&rig), first, "cut to {keep} bytes");
        rebuild(&format!("cut to {keep} bytes"));
    }
    for (what, bytes) in [("garbage", vec![b'x'; 70_000]), ("zeros", vec![0; 8192])] {
        forget(&rig);
        fs::write(index(&rig, ""), bytes).unwrap();
        assert_eq!(told(&rig), first, "{what}");
        rebuild(what);
    }
    for version in ["0", "-1", "2", "2147483647"] {
        sqlite(&rig, &format!("PRAGMA user_version = {version}"));
        assert_eq!(told(&rig), first, "user_version {version}");
        rebuild(version);
    }
    sqlite(&rig, "DELETE FROM entry WHERE number % 2 = 0; UPDATE entry SET size = 1 WHERE number % 3 = 0");
    assert_eq!(told(&rig), first, "rows are missing");
    fs::write(index(&rig, "-wal"), vec![7; 50_000]).unwrap();
    assert_eq!(told(&rig), first, "a foreign log beside it");
    rebuild("a foreign log beside it");
    assert_eq!(truth(&rig), first, "the entries themselves say the same");
    assert_eq!(told(&rig), first, "and made anew");
}

fn checkpoint(rig: &Rig) -> Command {
    let mut command = Command::new("python3");
    let line = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA wal_checkpoint(TRUNCATE)'); c.close()";
    command.args(["-c", line]).arg(index(rig, ""));
    command
}

/// What the index knew of an entry that cannot be read any more is not the truth any more.
#[test]
fn a_damaged_entry_is_not_told_from_memory() {
    let rig = Rig::with_lab();
    for args in ["1", "2", "3"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
    }
    let _ = told_of_lab(&rig);
    let (number, _) = rig.entries("lab")[2].clone();
    let file = rig.in_pool(format!("@journal/entries/lab/{number}.json"));
    let other = fs::read_to_string(&file).unwrap();
    for damaged in [
        "{",
        "",
        "[]",
        &other.replace("\"lab\"", "\"two\""),
        &other.replace(&format!("\"number\": {number}"), "\"number\": 1"),
    ] {
        fs::write(&file, damaged).unwrap();
        let told = told_of_lab(&rig);
        rig.profile(&["journal", "rebuild"]).ok();
        assert_eq!(told_of_lab(&rig), told, "{damaged:?}");
        assert!(told[1].lines().all(|l| !l.contains(&format!("\"number\": {number},"))), "{damaged:?}");
    }
    fs::write(&file, &other).unwrap();
    assert!(
        told_of_lab(&rig)[1].contains(&format!("\"number\": {number},")),
        "whole again, it is told again"
    );
    rig.verify();
}

fn told_of_lab(rig: &Rig) -> [String; 2] {
    [&["log", "lab"][..], &["log", "lab", "--json"]].map(|words| rig.profile(words).ok().out)
}

/// apt says what it will do after the entry was opened, and a log may have been read in between.
#[test]
fn the_plan_of_an_open_run_is_told_as_it_comes() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "x"]).ok();
    let (number, entry) = rig.last_entry("lab");
    let dir = rig.in_pool("@journal/entries/lab");
    let closed = dir.join(format!("{number}.json"));
    let open = entry.to_string().replace("\"set\"", "\"packages\"").replace("\"completed\"", "\"open\"");
    let run = rig.start_waiting("lab"); // a run that might be alive: nobody closes its entry
    fs::write(dir.join(format!("{number}.open.json")), open).unwrap();
    fs::remove_file(&closed).unwrap();
    let before = told_of_lab(&rig);
    let plan = |package: &str| {
        let text = format!(
            r#"{{"command_line":"apt install {package}","comment":null,
                "planned":[{{"package":"{package}","architecture":"all","new":"1","action":"install"}}]}}"#
        );
        fs::write(dir.join(format!("{number}.plan.json")), text).unwrap();
        told_of_lab(&rig)
    };
    let (first, second) = (plan("hello"), plan("world"));
    assert!(!before[0].contains("hello") && first[0].contains("1 installed: hello"), "{}", first[0]);
    assert!(second[0].contains("1 installed: world"), "{}", second[0]);
    rig.profile(&["journal", "rebuild"]).ok();
    assert_eq!(told_of_lab(&rig), second);
    run.end();
}
