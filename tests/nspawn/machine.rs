//! One boot of a profile's merged root, to its end, and what systemd says of it.

use std::sync::OnceLock;

use crate::booted::{self, Answers};
use crate::repo;
use crate::rig::{Lab, Pool, command};

/// What the root has besides.
const PACKAGES: &str = "adduser,cron,dbus,openssh-server,systemd-sysv,udev";

/// A pool with such a root, our package and the test archive in its profile.
pub fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let pool = Pool::copy_with("trixie", PACKAGES);
        pool.furnish(&repo::archive());
        pool
    })
}

/// Asked when everything has been started.
const ASK: &str = "
echo state=$(systemctl is-system-running --wait)
echo failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1)
echo first-boot=$(systemctl is-active first-boot-complete.target)
echo machine-id=$(systemd-id128 machine-id)
echo hostname=$(cat /proc/sys/kernel/hostname)
for unit in cron ssh; do echo $unit=$(systemctl is-enabled $unit) $(systemctl is-active $unit); done
";

/// Boots the profile and switches it off.
#[track_caller]
pub fn boot(lab: &Lab) -> Answers {
    let root = tempfile::tempdir().expect("a directory");
    let at = root.path().to_str().expect("text");
    lab.pool.call("flipper-profile", &["mount", &lab.id, at]).ok();
    let answers = booted::boot(root.path(), &[], ASK);
    let unmounted = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        command(&["umount", at], &[], b"").status == 0
    });
    assert!(unmounted, "{at} stays busy");
    answers
}
