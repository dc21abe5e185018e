//! The device below the pool, and the booted file.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::{findings, finds, lab};
use crate::rig::{btrfs, need};

/// Blocks that do not match their checksum are counted by btrfs; a full pool is said before it hurts.
#[test]
fn what_is_wrong_with_the_device_is_found() {
    let (rig, ..) = lab();
    let ballast = rig.in_pool("@data/home/ballast");
    let fill = || {
        // Most of what the reserve leaves of 1 GiB in one go, the rest until it is full.
        need("fallocate", Command::new("fallocate").args(["-l", "600M"]).arg(&ballast));
        let mut file = fs::OpenOptions::new().append(true).open(&ballast).unwrap();
        while file.write_all(&[7; 1 << 20]).and_then(|()| file.sync_data()).is_ok() {}
    };
    let empty = || {
        fs::remove_file(&ballast).unwrap();
        need("btrfs", btrfs(&["filesystem", "sync"]).arg(rig.top()));
        need("btrfs", btrfs(&["balance", "start", "-dusage=5"]).arg(rig.top()));
    };
    finds(&rig, &[], "MiB left for data: changes will fail soon", fill, empty);

    let file = rig.in_pool("@data/home/file");
    fs::write(&file, vec![b'k'; 1 << 20]).unwrap();
    need("sync", Command::new("sync").arg("-f").arg(rig.top()));
    rig.release();
    rig.wait_until_detached();
    spoil(&rig.image);
    rig.hold();
    assert!(fs::read(rig.in_pool("@data/home/file")).is_err(), "btrfs sees it");
    let found = findings(&rig, &[]);
    assert!(found.iter().any(|f| f.starts_with("device: ") && f.contains("corrupt blocks")), "{found:?}");
    fs::remove_file(rig.in_pool("@data/home/file")).unwrap();
    need("btrfs", btrfs(&["device", "stats", "-z"]).arg(rig.top()));
    rig.verify();
}

/// Overwrites one block of the file of `k` in an image, behind btrfs's back.
fn spoil(image: &Path) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().read(true).write(true).open(image).unwrap();
    let mut block = vec![0; 1 << 20];
    for at in (0..file.metadata().unwrap().len()).step_by(block.len()) {
        file.read_exact_at(&mut block, at).unwrap();
        let found = block.chunks(4096).position(|page| page[0] == b'k' && page.iter().all(|b| *b == b'k'));
        if let Some(page) = found {
            return file.write_all_at(b"spoilt", at + page as u64 * 4096).unwrap();
        }
    }
    panic!("the file's blocks are not in the image");
}

/// The booted file says where this machine stands; when it lies, it is named.
#[test]
fn what_is_wrong_with_the_booted_file_is_found() {
    use std::os::unix::fs::MetadataExt;
    let (rig, root, _) = lab();
    let here = fs::metadata("/").unwrap();
    let uuid = rig.profile(&["status", "--json"]).ok().out;
    let uuid = serde_json::from_str::<serde_json::Value>(&uuid).unwrap()["pool"].as_str().unwrap().to_owned();
    let id = need("btrfs", btrfs(&["inspect-internal", "rootid"]).arg(rig.root_dir("lab")));
    let good = format!(
        "profile=lab\nroot={root}\nbase=13.1\npool={uuid}\ndevice=/dev/x\nsubvolid={id}\nidentity={}:{}\nmode=boot\n",
        here.dev(),
        here.ino()
    );
    // This test's own /run.
    fs::create_dir_all("/run/flipper").unwrap();
    let booted = Path::new("/run/flipper/booted");
    fs::write(booted, &good).unwrap();
    for (bad, wanted) in [
        (good.replace("root=", "root=9"), "it names root 9"),
        (good.replace("subvolid=", "subvolid=9"), "is not the subvolume it names"),
        (good.replace("base=13.1", "base=13.2"), "it names another base than its root"),
        (good.replace("mode=boot", "mode=?"), "mode \"?\" is not known"),
        (good.replace("root=", "toor="), "it has no line root="),
    ] {
        finds(&rig, &[], wanted, || fs::write(booted, bad).unwrap(), || fs::write(booted, &good).unwrap());
    }
    // Of another pool, or of another root directory (we are in a chroot): not ours to judge.
    for other in [
        good.replace(&uuid, "x").replace("root=", "root=9"),
        good.replace("identity=", "identity=9").replace("root=", "root=9"),
    ] {
        fs::write(booted, other).unwrap();
        assert_eq!(findings(&rig, &[]), [""; 0]);
    }
}
