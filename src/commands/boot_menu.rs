//! The menu of a boot directory, in the files its loader reads, and what the loader has noted there itself.

use crate::model::ProfileId;
use crate::model::boot::Method;
use crate::model::error::Result;
use crate::policy::grub;
use crate::policy::menu::{Menu, MenuEntry};
use crate::policy::uboot;
use crate::system::boot_directory::BootDirectory;

/// Where the environments of the profiles lie, for U-Boot.
const PROFILES: &str = "profiles";

/// Can the loader note there what it did? GRUB can on ext4 and FAT, the script for U-Boot on FAT, and nobody on btrfs.
pub fn counts(dir: &BootDirectory, method: Method) -> Result<bool> {
    Ok(match method {
        Method::None => false,
        Method::Grub => dir.is_fat()? || dir.is_ext4()?,
        Method::Uboot => dir.is_fat()?,
    })
}

/// `once`: the profile of the next start.
pub fn write(dir: &BootDirectory, menu: &Menu<'_>, once: Option<&ProfileId>) -> Result<()> {
    match menu.boot.method {
        Method::None => Ok(()),
        Method::Grub => write_grub(dir, menu, once),
        Method::Uboot => write_uboot(dir, menu, once),
    }
}

/// The tries before the menu that counts them.
fn write_grub(dir: &BootDirectory, menu: &Menu<'_>, once: Option<&ProfileId>) -> Result<()> {
    let mut block = grub_block(dir)?;
    block.arm(menu.entries);
    if let Some(id) = once {
        block.choose_once(id);
    }
    dir.write(grub::ENVIRONMENT, &block.to_bytes())?;
    dir.write(grub::CONFIG, grub::config(menu).as_bytes()) // the visible moment
}

fn write_uboot(dir: &BootDirectory, menu: &Menu<'_>, once: Option<&ProfileId>) -> Result<()> {
    let mut state = uboot_state(dir)?;
    state.arm(menu.entries);
    if let Some(id) = once {
        state.choose_once(id);
    }
    let [first, second] = uboot::STATE;
    dir.write(second, &state.to_bytes())?;
    dir.write(first, &state.to_bytes())?;
    let file = |entry: &MenuEntry| format!("{}.env", entry.id);
    for entry in menu.entries {
        // What this profile starts: the visible moment.
        dir.write(&format!("{PROFILES}/{}", file(entry)), uboot::profile(entry).as_bytes())?;
    }
    let before = String::from_utf8_lossy(&dir.read(uboot::ENVIRONMENT)?).into_owned();
    dir.write(uboot::ENVIRONMENT, uboot::environment(menu, &before).as_bytes())?;
    dir.keep_only(PROFILES, &menu.entries.iter().map(file).collect::<Vec<_>>())
}

fn grub_block(dir: &BootDirectory) -> Result<grub::Environment> {
    Ok(grub::Environment::parse(&dir.read(grub::ENVIRONMENT)?))
}

fn uboot_state(dir: &BootDirectory) -> Result<uboot::State> {
    let [first, second] = uboot::STATE;
    Ok(uboot::State::of_copies([&dir.read(first)?, &dir.read(second)?]))
}

/// What is noted there, by us and by the loader.
pub enum Noted {
    Nothing,
    Grub(grub::Environment),
    Uboot { state: uboot::State, environment: String },
}

pub fn noted(dir: &BootDirectory, method: Method) -> Result<Noted> {
    Ok(match method {
        Method::None => Noted::Nothing,
        Method::Grub => Noted::Grub(grub_block(dir)?),
        Method::Uboot => {
            let environment = String::from_utf8_lossy(&dir.read(uboot::ENVIRONMENT)?).into_owned();
            Noted::Uboot { state: uboot_state(dir)?, environment }
        }
    })
}

impl Noted {
    /// The profile of the next start only.
    pub fn once(&self) -> Option<String> {
        match self {
            Noted::Nothing => None,
            Noted::Grub(block) => block.once().map(str::to_owned),
            Noted::Uboot { state, .. } => state.once().map(str::to_owned),
        }
    }

    /// Of a kernel on trial, the starts that are left.
    pub fn tries(&self, entry: &MenuEntry) -> Option<u32> {
        match self {
            Noted::Nothing => None,
            Noted::Grub(block) => block.tries(entry),
            Noted::Uboot { state, .. } => state.tries(entry),
        }
    }

    pub fn slot(&self, entry: &MenuEntry) -> Option<u8> {
        match self {
            Noted::Uboot { environment, .. } => uboot::slot(&entry.id, environment),
            _ => None,
        }
    }
}
