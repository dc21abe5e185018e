//! What a boot directory offers: the profiles, each with the kernel it starts and the one it came up with. What GRUB
//! reads is made of it in `grub.rs`, what U-Boot reads in `uboot.rs`.

use crate::model::ProfileId;
use crate::model::boot::Boot;
use crate::model::kernel::KernelKey;

/// A profile as the menu shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuEntry {
    pub id: ProfileId,
    pub name: String,
    /// What its next start takes.
    pub kernel: KernelKey,
    /// What it came up with last, if that is in the boot directory.
    pub good: Option<KernelKey>,
    /// Kernel arguments of its current root.
    pub args: String,
}

impl MenuEntry {
    /// A kernel that has not come up, and one that has: the loader counts.
    pub fn is_on_trial(&self) -> bool {
        self.good.as_ref().is_some_and(|good| *good != self.kernel)
    }

    /// As it can be started with these kernels; with `stand_in` when its own is not among them, and then nothing
    /// is counted.
    pub fn of_what_is_there(&self, there: &[KernelKey], stand_in: Option<&KernelKey>) -> Option<MenuEntry> {
        let (kernel, good) = match there.contains(&self.kernel) {
            true => (self.kernel.clone(), self.good.clone().filter(|good| there.contains(good))),
            false => (stand_in?.clone(), None),
        };
        Some(MenuEntry { kernel, good, ..self.clone() })
    }
}

pub struct Menu<'a> {
    pub boot: &'a Boot,
    pub pool_uuid: &'a str,
    pub default: Option<&'a ProfileId>,
    pub entries: &'a [MenuEntry],
    /// The loader can write to the boot directory.
    pub counts: bool,
}
