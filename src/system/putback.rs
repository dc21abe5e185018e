//! Putting single paths of an earlier state back, live, through the merged mount (never through the
//! upper: editing a mounted upper is undefined). Each file is written aside and renamed, so that a
//! reader sees the old file or the new one.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::model::error::{At, Error, Result};

use super::files;

/// How many paths were written, and how many removed because they were not there then.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub written: usize,
    pub removed: usize,
}

/// Makes `now`/inside equal to `then`/inside, and the directories above it where they are missing. A
/// symbolic link above it is refused: followed from outside the profile, an absolute one leads to the
/// files of this machine.
pub fn put_back_path(then: &Path, now: &Path, inside: &Path, count: &mut Count) -> Result<()> {
    let mut above = PathBuf::new();
    for part in inside.parent().into_iter().flat_map(Path::components) {
        above.push(part);
        let (source, target) = (then.join(&above), now.join(&above));
        for path in [&source, &target] {
            if path.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
                let why = format!("/{} is a symbolic link: name what it leads to", above.display());
                return Err(Error::NotRestorable { path: Path::new("/").join(inside), why });
            }
        }
        if source.symlink_metadata().is_ok() && target.symlink_metadata().is_err() {
            fs::create_dir(&target).at("make", &target)?;
            files::copy_attributes(&source, &target)?;
        }
    }
    put_back(then, now, inside, count)
}

/// Makes `now`/inside equal to `then`/inside, with everything below it. `then` and `now` are merged roots.
fn put_back(then: &Path, now: &Path, inside: &Path, count: &mut Count) -> Result<()> {
    let (source, target) = (then.join(inside), now.join(inside));
    let meta = match fs::symlink_metadata(&source) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if target.symlink_metadata().is_ok() {
                files::remove_tree(&target)?;
                count.removed += 1;
            }
            return Ok(());
        }
        other => other.at("look at", &source)?,
    };
    if !meta.is_dir() {
        if !same(&source, &meta, &target)? {
            replace(&source, &meta, &target)?;
            count.written += 1;
        }
        return Ok(());
    }
    put_directory_back(then, now, inside, count)?;
    files::copy_attributes(&source, &target)
}

fn put_directory_back(then: &Path, now: &Path, inside: &Path, count: &mut Count) -> Result<()> {
    let (source, target) = (then.join(inside), now.join(inside));
    if !target.symlink_metadata().is_ok_and(|m| m.is_dir()) {
        files::remove_tree(&target)?;
        fs::create_dir(&target).at("make", &target)?;
        count.written += 1;
    }
    for name in files::names(&target)? {
        if source.join(&name).symlink_metadata().is_err() {
            files::remove_tree(&target.join(&name))?;
            count.removed += 1;
        }
    }
    for name in files::names(&source)? {
        put_back(then, now, &inside.join(name), count)?;
    }
    Ok(())
}

/// Same kind, attributes and content: then it is not touched.
fn same(source: &Path, meta: &fs::Metadata, target: &Path) -> Result<bool> {
    let Ok(there) = fs::symlink_metadata(target) else { return Ok(false) };
    let stamp = |m: &fs::Metadata| (m.mode(), m.uid(), m.gid(), m.rdev(), m.mtime(), m.mtime_nsec());
    if stamp(meta) != stamp(&there) || attributes(source)? != attributes(target)? {
        return Ok(false);
    }
    if meta.file_type().is_symlink() {
        return Ok(fs::read_link(source).at("read", source)? == fs::read_link(target).at("read", target)?);
    }
    if !meta.is_file() {
        return Ok(true);
    }
    Ok(meta.len() == there.len()
        && fs::read(source).at("read", source)? == fs::read(target).at("read", target)?)
}

fn attributes(path: &Path) -> Result<Vec<(std::ffi::OsString, Option<Vec<u8>>)>> {
    let mut found = Vec::new();
    for name in xattr::list(path).at("read attributes of", path)? {
        let value = xattr::get(path, &name).at("read attributes of", path)?;
        found.push((name, value));
    }
    found.sort();
    Ok(found)
}

fn replace(source: &Path, meta: &fs::Metadata, target: &Path) -> Result<()> {
    let aside = files::beside(target, ".flipper-new");
    files::remove_tree(&aside)?;
    make(source, meta, &aside)?;
    files::copy_attributes(source, &aside)?;
    if meta.is_file() {
        fs::File::open(&aside).and_then(|f| f.sync_all()).at("sync", &aside)?;
    }
    if target.symlink_metadata().is_ok_and(|m| m.is_dir()) {
        files::remove_tree(target)?; // a directory cannot be renamed over
    }
    fs::rename(&aside, target).at("rename to", target) // the visible moment of this path
}

fn make(source: &Path, meta: &fs::Metadata, aside: &PathBuf) -> Result<()> {
    let kind = meta.file_type();
    if kind.is_symlink() {
        let to = fs::read_link(source).at("read", source)?;
        return std::os::unix::fs::symlink(to, aside).at("make", aside);
    }
    if kind.is_file() {
        fs::copy(source, aside).at("copy to", aside)?;
        return fs::set_permissions(aside, fs::Permissions::from_mode(0o600)).at("set the mode of", aside);
    }
    let flag = match () {
        _ if kind.is_block_device() => SFlag::S_IFBLK,
        _ if kind.is_char_device() => SFlag::S_IFCHR,
        _ if kind.is_fifo() => SFlag::S_IFIFO,
        _ => SFlag::S_IFSOCK,
    };
    mknod(aside, flag, Mode::from_bits_truncate(0o600), meta.rdev()).at("make", aside)
}
