//! `flipper-profile repair`: what the doctor finds goes, and nobody sees a difference.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::rig::tree::{Tree, assert_same, promised};
use crate::rig::{Ended, Rig};

pub fn repair(rig: &Rig, args: &[&str]) -> Ended {
    rig.profile(&[&["--yes", "repair", "lab"], args].concat())
}

pub fn undo(rig: &Rig, args: &[&str]) -> Ended {
    rig.undo(&[&["--profile", "lab", "--yes"], args].concat())
}

/// The classes the doctor finds.
pub fn doctor(rig: &Rig) -> Vec<String> {
    let found = rig.profile(&["check", "lab", "--json"]).json();
    let line = |f: &serde_json::Value| {
        format!("{} {}", f["class"].as_str().unwrap(), f["subject"]["path"].as_str().unwrap_or("-"))
    };
    found["findings"].as_array().unwrap().iter().map(line).collect()
}

/// Copies a file up and leaves it as it was.
pub fn copy_up(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    for mode in [mode ^ 0o200, mode] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

pub fn upper(rig: &Rig, inside: &str) -> PathBuf {
    rig.root_dir("lab").join("root").join(inside)
}

pub fn is_in_upper(rig: &Rig, inside: &str) -> bool {
    upper(rig, inside).symlink_metadata().is_ok()
}

pub fn whiteout(path: &Path) {
    use nix::sys::stat::{Mode, SFlag, mknod};
    mknod(path, SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
}

/// What the kernel's merged overlay shows: the tree, and when each path was written last.
pub fn seen(rig: &Rig) -> (Tree, BTreeMap<PathBuf, (i64, i64)>) {
    rig.mounted("lab", |dir| (promised(dir).without_link_groups(), times(dir, dir)))
}

fn times(top: &Path, dir: &Path) -> BTreeMap<PathBuf, (i64, i64)> {
    let mut found = BTreeMap::new();
    for item in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let meta = item.path().symlink_metadata().unwrap();
        let inside = item.path().strip_prefix(top).unwrap().to_path_buf();
        found.insert(inside, (meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() {
            found.extend(times(top, &item.path()));
        }
    }
    found
}

pub fn assert_seen_alike(
    before: &(Tree, BTreeMap<PathBuf, (i64, i64)>),
    after: &(Tree, BTreeMap<PathBuf, (i64, i64)>),
) {
    assert_same(&before.0, &after.0);
    let differ: Vec<_> = before.1.iter().filter(|(path, time)| after.1.get(*path) != Some(*time)).collect();
    assert!(differ.is_empty(), "times differ: {differ:?}");
}

/// A profile with one of everything a repair mends, and with things that it leaves alone.
pub fn ill() -> Rig {
    let rig = Rig::with_lab();
    rig.mounted("lab", |dir| {
        copy_up(&dir.join("etc/fstab")); // F1
        copy_up(&dir.join("opt/data/one")); // F1 and F13: it has another name
        fs::write(dir.join("etc/mine"), "mine\n").unwrap();
        fs::set_permissions(dir.join("usr/share/doc/hello/copyright"), fs::Permissions::from_mode(0o600))
            .unwrap(); // F2: stays
        // Made anew over the base's, with one of its files as it was; the other stays deleted (F8).
        let deep = dir.join("opt/data/deep");
        let text = fs::read(deep.join("two")).unwrap();
        let time = fs::metadata(deep.join("two")).unwrap().modified().unwrap();
        fs::remove_dir_all(&deep).unwrap();
        fs::create_dir(&deep).unwrap();
        fs::write(deep.join("two"), text).unwrap();
        fs::File::open(deep.join("two")).unwrap().set_modified(time).unwrap();
        fs::write(deep.join("three"), "mine\n").unwrap();
        // As dpkg makes directories: overlayfs calls it opaque (F7).
        fs::create_dir(dir.join("usr/share/fresh.new")).unwrap();
        fs::write(dir.join("usr/share/fresh.new/file"), "fresh\n").unwrap();
        fs::rename(dir.join("usr/share/fresh.new"), dir.join("usr/share/fresh")).unwrap();
    });
    whiteout(&upper(&rig, "opt/gone")); // F6
    fs::create_dir_all(upper(&rig, "run/some/where")).unwrap();
    fs::write(upper(&rig, "run/some/where/file"), "unseen\n").unwrap(); // F24
    rig
}

/// What lies below mount points is seen in the bare merged tree only.
pub fn without_unseen(
    mut seen: (Tree, BTreeMap<PathBuf, (i64, i64)>),
) -> (Tree, BTreeMap<PathBuf, (i64, i64)>) {
    seen.0 = seen.0.without(&["run"]);
    seen.1.retain(|path, _| !path.starts_with("run"));
    seen
}

const ILL: [&str; 7] = [
    "F1 /etc/fstab",
    "F1 /opt/data/deep/two",
    "F1 /opt/data/one",
    "F13 /opt/data/one",
    "F24 /run/some/where/file",
    "F2 /usr/share/doc/hello/copyright",
    "F6 /opt/gone",
];

#[test]
fn what_the_doctor_finds_goes_and_nobody_sees_a_difference() {
    let rig = ill();
    assert_eq!(doctor(&rig), ILL);
    assert!(xattr::get(upper(&rig, "usr/share/fresh"), "trusted.overlay.opaque").unwrap().is_some());
    let page = rig.profile(&["check", "lab", "--all"]).ok().out;
    for words in ["set right by a repair (5)", "repair drops the copy", "repair lab --dry-run"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let (before, root, last) = (without_unseen(seen(&rig)), rig.current("lab"), rig.last_entry("lab").0);
    let plan = rig.profile(&["repair", "lab", "--dry-run"]).ok().out;
    for line in [
        "lab: 6 things to mend",
        "drops the copy of /etc/fstab",
        "opens /opt/data/deep, and deletes by name",
        "drops the whiteout /opt/gone",
        "drops /run/some/where/file, which nobody sees",
        "along with it 1 directory is opened",
    ] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    rig.profile(&["repair", "lab"]).refused("not confirmed");
    assert_eq!((rig.current("lab"), rig.last_entry("lab").0), (root, last), "nothing happened yet");

    let outcome = "3 copies dropped, 2 directories opened, 1 whiteout dropped, 1 unseen file dropped";
    let said = repair(&rig, &[]).ok();
    assert!(said.err.contains(&format!("{outcome}; flipper-undo takes it back")), "{}", said.err);
    let (number, entry) = rig.last_entry("lab");
    assert_eq!((&entry["kind"], &entry["state"]), (&"repair".into(), &"completed".into()));
    assert_eq!(entry["outcome"], outcome);
    assert_eq!(rig.current("lab"), number);
    assert_eq!(rig.names("@profiles/lab/roots"), [number.to_string()]);
    assert_eq!(doctor(&rig), ["F2 /usr/share/doc/hello/copyright"]);
    assert_seen_alike(&before, &without_unseen(seen(&rig)));
    for gone in ["etc/fstab", "opt/data/one", "opt/data/deep/two", "opt/gone", "run/some"] {
        assert!(!is_in_upper(&rig, gone), "{gone}");
    }
    for opened in ["usr/share/fresh", "opt/data/deep"] {
        assert!(xattr::get(upper(&rig, opened), "trusted.overlay.opaque").unwrap().is_none(), "{opened}");
    }
    rig.mounted("lab", |dir| {
        let [one, too] =
            ["one", "one-too"].map(|n| fs::metadata(dir.join("opt/data").join(n)).unwrap().ino());
        assert_eq!(one, too, "one file again");
        assert!(crate::rig::tree::mistaken_for_one(dir).is_empty());
    });
    let said = repair(&rig, &[]).ok();
    assert!(said.out.contains("lab: there is nothing to mend"), "{}", said.out);
    assert_eq!(rig.last_entry("lab").0, number, "and no entry");
    rig.verify();
}

#[test]
fn it_is_taken_back_and_brought_again_and_reads_well() {
    let rig = ill();
    let before = seen(&rig);
    repair(&rig, &[]).ok();
    let (number, after) = (rig.current("lab"), seen(&rig));
    let listed = undo_list(&rig);
    assert!(listed.contains("repair: 3 copies dropped"), "{listed}");
    let log = rig.profile(&["log", "lab"]).ok().out;
    assert!(log.contains("3 copies dropped, 2 directories opened"), "{log}");
    let shown = rig.undo(&["--profile", "lab", "--show", &number.to_string()]).ok().out;
    assert!(shown.contains("drops the copy of /etc/fstab"), "{shown}");
    assert!(!shown.contains("/etc/fstab\n  changed"), "{shown}");
    let point = number.to_string();
    let diff = rig.profile(&["diff", "lab", &point, "current"]).ok().out;
    assert!(!diff.contains("fstab") && !diff.contains("deep"), "nothing that is seen: {diff}");
    let preview = rig.undo(&["--profile", "lab", "--dry-run"]).ok().out;
    assert!(preview.contains("repair: 3 copies dropped"), "{preview}");
    undo(&rig, &[]).ok();
    assert_eq!(doctor(&rig), ILL);
    assert_seen_alike(&before, &seen(&rig));
    undo(&rig, &["--redo"]).ok();
    assert_seen_alike(&after, &seen(&rig));
    undo(&rig, &[]).ok();
    undo(&rig, &[]).refused("nothing to undo");
    rig.verify();
}

pub fn undo_list(rig: &Rig) -> String {
    rig.undo(&["--profile", "lab", "--list"]).ok().out
}

/// The one thing that is seen: a copy that somebody only touched has the base's time again.
#[test]
fn a_touched_copy_has_the_time_of_the_base_again() {
    let rig = Rig::with_lab();
    let time = |rig: &Rig| rig.sh("lab", "stat -c %Y /etc/fstab");
    let of_the_base = time(&rig);
    rig.sh("lab", "touch -d @1000000000 /etc/fstab");
    assert_eq!(time(&rig), "1000000000");
    repair(&rig, &[]).ok();
    assert_eq!(time(&rig), of_the_base);
    rig.verify();
}

#[test]
fn names_that_are_no_text() {
    let rig = Rig::new();
    let name = std::ffi::OsStr::from_bytes(b"a b\n\xff\\");
    let tiny = rig.path("tiny");
    crate::rig::root::make(&tiny);
    fs::write(tiny.join("opt/data").join(name), "x\n").unwrap();
    rig.base(&["import", tiny.to_str().unwrap(), "--version", "2", "--clean"]).ok();
    rig.profile(&["create", "lab", "--base", "2"]).ok();
    rig.mounted("lab", |dir| copy_up(&dir.join("opt/data").join(name)));
    let said = repair(&rig, &[]).ok();
    assert!(said.out.contains("drops the copy of /opt/data/a b\\n\\xff\\\\"), "{}", said.out);
    assert_eq!(fs::read_dir(upper(&rig, "opt/data")).unwrap().count(), 0);
    assert_eq!(rig.sh("lab", "cat /opt/data/a*"), "x");
    rig.verify();
}

/// Whoever protects a copy means it. A flag that was set past the overlay is no reason to fail half-way.
#[test]
fn a_copy_that_chattr_protects() {
    let rig = Rig::with_lab();
    let protect = |path: PathBuf| {
        crate::rig::need("chattr", std::process::Command::new("chattr").arg("+i").arg(path));
    };
    rig.mounted("lab", |dir| {
        copy_up(&dir.join("etc/fstab"));
        protect(dir.join("etc/fstab"));
        copy_up(&dir.join("opt/data/one-too"));
    });
    protect(upper(&rig, "opt/data/one-too"));
    assert_eq!(doctor(&rig), ["F1 /opt/data/one-too", "F13 /opt/data/one-too", "F2 /etc/fstab"]);
    repair(&rig, &[]).ok();
    assert!(!is_in_upper(&rig, "opt/data/one-too"));
    assert_eq!(doctor(&rig), ["F2 /etc/fstab"]);
    let flags = rig.mounted("lab", |dir| {
        crate::rig::need("lsattr", std::process::Command::new("lsattr").arg(dir.join("etc/fstab")))
    });
    assert!(flags.split(' ').next().unwrap().contains('i'), "{flags}");
    rig.verify();
}

#[test]
fn refused_with_the_reason() {
    let rig = ill();
    let before = (rig.current("lab"), rig.last_entry("lab").0);
    for (path, why) in [
        ("etc/fstab", "it must be an absolute path without .."),
        ("/opt/../etc", "it must be an absolute path without .."),
        ("/", "name a path of the system in it"),
        ("/home/anna", "it lies in no root"),
        ("/var/log", "it lies in no root"),
        ("/run/some", "name a path of the system in it"),
        ("/etc/mine", "it is no directory, and no file of the base that was changed"),
        ("/opt/nothing", "it is not there"),
        ("/opt/nothing/below", "/opt/nothing is not there: name that"),
    ] {
        repair(&rig, &["--path", path]).refused(why);
    }
    rig.mounted("lab", |dir| std::os::unix::fs::symlink("data", dir.join("opt/link")).unwrap());
    repair(&rig, &["--path", "/opt/link/deep"]).refused("/opt/link is a link: name the place it leads to");
    // A mark of another overlay: nothing is what it seems.
    xattr::set(upper(&rig, "etc/mine"), "trusted.overlay.redirect", b"/x").unwrap();
    repair(&rig, &[]).refused("/etc/mine cannot be mended");
    xattr::remove(upper(&rig, "etc/mine"), "trusted.overlay.redirect").unwrap();
    // No manifest: nobody can tell a copy from a change.
    let manifest = rig.in_pool("@base/13.1.manifest");
    fs::rename(&manifest, rig.in_pool("@base/aside")).unwrap();
    repair(&rig, &[]).refused("@base/13.1.manifest is gone");
    fs::rename(rig.in_pool("@base/aside"), &manifest).unwrap();
    assert_eq!((rig.current("lab"), rig.last_entry("lab").0), before);
    rig.profile(&["repair", "nobody"]).refused("there is no profile nobody");
    rig.verify();
}

/// As a cut leaves it: the entry is open, the root is made, the pointer has moved or not.
#[test]
fn a_cut_on_either_side_of_the_pointer() {
    for moved in [false, true] {
        let rig = ill();
        let old = rig.current("lab");
        let aside = rig.in_pool("@data/kept");
        crate::rig::need(
            "btrfs",
            crate::rig::btrfs(&["subvolume", "snapshot"]).arg(rig.root_dir("lab")).arg(&aside),
        );
        let before = without_unseen(seen(&rig));
        repair(&rig, &[]).ok();
        let number = rig.current("lab");
        fs::rename(&aside, rig.in_pool(format!("@profiles/lab/roots/{old}"))).unwrap();
        crate::recover::reopen(&rig, "lab", number);
        if !moved {
            crate::recover::point_to(&rig, "lab", old);
        }
        rig.profile(&["set", "lab", "--note", "anything"]).ok();
        let (_, entry) = rig.entries("lab").into_iter().find(|(n, _)| *n == number).unwrap();
        let current = if moved { number } else { old };
        assert_eq!(entry["state"], if moved { "completed" } else { "cancelled" });
        assert_eq!(
            (rig.current("lab"), rig.names("@profiles/lab/roots")),
            (current, vec![current.to_string()])
        );
        assert_eq!(doctor(&rig).contains(&"F1 /etc/fstab".to_owned()), !moved);
        assert_seen_alike(&before, &without_unseen(seen(&rig)));
        rig.verify();
    }
}

/// The preview is of a moment: what is not so any more is not mended.
#[test]
fn what_changed_since_the_preview_is_not_lost() {
    let rig = ill();
    // strace stops it before it takes the point; then the copy becomes somebody's work.
    let words = ["--yes", "repair", "lab"].map(str::to_owned);
    let log = rig.path("calls");
    let mut strace = crate::sweep::strace_command(
        &rig,
        "flipper-profile",
        &words,
        &[
            "-o",
            log.to_str().unwrap(),
            "-e",
            "trace=syncfs",
            "-e",
            "inject=syncfs:delay_enter=3000000:when=1",
        ],
    );
    let mut child = strace.stdout(std::process::Stdio::null()).spawn().unwrap();
    crate::rig::within(std::time::Duration::from_secs(20), "the entry is open", || {
        rig.last_entry("lab").1["kind"] == "repair"
    });
    fs::write(upper(&rig, "etc/fstab"), "my work of an hour\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert_eq!(rig.last_entry("lab").1["state"], "failed");
    assert_eq!(rig.sh("lab", "cat /etc/fstab"), "my work of an hour");
    rig.verify();
}

/// A directory of the base becomes one of the profile alone, and nobody sees a difference.
#[test]
fn a_directory_is_made_the_profiles_own() {
    let rig = Rig::with_lab();
    rig.mounted("lab", |dir| {
        fs::write(dir.join("opt/data/mine"), "mine\n").unwrap();
        fs::remove_file(dir.join("opt/data/deep/two")).unwrap();
        nix::unistd::mkfifo(&dir.join("opt/data/pipe"), nix::sys::stat::Mode::from_bits_truncate(0o640))
            .unwrap();
    });
    let before = seen(&rig);
    let links = |rig: &Rig| {
        rig.mounted("lab", |dir| {
            ["one", "one-too"].map(|name| fs::metadata(dir.join("opt/data").join(name)).unwrap().ino())
        })
    };
    assert_eq!(links(&rig)[0], links(&rig)[1]);
    let plan = rig.profile(&["repair", "lab", "--path", "/opt/data", "--dry-run"]).ok().out;
    assert!(
        plan.contains("makes /opt/data a directory of the profile alone, with all that is in it"),
        "{plan}"
    );
    repair(&rig, &["--path", "/opt/data", "--path", "/opt/data/deep"]).ok();
    assert_eq!(rig.last_entry("lab").1["outcome"], "1 directory made the profile's own");
    assert_seen_alike(&before, &seen(&rig));
    assert_eq!(links(&rig)[0], links(&rig)[1], "names of one file are names of one file");
    assert!(upper(&rig, "opt/data/pipe").symlink_metadata().unwrap().file_type().is_fifo());
    rig.mounted("lab", |dir| {
        assert!(crate::rig::tree::mistaken_for_one(dir).is_empty());
        fs::rename(dir.join("opt/data"), dir.join("opt/moved")).unwrap(); // what dpkg does
        fs::rename(dir.join("opt/moved"), dir.join("opt/data")).unwrap();
    });
    let before = seen(&rig);
    let said = repair(&rig, &["--path", "/opt/data"]).ok();
    assert!(said.out.contains("there is nothing to mend"), "{}", said.out);
    // A plain repair is the way back.
    repair(&rig, &[]).ok();
    assert!(!is_in_upper(&rig, "opt/data/one"));
    assert_seen_alike(&before, &seen(&rig));
    undo(&rig, &[]).ok();
    assert!(is_in_upper(&rig, "opt/data/one"));
    assert_seen_alike(&before, &seen(&rig));
    rig.verify();
}
