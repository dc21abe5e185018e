//! The directory a loader reads: mounted where only this process sees it, and unmounted again. It holds nothing
//! that is not made again from the pool, but it is what the next start reads: files are written aside, synced and
//! renamed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{FsType, statfs};
use nix::sys::statvfs::statvfs;

use crate::model::boot::Place;
use crate::model::error::{At, Error, Result};
use crate::model::kernel::KernelKey;
use crate::model::layout::Layout;

use super::kernels::Kernel;
use super::{device, files};

/// Where boot directories are mounted, each by its UUID.
const MOUNTS: &str = "/run/flipper/boot";

/// What loaders are installed on. btrfs last: any of the others refuses what is not its own.
const FILE_SYSTEMS: [&str; 3] = ["vfat", "ext4", "btrfs"];

/// linux/magic.h
const FAT: i64 = 0x4d44;
const EXT4: i64 = 0xef53;

/// Bytes that stay free beside a kernel: directories, and what the loader writes.
const MARGIN: u64 = 1 << 20;

pub struct BootDirectory {
    /// e.g. `/run/flipper/boot/1234-ABCD/flipper`
    dir: PathBuf,
    /// What is unmounted again.
    mounted: Option<PathBuf>,
}

impl Drop for BootDirectory {
    fn drop(&mut self) {
        if let Some(at) = &self.mounted {
            let _ = umount2(at, MntFlags::MNT_DETACH);
        }
    }
}

/// Opens the boot directory; None when its file system is not in this machine. A pool may be looked after
/// elsewhere: its next start sees to the rest. The caller is in a mount namespace of its own.
pub fn open(layout: &Layout, pool_uuid: &str, place: &Place) -> Result<Option<BootDirectory>> {
    let (top, mounted) = match place.uuid == pool_uuid {
        true => (layout.top().to_path_buf(), None),
        false => match device_with(&place.uuid) {
            Some(device) => {
                let at = mount_at(&device, &place.uuid)?;
                (at.clone(), Some(at))
            }
            None => return Ok(None),
        },
    };
    let opened = BootDirectory { dir: top.join(&place.dir).join("flipper"), mounted };
    let kernels = opened.kernels_dir();
    fs::create_dir_all(&kernels).at("make", &kernels)?;
    Ok(Some(opened))
}

/// A name of udev's may outlive what it spoke of.
fn device_with(uuid: &str) -> Option<PathBuf> {
    let found = device::with_uuid(uuid).or_else(|| {
        let text = blkid(&["-c", "/dev/null", "-l", "-o", "device", "-t", &format!("UUID={uuid}")])?;
        (!text.is_empty()).then(|| PathBuf::from(text))
    })?;
    let device = found.to_str()?.to_owned();
    let probed = blkid(&["--probe", "--output", "value", "--match-tag", "UUID", &device]);
    probed.is_none_or(|text| text == uuid).then_some(found)
}

/// None: it cannot be asked.
fn blkid(words: &[&str]) -> Option<String> {
    let output = Command::new("blkid").args(words).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn mount_at(device: &Path, uuid: &str) -> Result<PathBuf> {
    let at = Path::new(MOUNTS).join(uuid);
    fs::create_dir_all(&at).at("make", &at)?;
    let _ = umount2(&at, MntFlags::MNT_DETACH);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME;
    let flags = flags | MsFlags::MS_SILENT; // what refuses would say so on the console
    let mut refused = nix::errno::Errno::ENODEV;
    for kind in FILE_SYSTEMS {
        let subvolume = (kind == "btrfs").then_some("subvolid=5");
        match mount(Some(device), &at, Some(kind), flags, subvolume) {
            Ok(()) => return Ok(at),
            Err(nix::errno::Errno::ENODEV) => {} // this kernel does not know it
            Err(error) => refused = error,
        }
    }
    Err(refused).at("mount", device)
}

impl BootDirectory {
    fn kernels_dir(&self) -> PathBuf {
        self.dir.join("kernels")
    }

    /// Where a loader keeps a file of its own: `grub/grub.cfg`
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.with_file_name(name)
    }

    pub fn is_fat(&self) -> Result<bool> {
        self.is_on(FAT)
    }

    pub fn is_ext4(&self) -> Result<bool> {
        self.is_on(EXT4)
    }

    fn is_on(&self, magic: i64) -> Result<bool> {
        let kind: FsType = statfs(&self.dir).at("look at", &self.dir)?.filesystem_type();
        #[allow(clippy::unnecessary_cast)] // its type differs between architectures
        let kind = kind.0 as i64;
        Ok(kind == magic)
    }

    /// The whole kernels that are there. What a cut left half is removed.
    pub fn kernels(&self) -> Result<Vec<KernelKey>> {
        let (mut found, dir) = (Vec::new(), self.kernels_dir());
        for name in files::names(&dir)? {
            match name.to_str().and_then(|name| name.parse().ok()) {
                Some(key) => found.push(key),
                None => files::remove_tree(&dir.join(&name))?,
            }
        }
        found.sort();
        Ok(found)
    }

    pub fn has_room_for(&self, kernel: &Kernel) -> Result<bool> {
        let free = statvfs(&self.dir).at("look at", &self.dir)?;
        Ok(kernel.size()? + MARGIN <= free.blocks_available() as u64 * free.fragment_size() as u64)
    }

    /// There when it returns, whole, whatever happens to the power.
    pub fn put(&self, key: &KernelKey, kernel: &Kernel) -> Result<()> {
        let target = self.kernels_dir().join(key.as_str());
        let aside = self.kernels_dir().join(format!(".{key}"));
        files::remove_tree(&aside)?;
        fs::create_dir(&aside).at("make", &aside)?;
        let copied = [("vmlinuz", &kernel.vmlinuz), ("initrd.img", &kernel.initrd)]
            .into_iter()
            .try_for_each(|(name, from)| copy(from, &aside.join(name)));
        if copied.is_err() {
            files::remove_tree(&aside)?;
            return copied;
        }
        files::sync_parent(&aside.join("vmlinuz"))?;
        fs::rename(&aside, &target).at("rename to", &target)?; // the visible moment
        files::sync_parent(&target)
    }

    pub fn remove(&self, key: &KernelKey) -> Result<()> {
        let path = self.kernels_dir().join(key.as_str());
        files::remove_tree(&path)?;
        files::sync_parent(&path)
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        Ok(files::read_if_there(&self.dir.join(name))?.unwrap_or_default())
    }

    /// Nothing is written when it says so already: a card wears out.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        if files::read_if_there(&path)?.is_some_and(|there| there == bytes) {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(parent).at("make", parent)?;
        files::replace(&path, bytes)
    }

    /// Removes what else is in one of its directories.
    pub fn keep_only(&self, dir: &str, names: &[String]) -> Result<()> {
        let dir = self.dir.join(dir);
        for name in files::names(&dir)? {
            if !names.iter().any(|kept| name == kept.as_str()) {
                files::remove_tree(&dir.join(&name))?;
            }
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).at("open", from)?;
    let mut target = File::create(to).at("make", to)?;
    io::copy(&mut source, &mut target).at("copy to", to)?;
    target.sync_all().at("sync", to)
}

/// Where a mounted directory lies: the UUID of its file system, and its path there.
pub fn place_of(dir: &Path) -> Result<Place> {
    let dir = fs::canonicalize(dir).at("look at", dir)?;
    let found = super::mountinfo::below(&dir)?;
    let found =
        found.ok_or_else(|| Error::NotWritable { path: dir.clone(), why: "it is not mounted".into() })?;
    let source = found.source.to_str().unwrap_or_default();
    let uuid = blkid(&["--output", "value", "--match-tag", "UUID", source]).unwrap_or_default();
    if uuid.is_empty() {
        return Err(Error::NotWritable { path: dir, why: "its file system has no UUID".into() });
    }
    let inside = dir.strip_prefix(&found.mount_point).unwrap_or(Path::new(""));
    let root = found.root.strip_prefix("/").unwrap_or(&found.root);
    Ok(Place { uuid, dir: root.join(inside) })
}
