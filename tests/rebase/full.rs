//! No room, wherever it runs out: a rebase or a flip says so in one sentence and has changed nothing, and can be
//! done when there is room; undo, rollback and prune work all the same.

use std::fs;
use std::path::{Path, PathBuf};

use crate::alike::alike;
use crate::rig::full::{fill_data, fill_metadata, give_back, make_room, reserve, sync, verify};
use crate::rig::tree::{Tree, assert_same, read};
use crate::rig::{Ended, Rig, btrfs, need};

/// Text for every record that is merged, and files that give way and are saved.
const LIVED_IN: &str = "set -e
useradd --create-home --uid 1234 alice
chmod 4751 /usr/bin/tail
rm /usr/bin/whoami
echo '# mine' >> /etc/bash.bashrc
head -c 3000000 /dev/urandom > /usr/share/doc/bash/copyright
dpkg-divert --local --rename --add /usr/bin/factor > /dev/null
echo debconf debconf/priority select low | debconf-set-selections";

/// Bytes of data that are left.
const ROOMS: [u64; 9] = [0, 16 << 10, 128 << 10, 512 << 10, 1 << 20, 2 << 20, 3 << 20, 6 << 20, 64 << 20];

struct Before {
    root: u64,
    upper: Tree,
}

impl Before {
    fn of(rig: &Rig) -> Before {
        Before { root: rig.current("lab"), upper: upper(rig) }
    }

    /// As before, and nothing half made beside it.
    fn stands(&self, rig: &Rig, what: &str) {
        assert_eq!(rig.current("lab"), self.root, "{what}");
        assert_same(&self.upper, &upper(rig));
        assert_eq!(rig.names("@profiles/lab/roots"), [self.root.to_string()], "{what}");
        let aside = rig.names("@profiles/lab").into_iter().find(|name| name.starts_with(".state-"));
        assert_eq!(aside, None, "{what}");
        assert_eq!(reserve(rig), 2, "{what}: it took of the reserve");
        // It runs, and who makes the next change finds nothing in the way.
        rig.profile(&["run", "lab", "sh", "-c", "test -s /var/lib/dpkg/status"]).ok();
    }
}

fn upper(rig: &Rig) -> Tree {
    read(&rig.root_dir("lab").join("root"))
}

fn lived_in() -> (Rig, PathBuf) {
    let rig = alike();
    rig.sh("lab", LIVED_IN);
    let home = rig.in_pool("@data/home");
    fs::remove_dir_all(home.join("alice")).unwrap();
    (rig, home)
}

fn says_there_is_no_room(ended: &Ended, what: &str) {
    assert_eq!(ended.status, 3, "{what}: {}{}", ended.out, ended.err);
    let last = ended.err.lines().last().unwrap_or_default();
    assert!(last.contains("No space left on device"), "{what}: {}", ended.err);
    assert!(ended.err.contains("hint: free some space on the pool"), "{what}: {}", ended.err);
}

fn base_of(rig: &Rig) -> String {
    fs::read_to_string(rig.root_dir("lab").join("base")).unwrap().trim().to_owned()
}

/// What was deleted is free when the cleaner is done with it, and is filled too.
fn fill(rig: &Rig, home: &Path) {
    for _ in 0..2 {
        fill_data(home);
        need("btrfs", btrfs(&["subvolume", "sync"]).arg(rig.top()));
        sync(rig);
    }
    fill_data(home);
}

/// With ever more room, until there is enough; then back with none at all.
fn with_more_and_more_room(rig: &Rig, home: &Path, act: impl Fn() -> Ended, enough: &[i32]) -> Vec<u64> {
    let before = Before::of(rig);
    let mut refused = Vec::new();
    for room in ROOMS {
        fill(rig, home);
        give_back(rig, home, room);
        let ended = act();
        if enough.contains(&ended.status) {
            return refused;
        }
        let what = format!("with {room} bytes");
        says_there_is_no_room(&ended, &what);
        before.stands(rig, &what);
        refused.push(room);
    }
    panic!("there was never enough room");
}

/// Names find no room, and there is data in plenty.
#[test]
fn a_rebase_without_room_for_names_changes_nothing_and_its_undo_needs_none() {
    let (rig, home) = lived_in();
    let rebase = || rig.profile(&["rebase", "lab", "--base", "2", "--yes"]);
    let no_names = || {
        fill(&rig, &home);
        fill_metadata(&rig, &home);
        give_back(&rig, &home, 64 << 20);
        fill_metadata(&rig, &home);
    };
    let before = Before::of(&rig);
    no_names();
    says_there_is_no_room(&rebase(), "no metadata");
    before.stands(&rig, "no metadata");
    make_room(&rig, &home);
    rebase().ok();
    assert_eq!(base_of(&rig), "2");
    no_names();
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(base_of(&rig), "1");
    assert_same(&before.upper, &upper(&rig));
    verify(&rig);
}

#[test]
fn a_flip_without_room_stops_and_its_rollback_and_a_prune_need_none() {
    let (rig, home) = lived_in();
    let tiny = rig.path("tiny");
    crate::rig::root::make(&tiny);
    rig.base(&["import", tiny.to_str().unwrap(), "--version", "0", "--clean"]).ok();
    let flip = || rig.base(&["flip", "2", "--profiles", "lab", "--yes"]);
    let current = || fs::read_link(rig.in_pool("@base/current")).unwrap().display().to_string();
    let before = upper(&rig);
    let refused = with_more_and_more_room(&rig, &home, flip, &[0]);
    assert!(refused.len() > 2, "it was not short of room: {refused:?}");
    assert_eq!((&*base_of(&rig), &*current()), ("2", "2"));
    fill(&rig, &home);
    rig.base(&["rollback", "--yes"]).ok();
    assert_eq!((&*base_of(&rig), &*current()), ("1", "1"));
    assert_same(&before, &upper(&rig));
    fill(&rig, &home);
    rig.base(&["prune", "--yes"]).ok();
    assert!(!rig.in_pool("@base/0").exists());
    verify(&rig);
    make_room(&rig, &home);
    flip().ok();
    rig.verify();
}
