//! Package runs on a machine that started from a profile.

use crate::machine::{Machine, WHO};

#[test]
fn a_package_an_undo_and_a_start() {
    let machine = Machine::trixie();
    let first = machine.start(
        "",
        "export DEBIAN_FRONTEND=noninteractive
        apt-get -qq -y install plain
        echo installed=$(dpkg-query -W -f '${db:Status-Status}' plain)
        flipper-profile log -n 1
        flipper-undo --dry-run
        flipper-undo --yes 2>&1 | sed 's/^/undo: /'
        flipper-profile status | grep waits",
    );
    first
        .is("installed", "installed")
        .tells("2 installed: plain, plain-lib")
        .tells("takes back 2 installations");
    first.tells("waits until");
    let second = machine
        .start("", &format!("{WHO}\necho installed=$(dpkg-query -W -f '${{db:Status-Status}}' plain 2>&1)"));
    second.is("state", "running").is("failed", "");
    assert!(!second.says("installed").contains("install ok"), "{second}");
}
