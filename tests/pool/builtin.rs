//! `flipper-profile install-builtin` from a stream: whole or not at all, above the inode floor, and `reset`
//! goes back to it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::process::Command;

use crate::rig::tree::{assert_same, mistaken_for_one, read};
use crate::rig::{Rig, btrfs, need};

/// A profile worth shipping, saved; and a built-in made of that point.
fn with_builtin() -> (Rig, PathBuf) {
    let rig = Rig::with_lab();
    rig.sh(
        "lab",
        "echo shipped > /etc/shipped; rm /opt/data/one; rm -r /opt/data/deep; mkdir /opt/data/deep; echo x > /opt/data/deep/mine
         ln /etc/shipped /etc/shipped-too; chown 7:8 /opt/data/deep; chmod 2750 /opt/data/deep; mkfifo /opt/pipe
         ln -s /etc/shipped '/opt/a link'; echo seed > /var/lib/systemd/random-seed; echo changed >> /etc/hello.conf",
    );
    xattr::set(rig.root_dir("lab").join("root/etc/shipped"), "user.colour", b"red").unwrap();
    rig.profile(&["set", "lab", "--args", "quiet splash"]).ok();
    rig.profile(&["save", "lab"]).ok();
    let builtin = rig.path("router");
    fs::create_dir(&builtin).unwrap();
    fs::write(builtin.join("builtin.conf"), "id=router\nname=My Router\nnote=from the shop\nbase=13.*\n")
        .unwrap();
    send(&rig, rig.last_entry("lab").0, &builtin);
    (rig, builtin)
}

fn send(rig: &Rig, point: u64, builtin: &std::path::Path) {
    let point = rig.in_pool(format!("@profiles/lab/snapshots/{point}"));
    need("btrfs", btrfs(&["send", "--quiet"]).arg("-f").arg(builtin.join("upper.stream")).arg(point));
}

/// Which notes of overlayfs an upper has, below its top.
fn notes(dir: &std::path::Path) -> std::collections::BTreeSet<String> {
    let mut found = std::collections::BTreeSet::new();
    for path in fs::read_dir(dir).unwrap().map(|item| item.unwrap().path()) {
        let names = xattr::list(&path).unwrap().map(|name| name.into_string().unwrap());
        found.extend(names.filter(|name| name.starts_with("trusted.overlay.")));
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(notes(&path));
        }
    }
    found
}

fn install(rig: &Rig, from: &std::path::Path, more: &[&str]) -> crate::rig::Ended {
    rig.profile(&[&["install-builtin", from.to_str().unwrap()], more].concat())
}

#[test]
fn a_stream_becomes_a_profile_with_a_pristine_state() {
    let (rig, builtin) = with_builtin();
    let said = install(&rig, &builtin, &[]).ok().out;
    assert!(said.starts_with("made profile router from built-in router on base 13.1\n"), "{said}");
    let shipped = rig.tree("lab");
    assert_same(&shipped, &rig.tree("router"));
    rig.mounted("router", |dir| assert_eq!(mistaken_for_one(dir), []));
    let root = rig.root_dir("router");
    assert!(fs::metadata(root.join("root/opt/data/deep")).unwrap().ino() >= crate::rig::FLOOR);
    assert!(fs::symlink_metadata(root.join("root/opt/data/one")).unwrap().file_type().is_char_device());
    assert_eq!(xattr::get(root.join("root/opt/data/deep"), "trusted.overlay.opaque").unwrap().unwrap(), b"y");
    let only_opaque = std::collections::BTreeSet::from(["trusted.overlay.opaque".to_owned()]);
    assert!(
        notes(&rig.root_dir("lab").join("root")).contains("trusted.overlay.origin"),
        "there was something to strip"
    );
    assert_eq!(notes(&rig.in_pool("@profiles/router/pristine/root")), only_opaque);
    assert_eq!(fs::read_to_string(root.join("args")).unwrap(), "quiet splash\n");
    let show = rig.profile(&["show", "router", "--json"]).json();
    assert_eq!(
        (&show["name"], &show["note"], &show["origin"]["builtin"]),
        (&"My Router".into(), &"from the shop".into(), &"router".into())
    );
    let ids = ["lab", "router"].map(|id| rig.sh(id, "cat /etc/machine-id"));
    assert_ne!(ids[0], ids[1], "a machine-id of its own");
    assert_eq!(rig.profile(&["run", "router", "test", "-e", "/var/lib/systemd/random-seed"]).status, 1);
    rig.verify();
    // Worked in, reset, and the reset taken back.
    rig.sh("router", "rm /etc/shipped; echo mine > /opt/mine; echo y > /opt/data/deep/mine");
    let worked = rig.tree("router");
    rig.profile(&["--yes", "reset", "router"]).ok();
    assert_same(&shipped, &rig.tree("router"));
    rig.undo(&["--profile", "router", "--yes"]).ok();
    assert_same(&worked, &rig.tree("router"));
    assert_eq!(rig.names("@profiles"), [".template", "lab", "router"]);
    rig.verify();
}

#[test]
fn a_compressed_stream_a_deb_and_another_id() {
    let (rig, builtin) = with_builtin();
    let stream = builtin.join("upper.stream");
    let zstd = Command::new("zstd").args(["-q", "--rm"]).arg(&stream).status();
    assert!(zstd.is_ok_and(|s| s.success()), "zstd is missing: apt-get install zstd");
    install(&rig, &builtin, &["--id", "one"]).ok();
    let package = rig.path("package");
    let place = package.join("usr/share/flipper-profiles/builtin");
    fs::create_dir_all(&place).unwrap();
    fs::create_dir(package.join("DEBIAN")).unwrap();
    fs::rename(&builtin, place.join("router")).unwrap();
    let control = "Package: builtin-router\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: x\n";
    fs::write(package.join("DEBIAN/control"), control).unwrap();
    let deb = rig.path("router.deb");
    need(
        "dpkg-deb",
        Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&package).arg(&deb),
    );
    install(&rig, &deb, &["--id", "two"]).ok();
    let shipped = rig.tree("lab");
    for id in ["one", "two"] {
        assert_same(&shipped, &rig.tree(id));
    }
    install(&rig, &deb, &["--id", "two"]).refused("there is a profile two already");
    rig.verify();
}

/// Cut at any byte, a stream leaves nothing but the entry that says so.
#[test]
fn a_stream_that_is_cut_leaves_nothing() {
    let (rig, builtin) = with_builtin();
    let stream = builtin.join("upper.stream");
    let whole = fs::read(&stream).unwrap();
    let profiles = rig.names("@profiles");
    let starts = commands(&whole);
    let at_commands = starts.iter().step_by(starts.len() / 6).copied();
    for length in [0, 1, 17, whole.len() - 1, *starts.last().unwrap()].into_iter().chain(at_commands) {
        fs::write(&stream, &whole[..length]).unwrap();
        let ended = install(&rig, &builtin, &[]);
        assert!([2, 3].contains(&ended.status), "cut at {length}: {ended:?}");
        assert_eq!(rig.names("@profiles"), profiles, "cut at {length}");
        assert_eq!(rig.last_entry("router").1["state"], "cancelled", "cut at {length}");
    }
    fs::write(&stream, &whole).unwrap();
    install(&rig, &builtin, &[]).ok();
    rig.verify();
}

/// Where the commands of a stream begin: length, number, checksum, after a head of 17 bytes.
fn commands(stream: &[u8]) -> Vec<usize> {
    let mut at = 17;
    let mut found = Vec::new();
    while at + 10 <= stream.len() {
        found.push(at);
        at += 10 + u32::from_le_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
    }
    assert_eq!(at, stream.len());
    found
}

#[test]
fn refused_with_the_reason() {
    let (rig, builtin) = with_builtin();
    let conf = |text: &str| fs::write(builtin.join("builtin.conf"), text).unwrap();
    conf("id=router\nbase=12.*\n");
    install(&rig, &builtin, &[]).refused("it needs base 12.*, and this is 13.1");
    conf("id=router\nbase=13.7\n");
    install(&rig, &builtin, &[]).refused("there is no base 13.7");
    conf("name=x\n");
    install(&rig, &builtin, &[]).refused("builtin.conf has no line id=");
    conf("id=../x\n");
    install(&rig, &builtin, &[]).says(64, "is not a profile id");
    conf("id=router\n");
    fs::write(builtin.join("packages"), "-o x\n").unwrap();
    install(&rig, &builtin, &[]).refused("it has both upper.stream and packages");
    fs::rename(builtin.join("upper.stream"), rig.path("kept")).unwrap();
    install(&rig, &builtin, &[]).refused("is no package name");
    fs::remove_file(builtin.join("packages")).unwrap();
    install(&rig, &builtin, &[]).refused("it has neither upper.stream nor packages");
    fs::remove_file(builtin.join("builtin.conf")).unwrap();
    install(&rig, &builtin, &[]).refused("it has no builtin.conf");
    install(&rig, std::path::Path::new("no-such-package"), &[])
        .refused("no such directory, .deb or installed package");
    // A stream on another base.
    conf("id=router\n");
    fs::rename(rig.path("kept"), builtin.join("upper.stream")).unwrap();
    let tiny = rig.path("other");
    crate::rig::root::make(&tiny);
    rig.base(&["import", tiny.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    install(&rig, &builtin, &["--base", "13.2"]).refused("its stream stands on base 13.1, and this is 13.2");
    // A stream of something else.
    need(
        "btrfs",
        btrfs(&["send", "--quiet", "-f"]).arg(builtin.join("upper.stream")).arg(rig.in_pool("@base/13.1")),
    );
    install(&rig, &builtin, &[]).refused("is no root of a profile");
    assert_eq!(rig.names("@profiles"), [".template", "lab"]);
    rig.verify();
}

/// Without packages, only files: the tree laid over a fresh root.
#[test]
fn a_tree_alone() {
    let (rig, builtin) = with_builtin();
    fs::remove_file(builtin.join("upper.stream")).unwrap();
    fs::write(builtin.join("packages"), "# none\n").unwrap();
    fs::create_dir_all(builtin.join("files/etc/deep")).unwrap();
    fs::write(builtin.join("files/etc/deep/x"), "x\n").unwrap();
    fs::write(builtin.join("files/etc/hello.conf"), "greeting=shop\n").unwrap();
    install(&rig, &builtin, &[]).ok();
    let said = rig.sh("router", "cat /etc/deep/x /etc/hello.conf; ls -A /var/log");
    assert_eq!(said, "x\ngreeting=shop\napt\nprivate");
    rig.sh("router", "rm -r /etc/deep");
    rig.profile(&["--yes", "reset", "router"]).ok();
    assert_eq!(rig.sh("router", "cat /etc/deep/x"), "x");
    let (pristine, root) =
        (rig.in_pool("@profiles/router/pristine/root"), rig.root_dir("router").join("root"));
    let id = ["etc/machine-id"];
    assert_same(&read(&pristine).without(&id), &read(&root).without(&id));
    rig.verify();
}

/// A base may have absolute links; what the built-in lays over them must not go to files of this machine.
#[test]
fn links_of_a_base_are_replaced_or_refused_and_never_followed() {
    let (rig, builtin) = with_builtin();
    let (outside, folder) = (rig.path("outside"), rig.path("outside.d"));
    fs::write(&outside, "of the host\n").unwrap();
    fs::create_dir(&folder).unwrap();
    let linked = rig.path("linked");
    crate::rig::root::make(&linked);
    for (to, name) in [(&outside, "etc/zone"), (&folder, "etc/folder")] {
        std::os::unix::fs::symlink(to, linked.join(name)).unwrap();
    }
    fs::hard_link(linked.join("etc/hello.conf"), linked.join("etc/hello-too")).unwrap();
    rig.base(&["import", linked.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    let stream = builtin.join("upper.stream");
    for (id, packages) in [("with-apt", true), ("with-stream", false)] {
        if packages {
            fs::rename(&stream, rig.path("kept")).unwrap();
            fs::write(builtin.join("packages"), "# none\n").unwrap();
        } else {
            fs::remove_file(builtin.join("packages")).unwrap();
            rig.profile(&["create", "on-two", "--base", "13.2"]).ok();
            rig.sh("on-two", "rm -r /opt/data");
            rig.profile(&["save", "on-two"]).ok();
            let point = format!("@profiles/on-two/snapshots/{}", rig.last_entry("on-two").0);
            need("btrfs", btrfs(&["send", "--quiet", "-f"]).arg(&stream).arg(rig.in_pool(point)));
        }
        let tree = builtin.join("files");
        let _ = fs::remove_dir_all(&tree);
        for (name, text) in [("etc/zone", "shop\n"), ("etc/hello-too", "shop\n"), ("opt/data/new", "n\n")] {
            fs::create_dir_all(tree.join(name).parent().unwrap()).unwrap();
            fs::write(tree.join(name), text).unwrap();
        }
        install(&rig, &builtin, &["--id", id, "--base", "13.2"]).ok();
        assert_eq!(rig.sh(id, "cat /etc/zone /etc/hello-too; cat /opt/data/new"), "shop\nshop\nn", "{id}");
        let hello = fs::read_to_string(linked.join("etc/hello.conf")).unwrap();
        assert_eq!(rig.sh(id, "cat /etc/hello.conf"), hello.trim_end(), "{id}: the other name of a file");
        assert_eq!(rig.sh(id, "ls /opt/data").lines().count() == 1, !packages, "{id}: what was removed");
        fs::create_dir(tree.join("etc/folder")).unwrap();
        fs::write(tree.join("etc/folder/x"), "x").unwrap();
        let args = ["--id", "never", "--base", "13.2"];
        install(&rig, &builtin, &args).refused("/etc/folder is a folder in it, and a link in the profile");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{id}");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "of the host\n", "{id}");
    }
    rig.verify();
}

/// What an upper or `files/` has for a path of state/ is there, and a reset brings it back.
#[test]
fn a_stream_ships_what_lies_in_state_too() {
    let (rig, builtin) = with_builtin();
    let upper = rig.root_dir("lab").join("root");
    fs::create_dir_all(upper.join("var/spool/cron/crontabs")).unwrap();
    fs::write(upper.join("var/spool/cron/crontabs/root"), "# daily\n").unwrap();
    rig.profile(&["save", "lab"]).ok();
    send(&rig, rig.last_entry("lab").0, &builtin);
    for (name, text) in [("root/.bash_aliases", "alias x=y\n"), ("etc/shop", "shop\n")] {
        let path = builtin.join("files").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    install(&rig, &builtin, &[]).ok();
    let read = "cat /root/.bash_aliases /var/spool/cron/crontabs/root /etc/shop";
    let shipped = "alias x=y\n# daily\nshop";
    assert_eq!(rig.sh("router", read), shipped);
    assert!(rig.in_pool("@profiles/router/state/root/.bash_aliases").exists());
    rig.sh("router", "rm /root/.bash_aliases /etc/shop");
    rig.profile(&["--yes", "reset", "router", "--wipe"]).ok();
    assert_eq!(rig.sh("router", read), shipped);
    rig.verify();
}
