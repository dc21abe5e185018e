//! The pool: found, mounted by its top level in a mount namespace of our own, its format checked.
//! It is never left mounted: the mount goes with the process. (A pool left mounted let ordinary
//! users run the setuid programs of old bases.)

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::model::booted::Booted;
use crate::model::config::{Format, KeyValues, default_profile};
use crate::model::error::{At, Error, Result};
use crate::model::{Layout, ProfileId};

use super::{btrfs, device, files, mountinfo};

pub const BOOTED: &str = "/run/flipper/booted";

/// Why the last package run here had no point; gone with the boot (`unprotected` keeps it longer).
pub const UNPROTECTED: &str = "/run/flipper/unprotected";

/// What the initramfs had to say, a sentence a line; gone with the boot.
pub const TOLD_AT_START: &str = "/run/flipper/told";

/// The same for the root in /run/nextroot, which a soft reboot makes `/`.
pub const BOOTED_NEXT: &str = "/run/flipper/booted.next";

/// There when the state this machine started from has not come up before, until it is confirmed.
pub const ON_TRIAL: &str = "/run/flipper/on-trial";

/// Profiles that were given up at this start, one a line.
pub const GIVEN_UP: &str = "/run/flipper/given-up";

/// kernel.panic before the initramfs set it for a trial.
pub const PANIC_BEFORE: &str = "/run/flipper/panic-before";

/// Where pools are mounted, each by its UUID.
const POOLS: &str = "/run/flipper/pool";

/// An open pool. Everything is reached through [`Pool::layout`].
#[derive(Debug)]
pub struct Pool {
    pub layout: Layout,
    pub format: Format,
    /// e.g. `/dev/mmcblk0p3`
    pub device: PathBuf,
    /// UUID of the file system
    pub uuid: String,
    /// The mount namespace this process came from, for the one verb that mounts something there.
    pub outer: File,
}

impl Pool {
    /// Opens the pool somebody named, else the booted one, else the btrfs below `/`.
    pub fn open(named: Option<&str>) -> Result<Pool> {
        need_root()?;
        if let Some(text) = named {
            return Pool::on_device(&device::named(text)?);
        }
        if let Some(booted) = booted()? {
            return Pool::of_booted(&booted);
        }
        let below = device::below_directory(Path::new("/")).and_then(|device| Pool::on_device(&device));
        below.map_err(|error| match error {
            Error::NotBtrfs { .. } | Error::NotAPool { .. } => Error::NoPool,
            other => other,
        })
    }

    /// The pool of the booted file: what the hooks use.
    pub fn of_booted(booted: &Booted) -> Result<Pool> {
        let device = device::carrying(&booted.pool, Path::new(&booted.device))
            .ok_or_else(|| Error::NotAPool { path: PathBuf::from(&booted.device) })?;
        Pool::on_device(&device)
    }

    /// Opens the pool on this block device.
    pub fn on_device(device: &Path) -> Result<Pool> {
        let (layout, uuid, outer) = mount_top(device)?;
        let text = files::read_if_there(&layout.format())?
            .ok_or_else(|| Error::NotAPool { path: device.to_path_buf() })?;
        let format = Format::parse(&String::from_utf8_lossy(&text))?;
        if !format.may_read() {
            return Err(Error::FormatTooNew { format: format.format, may_read: false });
        }
        Ok(Pool { layout, format, device: device.to_path_buf(), uuid, outer })
    }

    /// Refuses when a newer program wrote this pool in a way this one would spoil.
    pub fn need_writable_format(&self) -> Result<()> {
        if self.format.may_write() {
            return Ok(());
        }
        Err(Error::FormatTooNew { format: self.format.format, may_read: true })
    }

    pub fn settings(&self) -> Result<KeyValues> {
        let text = files::read_if_there(&self.layout.pool_conf())?.unwrap_or_default();
        Ok(KeyValues::parse(&String::from_utf8_lossy(&text)))
    }

    pub fn default_profile(&self) -> Result<Option<ProfileId>> {
        Ok(default_profile(&self.settings()?))
    }

    /// Every published profile, in the order of their ids.
    pub fn profiles(&self) -> Result<Vec<ProfileId>> {
        let names = files::names(&self.layout.profiles())?;
        let mut ids: Vec<ProfileId> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    /// The end of every path of a root's upper as mountinfo shows it:
    /// `<uuid>/@profiles/lab/roots/41/root`. The UUID keeps two pools apart.
    pub fn tail(&self, path: &Path) -> String {
        let inside = path.strip_prefix(self.layout.top()).unwrap_or(path);
        format!("{}/{}", self.uuid, inside.display())
    }
}

/// The booted file, if there is one and `/` is the root it speaks of. In a chroot or a container
/// that sees our /run it is not: there we are not booted.
pub fn booted() -> Result<Option<Booted>> {
    let here = files::identity(Path::new("/"))?;
    // After a soft reboot, until flipper-boot.service has renamed it.
    for file in [BOOTED, BOOTED_NEXT] {
        let Some(text) = files::read_if_there(Path::new(file))? else { continue };
        let booted = Booted::parse(&String::from_utf8_lossy(&text))?;
        if booted.identity == here {
            return Ok(Some(booted));
        }
    }
    Ok(None)
}

/// After a soft reboot: what was next is booted.
pub fn settle_booted(booted: &Booted) -> Result<()> {
    let next = Path::new(BOOTED_NEXT);
    let text = files::read_if_there(next)?.unwrap_or_default();
    match Booted::parse(&String::from_utf8_lossy(&text)) {
        Ok(it) if it.identity == booted.identity => fs::rename(next, BOOTED).at("rename", next),
        _ => Ok(()),
    }
}

pub fn need_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Error::NotRoot) }
}

/// Mounts the top level (subvolid 5) of the btrfs on a device where only this process and its
/// children see it, at `/run/flipper/pool/<uuid>`. The UUID is in the path so that mountinfo, which
/// shows an overlay's directories as they were named, tells pools apart.
pub fn mount_top(device: &Path) -> Result<(Layout, String, File)> {
    let uuid = btrfs::uuid_on_device(device)?;
    let at = Path::new(POOLS).join(&uuid);
    fs::create_dir_all(&at).at("make", &at)?;
    let outer = own_mount_namespace()?;
    // A program of ours that was started by another has inherited its mount; the same file system
    // over itself is refused (EBUSY). In our own namespace this touches nobody.
    let _ = umount2(&at, MntFlags::MNT_DETACH);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME;
    mount(Some(device), &at, Some("btrfs"), flags, Some("subvolid=5")).at("mount", device)?;
    Ok((Layout::new(at), uuid, outer))
}

/// Leaves the mount namespace this process was started in; returns a handle to that one. Changes
/// made outside still come in (slave), nothing of ours goes out.
fn own_mount_namespace() -> Result<File> {
    let outer = File::open("/proc/self/ns/mnt").at("open", "/proc/self/ns/mnt")?;
    unshare(CloneFlags::CLONE_NEWNS).at("leave the mount namespace of", "/")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none).at("make private", "/")?;
    let_go_of_copies()?;
    Ok(outer)
}

/// A new namespace has a copy of every mount, and where mounts are not shared a copy outlives the
/// umount(8) of the original: a profile somebody mounted would stay in use until we end.
fn let_go_of_copies() -> Result<()> {
    for copy in mountinfo::of_process("self")? {
        let ours = copy.file_system == "overlay"
            && copy.super_options.windows(POOLS.len()).any(|word| word == POOLS.as_bytes());
        if ours && copy.mount_point != Path::new("/") {
            let _ = nix::mount::umount2(&copy.mount_point, nix::mount::MntFlags::MNT_DETACH);
        }
    }
    Ok(())
}
