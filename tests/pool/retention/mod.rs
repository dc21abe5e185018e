//! Which points go, which never do, and what is said of those that went.

use std::fs;
use std::time::Duration;

mod in_use;

use crate::rig::tree::assert_same;
use crate::rig::{Rig, btrfs, need};

/// Rules of the pool; what is not named keeps nothing.
pub fn set_rules(rig: &Rig, rules: &str) {
    let mut text = String::from("default=\nboot_method=none\n");
    for key in [
        "last",
        "days",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "base_changes",
        "deleted_days",
        "free",
        "least",
    ] {
        let given = rules.split_whitespace().find_map(|rule| rule.strip_prefix(key)?.strip_prefix('='));
        text += &format!("keep_{key}={}\n", given.unwrap_or("0"));
    }
    fs::write(rig.in_pool("@journal/pool.conf"), text).unwrap();
}

/// `lab` with this many entries of kind set; their numbers.
pub fn with_points(count: usize) -> (Rig, Vec<u64>) {
    let rig = Rig::with_lab();
    let numbers = more_points(&rig, count);
    (rig, numbers)
}

fn more_points(rig: &Rig, count: usize) -> Vec<u64> {
    let make = |n: usize| {
        rig.profile(&["set", "lab", "--args", &n.to_string()]).ok();
        rig.last_entry("lab").0
    };
    (0..count).map(make).collect()
}

pub fn points(rig: &Rig) -> Vec<u64> {
    let mut numbers: Vec<u64> =
        rig.names("@profiles/lab/snapshots").iter().map(|name| name.parse().unwrap()).collect();
    numbers.sort();
    numbers
}

/// Writes into an entry that nobody has open.
fn edit(rig: &Rig, owner: &str, number: u64, key: &str, value: impl Into<serde_json::Value>) {
    let file = rig.in_pool(format!("@journal/entries/{owner}/{number}.json"));
    let mut entry: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    entry[key] = value.into();
    fs::write(file, entry.to_string()).unwrap();
}

/// The reasons of one point, from the plan.
fn reasons(plan: &serde_json::Value, point: u64) -> Vec<&str> {
    let points = plan["profiles"][0]["points"].as_array().unwrap();
    let found = points.iter().find(|p| p["point"] == point).unwrap();
    found["kept_for"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn prune_deletes_what_no_rule_keeps_and_says_why_the_rest_stays() {
    let (rig, n) = with_points(6);
    set_rules(&rig, "last=2");
    let before = (points(&rig), rig.entries(".pool"));
    let plan = rig.profile(&["prune", "lab", "--dry-run", "--json"]).json();
    assert_eq!(reasons(&plan, n[0]), ["first"]);
    assert_eq!(reasons(&plan, n[1]), [""; 0]);
    assert_eq!(reasons(&plan, n[5]), ["undo", "last"]);
    let told = rig.profile(&["prune", "--dry-run"]).ok().out;
    assert!(told.contains("lab: 3 points kept, 3 let go"), "{told}");
    assert!(told.contains("goes: beyond the last 2") && told.contains("kept: undo, last"), "{told}");
    assert_eq!((points(&rig), rig.entries(".pool")), before, "a dry run deletes nothing");

    rig.profile(&["prune", "lab"]).refused("not confirmed");
    assert_eq!(points(&rig), before.0);
    let tree = rig.tree("lab");
    rig.profile(&["prune", "lab", "--yes"]).ok();
    assert_eq!(points(&rig), [n[0], n[4], n[5]]);
    let (number, entry) = rig.last_entry(".pool");
    assert_eq!((&entry["kind"], &entry["state"]), (&"prune".into(), &"completed".into()));
    assert_eq!(entry["points"]["lab"], serde_json::json!([n[1], n[2], n[3]]));
    assert_eq!(entry["outcome"], "let go: 3 points");
    assert_same(&tree, &rig.tree("lab"));
    rig.verify();
    // The second time there is nothing to do, and nothing is journalled.
    let again = rig.profile(&["prune"]).ok();
    assert!(again.err.contains("nothing was let go"), "{}", again.err);
    assert_eq!(rig.last_entry(".pool").0, number);
}

#[test]
fn the_entries_of_pruned_points_say_so() {
    let (rig, n) = with_points(4);
    set_rules(&rig, "last=1");
    rig.profile(&["prune", "--yes"]).ok();
    let (by, _) = rig.last_entry(".pool");
    let log = rig.profile(&["log", "lab"]).ok().out;
    assert_eq!(log.matches(&format!("point pruned (entry {by})")).count(), 2, "{log}");
    let list = rig.undo(&["--profile", "lab", "--list"]).ok().out;
    assert_eq!(list.matches("(point pruned)").count(), 2, "{list}");
    let list = rig.undo(&["--profile", "lab", "--list", "--json"]).json();
    let of = |number: u64| list.as_array().unwrap().iter().find(|e| e["number"] == number).unwrap().clone();
    assert_eq!((&of(n[1])["pruned"], of(n[3]).get("pruned")), (&by.into(), None));
    let show = rig.undo(&["--profile", "lab", "--show", &n[1].to_string()]).ok().out;
    assert!(show.contains(&format!("(entry {by})")), "{show}");
    let gone = format!("the point before entry {} is not kept any more: pruned ", n[1]);
    rig.undo(&["--profile", "lab", "--yes", &n[1].to_string()]).refused(&gone);
    rig.undo(&["--profile", "lab", "--yes", &n[1].to_string(), "--path", "/etc/hello.conf"]).refused(&gone);
    rig.rescue(&["stage", "lab", &n[1].to_string(), "--yes"]).refused(&gone);
    rig.profile(&["clone", &format!("lab@{}", n[1]), "x"]).refused(&gone);
    rig.profile(&["mount", &format!("lab@{}", n[1]), "/run"]).refused(&gone);
    rig.profile(&["pin", &format!("lab@{}", n[1])]).refused(&gone);
    // The first point is always there to go back to.
    rig.undo(&["--profile", "lab", "--yes", &n[0].to_string()]).ok();
    assert_eq!(fs::read_to_string(rig.root_dir("lab").join("args")).unwrap(), "\n");
    rig.verify();
}

#[test]
fn pins_hold_until_they_are_taken_away() {
    let (rig, n) = with_points(5);
    set_rules(&rig, "");
    let point = format!("lab@{}", n[2]);
    rig.profile(&["pin", &point, "--note", "before the move"]).ok();
    rig.profile(&["set", "lab", "--note", "pins stay beside other changes"]).ok();
    let plan = rig.profile(&["prune", "--dry-run", "--json"]).json();
    assert_eq!(reasons(&plan, n[2]), ["pinned"]);
    assert!(rig.profile(&["prune", "--dry-run"]).ok().out.contains("kept: pinned (before the move)"));
    assert!(rig.profile(&["show", "lab"]).ok().out.contains(&format!("{} (before the move)", n[2])));
    rig.profile(&["prune", "--yes"]).ok();
    assert_eq!(points(&rig), [n[0], n[2], n[4]]);
    // An undo takes no pin back.
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.profile(&["prune", "--yes"]).ok();
    assert!(points(&rig).contains(&n[2]));
    rig.profile(&["unpin", &point]).ok();
    rig.profile(&["unpin", &point]).refused("is not pinned");
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    rig.profile(&["prune", "--yes"]).ok();
    assert!(!points(&rig).contains(&n[2]), "{:?}", points(&rig));
    for (args, status, words) in [
        (&["pin", "lab"][..], 64, "names no point"),
        (&["pin", "nobody@3"], 2, "there is no profile nobody"),
        (&["pin", "lab@999"], 2, "the point before entry 999 is not kept"),
        (&["pin", &format!("lab@{}", n[0]), "--note", "two\nlines"], 64, "one line"),
    ] {
        rig.profile(args).says(status, words);
    }
    rig.verify();
}

#[test]
fn what_undo_and_redo_return_to_stays() {
    let (rig, _) = with_points(4);
    set_rules(&rig, "");
    rig.sh("lab", "echo mine > /etc/mine");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    rig.profile(&["prune", "--yes"]).ok();
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "mine");
    rig.profile(&["prune", "--yes"]).ok();
    for _ in 0..2 {
        rig.undo(&["--profile", "lab", "--yes"]).ok();
        rig.profile(&["prune", "--yes"]).ok();
        rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
        rig.profile(&["prune", "--yes"]).ok();
    }
    assert_eq!(rig.sh("lab", "cat /etc/mine"), "mine");
    rig.verify();
}

/// Days count from the newest entry; the wall clock lets nothing go.
#[test]
fn ages_count_from_the_newest_entry_and_a_wrong_clock_lets_nothing_go() {
    let (rig, n) = with_points(5);
    set_rules(&rig, "days=3");
    for (number, day) in n.iter().zip([1, 2, 3, 5, 6]) {
        edit(&rig, "lab", *number, "started", format!("2026-01-0{day}T12:00:00Z"));
    }
    edit(&rig, "lab", rig.entries("lab")[0].0, "started", "2026-01-01T00:00:00Z");
    let going = || {
        let plan = rig.profile(&["prune", "--dry-run", "--json"]).json();
        let points = plan["profiles"][0]["points"].as_array().unwrap().clone();
        points.iter().filter(|p| p["goes"] == true).map(|p| p["point"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(going(), [n[1]], "ten months later by the wall clock, four days by the journal");
    edit(&rig, "lab", n[4], "started", "2099-01-01T00:00:00Z");
    let plan = rig.profile(&["prune", "--dry-run", "--json"]).json();
    assert_eq!(
        reasons(&plan, n[4]),
        ["from the future", "undo"].map(|w| w).into_iter().rev().collect::<Vec<_>>()
    );
    assert!(going().is_empty() || going() == [n[1]], "{:?}", going());
    edit(&rig, "lab", n[4], "started", "1970-01-01T00:00:10Z");
    assert!(going().is_empty() || going() == [n[1]], "{:?}", going());
    rig.profile(&["prune", "--yes"]).ok();
    assert!(points(&rig).contains(&n[2]) && points(&rig).contains(&n[4]));
    rig.verify();
}

#[test]
fn a_bad_rule_deletes_nothing() {
    let (rig, n) = with_points(4);
    let conf = rig.in_pool("@journal/pool.conf");
    set_rules(&rig, "");
    let good = fs::read_to_string(&conf).unwrap();
    for line in ["keep_last=ten", "keep_last=-1", "keep_dayz=30", "keep_free=99", "keep_days="] {
        fs::write(&conf, format!("{line}\n{good}")).unwrap();
        for args in [&["prune", "--yes"][..], &["prune", "--dry-run"]] {
            rig.profile(args).refused(&format!("pool.conf has the line \"{line}\""));
        }
    }
    assert_eq!(points(&rig), n);
    // Without any such line the rules of a fresh pool hold: all of this is from today.
    fs::write(&conf, "default=\n").unwrap();
    rig.profile(&["prune", "--yes"]).ok();
    assert_eq!(points(&rig), n);
}

#[test]
fn a_fresh_pool_says_its_rules() {
    let rig = Rig::new();
    let text = fs::read_to_string(rig.in_pool("@journal/pool.conf")).unwrap();
    assert!(text.contains("\nkeep_last=10\n") && text.contains("\nkeep_free=5\n"), "{text}");
}

/// Cut after the entry was opened: recover closes it, the next prune does the rest.
#[test]
fn a_prune_that_was_cut_is_done_again() {
    let (rig, n) = with_points(6);
    set_rules(&rig, "last=1");
    rig.profile(&["prune", "--yes"]).ok();
    let (number, _) = rig.last_entry(".pool");
    let dir = rig.in_pool("@journal/entries/.pool");
    edit(&rig, ".pool", number, "state", "open");
    fs::rename(dir.join(format!("{number}.json")), dir.join(format!("{number}.open.json"))).unwrap();
    // One deletion did not outlive the cut; a copy of state/ outlived its point; a profile was half gone.
    let point = rig.in_pool(format!("@profiles/lab/snapshots/{}", n[2]));
    need("btrfs", btrfs(&["subvolume", "snapshot", "-r"]).arg(rig.root_dir("lab")).arg(&point));
    need(
        "btrfs",
        btrfs(&["subvolume", "create"]).arg(rig.in_pool(format!("@profiles/lab/snapshots/{}.state", n[1]))),
    );
    fs::create_dir_all(rig.in_pool("@profiles/.pruned-old-3/roots")).unwrap();
    need("btrfs", btrfs(&["subvolume", "create"]).arg(rig.in_pool("@profiles/.pruned-old-3/roots/3")));
    let log = rig.profile(&["log", "lab"]).ok().out;
    assert_eq!(log.matches("point pruned").count(), 3, "what is there is not pruned: {log}");
    rig.profile(&["prune", "--yes"]).ok();
    let (_, entry) = rig.entries(".pool").into_iter().find(|(n, _)| *n == number).unwrap();
    assert_eq!(entry["state"], "interrupted");
    assert_eq!(points(&rig), [n[0], n[5]]);
    assert_eq!(rig.names("@profiles"), [".template", "lab"]);
    rig.verify();
}

#[test]
fn a_prune_killed_at_any_moment_leaves_a_pool_in_order() {
    let rig = Rig::with_lab();
    set_rules(&rig, "last=2");
    let before = rig.tree("lab");
    for round in 0..12u64 {
        more_points(&rig, 4);
        let mut prune = rig.command("flipper-profile", &["prune", "--yes"].map(AsRef::as_ref));
        let quiet = std::process::Stdio::null;
        let mut child = prune.stdout(quiet()).stderr(quiet()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(2 * round));
        let _ = child.kill();
        child.wait().unwrap();
        rig.profile(&["set", "lab", "--note", "x"]).ok();
        assert!(rig.entries(".pool").iter().all(|(_, e)| e["state"] != "open"), "round {round}");
        rig.verify();
    }
    rig.profile(&["prune", "--yes"]).ok();
    assert_eq!(points(&rig).len(), 3);
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert!(before.len() == rig.tree("lab").len());
    rig.verify();
}

/// A pool somebody has filled: what only rules keep gives way, oldest first, and no more than is needed.
#[test]
fn short_of_room_the_oldest_give_way() {
    let rig = Rig::with_lab();
    let mut numbers = Vec::new();
    for n in 0..6 {
        // 40 MB that only this point will hold.
        let file = rig.root_dir("lab").join("root/opt/big");
        let _ = fs::remove_file(&file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, vec![n as u8; 40 << 20]).unwrap();
        numbers.extend(more_points(&rig, 1));
    }
    let _ = fs::remove_file(rig.root_dir("lab").join("root/opt/big"));
    set_rules(&rig, "last=100 least=2 free=44");
    // 9 % of a GB are missing: two or three points of 40 MB bring that back.
    need("sync", std::process::Command::new("sync").arg("-f").arg(rig.top()));
    let free = || fs2::available_space(rig.top()).unwrap();
    let wanted = fs2::total_space(rig.top()).unwrap() / 100 * 35;
    assert!(free() > wanted, "{} are free, {wanted} are wanted", free());
    let ballast = fs::File::create(rig.in_pool("@data/home/ballast")).unwrap();
    fs2::FileExt::allocate(&ballast, free() - wanted).unwrap();
    ballast.sync_all().unwrap();
    let told = rig.profile(&["prune", "--dry-run"]).ok().out;
    assert!(told.contains("room is short") && told.contains("last; goes while room is short"), "{told}");
    assert_eq!(points(&rig).len(), 6);
    let said = rig.profile(&["prune", "--yes"]).ok();
    let left = points(&rig);
    assert!(
        left.contains(&numbers[0]) && left.contains(&numbers[5]) && left.contains(&numbers[4]),
        "{left:?}"
    );
    assert!((3..=4).contains(&left.len()), "{left:?} {}", said.err);
    assert!(!left.contains(&numbers[1]), "the oldest go first: {left:?}");
    let plan = rig.profile(&["prune", "--dry-run", "--json"]).json();
    assert_eq!(plan["room"]["missing"], 0, "{plan}");
    rig.verify();
}

/// Where the owner's files fill it, no history is given up for nothing.
#[test]
fn short_of_room_points_that_would_not_help_stay() {
    let (rig, n) = with_points(6);
    set_rules(&rig, "last=100 least=1 free=50");
    let ballast = fs::File::create(rig.in_pool("@data/home/ballast")).unwrap();
    fs2::FileExt::allocate(&ballast, fs2::available_space(rig.top()).unwrap() / 10 * 9).unwrap();
    ballast.sync_all().unwrap();
    let said = rig.profile(&["prune", "--yes"]);
    assert!(said.out.contains("room is short"), "{}", said.out);
    assert_eq!(points(&rig), n);
}
