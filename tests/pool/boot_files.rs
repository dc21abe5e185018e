//! The boot directory follows the profiles: on an ext4 of its own, as a loader would find it. What GRUB makes of
//! the menu is told by grub-script-check here, and by GRUB itself in the group vm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::assemble::{assemble, take_apart};
use crate::rig::{Ended, Rig, need};
use crate::trial::{comes_up, lab, trial};

/// A kernel, an initrd and modules of this release; the text tells two builds of it apart.
fn install(rig: &Rig, id: &str, release: &str, text: &str) {
    let line = format!(
        "mkdir -p /boot /usr/lib/modules/{release}
        echo kernel {text} > /boot/vmlinuz-{release}; echo initrd {text} > /boot/initrd.img-{release}"
    );
    rig.sh(id, &line);
}

/// The boot partition: an image with an ext4, mounted where the owner has it.
struct Partition {
    at: PathBuf,
    uuid: String,
}

impl Drop for Partition {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

impl Partition {
    fn new(rig: &Rig, size: &str) -> Partition {
        let (image, at) = (rig.path("boot.img"), rig.path("boot"));
        need("truncate", Command::new("truncate").args(["-s", size]).arg(&image));
        need("mkfs.ext4", Command::new("mkfs.ext4").args(["-q", "-O", "^has_journal"]).arg(&image));
        fs::create_dir(&at).unwrap();
        need("mount", Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
        let source = need("findmnt", Command::new("findmnt").args(["-nvo", "SOURCE"]).arg(&at));
        let uuid =
            need("blkid", Command::new("blkid").args(["-s", "UUID", "-o", "value"]).arg(source.trim()));
        fs::create_dir(at.join("grub")).unwrap();
        Partition { at, uuid: uuid.trim().to_owned() }
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at.join("flipper").join(name)).unwrap()
    }

    /// What is in the block, a line each.
    fn block(&self) -> Vec<String> {
        let text = self.text("grubenv");
        assert_eq!(text.len(), 1024);
        text.lines().skip(1).filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    /// The kernels that are there, whole, by what is in them.
    fn kernels(&self) -> Vec<String> {
        let dir = self.at.join("flipper/kernels");
        let of = |entry: fs::DirEntry| {
            let text = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap();
            let (kernel, initrd) = (text("vmlinuz"), text("initrd.img"));
            assert_eq!(kernel.replace("kernel", "initrd"), initrd);
            kernel.trim().replace("kernel ", "")
        };
        let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| of(entry.unwrap())).collect();
        found.sort();
        found
    }

    /// What an entry of the menu starts: the kernel, by what is in it.
    fn starts(&self, id: &str) -> String {
        let menu = self.text("grub.cfg");
        let (_, body) = menu.split_once(&format!("--id flipper-{id} {{\n")).expect("an entry");
        let key = body.lines().next().unwrap().trim().strip_prefix("set flipper_kernel=").expect("a key");
        let path = self.at.join("flipper/kernels").join(key).join("vmlinuz");
        fs::read_to_string(path).unwrap().trim().replace("kernel ", "")
    }

    fn holds_together(&self) {
        let menu = self.at.join("flipper/grub.cfg");
        need("grub-script-check", Command::new("grub-script-check").arg(menu));
    }
}

fn set_up(rig: &Rig, size: &str) -> Partition {
    let partition = Partition::new(rig, size);
    let at = partition.at.to_str().unwrap().to_owned();
    rig.profile(&["default", "lab"]).ok();
    rig.profile(&["boot-method", "grub", "--at", &at, "--args", "quiet"]).ok();
    partition
}

fn once(rig: &Rig, id: &str) -> Ended {
    rig.profile(&["boot", id, "--once"])
}

#[test]
fn a_kernel_comes_with_its_state_and_goes_back_with_it() {
    let rig = Rig::with_lab();
    install(&rig, "lab", "6.1", "old");
    let partition = set_up(&rig, "64M");
    assert_eq!((partition.kernels(), partition.starts("lab")), (vec!["old".into()], "old".into()));
    let own = fs::read_to_string(partition.at.join("grub/grub.cfg")).unwrap();
    assert!(own.contains(&format!("search --no-floppy --fs-uuid --set=flipper_device {}", partition.uuid)));
    rig.profile(&["set", "lab", "--args", "a=$b 'c"]).ok(); // a point, and a menu that is quoted
    install(&rig, "lab", "6.2", "new");
    assert_eq!((partition.kernels(), partition.starts("lab")), (vec!["new".into()], "new".into()));
    partition.holds_together();
    rig.undo(&["--profile", "lab", "--yes", &rig.entries("lab")[1].0.to_string()]).ok();
    assert_eq!((partition.kernels(), partition.starts("lab")), (vec!["old".into()], "old".into()));
    assert!(!partition.text("grub.cfg").contains("$b"), "its arguments, too");
    rig.undo(&["--profile", "lab", "--yes", "--redo"]).ok();
    assert_eq!((partition.kernels(), partition.starts("lab")), (vec!["new".into()], "new".into()));
    partition.holds_together();
    rig.verify();
}

/// As if the loader had started this machine with an entry of the menu.
fn loaded(rig: &Rig, key: &str) {
    let line = rig.path("cmdline");
    fs::write(&line, format!("root=x flipper.kernel={key} quiet\n")).unwrap();
    let _ = Command::new("umount").args(["-q", "/proc/cmdline"]).status();
    need("mount", Command::new("mount").args(["--bind"]).arg(&line).arg("/proc/cmdline"));
}

/// Only the loader can count the starts of a kernel that never gets to the initramfs.
#[test]
fn a_kernel_that_has_not_come_up_is_counted() {
    let rig = lab();
    install(&rig, "lab", "6.1", "old");
    let partition = set_up(&rig, "64M");
    let key = |release: &str| {
        let names = fs::read_dir(partition.at.join("flipper/kernels")).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.find(|name| name.starts_with(release)).unwrap()
    };
    let old = key("6.1");
    loaded(&rig, &old);
    comes_up(&rig).ok();
    assert_eq!(trial(&rig)["good_kernel"], old.as_str());
    assert_eq!(partition.block(), Vec::<String>::new());
    rig.profile(&["set", "lab", "--args", "x=y"]).ok();
    install(&rig, "lab", "6.2", "new");
    rig.profile(&["set", "lab", "--args", "x=z"]).ok();
    let new = key("6.2");
    let armed = ["flipper_tries_lab=3".to_owned(), format!("flipper_trying_lab={}", &new[4..])];
    assert_eq!(partition.block(), armed);
    assert!(rig.profile(&["boot-method"]).ok().out.contains("on trial: 3 starts left"));
    assert!(partition.text("grub.cfg").contains(&format!("= 0 ]; then set flipper_kernel={old}; ")));
    partition.holds_together();
    // GRUB counts down, and takes the old one.
    let block = partition.text("grubenv").replace("tries_lab=3", "tries_lab=0");
    fs::write(partition.at.join("flipper/grubenv"), block).unwrap();
    rig.profile(&["save", "lab"]).ok();
    assert_eq!(partition.block()[0], "flipper_tries_lab=0", "nobody gives it new tries");
    let (ended, at) = assemble(&rig, &["--fallback", "lab"]);
    assert!(ended.ok().err.contains("back to the state before entry"));
    assert_eq!(fs::read_dir(at.join("usr/lib/modules")).unwrap().count(), 1);
    take_apart(&at);
    rig.wait_until_unused("lab");
    assert_eq!((partition.starts("lab"), partition.block()), ("old".into(), vec![]));
    comes_up(&rig).ok();
    // A new initrd by hand, of a state that is good: it is confirmed alone.
    install(&rig, "lab", "6.1", "made again");
    rig.profile(&["rename", "lab", "Lab"]).ok();
    rig.profile(&["boot-method", "grub", "--at", partition.at.to_str().unwrap()]).ok();
    assert_eq!(partition.block()[0], "flipper_tries_lab=3");
    // Somebody has worked with the old one since: that is no reason to take the work back.
    rig.profile(&["set", "lab", "--args", "x=work"]).ok();
    let (ended, at) = assemble(&rig, &["--fallback", "lab"]);
    assert!(!ended.ok().err.contains("back to the state"));
    take_apart(&at);
    rig.wait_until_unused("lab");
    let again = partition.text("grub.cfg");
    let again = again.split("set flipper_kernel=").nth(1).unwrap().lines().next().unwrap();
    loaded(&rig, again);
    comes_up(&rig).ok();
    assert_eq!((trial(&rig)["good_kernel"].as_str(), partition.block()), (Some(again), vec![]));
    rig.verify();
}

/// Four at most, those of the default first; a profile without a kernel of its own takes another's until it
/// is started.
#[test]
fn many_profiles_and_few_kernels() {
    let rig = Rig::with_lab();
    install(&rig, "lab", "6.1", "lab");
    let partition = set_up(&rig, "64M");
    for id in ["b", "c", "d", "e"] {
        rig.profile(&["clone", "lab", id]).ok();
        install(&rig, id, "6.2", id);
        rig.profile(&["save", id]).ok();
    }
    assert_eq!(partition.kernels(), ["b", "c", "d", "lab"]);
    assert_eq!((partition.starts("d"), partition.starts("e")), ("d".into(), "lab".into()));
    assert!(once(&rig, "e").ok().out.contains("the next start takes e"));
    assert_eq!((partition.block(), partition.starts("e")), (vec!["flipper_once=e".into()], "e".into()));
    let shown = rig.profile(&["boot-method"]).ok().out;
    assert!(
        shown.contains("the next start takes e") && shown.contains("not there: its start fetches it"),
        "{shown}"
    );
    let shown = rig.profile(&["boot-method", "--json"]).ok().json();
    assert_eq!((shown["once"].as_str(), shown["entries"].as_array().unwrap().len()), (Some("e"), 5));
    assert_eq!(partition.kernels(), ["b", "c", "e", "lab"]);
    rig.profile(&["default", "d"]).ok();
    assert!(partition.text("grub.cfg").contains("then set default=flipper-d; fi\n"));
    assert_eq!(partition.starts("d"), "d");
    partition.holds_together();
    rig.profile(&["delete", "b", "--yes"]).ok();
    assert!(!partition.text("grub.cfg").contains("flipper-b "));
    once(&rig, "b").says(2, "was deleted");
    once(&rig, "nosuch").says(2, "there is no profile nosuch");
    rig.profile(&["boot", "lab"]).says(64, "flipper-profile default lab");
}

/// No room: what is wanted least gives way; when nothing can, the undo is refused and nothing has changed.
#[test]
fn a_boot_directory_that_is_full() {
    let rig = Rig::with_lab();
    let large = |text: &str, release: &str| {
        install(&rig, "lab", release, text);
        rig.sh("lab", &format!("head -c 12000000 /dev/zero | tr '\\0' x >> /boot/vmlinuz-{release}"));
    };
    large("old", "6.1");
    let partition = set_up(&rig, "40M");
    let key = |at: usize| fs::read_dir(partition.at.join("flipper/kernels")).unwrap().count() == at;
    rig.profile(&["save", "lab"]).ok();
    large("new", "6.2");
    rig.profile(&["save", "lab"]).ok();
    assert!(key(1), "what no root starts with any more has gone");
    fs::write(partition.at.join("filler"), vec![1u8; 18 << 20]).unwrap();
    let (menu, current) = (partition.text("grub.cfg"), rig.current("lab"));
    let number = rig.entries("lab")[1].0.to_string();
    rig.undo(&["--profile", "lab", "--yes", &number])
        .says(3, "there is no room for the 12 MiB of kernel 6.1-");
    assert_eq!((rig.current("lab"), partition.text("grub.cfg")), (current, menu));
    rig.verify();
    fs::remove_file(partition.at.join("filler")).unwrap();
    rig.undo(&["--profile", "lab", "--yes", &number]).ok();
    partition.holds_together();
}

/// The boot directory of another machine is not missed; that of this one catches up with the next change.
#[test]
fn a_boot_directory_that_is_elsewhere() {
    let rig = Rig::with_lab();
    install(&rig, "lab", "6.1", "old");
    let partition = set_up(&rig, "64M");
    rig.profile(&["save", "lab"]).ok();
    let (image, at) = (rig.path("boot.img"), partition.at.clone());
    need("umount", Command::new("umount").arg(&at));
    let detached = || need("losetup", Command::new("losetup").arg("-j").arg(&image)).is_empty();
    crate::rig::within(std::time::Duration::from_secs(5), "the partition is gone", detached);
    install(&rig, "lab", "6.2", "new");
    rig.profile(&["save", "lab"]).ok();
    once(&rig, "lab").says(3, "it is not here");
    need("mount", Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
    assert_eq!(partition.kernels(), ["old"]);
    rig.profile(&["save", "lab"]).ok();
    assert_eq!(partition.kernels(), ["new"]);
}

#[test]
fn on_the_pool_itself_nothing_is_counted() {
    let rig = Rig::with_lab();
    install(&rig, "lab", "6.1", "old");
    let (at, top) = (rig.top().join("@boot"), rig.top());
    fs::create_dir_all(at.join("grub")).unwrap();
    rig.profile(&["boot-method", "grub", "--at", at.to_str().unwrap()]).says(0, "GRUB cannot write");
    assert!(top.join("@boot/flipper/grub.cfg").exists());
    once(&rig, "lab").says(64, "GRUB cannot write");
    let shown = rig.profile(&["boot-method", "--json"]).ok().json();
    assert_eq!((shown["method"].as_str(), shown["dir"].as_str()), (Some("grub"), Some("/@boot")));
    let snippet = rig.profile(&["boot-method", "--snippet"]).ok().out;
    assert!(snippet.contains("($flipper_device)/@boot/flipper"), "{snippet}");
    rig.profile(&["boot-method", "none"]).ok();
    assert_eq!(rig.profile(&["boot-method", "--snippet"]).ok().out, "");
    let odd = rig.top().join("with blank");
    fs::create_dir(&odd).unwrap();
    rig.profile(&["boot-method", "grub", "--at", odd.to_str().unwrap()]).says(3, "without quotes");
    rig.profile(&["boot-method", "grub"]).says(64, "--at DIR");
    assert!(Path::new(&odd).read_dir().unwrap().next().is_none());
}
