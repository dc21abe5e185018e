//! `space`, held against what btrfs says and does.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::rig::{Rig, btrfs, need};
use flipper_profiles::system::btrfs as subvolumes;
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
