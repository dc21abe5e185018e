//! 0 bytes free: what takes back and what makes room works, whichever kind of room is gone. A file
//! system is mixed (data and metadata in the same place) or split; a split one fills with data, or with
//! metadata while there is data left, or with both. Each is filled to the last byte, with the reserve
//! in place.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::retention::{points, set_rules};
use crate::rig::full::{fill_data, fill_metadata, reserve, sync, verify};
use crate::rig::tree::{self, Tree, assert_same};
use crate::rig::{Rig, need};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Full {
    Mixed,
    Data,
    Metadata,
    Both,
}

const ALL: [Full; 4] = [Full::Mixed, Full::Data, Full::Metadata, Full::Both];

/// A pool of 300 MB with `lab`, a few points, and no byte left.
struct Filled {
    rig: Rig,
    numbers: Vec<u64>,
    before: Tree,
    after: Tree,
}

fn filled(kind: Full) -> Filled {
    let rig = Rig::bare();
    fs::File::create(&rig.image).unwrap().set_len(300 << 20).unwrap();
    let mut mkfs = Command::new("mkfs.btrfs");
    if kind == Full::Mixed {
        mkfs.arg("--mixed");
    }
    need("mkfs.btrfs", mkfs.arg("-q").arg(&rig.image));
    rig.hold();
    rig.profile(&["init", rig.top().to_str().unwrap(), "--inode-floor", "65536"]).ok();
    assert!(reserve(&rig) == 2, "init makes the reserve");
    let tiny = rig.path("tiny");
    crate::rig::root::make(&tiny);
    rig.base(&["import", tiny.to_str().unwrap(), "--version", "13.1", "--clean"]).ok();
    rig.profile(&["create", "lab"]).ok();
    let mut numbers = Vec::new();
    for n in 0..4 {
        rig.profile(&["set", "lab", "--args", &n.to_string()]).ok();
        numbers.push(rig.last_entry("lab").0);
        rig.sh("lab", &format!("for i in 1 2 3 4 5 6 7 8; do head -c 300000 /dev/urandom > /opt/mine-$i; done; echo {n} > /etc/mine"));
    }
    set_rules(&rig, "last=1");
    let after = upper(&rig.root_dir("lab"));
    let before = upper(&rig.in_pool(format!("@profiles/lab/snapshots/{}", numbers[3])));
    let data = rig.in_pool("@data/home");
    match kind {
        Full::Mixed | Full::Data => fill_data(&data),
        // All that is not allocated yet goes to data, most of which is then given back.
        Full::Metadata => {
            fill_data(&data);
            fill_metadata(&rig, &data);
            let ballast = fs::OpenOptions::new().write(true).open(data.join("ballast")).unwrap();
            ballast.set_len(ballast.metadata().unwrap().len() - (16 << 20)).unwrap();
            sync(&rig);
            fill_metadata(&rig, &data);
        }
        Full::Both => {
            fill_data(&data);
            fill_metadata(&rig, &data);
        }
    }
    sync(&rig);
    let is_full = |what: &dyn Fn() -> std::io::Result<()>| {
        let error = what().expect_err(&format!("{kind:?}: there is room yet"));
        assert_eq!(error.raw_os_error(), Some(28), "{kind:?}: {error}");
    };
    match kind {
        Full::Metadata => is_full(&|| std::os::unix::fs::symlink("x", data.join("probe"))),
        _ => is_full(&|| fs::write(data.join("probe"), vec![7u8; 100_000])),
    }
    let _ = fs::remove_file(data.join("probe"));
    sync(&rig);
    Filled { rig, numbers, before, after }
}

/// What a root or point holds itself; a mount would want room.
fn upper(root: &Path) -> Tree {
    tree::read(&root.join("root"))
}

#[test]
fn undo_list_log_and_redo_work_at_zero_bytes() {
    for kind in ALL {
        let Filled { rig, before, after, .. } = filled(kind);
        assert_eq!(reserve(&rig), 2, "{kind:?}: nothing else uses it up");
        for args in [&["list"][..], &["log", "lab"], &["status"], &["show", "lab"], &["prune", "--dry-run"]] {
            rig.profile(args).ok();
        }
        rig.undo(&["--profile", "lab", "--list"]).ok();
        rig.undo(&["--profile", "lab", "--dry-run"]).ok();
        assert_eq!(reserve(&rig), 2, "{kind:?}: a reader gives nothing back");
        rig.undo(&["--profile", "lab", "--yes"]).ok();
        assert!(reserve(&rig) < 2, "{kind:?}: it was not full");
        assert_same(&before, &upper(&rig.root_dir("lab")));
        rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
        assert_same(&after, &upper(&rig.root_dir("lab")));
        verify(&rig);
    }
}

#[test]
fn prune_works_at_zero_bytes_and_makes_the_reserve_again() {
    for kind in [Full::Mixed, Full::Metadata] {
        let Filled { rig, numbers, after, .. } = filled(kind);
        rig.profile(&["prune", "--yes"]).ok();
        assert_eq!(points(&rig), [numbers[0], numbers[3]], "{kind:?}");
        let (_, entry) = rig.last_entry(".pool");
        assert_eq!((&entry["kind"], &entry["state"]), (&"prune".into(), &"completed".into()), "{kind:?}");
        verify(&rig);
        // With room again the next command makes it whole.
        for item in fs::read_dir(rig.in_pool("@data/home")).unwrap() {
            fs::remove_file(item.unwrap().path()).unwrap();
        }
        sync(&rig);
        rig.profile(&["set", "lab", "--note", "x"]).ok();
        assert_eq!(reserve(&rig), 2, "{kind:?}");
        assert_same(&after, &upper(&rig.root_dir("lab")));
        verify(&rig);
    }
}

/// Even the reserve is gone: deleting comes first, and the entry is written where the points were.
#[test]
fn prune_works_when_the_reserve_is_used_up_too() {
    for kind in [Full::Data, Full::Metadata] {
        let Filled { rig, numbers, after, .. } = filled(kind);
        for portion in ["1", "2"] {
            let _ = fs::remove_file(rig.in_pool("@journal/reserve").join(portion));
        }
        sync(&rig);
        let data = rig.in_pool("@data/home");
        fill_data(&data);
        if kind == Full::Metadata {
            fill_metadata(&rig, &data);
        }
        sync(&rig);
        let ended = rig.profile(&["prune", "--yes"]);
        assert_eq!(points(&rig), [numbers[0], numbers[3]], "{kind:?}: {}", ended.err);
        // What these points held was data: where metadata is gone, there is still no room for an entry.
        let gave_data = kind == Full::Data;
        assert!(ended.status == 0 || ended.status == 1 && !gave_data, "{kind:?}: {}", ended.err);
        let (_, entry) = rig.last_entry(".pool");
        assert_eq!(entry["kind"] == "prune", ended.status == 0, "{kind:?}: {}", ended.err);
        assert_same(&after, &upper(&rig.root_dir("lab")));
        verify(&rig);
    }
}

#[test]
fn the_reserve_is_really_allocated() {
    use std::os::unix::fs::MetadataExt;
    let rig = Rig::new();
    let mut bytes = 0;
    for portion in ["1", "2"] {
        let path = rig.in_pool("@journal/reserve").join(portion);
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.mode() & 0o777, 0o600);
        let names: Vec<_> = xattr::list(&path).unwrap().collect();
        let attributes: usize =
            names.iter().map(|name| xattr::get(&path, name).unwrap().unwrap().len()).sum();
        bytes += meta.blocks() * 512 + attributes as u64;
    }
    assert!((31 << 20..=33 << 20).contains(&bytes), "{bytes}");
    // A pool of an older program gets it with its next change; a cut leaves no half of it.
    fs::remove_dir_all(rig.in_pool("@journal/reserve")).unwrap();
    rig.profile(&["create", "lab"]).ok();
    fs::rename(rig.in_pool("@journal/reserve/1"), rig.in_pool("@journal/reserve/.1.new")).unwrap();
    rig.profile(&["set", "lab", "--note", "x"]).ok();
    assert_eq!(rig.names("@journal/reserve"), ["1", "2"]);
    rig.verify();
}

/// What can wait takes nothing of the reserve, and leaves no half of anything.
#[test]
fn share_and_unshare_fail_whole_and_leave_the_reserve() {
    let rig = Rig::with_lab();
    let make = "set -e; mkdir -p /srv/big /srv/other; for d in big other; do head -c 3000000 /dev/urandom > /srv/$d/x; done; echo net > /etc/wifi.conf";
    rig.sh("lab", make);
    rig.profile(&["share", "--profile", "lab", "/srv/big"]).ok();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let before = upper(&rig.root_dir("lab"));
    rig.sh("lab", "echo changed > /etc/mine");
    let data = rig.in_pool("@data/home");
    fill_data(&data);
    sync(&rig);
    let after = upper(&rig.root_dir("lab"));
    let shared = tree::read(&rig.in_pool("@data/shared"));
    for room in [0, 1 << 20] {
        let ballast = fs::OpenOptions::new().write(true).open(data.join("ballast")).unwrap();
        ballast.set_len(ballast.metadata().unwrap().len() - room).unwrap();
        sync(&rig);
        for args in [&["share", "/srv/other"][..], &["unshare", "/srv/big"]] {
            let ended = rig.profile(&[args, &["--profile", "lab"]].concat());
            assert_eq!(ended.status, 3, "{room}: {ended:?}");
            assert!(ended.err.contains("No space left"), "{room}: {}", ended.err);
            assert_eq!(reserve(&rig), 2, "{room}: {args:?}");
            assert_same(&after, &upper(&rig.root_dir("lab")));
            assert_same(&shared, &tree::read(&rig.in_pool("@data/shared")));
            if room > 0 {
                assert_eq!(rig.last_entry("lab").1["state"], "cancelled", "{args:?}");
            }
        }
    }
    fill_data(&data);
    sync(&rig);
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_same(&before, &upper(&rig.root_dir("lab")));
    fs::remove_file(data.join("ballast")).unwrap();
    sync(&rig);
    rig.profile(&["share", "--profile", "lab", "/srv/other"]).ok();
    rig.profile(&["unshare", "--profile", "lab", "/srv/big"]).ok();
    assert_eq!(rig.sh("lab", "cat /srv/big/x /srv/other/x | wc -c"), "6000000");
    rig.verify();
}
