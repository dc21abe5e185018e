//! A daemon's account number is not given to the next daemon after an undo, and is its own again when its
//! package comes back.

use crate::rig::{Lab, Pool};

const APT: &str = "apt-get -qq -y install";

/// What getent says of an account.
fn account(lab: &Lab, name: &str) -> Vec<String> {
    let line = lab.run(&format!("getent passwd {name}")).ok().out;
    line.trim().split(':').map(str::to_owned).collect()
}

fn install_undo_install_another(lab: &Lab, install: impl Fn(&str) -> String) {
    let before = lab.tree();
    lab.run(&install("daemon-a")).ok();
    let a = account(lab, "daemon-a");
    assert_eq!((a[5].as_str(), a[6].as_str()), ("/var/lib/daemon-a", "/bin/bash"));
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
    let kept = account(lab, "daemon-a");
    assert_eq!((&kept[2], &kept[3]), (&a[2], &a[3]), "the numbers are kept");
    assert_eq!(kept[4..].join(":"), "reserved by flipper-profiles:/nonexistent:/usr/sbin/nologin");
    lab.run("getent group daemon-a && passwd -S daemon-a").ok().says("daemon-a L 1970-01-02");
    lab.run("pwck -r -q && grpck -r").ok();
    let reserved = lab.tree();
    // Its log is still there, and nobody else's.
    lab.run(&install("daemon-b")).ok();
    let b = account(lab, "daemon-b");
    assert!(b[2] != a[2] && b[3] != a[3], "{a:?} {b:?}");
    let owner = lab.run("stat -c '%u %a' /var/log/daemon-a.log").ok().out;
    assert_eq!(owner.trim(), format!("{} 600", a[2]));
    lab.run("su daemon-b -c 'cat /var/log/daemon-a.log'").exits(1).says("Permission denied");
    assert_eq!(account(lab, "daemon-a"), kept, "what another package brings wakes nobody");
    lab.undo(&[]).ok();
    lab.tree().must_be(&reserved);
    // The package comes back: the same account, which reads what it wrote.
    lab.run(&install("daemon-a")).ok();
    assert_eq!(account(lab, "daemon-a"), a);
    lab.run("passwd -S daemon-a; su daemon-a -c 'cat /var/log/daemon-a.log'").ok().says("secret of daemon-a");
    assert_eq!(lab.run("stat -c %U /var/lib/daemon-a").ok().out.trim(), "daemon-a", "its home is its own");
    lab.run("pwck -r -q && grpck -r").ok();
    lab.undo(&[]).ok();
    lab.tree().must_be(&reserved);
}

#[test]
fn the_next_daemon_cannot_read_what_another_left() {
    install_undo_install_another(&Pool::trixie().lab("accounts"), |package| format!("{APT} {package}"));
}

#[test]
fn the_same_with_a_plain_dpkg() {
    let install = |package: &str| format!("dpkg -i /home/apt/flat/{package}_1_all.deb");
    install_undo_install_another(&Pool::bookworm().lab("accounts-dpkg"), install);
}

/// Purged, its account is gone as it is on any Debian; an undo of the purge brings it back as it was.
#[test]
fn an_account_that_its_package_deletes() {
    let lab = Pool::trixie().lab("accounts-purge");
    lab.run(&format!("{APT} daemon-a")).ok();
    let (a, installed) = (account(&lab, "daemon-a"), lab.tree());
    lab.run("apt-get -qq -y purge daemon-a").ok();
    lab.run("getent passwd daemon-a").exits(2);
    lab.undo(&[]).ok();
    lab.tree().must_be(&installed);
    assert_eq!(account(&lab, "daemon-a"), a);
}
