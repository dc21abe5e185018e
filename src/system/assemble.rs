//! Assembles a root: the overlay, proved, with home and state/ mounted over it. The one function
//! behind `run`, `mount` and the boot.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::model::carried::STATE_PATHS;
use crate::model::error::{At, Error, Result};
use crate::model::layout::{OVERLAY_OPTIONS, ProfileDir, RootDir};
use crate::model::{BaseVersion, Layout};

use super::pool::Pool;
use super::{files, roots, shared};

/// What is to be assembled.
pub struct Assembly<'a> {
    pub pool: &'a Pool,
    pub profile: &'a ProfileDir,
    pub root: &'a RootDir,
    pub base: &'a BaseVersion,
    /// Where the merged root appears, an existing directory.
    pub target: &'a Path,
    /// home and state/ too; without them, the bare merged tree as undo sees it.
    pub with_data: bool,
}

const NONE: Option<&str> = None;

impl Assembly<'_> {
    /// Mounts the writable root.
    pub fn mount(&self) -> Result<()> {
        let base = existing_base(&self.pool.layout, self.base)?;
        roots::prove_layout(self.root, &base, self.pool.format.inode_floor)?;
        let options = format!(
            "lowerdir={},upperdir={},workdir={},{OVERLAY_OPTIONS}",
            base.display(),
            self.root.upper().display(),
            self.root.work().display()
        );
        mount(Some("overlay"), self.target, Some("overlay"), MsFlags::MS_NOATIME, Some(options.as_str()))
            .at("mount the overlay at", self.target)?;
        prove_writable(self.target)?;
        if self.with_data { self.mount_data() } else { Ok(()) }
    }

    fn mount_data(&self) -> Result<()> {
        let home = files::mount_point(self.target, "home")?;
        let flags = MsFlags::MS_NOATIME | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        subvolume(self.pool, Path::new("@data/home"), &home, flags)?;
        let state = self.profile.state();
        let inside = state.strip_prefix(self.pool.layout.top()).unwrap_or(&state);
        // One mount of the whole, its paths bound from there, then it goes: what stays in the tree
        // may hold programs and devices (a container store does).
        let whole = PathBuf::from("/run/flipper/state");
        fs::create_dir_all(&whole).at("make", &whole)?;
        subvolume(self.pool, inside, &whole, MsFlags::MS_NOATIME)?;
        for path in STATE_PATHS {
            let from = whole.join(path);
            // The owner may have led one elsewhere with a link: then it is the owner's, and rolls back.
            if from.is_dir() && !leads_elsewhere(self.target, path) {
                let to = files::mount_point(self.target, path)?;
                mount(Some(&from), &to, NONE, MsFlags::MS_BIND, NONE).at("bind", &to)?;
            }
        }
        umount2(&whole, MntFlags::MNT_DETACH).at("unmount", &whole)?;
        shared::mount_shared(self.pool, self.profile, self.target)
    }
}

/// Mounts a point (or a root nobody uses) read-only on its base: the merged tree as it was.
pub fn mount_read_only(layout: &Layout, state: &RootDir, base: &BaseVersion, target: &Path) -> Result<()> {
    let base = existing_base(layout, base)?;
    let options = format!("lowerdir={}:{},{OVERLAY_OPTIONS}", state.upper().display(), base.display());
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOATIME;
    mount(Some("overlay"), target, Some("overlay"), flags, Some(options.as_str()))
        .at("mount the overlay at", target)
}

/// Is there something other than directories at or above a path?
fn leads_elsewhere(root: &Path, inside: &str) -> bool {
    root.join(inside).symlink_metadata().is_ok() && !files::is_real_directory(root, Path::new(inside))
}

fn existing_base(layout: &Layout, version: &BaseVersion) -> Result<PathBuf> {
    let base = layout.base(version);
    if base.is_dir() { Ok(base) } else { Err(Error::NoSuchBase { version: version.clone() }) }
}

pub fn subvolume(pool: &Pool, inside: &Path, target: &Path, flags: MsFlags) -> Result<()> {
    let options = format!("subvol={}", inside.display());
    mount(Some(&pool.device), target, Some("btrfs"), flags, Some(options.as_str())).at("mount", target)
}

/// Overlayfs mounts silently read-only over a read-only upper. An unnamed file proves that the root
/// can be written to and leaves nothing behind, not even a time.
fn prove_writable(target: &Path) -> Result<()> {
    let tried = OpenOptions::new().write(true).custom_flags(nix::libc::O_TMPFILE).mode(0o600).open(target);
    match tried {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => prove_by_name(target),
        Err(error) => Err(Error::NotWritable { path: target.to_path_buf(), why: error.to_string() }),
    }
}

/// For kernels whose overlayfs has no O_TMPFILE (before 6.1).
fn prove_by_name(target: &Path) -> Result<()> {
    let name = target.join(".flipper-writable");
    let before = fs::metadata(target).at("look at", target)?;
    let tried = fs::write(&name, b"").and_then(|()| fs::remove_file(&name));
    tried.map_err(|e| Error::NotWritable { path: target.to_path_buf(), why: e.to_string() })?;
    files::copy_times(&before, target)
}

/// Gives state/ the directories the merged root has below the state paths: same owner, mode, xattrs.
/// `tree` is a merged root or, for a fresh profile, its base.
pub fn furnish_state(tree: &Path, state: &Path) -> Result<()> {
    for inside in STATE_PATHS {
        let mut path = PathBuf::new();
        for part in Path::new(inside).components() {
            path.push(part);
            copy_dir_alone(&tree.join(&path), &state.join(&path))?;
        }
        copy_dirs_below(&tree.join(inside), &state.join(inside))?;
    }
    Ok(())
}

fn copy_dirs_below(from: &Path, to: &Path) -> Result<()> {
    for name in files::names(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.symlink_metadata().is_ok_and(|m| m.is_dir()) {
            copy_dir_alone(&from, &to)?;
            copy_dirs_below(&from, &to)?;
        }
    }
    Ok(())
}

fn copy_dir_alone(from: &Path, to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        return Ok(());
    }
    fs::create_dir(to).at("make", to)?;
    if from.is_dir() { files::copy_attributes(from, to) } else { Ok(()) }
}
