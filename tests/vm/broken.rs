//! What cannot be started: the machine comes up all the same, and says why.

use std::fs;

use crate::machine::{Machine, WHO};
use crate::rig::Pool;

/// Changed behind every hook's back, after a package run.
const NO_LOADER: &str = "export DEBIAN_FRONTEND=noninteractive; apt-get -qq -y install plain
    rm -f /lib64/ld-linux-x86-64.so.2 /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";

#[test]
fn without_its_loader_it_comes_back_by_itself() {
    let machine = Machine::trixie();
    machine.outside(|pool| pool.run("lab", NO_LOADER, &[], b""));
    let started = machine.start("", &format!("{WHO}\nflipper-profile log; flipper-undo --redo --dry-run"));
    started.is("state", "running").is("failed", "").is("booted-profile", "lab");
    started.tells("at the start: root 2 of lab cannot be started: /usr/lib/systemd/systemd");
    started.tells("its last change is taken back").tells("undo: back to before").tells("brings back");
}

#[test]
fn an_unknown_profile_is_passed_over() {
    let started = Machine::trixie().start("flipper.profile=nosuch", WHO);
    started.is("state", "running").is("failed", "").is("booted-profile", "lab");
    started.tells("at the start: flipper-rescue: there is no profile nosuch");
}

/// The base that the profile stands on is gone, and so is every base but another one: it stands alone. What
/// comes along there can still look at the pool.
#[test]
fn without_its_base_another_stands_alone() {
    let machine = Machine::trixie();
    machine.outside(|pool| {
        let bases = pool.top.join("@base");
        fs::rename(bases.join("1"), bases.join("2")).expect("rename");
    });
    let ask = "
        echo state=$(systemctl is-system-running --wait)
        echo failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1)
        echo root=$(findmnt -no FSTYPE /)
        echo booted=$(test -e /run/flipper/booted && echo yes || echo no)
        cat /run/flipper/told
        touch /etc/written && echo written=yes
        /usr/local/sbin/flipper-rescue --pool /dev/vda list";
    let started = machine.start("", ask);
    started
        .is("state", "running")
        .is("failed", "")
        .is("root", "overlay")
        .is("booted", "no")
        .is("written", "yes");
    started.tells("there is no base 1").tells("this is a base alone").tells("lab: root 2");
    let unwritten = |pool: &Pool| !pool.top.join("@base/2/etc/written").exists();
    assert!(machine.outside(unwritten));
}

pub fn a_root_that_is_damaged_is_passed_over() {
    let machine = Machine::trixie();
    machine.outside(|pool| {
        pool.call("flipper-profile", &["clone", "lab", "other"]).ok();
        let root = fs::read_link(pool.top.join("@profiles/other/current")).expect("a pointer");
        let root = pool.top.join("@profiles/other").join(root);
        fs::rename(root.join("work"), root.join("work-elsewhere")).expect("rename");
    });
    let started = machine.start("flipper.profile=other", WHO);
    started.is("state", "running").is("booted-profile", "lab").tells("at the start: flipper-rescue");
}

pub fn two_disks_with_one_file_system_are_not_written_to() {
    let mut machine = Machine::trixie();
    machine.copy_of_its_disk();
    let ask = "echo root=$(findmnt -no FSTYPE /); cat /run/flipper/told";
    let started = machine.start("", ask);
    started.tells("bear the same file system").tells("this is a base alone");
}
