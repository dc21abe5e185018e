//! Programs that stand between apt's hooks and dpkg's: what is journalled by which.

use crate::rig::{Pool, changes};

/// dpkg's lock is held, and dpkg called, by a program that has no hooks of apt (as libdpkg's own
/// frontends do). `$1`: sh that is run with the lock held.
const FRONTEND: &str = r#"frontend() { perl -e 'use Fcntl; open F, "+>>", "/var/lib/dpkg/lock-frontend" or die;
    my $l = pack("ssx4qqlx4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $l) or die;
    $ENV{DPKG_FRONTEND_LOCKED} = "true"; exit(system($ARGV[0]) >> 8)' "$1"; }
    "#;

#[test]
fn a_frontend_without_apt_s_hooks() {
    let lab = Pool::trixie().lab("frontend");
    let before = lab.tree();
    let deb = "/home/apt/flat/conf_1_all.deb";
    // What an apt of before left there belongs to no living process.
    lab.run(&format!("{FRONTEND} echo 4194303 > /run/flipper/package-run; frontend 'dpkg -i {deb}'"))
        .ok()
        .silent();
    let entries = lab.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(changes(&entries[0]), ["install conf - 1"]);
    assert_eq!((&entries[0]["state"], &entries[0]["driver"]["name"]), (&"completed".into(), &"perl".into()));
    lab.back_and_forth(&before);
    // apt tells them apart: its own dpkg processes are part of its entry, a later one is not.
    lab.run(&format!("{FRONTEND} apt-get -qq install plain; frontend 'dpkg -P conf'")).ok().silent();
    let found: Vec<_> = lab.entries().iter().take(2).map(changes).collect();
    assert_eq!(found, [vec!["purge conf 1 -"], vec!["install plain - 2", "install plain-lib - 1+sec1"]]);
}

/// A plain dpkg has no list of actions from apt: what it was to do is read from its words.
#[test]
fn the_plan_of_a_plain_dpkg() {
    let lab = Pool::trixie().lab("dpkg-plan");
    let flat = "/home/apt/flat";
    lab.run(&format!("cd {flat}; dpkg -i ./plain-lib_1_all.deb conf_1_all.deb")).ok().silent();
    assert_eq!(crate::rig::planned(&lab.newest()), ["install conf - 1", "install plain-lib - 1"]);
    let before = lab.tree();
    lab.run(&format!("echo spoilt > /usr/share/plain-lib/x; dpkg -i {flat}/plain-lib_1_all.deb"))
        .ok()
        .silent();
    assert_eq!(changes(&lab.newest()), ["reinstall plain-lib 1 1"]);
    lab.undo(&[]).ok();
    lab.run("rm /usr/share/plain-lib/x; echo -n x > /usr/share/plain-lib/x").ok();
    assert_eq!(lab.tree().what("usr/share/plain-lib/x"), before.what("usr/share/plain-lib/x"));
    lab.run(&format!("dpkg -i {flat}/destroyer_1_all.deb {flat}/conf_2_all.deb")).exits(1);
    let entry = lab.newest();
    assert_eq!(entry["state"], "failed", "{entry:#}");
    assert_eq!(entry["outcome"], "1 of 2 packages reached their state; destroyer was not installed");
}

/// A later commit of a protected run is protected, whatever another run left behind.
#[test]
fn a_joined_commit_is_protected() {
    let lab = Pool::trixie().lab("joined");
    lab.run(
        "sed -i 's/^strict=.*/strict=yes/' /etc/flipper/profiles.conf; cd /etc/apt/apt.conf.d
         echo 'DPkg::Pre-Invoke { \"echo of another run > /run/flipper/unprotected\"; };' > 50stale
         sed -e '/Tools::Options/d' 00flipper-profiles > again-00.conf",
    )
    .ok();
    lab.run("apt-get -qq install plain; test ! -e /run/flipper/unprotected").ok().silent();
    assert_eq!((lab.entries().len(), &lab.newest()["state"]), (1, &"completed".into()));
}
