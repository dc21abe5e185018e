//! Whatever way a profile was made, its boot is not a first boot, and it is nobody else.

use crate::booted::Answers;
use crate::machine::{boot, pool};
use crate::rig::Lab;

/// cron was disabled by the owner; a first boot would enable it again (systemd.preset(5)).
#[track_caller]
fn is_as_its_owner_left_it(booted: &Answers, lab: &Lab) {
    assert_eq!((booted.says("state"), booted.says("failed")), ("running", ""), "{booted:?}");
    assert_eq!(booted.says("first-boot"), "inactive");
    assert_eq!(booted.says("cron"), "disabled inactive");
    assert_eq!(booted.says("ssh"), "enabled active");
    assert_eq!(booted.says("machine-id"), machine_id(lab));
}

fn machine_id(lab: &Lab) -> String {
    lab.run("cat /etc/machine-id").ok().out.trim().to_owned()
}

fn keys(lab: &Lab) -> String {
    lab.run("cd /etc/ssh; sha256sum ssh_host_*").ok().out
}

fn with_cron_disabled(id: &str) -> Lab<'static> {
    let lab = pool().lab(id);
    lab.run("systemctl disable cron; systemctl is-enabled cron; systemctl is-enabled ssh").exits(0);
    lab
}

#[test]
fn a_clone_is_not_a_first_boot() {
    let lab = with_cron_disabled("boots");
    is_as_its_owner_left_it(&boot(&lab), &lab);
    pool().call("flipper-profile", &["clone", "boots", "boots-too"]).ok();
    let clone = Lab { pool: pool(), id: "boots-too".into() };
    assert_ne!(machine_id(&clone), machine_id(&lab));
    assert_eq!(keys(&clone), keys(&lab), "the device's");
    is_as_its_owner_left_it(&boot(&clone), &clone);
}

#[test]
fn a_clone_with_keys_of_its_own() {
    let lab = with_cron_disabled("own");
    pool()
        .call("flipper-profile", &["set", "own", "--ssh-host-keys", "profile", "--hostname", "own-name"])
        .ok();
    pool().call("flipper-profile", &["clone", "own", "own-too"]).ok().silent();
    let clone = Lab { pool: pool(), id: "own-too".into() };
    let (a, b) = (keys(&lab), keys(&clone));
    assert_eq!(a.lines().count(), b.lines().count());
    assert!(a.lines().all(|line| !b.contains(line)), "{a}{b}");
    clone.run("for key in /etc/ssh/ssh_host_*_key; do ssh-keygen -y -f $key > /dev/null; stat -c %a:%u:%g $key; done").ok();
    let booted = boot(&clone);
    is_as_its_owner_left_it(&booted, &clone);
    assert_eq!(booted.says("hostname"), "own-name");
}

#[test]
fn an_undo_is_not_a_first_boot_either() {
    let lab = with_cron_disabled("undone");
    let id = machine_id(&lab);
    lab.run("apt-get -qq -y install plain").ok();
    boot(&lab);
    lab.undo(&[]).ok();
    assert_eq!(machine_id(&lab), id);
    is_as_its_owner_left_it(&boot(&lab), &lab);
}

/// That the question can be answered otherwise: what a profile without a machine-id would be.
#[test]
fn a_first_boot_is_told_from_another() {
    let lab = with_cron_disabled("first");
    lab.run("echo uninitialized > /etc/machine-id").ok();
    let booted = boot(&lab);
    assert_eq!((booted.says("first-boot"), booted.says("cron")), ("active", "enabled active"));
}
