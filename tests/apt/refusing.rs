//! Runs that cannot be protected: apt goes on and one line says so, or `strict` stops it before anything
//! has changed.

use crate::rig::{Lab, Pool};

/// The pool of this run is not to be found: any failure of the first hook would do.
const LOST: &str = "sed -i -e 's/^pool=.*/pool=00000000-0000-4000-8000-000000000000/' -e 's/^device=.*/device=\\/dev\\/null/' /run/flipper/booted; ";
const STRICT: &str = "sed -i 's/^strict=.*/strict=yes/' /etc/flipper/profiles.conf";

fn lost(lab: &Lab, script: &str, status: i32) -> Vec<String> {
    let done = lab.run(&format!("{LOST}{script}")).exits(status);
    assert_eq!(lab.entries().len(), 0);
    done.ours().into_iter().map(str::to_owned).collect()
}

#[test]
fn apt_goes_on_and_one_line_says_so() {
    let lab = Pool::trixie().lab("lost");
    let said = lost(&lab, "apt-get -qq install plain; test -e /usr/share/plain/a", 0);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("flipper-profiles: this package run is NOT protected: "), "{said:?}");
    let said = lost(&lab, "dpkg -i /home/apt/flat/conf_1_all.deb; test -e /etc/conf.conf", 0);
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn strict_refuses_before_anything_has_changed() {
    let lab = Pool::trixie().lab("strict");
    lab.run(STRICT).ok();
    let before = lab.tree();
    let said = lost(&lab, "apt-get -qq install plain", 100);
    assert!(said.last().unwrap().contains("strict=yes"), "{said:?}");
    lab.tree().must_be(&before);
    let said = lost(&lab, "dpkg -i /home/apt/flat/plain-lib_1_all.deb", 2);
    assert!(said.last().unwrap().contains("strict=yes"), "{said:?}");
    lab.tree().must_be(&before);
    // With its pool it is a run like any other; asked for, it goes unprotected; and it may leave.
    lab.run("apt-get -qq install plain").ok().silent();
    lab.run_with(&[("FLIPPER_SKIP", "1")], "apt-get -qq install conf").ok();
    lab.run(&format!("{LOST}apt-get -qq remove flipper-profiles")).ok().says("NOT protected");
}

#[test]
fn strict_lets_room_be_freed() {
    let lab = Pool::trixie().lab("strict-frees");
    lab.run("apt-get -qq install plain").ok();
    lab.run(STRICT).ok();
    lab.run(&format!("{LOST}apt-get -qq autoremove --purge plain")).ok().says("NOT protected");
}

#[test]
fn skipped_on_request() {
    let lab = Pool::trixie().lab("skip");
    let done = lab.run_with(&[("FLIPPER_SKIP", "1")], "apt-get -qq install plain").ok();
    let line = "flipper-profiles: this package run is NOT protected: FLIPPER_SKIP=1 was asked for";
    assert_eq!(done.ours(), [line]);
    assert_eq!(lab.entries().len(), 0);
    // The word holds for that run only.
    lab.run("FLIPPER_SKIP=1 apt-get -qq install conf=1; apt-get -qq install conf").ok();
    assert_eq!(lab.entries().len(), 1);
}

/// A full disk: the pool is small, and everything in it is taken.
#[test]
fn a_full_disk() {
    let pool = Pool::copy("trixie");
    let lab = pool.lab("full");
    let before = lab.tree();
    pool.fill();
    // Whatever becomes of apt: the status is whole, undo works once there is room.
    let done = lab.run("apt-get -qq install plain; echo $? > /dev/null");
    assert!(done.ours().len() <= 1, "{:?}", done.ours());
    pool.make_room();
    lab.run("dpkg --audit").ok();
    if !lab.entries().is_empty() {
        lab.undo(&[]).ok();
        lab.tree().must_be(&before);
    }
}
