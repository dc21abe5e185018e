//! A copy of a merged directory, from the layers it is made of: overlayfs itself could not share the
//! bytes with the copy (a reflink does not lead out of an overlay), their own file system can. Owners,
//! modes, extended attributes, ACLs, times, links of one file to another, devices and FIFOs are kept; a
//! socket is nothing without its program and is left out.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::model::error::{At, Result};
use crate::system::{files, upper};

/// The directories that are one in a merged tree. Whiteouts and opaque marks count in the upper only.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pub upper: Option<PathBuf>,
    pub base: Option<PathBuf>,
}

impl Layers {
    /// A directory that is what it is.
    pub fn plain(dir: &Path) -> Layers {
        Layers { upper: None, base: Some(dir.to_path_buf()) }
    }

    pub fn is_there(&self) -> bool {
        self.upper.is_some() || self.base.is_some()
    }

    /// The directory whose attributes are seen.
    pub fn top(&self) -> Option<&PathBuf> {
        self.upper.as_ref().or(self.base.as_ref())
    }

    /// What can be seen: each name with where it lies, for a directory its layers.
    fn names(&self) -> Result<BTreeMap<OsString, Layers>> {
        let mut seen = BTreeMap::new();
        let mut hidden = Vec::new();
        for name in self.upper.iter().map(|dir| files::names(dir)).next().transpose()?.unwrap_or_default() {
            let path = self.upper.iter().map(|dir| dir.join(&name)).next().unwrap_or_default();
            let meta = path.symlink_metadata().at("look at", &path)?;
            match files::is_whiteout(&meta) {
                true => hidden.push(name),
                false => drop(seen.insert(name, (path, meta.is_dir()))),
            }
        }
        let mut merged: BTreeMap<OsString, Layers> = BTreeMap::new();
        for name in self.base.iter().map(|dir| files::names(dir)).next().transpose()?.unwrap_or_default() {
            let path = self.base.iter().map(|dir| dir.join(&name)).next().unwrap_or_default();
            let covered = match seen.get(&name) {
                Some((over, is_dir)) => {
                    !is_dir || upper::is_opaque(over) || !path.symlink_metadata().is_ok_and(|m| m.is_dir())
                }
                None => hidden.contains(&name),
            };
            if !covered {
                merged.insert(name, Layers { upper: None, base: Some(path) });
            }
        }
        for (name, (path, _)) in seen {
            merged.entry(name).or_default().upper = Some(path);
        }
        Ok(merged)
    }
}

/// One copy on its way.
pub struct Copy<'a> {
    /// Relative to the top of what is copied: made as an empty directory, or not at all when it is none.
    pub empty: &'a [PathBuf],
    /// What is there already stays, else it is an error.
    pub over: bool,
    links: HashMap<(u64, u64), PathBuf>,
}

impl<'a> Copy<'a> {
    pub fn new(empty: &'a [PathBuf]) -> Copy<'a> {
        Copy { empty, over: false, links: HashMap::new() }
    }

    /// Copies a directory to `to`, which is made.
    pub fn directory(&mut self, from: &Layers, to: &Path) -> Result<()> {
        self.below(from, to, Path::new(""))
    }

    fn below(&mut self, from: &Layers, to: &Path, inside: &Path) -> Result<()> {
        let here = to.join(inside);
        let is_new = here.symlink_metadata().is_err();
        if is_new {
            files::make_dir(&here, 0o755)?;
        }
        if !self.empty.iter().any(|empty| empty == inside) {
            for (name, layers) in from.names()? {
                self.one(&layers, to, &inside.join(name))?;
            }
        }
        // Last, because each name made in it changes its times.
        match from.top().filter(|_| is_new) {
            Some(pattern) => files::copy_attributes(pattern, &here).and_then(|()| super::unmark(&here)),
            None => Ok(()),
        }
    }

    fn one(&mut self, from: &Layers, to: &Path, inside: &Path) -> Result<()> {
        let Some(source) = from.top() else { return Ok(()) };
        let meta = source.symlink_metadata().at("look at", source)?;
        let target = to.join(inside);
        if meta.is_dir() {
            let there = target.symlink_metadata().ok();
            return match there.is_none_or(|there| there.is_dir()) {
                true => self.below(from, to, inside),
                false => Ok(()),
            };
        }
        match self.over && target.symlink_metadata().is_ok() {
            true => Ok(()),
            false => self.file(source, &meta, &target),
        }
    }

    /// A path of a snapshot, whatever it is; several copied by one [`Copy`] keep the links between them.
    pub fn path(&mut self, source: &Path, target: &Path) -> Result<()> {
        let meta = source.symlink_metadata().at("look at", source)?;
        match meta.is_dir() {
            true => self.directory(&Layers::plain(source), target),
            false => self.file(source, &meta, target),
        }
    }

    /// Anything but a directory.
    fn file(&mut self, source: &Path, meta: &fs::Metadata, target: &Path) -> Result<()> {
        if meta.file_type().is_socket() {
            return Ok(());
        }
        if meta.nlink() > 1 {
            let identity = (meta.dev(), meta.ino());
            if let Some(first) = self.links.get(&identity) {
                return fs::hard_link(first, target).at("link to", target);
            }
            self.links.insert(identity, target.to_path_buf());
        }
        make(source, meta, target)?;
        files::copy_attributes(source, target)
    }
}

/// With its content only: a file, a link, a device or a FIFO.
fn make(source: &Path, meta: &fs::Metadata, target: &Path) -> Result<()> {
    let kind = meta.file_type();
    if kind.is_symlink() {
        let to = fs::read_link(source).at("read", source)?;
        return std::os::unix::fs::symlink(to, target).at("make", target);
    }
    if kind.is_file() {
        return bytes(source, target);
    }
    let flag = match () {
        _ if kind.is_block_device() => SFlag::S_IFBLK,
        _ if kind.is_char_device() => SFlag::S_IFCHR,
        _ => SFlag::S_IFIFO,
    };
    mknod(target, flag, Mode::from_bits_truncate(0o600), meta.rdev()).at("make", target)
}

/// Shared where the file system can (linux/fs.h, FICLONE), copied where it cannot.
fn bytes(source: &Path, target: &Path) -> Result<()> {
    const FICLONE: nix::libc::c_ulong = 0x4004_9409;
    let from = File::open(source).at("open", source)?;
    let to = File::options().write(true).create_new(true).open(target).at("make", target)?;
    to.set_permissions(fs::Permissions::from_mode(0o600)).at("set the mode of", target)?;
    if unsafe { nix::libc::ioctl(to.as_raw_fd(), FICLONE as _, from.as_raw_fd()) } == 0 {
        return Ok(());
    }
    fs::copy(source, target).map(drop).at("copy to", target)
}
