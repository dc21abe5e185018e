//! Assembles a root: the overlay, proved, with home and state/ mounted over it. The one function
//! behind `run`, `mount` and the boot. What is in state/ is mounted; what should be is brought there by
//! `state/settle.rs`, which whoever holds the root calls first.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::model::error::{At, Error, Result};
use crate::model::layout::{OVERLAY_OPTIONS, ProfileDir, RootDir};
use crate::model::state_path::StatePath;
use crate::model::{BaseVersion, Layout};

use super::pool::Pool;
use super::state::settle::Problem;
use super::state::{self, settle};
use super::{files, roots, shared};

/// What is to be assembled.
pub struct Assembly<'a> {
    pub pool: &'a Pool,
    pub profile: &'a ProfileDir,
    pub root: &'a RootDir,
    pub base: &'a BaseVersion,
    /// Where the merged root appears, an existing directory.
    pub target: &'a Path,
    /// home too, and this state/; None: the bare merged tree as undo sees it.
    pub state: Option<PathBuf>,
}

const NONE: Option<&str> = None;

impl Assembly<'_> {
    /// Mounts the writable root. What of state/ cannot be mounted is named, and the profile starts without.
    pub fn mount(&self) -> Result<Vec<Problem>> {
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
        match &self.state {
            Some(state) => self.mount_data(state),
            None => Ok(Vec::new()),
        }
    }

    fn mount_data(&self, state: &Path) -> Result<Vec<Problem>> {
        let home = files::mount_point(self.target, "home")?;
        let flags = MsFlags::MS_NOATIME | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        subvolume(self.pool, Path::new("@data/home"), &home, flags)?;
        let whole = mount_state(self.pool, state)?;
        let bound = self.bind_all(&whole);
        umount2(&whole, MntFlags::MNT_DETACH).at("unmount", &whole)?;
        let problems = bound?;
        shared::mount_shared(self.pool, self.profile, self.target)?;
        Ok(problems)
    }

    /// One path that cannot be mounted must not keep the profile from its start.
    fn bind_all(&self, whole: &Path) -> Result<Vec<Problem>> {
        let bound = state::found(whole)?.into_iter().map(|path| (self.bind(whole, &path), path));
        Ok(bound
            .filter_map(|(done, path)| done.err().map(|error| Problem { path: Some(path), error }))
            .collect())
    }

    /// One path of state/ over the root's, which gives it the directories it lacks.
    fn bind(&self, whole: &Path, path: &StatePath) -> Result<()> {
        let (from, inside) = (whole.join(path.inside()), path.inside());
        // The owner may have led it elsewhere with a link: then it is the owner's, and rolls back. What is
        // in state/ is not seen meanwhile, which mount_point says.
        if leads_elsewhere(self.target, inside) && files::names(&from)?.is_empty() {
            return Ok(());
        }
        let to = files::mount_point(self.target, inside)?;
        let of_the_root = settle::of_the_root(path);
        copy_dirs_below(&to, &from, Path::new(""), &of_the_root)?;
        let kept =
            of_the_root.iter().map(|below| Kept::take(&to, &from, below)).collect::<Result<Vec<_>>>()?;
        mount(Some(&from), &to, NONE, MsFlags::MS_BIND, NONE).at("bind", &to)?;
        kept.into_iter().flatten().try_for_each(|kept| kept.put(&to))
    }
}

/// A directory of the root inside a path of state/: found before it is covered, and bound over again.
struct Kept {
    inside: PathBuf,
    merged: File,
}

impl Kept {
    fn take(merged: &Path, from: &Path, inside: &Path) -> Result<Option<Kept>> {
        if leads_elsewhere(merged, inside) {
            return Ok(None);
        }
        let dir = files::mount_point(merged, inside)?;
        files::mount_point(from, inside)?;
        let open =
            OpenOptions::new().read(true).custom_flags(nix::libc::O_PATH).open(&dir).at("open", &dir)?;
        Ok(Some(Kept { inside: inside.to_path_buf(), merged: open }))
    }

    fn put(self, over: &Path) -> Result<()> {
        let (from, to) =
            (PathBuf::from(format!("/proc/self/fd/{}", self.merged.as_raw_fd())), over.join(self.inside));
        mount(Some(&from), &to, NONE, MsFlags::MS_BIND, NONE).at("bind", &to)
    }
}

/// Mounts the whole of a state/ at a place of our own, for its paths to be bound from: what stays in the
/// tree may hold programs and devices (a container store does), which the pool's own mount forbids.
pub fn mount_state(pool: &Pool, state: &Path) -> Result<PathBuf> {
    let whole = PathBuf::from("/run/flipper/state");
    fs::create_dir_all(&whole).at("make", &whole)?;
    let inside = state.strip_prefix(pool.layout.top()).unwrap_or(state);
    subvolume(pool, inside, &whole, MsFlags::MS_NOATIME)?;
    Ok(whole)
}

/// Mounts a point (or a root nobody uses) read-only on its base: the merged tree as it was.
pub fn mount_read_only(layout: &Layout, state: &RootDir, base: &BaseVersion, target: &Path) -> Result<()> {
    let base = existing_base(layout, base)?;
    let options = format!("lowerdir={}:{},{OVERLAY_OPTIONS}", state.upper().display(), base.display());
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOATIME;
    mount(Some("overlay"), target, Some("overlay"), flags, Some(options.as_str()))
        .at("mount the overlay at", target)
}

/// Is there something other than directories at or above a path? No link is followed to find out.
fn leads_elsewhere(root: &Path, inside: &Path) -> bool {
    let mut path = root.to_path_buf();
    let mut seen = inside.components().map_while(|part| {
        path.push(part);
        path.symlink_metadata().ok()
    });
    seen.any(|meta| !meta.is_dir())
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

/// Gives a path of state/ the directories the merged root has below it: same owner, mode, xattrs.
fn copy_dirs_below(from: &Path, to: &Path, inside: &Path, not: &[PathBuf]) -> Result<()> {
    for name in files::names(&from.join(inside))? {
        let inside = inside.join(name);
        let (source, target) = (from.join(&inside), to.join(&inside));
        if not.contains(&inside) || !source.symlink_metadata().is_ok_and(|m| m.is_dir()) {
            continue;
        }
        match target.symlink_metadata() {
            Ok(meta) if !meta.is_dir() => continue, // it became something else since
            Ok(_) => {}
            Err(_) => {
                fs::create_dir(&target).at("make", &target)?;
                files::copy_attributes(&source, &target)?;
            }
        }
        copy_dirs_below(from, to, &inside, not)?;
    }
    Ok(())
}
