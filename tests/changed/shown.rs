//! What a person is shown: `flipper-profile diff` and `flipper-undo --show` on profiles over a base,
//! held against a walk over both mounted, merged trees.

use std::fs;
use std::path::PathBuf;

use flipper_profiles::system::changed::{self, State};

use crate::edits::{self, Dice};
use crate::rig::Rig;
use crate::{long, oracle};

fn state(rig: &Rig, inside: &str) -> State {
    let root = rig.in_pool(inside);
    let base = fs::read_to_string(root.join("base")).unwrap();
    State {
        upper: root.join("root"),
        subvolume: root,
        base: Some(rig.in_pool(format!("@base/{}", base.trim_end()))),
    }
}

fn number(rig: &Rig) -> u64 {
    rig.last_entry("lab").0
}

/// Makes an entry with its point; the state before it is `lab@<the number>`.
fn entry(rig: &Rig, text: &str) -> u64 {
    rig.profile(&["set", "lab", "--note", text, "--args", text]).ok();
    number(rig)
}

/// Random edits of the merged tree, the base's own files among what is edited.
#[test]
fn a_merged_tree_as_two_walks_see_it() {
    for seed in 1..=u64::from(long::cases(3)) {
        let rig = Rig::with_lab();
        let mut dice = Dice::new(seed);
        let edit = |places: &[&str], dice: &mut Dice| {
            rig.mounted("lab", |dir| {
                fs::create_dir_all(dir.join("srv/work")).unwrap();
                for place in places {
                    let count = 5 + dice.below(20);
                    edits::edit(&dir.join(place), count, dice);
                }
            });
        };
        edit(&["srv/work"], &mut dice);
        let first = entry(&rig, "one");
        edit(&["srv/work", "etc", "opt", "usr/share"], &mut dice);
        let second = entry(&rig, "two");
        edit(&["srv/work", "etc", "opt", "usr/share"], &mut dice);
        // A sibling: what came after the first is taken back, and something else is done.
        let names = [first, second].map(|n| (format!("lab@{n}"), format!("@profiles/lab/snapshots/{n}")));
        rig.undo(&["--profile", "lab", "--yes", &first.to_string()]).ok();
        edit(&["srv/work", "etc", "opt"], &mut dice);
        let root = format!("@profiles/lab/roots/{}", rig.current("lab"));
        let undo = rig.entries("lab").into_iter().rfind(|(_, e)| e["kind"] == "undo").unwrap().0;
        let states: Vec<(String, String)> = names
            .into_iter()
            .chain([("lab".into(), root), (format!("lab@{undo}"), format!("@profiles/lab/snapshots/{undo}"))])
            .collect();
        let trees: Vec<oracle::Tree> =
            states.iter().map(|(name, _)| rig.mounted(name, oracle::walk)).collect();
        for (a, (from, inside_a)) in states.iter().enumerate() {
            for (b, (to, inside_b)) in states.iter().enumerate() {
                let found = changed::between(&state(&rig, inside_a), &state(&rig, inside_b)).unwrap();
                let faults = oracle::faults(&trees[a], &trees[b], &found.changes, false);
                assert!(
                    faults.is_empty(),
                    "seed {seed}, {from} to {to}:\n  {}\nof {:#?}",
                    faults.join("\n  "),
                    found.changes
                );
            }
        }
    }
}

/// Whiteouts and opaque directories: what they hide is removed, what they hid is there again.
#[test]
fn what_hides_the_base_is_told_by_what_is_seen() {
    let rig = Rig::with_lab();
    let mut points = vec![entry(&rig, "as the base is")];
    let steps: [fn(&std::path::Path); 5] = [
        // An opaque directory over one of the base; a whiteout.
        |dir| {
            fs::remove_dir_all(dir.join("usr/share/doc")).unwrap();
            fs::create_dir(dir.join("usr/share/doc")).unwrap();
            fs::write(dir.join("usr/share/doc/only"), "x").unwrap();
            fs::rename(dir.join("etc/hello.conf"), dir.join("etc/hello.moved")).unwrap();
        },
        // A file over a directory, a directory over a file.
        |dir| {
            fs::remove_dir_all(dir.join("usr/share/doc")).unwrap();
            fs::write(dir.join("usr/share/doc"), "a file").unwrap();
            fs::create_dir_all(dir.join("etc/hello.conf/deep")).unwrap();
        },
        |dir| fs::remove_file(dir.join("usr/share/doc")).unwrap(),
        |dir| {
            fs::remove_dir_all(dir.join("etc/hello.conf")).unwrap();
            fs::remove_file(dir.join("etc/hello.moved")).unwrap();
            fs::rename(dir.join("opt"), dir.join("not-of-the-base")).unwrap_err(); // EXDEV
        },
        |dir| fs::write(dir.join("etc/hello.conf"), "again").unwrap(),
    ];
    for step in steps {
        rig.mounted("lab", step);
        points.push(entry(&rig, &format!("step {}", points.len())));
    }
    let trees: Vec<_> = points.iter().map(|n| rig.mounted(&format!("lab@{n}"), oracle::walk)).collect();
    let states: Vec<_> =
        points.iter().map(|n| state(&rig, &format!("@profiles/lab/snapshots/{n}"))).collect();
    for a in 0..points.len() {
        for b in 0..points.len() {
            let found = changed::between(&states[a], &states[b]).unwrap().changes;
            let faults = oracle::faults(&trees[a], &trees[b], &found, false);
            assert!(faults.is_empty(), "step {a} to {b}:\n{}\nof {found:#?}", faults.join("\n"));
            assert_eq!(found.is_empty(), a == b, "step {a} to {b}");
        }
    }
}

/// `changed etc/hello.conf`, one a line, of the JSON.
fn files(value: &serde_json::Value) -> Vec<String> {
    let files = value["files"].as_array().unwrap_or_else(|| panic!("no files: {value}"));
    let word = |file: &serde_json::Value, key: &str| file[key].as_str().unwrap().to_owned();
    files.iter().map(|file| format!("{} {}", word(file, "what"), word(file, "path"))).collect()
}

const OWN: &str = "echo mine > /etc/hello.conf; rm /opt/data/file; mkdir -p /srv/a/b; echo 1 > /srv/a/b/c; \
                   chmod 700 /usr/share/doc; printf secret > /etc/private; chmod 600 /etc/private; \
                   echo x > /srv/old";

#[test]
fn files_are_shown_as_the_merged_tree_has_them() {
    let rig = Rig::with_lab();
    rig.sh("lab", "mkdir -p /opt/data /srv; echo base > /opt/data/file; echo first > /srv/old");
    let before = entry(&rig, "one");
    rig.sh("lab", OWN);
    rig.sh("lab", "mv /srv/old /srv/new; rm -r /srv/a; mkdir -p /srv/a/b; echo 1 > /srv/a/b/c");
    let shown = rig.profile(&["diff", "lab", &before.to_string(), "--json"]).json();
    assert_eq!(
        files(&shown),
        [
            "changed etc/hello.conf",
            "added etc/private",
            "removed opt/data/file",
            "added srv/a",
            "added srv/a/b",
            "added srv/a/b/c",
            "renamed srv/new",
            "changed srv/new",
            "metadata usr/share/doc",
        ]
    );
    assert_eq!(shown["settings"][0]["after"], "one");
    let page = rig.profile(&["diff", "lab", &before.to_string()]).ok().out;
    for line in
        ["+mine", "/srv/a  (directory; with 2 paths below it)", "/srv/old -> /srv/new", "mode 755 -> 700"]
    {
        assert!(page.contains(line), "{line:?} is missing:\n{page}");
    }
    assert!(!page.contains("secret"), "a file not everybody may read:\n{page}");
    let named = rig.profile(&["diff", "lab", &before.to_string(), "/etc/private"]).ok().out;
    assert!(named.contains("+secret"), "{named}");
    assert_eq!(files(&rig.profile(&["diff", "lab", &before.to_string(), "/etc", "--json"]).json()).len(), 2);
    let stat = rig.profile(&["diff", "lab", &before.to_string(), "--stat"]).ok().out;
    assert!(stat.contains("conffiles: 1 changed\nother files in /etc: 1 added\n"), "{stat}");
    assert!(!stat.contains("hello.conf"), "{stat}");
    // Backwards, and nothing.
    let back = rig.profile(&["diff", "lab", "current", &before.to_string(), "--json"]).json();
    assert!(files(&back).contains(&"added opt/data/file".to_owned()), "{back}");
    assert_eq!(files(&rig.profile(&["diff", "lab", "current", "--json"]).json()), [""; 0]);
    rig.profile(&["diff", "lab", "999"]).refused("there is no entry 999");
    rig.profile(&["diff", "lab", "x"]).says(64, "is not an entry number");
    rig.profile(&["diff", "lab", &before.to_string(), "now", "etc"]).says(64, "must be an absolute path");
}

#[test]
fn an_entry_shows_what_it_changed_and_what_is_mixed_in() {
    let rig = Rig::with_lab();
    let first = entry(&rig, "one");
    rig.sh("lab", "echo 1 > /etc/one");
    let second = entry(&rig, "two");
    rig.sh("lab", "echo 2 > /etc/two");
    let third = entry(&rig, "three");
    let show = |n: u64| rig.undo(&["--profile", "lab", "--show", &n.to_string(), "--json"]).json();
    assert_eq!(files(&show(first)["difference"]), ["added etc/one"]);
    assert_eq!(files(&show(second)["difference"]), ["added etc/two"]);
    assert_eq!(files(&show(third)["difference"]), [""; 0]);
    let page = rig.undo(&["--profile", "lab", "--show", &first.to_string()]).ok().out;
    assert!(page.contains(&format!("to the state before entry {second}")) && page.contains("+1"), "{page}");
    // The undo took both away; and what it brought is to be seen from its own entry.
    rig.undo(&["--profile", "lab", "--yes", &second.to_string()]).ok();
    let undo = rig.entries("lab").into_iter().rfind(|(_, e)| e["kind"] == "undo").unwrap().0;
    assert_eq!(files(&show(undo)["difference"]), ["removed etc/two"]);
    // Where a point is gone, the next one says what is mixed in.
    let gone = rig.in_pool(format!("@profiles/lab/snapshots/{second}"));
    crate::rig::need("btrfs", crate::rig::btrfs(&["--quiet", "subvolume", "delete"]).arg(gone));
    let mixed = show(first)["difference"].clone();
    assert_eq!(files(&mixed), ["added etc/one", "added etc/two"]);
    assert_eq!(mixed["mixed_in"], serde_json::json!([second]));
    let page = rig.undo(&["--profile", "lab", "--show", &first.to_string()]).ok().out;
    assert!(page.contains(&format!("entry {second}")), "{page}");
    let none = rig.undo(&["--profile", "lab", "--show", &second.to_string()]).ok().out;
    assert!(none.contains("cannot be told"), "{none}");
}

/// Two bases have nothing in common: both merged trees are compared whole.
#[test]
fn over_another_base_everything_is_compared() {
    let rig = Rig::with_lab();
    let other: PathBuf = rig.path("other");
    crate::rig::root::make(&other);
    fs::write(other.join("etc/hello.conf"), "of the next base\n").unwrap();
    fs::write(other.join("etc/new-in-base"), "x").unwrap();
    rig.base(&["import", other.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    rig.sh("lab", "echo mine > /etc/one");
    let before = entry(&rig, "one");
    // As a rebase will do it.
    fs::write(rig.root_dir("lab").join("base"), "13.2\n").unwrap();
    let trees = [format!("lab@{before}"), "lab".into()].map(|name| rig.mounted(&name, oracle::walk));
    let root = format!("@profiles/lab/roots/{}", rig.current("lab"));
    let point = format!("@profiles/lab/snapshots/{before}");
    let found = changed::between(&state(&rig, &point), &state(&rig, &root)).unwrap().changes;
    let faults = oracle::faults(&trees[0], &trees[1], &found, false);
    assert!(faults.is_empty(), "{}\nof {found:#?}", faults.join("\n"));
    let shown = rig.profile(&["diff", "lab", &before.to_string(), "--json"]).json();
    assert_eq!(files(&shown), ["changed etc/hello.conf", "added etc/new-in-base"]);
    assert_eq!(
        shown["settings"][0],
        serde_json::json!({"setting": "base", "before": "13.1", "after": "13.2"})
    );
}
