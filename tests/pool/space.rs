//! `space`, held against what btrfs says and does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use flipper_profiles::model::Layout;
use flipper_profiles::model::holdings::{Holders, Holdings};
use flipper_profiles::policy::space::Space;
use flipper_profiles::system::{btrfs as subvolumes, space};

use crate::long;
use crate::rig::life::Life;
use crate::rig::{Rig, btrfs, need, within};
use flipper_profiles::system::tree_search::{INODE_ITEM, Key, ROOT_ITEM, ROOT_TREE, Range, TreeSearch};

#[test]
fn a_tree_search_sees_every_inode_once_and_in_order() {
    let rig = Rig::bare_btrfs();
    let dir = rig.in_pool("tree");
    subvolumes::create(&dir).unwrap();
    // More than one buffer of items, with inline data.
    for number in 0..3000 {
        fs::write(dir.join(format!("{number:04}")), vec![b'x'; 400]).unwrap();
    }
    let before = sync_and_generation(&dir);
    let mut wanted: BTreeSet<u64> =
        fs::read_dir(&dir).unwrap().map(|e| e.unwrap().metadata().unwrap().ino()).collect();
    wanted.insert(256);
    let tree = subvolumes::subvolume_id(&dir).unwrap();
    let mut search = TreeSearch::open(&rig.top()).unwrap();
    let (mut found, mut last) = (Vec::new(), None);
    let mut look = |range: Range| {
        found.clear();
        search
            .items(range, |item| {
                assert!(last.replace(item.key).is_none_or(|last| last < item.key), "{last:?} {:?}", item.key);
                if item.key.kind == INODE_ITEM {
                    found.push(item.key.object);
                }
            })
            .unwrap();
        last = None;
        found.clone()
    };
    assert_eq!(look(Range::all(tree)), wanted.iter().copied().collect::<Vec<_>>());
    // A stretch of the keys.
    let key = |object, offset| Key { object, kind: INODE_ITEM, offset };
    let range = Range { tree, first: key(300, 0), last: key(302, 0), min_transid: 0 };
    assert_eq!(look(range), [300, 301, 302]);
    // Only what was written since.
    assert_eq!(look(Range::all(tree).since(before + 1)), [0u64; 0]);
    fs::write(dir.join("2999"), "changed").unwrap();
    sync_and_generation(&dir);
    let changed = fs::metadata(dir.join("2999")).unwrap().ino();
    let seen = look(Range::all(tree).since(before + 1));
    assert!(seen.contains(&changed) && seen.len() < 200, "{}", seen.len());
    // The tree of trees has each subvolume; a tree that is not there is an error.
    let mut roots = BTreeSet::new();
    search
        .items(Range::all(ROOT_TREE), |item| {
            if item.key.kind == ROOT_ITEM {
                roots.insert(item.key.object);
            }
        })
        .unwrap();
    assert!(roots.contains(&tree) && roots.contains(&5), "{roots:?}");
    assert!(search.items(Range::all(99_999), |_| {}).is_err());
}

fn sync_and_generation(dir: &std::path::Path) -> u64 {
    need("btrfs", btrfs(&["filesystem", "sync"]).arg(dir));
    subvolumes::generation(dir).unwrap()
}

/// Deletes subvolumes and waits until btrfs has freed all of it.
fn delete_and_wait(rig: &Rig, paths: &[PathBuf]) {
    for path in paths {
        subvolumes::delete(path).unwrap();
    }
    // Each commit wakes the cleaner, which `btrfs subvolume sync` alone would wait half a minute for.
    within(Duration::from_secs(60), "the deleted subvolumes are cleaned up", || {
        rig.sync();
        need("btrfs", btrfs(&["subvolume", "list", "-d"]).arg(rig.top())).is_empty()
    });
    rig.sync(); // drops the last references
    rig.sync();
}

/// What btrfs says of its data, in bytes.
fn data_used(rig: &Rig) -> u64 {
    let text = need("btrfs", btrfs(&["filesystem", "df", "--raw"]).arg(rig.top()));
    let line = text.lines().find(|line| line.starts_with("Data")).unwrap();
    line.split("used=").nth(1).unwrap().parse().unwrap()
}

/// Bytes by the ids that hold them: the same for equal holdings, whatever way they were found.
fn by_ids(holdings: &Holdings) -> BTreeMap<Vec<u64>, u64> {
    let ids: BTreeSet<u64> = holdings.subvolumes().map(|s| s.id).collect();
    let named = |holders: &Holders| {
        ids.iter().copied().filter(|id| holdings.group(&BTreeSet::from([*id])).is_within(holders)).collect()
    };
    holdings.bytes_by_holders().into_iter().map(|(holders, bytes)| (named(holders), bytes)).collect()
}

#[test]
fn what_a_deletion_frees_is_said_to_the_byte() {
    let seeds = long::cases(4).into();
    for (seed, options) in
        (1..=seeds).zip(["noatime", "compress=zstd", "compress-force=lzo", "autodefrag"].into_iter().cycle())
    {
        let rig = Rig::bare_btrfs_with(options);
        fs::create_dir(rig.in_pool("@journal")).unwrap();
        let layout = Layout::new(rig.top());
        let mut life = Life::begin(&rig, seed);
        // The top level holds and shares, too.
        life.live(120);
        let (_, file) = life.place();
        need(
            "cp",
            Command::new("cp").args(["--reflink=auto", "--"]).arg(file.unwrap()).arg(rig.in_pool("kept")),
        );
        let mut left = life.subvolumes.clone();
        while !left.is_empty() {
            life.subvolumes = left.clone();
            if left.iter().any(|(_, ro)| !ro) {
                life.live(15);
                left = life.subvolumes.clone();
            }
            let cold = warm_equals_cold(&rig, &layout);
            let space = Space::new(&cold);
            let before = data_used(&rig);
            assert_eq!(space.held(), before, "seed {seed} {options}: every byte has a holder");
            let mut going = Vec::new();
            for _ in 0..=life.random(3) {
                if !left.is_empty() {
                    let at = life.random(left.len());
                    going.push(rig.in_pool(left.swap_remove(at).0));
                }
            }
            let ids = going.iter().map(|path| subvolumes::subvolume_id(path).unwrap()).collect();
            let promised = space.freed_by(&ids);
            delete_and_wait(&rig, &going);
            assert_eq!(before - data_used(&rig), promised, "seed {seed} {options} {going:?}");
        }
    }
}

/// What is remembered and mended is what a first look finds. Returns that, with no cache on the disk.
fn warm_equals_cold(rig: &Rig, layout: &Layout) -> Holdings {
    rig.sync();
    let mended = space::holdings(layout, true, |_, _| {}).unwrap();
    rig.sync(); // the cache, too, is data
    let warm = space::holdings(layout, false, |_, _| {}).unwrap();
    assert_eq!(warm.read, 0, "all was remembered");
    fs::remove_file(layout.space_cache()).unwrap();
    rig.sync();
    let cold = space::holdings(layout, false, |_, _| {}).unwrap();
    assert!(mended.read <= cold.read);
    let without_top = |holdings: &Holdings| {
        let mut holdings = holdings.clone();
        holdings.release(&BTreeSet::from([space::TOP_LEVEL]));
        by_ids(&holdings)
    };
    assert_eq!(without_top(&warm.holdings), without_top(&cold.holdings));
    assert_eq!(without_top(&mended.holdings), without_top(&cold.holdings));
    cold.holdings
}
