//! File names are bytes, files have links and attributes, and overlayfs has whiteouts and opaque
//! directories: all of it survives clone, undo, redo and `--path`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::rig::tree::{self, assert_differ, assert_same};
use crate::rig::{Rig, ended, need};

const NAMES: [&[u8]; 7] = [
    b"plain",
    b"two  blanks ",
    b"new\nline",
    b"\xff\xfe not utf-8",
    b"-rf",
    b"tab\tquote'\"\\$`",
    "ä€".as_bytes(),
];

fn name(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Fills a merged tree with everything a file system can hold.
fn fill(dir: &Path, salt: &str) {
    for bytes in NAMES {
        let here = dir.join("srv").join(name(bytes));
        fs::create_dir_all(&here).unwrap();
        fs::write(here.join(name(bytes)), salt).unwrap();
        symlink(name(b"\xff to \n nowhere"), here.join("link")).unwrap();
        fs::hard_link(here.join(name(bytes)), here.join("again")).unwrap();
    }
    let file = dir.join("srv/attributes");
    fs::write(&file, salt).unwrap();
    xattr::set(&file, "user.salt", salt.as_bytes()).unwrap();
    xattr::set(&file, "trusted.mine", b"\0\xff").unwrap();
    xattr::set(&file, "security.capability", &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).unwrap();
    std::os::unix::fs::lchown(&file, Some(12345), Some(54321)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).unwrap();
    need("mkfifo", Command::new("mkfifo").arg(dir.join("srv/fifo")));
    need("mknod", Command::new("mknod").arg(dir.join("srv/device")).args(["c", "1", "3"]));
    // Whiteouts of a file and of a link; an opaque directory where the base has one with files.
    fs::remove_file(dir.join("etc/hello.conf")).unwrap();
    fs::remove_file(dir.join("etc/os-release")).unwrap();
    fs::remove_dir_all(dir.join("opt/data")).unwrap();
    fs::create_dir(dir.join("opt/data")).unwrap();
    fs::write(dir.join("opt/data/only"), salt).unwrap();
    // A directory where the base has a file, a file where it has a directory.
    fs::remove_file(dir.join("usr/share/doc/hello/copyright")).unwrap();
    fs::create_dir(dir.join("usr/share/doc/hello/copyright")).unwrap();
    fs::remove_dir_all(dir.join("var/lib/apt/lists")).unwrap();
    fs::write(dir.join("var/lib/apt/lists"), salt).unwrap();
}

fn empty(dir: &Path) {
    fs::remove_dir_all(dir.join("srv")).unwrap();
    fs::remove_file(dir.join("var/lib/apt/lists")).unwrap();
    fs::remove_dir_all(dir.join("usr/share/doc/hello")).unwrap();
    fs::remove_dir_all(dir.join("opt")).unwrap();
    fs::write(dir.join("etc/hello.conf"), "back\n").unwrap();
}

#[test]
fn clone_undo_and_redo_keep_everything() {
    let rig = Rig::with_lab();
    rig.mounted("lab", |dir| fill(dir, "first"));
    let full = rig.tree("lab");
    assert!(full.has(Path::new("srv").join(name(NAMES[3]))) && !full.has("etc/hello.conf"));
    rig.profile(&["clone", "lab", "twin"]).ok();
    assert_same(&full, &rig.tree("twin"));
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    assert_same(&full, &rig.tree(&format!("lab@{point}")));
    rig.mounted("lab", empty);
    let emptied = rig.tree("lab");
    assert_differ(&full, &emptied);
    for _ in 0..2 {
        rig.undo(&["--profile", "lab", "--yes"]).ok();
        assert_same(&full, &rig.tree("lab"));
        rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
        assert_same(&emptied, &rig.tree("lab"));
    }
    rig.verify();
}

#[test]
fn a_base_keeps_everything_that_it_was_made_of() {
    let rig = Rig::new();
    let dir = rig.path("odd");
    crate::rig::root::make(&dir);
    fs::create_dir(dir.join("srv")).unwrap();
    for bytes in NAMES {
        fs::create_dir(dir.join("srv").join(name(bytes))).unwrap();
        fs::write(dir.join("srv").join(name(bytes)).join(name(bytes)), "x").unwrap();
    }
    let file = dir.join("srv/capable");
    fs::write(&file, "x").unwrap();
    fs::hard_link(&file, dir.join("srv/capable-too")).unwrap();
    xattr::set(&file, "security.capability", &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    let tar = rig.path("odd.tar");
    need(
        "tar",
        Command::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "-cf"])
            .arg(&tar)
            .arg("-C")
            .arg(&dir)
            .arg("."),
    );
    for (source, version) in [(&dir, "d"), (&tar, "t")] {
        rig.base(&["import", source.to_str().unwrap(), "--version", version, "--no-clean"]).ok();
        let base = rig.in_pool(format!("@base/{version}"));
        let ours = ["usr/sbin/policy-rc.d"];
        let of = |dir: &Path| tree::read(dir).without(&ours).without_name();
        assert_same(&of(&dir), &of(&base));
    }
    let manifest = fs::read_to_string(rig.in_pool("@base/d.manifest")).unwrap();
    assert!(manifest.contains("\"pb\":[") && manifest.contains("new\\nline"), "bytes and escapes");
}

fn restore(rig: &Rig, number: u64, paths: &[&[u8]]) -> crate::rig::Ended {
    let number = number.to_string();
    let mut args: Vec<&OsStr> = ["--profile", "lab", "--yes", &number].map(OsStr::new).to_vec();
    for path in paths {
        args.push(OsStr::new("--path"));
        args.push(OsStr::from_bytes(path));
    }
    ended(&mut rig.command("flipper-undo", &args))
}

#[test]
fn single_paths_are_put_back_whatever_they_are() {
    let rig = Rig::with_lab();
    rig.mounted("lab", |dir| fill(dir, "first"));
    let full = rig.tree("lab");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.mounted("lab", |dir| {
        fs::remove_dir_all(dir.join("srv")).unwrap();
        fs::create_dir(dir.join("srv")).unwrap();
        fs::create_dir(dir.join("srv/attributes")).unwrap();
        fs::write(dir.join("srv/attributes/in the way"), "x").unwrap();
        fs::write(dir.join("srv/device"), "x").unwrap();
        fs::remove_dir_all(dir.join("opt/data")).unwrap();
        fs::write(dir.join("opt/data"), "x").unwrap();
        fs::write(dir.join("etc/hello.conf"), "new\n").unwrap();
    });
    let changed = rig.tree("lab");
    // One at a time first: the odd name, the file that was not there then.
    let odd: Vec<u8> = [b"/srv/".as_slice(), NAMES[3]].concat();
    restore(&rig, point, &[&odd, b"/etc/hello.conf"]).ok();
    let now = rig.tree("lab");
    assert!(
        now.has(Path::new("srv").join(name(NAMES[3])).join(name(NAMES[3]))) && !now.has("etc/hello.conf")
    );
    assert!(!now.has(Path::new("srv").join(name(NAMES[2]))), "only what was named");
    restore(&rig, point, &[b"/srv", b"/opt"]).ok();
    // Put back one by one, two names of one file become two files.
    assert_same(&full.without_link_groups(), &rig.tree("lab").without_link_groups());
    // Each was an entry with a point of its own: undo takes one after the other back.
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_same(&now, &rig.tree("lab"));
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_same(&changed, &rig.tree("lab"));
    rig.verify();
}

#[test]
fn a_running_profile_gets_its_files_back_live() {
    let rig = Rig::with_lab();
    rig.sh(
        "lab",
        "echo mine > /etc/mine; chmod 640 /etc/mine; ln -s mine /etc/link; mkdir /opt/d; echo 1 > /opt/d/1",
    );
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    let script = "echo bad > /etc/mine; chmod 777 /etc/mine; rm /etc/link; rm -r /opt/d; echo x > /opt/late; echo ready; \
                  until [ -e /etc/link ] && [ -e /opt/d/1 ]; do sleep 0.02; done; cat /etc/mine; stat -c %a /etc/mine";
    let mut run = rig.start(&["run", "lab", "sh", "-c", script]);
    restore(&rig, point, &[b"/etc/mine", b"/etc/link", b"/opt"]).ok();
    let mut said = String::new();
    std::io::Read::read_to_string(run.0.stdout.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(said, "mine\n640\n");
    run.0.wait().unwrap();
    assert_eq!(rig.profile(&["run", "lab", "test", "-e", "/opt/late"]).status, 1);
    let (_, entry) = rig.last_entry("lab");
    assert_eq!((&entry["kind"], &entry["target"]), (&"restore".into(), &point.into()));
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/mine /opt/late"), "bad\nx");
    rig.verify();
}

/// Followed from outside, a link leads to this machine's own files.
#[test]
fn a_link_never_leads_out_of_the_profile() {
    let rig = Rig::with_lab();
    let mine = rig.path("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("precious"), "of this machine").unwrap();
    rig.sh("lab", "mkdir /etc/d; echo 1 > /etc/d/1; mkdir -p /srv/a/b; echo 2 > /srv/a/b/2");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.mounted("lab", |dir| {
        fs::remove_dir_all(dir.join("etc/d")).unwrap();
        symlink(&mine, dir.join("etc/d")).unwrap();
        fs::remove_dir_all(dir.join("srv/a")).unwrap();
    });
    restore(&rig, point, &[b"/etc/d/precious"]).refused("/etc/d is a link");
    restore(&rig, point, &[b"/etc/d/1"]).refused("/etc/d is a link");
    assert_eq!(fs::read(mine.join("precious")).unwrap(), b"of this machine");
    assert!(!mine.join("1").exists());
    // The link itself is put back as the directory it was; what lay above a path comes back too.
    restore(&rig, point, &[b"/etc/d", b"/srv/a/b/2"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/d/1 /srv/a/b/2"), "1\n2");
    assert_eq!(fs::read(mine.join("precious")).unwrap(), b"of this machine");
    rig.verify();
}

/// Files are replaced, never written in place: who has one open keeps the whole old one.
#[test]
fn a_file_is_put_back_by_a_rename() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo old > /etc/mine");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.sh("lab", "echo new-and-longer > /etc/mine");
    let mut run = rig.start(&[
        "run",
        "lab",
        "sh",
        "-c",
        "exec 3< /etc/mine; echo ready; while grep -q new /etc/mine; do sleep 0.02; done; cat <&3",
    ]);
    restore(&rig, point, &[b"/etc/mine"]).ok();
    let mut said = String::new();
    std::io::Read::read_to_string(run.0.stdout.as_mut().unwrap(), &mut said).unwrap();
    run.0.wait().unwrap();
    assert_eq!(said, "new-and-longer\n");
}

#[test]
fn what_must_not_be_put_back_alone_is_refused_and_nothing_changes() {
    let rig = Rig::with_lab();
    rig.sh("lab", "ln -s /var/lib/dpkg /etc/sneaky; ln -s /home /etc/home");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.sh("lab", "echo x > /var/lib/dpkg/status");
    let (before, entries) = (rig.tree("lab"), rig.entries("lab"));
    for path in [
        "/",
        "/..",
        "etc/mine",
        "/etc/../var",
        "/var/lib/dpkg/status",
        "/var",
        "/var/lib",
        "/home/u",
        "/var/log/x",
    ] {
        restore(&rig, point, &[path.as_bytes()]).refused("cannot be restored alone");
    }
    restore(&rig, 999, &[b"/etc/mine"]).refused("there is no entry 999");
    assert_eq!(rig.undo(&["--profile", "lab", "--path", "/etc/x"]).status, 64, "--path wants a number");
    // A directory on the way that is a link must not lead out of what was checked.
    restore(&rig, point, &[b"/etc/sneaky/status"]).refused("cannot be restored alone");
    restore(&rig, point, &[b"/etc/hello.conf", b"/var/lib/dpkg/status"]).refused("cannot be restored alone");
    assert_same(&before, &rig.tree("lab"));
    assert_eq!(rig.entries("lab"), entries);
    let listed =
        rig.undo(&["--profile", "lab", "--dry-run", &point.to_string(), "--path", "/etc/hello.conf"]).ok();
    assert!(listed.out.contains("puts back /etc/hello.conf"), "{}", listed.out);
    assert_eq!(rig.entries("lab"), entries);
    rig.verify();
}

/// A hard link made in the upper stays one file through a point; times stay to the nanosecond.
#[test]
fn links_and_times_survive_an_undo() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo 1 > /etc/one; ln /etc/one /etc/two; touch -d '2001-02-03 04:05:06' /etc/one");
    let look = |rig: &Rig| {
        rig.mounted("lab", |dir: &Path| {
            let stamp = |n: &str| {
                let meta = fs::metadata(dir.join(n)).unwrap();
                (meta.nlink(), meta.mtime(), meta.mtime_nsec(), meta.ino())
            };
            (stamp("etc/one"), stamp("etc/two"), PathBuf::from("etc"))
        })
    };
    let before = look(&rig);
    assert_eq!(before.0, before.1);
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh("lab", "rm /etc/one; echo 2 > /etc/one");
    std::thread::sleep(Duration::from_millis(10));
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(look(&rig), before);
}
