//! A family of subvolumes that was edited at random, and every two of them compared.
//!
//! ```text
//! root ── one ── two ── (root goes on)        snapshots of root, read-only
//!          └─ other ── three                  other: a writable snapshot of one; three: of other
//!                 └─ two's ─ last ── four     last: a writable snapshot of two; four: of last
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flipper_profiles::system::changed::{self, State};

use crate::edits::{self, Dice};
use crate::rig::{Rig, btrfs, need};
use crate::{long, oracle, send};

struct Family {
    rig: Rig,
    top: PathBuf,
}

impl Family {
    fn new() -> Family {
        let rig = Rig::bare();
        fs::File::create(&rig.image).unwrap().set_len(1 << 30).unwrap();
        need(
            "mkfs.btrfs",
            Command::new("mkfs.btrfs").args(["--quiet", "--nodesize", "4096"]).arg(&rig.image),
        );
        rig.hold();
        let top = rig.top();
        Family { rig, top }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.top.join(name)
    }

    fn snapshot(&self, from: &str, to: &str, read_only: bool) {
        let mut command = btrfs(&["--quiet", "subvolume", "snapshot"]);
        command.args(read_only.then_some("-r")).arg(self.at(from)).arg(self.at(to));
        need("btrfs", &mut command);
    }

    /// The numbers of files that went last are given again only after this.
    fn mount_again(&self) {
        self.rig.release();
        self.rig.hold();
    }

    fn state(&self, name: &str) -> State {
        State { subvolume: self.at(name), upper: self.at(name), base: None }
    }

    fn check(&self, a: &str, b: &str, trees: &HashMap<&str, oracle::Tree>, seed: u64) {
        let difference = changed::between(&self.state(a), &self.state(b)).unwrap();
        let faults = oracle::faults(&trees[a], &trees[b], &difference.changes, true);
        assert!(
            faults.is_empty(),
            "seed {seed}, {a} to {b}:\n  {}\nof {:#?}",
            faults.join("\n  "),
            difference.changes
        );
    }

    /// What we say was written, send wrote, too; and it leaves the names that are there.
    fn check_with_send(&self, a: &str, b: &str, trees: &HashMap<&str, oracle::Tree>, seed: u64) {
        let mut files = BTreeMap::new();
        let names = trees[a].iter().map(|(path, node)| {
            let next = files.len();
            (path.clone(), *files.entry(node.identity).or_insert(next))
        });
        let names: BTreeMap<PathBuf, usize> = names.collect();
        let replay = send::replay(&self.at(a), &self.at(b), &names);
        let there: Vec<&PathBuf> = replay.names.keys().collect();
        assert_eq!(there, trees[b].keys().collect::<Vec<_>>(), "seed {seed}: {a} to {b}: send's names");
        for change in changed::between(&self.state(a), &self.state(b)).unwrap().changes {
            let now = replay.names.get(&change.path);
            let moved = now != replay.before.get(&change.path);
            assert!(
                moved || now.is_some_and(|file| replay.written.contains(file)),
                "seed {seed}: {a} to {b}: send says nothing of {change:?}"
            );
        }
    }
}

fn family(seed: u64) {
    let mut dice = Dice::new(seed);
    let family = Family::new();
    let mut edit = |name: &str, most: usize| {
        let count = dice.below(most);
        edits::edit(&family.at(name), count, &mut dice);
        if dice.below(3) == 0 {
            family.mount_again();
        }
    };
    need("btrfs", btrfs(&["--quiet", "subvolume", "create"]).arg(family.at("root")));
    edits::fill(&family.at("root"), 600, &mut Dice::new(seed));
    edit("root", 40);
    family.snapshot("root", "one", true);
    edit("root", 40);
    family.snapshot("root", "two", true);
    edit("root", 15);
    family.snapshot("one", "other", false);
    edit("other", 40);
    family.snapshot("other", "three", true);
    family.snapshot("two", "last", false);
    edit("last", 30);
    family.snapshot("last", "four", true);

    let names = ["root", "one", "two", "other", "three", "last", "four"];
    let trees: HashMap<&str, oracle::Tree> = names.map(|n| (n, oracle::walk(&family.at(n)))).into();
    for a in names {
        for b in names {
            family.check(a, b, &trees, seed);
        }
    }
    for (a, b) in [("one", "two"), ("two", "one"), ("one", "three"), ("three", "two"), ("four", "three")] {
        family.check_with_send(a, b, &trees, seed);
    }
    // Without the roots in between the lines are broken, and all is compared.
    for gone in ["root", "other", "last"] {
        need("btrfs", btrfs(&["--quiet", "subvolume", "delete", "--commit-after"]).arg(family.at(gone)));
    }
    need("btrfs", btrfs(&["--quiet", "subvolume", "sync"]).arg(&family.top));
    let broken = changed::between(&family.state("three"), &family.state("four")).unwrap();
    assert!(broken.everything);
    for (a, b) in [("three", "four"), ("two", "three"), ("one", "two"), ("four", "two")] {
        family.check(a, b, &trees, seed);
    }
}

#[test]
fn random_edits_as_a_walk_and_send_see_them() {
    let first = std::env::var("FLIPPER_TESTS_SEED").ok().and_then(|s| s.parse().ok());
    let (first, count) = first.map_or((1, u64::from(long::cases(4))), |seed| (seed, 1));
    for seed in first..first + count {
        family(seed);
    }
}

/// btrfs gives the number of a deleted file again once it was mounted anew, and siblings give the same
/// numbers to different files: neither is a rename.
#[test]
fn a_number_that_is_used_again_is_another_file() {
    let family = Family::new();
    need("btrfs", btrfs(&["--quiet", "subvolume", "create"]).arg(family.at("root")));
    let write = |name: &str, path: &str| fs::write(family.at(name).join(path), path).unwrap();
    write("root", "stays");
    write("root", "last");
    family.snapshot("root", "one", true);
    fs::remove_file(family.at("root/last")).unwrap();
    family.mount_again();
    write("root", "reused");
    family.snapshot("one", "other", false);
    write("other", "sibling");
    std::thread::sleep(std::time::Duration::from_millis(50)); // the walk tells them apart by their birth
    write("root", "more");
    let number = |path: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(family.at(path)).unwrap());
    assert_eq!(number("one/last"), number("root/reused"), "the rig lost what it is for");
    assert_eq!(number("other/sibling"), number("root/more"), "the rig lost what it is for");
    let names = ["root", "one", "other"];
    let trees: HashMap<&str, oracle::Tree> = names.map(|n| (n, oracle::walk(&family.at(n)))).into();
    for (a, b) in [("one", "root"), ("root", "one"), ("other", "root"), ("root", "other")] {
        family.check(a, b, &trees, 0);
    }
    let said = changed::between(&family.state("other"), &family.state("root")).unwrap().changes;
    let said: Vec<&Path> = said.iter().map(|c| c.path.as_path()).collect();
    assert_eq!(said, ["last", "more", "reused", "sibling"].map(Path::new));
}

/// One file, so many names that btrfs keeps some of them apart: what is written to it changes all.
#[test]
fn every_name_of_a_file_changes_with_it() {
    let family = Family::new();
    need("btrfs", btrfs(&["--quiet", "subvolume", "create"]).arg(family.at("root")));
    for dir in ["a", "b", "b/deep"] {
        fs::create_dir(family.at("root").join(dir)).unwrap();
    }
    fs::write(family.at("root/a/file"), "one").unwrap();
    for number in 0..200 {
        let dir = ["a", "b", "b/deep"][number % 3];
        let name = format!("{dir}/{number} {}", "long".repeat(10));
        fs::hard_link(family.at("root/a/file"), family.at("root").join(name)).unwrap();
    }
    family.snapshot("root", "one", true);
    fs::write(family.at("root/b/1 ").with_file_name(format!("1 {}", "long".repeat(10))), "two").unwrap();
    let said = changed::between(&family.state("one"), &family.state("root")).unwrap().changes;
    assert_eq!(said.len(), 201, "{said:#?}");
    family.snapshot("root", "two", true);
    fs::remove_file(family.at("root/a/file")).unwrap();
    fs::hard_link(family.at("root/b/deep").join(format!("2 {}", "long".repeat(10))), family.at("root/new"))
        .unwrap();
    let names = ["root", "one", "two"];
    let trees: HashMap<&str, oracle::Tree> = names.map(|n| (n, oracle::walk(&family.at(n)))).into();
    for (a, b) in [("one", "root"), ("two", "root"), ("root", "two"), ("one", "two")] {
        family.check(a, b, &trees, 0);
    }
}

/// A directory moved away from below one that moved as well, and its old name was taken: whichever is
/// found first, no path is told twice.
#[test]
fn a_name_that_was_taken_below_a_directory_that_moved() {
    for away in ["b", "z"] {
        for taken_by_a_directory in [false, true] {
            let family = Family::new();
            need("btrfs", btrfs(&["--quiet", "subvolume", "create"]).arg(family.at("root")));
            fs::create_dir_all(family.at("root/p/d/deep")).unwrap();
            fs::write(family.at("root/p/d/deep/file"), "x").unwrap();
            family.snapshot("root", "one", true);
            fs::rename(family.at("root/p/d"), family.at("root").join(away)).unwrap();
            fs::rename(family.at("root/p"), family.at("root/q")).unwrap();
            match taken_by_a_directory {
                true => fs::create_dir_all(family.at("root/q/d/deep")).unwrap(),
                false => fs::write(family.at("root/q/d"), "now a file").unwrap(),
            }
            let names = ["root", "one"];
            let trees: HashMap<&str, oracle::Tree> = names.map(|n| (n, oracle::walk(&family.at(n)))).into();
            family.check("one", "root", &trees, 0);
            family.check("root", "one", &trees, 0);
        }
    }
}
