//! A machine that GRUB starts: from a boot partition of its own, with what our programs put there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::{Firmware, Kind, Machine, Started, WHO};
use crate::rig::{Pool, command};

const ARGS: &str = "console=ttyS0 panic=-1";

/// The boot partition, mounted while the machine is off.
struct Partition {
    device: String,
    at: PathBuf,
}

impl Partition {
    fn of(machine: &Machine, offset: &str) -> Partition {
        let (image, at) = (machine.path("boot.img"), machine.path("boot"));
        fs::create_dir_all(&at).expect("make");
        let image = image.to_str().expect("text");
        let device = command(&["losetup", "--find", "--show", "--offset", offset, image], &[], b"").ok().out;
        let device = device.trim().to_owned();
        command(&["mount", &device, at.to_str().expect("text")], &[], b"").ok();
        Partition { device, at }
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}

/// Returns where its boot partition begins, in bytes.
fn put_a_boot_disk_before(machine: &mut Machine, firmware: &str) -> String {
    let image = machine.path("boot.img");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot-disk");
    let [script, to] = [&script, &image].map(|path| path.to_str().expect("text"));
    let made = command(&[script, firmware, to, "256"], &[], b"").ok();
    machine.put_before(image);
    made.out.split(' ').next().expect("an offset").to_owned()
}

pub struct WithGrub {
    pub machine: Machine,
    offset: String,
}

impl WithGrub {
    fn new() -> WithGrub {
        WithGrub::of(Machine::trixie())
    }

    fn of(mut machine: Machine) -> WithGrub {
        let offset = put_a_boot_disk_before(&mut machine, "bios");
        machine.starts_grub(Firmware::Bios);
        let with = WithGrub { machine, offset };
        with.at_home(|pool, partition| {
            let at = partition.to_str().expect("text");
            pool.call("flipper-profile", &["boot-method", "grub", "--at", at, "--args", ARGS]).ok();
        });
        with
    }

    /// Something done while the machine is off, with both of its disks in this one.
    fn at_home<T>(&self, work: impl FnOnce(&Pool, &Path) -> T) -> T {
        let partition = Partition::of(&self.machine, &self.offset);
        self.machine.outside(|pool| work(pool, &partition.at))
    }

    fn start(&self, ask: &str) -> Started {
        self.machine.start(
            "",
            &format!("{WHO}\necho release=$(uname -r)\nls /usr/lib/modules/$(uname -r) > /dev/null\n{ask}"),
        )
    }
}

/// The default, another one once, and the default again.
pub fn the_profile_of_the_next_start() {
    let with = WithGrub::new();
    let first = with.start(
        "flipper-profile clone lab other
        flipper-profile boot other --once",
    );
    first
        .is("state", "running")
        .is("failed", "")
        .is("booted-profile", "lab")
        .tells("the next start takes other");
    let second = with.start("flipper-profile boot-method");
    second.is("state", "running").is("booted-profile", "other").tells("grub, in / of the file system");
    with.start("").is("state", "running").is("booted-profile", "lab");
}

/// The pool moves to an encrypted disk while the machine runs from it; the next start opens that disk, with the key
/// that is in the initrd, and the first disk has nothing any more.
const ENCRYPT: &str = r#"set -e
mkdir -m 700 /etc/keys
head -c 64 /dev/urandom > /etc/keys/pool.key
disk=/dev/disk/by-id/virtio-more0
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $disk /etc/keys/pool.key
cryptsetup open --key-file /etc/keys/pool.key $disk pool
echo "pool $disk /etc/keys/pool.key luks,initramfs" > /etc/crypttab
echo 'KEYFILE_PATTERN=/etc/keys/*.key' >> /etc/cryptsetup-initramfs/conf-hook
echo 'UMASK=0077' >> /etc/initramfs-tools/initramfs.conf
printf 'dm_crypt\naes\nxts\n' >> /etc/initramfs-tools/modules
mkdir /tmp/top
mount -o subvolid=5 /dev/disk/by-id/virtio-pool /tmp/top
btrfs replace start -B -f 1 /dev/mapper/pool /tmp/top
echo moved=$(btrfs filesystem show /tmp/top | grep -o '/dev/mapper/pool')
umount /tmp/top
update-initramfs -u"#;

pub fn a_pool_on_an_encrypted_disk() {
    let mut machine = Machine::of(Kind::TrixieCrypt);
    machine.add_an_empty_disk(4 << 30);
    let with = WithGrub::of(machine);
    let first = with.start(ENCRYPT);
    first.is("state", "running").is("moved", "/dev/mapper/pool");
    let second = with.start("echo disk=$(lsblk -no TYPE /dev/mapper/pool); flipper-profile status");
    second.is("state", "running").is("failed", "").is("booted-profile", "lab").is("disk", "crypt");
    second.tells("on /dev/mapper/pool").tells("every package run is protected");
}

/// The kernel of Debian 12, as a package that comes without its archive.
fn another_kernel(machine: &Machine) -> Vec<u8> {
    let from = Machine::of(Kind::Bookworm);
    let tree = machine.path("kernel-package");
    from.outside(|pool| {
        let base = pool.top.join("@base/1");
        for inside in ["boot", "usr/lib/modules"] {
            let to = tree.join(inside);
            fs::create_dir_all(&to).expect("make");
            let names =
                fs::read_dir(base.join(inside)).expect("list").map(|entry| entry.expect("read").path());
            let of_kernel =
                |path: &PathBuf| inside != "boot" || !path.to_string_lossy().contains("initrd.img");
            for path in names.filter(of_kernel) {
                command(&["cp", "-a", path.to_str().expect("text"), to.to_str().expect("text")], &[], b"")
                    .ok();
            }
        }
    });
    let control = "Package: linux-image-other\nVersion: 1\nArchitecture: amd64\nMaintainer: n <n@example.org>\nDescription: x\n";
    fs::create_dir(tree.join("DEBIAN")).expect("make");
    fs::write(tree.join("DEBIAN/control"), control).expect("write");
    let deb = machine.path("other.deb");
    command(
        &["dpkg-deb", "-Zgzip", "-z1", "-b", tree.to_str().expect("text"), deb.to_str().expect("text")],
        &[],
        b"",
    )
    .ok();
    fs::read(deb).expect("read")
}

/// The only kernel of the profile is another one now: Debian 12's in the place of Debian 13's.
const CHANGE_KERNEL: &str = r#"set -e
export DEBIAN_FRONTEND=noninteractive
tar x -C /home
was=$(dpkg-query -W -f '${Package}\n' 'linux-image-[0-9]*-cloud-amd64' | head -n 1)
mv /home/other.deb /var/tmp/
dpkg -i /var/tmp/other.deb
release=$(dpkg -L linux-image-other | sed -n 's,^/boot/vmlinuz-,,p')
depmod "$release"; update-initramfs -c -k "$release"
apt-get -qq -y purge "$was" linux-image-cloud-amd64
test ! -e /usr/lib/modules/6.12*/kernel"#;

/// The kernel goes with its state: there, back by an undo in the machine, and there again by one that was made
/// in another machine, so that the boot partition knows nothing of it.
pub fn an_undo_across_a_kernel() {
    let with = WithGrub::new();
    let package = another_kernel(&with.machine);
    let release = |started: &Started| started.says("release").to_owned();
    let one = release(&with.start(""));
    let files = crate::machine::tar(&[("other.deb", &package)]);
    with.at_home(|pool, _| pool.run("lab", CHANGE_KERNEL, &[], &files).ok());
    let changed = with.start(
        "flipper-undo --yes 2>&1 | sed 's/^/undo: /'
        flipper-profile status",
    );
    changed.is("state", "running").is("failed", "");
    let other = release(&changed);
    assert_ne!(one, other, "{changed}");
    let back = with.start("flipper-profile log -n 3");
    back.is("state", "running").is("failed", "").is("release", &one);
    // The boot partition is not in this machine.
    with.machine.outside(|pool| pool.call("flipper-undo", &["--profile", "lab", "--redo", "--yes"]).ok());
    with.machine.start_in_vain("", "the machine starts again with its own");
    let again = with.start("");
    again.is("state", "running").is("failed", "").is("release", &other);
}

/// A package that puts an initrd into the place of the old one which starts nothing: the kernel panics before
/// anything of ours runs.
const BREAKS_INITRD: &str = r#"set -e
d=$(mktemp -d); chmod 755 $d; mkdir -p $d/DEBIAN
printf 'Package: breaks\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: breaks\n' > $d/DEBIAN/control
printf '#!/bin/sh\nfor initrd in /boot/initrd.img-*; do echo nothing > $initrd; done\n' > $d/DEBIAN/postinst
chmod 755 $d/DEBIAN/postinst
dpkg-deb -b $d /var/tmp/breaks.deb > /dev/null
dpkg -i /var/tmp/breaks.deb"#;

pub fn a_kernel_that_panics_is_given_up() {
    let with = WithGrub::new();
    let confirmed = format!("echo confirm=$(systemctl is-active flipper-confirm)\n{BREAKS_INITRD}");
    with.start(&confirmed).is("state", "running").is("failed", "").is("confirm", "active");
    for _ in 0..3 {
        with.machine.start_in_vain("", "Kernel panic");
    }
    let back = with.start("echo breaks=$(dpkg-query -W -f '${db:Status-Status}' breaks 2> /dev/null)");
    back.is("state", "running").is("failed", "").is("breaks", "");
    back.tells("back to the state before entry").tells("brings it again");
    // It is what came up: nothing is counted any more.
    let block =
        with.at_home(|_, partition| fs::read_to_string(partition.join("flipper/grubenv")).expect("read"));
    assert!(!block.contains("tries"), "{block}");
}

/// The same on a PC of today: UEFI starts GRUB from a FAT, which GRUB writes to and our programs in the machine.
pub fn a_kernel_that_panics_with_uefi_and_fat() {
    let mut machine = Machine::trixie();
    put_a_boot_disk_before(&mut machine, "uefi");
    let set_up = format!(
        "{WHO}\nset -e; mount /dev/vda1 /mnt; flipper-profile boot-method grub --at /mnt --args '{ARGS}'
        echo on=$(findmnt -no FSTYPE /mnt); test -s /mnt/grub/grub.cfg"
    );
    machine.start("flipper.pool=/dev/vdb", &set_up).is("on", "vfat");
    machine.starts_grub(Firmware::Uefi);
    let breaks = format!("{WHO}\necho uefi=$(test -d /sys/firmware/efi && echo yes)\n{BREAKS_INITRD}");
    machine.start("", &breaks).is("state", "running").is("failed", "").is("uefi", "yes");
    for _ in 0..3 {
        machine.start_in_vain("", "Kernel panic");
    }
    let back = machine.start(
        "",
        &format!(
            "{WHO}\nmount /dev/vda1 /mnt; echo counted=$(tr -d '\\n' < /mnt/flipper/grubenv | grep -c tries)"
        ),
    );
    back.is("state", "running").is("failed", "").is("booted-profile", "lab").is("counted", "0");
    back.tells("back to the state before entry").tells("brings it again");
}
