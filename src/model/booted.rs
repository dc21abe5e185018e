//! The booted file, `/run/flipper/booted`: which root is mounted at `/`. Whoever assembles a root
//! writes it (the initramfs, `flipper-profile run`), because the running system cannot learn it
//! from mount options: after a rename mountinfo still shows the old path. Lines of `key=value`,
//! readable by anyone, without secrets:
//!
//! ```text
//! profile=lab
//! root=41
//! base=13.2
//! pool=6b1d9c5e-...
//! device=/dev/mmcblk0p3
//! subvolid=312
//! identity=45:1048583
//! mode=run
//! ```
//! `identity` is st_dev:st_ino of the merged `/`; a process for which `/` is anything else (a
//! chroot, a container) is not in the booted root, and the hooks leave it alone.

use super::error::Error;
use super::id::{BaseVersion, EntryNumber, ProfileId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booted {
    pub profile: ProfileId,
    pub root: EntryNumber,
    pub base: BaseVersion,
    /// The UUID of the pool's file system.
    pub pool: String,
    /// The block device the pool was found on; a hint, the UUID decides.
    pub device: String,
    /// The btrfs subvolume id of the root.
    pub subvolid: u64,
    /// `st_dev:st_ino` of the merged `/`, in decimal.
    pub identity: String,
    pub mode: Mode,
}

/// How the root was assembled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the initramfs: this machine booted it.
    Boot,
    /// By `flipper-profile run`, beside the machine's own root.
    Run,
}

impl Booted {
    pub fn parse(text: &str) -> Result<Booted, Error> {
        let broken = |why: &str| Error::Damaged { what: "/run/flipper/booted".into(), why: why.into() };
        let value = |key: &str| {
            text.split('\n')
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .ok_or_else(|| broken(&format!("it has no line {key}=")))
        };
        Ok(Booted {
            profile: value("profile")?.parse()?,
            root: value("root")?.parse()?,
            base: value("base")?.parse()?,
            pool: value("pool")?.to_owned(),
            device: value("device")?.to_owned(),
            subvolid: value("subvolid")?.parse().map_err(|_| broken("subvolid is not a number"))?,
            identity: value("identity")?.to_owned(),
            mode: match value("mode")? {
                "boot" => Mode::Boot,
                "run" => Mode::Run,
                other => return Err(broken(&format!("mode {other:?} is not known"))),
            },
        })
    }

    pub fn to_text(&self) -> String {
        format!(
            "profile={}\nroot={}\nbase={}\npool={}\ndevice={}\nsubvolid={}\nidentity={}\nmode={}\n",
            self.profile,
            self.root,
            self.base,
            self.pool,
            self.device,
            self.subvolid,
            self.identity,
            match self.mode {
                Mode::Boot => "boot",
                Mode::Run => "run",
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_more_keys_do_no_harm() {
        let booted = Booted {
            profile: "lab".parse().unwrap(),
            root: "41".parse().unwrap(),
            base: "13.2".parse().unwrap(),
            pool: "6b1d9c5e-0000-4000-8000-000000000000".into(),
            device: "/dev/loop0".into(),
            subvolid: 312,
            identity: "45:1048583".into(),
            mode: Mode::Run,
        };
        let text = format!("{}later=thing\n", booted.to_text());
        assert_eq!(Booted::parse(&text).unwrap(), booted);
        assert!(Booted::parse(&text.replace("root=41", "root=x")).is_err());
        assert!(Booted::parse("profile=lab\n").is_err());
    }
}
