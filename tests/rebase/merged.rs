//! One profile, one candidate, and a thing of every kind that is merged record by record: told by the tools that
//! own the records, on the real root.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::case::Tree;
use crate::deb::Deb;
use crate::pair::root;
use crate::rig::{Rig, need};

fn conffiles(version: &str, texts: &[(&str, &str)]) -> Deb {
    let deb = Deb::new("tool", version).file("usr/share/tool/data", version);
    texts.iter().fold(deb, |deb, (name, text)| deb.conffile(&format!("etc/tool/{name}"), text))
}

pub fn bus(tree: &Tree, uid: &str, gid: &str) {
    tree.sh(&format!(
        "echo bus:x:{uid}:{gid}::/run:/usr/sbin/nologin >> etc/passwd; echo bus:x:{gid}: >> etc/group
         echo 'bus:!*:19000::::::' >> etc/shadow; echo 'bus:!*::' >> etc/gshadow
         mkdir -p usr/lib/bus; echo x > usr/lib/bus/helper; chown 0:{gid} usr/lib/bus/helper; chmod 4754 usr/lib/bus/helper"
    ));
}

fn choice(tree: &Tree, path: &str, priority: &str) {
    tree.write(path, path);
    tree.sh(&format!("chroot . update-alternatives --install /usr/bin/pick pick /{path} {priority}"));
}

fn old_base(tree: &Tree) {
    tree.install(&[
        conffiles(
            "1",
            &[("same", "1"), ("mine", "1"), ("both", "1"), ("agreed", "1"), ("gone", "1"), ("dropped", "1")],
        ),
        Deb::new("older", "1").file("usr/share/older/x", "1"),
        Deb::new("leaves", "1").file("usr/share/leaves/x", "1"),
        Deb::new("kept-rc", "1").conffile("etc/kept-rc", "1").control("postrm", "#!/bin/sh\nexit 0\n"),
        Deb::new("ahead", "1").file("usr/share/ahead/x", "1").file("usr/share/ahead/only-1", "1"),
    ]);
    bus(tree, "150", "156");
    choice(tree, "usr/bin/pick-a", "10");
}

fn new_base(tree: &Tree) {
    tree.install(&[
        conffiles("2", &[("same", "2"), ("mine", "1"), ("both", "2"), ("agreed", "2"), ("gone", "2")]),
        Deb::new("older", "2").file("usr/share/older/x", "2").file("usr/share/older/new", "2"),
        Deb::new("leaves", "2").file("usr/share/leaves/x", "2").file("usr/share/leaves/new", "2"),
        Deb::new("kept-rc", "2").conffile("etc/kept-rc", "2").file("usr/share/kept-rc/x", "2"),
        Deb::new("ahead", "2").file("usr/share/ahead/x", "2").file("usr/share/ahead/only-2", "2"),
        Deb::new("takes", "1").file("usr/share/mine/taken", "theirs").field("Replaces: mine"),
        Deb::new("brings", "1").file_of_mode("usr/bin/brings", "x", 0o755),
    ]);
    bus(tree, "997", "997");
    choice(tree, "usr/bin/pick-b", "20");
}

/// Through the merged mount, with the machine's own dpkg.
fn lived_in(tree: &Tree) {
    tree.install(&[
        Deb::new("mine", "1").file("usr/share/mine/taken", "mine").file("usr/share/mine/own", "mine"),
        Deb::new("older", "1.5").file("usr/share/older/x", "1.5"),
        Deb::new("ahead", "3").file("usr/share/ahead/x", "3").file("usr/share/ahead/only-3", "3"),
    ]);
    tree.dpkg(&["--purge", "leaves"]);
    tree.dpkg(&["--remove", "kept-rc"]);
    for name in ["mine", "both", "dropped"] {
        tree.write(&format!("etc/tool/{name}"), "edited");
    }
    tree.write("etc/tool/agreed", "2");
    tree.remove("etc/tool/gone");
    choice(tree, "usr/bin/pick-c", "5");
    tree.sh("chroot . update-alternatives --set pick /usr/bin/pick-c");
    tree.sh("chroot . dpkg-statoverride --add bus root 4750 /usr/bin/brings");
    // Its number is somebody else's on the new base.
    tree.sh(
        "echo mine:x:997:998::/srv:/bin/sh >> etc/passwd; echo 'mine:!:19000::::::' >> etc/shadow
         echo mine:x:998: >> etc/group; echo 'mine:!::' >> etc/gshadow
         mkdir -p srv; echo data > srv/mine; chown 997:156 srv/mine; chmod 6750 srv/mine
         setcap cap_net_raw+ep srv/mine 2> /dev/null || setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 srv/mine
         echo acl > srv/acl; setfacl -m u:997:r,g:156:r srv/acl 2> /dev/null || true",
    );
}

/// Profile lab, lived in, on base 1 of the two that `base` makes, 1 and 2, of roots from the archive.
pub fn pool(base: impl Fn(&str, &Tree), lived_in: impl FnOnce(&Tree)) -> Rig {
    let rig = Rig::bare();
    rig.profile(&["init", "--image", rig.image_name(), "--size", "4G", "--inode-floor", "65536"]).ok();
    for version in ["1", "2"] {
        let dir = prepared(&rig, version, |tree| base(version, tree));
        rig.base(&["import", dir.to_str().unwrap(), "--version", version, "--clean"]).ok();
        std::fs::remove_dir_all(dir).unwrap();
    }
    rig.hold();
    rig.profile(&["create", "lab", "--base", "1"]).ok();
    let scratch = rig.dir.path().to_owned();
    rig.mounted("lab", |dir: &Path| lived_in(&Tree { dir, scratch: &scratch }));
    rig
}

/// A root from the archive with these packages on it, as a directory to import.
fn prepared(rig: &Rig, name: &str, make: impl FnOnce(&Tree)) -> PathBuf {
    let dir = rig.path(name);
    std::fs::create_dir(&dir).unwrap();
    let tar = root("bookworm", "");
    need(
        "tar",
        Command::new("tar").args(["--numeric-owner", "--xattrs", "-xpf"]).arg(tar).arg("-C").arg(&dir),
    );
    make(&Tree { dir: &dir, scratch: rig.dir.path() });
    dir
}

const SEEN: &str = r#"
fail() { echo "not so: $*"; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: $1, not $2"; }
is "$(dpkg-query -W -f '${Package} ${Version} ${Status}\n' tool older leaves kept-rc ahead mine takes brings 2> /dev/null)" "ahead 3 install ok installed
brings 1 install ok installed
kept-rc 1 deinstall ok config-files
mine 1 install ok installed
older 2 install ok installed
takes 1 install ok installed
tool 2 install ok installed" packages
is "$(cat /usr/share/older/x /usr/share/older/new)" 22 superseded
is "$(cat /usr/share/ahead/*)" 33 "the profile's newer version"
[ ! -e /usr/share/leaves/x ] && [ ! -e /usr/share/leaves/new ] || fail purged
[ ! -e /usr/share/kept-rc/x ] || fail removed
is "$(cat /etc/kept-rc)" 1 "settings of what was removed"
[ -x /var/lib/dpkg/info/kept-rc.postrm ] || fail "postrm of what was removed"
is "$(cat /usr/share/mine/taken /usr/share/mine/own)" theirsmine Replaces
is "$(dpkg -S /usr/share/mine/taken)" "takes: /usr/share/mine/taken" "struck off"
cd /etc/tool
is "$(cat same)" 2 C1
is "$(cat mine)" edited C2
is "$(cat agreed)" 2 C3
[ ! -e gone ] || fail C5
is "$(cat gone.dpkg-dist)" 2 "C5 beside"
is "$(cat both both.dpkg-dist)" edited2 C6
is "$(cat dropped)" edited C8
is "$(dpkg-query -W -f '${Conffiles}' tool | grep obsolete)" " /etc/tool/dropped $(printf 1 | md5sum | cut -c 1-32) obsolete" "C8 on record"
is "$(readlink /etc/alternatives/pick)" /usr/bin/pick-c "chosen by hand"
is "$(update-alternatives --query pick | grep -c ^Alternative:)" 2 choices
is "$(getent passwd bus | cut -d: -f3-4)" 997:997 bus
is "$(stat -c '%g %a' /usr/lib/bus/helper)" "997 4754" helper
mine=$(getent passwd mine | cut -d: -f3)
[ "$mine" != 997 ] && [ "$mine" -lt 1000 ] || fail "a free number: $mine"
is "$(stat -c '%u %g %a' /srv/mine)" "$mine 997 6750" "numbers, set-id"
[ -n "$(getfattr -n security.capability --only-values /srv/mine 2> /dev/null | od -An -tx1)" ] || [ ! -x /usr/bin/getfattr ] || fail capability
is "$(stat -c '%u %a' /usr/bin/brings)" "997 4750" "statoverride of a new file"
is "$(dpkg --audit)" "" audit
is "$(dpkg --verify mine older takes brings ahead)" "" verify
echo all of it
"#;

#[test]
fn every_record_is_merged_by_its_owners_rules() {
    let rig = pool(|version, tree| if version == "1" { old_base(tree) } else { new_base(tree) }, lived_in);
    // state/ bears the numbers of the accounts, too.
    rig.sh("lab", "echo log > /var/log/bus.log; chown bus:bus /var/log/bus.log; echo log > /var/log/mine.log; chown mine /var/log/mine.log");
    rig.profile(&["rebase", "lab", "--base", "2", "--yes"]).ok();
    assert_eq!(rig.sh("lab", SEEN), "all of it");
    let owners = "stat -c %U:%G /var/log/bus.log; stat -c %U /var/log/mine.log";
    assert_eq!(rig.sh("lab", owners), "bus:bus\nmine");
    // What stays in its place is saved nowhere else.
    let (number, _) = rig.last_entry("lab");
    assert!(!rig.in_pool(format!("@journal/entries/lab/{number}/saved/etc/tool")).exists());
    let accounts = "getent passwd; getent group";
    let merged = rig.sh("lab", accounts);
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", owners), "bus:bus\nmine");
    assert_eq!(rig.sh("lab", "stat -c %u:%g /var/log/bus.log"), "150:156");
    // Again, to the same: what the undo reserved is in nobody's way.
    rig.profile(&["rebase", "lab", "--base", "2", "--yes"]).ok();
    assert_eq!(rig.sh("lab", accounts), merged);
    rig.verify();
}
