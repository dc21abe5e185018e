//! state/: what undo leaves alone, how paths come in and go out, and that no file is lost on the way.

mod cut_and_back;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::rig::tree::{self, Tree, assert_same};
use crate::rig::{Rig, need, root};
use crate::sweep::{chosen, recover, trace, under_strace};

/// A base whose /root, /var/log and /srv have something in them, and a profile on it.
fn with_furnished_base() -> Rig {
    let rig = Rig::new();
    let dir = rig.path("furnished");
    root::make(&dir);
    fs::write(dir.join("root/.profile"), "from the base\n").unwrap();
    fs::write(dir.join("root/.bashrc"), "from the base too\n").unwrap();
    fs::create_dir_all(dir.join("srv/data/deep")).unwrap();
    fs::write(dir.join("srv/data/base-file"), "base\n").unwrap();
    fs::write(dir.join("srv/data/deep/gone"), "base\n").unwrap();
    fs::write(dir.join("var/log/lastlog"), "").unwrap();
    fs::set_permissions(dir.join("var/log/lastlog"), fs::Permissions::from_mode(0o664)).unwrap();
    rig.base(&["import", dir.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    rig.profile(&["create", "lab", "--base", "13.2"]).ok();
    rig
}

/// Everything a directory can hold, below one of the merged root: the upper over the base.
const FILL: &str = "cd $DIR && echo mine > mine && ln mine mine-too && chmod 4755 mine && mkdir -p a/b && chmod 1700 a \
    && ln -s ../nowhere a/link && mkfifo a/pipe && mknod a/node c 1 3 && chown 7:8 a/b && rm -f base-file \
    && touch -d '2001-02-03 04:05:06' mine && printf x > \"$(printf 'new\\nline \\377')\"";

fn fill(rig: &Rig, dir: &str) {
    rig.sh("lab", &format!("mkdir -p {dir}; DIR={dir}; {FILL}"));
    let marked = upper(rig, dir).join("mine");
    if marked.exists() {
        xattr::set(&marked, "user.colour", b"green").unwrap();
        // user::rwx,user:7:r--,group::r-x,mask::r-x,other::r-x
        let acl = b"\x02\0\0\0\x01\0\x07\0\xff\xff\xff\xff\x02\0\x04\0\x07\0\0\0\x04\0\x05\0\xff\xff\xff\xff\x10\0\x05\0\xff\xff\xff\xff\x20\0\x05\0\xff\xff\xff\xff";
        xattr::set(&marked, "system.posix_acl_access", acl).unwrap();
    }
}

fn upper(rig: &Rig, dir: &str) -> std::path::PathBuf {
    rig.root_dir("lab").join("root").join(&dir[1..])
}

fn in_state(rig: &Rig, dir: &str) -> std::path::PathBuf {
    rig.in_pool("@profiles/lab/state").join(&dir[1..])
}

/// What the bare merged root has below a directory.
fn merged(rig: &Rig, dir: &str) -> Tree {
    rig.mounted("lab", |at| tree::read(&at.join(&dir[1..])))
}

/// What state/ has there.
fn state_tree(rig: &Rig, dir: &str) -> Tree {
    tree::read(&in_state(rig, dir)).without_mark()
}

fn list(rig: &Rig) -> Vec<(String, String)> {
    let rows = rig.profile(&["state", "list", "lab", "--json"]).json();
    let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(|row| (text(&row["path"]), text(&row["where"]))).collect()
}

#[test]
fn the_defaults_are_there_from_the_first_day_and_stay() {
    let rig = with_furnished_base();
    assert!(list(&rig).iter().all(|(_, at)| at == "state"), "{:?}", list(&rig));
    let bare = rig.tree("lab");
    assert_eq!(
        rig.sh("lab", "cat /root/.profile; stat -c '%a %n' /root /var/log/lastlog"),
        "from the base\n700 /root\n664 /var/log/lastlog"
    );
    assert_same(&bare, &rig.tree("lab"));
    rig.sh("lab", "echo one > /var/cache/debconf/config.dat; echo one > /root/letter");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh("lab", "echo two > /var/cache/debconf/config.dat; echo two > /root/letter; rm /root/.bashrc; mkdir /var/cache/man; echo m > /var/cache/man/m; echo s > /var/spool/cron/tab");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    let line =
        "cat /var/cache/debconf/config.dat /root/letter /var/cache/man/m /var/spool/cron/tab; ls -A /root";
    assert_eq!(rig.sh("lab", line), "one\ntwo\nm\ns\n.profile\nletter");
    // What lies in state/ may hold programs and devices, and reading it writes nothing.
    let mounts = rig.sh("lab", "grep -E ' /(root|var/[^ ]*) ' /proc/mounts");
    assert_eq!(mounts.lines().count(), 9, "{mounts}");
    let other = |line: &&str| {
        !line.contains(" overlay ")
            && (line.contains("nodev") || line.contains("nosuid") || !line.contains("noatime"))
    };
    assert_eq!(mounts.lines().find(other), None);
    rig.verify();
}

#[test]
fn a_pool_of_before_gets_the_new_defaults_without_losing_a_file() {
    let rig = with_furnished_base();
    make_older(&rig);
    fill_upper_as_before(&rig);
    let (root, cache) = (merged(&rig, "/root"), merged(&rig, "/var/cache"));
    let before = rig.last_entry("lab").0;
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.verify();
    assert_eq!(
        rig.sh("lab", "cat /root/mine /var/cache/apt/kept /var/log/kept /var/cache/debconf/config.dat"),
        "mine\nkept\nkept\nasked"
    );
    assert_same(&root, &state_tree(&rig, "/root"));
    let moved = state_tree(&rig, "/var/cache").without(&["apt", "debconf"]);
    assert_same(&cache.without(&["apt", "debconf"]), &moved);
    assert!(list(&rig).iter().all(|(_, at)| at == "state"), "{:?}", list(&rig));
    // The upper's copy is gone, but for what belongs to the root.
    assert_eq!(names(&upper(&rig, "/root")), BTreeSet::new());
    assert_eq!(names(&upper(&rig, "/var/cache")), BTreeSet::from(["debconf".into()]));
    // A point of before still has it, and state/ covers it.
    rig.sh("lab", "echo later > /root/mine");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /root/mine"), "later");
    assert!(rig.last_entry("lab").0 > before);
    rig.verify();
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// As pools were made before paths of state/ bore a mark, with four of them.
fn make_older(rig: &Rig) {
    let state = rig.in_pool("@profiles/lab/state");
    for dir in ["root", "var/mail", "var/spool", "var/lib/systemd", "var/cache/debconf", ".flipper"] {
        let _ = fs::remove_dir_all(state.join(dir));
    }
    for dir in ["var/log", "var/tmp", "var/lib/apt/lists", "var/cache"] {
        xattr::remove(state.join(dir), "trusted.flipper.state").unwrap();
    }
    fs::write(state.join("var/cache/apt/kept"), "kept\n").unwrap();
    fs::write(state.join("var/log/kept"), "kept\n").unwrap();
}

fn fill_upper_as_before(rig: &Rig) {
    rig.mounted("lab", |at| {
        let line = format!("DIR={}/root; {FILL}; rm -f .bashrc", at.display());
        need("sh", Command::new("sh").args(["-c", &line]));
        fs::create_dir_all(at.join("var/cache/man/de")).unwrap();
        fs::write(at.join("var/cache/man/de/index"), "index").unwrap();
        fs::write(at.join("var/cache/apt/stale"), "hidden for ever").unwrap();
        fs::write(at.join("var/cache/debconf/config.dat"), "asked\n").unwrap();
    });
}

#[test]
fn a_path_comes_in_and_goes_out_whole() {
    let rig = with_furnished_base();
    fill(&rig, "/srv/data");
    let before = merged(&rig, "/srv/data");
    assert!(before.has("mine") && before.has("deep/gone") && !before.has("base-file"));
    rig.profile(&["state", "add", "lab", "/srv/data", "--dry-run"]).ok();
    assert_same(&before, &merged(&rig, "/srv/data"));
    rig.profile(&["state", "add", "lab", "/srv/data"]).ok();
    assert_same(&before, &state_tree(&rig, "/srv/data"));
    let meta = |name: &str| fs::metadata(in_state(&rig, "/srv/data").join(name)).unwrap();
    assert_eq!((meta("mine").ino(), meta("mine").nlink()), (meta("mine-too").ino(), 2));
    assert_eq!(meta("mine").mtime(), 981_173_106);
    assert_eq!(names(&upper(&rig, "/srv/data")), BTreeSet::new());
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh("lab", "echo later > /srv/data/mine; rm -r /srv/data/deep");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /srv/data/mine; ls /srv/data/deep 2>/dev/null | wc -l"), "later\n0");
    // Out again: as state/ has it, and nothing of the base shows through.
    let now = state_tree(&rig, "/srv/data");
    rig.profile(&["state", "remove", "lab", "/srv/data"]).ok();
    assert_same(&now, &merged(&rig, "/srv/data"));
    assert!(!in_state(&rig, "/srv").exists(), "what only led there is gone");
    rig.profile(&["state", "remove", "lab", "/srv/data"]).refused("it is not in state/");
    assert_eq!(rig.sh("lab", "cat /srv/data/mine; grep -c /srv/data /proc/mounts || true"), "later\n0");
    rig.verify();
}

/// The points before a removal have nothing where the files are now: an undo hands them on, wherever it
/// goes, and says so.
#[test]
fn an_undo_to_before_a_removal_keeps_the_files() {
    let rig = with_furnished_base();
    rig.profile(&["set", "lab", "--args", "first"]).ok();
    let first = rig.last_entry("lab").0;
    fill(&rig, "/srv/data");
    rig.profile(&["state", "add", "lab", "/srv/data"]).ok();
    rig.profile(&["state", "remove", "lab", "/srv/data"]).ok();
    let (removed, entry) = rig.last_entry("lab");
    assert_eq!((&entry["kind"], &entry["state_removed"]), (&"set".into(), &"srv/data".into()));
    rig.sh("lab", "echo later > /srv/data/mine; rm /srv/data/mine-too"); // --keep makes two files of a link
    let whole = merged(&rig, "/srv/data");
    let shown = rig.undo(&["--profile", "lab", "--dry-run"]).ok().out;
    assert!(shown.contains("keeps /srv/data\n"), "{shown}");
    for target in [removed, first] {
        rig.undo(&["--profile", "lab", "--yes", &target.to_string()]).ok();
        assert_same(&whole, &merged(&rig, "/srv/data"));
        assert_eq!(rig.sh("lab", "cat /srv/data/mine; grep -c /srv/data /proc/mounts || true"), "later\n0");
    }
    // Once it is in state/ again, no undo touches it.
    rig.profile(&["state", "add", "lab", "/srv/data"]).ok();
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    assert_same(&whole, &state_tree(&rig, "/srv/data"));
    rig.verify();
}

#[test]
fn defaults_go_out_too_and_debconf_stays_with_the_root() {
    let rig = with_furnished_base();
    rig.sh("lab", "echo asked > /var/cache/debconf/config.dat; echo c > /var/cache/c; echo r > /root/r");
    for path in ["/var/cache", "/root"] {
        rig.profile(&["state", "remove", "lab", path]).ok();
    }
    assert_eq!(rig.sh("lab", "cat /var/cache/debconf/config.dat /var/cache/c /root/r"), "asked\nc\nr");
    let out: Vec<_> =
        list(&rig).into_iter().filter(|(_, at)| at == "root: taken out").map(|(p, _)| p).collect();
    assert_eq!(out, ["/root", "/var/cache"]);
    let mounts = rig.sh("lab", "cat /proc/mounts");
    assert!(!mounts.contains(" /root ") && !mounts.contains(" /var/cache"), "{mounts}");
    rig.profile(&["state", "add", "lab", "/var/cache"]).ok();
    assert_eq!(rig.sh("lab", "cat /var/cache/debconf/config.dat /var/cache/c"), "asked\nc");
    rig.verify();
}

#[test]
fn a_profile_in_use_moves_at_its_next_start() {
    let rig = with_furnished_base();
    fill(&rig, "/srv/data");
    let before = merged(&rig, "/srv/data");
    let run = rig.start_waiting("lab");
    rig.profile(&["state", "add", "lab", "/srv/data"]).ok();
    rig.profile(&["state", "remove", "lab", "/root"]).refused("in use");
    assert!(!in_state(&rig, "/srv").exists());
    assert!(list(&rig).contains(&("/srv/data".into(), "root: moves at the next start".into())));
    run.end();
    rig.wait_until_unused("lab");
    assert_eq!(rig.sh("lab", "grep -c ' /srv/data ' /proc/mounts; cat /srv/data/mine"), "1\nmine");
    assert_same(&before, &state_tree(&rig, "/srv/data"));
    rig.verify();
}

#[test]
fn what_may_not_come_in_is_refused() {
    let rig = with_furnished_base();
    rig.sh("lab", "mkdir /opt/here; ln -s here /opt/link; echo f > /opt/file; mkdir -p /opt/hello; echo 1 > /opt/hello/bin; echo /opt/hello/bin >> /var/lib/dpkg/info/hello.list");
    for (path, words) in [
        ("/etc", "belongs to the system"),
        ("/var/lib/dpkg", "belongs to the system"),
        ("/var", "it would take"),
        ("/usr/share/x", "roll back with their packages"),
        ("/srv/../etc", ".."),
        ("srv/data", "does not begin with /"),
        ("/var/log/nginx", "it meets /var/log"),
        ("/root", "already"),
        ("/opt/link", "no directory"),
        ("/opt/link/x", "no directory"),
        ("/opt/file", "no directory"),
        ("/opt/hello", "a file of the package hello"),
        ("/", "everything"),
    ] {
        rig.profile(&["state", "add", "lab", path]).refused(words);
    }
    rig.profile(&["state", "add", "lab", "/srv/data/deep"]).ok();
    rig.profile(&["state", "add", "lab", "/srv/data"]).refused("it meets /srv/data/deep");
    rig.verify();
}

#[test]
fn names_are_bytes_and_a_clone_has_them_too() {
    let rig = with_furnished_base();
    let odd = OsStr::from_bytes(b"/srv/odd \n\xff name");
    let words = [OsStr::new("state"), OsStr::new("add"), OsStr::new("lab"), odd];
    let done = rig.command("flipper-profile", &words).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    rig.sh("lab", "echo in > \"$(printf '/srv/odd \\n\\377 name')/file\"");
    let lies = in_state(&rig, "/srv").join(OsStr::from_bytes(b"odd \n\xff name"));
    assert!(lies.join("file").is_file());
    rig.profile(&["set", "lab", "--note", "kept"]).ok();
    rig.profile(&["clone", "lab", "twin"]).ok();
    rig.sh("lab", "echo lab > \"$(printf '/srv/odd \\n\\377 name')/file\"");
    assert_eq!(rig.sh("twin", "cat /srv/odd*/file; grep -c /srv/odd /proc/mounts"), "in\n1");
    let thrown = rig
        .profile(&["run", "--throwaway", "lab", "sh", "-c", "cat /srv/odd*/file; rm -r /srv/odd*/file"])
        .ok();
    assert_eq!(thrown.out, "lab\n");
    assert_eq!(rig.sh("lab", "cat /srv/odd*/file"), "lab");
    rig.verify();
}

#[test]
fn the_directories_of_the_root_are_made_and_nothing_is_overwritten() {
    let rig = with_furnished_base();
    rig.sh(
        "lab",
        "echo mine > /var/log/apt-not; rm -r /var/log/private; rm -r /var/log/apt; echo f > /var/log/apt",
    );
    let line = "stat -c '%a %F' /var/log/private /var/log/apt; cat /var/log/apt /var/log/apt-not";
    assert_eq!(rig.sh("lab", line), "700 directory\n644 regular file\nf\nmine");
    // Something in the way of a path that is mounted: the owner's, and named.
    rig.mounted("lab", |at| {
        fs::remove_dir_all(at.join("var/mail")).unwrap();
        symlink("../srv", at.join("var/mail")).unwrap();
    });
    assert_eq!(rig.sh("lab", "readlink /var/mail; ls /var/mail"), "../srv\ndata");
    rig.verify();
}

/// A link above a path: the profile starts without it and says so, and nothing is made where it leads to
/// on this machine.
#[test]
fn a_link_above_a_path_leads_nowhere() {
    let rig = with_furnished_base();
    rig.profile(&["state", "add", "lab", "/srv/data/db"]).ok();
    rig.sh("lab", "echo kept > /srv/data/db/row");
    let outside = rig.path("outside");
    fs::create_dir(&outside).unwrap();
    let lead = |to: &Path| {
        rig.mounted("lab", |at| {
            let (data, away) = (at.join("srv/data"), at.join("opt/x"));
            match data.is_symlink() {
                true => fs::remove_file(&data).unwrap(),
                false => drop(need("mv", Command::new("mv").arg(&data).arg(away))),
            }
            symlink(to, data).unwrap();
        });
    };
    for to in [Path::new("/opt/x"), &outside] {
        lead(to);
        let run = rig.profile(&["run", "lab", "sh", "-c", "ls -d /opt/x; grep -c /db /proc/mounts"]);
        assert_eq!((run.status, run.out.as_str()), (1, "/opt/x\n0\n"), "{}", run.err);
        assert!(
            run.err.contains("note: /srv/data/db is not mounted, its files stay in state/"),
            "{}",
            run.err
        );
    }
    assert_eq!(names(&outside), BTreeSet::new());
    assert!(!Path::new("/opt/x").exists());
    assert_eq!(fs::read_to_string(in_state(&rig, "/srv/data/db/row")).unwrap(), "kept\n");
    // The way is free again, and so are the files.
    rig.mounted("lab", |at| {
        fs::remove_file(at.join("srv/data")).unwrap();
        need("mv", Command::new("mv").arg(at.join("opt/x")).arg(at.join("srv/data")));
    });
    assert_eq!(rig.sh("lab", "cat /srv/data/db/row"), "kept");
    rig.verify();
}

/// Files that chattr(1) made immutable, or a log that can only grow, move as all others do, and what a cut
/// left of them aside is in nobody's way.
#[test]
fn what_may_not_be_changed_moves_all_the_same() {
    let rig = with_furnished_base();
    let flag = |flag: &str, path: &Path| drop(need("chattr", Command::new("chattr").arg(flag).arg(path)));
    rig.profile(&["state", "add", "lab", "/srv/data"]).ok();
    rig.sh("lab", "mkdir /srv/data/d; echo fixed > /srv/data/d/fixed; echo log > /srv/data/log");
    let data = in_state(&rig, "/srv/data");
    flag("+a", &data.join("log"));
    for fixed in [data.join("d/fixed"), data.join("d"), data.clone()] {
        flag("+i", &fixed);
    }
    rig.profile(&["state", "remove", "lab", "/srv/data"]).ok();
    assert!(!data.exists());
    assert_eq!(rig.sh("lab", "cat /srv/data/d/fixed /srv/data/log"), "fixed\nlog");
    // As a cut leaves it, for a start and for a recover.
    for verb in [&["run", "lab", "true"][..], &["journal", "rebuild"]] {
        let aside = in_state(&rig, "/.flipper/gone");
        fs::create_dir_all(aside.join("d")).unwrap();
        fs::write(aside.join("d/fixed"), "fixed").unwrap();
        flag("+i", &aside.join("d/fixed"));
        flag("+i", &aside.join("d"));
        let said = rig.profile(verb).ok();
        assert!(!said.err.contains("note") && !aside.exists(), "{}", said.err);
    }
    rig.verify();
}

/// overlayfs takes no directory of an overlay as its upper: a container engine needs a path of state/.
#[test]
fn a_container_store_works_in_state_and_only_there() {
    let rig = with_furnished_base();
    let over = |store: &str| {
        format!(
            "mkdir -p {store}/u {store}/w /opt/m; mount -t overlay x -o lowerdir=/srv,upperdir={store}/u,workdir={store}/w /opt/m && echo in > /opt/m/made && cat {store}/u/made"
        )
    };
    let line = over("/var/lib/containers");
    assert_ne!(rig.profile(&["run", "lab", "sh", "-c", &line]).status, 0);
    rig.profile(&["state", "add", "lab", "/var/lib/containers"]).ok();
    assert_eq!(rig.sh("lab", &line), "in");
    rig.verify();
}

/// A path packages bring is in state/ from the start after its package came, and stays when it goes.
#[test]
fn a_package_brings_its_path() {
    let rig = with_furnished_base();
    let has_docker =
        |rig: &Rig| list(rig).iter().any(|(path, at)| path == "/var/lib/docker" && at == "state");
    rig.sh("lab", "mkdir -p /var/lib/docker/early; echo /. > /var/lib/dpkg/info/docker.io.list");
    assert!(!has_docker(&rig));
    assert_eq!(rig.sh("lab", "ls /var/lib/docker; grep -c ' /var/lib/docker ' /proc/mounts"), "early\n1");
    assert!(has_docker(&rig));
    rig.sh("lab", "rm /var/lib/dpkg/info/docker.io.list");
    assert_eq!(rig.sh("lab", "ls /var/lib/docker"), "early");
    rig.profile(&["state", "remove", "lab", "/var/lib/docker"]).ok();
    rig.sh("lab", "echo /. > /var/lib/dpkg/info/docker.io.list");
    assert_eq!(rig.sh("lab", "grep -c ' /var/lib/docker ' /proc/mounts || ls /var/lib/docker"), "0\nearly");
    rig.verify();
}
