//! `flipper-profile share`: paths that profiles have in common, that undo leaves alone, and of which no byte
//! is lost on the way.

use std::fs;

use crate::rig::Rig;
use crate::rig::tree::{assert_same, read};

fn share(rig: &Rig, id: &str, paths: &[&str]) -> crate::rig::Ended {
    rig.profile(&[&["share", "--profile", id], paths].concat())
}

fn with_music() -> Rig {
    let rig = Rig::with_lab();
    rig.sh("lab", "mkdir -p /srv/music/deep; echo song > '/srv/music/a song'; ln '/srv/music/a song' /srv/music/deep/same");
    rig.sh(
        "lab",
        "chown -R 7:8 /srv/music; chmod 2770 /srv/music; echo net > /etc/wifi.conf; chmod 600 /etc/wifi.conf",
    );
    rig
}

#[test]
fn a_folder_and_a_file_are_the_same_in_both_profiles() {
    let rig = with_music();
    rig.profile(&["create", "other"]).ok();
    let music = rig.mounted("lab", |dir| read(&dir.join("srv/music")));
    share(&rig, "lab", &["/srv/music", "/etc/wifi.conf"]).ok();
    assert_same(&music, &read(&rig.in_pool("@data/shared/srv/music")));
    assert_eq!(
        fs::read_dir(rig.root_dir("lab").join("root/srv/music")).unwrap().count(),
        0,
        "an empty place"
    );
    assert_eq!(
        rig.sh("lab", "cat '/srv/music/a song' /etc/wifi.conf; stat -c '%a %u' /srv/music /etc/wifi.conf"),
        "song\nnet\n2770 7\n600 0"
    );
    share(&rig, "other", &["/srv/music"]).ok();
    rig.sh("other", "echo new > /srv/music/new; mv /srv/music/new /srv/music/renamed");
    assert_eq!(rig.sh("lab", "cat /srv/music/renamed; cat /srv/music/deep/same"), "new\nsong");
    let list = rig.profile(&["share", "--list", "--json"]).json();
    assert_eq!(
        list,
        serde_json::json!([{"path": "etc/wifi.conf", "profiles": ["lab"]}, {"path": "srv/music", "profiles": ["lab", "other"]}])
    );
    let text = rig.profile(&["share", "--list"]).ok().out;
    assert!(text.contains("/srv/music      lab, other"), "{text}");
    let (_, entry) = rig.last_entry("lab");
    assert_eq!(
        (&entry["kind"], &entry["outcome"]),
        (&"share".into(), &"shared: /srv/music, /etc/wifi.conf".into())
    );
    // Twice is once; a clone shares alike.
    share(&rig, "lab", &["/srv/music"]).ok();
    rig.profile(&["clone", "lab", "copy"]).ok();
    assert_eq!(rig.sh("copy", "cat /srv/music/renamed"), "new");
    rig.verify();
}

#[test]
fn undo_and_reset_leave_it_alone() {
    let rig = with_music();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    share(&rig, "lab", &["/srv/music"]).ok();
    rig.sh("lab", "echo later > /srv/music/later");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "ls /srv/music"), "a song\ndeep\nlater");
    rig.profile(&["--yes", "reset", "lab"]).ok();
    assert_eq!(rig.sh("lab", "cat /srv/music/later"), "later", "a pristine root never had the place");
    rig.profile(&["unshare", "/srv/music", "--profile", "lab"]).ok();
    assert_eq!(rig.sh("lab", "ls /srv/music; stat -c '%a %u' /srv/music"), "a song\ndeep\nlater\n2770 7");
    assert!(rig.in_pool("@data/shared/srv/music/later").exists(), "nothing is deleted");
    rig.profile(&["unshare", "/srv/music", "--profile", "lab"]).refused("lab does not share it");
    rig.verify();
}

#[test]
fn refused_before_anything_changes() {
    let rig = with_music();
    rig.profile(&["create", "other"]).ok();
    rig.sh("other", "mkdir -p /srv/music; echo mine > /srv/music/mine; ln -s /srv /link; mkfifo /srv/pipe");
    share(&rig, "lab", &["/srv/music"]).ok();
    let (tree, entries) = (rig.tree("other"), rig.entries("other"));
    for (path, why) in [
        ("/srv/music", "others share it already, and here is something else"),
        ("/srv", "one lies in the other"),
        ("/srv/music/deep", "one lies in the other"),
        ("/link/x", "a link leads to it"),
        ("/srv/pipe", "neither a file nor a folder"),
        ("/srv/nothing", "there is nothing"),
        ("/etc/passwd", "programs replace it by a rename"),
        ("/etc/machine-id", "programs replace it by a rename"),
        ("/var/lib/dpkg", "dpkg's database"),
        ("/var/lib/dpkg/info", "dpkg's database"),
        ("/var", "dpkg's database"),
        ("/home/anna", "shared by all profiles already"),
        ("/var/log/x", "undo leaves it alone"),
        ("/etc", "made of packages"),
        ("srv/x", "absolute path"),
    ] {
        share(&rig, "other", &[path]).refused(why);
    }
    let run = rig.start_waiting("other");
    share(&rig, "other", &["/opt/data"]).refused("is in use");
    run.end();
    assert_eq!(entries, rig.entries("other"));
    assert_same(&tree, &rig.tree("other"));
    rig.verify();
}

/// A description or a place that is broken does not keep a profile from starting.
#[test]
fn a_profile_starts_without_what_it_cannot_share() {
    let rig = with_music();
    share(&rig, "lab", &["/srv/music", "/etc/wifi.conf"]).ok();
    rig.mounted("lab", |dir| {
        fs::remove_dir(dir.join("srv/music")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.join("srv/music")).unwrap();
        fs::remove_file(dir.join("etc/wifi.conf")).unwrap();
        fs::create_dir(dir.join("etc/wifi.conf")).unwrap();
    });
    assert_eq!(rig.sh("lab", "echo started; ls -d /srv/music/hostname 2>/dev/null || :"), "started");
    let said = rig.profile(&["run", "lab", "true"]).ok().err;
    for path in ["/srv/music", "/etc/wifi.conf"] {
        assert!(said.contains(&format!("note: {path} is not shared in this start")), "{said}");
    }
    fs::remove_dir_all(rig.in_pool("@data/shared/srv")).unwrap();
    assert_eq!(rig.sh("lab", "echo started"), "started");
    let found = rig.profile(&["verify"]).says(1, "");
    assert!(found.out.contains("it shares /srv/music, which is not in @data/shared"), "{}", found.out);
    rig.mounted("lab", |dir| fs::remove_file(dir.join("srv/music")).unwrap());
    rig.profile(&["unshare", "/srv/music", "--profile", "lab"]).ok();
    rig.verify();
}

/// One of the two would be mounted over the other.
#[test]
fn what_is_in_state_is_not_shared_and_the_reverse() {
    let rig = with_music();
    rig.sh("lab", "mkdir -p /srv/data/deep /var/spool/other /opt/mine/deep; echo x > /srv/data/x");
    rig.profile(&["state", "add", "lab", "/srv/data"]).ok();
    let entries = rig.entries("lab");
    for path in ["/srv", "/srv/data", "/srv/data/deep", "/var/spool", "/var/lib/docker"] {
        share(&rig, "lab", &[path]).refused("cannot be shared");
    }
    assert_eq!(entries, rig.entries("lab"));
    share(&rig, "lab", &["/srv/music", "/var/spool/other", "/opt/mine"]).ok();
    for path in ["/srv/music", "/srv/music/deep", "/opt/mine/deep"] {
        rig.profile(&["state", "add", "lab", path]).refused("which the profile shares");
    }
    assert_eq!(rig.sh("lab", "cat /srv/data/x; cat '/srv/music/a song'"), "x\nsong");
    rig.verify();
}

/// A link that took the place of a shared path, or of a folder above it, is not thrown away.
#[test]
fn unshare_replaces_no_link() {
    let rig = with_music();
    share(&rig, "lab", &["/srv/music"]).ok();
    for (gone, link) in [("srv/music", "srv/music"), ("srv", "srv")] {
        rig.mounted("lab", |dir| {
            fs::remove_dir_all(dir.join(gone)).unwrap();
            std::os::unix::fs::symlink("/opt", dir.join(link)).unwrap();
        });
        let before = rig.mounted("lab", read);
        rig.profile(&["unshare", "/srv/music", "--profile", "lab"]).refused("move it away first");
        assert_same(&before, &rig.mounted("lab", read));
        rig.mounted("lab", |dir| fs::remove_file(dir.join(link)).unwrap());
    }
    rig.profile(&["unshare", "/srv/music", "--profile", "lab"]).ok();
    assert_eq!(rig.sh("lab", "cat '/srv/music/a song'"), "song");
    rig.verify();
}

/// Several paths are one change: when one cannot be copied, none is shared, and nothing of them is left.
#[test]
fn all_paths_are_shared_or_none() {
    let rig = with_music();
    share(&rig, "lab", &["/etc/wifi.conf"]).ok();
    fs::write(rig.in_pool("@data/shared/opt"), "in the way").unwrap();
    let (tree, entries, shared) =
        (rig.tree("lab"), rig.entries("lab").len(), read(&rig.in_pool("@data/shared")));
    share(&rig, "lab", &["/srv/music", "/opt/data"]).says(3, "opt");
    let listed = rig.profile(&["share", "--list", "--json"]).json();
    assert_eq!(listed, serde_json::json!([{"path": "etc/wifi.conf", "profiles": ["lab"]}]));
    assert!(!rig.in_pool("@data/shared/srv/music").exists());
    assert_same(&tree, &rig.tree("lab"));
    assert_eq!(rig.last_entry("lab").1["state"], "cancelled");
    assert_eq!(rig.entries("lab").len(), entries + 1);
    fs::remove_dir(rig.in_pool("@data/shared/srv")).unwrap(); // a folder on the way to nothing
    assert_same(&shared, &read(&rig.in_pool("@data/shared")));
    rig.verify();
}

/// The half copy of a share that was cut goes with the next change; a person's file of a like name stays.
#[test]
fn a_cut_share_leaves_no_half_copy() {
    let rig = with_music();
    share(&rig, "lab", &["/etc/wifi.conf", "/srv/music"]).ok();
    let (number, mut entry) = rig.last_entry("lab");
    entry["state"] = "open".into();
    let entries = rig.in_pool("@journal/entries/lab");
    fs::remove_file(entries.join(format!("{number}.json"))).unwrap();
    fs::write(entries.join(format!("{number}.open.json")), entry.to_string()).unwrap();
    let srv = rig.in_pool("@data/shared/srv");
    for name in [format!(".music.{number}.new"), ".music.new".into()] {
        fs::create_dir(srv.join(&name)).unwrap();
        fs::write(srv.join(&name).join("half"), "x").unwrap();
    }
    rig.profile(&["set", "lab", "--note", "x"]).ok();
    let mut names = rig.names("@data/shared/srv");
    names.sort();
    assert_eq!(names, [".music.new", "music"]);
    rig.verify();
}

/// So does what a cut unshare made beside the path in the root; a person's file of that name stays.
#[test]
fn a_cut_unshare_leaves_nothing_beside_the_path() {
    let rig = with_music();
    let aside = |name: &str| format!("etc/.{name}.flipper-new");
    rig.mounted("lab", |dir| {
        fs::write(dir.join("etc/other.conf"), "other").unwrap();
        fs::write(dir.join(aside("other.conf")), "somebody's").unwrap();
    });
    share(&rig, "lab", &["/etc/wifi.conf", "/etc/other.conf"]).ok();
    let (number, mut entry) = rig.last_entry("lab");
    entry["state"] = "open".into();
    let entries = rig.in_pool("@journal/entries/lab");
    fs::remove_file(entries.join(format!("{number}.json"))).unwrap();
    fs::write(entries.join(format!("{number}.open.json")), entry.to_string()).unwrap();
    let upper = rig.root_dir("lab").join("root");
    fs::write(upper.join(aside("wifi.conf")), "half").unwrap();
    rig.profile(&["set", "lab", "--note", "x"]).ok();
    assert!(upper.join(aside("wifi.conf")).symlink_metadata().is_err());
    assert_eq!(fs::read_to_string(upper.join(aside("other.conf"))).unwrap(), "somebody's");
    rig.verify();
}
