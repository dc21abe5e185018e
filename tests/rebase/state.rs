//! state/ and the sandbox of a rebase: what its maintainer scripts write there counts when the rebase does, and
//! never takes the place of what was written meanwhile.

use std::fs;
use std::process::Command;

use crate::case::Tree;
use crate::deb::Deb;
use crate::merged::{bus, pool};
use crate::rig::tree::{assert_same, read};
use crate::rig::{Rig, btrfs, need};

/// Writes into state/ as a service's postinst does: a directory of its own, a database in a new format, an old
/// file gone.
const POSTINST: &str = r#"#!/bin/sh
set -e
mkdir -p /var/log/svc && echo born > /var/log/svc/log && chown -R bus:bus /var/log/svc
[ "$(stat -c %U /srv/d/data)" = bus ]
echo new-format > /srv/d/format
mv /var/log/old.log /var/log/old.1
rm -f /var/log/gone.log
[ ! -e /etc/svc-fails ]
"#;

/// The new base breaks the service's version of today, and has the next one in a repository.
fn rig() -> Rig {
    let base = |version: &str, tree: &Tree| {
        let lib = Deb::new("lib", version);
        let (lib, uid) = if version == "1" { (lib, "150") } else { (lib.field("Breaks: svc (<< 2)"), "997") };
        tree.install(&[lib]);
        bus(tree, uid, uid);
        repository(tree);
    };
    let rig = pool(base, |tree| {
        tree.install(&[Deb::new("svc", "1").file("usr/share/svc/x", "1")]);
        tree.sh(
            "mkdir -p srv/d; echo 1 > srv/d/data; echo old-format > srv/d/format; chown -R 150:150 srv/d",
        );
    });
    rig.profile(&["state", "add", "lab", "/srv/d"]).ok();
    rig.sh("lab", "echo log > /var/log/old.log; echo log > /var/log/gone.log");
    rig
}

fn repository(tree: &Tree) {
    let svc = Deb::new("svc", "2").file("usr/share/svc/x", "2").control("postinst", POSTINST);
    let deb = svc.build(tree.scratch);
    tree.sh("mkdir repo; rm -rf etc/apt/sources.list.d/*; echo 'deb [trusted=yes] file:/repo ./' > etc/apt/sources.list");
    fs::copy(&deb, tree.path("repo/svc.deb")).unwrap();
    need(
        "sh",
        Command::new("sh").args(["-c", "dpkg-scanpackages -m . > Packages"]).current_dir(tree.path("repo")),
    );
}

fn rebase(rig: &Rig) -> crate::rig::Ended {
    rig.profile(&["rebase", "lab", "--base", "2", "--yes"])
}

/// What the postinst did, told in the profile.
const DONE: &str = "cat /var/log/svc/log /srv/d/format /var/log/old.1; ls /var/log/old.log /var/log/gone.log 2> /dev/null; stat -c %U:%u /var/log/svc/log /srv/d/data";

fn nothing_aside(rig: &Rig) {
    let names = rig.names("@profiles/lab");
    assert!(!names.iter().any(|name| name.starts_with(".state-")), "{names:?}");
    rig.verify();
}

#[test]
fn what_scripts_write_counts_when_the_rebase_does() {
    let rig = rig();
    let before = read(&rig.in_pool("@profiles/lab/state"));
    // Refused: nothing is left of it.
    rig.sh("lab", "touch /etc/svc-fails");
    let quiet = read(&rig.in_pool("@profiles/lab/state"));
    let refused = rebase(&rig);
    assert!(refused.status == 2 && refused.err.contains("stays where it is"), "{}", refused.err);
    assert_same(&quiet, &read(&rig.in_pool("@profiles/lab/state")));
    assert!(!rig.names("@profiles/lab/snapshots").iter().any(|name| name.ends_with(".state")));
    nothing_aside(&rig);
    assert_same(&before.without(&["var"]), &quiet.without(&["var"]));

    rig.sh("lab", "rm /etc/svc-fails");
    rig.base(&["flip", "2", "--profiles", "lab", "--yes"]).ok();
    nothing_aside(&rig);
    assert_eq!(rig.sh("lab", DONE), "born\nnew-format\nlog\nbus:997\nbus:997");
    let (_, entry) = rig.last_entry("lab");
    let gone: Vec<_> =
        entry["state_gone"].as_array().unwrap().iter().map(|g| g["path"].as_str().unwrap()).collect();
    assert_eq!(gone, ["var/log/gone.log"]);
    // The way back leaves state/ alone, puts back what is gone, and the numbers are those of the old base.
    rig.sh("lab", "echo more >> /var/log/svc/log");
    rig.base(&["rollback", "--yes"]).ok();
    assert_eq!(
        rig.sh("lab", "cat /var/log/gone.log /var/log/svc/log; stat -c %U:%u /var/log/svc/log"),
        "log\nborn\nmore\nbus:150"
    );
    nothing_aside(&rig);
    nor_twice_nor_in_a_copy(&rig);
}

/// A copy that a cut left after it was merged is not merged again. A subvolume in state/ is in no copy of it:
/// there the merge is done in place.
fn nor_twice_nor_in_a_copy(rig: &Rig) {
    let again = "echo old-format > /srv/d/format; rm -r /var/log/svc; mv /var/log/old.1 /var/log/old.log";
    rig.sh("lab", again);
    let nested = rig.in_pool("@profiles/lab/state/var/tmp/mine");
    need("btrfs", btrfs(&["subvolume", "create"]).arg(&nested));
    fs::write(nested.join("x"), "mine").unwrap();
    let running = rig.start(&["run", "lab", "sh", "-c", "echo ready; exec sleep 600"]);
    rebase(rig).ok();
    let made = rig.in_pool(format!("@profiles/lab/.state-{}.made", rig.current("lab")));
    let kept = rig.in_pool("kept");
    need("btrfs", btrfs(&["subvolume", "snapshot"]).arg(&made).arg(&kept));
    running.end();
    assert_eq!(rig.sh("lab", DONE), "born\nnew-format\nlog\nbus:997\nbus:997");
    assert_eq!(fs::read_to_string(nested.join("x")).unwrap(), "mine");
    nothing_aside(rig);
    rig.sh("lab", "echo later > /srv/d/format");
    fs::rename(&kept, &made).unwrap();
    assert_eq!(rig.sh("lab", "cat /srv/d/format"), "later");
    nothing_aside(rig);

    // A root takes state/ over as often as another one had it in between.
    need("btrfs", btrfs(&["subvolume", "delete"]).arg(&nested));
    for uid in [150, 151] {
        let state = rig.in_pool("@profiles/lab/state");
        std::os::unix::fs::chown(state.join("var/log/svc/log"), Some(uid), None).unwrap();
        fs::write(state.join(".numbers"), format!(r#"{{"base":"1","users":{{"bus":{uid}}},"groups":{{}}}}"#))
            .unwrap();
        assert_eq!(rig.sh("lab", "stat -c %U /var/log/svc/log"), "bus", "{uid}");
    }
    nothing_aside(rig);
}

/// Its services went on writing while the rebase worked on the copy. One that is dropped leaves nothing.
#[test]
fn what_was_written_meanwhile_stays() {
    let rig = rig();
    let running = rig.start(&["run", "lab", "sh", "-c", "echo ready; while [ ! -e /home/go ]; do sleep 0.1; done; echo live >> /srv/d/data; echo live > /var/log/live; rm /home/go; exec sleep 600"]);
    let quiet = read(&rig.in_pool("@profiles/lab/state"));
    rebase(&rig).ok();
    rig.undo(&["--profile", "lab", "--cancel", "--yes"]).ok();
    nothing_aside(&rig);
    assert_same(&quiet, &read(&rig.in_pool("@profiles/lab/state")));
    rebase(&rig).ok();
    let waits = rig.in_pool(format!("@profiles/lab/.state-{}.made", rig.current("lab")));
    assert!(waits.is_dir());
    fs::write(rig.in_pool("@data/home/go"), "").unwrap();
    crate::rig::within(std::time::Duration::from_secs(20), "the service wrote", || {
        !rig.in_pool("@data/home/go").exists()
    });
    rig.verify();
    running.end();
    let started = rig.profile(&["run", "lab", "sh", "-c", DONE]);
    assert_eq!(started.out.trim(), "born\nold-format\nlog\nbus:997\nbus:997");
    assert!(
        started.err.contains("/srv/d changed during the rebase, and stays as it is now"),
        "{}",
        started.err
    );
    assert_eq!(rig.sh("lab", "cat /var/log/live; tail -n 1 /srv/d/data"), "live\nlive");
    nothing_aside(&rig);
}
