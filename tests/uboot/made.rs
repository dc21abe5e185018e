//! The boot directory as our programs make it, on a disk this kernel can mount: it need not know FAT.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::card;
use crate::rig::{Ended, Rig, ended, need};

/// A kernel, an initrd and modules of this release; the text tells two builds of it apart.
pub fn install(rig: &Rig, id: &str, release: &str, text: &str) {
    rig.sh(
        id,
        &format!(
            "mkdir -p /boot /usr/lib/modules/{release}
            echo kernel {text} > /boot/vmlinuz-{release}; echo initrd {text} > /boot/initrd.img-{release}"
        ),
    );
}

/// As if it had come up with the kernel it has.
pub fn has_come_up(rig: &Rig, id: &str) {
    let shown = rig.profile(&["boot-method", "--json"]).ok().json();
    let entries = shown["entries"].as_array().unwrap();
    let kernel = entries.iter().find(|entry| entry["profile"] == id).unwrap()["kernel"].clone();
    let trial = serde_json::json!({"good_kernel": kernel});
    fs::write(rig.in_pool(format!("@profiles/{id}/trial")), trial.to_string()).unwrap();
}

const CONFIRMS: &str = "
    mkdir -p /etc/systemd/system/multi-user.target.wants /usr/lib/systemd/system
    touch /usr/lib/systemd/system/flipper-confirm.service
    ln -s /usr/lib/systemd/system/flipper-confirm.service /etc/systemd/system/multi-user.target.wants/";

pub const MCU: &str = "0:0x69:0x10";

/// Two profiles with a kernel each, both come up; a boot directory on an ext4.
pub struct Made {
    pub rig: Rig,
    pub at: PathBuf,
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

impl Made {
    pub fn new() -> Made {
        let rig = Rig::with_lab();
        rig.profile(&["create", "router"]).ok();
        rig.profile(&["default", "lab"]).ok();
        for id in ["lab", "router"] {
            rig.sh(id, CONFIRMS);
        }
        install(&rig, "lab", "6.1", "one");
        install(&rig, "router", "6.1", "other");
        let (image, at) = (rig.path("boot.img"), rig.path("boot"));
        need("truncate", Command::new("truncate").args(["-s", "64M"]).arg(&image));
        need("mkfs.ext4", Command::new("mkfs.ext4").args(["-q", "-O", "^has_journal"]).arg(&image));
        fs::create_dir(&at).unwrap();
        need("mount", Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
        let made = Made { rig, at };
        made.set(&made.at, &["--args", "console=ttyS0 quiet", "--mcu", MCU]).ok();
        for id in ["lab", "router"] {
            has_come_up(&made.rig, id);
        }
        made.follow();
        made
    }

    /// `boot-method uboot --at DIR`
    pub fn set(&self, at: &Path, more: &[&str]) -> Ended {
        let script = card::compile(&card::script_text());
        let words = ["boot-method", "uboot", "--at", at.to_str().unwrap()];
        let words: Vec<&std::ffi::OsStr> = words.iter().chain(more).map(std::ffi::OsStr::new).collect();
        ended(self.rig.command("flipper-profile", &words).env("FLIPPER_BOOT_SCRIPT", script.path()))
    }

    /// The boot directory is looked at again.
    pub fn follow(&self) {
        self.rig.profile(&["save", "lab"]).ok();
    }

    fn keep(&self, name: &str) -> PathBuf {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("uboot-{name}"));
        let _ = fs::remove_dir_all(&kept);
        fs::create_dir_all(&kept).unwrap();
        need("cp", Command::new("cp").arg("-a").arg(self.at.join("flipper")).arg(&kept));
        kept
    }
}

/// lab and router, both come up.
pub fn directory() -> &'static Path {
    static KEPT: OnceLock<PathBuf> = OnceLock::new();
    KEPT.get_or_init(|| Made::new().keep("calm"))
}

/// lab with a kernel that has not come up.
pub fn on_trial() -> &'static Path {
    static KEPT: OnceLock<PathBuf> = OnceLock::new();
    KEPT.get_or_init(|| {
        let made = Made::new();
        install(&made.rig, "lab", "6.2", "two");
        made.follow();
        made.keep("trial")
    })
}
