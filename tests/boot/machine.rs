//! One boot of a profile's merged root, to its end, and what systemd says of it.

use std::fs;
use std::sync::OnceLock;

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

/// Asked when everything has been started; each line is `name=answer`.
const ASK: &str = "#!/bin/sh
exec > /run/asked/answers 2>&1
echo state=$(systemctl is-system-running --wait)
echo failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1)
echo first-boot=$(systemctl is-active first-boot-complete.target)
echo machine-id=$(systemd-id128 machine-id)
echo hostname=$(cat /proc/sys/kernel/hostname)
for unit in cron ssh; do echo $unit=$(systemctl is-enabled $unit) $(systemctl is-active $unit); done
systemctl exit 0
";

const UNIT: &str = "[Unit]\nDescription=asks\n[Service]\nType=exec\nExecStart=/bin/sh /run/asked/ask\n";

/// What a booted system answered.
#[derive(Debug)]
pub struct Booted(String);

impl Booted {
    #[track_caller]
    pub fn says(&self, name: &str) -> &str {
        let mut lines = self.0.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no {name} in\n{}", self.0)).1
    }
}

/// Boots the profile and switches it off.
#[track_caller]
pub fn boot(lab: &Lab) -> Booted {
    let (root, asked) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (at, dir) = (root.path().to_str().expect("text"), asked.path().to_str().expect("text"));
    fs::write(asked.path().join("ask"), ASK).expect("write");
    fs::write(asked.path().join("unit"), UNIT).expect("write");
    lab.pool.call("flipper-profile", &["mount", &lab.id, at]).ok();
    // It wants a terminal. Its own network, so that its sshd meets no other.
    let nspawn = format!(
        "systemd-nspawn --quiet --boot --directory={at} --register=no --keep-unit --link-journal=no --private-network \
         --bind={dir}:/run/asked --bind-ro={dir}/unit:/run/systemd/system/ask.service systemd.wants=ask.service"
    );
    let done = command(&["script", "--quiet", "--return", "--command", &nspawn, "/dev/null"], &[], b"");
    let unmounted = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        command(&["umount", at], &[], b"").status == 0
    });
    assert!(unmounted, "{at} stays busy");
    let answers = fs::read_to_string(asked.path().join("answers"));
    Booted(answers.unwrap_or_else(|error| panic!("it did not boot ({error}):\n{}{}", done.out, done.err)))
}
