//! One virtual machine with a pool on its disk: what it is started with, what it is asked, what it answers.
//! The questions go in as a tar on a second disk, the answers come out on a second serial port; nobody waits
//! for ever.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use fs2::FileExt;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::repo;
use crate::rig::{Pool, command, hex, ours, prepared_image};

/// A Debian the machine has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Without busybox its initramfs has klibc's tools only.
    Trixie,
    /// With what opens an encrypted disk.
    TrixieCrypt,
    Bookworm,
}

impl Kind {
    fn suite(self) -> &'static str {
        if self == Kind::Bookworm { "bookworm" } else { "trixie" }
    }

    /// What the base has besides.
    fn packages(self) -> &'static str {
        match self {
            Kind::Trixie => "btrfs-progs,dbus,initramfs-tools,linux-image-cloud-amd64,systemd-sysv,udev",
            Kind::TrixieCrypt => {
                "btrfs-progs,busybox,cryptsetup-initramfs,dbus,initramfs-tools,linux-image-cloud-amd64,systemd-sysv,udev"
            }
            Kind::Bookworm => {
                "btrfs-progs,busybox,dbus,initramfs-tools,linux-image-cloud-amd64,systemd-sysv,udev"
            }
        }
    }
}

#[derive(Clone, Copy)]
pub enum Firmware {
    Bios,
    Uefi,
}

const OVMF: &str = "/usr/share/ovmf/OVMF.fd";

/// A small initrd, and a script in it that has systemd ask what is on the second disk.
const IN_THE_PROFILE: &str = r#"set -e
tar x -C /home
sed -i 's/^MODULES=.*/MODULES=list/' /etc/initramfs-tools/initramfs.conf
printf 'virtio_pci\nvirtio_blk\n' >> /etc/initramfs-tools/modules
asked=/etc/initramfs-tools/scripts/init-bottom/asked
cp /home/vm/asked $asked
chmod 755 $asked
for unit in e2scrub_all.timer e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer; do
    ln -sf /dev/null /etc/systemd/system/$unit
done
dpkg -i /home/vm/initramfs.deb > /home/vm/log 2>&1
lsinitramfs /boot/initrd.img-* | grep -qx scripts/flipper
lsinitramfs /boot/initrd.img-* | grep -qx 'usr/sbin/flipper-rescue'
cp /boot/vmlinuz-* /home/vm/kernel
cp /boot/initrd.img-* /home/vm/initrd
"#;

const ASKED: &str = r#"#!/bin/sh
[ "$1" != prereqs ] || exit 0
echo 'asked: the root is there' > /dev/kmsg
units=/run/systemd/system
mkdir -p $units/multi-user.target.wants
cat > $units/asked.service <<'END'
[Unit]
Description=asks
[Service]
Type=exec
ExecStart=/bin/sh -c 'mkdir -p /run/asked; tar xf /dev/disk/by-id/virtio-asked -C /run/asked; sh /run/asked/ask > /dev/ttyS1 2>&1; echo @@EXIT $? > /dev/ttyS1; systemctl --no-block poweroff'
END
ln -s ../asked.service $units/multi-user.target.wants/asked.service
"#;

/// A pool whose profile `lab` has our packages, its kernel and its initrd.
struct Prepared {
    image: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
}

fn prepared(kind: Kind) -> &'static Prepared {
    static ALL: Mutex<BTreeMap<Kind, &'static Prepared>> = Mutex::new(BTreeMap::new());
    let mut all = ALL.lock().unwrap_or_else(|broken| broken.into_inner());
    all.entry(kind).or_insert_with(|| Box::leak(Box::new(prepare(kind))))
}

fn initramfs_deb() -> Vec<u8> {
    let dir = ours().deb.parent().expect("a directory").to_path_buf();
    let mut files = fs::read_dir(dir).expect("list").filter_map(|file| Some(file.ok()?.path()));
    let is_it = |path: &PathBuf| path.to_string_lossy().contains("/flipper-profiles-initramfs_");
    fs::read(files.find(is_it).expect("flipper-profiles-initramfs_*.deb beside the other")).expect("read")
}

/// Kept beside the pools of the other groups as long as the packages stay the same.
fn prepare(kind: Kind) -> Prepared {
    let (from, deb) = (prepared_image(kind.suite(), kind.packages()), initramfs_deb());
    let mut key = Sha256::new();
    for part in [&deb, &fs::read(&ours().deb).expect("read"), IN_THE_PROFILE.as_bytes(), ASKED.as_bytes()] {
        key.update(part);
    }
    key.update(repo::archive());
    key.update(from.to_str().expect("text"));
    let dir = from.with_file_name(format!("vm-{}", &hex(&key.finalize())[..16]));
    let lock = File::create(from.with_file_name("vm.lock")).expect("make a lock file");
    lock.lock_exclusive().expect("lock");
    if !dir.is_dir() {
        let aside = dir.with_extension("new");
        let _ = fs::remove_dir_all(&aside);
        fs::create_dir(&aside).expect("make");
        furnish(&from, &deb, &aside);
        fs::rename(&aside, &dir).expect("rename");
    }
    let at = |name: &str| dir.join(name);
    Prepared { image: at("pool.img"), kernel: at("kernel"), initrd: at("initrd") }
}

fn furnish(from: &Path, deb: &[u8], to: &Path) {
    let copy = Pool::copy_of(from);
    let pool = mount(&copy);
    pool.furnish(&repo::archive());
    let files = tar(&[("vm/initramfs.deb", deb), ("vm/asked", ASKED.as_bytes())]);
    pool.run("lab", IN_THE_PROFILE, &[], &files).ok();
    pool.call("flipper-profile", &["default", "lab"]).ok();
    let made = pool.top.join("@data/home/vm");
    for name in ["kernel", "initrd"] {
        fs::copy(made.join(name), to.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    fs::remove_dir_all(made).expect("remove");
    unmount(pool, &copy);
    fs::rename(copy, to.join("pool.img")).expect("rename");
}

fn mount(image: &Path) -> Pool {
    Pool::mount(image, "image=\"$1\"", ":")
}

/// The image is whole when its loop device is gone.
fn unmount(pool: Pool, image: &Path) {
    drop(pool);
    let gone = || command(&["losetup", "-j", image.to_str().expect("text")], &[], b"").ok().out.is_empty();
    let detached = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        gone()
    });
    assert!(detached, "{} stays attached to a loop device", image.display());
}

/// A tar of files with these names below a directory.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("make");
        fs::write(path, bytes).expect("write");
    }
    let made = Command::new("tar").arg("-C").arg(dir.path()).args(["-c", "."]).output().expect("tar");
    made.stdout
}

pub struct Machine {
    image: PathBuf,
    with: &'static Prepared,
    dir: TempDir,
    /// A disk before that of the pool.
    first: Option<PathBuf>,
    /// More disks, after it.
    disks: Vec<PathBuf>,
    /// What starts the GRUB of the first disk; without one a kernel is started.
    firmware: Option<Firmware>,
    has_watchdog: bool,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.image);
    }
}

impl Machine {
    pub fn trixie() -> Machine {
        Machine::of(Kind::Trixie)
    }

    pub fn of(kind: Kind) -> Machine {
        let with = prepared(kind);
        let dir = tempfile::tempdir().expect("a directory");
        Machine {
            image: Pool::copy_of(&with.image),
            with,
            dir,
            first: None,
            disks: Vec::new(),
            firmware: None,
            has_watchdog: false,
        }
    }

    /// A second disk that is the first one, byte for byte.
    pub fn copy_of_its_disk(&mut self) {
        let copy = self.dir.path().join("copy.img");
        let words = ["cp", "--sparse=always", "--reflink=auto", self.image.to_str().expect("text")];
        command(&[&words[..], &[copy.to_str().expect("text")]].concat(), &[], b"").ok();
        self.disks.push(copy);
    }

    /// The pool goes over a second disk, and cannot be mounted without it.
    pub fn add_a_disk(&mut self) {
        let image = self.dir.path().join("second.img");
        File::create(&image).and_then(|file| file.set_len(1 << 30)).expect("make");
        let losetup = ["losetup", "--find", "--show", image.to_str().expect("text")];
        let device = command(&losetup, &[], b"").ok().out.trim().to_owned();
        self.outside(|pool| {
            let top = pool.top.to_str().expect("text");
            command(&["btrfs", "device", "add", "-f", &device, top], &[], b"").ok();
        });
        command(&["losetup", "--detach", &device], &[], b"").ok();
        self.disks.push(image);
    }

    /// An empty one, after the pool's.
    pub fn add_an_empty_disk(&mut self, size: u64) {
        let image = self.dir.path().join("empty-after.img");
        File::create(&image).and_then(|file| file.set_len(size)).expect("make");
        self.disks.push(image);
    }

    /// The pool is on /dev/vdb from now on; /dev/vda is empty.
    pub fn move_to_another_disk(&mut self) {
        let empty = self.dir.path().join("empty.img");
        File::create(&empty).and_then(|file| file.set_len(64 << 20)).expect("make");
        self.put_before(empty);
    }

    /// A disk with this image is /dev/vda from now on, the pool /dev/vdb.
    pub fn put_before(&mut self, image: PathBuf) {
        self.first = Some(image);
    }

    /// The GRUB of the first disk is started from now on.
    pub fn starts_grub(&mut self, firmware: Firmware) {
        self.firmware = Some(firmware);
    }

    /// It has a watchdog of its hardware.
    pub fn has_watchdog(&mut self) {
        self.has_watchdog = true;
    }

    /// Files of this test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The pool's disk becomes larger than the pool.
    pub fn enlarge(&self, by: u64) {
        let image = fs::OpenOptions::new().write(true).open(&self.image).expect("open");
        let size = image.metadata().expect("look").len();
        image.set_len(size + by).expect("enlarge");
    }

    /// Something done to the pool while the machine is off.
    pub fn outside<T>(&self, work: impl FnOnce(&Pool) -> T) -> T {
        let pool = mount(&self.image);
        let done = work(&pool);
        unmount(pool, &self.image);
        done
    }

    /// Starts it with more words on the kernel command line, has `ask` run (sh) once the system is up, and
    /// switches it off.
    #[track_caller]
    pub fn start(&self, words: &str, ask: &str) -> Started {
        let (ended, started) = self.try_to_start(words, ask);
        assert!(started.answers.contains("@@EXIT 0"), "{ended}\n{started}");
        started
    }

    /// Starts it, and it ends before anybody could ask it anything; its console says `why`.
    #[track_caller]
    pub fn start_in_vain(&self, words: &str, why: &str) {
        let (ended, started) = self.try_to_start(words, "true");
        assert!(!started.answers.contains("@@EXIT") && started.console.contains(why), "{ended}\n{started}");
        assert!(!ended.contains("exit status: 124"), "it was switched off by us: {ended}\n{started}");
    }

    fn try_to_start(&self, words: &str, ask: &str) -> (String, Started) {
        static TURNS: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];
        let turn = TURNS.iter().find_map(|turn| turn.try_lock().ok());
        let _turn = turn.unwrap_or_else(|| TURNS[0].lock().unwrap_or_else(|broken| broken.into_inner()));
        let (console, answers) = (self.dir.path().join("console"), self.dir.path().join("answers"));
        let questions = self.dir.path().join("questions.tar");
        fs::write(&questions, tar(&[("ask", ask.as_bytes())])).expect("write");
        let ended = self.qemu(words, &console, &answers, &questions);
        let text =
            |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).replace('\r', "");
        (ended, Started { answers: text(&answers), console: text(&console) })
    }

    fn qemu(&self, words: &str, console: &Path, answers: &Path, questions: &Path) -> String {
        let (acceleration, patience) = acceleration(self.with);
        let line = format!("console=ttyS0 root=/dev/vda boot=flipper panic=-1 {words}");
        assert!(self.firmware.is_none() || words.is_empty(), "GRUB says what is on the command line");
        let mut qemu = Command::new("timeout");
        qemu.args(["--kill-after=5", patience, "qemu-system-x86_64", "-m", "768"]);
        qemu.args(acceleration).args(["-display", "none", "-nic", "none", "-no-reboot", "-monitor", "none"]);
        match self.firmware {
            Some(Firmware::Bios) => {}
            Some(Firmware::Uefi) => {
                assert!(Path::new(OVMF).exists(), "there is no {OVMF}: apt-get install ovmf");
                qemu.args(["-bios", OVMF]);
            }
            None => {
                qemu.arg("-kernel").arg(&self.with.kernel).arg("-initrd").arg(&self.with.initrd);
                qemu.args(["-append", &line]);
            }
        }
        if self.has_watchdog {
            qemu.args(["-device", "i6300esb", "-action", "watchdog=reset"]);
        }
        for port in [console, answers] {
            qemu.arg("-serial").arg(format!("file:{}", port.display()));
        }
        let disk = |qemu: &mut Command, path: &Path, name: &str| {
            let drive = format!("if=none,id={name},format=raw,cache=unsafe,file={}", path.display());
            qemu.args(["-drive", &drive, "-device", &format!("virtio-blk-pci,drive={name},serial={name}")]);
        };
        if let Some(first) = &self.first {
            disk(&mut qemu, first, "first");
        }
        disk(&mut qemu, &self.image, "pool");
        for (at, path) in self.disks.iter().enumerate() {
            disk(&mut qemu, path, &format!("more{at}"));
        }
        disk(&mut qemu, questions, "asked");
        let output = qemu.output().expect("timeout(1) is missing: apt-get install coreutils");
        format!("qemu: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr))
    }
}

/// KVM where it really runs a kernel: nested, it may be there and not work. The kernel panics soon, because
/// it has no root; what counts is that it says anything.
fn acceleration(with: &Prepared) -> (&'static [&'static str], &'static str) {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let works = *WORKS.get_or_init(|| {
        let installed = Command::new("qemu-system-x86_64").arg("--version").output();
        assert!(installed.is_ok(), "there is no qemu-system-x86_64: apt-get install qemu-system-x86");
        let mut qemu = Command::new("timeout");
        qemu.args(["20", "qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "256", "-nographic"]);
        qemu.args(["-no-reboot", "-nic", "none", "-append", "console=ttyS0 panic=-1", "-kernel"]);
        let output = qemu.arg(&with.kernel).stdin(std::process::Stdio::null()).output().expect("timeout");
        String::from_utf8_lossy(&output.stdout).contains("Kernel panic")
    });
    match works {
        true => (&["-accel", "kvm", "-cpu", "host"], "180"),
        false => (&["-accel", "tcg,thread=multi", "-cpu", "max"], "900"),
    }
}

/// What a started machine answered, a line `name=answer` each, and what it said on its console.
pub struct Started {
    answers: String,
    pub console: String,
}

impl Started {
    #[track_caller]
    pub fn says(&self, name: &str) -> &str {
        let mut lines = self.answers.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no {name} in\n{self}")).1
    }

    #[track_caller]
    pub fn is(&self, name: &str, answer: &str) -> &Started {
        assert_eq!(self.says(name), answer, "{name} in\n{self}");
        self
    }

    #[track_caller]
    pub fn tells(&self, words: &str) -> &Started {
        assert!(self.answers.contains(words), "no {words:?} in\n{self}");
        self
    }
}

impl std::fmt::Display for Started {
    fn fmt(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
        let lines: Vec<&str> = self.console.lines().collect();
        let last = &lines[lines.len().saturating_sub(60)..];
        write!(to, "{}\nthe end of the console:\n{}", self.answers, last.join("\n"))
    }
}

/// What every start is asked first.
pub const WHO: &str = "
echo state=$(systemctl is-system-running --wait)
echo failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1)
echo root=$(findmnt -no FSTYPE /)
for key in profile root base; do echo $(grep ^$key= /run/flipper/booted | sed s/^/booted-/); done
flipper-profile status
/usr/libexec/flipper-profiles/flipper-hook login
";
