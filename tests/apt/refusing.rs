//! Runs that cannot be protected: apt goes on and one line says so, or `strict` stops it before anything
//! has changed.

use std::fs;
use std::time::Duration;

use crate::rig::{Done, Lab, Pool};

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
    assert!(said.last().unwrap().contains("strict=yes refuses"), "{said:?}");
    lab.tree().must_be(&before);
    let said = lost(&lab, "dpkg -i /home/apt/flat/plain-lib_1_all.deb", 2);
    assert!(said.last().unwrap().contains("strict=yes refuses"), "{said:?}");
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

/// A run that begins, and apt in it when everything in the pool has been taken meanwhile, the reserve too.
fn run_on_a_full_disk(lab: &Lab, script: &str) -> Done {
    let ready = lab.pool.top.join("@data/home/ready");
    std::thread::scope(|scope| {
        let waiting = "touch /home/ready; while test -e /home/ready; do sleep 0.05; done";
        let run = scope.spawn(move || lab.run(&format!("{waiting}; {script}")));
        while !ready.exists() {
            assert!(!run.is_finished(), "the run did not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        fs::remove_dir_all(lab.pool.top.join("@journal/reserve")).expect("remove the reserve");
        lab.pool.fill();
        fs::remove_file(&ready).expect("remove");
        run.join().expect("the run")
    })
}

/// With the reserve in place a full disk leaves no run unprotected, and the undo finds room after it.
#[test]
fn the_reserve_protects_a_run_on_a_full_disk() {
    let pool = Pool::copy("trixie");
    let lab = pool.lab("reserve");
    lab.run("apt-get -qq install plain=1").ok();
    let before = lab.tree();
    pool.fill();
    lab.run("dpkg --remove plain").ok().silent();
    let removed = lab.newest();
    assert_eq!((&removed["state"], &removed["point"]), (&"completed".into(), &true.into()));
    lab.undo(&["--yes"]).ok();
    pool.make_room();
    lab.tree().must_be(&before);
}

#[test]
fn a_full_disk() {
    let pool = Pool::copy("trixie");
    let lab = pool.lab("full");
    lab.run("apt-get -qq install plain=1").ok();
    let (before, entries) = (lab.tree(), lab.entries());
    // dpkg goes on and fails by itself, before it changed anything; one line of ours.
    let done = run_on_a_full_disk(&lab, "apt-get -qq install plain").exits(100).says("is NOT protected: ");
    assert_eq!(done.ours().len(), 1, "{:?}", done.ours());
    assert!(done.err.contains("/usr/bin/dpkg"), "dpkg did not begin: {}", done.err);
    // A run can begin on a full disk: it may be the way out.
    lab.run("test -e /usr/share/plain/a").ok();
    pool.make_room();
    assert_eq!(lab.tree().what("var/lib/dpkg/status"), before.what("var/lib/dpkg/status"));
    assert_eq!(lab.entries(), entries);
    // strict: dpkg does not even begin (apt stops before it asks us: it cannot write its own cache).
    lab.run(STRICT).ok();
    let deb = "/home/apt/flat/conf_1_all.deb";
    let done = run_on_a_full_disk(&lab, &format!("dpkg -i {deb}")).exits(2).says("strict=yes refuses");
    assert!(!done.err.contains("fatal"), "{}", done.err);
    pool.make_room();
    lab.run("apt-get -qq install plain").ok().silent();
    assert_eq!(lab.newest()["state"], "completed");
}
