//! A machine that runs on a profile: assembled as the initramfs does it, booted with systemd-nspawn. apt works in
//! it with its hooks, services start and stop with their packages, and an undo waits for the next start.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::booted::{self, Answers};
use crate::machine::pool;
use crate::rig::{Lab, command, program};

/// A place where this test's machine has a /run of its own: the booted file speaks of it alone.
struct Machine<'a> {
    lab: &'a Lab<'a>,
    at: tempfile::TempDir,
}

impl<'a> Machine<'a> {
    fn of(lab: &'a Lab<'a>) -> Machine<'a> {
        const NONE: Option<&str> = None;
        unshare(CloneFlags::CLONE_NEWNS).expect("a namespace of our own");
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).expect("private");
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).expect("/run");
        std::fs::create_dir("/run/flipper").expect("make");
        Machine { lab, at: tempfile::tempdir().expect("a directory") }
    }

    /// From switching on to switching off.
    #[track_caller]
    fn runs(&self, ask: &str) -> Answers {
        let (at, id) = (self.at.path().to_str().expect("text"), self.lab.id.as_str());
        let rescue = program("flipper-rescue");
        let device = self.lab.pool.device.as_str();
        let words = [&rescue, "--pool", device, "--yes", "assemble", id, "--at", at];
        let assembled = command(&words, &[], b"").ok();
        assert_eq!(assembled.err, "", "there is nothing to tell");
        let same = |path: &str| (path.to_owned(), path.to_owned());
        let answers = booted::boot(self.at.path(), &[same("/run/flipper"), same(device)], ask);
        // What the machine had in /run goes with it.
        umount2(self.at.path(), MntFlags::MNT_DETACH).expect("unmount");
        for name in ["booted", "on-trial", "told"] {
            let _ = std::fs::remove_file(Path::new("/run/flipper").join(name));
        }
        answers
    }
}

/// A package with a service, its scripts as debhelper writes them.
const TICKER: &str = r#"
d=$(mktemp -d); chmod 755 $d; mkdir -p $d/DEBIAN $d/usr/lib/systemd/system
printf 'Package: ticker\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: ticks\n' > $d/DEBIAN/control
printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' > $d/usr/lib/systemd/system/ticker.service
printf '#!/bin/sh\nset -e\ndeb-systemd-helper enable ticker.service\nsystemctl daemon-reload\ndeb-systemd-invoke start ticker.service\n' > $d/DEBIAN/postinst
printf '#!/bin/sh\nset -e\ntest "$1" != remove || deb-systemd-invoke stop ticker.service\n' > $d/DEBIAN/prerm
printf '#!/bin/sh\nset -e\nif [ "$1" = purge ]; then deb-systemd-helper purge ticker.service; fi\nsystemctl daemon-reload\n' > $d/DEBIAN/postrm
chmod 755 $d/DEBIAN/p*
dpkg-deb -b $d /var/tmp/ticker.deb > /dev/null
export DEBIAN_FRONTEND=noninteractive
"#;

/// A container has no udev, and systemd's helper for it fails there now and then: that says nothing of a profile.
const STATE: &str = "
systemctl is-system-running --wait > /dev/null
systemctl reset-failed systemd-udev-load-credentials.service 2> /dev/null
echo state=$(systemctl is-system-running --wait)
echo failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1)
for unit in $(systemctl --failed --plain --no-legend | cut -d' ' -f1); do journalctl -b --no-pager -n 4 -u $unit; done
echo confirm=$(systemctl is-active flipper-confirm) holder=$(systemctl is-active flipper-boot) timer=$(systemctl is-active flipper-prune.timer)
for key in profile root; do grep ^$key= /run/flipper/booted | sed s/^/booted-/; done
";

/// Held by whoever looks at the whole pool, and while a cut run in it waits for its undo: verify tells of one.
fn whole_pool() -> MutexGuard<'static, ()> {
    static WHOLE: Mutex<()> = Mutex::new(());
    WHOLE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_service_that_is_installed_runs_and_is_gone_after_an_undo() {
    let lab = pool().lab("serves");
    let machine = Machine::of(&lab);
    let first = machine.runs(&format!(
        "{STATE}{TICKER}
        apt-get -qq -y install /var/tmp/ticker.deb
        echo installed=$(dpkg-query -W -f '${{db:Status-Status}}' ticker)
        echo ticker=$(systemctl is-enabled ticker) $(systemctl is-active ticker)
        echo entries=$(flipper-profile log -n 1 --json | tr -d '\\n ' | grep -o '\"package\":\"ticker\"' | head -n 1)
        systemctl start flipper-prune; echo prune=$(systemctl show -P Result flipper-prune)
        flipper-undo --yes > /var/tmp/undo 2>&1; echo undo=$?
        echo waits=$(flipper-profile status | grep -c 'waits until')
        echo still=$(systemctl is-active ticker)"
    ));
    let is = |answers: &Answers, wanted: &[(&str, &str)]| {
        for (name, answer) in wanted {
            assert_eq!(&answers.says(name), answer, "{name} in {answers:?}");
        }
    };
    let healthy = [("state", "running"), ("failed", ""), ("confirm", "active holder=active timer=active")];
    is(&first, &healthy);
    is(&first, &[("booted-profile", "serves"), ("installed", "installed"), ("ticker", "enabled active")]);
    is(&first, &[("entries", "\"package\":\"ticker\""), ("prune", "success"), ("undo", "0")]);
    is(&first, &[("waits", "1"), ("still", "active")]);
    let second = machine.runs(&format!(
        "{STATE}
        echo ticker=$(systemctl is-active ticker)
        echo wanted=$(ls /etc/systemd/system/multi-user.target.wants | grep -c ticker)
        echo told=$(/usr/libexec/flipper-profiles/flipper-hook login | wc -l)
        flipper-undo --redo --yes > /dev/null 2>&1; echo redo=$?"
    ));
    is(&second, &healthy);
    is(&second, &[("ticker", "inactive"), ("wanted", "0"), ("told", "0"), ("redo", "0")]);
    assert_ne!(first.says("booted-root"), second.says("booted-root"));
    // Redone, and purged on the machine that runs it.
    let third = machine.runs(&format!(
        "{STATE}
        echo ticker=$(systemctl is-enabled ticker) $(systemctl is-active ticker)
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq -y purge ticker
        echo purged=$(systemctl is-active ticker) $(ls /usr/lib/systemd/system | grep -c ticker)
        flipper-undo --dry-run > /var/tmp/dry; echo brings=$(grep -c 'takes back 1 purge' /var/tmp/dry)"
    ));
    is(&third, &healthy);
    is(&third, &[("ticker", "enabled active"), ("purged", "inactive 0"), ("brings", "1")]);
    let _whole = whole_pool();
    pool().call("flipper-profile", &["verify"]).ok();
}

/// Two at once: apt's own lock refuses the second, and both are in the journal as what they were. And a run that
/// the machine's end cuts is told at the next login.
#[test]
fn two_runs_at_once_and_one_that_is_cut() {
    let lab = pool().lab("twice");
    let machine = Machine::of(&lab);
    let _whole = whole_pool();
    let first = machine.runs(&format!(
        "{STATE}{TICKER}
        apt-get -qq -y install plain > /dev/null & one=$!
        while ! grep -sqx dpkg /proc/[0-9]*/comm; do sleep 0.01; kill -0 $one || break; done
        apt-get -qq -y -o DPkg::Lock::Timeout=0 install /var/tmp/ticker.deb > /var/tmp/second 2>&1; second=$?
        wait $one; echo first=$?
        test $second = 0 || test $second = 100; echo second=$?
        dpkg --audit | wc -l | sed s/^/audit=/
        mkdir /var/tmp/slow; cd /var/tmp/slow; mkdir DEBIAN
        printf 'Package: slow\\nVersion: 1\\nArchitecture: all\\nMaintainer: n <n@example.org>\\nDescription: x\\n' > DEBIAN/control
        printf '#!/bin/sh\\ntouch /run/slow-runs; sleep 1000\\n' > DEBIAN/postinst; chmod 755 DEBIAN/postinst
        dpkg-deb -b . /var/tmp/slow.deb > /dev/null
        apt-get -qq -y install /var/tmp/slow.deb > /dev/null 2>&1 &
        while ! test -e /run/slow-runs; do sleep 0.05; done
        echo cut=yes"
    ));
    for (name, answer) in
        [("state", "running"), ("first", "0"), ("second", "0"), ("audit", "0"), ("cut", "yes")]
    {
        assert_eq!(first.says(name), answer, "{name} in {first:?}");
    }
    let second = machine.runs(&format!(
        "{STATE}
        /usr/libexec/flipper-profiles/flipper-hook login > /var/tmp/told
        echo told=$(grep -c 'apt-get was cut at 0 of 1' /var/tmp/told)
        flipper-undo --yes > /dev/null 2>&1; echo undo=$?"
    ));
    for (name, answer) in [("state", "running"), ("failed", ""), ("told", "1"), ("undo", "0")] {
        assert_eq!(second.says(name), answer, "{name} in {second:?}");
    }
    let third = machine.runs(&format!("{STATE}\necho slow=$(dpkg-query -W slow 2> /dev/null)"));
    assert_eq!((third.says("state"), third.says("slow")), ("running", ""), "{third:?}");
    pool().call("flipper-profile", &["verify"]).ok();
}
