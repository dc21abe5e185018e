//! How a machine boots from a pool: `boot_method`, `boot_uuid`, `boot_dir` and `boot_args` of
//! `@journal/pool.conf`.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::config::KeyValues;
use super::error::Error;

/// What picks the profile before Linux starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Somebody else does: no boot directory is looked after.
    None,
    Grub,
    /// U-Boot, by a script.
    Uboot,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::None => "none",
            Method::Grub => "grub",
            Method::Uboot => "uboot",
        }
    }

    /// What a person calls the program that reads the boot directory.
    pub fn loader(self) -> &'static str {
        match self {
            Method::None => "nobody",
            Method::Grub => "GRUB",
            Method::Uboot => "U-Boot",
        }
    }

    fn parse(text: &str) -> Result<Method, Error> {
        let found =
            [Method::None, Method::Grub, Method::Uboot].into_iter().find(|method| method.name() == text);
        found.ok_or_else(|| damaged(format!("boot_method={text}: it is none, grub or uboot")))
    }
}

fn damaged(why: String) -> Error {
    Error::Damaged { what: "@journal/pool.conf".into(), why }
}

/// The directory the loader reads, by the file system it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As blkid names it: `1234-ABCD` on FAT.
    pub uuid: String,
    /// Below the top of that file system, relative: empty, or `boot`.
    pub dir: PathBuf,
}

/// Where a microcontroller says which profile it is to be: `boot_mcu=0:0x69:0x0210`, a bus, a chip on it, and a
/// register of 16 bits with an address of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mcu {
    pub bus: u8,
    pub chip: u8,
    pub register: u16,
}

impl FromStr for Mcu {
    type Err = Error;

    fn from_str(text: &str) -> Result<Mcu, Error> {
        let number = |word: &str| match word.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        };
        let numbers: Vec<Option<u16>> = text.split(':').map(number).collect();
        match numbers[..] {
            [Some(bus @ ..=0xff), Some(chip @ ..=0x7f), Some(register)] => {
                Ok(Mcu { bus: bus as u8, chip: chip as u8, register })
            }
            _ => Err(Error::Usage(format!("{text:?} is not BUS:CHIP:REGISTER, as 0:0x69:0x0210"))),
        }
    }
}

impl fmt::Display for Mcu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{:#04x}:{:#06x}", self.bus, self.chip, self.register)
    }
}

/// What pool.conf says about booting; None where nothing is looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    pub method: Method,
    pub place: Place,
    /// Kernel arguments of every profile: `console=ttyS0`
    pub args: String,
    pub mcu: Option<Mcu>,
}

impl Boot {
    pub fn of(settings: &KeyValues) -> Result<Option<Boot>, Error> {
        let get = |key| settings.get(key).unwrap_or_default().to_owned();
        let method = match get("boot_method").as_str() {
            "" => Method::None,
            text => Method::parse(text)?,
        };
        if method == Method::None {
            return Ok(None);
        }
        let (uuid, dir) = (get("boot_uuid"), get("boot_dir"));
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if uuid.is_empty() || !uuid.bytes().all(harmless) {
            let why = "it is the UUID of the file system the boot directory is on";
            return Err(damaged(format!("boot_uuid={uuid}: {why}")));
        }
        let dir = PathBuf::from(dir.trim_matches('/'));
        if !is_plain(&dir) {
            let why = "it is a path of letters, digits and . _ - @ /";
            return Err(damaged(format!("boot_dir={}: {why}", dir.display())));
        }
        let mcu = match get("boot_mcu").as_str() {
            "" => None,
            text => Some(text.parse().map_err(|error: Error| damaged(format!("boot_mcu: {error}")))?),
        };
        Ok(Some(Boot { method, place: Place { uuid, dir }, args: get("boot_args"), mcu }))
    }

    pub fn note_in(&self, settings: &mut KeyValues) {
        settings.set("boot_method", self.method.name());
        settings.set("boot_uuid", &self.place.uuid);
        settings.set("boot_dir", &self.place.dir.display().to_string());
        settings.set("boot_args", &self.args);
        if self.mcu.is_some() || settings.get("boot_mcu").is_some() {
            settings.set("boot_mcu", &self.mcu.map(|mcu| mcu.to_string()).unwrap_or_default());
        }
    }
}

/// Loaders read it: nothing in it needs quotes.
pub fn is_plain(dir: &Path) -> bool {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"._-@/".contains(&b);
    dir.components().all(|part| matches!(part, Component::Normal(_)))
        && dir.to_str().is_some_and(|text| text.bytes().all(harmless))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pool_conf_says() {
        let of = |text| Boot::of(&KeyValues::parse(text));
        assert_eq!(of("boot_method=none\nboot_uuid=x y\n").ok(), Some(None));
        assert_eq!(of("").ok(), Some(None));
        let grub = "boot_method=grub\nboot_uuid=1234-ABCD\nboot_dir=/boot/\nboot_args=quiet\n";
        let boot = of(grub).expect("read").expect("a method");
        assert_eq!(boot.place, Place { uuid: "1234-ABCD".into(), dir: "boot".into() });
        let mut settings = KeyValues::default();
        boot.note_in(&mut settings);
        assert_eq!(Boot::of(&settings).ok(), Some(Some(boot)));
        let uboot = "boot_method=uboot\nboot_uuid=a\nboot_dir=\nboot_args=\nboot_mcu=0:0x69:0x0210\n";
        let boot = of(uboot).expect("read").expect("a method");
        assert_eq!(boot.mcu, Some(Mcu { bus: 0, chip: 0x69, register: 0x210 }));
        let mut settings = KeyValues::default();
        boot.note_in(&mut settings);
        assert_eq!(settings.to_text(), uboot);
        for bad in ["", "0:0x69:", "0:0x80:1", "256:1:1", "0:1:0x10000", "a:b:c", "0:1:2:3", "0:-1:2"] {
            assert!(bad.parse::<Mcu>().is_err(), "{bad}");
        }
        for bad in [
            "boot_method=lilo",
            "boot_method=grub",
            "boot_method=grub\nboot_uuid=a b",
            "boot_method=grub\nboot_uuid=a\nboot_dir=../etc",
            "boot_method=grub\nboot_uuid=a\nboot_dir=a b",
            "boot_method=uboot\nboot_uuid=a\nboot_mcu=0:0x69",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
