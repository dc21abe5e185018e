//! What is typed on the kernel command line, for one start.

use crate::machine::{Kind, Machine, WHO};

pub fn an_undo_a_root_and_a_pool_on_another_disk() {
    let mut machine = Machine::trixie();
    let status = "echo plain=$(dpkg-query -W -f '${db:Status-Status}' plain 2> /dev/null)";
    machine.outside(|pool| {
        pool.run("lab", "DEBIAN_FRONTEND=noninteractive apt-get -qq -y install plain", &[], b"").ok();
    });
    let undone = machine.start("flipper.undo=last", &format!("{WHO}\n{status}"));
    undone.is("state", "running").is("plain", "");
    let root = undone.says("booted-root").to_owned();
    // A new root waits; the one before it is asked for by its number.
    let waiting = machine.start("", &format!("{WHO}\nflipper-undo --redo --yes\n{status}"));
    waiting.is("booted-root", &root).is("plain", "");
    machine.move_to_another_disk();
    let before =
        machine.start(&format!("flipper.pool=/dev/vdb flipper.root={root}"), &format!("{WHO}\n{status}"));
    before.is("state", "running").is("booted-root", &root).is("plain", "").tells("on /dev/vdb");
    let redone = machine.start("flipper.pool=/dev/vdb", &format!("{WHO}\n{status}"));
    redone.is("state", "running").is("plain", "installed");
    assert_ne!(redone.says("booted-root"), root);
}

pub fn debian_12_with_busybox() {
    let started = Machine::of(Kind::Bookworm).start("flipper.profile=lab", WHO);
    started.is("state", "running").is("failed", "").is("root", "overlay").is("booted-profile", "lab");
}
