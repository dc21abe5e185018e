//! The same on Debian 12: older apt, older dpkg.

use crate::rig::{Pool, changes};

#[test]
fn debian_12() {
    let lab = Pool::bookworm().lab("old");
    lab.run(". /etc/os-release; test \"$VERSION_ID\" = 12").ok();
    let runs = [
        ("apt-get -qq install plain=1", vec!["install plain - 1", "install plain-lib - 1+sec1"]),
        ("apt-get -qq install plain", vec!["upgrade plain 1 2"]),
        ("dpkg -i /home/apt/flat/conf_1_all.deb", vec!["install conf - 1"]),
        ("apt-get -qq install special odd", vec!["install odd - 1", "install special - 1"]),
        ("apt-get -qq purge conf", vec!["purge conf 1 -"]),
    ];
    for (script, wanted) in runs {
        let before = lab.tree();
        lab.run(script).ok().silent();
        let entry = lab.newest();
        assert_eq!(changes(&entry), wanted, "{script}");
        assert_eq!(entry["state"], "completed", "{script}");
        lab.back_and_forth(&before);
    }
}

#[test]
fn debian_12_fails_and_is_nothing() {
    let lab = Pool::bookworm().lab("old-fails");
    let before = lab.tree();
    lab.run("apt-get -qq install bad-post").exits(100);
    assert_eq!(lab.newest()["state"], "failed");
    lab.back_and_forth(&before);
    let entries = lab.entries();
    lab.run("apt-get -qq -s install conf; apt-get -qq -o Debug::pkgDPkgPM=1 install conf >/dev/null; dpkg --no-act -i /home/apt/flat/plain-lib_1_all.deb").ok();
    assert_eq!(lab.entries(), entries);
}
