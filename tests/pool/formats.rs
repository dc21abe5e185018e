//! A pool that a newer program has written to (house rule 13): programs roll back with their profile, the
//! pool does not. Minor steps are read, shown and kept; a major one is read, never written, and undone
//! from btrfs alone.

use std::fs;

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::rig::tree::{self, assert_same};

/// `@journal/format` with these lines in place of ours.
fn set_format(rig: &Rig, lines: &[(&str, u64)]) {
    let path = rig.in_pool("@journal/format");
    let mut text = fs::read_to_string(&path).unwrap();
    for (key, value) in lines {
        let old = text.lines().find(|l| l.starts_with(&format!("{key}="))).unwrap().to_owned();
        text = text.replace(&old, &format!("{key}={value}"));
    }
    fs::write(path, text + "later=thing\n").unwrap();
}

fn newer_minor(rig: &Rig) {
    set_format(rig, &[("format", 2)]);
}

fn newer_major(rig: &Rig) {
    set_format(rig, &[("format", 9), ("oldest_writer", 9)]);
}

fn entry_file(rig: &Rig, number: u64, suffix: &str) -> std::path::PathBuf {
    rig.in_pool(format!("@journal/entries/lab/{number}{suffix}"))
}

fn read_entry(rig: &Rig, number: u64) -> Value {
    rig.entries("lab").into_iter().find(|(n, _)| *n == number).expect("the entry is kept").1
}

/// What a newer program may add anywhere in an entry.
fn add_the_unknown(entry: &mut Value) {
    entry["colour"] =
        json!({"of": ["the", {"sky": "grüne\u{202e}"}], "n": -7, "big": 9007199254740993_u64, "none": null});
    entry["person"]["seat"] = json!([1, [2, [3]]]);
    entry["planned"] =
        json!([{"package": "a", "architecture": "all", "new": "1", "action": "fold", "size": 7}]);
    entry["changes"] = json!([
        {"package": "a", "architecture": "all", "new": "1", "action": "fold", "security": false, "size": {"of": 7}},
        {"package": "b", "architecture": "all", "new": "1", "action": "install", "security": true, "why": "x"}]);
}

/// Every key and value of `old` is in `now`, however deep; lists are the same length.
#[track_caller]
fn assert_kept(old: &Value, now: &Value, at: &str) {
    match (old, now) {
        (Value::Object(old), Value::Object(now)) => {
            for (key, value) in old {
                assert_kept(value, now.get(key).unwrap_or(&Value::Null), &format!("{at}.{key}"));
            }
        }
        (Value::Array(old), Value::Array(now)) if old.len() == now.len() => {
            for (n, (old, now)) in old.iter().zip(now).enumerate() {
                assert_kept(old, now, &format!("{at}[{n}]"));
            }
        }
        _ => assert_eq!(old, now, "{at}"),
    }
}

/// Unknown files, fields, kinds, actions and states: every reader and writer goes on, and keeps them.
#[test]
fn a_newer_minor_is_read_shown_and_kept() {
    let rig = Rig::with_lab();
    for args in ["1", "2", "3"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
    }
    newer_minor(&rig);
    let numbers: Vec<u64> = rig.entries("lab").iter().map(|(n, _)| *n).collect();
    let [_, first, second, third] = numbers[..] else { panic!("{numbers:?}") };
    for (number, key, word) in
        [(first, "state", "suspended"), (second, "kind", "teleport"), (third, "kind", "packages")]
    {
        let mut entry = read_entry(&rig, number);
        add_the_unknown(&mut entry);
        entry[key] = word.into();
        fs::write(entry_file(&rig, number, ".json"), entry.to_string()).unwrap();
    }
    let strangers = [
        "@journal/policy.json",
        "@journal/entries/lab/57.later.json",
        "@journal/entries/lab/notes",
        "@journal/entries/.later",
        "@profiles/lab/later",
        "@profiles/lab/roots/.later",
        "@profiles/.later",
        "@base/13.1.later",
        "@later",
    ];
    for name in strangers {
        fs::write(rig.in_pool(name), "{\"of\": \"a newer program\"}").unwrap();
    }
    let json_file = rig.in_pool("@profiles/lab/profile.json");
    let mut profile: Value = serde_json::from_slice(&fs::read(&json_file).unwrap()).unwrap();
    (profile["ledger"], profile["origin"]["stream"]) = (json!([{"n": 57}]), json!({"digest": "x"}));
    fs::write(&json_file, profile.to_string()).unwrap();
    fs::write(rig.in_pool("@journal/pool.conf"), "later=thing\ndefault=\n").unwrap();
    let before: Vec<(u64, Value)> = rig.entries("lab");

    for args in
        [&["list"][..], &["show", "lab"], &["status"], &["log", "lab"], &["verify"], &["journal", "rebuild"]]
    {
        rig.profile(args).ok();
    }
    rig.rescue(&["list"]).ok();
    let log = rig.profile(&["log", "lab"]).ok().out;
    for word in ["teleport (made by a newer program)", "suspended", "1 installed, 1 fold: b, a"] {
        assert!(log.contains(word), "{word} is not in\n{log}");
    }
    let told = rig.profile(&["log", "lab", "--json"]).json();
    assert_kept(&before[2].1["colour"], &told[1]["colour"], "colour");
    rig.undo(&["--profile", "lab", "--show", &second.to_string()]).ok();
    rig.undo(&["--profile", "lab", "--list"]).ok();

    rig.profile(&["default", "lab"]).ok();
    rig.profile(&["set", "lab", "--note", "x", "--args", "4"]).ok();
    rig.profile(&["save", "lab"]).ok();
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.undo(&["--profile", "lab", "--yes", "--redo"]).ok();
    rig.profile(&["clone", "lab", "two"]).ok();
    for (number, entry) in &before {
        assert_eq!(&read_entry(&rig, *number), entry, "entry {number}");
    }
    for name in strangers {
        assert_eq!(fs::read_to_string(rig.in_pool(name)).unwrap(), "{\"of\": \"a newer program\"}", "{name}");
    }
    let now: Value = serde_json::from_slice(&fs::read(&json_file).unwrap()).unwrap();
    assert_eq!(
        (&now["ledger"], &now["origin"]["stream"]),
        (&profile["ledger"], &profile["origin"]["stream"])
    );
    assert_eq!(fs::read_to_string(rig.in_pool("@journal/pool.conf")).unwrap(), "later=thing\ndefault=lab\n");
    assert!(fs::read_to_string(rig.in_pool("@journal/format")).unwrap().ends_with("later=thing\n"));
    rig.verify();
}

/// Entries a newer program had open when the older one took over: closed, cancelled, never cut short.
#[test]
fn an_entry_that_is_written_again_keeps_what_we_do_not_know() {
    let rig = Rig::with_lab();
    for args in ["1", "2"] {
        rig.profile(&["set", "lab", "--args", args]).ok();
    }
    newer_minor(&rig);
    let numbers: Vec<u64> = rig.entries("lab").iter().map(|(n, _)| *n).collect();
    let open = |number: u64, kind: &str, state: &str| {
        let mut entry = read_entry(&rig, number);
        add_the_unknown(&mut entry);
        (entry["kind"], entry["state"]) = (kind.into(), state.into());
        fs::write(entry_file(&rig, number, ".open.json"), entry.to_string()).unwrap();
        let _ = fs::remove_file(entry_file(&rig, number, ".json"));
        entry
    };
    let cut = open(numbers[1], "packages", "open");
    let plan = json!({"command_line": "apt install a", "comment": null, "weather": "fine", "planned": cut["planned"]});
    fs::write(entry_file(&rig, numbers[1], ".plan.json"), plan.to_string()).unwrap();
    let foreign = open(numbers[2], "packages", "suspended");
    fs::write(rig.root_dir("lab").join("root/etc/half"), "done").unwrap();
    rig.profile(&["set", "lab", "--note", "anything"]).ok(); // recovers
    let closed: Value =
        serde_json::from_slice(&fs::read(entry_file(&rig, numbers[1], ".json")).unwrap()).unwrap();
    assert_eq!(closed["state"], "interrupted");
    for key in ["colour", "person", "planned", "changes"] {
        assert_kept(&cut[key], &closed[key], key);
    }
    assert_eq!((&closed["weather"], &closed["command_line"]), (&"fine".into(), &"apt install a".into()));
    // One whose state nobody here knows is left to the program that does, open as it is.
    assert_eq!(fs::read_to_string(entry_file(&rig, numbers[2], ".open.json")).unwrap(), foreign.to_string());
    assert!(!entry_file(&rig, numbers[2], ".json").exists());

    // Cancelled: the undo of a newer program that waited.
    let run = rig.start_waiting("lab");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    let (undo, mut entry) = rig.last_entry("lab");
    add_the_unknown(&mut entry);
    fs::write(entry_file(&rig, undo, ".json"), entry.to_string()).unwrap();
    rig.undo(&["--profile", "lab", "--yes", "--cancel"]).ok();
    let cancelled = read_entry(&rig, undo);
    assert_eq!(cancelled["state"], "cancelled");
    for key in ["colour", "person", "planned", "changes"] {
        assert_kept(&entry[key], &cancelled[key], key);
    }
    run.end();
}

const REFUSED: &str = "written by a newer program (format 9): this one may read it but not change it";

#[test]
fn a_newer_major_is_read_and_never_written() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.profile(&["create", "gone"]).ok();
    rig.profile(&["delete", "gone", "--yes"]).ok();
    let old = fs::read_to_string(rig.in_pool("@journal/format")).unwrap();
    newer_major(&rig);
    // What a cut left is for the newer program to mend.
    fs::create_dir(rig.in_pool("@profiles/.new-x")).unwrap();
    let before = ["@profiles", "@base", "@journal"].map(|d| tree::read(&rig.in_pool(d)));
    for args in [&["list"][..], &["show", "lab"], &["status"]] {
        rig.profile(args).ok();
    }
    rig.undo(&["--profile", "lab", "--list"]).ok();
    rig.undo(&["--profile", "lab", "--dry-run"]).ok();
    rig.base(&["list"]).ok();
    assert!(rig.rescue(&["list"]).ok().out.contains(&format!("  {point}  before")));
    for args in [
        &["create", "x"][..],
        &["clone", "lab", "x"],
        &["set", "lab", "--note", "x"],
        &["save", "lab"],
        &["run", "lab", "true"],
        &["delete", "lab", "--yes"],
        &["default", "lab"],
        &["journal", "rebuild"],
    ] {
        rig.profile(args).refused(REFUSED);
    }
    rig.undo(&["--profile", "lab", "--yes", &point.to_string(), "--path", "/etc/hello.conf"])
        .refused(REFUSED);
    rig.undo(&["--profile", "gone", "--yes"]).refused(REFUSED);
    rig.base(&["import", "/", "--version", "2"]).refused(REFUSED);
    for (dir, before) in ["@profiles", "@base", "@journal"].iter().zip(&before) {
        assert_same(before, &tree::read(&rig.in_pool(dir)));
    }
    set_format(&rig, &[("oldest_reader", 9)]);
    for (program, args) in
        [("flipper-profile", &["list"][..]), ("flipper-undo", &["--yes"]), ("flipper-rescue", &["list"])]
    {
        rig.run(program, args).refused("that this one cannot read");
    }
    for nonsense in
        ["nonsense", "", "format=x\n", &old.replace("oldest_writer=1", "oldest_writer=4294967297")]
    {
        fs::write(rig.in_pool("@journal/format"), nonsense).unwrap();
        rig.profile(&["list"]).says(3, "@journal/format is damaged");
    }
    fs::write(rig.in_pool("@journal/format"), old).unwrap();
    fs::remove_dir(rig.in_pool("@profiles/.new-x")).unwrap();
    rig.verify();
}

/// Both ways to go back, with an older program, in a pool whose journal is not its own any more.
#[test]
fn a_newer_major_is_undone_from_btrfs_alone() {
    for (program, tail) in [("flipper-undo", &[][..]), ("flipper-rescue", &["last"])] {
        let rig = Rig::with_lab();
        rig.sh("lab", "echo before > /etc/mine");
        let before = rig.tree("lab");
        rig.profile(&["set", "lab", "--args", "quiet"]).ok();
        rig.sh("lab", "echo after > /etc/mine");
        let (after, old) = (rig.tree("lab"), rig.current("lab"));
        let format = fs::read(rig.in_pool("@journal/format")).unwrap();
        newer_major(&rig);
        let journal = tree::read(&rig.in_pool("@journal"));
        let undo = |tail: &[&str]| match program {
            "flipper-undo" => rig.undo(&[&["--profile", "lab", "--yes"], tail].concat()),
            _ => rig.rescue(&[&["stage", "lab"], tail, &["--yes"]].concat()),
        };
        let ended = undo(tail).ok();
        assert!(
            ended.err.contains("written by a newer program (format 9): it is undone without an entry"),
            "{}",
            ended.err
        );
        assert_same(&journal, &tree::read(&rig.in_pool("@journal")));
        let number = rig.current("lab");
        assert!(
            number > old && rig.in_pool(format!("@profiles/lab/roots/{old}")).exists(),
            "nothing is deleted"
        );
        assert_same(&before, &rig.mounted_read_only("lab"));
        // The state that was left is the point of that number, and nobody gives the number again.
        assert_same(&after, &rig.mounted_read_only(&format!("lab@{number}")));
        fs::write(rig.in_pool("@journal/format"), &format).unwrap();
        // The next program that may write finds out what was done, and it is an undo like any other.
        rig.profile(&["set", "lab", "--note", "anything"]).ok();
        let (found, entry) = rig.last_entry("lab");
        assert_eq!((found, &entry["kind"], &entry["root"]), (number, &"undo".into(), &old.into()), "{entry}");
        assert_eq!(entry["target"], number - 1);
        rig.verify();
        rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
        assert_same(&after, &rig.tree("lab"));
        rig.undo(&["--profile", "lab", "--yes"]).ok();
        assert_same(&before, &rig.tree("lab"));
        rig.rescue(&["stage", "lab", &number.to_string(), "--yes"]).ok();
        assert!(rig.last_entry("lab").0 > number);
        assert_same(&after, &rig.tree("lab"));
    }
}

/// With a root in use the undo waits, and cancelling it is the pointer alone.
#[test]
fn an_undo_without_an_entry_waits_and_is_cancelled() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let old = rig.current("lab");
    let run = rig.start_waiting("lab");
    newer_major(&rig);
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_ne!(rig.current("lab"), old);
    rig.undo(&["--profile", "lab", "--yes", "--cancel"]).ok();
    assert_eq!(rig.current("lab"), old);
    run.end();
}
