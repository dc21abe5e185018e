//! A profile that is whole: it starts, and is what a run of it is.

use crate::machine::{Machine, WHO};

/// btrfs-progs' script of the initramfs has to tell the kernel of the other disk first.
pub fn a_pool_over_two_disks() {
    let mut machine = Machine::trixie();
    machine.add_a_disk();
    let ask = format!("{WHO}\necho disks=$(btrfs filesystem show /dev/vda | grep -c devid)");
    let started = machine.start("", &ask);
    started.is("state", "running").is("failed", "").is("booted-profile", "lab").is("disks", "2");
}

#[test]
fn to_running_and_reading_changes_nothing() {
    let machine = Machine::trixie();
    let ask = format!(
        "{WHO}
        echo fstab=$(grep -c ' / ' /etc/fstab)
        echo home=$(findmnt -no OPTIONS /home | grep -o 'nosuid.*noatime')
        for at in /var/log /var/tmp /var/cache /var/cache/debconf /root /var/lib/apt/lists; do
            echo $at=$(findmnt -no FSTYPE --target $at) $(mountpoint -q $at && echo mounted)
        done
        echo pool-mounts=$(findmnt -rno TARGET | grep -c /run/flipper)
        stat -c 'modes=%a' /run/flipper; stat -c 'mode-of-booted=%a' /run/flipper/booted
        mkdir /tmp/top; mount -o subvolid=5 /dev/vda /tmp/top
        generation() {{ sync; btrfs subvolume show /tmp/top/@profiles/lab/roots/2 | sed -n 's/^.*Generation:[^0-9]*//p'; }}
        systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald 2> /dev/null
        echo holder=$(systemctl is-active flipper-boot) $(flock -n /tmp/top/@profiles/lab/roots/2 true && echo free || echo held)
        echo size=$(findmnt -bno SIZE /tmp/top) $(grep ^grown= /tmp/top/@journal/pool.conf)
        before=$(generation); test $before -gt 0 || exit 1
        tar c --one-file-system -C / . | cat > /dev/null
        echo read=$(($(generation) - before))
        touch /etc/written; echo written=$(($(generation) - before))
        umount /tmp/top"
    );
    let fstab = "echo 'UUID=0000-0000 / btrfs defaults,x-systemd.growfs 0 1' >> /etc/fstab; systemctl is-enabled systemd-remount-fs";
    machine.outside(|pool| pool.run("lab", fstab, &[], b""));
    machine.enlarge(512 << 20);
    let started = machine.start("", &ask);
    started.is("holder", "active held").is("size", "3758096384 grown=yes");
    started.is("state", "running").is("failed", "").is("root", "overlay");
    started.is("booted-profile", "lab").is("booted-base", "1").is("fstab", "1");
    started.tells("profile lab (root 2) runs here: every package run is protected");
    started.is("/var/log", "btrfs mounted").is("/var/cache", "btrfs mounted").is("/root", "btrfs mounted");
    started.is("/var/cache/debconf", "overlay mounted");
    started.is("read", "0");
    assert_ne!(started.says("written"), "0", "{started}");
    started
        .is("home", "nosuid,nodev,noatime")
        .is("pool-mounts", "0")
        .is("modes", "755")
        .is("mode-of-booted", "644");
}
