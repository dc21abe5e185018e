//! What can be typed about booting.

use std::path::PathBuf;

use clap::Args;

/// Show or choose what picks the profile before Linux starts
#[derive(Args, Debug)]
#[command(
    long_about = "Show or choose what picks the profile before Linux starts; shown are the kernels of the profiles, and which came up.\n\n\
With grub or uboot, the boot directory (a small ext4 or FAT file system, or a directory of the btrfs) is looked after \
from then on: it has the kernels of the profiles, at most four, and a menu of them. Every undo, rebase, flip and package \
run with a new kernel changes it. The loader counts the starts of a kernel that has not come up, three, and takes the \
last good one then; it can do so only where it can write: GRUB on FAT or ext4, U-Boot on FAT.\n\n\
With uboot, DIR is the top of the file system or /boot there, and gets boot.scr (of the package flipper-profiles-boot); \
an extlinux.conf beside it is renamed, because U-Boot would take it first. With grub, where DIR/grub has no grub.cfg, one is written that reads the menu. Where update-grub makes it, it has to be run once.",
    after_help = "\
Examples:\n  flipper-profile boot-method\n  \
flipper-profile boot-method grub --at /mnt/boot --args \"quiet console=tty0\"\n  \
flipper-profile boot-method uboot --at /boot --mcu 0:0x69:0x0210\n  \
flipper-profile boot-method none        the boot directory is left as it is"
)]
pub struct BootMethod {
    /// grub, uboot, or none: somebody else looks after it
    #[arg(value_parser = ["grub", "uboot", "none"])]
    pub method: Option<String>,
    /// The mounted directory the loader reads
    #[arg(long, value_name = "DIR")]
    pub at: Option<PathBuf>,
    /// Kernel arguments of every profile (default: as they were)
    #[arg(long, value_name = "TEXT")]
    pub args: Option<String>,
    /// Where a microcontroller says which profile it is to be, for U-Boot: as 0:0x69:0x0210; none (default: as it was)
    #[arg(long, value_name = "BUS:CHIP:REGISTER")]
    pub mcu: Option<String>,
    /// Print what GRUB's own configuration must say, for /etc/grub.d
    #[arg(long, conflicts_with_all = ["method", "at", "args", "mcu"])]
    pub snippet: bool,
}
