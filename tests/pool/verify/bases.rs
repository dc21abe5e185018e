//! A base, and its manifest.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{finds, finds_in, lab};

#[test]
fn what_is_wrong_with_a_base_is_found() {
    let (rig, ..) = lab();
    let base = rig.in_pool("@base/13.1");
    finds(
        &rig,
        &[],
        "sealed: base 13.1: it can be written to",
        || rig.set_read_only(&base, false),
        || rig.set_read_only(&base, true),
    );
    finds_in(&rig, "@base/13.1.manifest", None, "manifest: base 13.1:");
    finds_in(&rig, "@base/13.1.manifest", Some(b"x\n"), "names no largest_inode");
    let text = fs::read_to_string(rig.in_pool("@base/13.1.manifest")).unwrap();
    let header = text.lines().next().unwrap();
    let at_floor = text.replace(header, r#"{"manifest":1,"largest_inode":65536}"#);
    finds_in(
        &rig,
        "@base/13.1.manifest",
        Some(at_floor.as_bytes()),
        "floor: base 13.1: it has inode numbers at the floor",
    );
    let torn = &text.as_bytes()[..text.len() - 40];
    finds_in(&rig, "@base/13.1.manifest", Some(torn), "manifest: base 13.1:");
    fs::copy(rig.in_pool("@base/13.1.manifest"), rig.in_pool("kept")).unwrap();
    let stray = rig.in_pool("@base/9.manifest");
    finds(
        &rig,
        &[],
        "manifest: @base/9.manifest: there is no such base",
        || assert!(fs::copy(rig.in_pool("kept"), &stray).is_ok()),
        || fs::remove_file(&stray).unwrap(),
    );
    let current = rig.in_pool("@base/current");
    let point_to = |target: &str| {
        let _ = fs::remove_file(&current);
        symlink(target, &current).unwrap();
    };
    finds(
        &rig,
        &[],
        "current: @base/current: it names base 9, which is not there",
        || point_to("9"),
        || point_to("13.1"),
    );
    finds(&rig, &[], "current: @base/current: it names no base", || point_to("a/b"), || point_to("13.1"));
    finds(
        &rig,
        &[],
        "current: @base/current: it is missing",
        || fs::remove_file(&current).unwrap(),
        || point_to("13.1"),
    );
}

/// A base whose blocks or files changed under its seal: `--deep` reads every file, the sample some.
#[test]
fn a_base_is_held_against_its_manifest() {
    let (rig, ..) = lab();
    let base = rig.in_pool("@base/13.1");
    let changed = |change: &dyn Fn(&Path)| {
        rig.set_read_only(&base, false);
        change(&base);
        rig.set_read_only(&base, true);
    };
    let in_it = |inside: &str| base.join(inside);
    let word = "manifest: base 13.1: not as it was published:";
    let text = fs::read(in_it("opt/data/one")).unwrap();
    finds(
        &rig,
        &["--deep"],
        &format!("{word} /opt/data/one"),
        || changed(&|_| fs::write(in_it("opt/data/one"), "two\n").unwrap()),
        || changed(&|_| fs::write(in_it("opt/data/one"), &text).unwrap()),
    );
    finds(
        &rig,
        &["--deep"],
        &format!("{word} /etc/stranger"),
        || changed(&|_| fs::write(in_it("etc/stranger"), "x").unwrap()),
        || changed(&|_| fs::remove_file(in_it("etc/stranger")).unwrap()),
    );
    finds(
        &rig,
        &["--deep"],
        &format!("{word} /opt/data/deep/two"),
        || changed(&|_| fs::rename(in_it("opt/data/deep/two"), in_it("home/two")).unwrap()),
        || changed(&|_| fs::rename(in_it("home/two"), in_it("opt/data/deep/two")).unwrap()),
    );
    let mode = |bits| {
        move |base: &Path| {
            fs::set_permissions(base.join("etc/passwd"), fs::Permissions::from_mode(bits)).unwrap()
        }
    };
    finds(
        &rig,
        &["--deep"],
        &format!("{word} /etc/passwd"),
        || changed(&mode(0o666)),
        || changed(&mode(0o644)),
    );
    // Half of a base gone is seen without reading all of it.
    finds(
        &rig,
        &[],
        word,
        || changed(&|_| fs::rename(in_it("usr"), in_it("rsu")).unwrap()),
        || changed(&|_| fs::rename(in_it("rsu"), in_it("usr")).unwrap()),
    );
}
