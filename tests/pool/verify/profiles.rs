//! A profile: its description, pointer, roots and points.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::{finds, finds_in, lab};
use crate::rig::{btrfs, need};

#[test]
fn what_is_wrong_with_a_profile_is_found() {
    let (rig, root, point) = lab();
    finds_in(&rig, "@profiles/lab/profile.json", Some(b"{"), "description: profile lab:");
    finds_in(&rig, "@profiles/lab/profile.json", None, "description: profile lab:");
    let current = rig.in_pool("@profiles/lab/current");
    let point_to = |target: &str| {
        let _ = fs::remove_file(&current);
        symlink(target, &current).unwrap();
    };
    let right = format!("roots/{root}");
    finds(
        &rig,
        &[],
        "pointer: profile lab: current points to root 999, which is gone",
        || point_to("roots/999"),
        || point_to(&right),
    );
    finds(&rig, &[], "pointer: profile lab: current:", || point_to("/etc"), || point_to(&right));
    finds(
        &rig,
        &[],
        "pointer: profile lab: current:",
        || fs::remove_file(&current).unwrap(),
        || point_to(&right),
    );
    let (log, gol) = (rig.in_pool("@profiles/lab/state/var/log"), rig.in_pool("@profiles/lab/state/var/gol"));
    finds(
        &rig,
        &[],
        "state: profile lab: state/var/log is missing",
        || fs::rename(&log, &gol).unwrap(),
        || fs::rename(&gol, &log).unwrap(),
    );

    for (what, dir) in [
        ("root", format!("@profiles/lab/roots/{root}")),
        ("point", format!("@profiles/lab/snapshots/{point}")),
    ] {
        let number = dir.rsplit('/').next().unwrap();
        let of = format!("lab: {what} {number}");
        let seal = |on| {
            if what == "point" {
                rig.set_read_only(&rig.in_pool(&dir), on)
            }
        };
        for (file, bytes, wanted) in [
            ("base", &b"9\n"[..], format!("base: {of}: it stands on base 9, which is gone")),
            ("base", b"../x\n", format!("facts: {of}:")),
            ("args", b"a\nb\n", format!("facts: {of}: its file args has more than one line")),
            ("dtbo", b"\0\0\n", format!("facts: {of}: its file dtbo is no text")),
        ] {
            let path = rig.in_pool(&dir).join(file);
            let old = fs::read(&path).unwrap();
            let write = |bytes: &[u8]| {
                seal(false);
                fs::write(&path, bytes).unwrap();
                seal(true);
            };
            finds(&rig, &[], &wanted, || write(bytes), || write(&old));
        }
        let (upper, aside) = (rig.in_pool(&dir).join("root"), rig.in_pool(&dir).join("toor"));
        let rename = |from: &Path, to: &Path| {
            seal(false);
            fs::rename(from, to).unwrap();
            seal(true);
        };
        finds(
            &rig,
            &[],
            &format!("root: {of}: it has no root/"),
            || rename(&upper, &aside),
            || rename(&aside, &upper),
        );
    }
    finds_in(
        &rig,
        &format!("@profiles/lab/roots/{root}/entry"),
        Some(b"7\n"),
        &format!("facts: lab: root {root}: it says entry \"7\" made it"),
    );
    let here = rig.in_pool(format!("@profiles/lab/roots/{root}"));
    finds(
        &rig,
        &[],
        &format!("root: lab: root {root}:"),
        || rig.set_read_only(&here, true),
        || rig.set_read_only(&here, false),
    );
    let sealed = rig.in_pool(format!("@profiles/lab/snapshots/{point}"));
    finds(
        &rig,
        &[],
        &format!("sealed: lab: point {point}: it can be written to"),
        || rig.set_read_only(&sealed, false),
        || rig.set_read_only(&sealed, true),
    );
    let stray = rig.in_pool("@profiles/lab/snapshots/98");
    finds(
        &rig,
        &[],
        "point: lab: point 98: it is no subvolume",
        || fs::create_dir(&stray).unwrap(),
        || fs::remove_dir(&stray).unwrap(),
    );
}

/// Upper and work in two subvolumes, and a root that does not descend from the template: overlayfs mounts
/// both without a word, and fails later.
#[test]
fn a_root_that_would_fail_later_is_found() {
    let (rig, root, _) = lab();
    let here = rig.in_pool(format!("@profiles/lab/roots/{root}"));
    let work = here.join("work");
    let damage = || {
        fs::rename(&work, here.join("old")).unwrap();
        need("btrfs", btrfs(&["subvolume", "create"]).arg(&work));
    };
    finds(&rig, &[], "root/ and work/ are in different subvolumes", damage, || {
        need("btrfs", btrfs(&["subvolume", "delete"]).arg(&work));
        fs::rename(here.join("old"), &work).unwrap();
    });
    let kept = rig.in_pool("kept");
    let damage = || {
        fs::rename(&here, &kept).unwrap();
        need("btrfs", btrfs(&["subvolume", "create"]).arg(&here));
        need("cp", Command::new("cp").arg("-a").arg(kept.join(".")).arg(&here));
    };
    finds(&rig, &[], "its inode numbers are below the floor", damage, || {
        need("btrfs", btrfs(&["subvolume", "delete"]).arg(&here));
        fs::rename(&kept, &here).unwrap();
    });
}
