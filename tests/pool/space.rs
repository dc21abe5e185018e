//! `space`, held against what btrfs says and does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use flipper_profiles::model::Layout;
use flipper_profiles::model::holdings::{Holders, Holdings};
use flipper_profiles::policy::space::Space;
use flipper_profiles::system::usage::{Allocated, Room, usage};
use flipper_profiles::system::{btrfs as subvolumes, space};

use crate::long;
use crate::rig::life::Life;
use crate::rig::{Rig, btrfs, need, within};
use flipper_profiles::system::tree_search::{
    INODE_ITEM, Item, Key, ROOT_ITEM, ROOT_TREE, Range, TreeSearch, XATTR_ITEM,
};

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

/// The kernel stops early with room left where the next item is a large one: that is not the end.
#[test]
fn large_items_do_not_end_a_tree_search() {
    let rig = Rig::bare_btrfs();
    let dir = rig.in_pool("tree");
    subvolumes::create(&dir).unwrap();
    let length = 14_000; // about what a leaf of 16 KiB holds
    let files: BTreeSet<u64> = (0..200)
        .map(|number| {
            let file = dir.join(number.to_string());
            fs::write(&file, "").unwrap();
            xattr::set(&file, "user.large", &vec![b'x'; length]).unwrap();
            fs::metadata(file).unwrap().ino()
        })
        .collect();
    rig.sync();
    let tree = subvolumes::subvolume_id(&dir).unwrap();
    let mut found = BTreeSet::new();
    let look = |item: Item| {
        if item.key.kind == XATTR_ITEM && item.data.len() > length {
            found.insert(item.key.object);
        }
    };
    TreeSearch::open(&rig.top()).unwrap().items(Range::all(tree), look).unwrap();
    assert_eq!(found, files);
}

/// Data once and metadata twice, then both twice: what is allocated, and what is left, is what btrfs says.
#[test]
fn what_is_allocated_is_what_btrfs_says() {
    let rig = Rig::bare_btrfs();
    let look = || {
        rig.sync();
        let usage = usage(&rig.top()).unwrap();
        let said = |line: &str, word: &str| {
            let text = need("btrfs", btrfs(&["filesystem", "usage", "--raw"]).arg(rig.top()));
            let line =
                text.lines().find(|l| l.trim_start().starts_with(line)).unwrap_or_else(|| panic!("{text}"));
            let digits = line.split(word).nth(1).unwrap().trim_start();
            digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(usage.unallocated, said("Device unallocated:", ":"));
        for (kind, of) in [("Data,", usage.data), ("Metadata,", usage.metadata)] {
            assert_eq!((of.allocated, of.used), (said(kind, "Size:"), said(kind, "Used:")), "{kind}");
        }
        usage
    };
    fs::write(rig.in_pool("file"), vec![b'x'; 3 << 20]).unwrap();
    let once = look();
    let left = |of: Allocated, growth: u64| Room {
        size: of.allocated + growth,
        free: of.allocated - of.used + growth,
    };
    assert_eq!(once.room_for_data(), left(once.data, once.unallocated));
    assert_eq!(once.room_for_metadata(), left(once.metadata, once.unallocated / 2));
    need("btrfs", btrfs(&["balance", "start", "-dconvert=dup"]).arg(rig.top()));
    let twice = look();
    assert_eq!(twice.room_for_data(), left(twice.data, twice.unallocated / 2));
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

/// What is remembered and mended is what a first look finds. Returns that; the cache stays for the next.
fn warm_equals_cold(rig: &Rig, layout: &Layout) -> Holdings {
    rig.sync();
    let mended = space::holdings(layout, true, |_, _| {}).unwrap();
    rig.sync(); // the cache, too, is data
    let warm = space::holdings(layout, false, |_, _| {}).unwrap();
    assert_eq!(warm.read, 0, "all was remembered");
    let aside = rig.in_pool("aside");
    fs::rename(layout.space_cache(), &aside).unwrap();
    rig.sync();
    let cold = space::holdings(layout, false, |_, _| {}).unwrap();
    fs::rename(&aside, layout.space_cache()).unwrap();
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

#[test]
fn a_cache_that_cannot_be_believed_is_made_again() {
    let rig = Rig::bare_btrfs();
    fs::create_dir(rig.in_pool("@journal")).unwrap();
    let layout = Layout::new(rig.top());
    let cache = layout.space_cache();
    let mut life = Life::begin(&rig, 7);
    life.live(80);
    let look = || {
        rig.sync();
        let mut found = space::holdings(&layout, true, |_, _| {}).unwrap();
        found.holdings.release(&BTreeSet::from([space::TOP_LEVEL]));
        (found.read, by_ids(&found.holdings))
    };
    let (all, truth) = look();
    let good = fs::read(&cache).unwrap();
    assert_eq!(look(), (0, truth.clone()));
    let mut damaged: Vec<Vec<u8>> = vec![vec![], good[..good.len() - 1].to_vec(), good[..20].to_vec()];
    damaged.push([good.as_slice(), b"x"].concat());
    for at in (0..good.len()).step_by(good.len() / 20) {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        damaged.push(bytes);
    }
    for bytes in damaged {
        fs::write(&cache, bytes).unwrap();
        assert_eq!(look(), (all, truth.clone()));
        assert_eq!(fs::read(&cache).unwrap().len(), good.len(), "it was made again");
    }
    // A name that is no file: nothing is remembered, and nothing fails.
    fs::remove_file(&cache).unwrap();
    fs::create_dir_all(cache.join("in the way")).unwrap();
    assert_eq!(look(), (all, truth.clone()));
    fs::remove_dir_all(&cache).unwrap();
    nix::unistd::mkfifo(&cache, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(look(), (all, truth.clone()));
    assert_eq!(look(), (0, truth.clone()), "a rename replaced it");
    assert_eq!(rig.names("@journal"), ["space.cache"], "nothing is left beside it");
}

#[test]
fn a_balance_moves_extents_and_nothing_is_mistaken() {
    let rig = Rig::bare_btrfs();
    fs::create_dir(rig.in_pool("@journal")).unwrap();
    let layout = Layout::new(rig.top());
    let mut life = Life::begin(&rig, 11);
    life.live(120);
    rig.sync();
    let before = space::holdings(&layout, true, |_, _| {}).unwrap();
    let sums = |holdings: &Holdings| Space::new(holdings).held();
    need("btrfs", btrfs(&["balance", "start", "--full-balance"]).arg(rig.top()));
    rig.sync();
    let after = space::holdings(&layout, false, |_, _| {}).unwrap();
    assert!(after.read > 0, "every extent has moved, so every subvolume has changed");
    assert!(sums(&after.holdings) >= sums(&before.holdings));
    let cold = warm_equals_cold(&rig, &layout);
    assert_eq!(Space::new(&cold).held(), data_used(&rig));
}

#[test]
fn space_is_what_btrfs_says_and_what_pruning_frees() {
    let rig = Rig::with_lab();
    let mut numbers = Vec::new();
    for round in 0..4 {
        rig.sh(
            "lab",
            &format!("dd if=/dev/urandom of=/opt/big{round} bs=1k count={} 2>/dev/null", 700 + round),
        );
        rig.sh("lab", "dd if=/dev/urandom of=/opt/changing bs=1k count=300 2>/dev/null; rm -f /opt/big1");
        rig.profile(&["set", "lab", "--note", &format!("round {round}"), "--args", &format!("r{round}")])
            .ok();
        numbers.push(rig.last_entry("lab").0);
    }
    rig.profile(&["clone", "lab", "twin"]).ok();
    // Somebody else's snapshot, which we know nothing of.
    let point = |number: &u64| rig.in_pool(format!("@profiles/lab/snapshots/{number}"));
    subvolumes::point(&point(&numbers[0]), &rig.in_pool("theirs")).unwrap();
    let pool = rig.profile(&["space", "--json"]).json();
    let lab = rig.profile(&["space", "lab", "--json"]).json();
    rig.sync();

    for (value, path) in lab["points"].as_array().unwrap().iter().zip(numbers.iter().rev().map(point)) {
        assert_eq!(sizes(value), du(&path), "{}", path.display());
    }
    assert_eq!(sizes(&lab["roots"][0]), du(&rig.root_dir("lab")));
    assert_eq!(sizes(&pool["bases"][0]), du(&rig.in_pool("@base/13.1")));
    assert_eq!(pool["data"]["used"], data_used(&rig));
    assert_eq!(pool["unaccounted"], 0);
    assert_eq!(sizes(&lab), sizes(&pool["profiles"][0]));
    let older: Vec<u64> =
        lab["points"].as_array().unwrap().iter().map(|p| p["freed_with_older"].as_u64().unwrap()).collect();
    assert!(
        older.is_sorted_by(|a, b| a >= b) && older[0] == pool["profiles"][0]["freed_by_pruning"],
        "{older:?}"
    );

    // The oldest two, then all of them.
    let oldest: Vec<PathBuf> = numbers[..2].iter().map(point).collect();
    let rest: Vec<PathBuf> = numbers[2..].iter().map(point).collect();
    let used = data_used(&rig);
    delete_and_wait(&rig, &oldest);
    assert_eq!(used - data_used(&rig), older[2]);
    delete_and_wait(&rig, &rest);
    assert_eq!(used - data_used(&rig), older[0]);
    assert_eq!(pool["freed_by_pruning"], older[0], "twin has no points");
    assert!(older[2] > 0 && older[0] > older[2] + 100 * 1024);
}

/// What `prune` would let go is said beforehand.
#[test]
fn space_knows_what_prune_will_free() {
    let rig = Rig::with_lab();
    for round in 0..8 {
        rig.sh(
            "lab",
            &format!("dd if=/dev/urandom of=/opt/changing bs=1k count={} 2>/dev/null", 500 + round),
        );
        rig.profile(&["set", "lab", "--args", &format!("r{round}")]).ok();
    }
    let rules = "keep_last=1\nkeep_days=0\nkeep_daily=0\nkeep_weekly=0\nkeep_monthly=0\nkeep_free=0\n";
    fs::write(rig.in_pool("@journal/pool.conf"), rules).unwrap();
    let told = rig.profile(&["space", "--json"]).json()["prune_now"].clone();
    let ids = |names: &[String]| -> Vec<PathBuf> {
        names.iter().map(|n| rig.in_pool(format!("@profiles/lab/snapshots/{n}"))).collect()
    };
    rig.sync();
    let (used, before) = (data_used(&rig), ids(&rig.names("@profiles/lab/snapshots")));
    rig.profile(&["prune", "--yes"]).ok();
    need("btrfs", btrfs(&["subvolume", "sync"]).arg(rig.top()));
    rig.sync();
    let gone = before.iter().filter(|point| !point.exists()).count();
    assert!(gone > 0 && told["points"] == gone, "{told} {gone} {}", rig.profile(&["prune", "--dry-run"]).out);
    assert!(told["freed"].as_u64().unwrap() > 400 << 10, "{told}");
    // Less what the prune itself wrote: its entry, the index.
    let written = told["freed"].as_u64().unwrap() - (used - data_used(&rig));
    assert!(written < 100 << 10, "{told}: {written} bytes more were promised");
}

#[test]
fn the_pages_of_space_are_for_people() {
    let rig = Rig::with_lab();
    rig.sh("lab", "dd if=/dev/urandom of=/opt/big bs=1k count=2000 2>/dev/null");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.profile(&["create", "gone"]).ok();
    rig.profile(&["delete", "gone", "--yes"]).ok();
    let page = rig.profile(&["space"]).ok().out;
    let line = |begin: &str| {
        page.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}\n{page}"))
    };
    assert!(line("pool on /dev/loop").contains("free") && line("  data: ").contains("allocated"), "{page}");
    let ends = |begin: &str, word: &str| line(begin).find(word).map(|at| at + word.len());
    assert_eq!(ends("PROFILE", "UNIQUE"), line("lab ").find("iB").map(|at| at + 2), "{page}");
    assert!(line("lab ").trim_end().ends_with(" 1") && line(".deleted-gone-").contains("0 B"), "{page}");
    assert!(line("13.1 ").contains("MiB") || line("13.1 ").contains("KiB"), "{page}");
    assert!(page.contains("Pruning every point (1 point) would free"), "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    let page = rig.profile(&["space", "lab"]).ok().out;
    let (point, _) = rig.last_entry("lab");
    assert!(page.starts_with("profile lab: ") && page.contains("(current)"), "{page}");
    assert!(page.contains(&format!("  {point}  20")) && page.contains("THE STATE BEFORE"), "{page}");
    rig.verify();
    rig.profile(&["space", "nobody"]).refused("there is no profile nobody");
    rig.profile(&["space", "gone"]).refused("profile gone was deleted");
    rig.profile(&["space", "NO"]).says(64, "is not a profile id");
}

#[test]
fn a_full_pool_can_be_looked_at() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let before = rig.profile(&["space", "--json"]).json();
    let cache = rig.in_pool("@journal/space.cache");
    assert!(cache.is_file());
    fs::remove_file(&cache).unwrap();
    let fill = File::create(rig.in_pool("@data/home/fill")).unwrap();
    let (mut length, mut step) = (0, 1i64 << 30);
    while step >= 4096 {
        match unsafe { nix::libc::fallocate(fill.as_raw_fd(), 0, length, step) } {
            0 => length += step,
            _ => step /= 2,
        }
    }
    let full = rig.profile(&["space", "--json"]).json();
    assert_eq!(full["profiles"], before["profiles"]);
    assert!(full["home"]["unique"].as_u64().unwrap() > 100 << 20, "{full}");
    assert!(!cache.exists(), "nothing is written to a full disk");
    rig.profile(&["space", "lab"]).ok();
}

/// unique, shared, total of a value of ours
fn sizes(value: &serde_json::Value) -> [u64; 3] {
    ["unique", "shared", "total"].map(|key| value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}")))
}

/// The same as btrfs counts it. Its total is of each file as the file sees it (uncompressed, an extent
/// used in part counts in part), so both agree where no file is compressed or overwritten in place.
fn du(path: &std::path::Path) -> [u64; 3] {
    let text = need("btrfs", btrfs(&["filesystem", "du", "-s", "--raw"]).arg(path));
    let mut words = text.lines().nth(1).unwrap().split_whitespace().map(|word| word.parse().unwrap_or(0));
    let [total, exclusive, shared] = std::array::from_fn(|_| words.next().unwrap());
    [exclusive, shared, total]
}
