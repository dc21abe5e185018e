//! `flipper-base list` and `mark-good`: which base is what, how it came, and which one is never pruned.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{by_hand, named, publish, publisher, receive};
use crate::rig::Rig;

#[test]
fn the_list_says_of_each_base_how_it_came_and_what_it_takes() {
    let (rig, streams) = publisher();
    let [whole, delta] = ["whole", "delta"].map(|name| streams.join(name));
    publish(&rig, "13.2", &whole, &[]).ok();
    by_hand(&rig, &delta, Some("13.2"), named("13.3"));
    receive(&rig, &whole, &["--base", "twin"]).ok();
    receive(&rig, &delta, &[]).ok();
    rig.profile(&["create", "lab", "--base", "13.3"]).ok();
    rig.base(&["mark-good"]).ok();
    let list = rig.base(&["list", "--json"]).json();
    let of = |version: &str| {
        list.as_array().unwrap().iter().find(|row| row["version"] == version).unwrap().clone()
    };
    let marks = |version: &str| ["current", "good", "candidate"].map(|mark| of(version)[mark] == true);
    assert_eq!(marks("13.1"), [true, true, false]);
    assert_eq!(marks("13.3"), [false, false, true]);
    let came = |version: &str| (of(version)["came"]["how"].clone(), of(version)["came"]["delta_to"].clone());
    assert_eq!(came("13.2"), ("imported".into(), serde_json::Value::Null));
    assert_eq!(came("twin"), ("received".into(), serde_json::Value::Null));
    // Two bases answer to the UUID of the parent; both are the same.
    assert_eq!(came("13.3").0, "received");
    assert!(["13.2", "twin"].contains(&came("13.3").1.as_str().unwrap()));
    assert_eq!(of("13.3")["users"], serde_json::json!(["lab"]));
    // A delta shares what its parent has; a base received whole is alone with what it takes.
    let bytes = |version: &str, what: &str| of(version)[what].as_u64().unwrap();
    assert!(bytes("13.3", "unique") < 100_000 && bytes("13.3", "total") > 3_000_000);
    let alone = bytes("13.2", "unique").max(bytes("twin", "unique"));
    assert!(alone > 3_000_000, "{list}");
    let text = rig.base(&["list"]).ok().out;
    let line = |version: &str| text.lines().find(|line| line.starts_with(version)).unwrap().to_owned();
    assert!(line("13.1").contains("current, last good  imported 20"), "{text}");
    assert!(line("13.3").contains("candidate") && line("13.3").contains("received 20"), "{text}");
    assert!(line("13.3").contains(", delta to ") && line("13.3").ends_with("lab"), "{text}");
    assert!(line("twin").ends_with("-"), "{text}");
    rig.verify();
}

fn good(rig: &Rig) -> Option<std::path::PathBuf> {
    fs::read_link(rig.in_pool("@base/good")).ok()
}

#[test]
fn the_last_good_base_is_never_pruned() {
    let (rig, _) = publisher();
    assert_eq!(good(&rig), None);
    let said = rig.base(&["mark-good", "13.2"]).ok().out;
    assert_eq!(said, "base 13.2 is last good\n");
    assert_eq!(good(&rig).as_deref(), Some(Path::new("13.2")));
    rig.base(&["prune", "13.2", "--yes"]).refused("base 13.2 is kept: last good");
    rig.base(&["mark-good", "13.9"]).refused("there is no base 13.9");
    rig.base(&["mark-good", "../x"]).says(64, "is not a base version");
    assert_eq!(good(&rig).as_deref(), Some(Path::new("13.2")));
    // Without a word: the current one. Said again, it is no entry.
    let said = rig.base(&["mark-good", "--json"]).json();
    assert_eq!((&said["good"], &said["before"]), (&"13.1".into(), &"13.2".into()));
    let (number, entry) = rig.last_entry(".pool");
    assert_eq!((&entry["kind"], &entry["base"]), (&"mark-good".into(), &"13.1".into()));
    rig.base(&["mark-good"]).ok();
    assert_eq!(rig.last_entry(".pool").0, number);
    assert_eq!(
        rig.names("@base"),
        ["13.1", "13.1.manifest", "13.2", "13.2.manifest", "current", "good", "lock"]
    );
    rig.base(&["prune", "13.2", "--yes"]).ok();
    rig.verify();
    // A link that names nothing is found, and mended by saying it again.
    fs::remove_file(rig.in_pool("@base/good")).unwrap();
    for (target, what) in [("13.9", "it names base 13.9, which is not there"), ("../x", "it names no base")] {
        let _ = fs::remove_file(rig.in_pool("@base/good"));
        symlink(target, rig.in_pool("@base/good")).unwrap();
        let found = rig.profile(&["verify"]);
        assert!(found.status == 1 && found.out.contains(what), "{}{}", found.out, found.err);
    }
    rig.base(&["mark-good", "13.1"]).ok();
    rig.verify();
}

#[test]
fn a_pool_without_a_base_has_none_to_mark() {
    let rig = Rig::bare();
    rig.profile(&["init", "--image", rig.image_name(), "--size", "1G", "--inode-floor", "65536"]).ok();
    rig.base(&["mark-good"]).refused("this pool has no base yet");
    rig.base(&["publish", "13.1", "-"]).refused("there is no base 13.1");
    assert_eq!(rig.base(&["list", "--json"]).json(), serde_json::json!([]));
}
