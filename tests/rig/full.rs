//! A file system without room, for data or for metadata.

use std::fs;
use std::path::Path;
use std::process::Command;

use fs2::FileExt;

use super::{Rig, need};

/// Allocated and not written: nothing has to reach the disk.
pub fn fill_data(dir: &Path) {
    let file = fs::OpenOptions::new().create(true).append(true).open(dir.join("ballast")).unwrap();
    let mut length = file.metadata().unwrap().len();
    for size in [16 << 20, 1 << 20, 1 << 16, 1 << 12] {
        while FileExt::allocate(&file, length + size).is_ok() {
            length += size;
        }
    }
    file.sync_all().unwrap();
}

/// So many bytes of data are free again.
pub fn give_back(rig: &Rig, dir: &Path, bytes: u64) {
    let ballast = fs::OpenOptions::new().write(true).open(dir.join("ballast")).unwrap();
    ballast.set_len(ballast.metadata().unwrap().len().saturating_sub(bytes)).unwrap();
    sync(rig);
}

/// Names and attributes take no data. Each refusal costs the kernel a commit: it tries hard first.
pub fn fill_metadata(rig: &Rig, dir: &Path) {
    let long = "y".repeat(200);
    let begun = fs::read_dir(dir).unwrap().count();
    let (mut made, mut refused) = (0, 0);
    while refused < 4 && made < 100_000 {
        let path = dir.join(format!("{begun}-{made}-{long}"));
        let tried = fs::File::create(&path).and_then(|_| xattr::set(&path, "user.fill", &[7; 3000]));
        made += 1;
        if tried.is_err() {
            refused += 1;
            sync(rig); // what was promised and not used is free again, and is filled too
        }
    }
}

/// Removes all that was filled in.
pub fn make_room(rig: &Rig, dir: &Path) {
    for item in fs::read_dir(dir).unwrap() {
        fs::remove_file(item.unwrap().path()).unwrap();
    }
    sync(rig);
}

pub fn sync(rig: &Rig) {
    need("sync", Command::new("sync").arg("-f").arg(rig.top()));
}

/// `verify` finds nothing but that there is no room.
pub fn verify(rig: &Rig) {
    let said = rig.profile(&["verify", "--json"]).out;
    let findings: serde_json::Value = serde_json::from_str(&said).unwrap();
    let of_room = |finding: &&serde_json::Value| finding.to_string().contains("left for");
    let other: Vec<_> = findings["findings"].as_array().unwrap().iter().filter(|f| !of_room(f)).collect();
    assert!(other.is_empty(), "{other:?}");
}

/// Portions that are there.
pub fn reserve(rig: &Rig) -> usize {
    rig.names("@journal/reserve").iter().filter(|name| !name.starts_with('.')).count()
}
