//! `flipper-base import`, `list`, `prune`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::rig::{Ended, FLOOR, Rig, btrfs, need, root};

fn import(rig: &Rig, source: &Path, args: &[&str]) -> Ended {
    rig.base(&[&["import", source.to_str().unwrap()], args].concat())
}

/// The tiny root in the rig's directory, changed.
fn tiny(rig: &Rig, change: impl FnOnce(&Path)) -> std::path::PathBuf {
    let dir = rig.path("tiny");
    root::make(&dir);
    change(&dir);
    dir
}

fn header(rig: &Rig, version: &str) -> serde_json::Value {
    let text = fs::read_to_string(rig.in_pool(format!("@base/{version}.manifest"))).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

#[test]
fn a_directory_and_a_tarball_give_the_same_base() {
    let rig = Rig::new();
    let dir = tiny(&rig, |_| {});
    let tar = rig.path("tiny.tar");
    need("tar", Command::new("tar").args(["--xattrs", "-cf"]).arg(&tar).arg("-C").arg(&dir).arg("."));
    need("gzip", Command::new("gzip").arg("-k").arg(&tar));
    import(&rig, &dir, &["--version", "d", "--clean"]).ok();
    import(&rig, &tar, &["--version", "t", "--clean"]).ok();
    import(&rig, &rig.path("tiny.tar.gz"), &["--version", "z", "--clean"]).ok();
    let [d, t, z] =
        ["d", "t", "z"].map(|v| crate::rig::tree::read(&rig.in_pool(format!("@base/{v}"))).without_name());
    crate::rig::tree::assert_same(&d, &t);
    crate::rig::tree::assert_same(&d, &z);
    rig.verify();
}

#[test]
fn the_first_base_is_current_and_the_next_is_a_candidate() {
    let rig = Rig::new();
    let dir = tiny(&rig, |_| {});
    let ended = import(&rig, &dir, &["--version", "13.2", "--clean"]).ok();
    assert!(ended.out.contains("a candidate"), "{}", ended.out);
    assert_eq!(fs::read_link(rig.in_pool("@base/current")).unwrap(), Path::new("13.1"));
    let list = rig.base(&["list", "--json"]).json();
    assert_eq!(list[0]["version"], "13.1");
    assert_eq!((&list[0]["current"], &list[1]["current"]), (&true.into(), &false.into()));
    rig.profile(&["create", "old"]).ok();
    rig.profile(&["create", "new", "--base", "13.2"]).ok();
    let list = rig.base(&["list", "--json"]).json();
    assert_eq!((&list[0]["users"][0], &list[1]["users"][0]), (&"old".into(), &"new".into()));
}

#[test]
fn a_base_is_sealed_and_its_manifest_tells_the_truth() {
    let rig = Rig::new();
    let base = rig.in_pool("@base/13.1");
    let flag = need("btrfs", btrfs(&["property", "get", "-ts"]).arg(&base).arg("ro"));
    assert_eq!(flag, "ro=true");
    assert!(fs::write(base.join("x"), "").is_err());
    let text = fs::read_to_string(rig.in_pool("@base/13.1.manifest")).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let header = lines.next().unwrap();
    assert_eq!((&header["manifest"], &header["version"]), (&1.into(), &"13.1".into()));
    assert_eq!(header["floor"], FLOOR);
    let (mut paths, mut largest) = (0, fs::metadata(&base).unwrap().ino());
    for line in lines.by_ref().filter(|line| line.get("p").is_some()) {
        let path = base.join(line["p"].as_str().unwrap());
        let meta = fs::symlink_metadata(&path).unwrap();
        largest = largest.max(meta.ino());
        paths += 1;
        assert_eq!((&line["m"], &line["u"]), (&meta.mode().into(), &meta.uid().into()), "{path:?}");
        if meta.is_file() {
            let sum = need("sha256sum", Command::new("sha256sum").arg(&path));
            assert_eq!(line["h"], sum.split(' ').next().unwrap(), "{path:?}");
            assert_eq!(line["z"], meta.len(), "{path:?}");
            assert_eq!(line.get("i").is_some(), meta.nlink() > 1, "{path:?}");
        }
        let green = path.ends_with("opt/data/one") || path.ends_with("opt/data/one-too");
        assert_eq!(
            line["x"]["user.colour"],
            if green { "677265656e".into() } else { serde_json::Value::Null }
        );
    }
    assert_eq!((&header["paths"], &header["largest_inode"]), (&paths.into(), &largest.into()));
    assert!(largest < FLOOR);
    let status = text.lines().find(|line| line.starts_with("{\"text\":\"var/lib/dpkg/status\""));
    assert!(status.expect("the dpkg database is kept").contains("Package: hello"));
}

#[test]
fn cleaning_takes_out_what_no_profile_should_inherit() {
    let rig = Rig::new();
    let base = rig.in_pool("@base/13.1");
    for inside in root::DIRT {
        let path = base.join(inside);
        let emptied = inside == "etc/machine-id" || inside.starts_with("var/log/");
        match fs::symlink_metadata(&path) {
            Ok(meta) => assert!(emptied && meta.len() == 0, "{inside} is still there"),
            Err(_) => assert!(!emptied, "{inside} must stay as an empty file"),
        }
    }
    assert!(base.join("var/lib/apt/lists/partial").is_dir() && base.join("etc/hello.conf").is_file());
}

#[test]
fn cleaning_is_asked_for_and_may_be_declined() {
    let rig = Rig::new();
    let dir = tiny(&rig, |_| {});
    let ended = import(&rig, &dir, &["--version", "a"]).refused("not confirmed");
    assert!(ended.err.contains("/etc/machine-id"), "it names what would go:\n{}", ended.err);
    assert_eq!(rig.names("@base"), ["13.1", "13.1.manifest", "current", "lock"]);
    import(&rig, &dir, &["--version", "a", "--no-clean"]).ok();
    assert_eq!(fs::read(rig.in_pool("@base/a/etc/machine-id")).unwrap(), b"dirt\n");
    import(&rig, &dir, &["--version", "b", "--yes"]).ok();
    assert_eq!(fs::read(rig.in_pool("@base/b/etc/machine-id")).unwrap(), b"");
    // The source is never touched.
    assert!(root::DIRT.iter().all(|inside| dir.join(inside).exists()));
}

#[test]
fn policy_rc_d_is_shipped_and_a_roots_own_is_kept() {
    let rig = Rig::with_lab();
    assert_eq!(rig.profile(&["run", "lab", "/usr/sbin/policy-rc.d", "x", "start"]).status, 101);
    let mode = fs::metadata(rig.in_pool("@base/13.1/usr/sbin/policy-rc.d")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    let dir = tiny(&rig, |dir| fs::write(dir.join("usr/sbin/policy-rc.d"), "mine").unwrap());
    let ended = import(&rig, &dir, &["--version", "own", "--clean"]).ok();
    assert!(ended.err.contains("its own policy-rc.d"), "{}", ended.err);
    assert_eq!(fs::read(rig.in_pool("@base/own/usr/sbin/policy-rc.d")).unwrap(), b"mine");
}

/// Each fault is named in one sentence, and nothing of the import stays.
#[test]
fn what_is_not_a_settled_debian_root_is_refused() {
    type Fault = fn(&Path);
    fn status(dir: &Path, from: &str, to: &str) {
        let text = root::STATUS.replacen(from, to, 1);
        assert_ne!(text, root::STATUS);
        fs::write(dir.join("var/lib/dpkg/status"), text).unwrap();
    }
    let faults: [(&str, Fault); 12] = [
        ("os-release does not say Debian", |d| {
            fs::write(d.join("usr/lib/os-release"), "ID=other\n").unwrap()
        }),
        ("os-release does not say Debian", |d| fs::remove_file(d.join("usr/lib/os-release")).unwrap()),
        ("half-configured", |d| status(d, "ok installed", "ok half-configured")),
        ("dpkg is", |d| status(d, "ok installed", "reinstreq installed")),
        ("var/lib/dpkg/status", |d| fs::write(d.join("var/lib/dpkg/status"), "\0garbage").unwrap()),
        ("no package is installed", |d| fs::write(d.join("var/lib/dpkg/status"), "").unwrap()),
        ("it has no dpkg status", |d| fs::remove_file(d.join("var/lib/dpkg/status")).unwrap()),
        ("updates is not empty", |d| fs::write(d.join("var/lib/dpkg/updates/0001"), "").unwrap()),
        ("its /etc/fstab mounts /", |d| {
            fs::write(d.join("etc/fstab"), "UUID=1 / ext4 defaults 0 1\n").unwrap()
        }),
        ("it has no /usr/bin/dpkg", |d| fs::remove_file(d.join("usr/bin/dpkg")).unwrap()),
        ("are not links into /usr", |d| {
            fs::remove_file(d.join("sbin")).unwrap();
            fs::create_dir(d.join("sbin")).unwrap();
        }),
        ("expected a version", |d| status(d, "Version: 2.10-3", "Version: a b")),
    ];
    let rig = Rig::new();
    let before = rig.names("@base");
    for (what, fault) in faults {
        let dir = tiny(&rig, fault);
        import(&rig, &dir, &["--version", "bad", "--clean"]).refused(what);
        assert_eq!(rig.names("@base"), before, "{what}");
        let (_, entry) = rig.last_entry(".pool");
        assert_eq!((&entry["kind"], &entry["state"]), (&"import".into(), &"failed".into()), "{what}");
        fs::remove_dir_all(&dir).unwrap();
    }
    // Links out of the root must not be followed to this machine's own files.
    let dir = tiny(&rig, |d| {
        fs::remove_file(d.join("usr/lib/os-release")).unwrap();
        symlink("/etc/os-release", d.join("usr/lib/os-release")).unwrap();
    });
    import(&rig, &dir, &["--version", "bad", "--clean"]).refused("os-release");
    rig.verify();
}

/// Links of the root that is imported lead to this machine when they are followed from outside.
#[test]
fn an_import_never_touches_this_machine() {
    let rig = Rig::new();
    let mine = rig.path("mine");
    fs::create_dir(&mine).unwrap();
    for name in ["ssh_host_rsa_key", "syslog", "machine-id", "status-old"] {
        fs::write(mine.join(name), "mine").unwrap();
    }
    let dir = tiny(&rig, |dir| {
        for inside in ["etc/ssh", "var/log", "var/cache/apt"] {
            fs::remove_dir_all(dir.join(inside)).unwrap();
            symlink(&mine, dir.join(inside)).unwrap();
        }
        fs::remove_file(dir.join("etc/machine-id")).unwrap();
        symlink(mine.join("machine-id"), dir.join("etc/machine-id")).unwrap();
        symlink("/etc/resolv.conf", dir.join("etc/passwd-x")).unwrap();
    });
    let before = crate::rig::tree::read(&mine);
    import(&rig, &dir, &["--version", "odd", "--clean"]).ok();
    crate::rig::tree::assert_same(&before, &crate::rig::tree::read(&mine));
    let sbin = |dir: &Path| {
        fs::remove_dir_all(dir.join("usr/sbin")).unwrap();
        symlink(&mine, dir.join("usr/sbin")).unwrap();
    };
    fs::remove_dir_all(&dir).unwrap();
    import(&rig, &tiny(&rig, sbin), &["--version", "odder", "--clean"]);
    crate::rig::tree::assert_same(&before, &crate::rig::tree::read(&mine));
}

/// A filesystem with as many inodes as the floor cannot be copied in quickly: the floor comes down.
#[test]
fn a_base_that_reaches_the_floor_is_refused() {
    let rig = Rig::new();
    let format = rig.in_pool("@journal/format");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace("65536", "300")).unwrap();
    let dir = tiny(&rig, |_| {});
    import(&rig, &dir, &["--version", "big", "--clean"]).refused("and the pool's floor is 300");
    assert!(!rig.in_pool("@base/big").exists() && !rig.in_pool("@base/big.manifest").exists());
}

#[test]
fn a_source_that_cannot_be_read_leaves_nothing() {
    let rig = Rig::new();
    let before = rig.names("@base");
    let dir = tiny(&rig, |_| {});
    let tar = rig.path("tiny.tar");
    need("tar", Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&dir).arg("."));
    let whole = fs::read(&tar).unwrap();
    fs::write(rig.path("cut.tar"), &whole[..whole.len() / 2]).unwrap();
    fs::write(rig.path("noise.tar"), b"not a tarball at all").unwrap();
    import(&rig, &rig.path("cut.tar"), &["--version", "x", "--clean"]).says(3, "tar");
    import(&rig, &rig.path("noise.tar"), &["--version", "x", "--clean"]).says(3, "tar");
    import(&rig, &rig.path("missing"), &["--version", "x", "--clean"]).says(3, "cannot look at");
    assert_eq!(rig.names("@base"), before);
    import(&rig, &dir, &["--version", "13.1", "--clean"]).refused("there is a base 13.1 already");
    for bad in ["", "..", "current", "a/b", "x.manifest", "a b", ".x"] {
        import(&rig, &dir, &["--version", bad, "--clean"]).says(64, "is not a base version");
    }
    assert_eq!(rig.names("@base"), before);
    rig.verify();
}

#[test]
fn a_base_somebody_stands_on_is_not_pruned() {
    let rig = Rig::new();
    let dir = tiny(&rig, |_| {});
    import(&rig, &dir, &["--version", "13.2", "--clean"]).ok();
    let prune = |version: &str| rig.base(&["prune", version, "--yes"]);
    prune("13.1").refused("base 13.1 is kept: current");
    prune("13.9").refused("there is no base 13.9");
    // By a root.
    rig.profile(&["create", "lab", "--base", "13.2"]).ok();
    prune("13.2").refused("profile lab stands on it (root 3)");
    // By a clone, and by a deleted profile that can be brought back.
    rig.profile(&["clone", "lab", "twin"]).ok();
    rig.profile(&["delete", "lab", "--yes"]).ok();
    prune("13.2").refused("twin");
    rig.profile(&["delete", "twin", "--yes"]).ok();
    prune("13.2").refused("deleted profile lab stands on it");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/hello.conf"), "greeting=hello");
    // A base nobody stands on goes, with its manifest.
    import(&rig, &dir, &["--version", "13.3", "--clean"]).ok();
    rig.base(&["prune", "13.3"]).refused("not confirmed");
    prune("13.3").ok();
    assert!(rig.names("@base").iter().all(|name| !name.contains("13.3")));
    rig.verify();
}

/// Only a point stands on it: the root was carried elsewhere.
#[test]
fn a_base_under_a_point_alone_is_not_pruned() {
    let rig = Rig::with_lab();
    let dir = tiny(&rig, |_| {});
    import(&rig, &dir, &["--version", "13.2", "--clean"]).ok();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    fs::write(rig.root_dir("lab").join("base"), "13.2\n").unwrap();
    fs::remove_file(rig.in_pool("@base/current")).unwrap();
    symlink("13.2", rig.in_pool("@base/current")).unwrap();
    rig.base(&["prune", "13.1", "--yes"]).refused("point 4 of lab (until prune lets go of them)");
    assert_eq!(header(&rig, "13.1")["version"], "13.1");
    rig.verify();
}

/// A mounted base without any root or point: by the throwaway copy of nobody, or by hand.
#[test]
fn a_base_somebody_mounted_is_not_pruned() {
    let rig = Rig::new();
    let dir = tiny(&rig, |_| {});
    import(&rig, &dir, &["--version", "13.2", "--clean"]).ok();
    rig.profile(&["create", "lab", "--base", "13.2"]).ok();
    let run = rig.start_waiting("lab");
    let aside = rig.path("set-aside");
    fs::create_dir(&aside).unwrap();
    // The profile's directory is renamed out of sight behind our back while it runs.
    fs::rename(rig.in_pool("@profiles/lab"), rig.in_pool("@data/lab")).unwrap();
    rig.base(&["prune", "13.2", "--yes"]).refused("mounted at");
    fs::rename(rig.in_pool("@data/lab"), rig.in_pool("@profiles/lab")).unwrap();
    run.end();
    assert_eq!(rig.sh("lab", "cat /opt/data/one"), "one");
}

#[test]
fn every_base_is_named_with_every_reason_and_what_has_none_goes() {
    let rig = Rig::new();
    let dir = tiny(&rig, |_| {});
    for version in ["12.9", "13.0", "13.0.1", "13.2", "13.10"] {
        import(&rig, &dir, &["--version", version, "--clean"]).ok();
    }
    rig.profile(&["create", "lab", "--base", "13.2"]).ok();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.profile(&["create", "gone", "--base", "13.0"]).ok();
    rig.profile(&["delete", "gone", "--yes"]).ok();
    rig.base(&["mark-good", "13.0"]).ok();
    let before = crate::rig::tree::read(&rig.top());
    let dry = rig.base(&["prune", "--dry-run"]).ok();
    let root = rig.current("lab");
    for line in [
        "12.9    goes: nothing stands on it".to_owned(),
        "13.0    kept: last good; deleted profile gone stands on it (root 9)".to_owned(),
        "13.0.1  goes: nothing stands on it".to_owned(),
        "13.1    kept: current".to_owned(),
        "13.10   kept: candidate: newer than current".to_owned(),
        format!(
            "13.2    kept: profile lab stands on it (root {root}), point {point} of lab (until prune lets go of them); candidate: newer than current"
        ),
    ] {
        assert!(dry.out.lines().any(|said| said.trim_end() == line), "{line}\n{}", dry.out);
    }
    assert!(
        dry.out.contains("bases 12.9, 13.0.1 would go") || dry.err.contains("bases 12.9, 13.0.1 would go"),
        "{dry:?}"
    );
    let json = rig.base(&["prune", "--dry-run", "--json"]).json();
    assert_eq!(
        (&json["bases"][0]["goes"], &json["bases"][3]["kept_for"][0]),
        (&true.into(), &"current".into())
    );
    rig.base(&["prune"]).refused("not confirmed: remove bases 12.9, 13.0.1 for good?");
    // Refused with every reason, not the first.
    let refused =
        rig.base(&["prune", "13.0", "--yes"]).refused("base 13.0 is kept: last good; deleted profile gone");
    assert!(refused.err.contains("prune --dry-run"), "{}", refused.err);
    crate::rig::tree::assert_same(&before, &crate::rig::tree::read(&rig.top()));

    let json = rig.base(&["prune", "--yes", "--json"]).json();
    assert_eq!(json["removed"], serde_json::json!(["12.9", "13.0.1"]));
    let list = rig.base(&["list", "--json"]).json();
    let left: Vec<&str> =
        list.as_array().unwrap().iter().map(|row| row["version"].as_str().unwrap()).collect();
    assert_eq!(left, ["13.0", "13.1", "13.10", "13.2"]);
    let again = rig.base(&["prune", "--yes"]).ok();
    assert!(again.out.contains("there is a reason to keep every base"), "{}", again.out);
    // Who names a candidate means it.
    rig.base(&["prune", "13.10", "--yes"]).ok();
    rig.verify();
}
