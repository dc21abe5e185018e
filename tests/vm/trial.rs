//! What starts and does not come up, until the good state is back.

use crate::machine::{Machine, WHO};

/// A package whose service takes the kernel down before anybody can log in.
const BREAKS: &str = r#"set -e
d=$(mktemp -d); chmod 755 $d; mkdir -p $d/DEBIAN $d/usr/lib/systemd/system/sysinit.target.wants
printf 'Package: breaks\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: breaks\n' > $d/DEBIAN/control
printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sh -c "echo c > /proc/sysrq-trigger"\n' > $d/usr/lib/systemd/system/breaks.service
ln -s ../breaks.service $d/usr/lib/systemd/system/sysinit.target.wants/breaks.service
dpkg-deb -b $d /var/tmp/breaks.deb > /dev/null
dpkg -i /var/tmp/breaks.deb"#;

/// A package with a service that freezes systemd, once there is a watchdog.
const HANGS: &str = r#"set -e
d=$(mktemp -d); chmod 755 $d; mkdir -p $d/DEBIAN $d/usr/lib/systemd/system/sysinit.target.wants
printf 'Package: hangs\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: hangs\n' > $d/DEBIAN/control
cat > $d/usr/lib/systemd/system/hangs.service <<'END'
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'while ! test -c /dev/watchdog0; do sleep 0.1; done; sleep 3; echo hangs now > /dev/console; echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze; exec sleep infinity'
END
ln -s ../hangs.service $d/usr/lib/systemd/system/sysinit.target.wants/hangs.service
dpkg-deb -b $d /var/tmp/hangs.deb > /dev/null
dpkg -i /var/tmp/hangs.deb"#;

pub fn one_that_hangs_is_reset_by_the_watchdog() {
    let mut machine = Machine::trixie();
    machine.has_watchdog();
    let first = machine.start("", &format!("{WHO}\necho watched=$(ls /dev/watchdog0)"));
    first.is("state", "running").is("failed", "").is("watched", "/dev/watchdog0");
    machine.outside(|pool| pool.run("lab", HANGS, &[], b"").ok());
    for _ in 0..3 {
        machine.start_in_vain("", "hangs now");
    }
    let back = machine.start(
        "",
        &format!("{WHO}\necho hangs=$(dpkg-query -W -f '${{db:Status-Status}}' hangs 2> /dev/null)"),
    );
    back.is("state", "running").is("failed", "").is("hangs", "");
    back.tells("was started 3 times and never came up: back to the state before entry");
}

pub fn a_package_that_breaks_booting_is_taken_back() {
    let machine = Machine::trixie();
    let confirmed = format!(
        "{WHO}\necho confirm=$(systemctl is-active flipper-confirm)
        echo trial=$(test -e /run/flipper/on-trial && echo still || echo over)
        echo breaks=$(dpkg-query -W -f '${{db:Status-Status}}' breaks 2> /dev/null)"
    );
    let first = machine.start("", &confirmed);
    first.is("state", "running").is("failed", "").is("confirm", "active").is("trial", "over");
    machine.outside(|pool| pool.run("lab", BREAKS, &[], b"").ok());
    for _ in 0..3 {
        machine.start_in_vain("", "sysrq");
    }
    let back = machine.start("", &confirmed);
    back.is("state", "running").is("failed", "").is("confirm", "active").is("trial", "over").is("breaks", "");
    back.tells("was started 3 times and never came up: back to the state before entry");
    back.tells("brings it again");
}
