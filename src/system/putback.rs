//! Putting single paths of an earlier state back, live, through the merged mount (never through the
//! upper: editing a mounted upper is undefined). Each file is written aside and renamed, so that a
//! reader sees the old file or the new one.

use std::collections::HashMap;
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
    /// Files with several names that were put back already, by device and inode number of their source.
    links: HashMap<(u64, u64), PathBuf>,
}

/// Refuses a path that is reached through a link, then or now: followed from outside, a link leads out
/// of the merged root, to files of this machine, and inside it to what was not checked.
pub fn need_no_links_above(tree: &Path, inside: &Path) -> Result<()> {
    for above in inside.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()) {
        let Ok(meta) = fs::symlink_metadata(tree.join(above)) else { continue };
        if meta.is_symlink() {
            let why = format!("/{} is a link: name the place it leads to", above.display());
            return Err(Error::NotRestorable { path: Path::new("/").join(inside), why });
        }
    }
    Ok(())
}

/// Makes `now`/inside equal to `then`/inside, with everything below it and the directories above it.
/// `then` and `now` are merged roots.
pub fn put_back(then: &Path, now: &Path, inside: &Path, count: &mut Count) -> Result<()> {
    let mut above: Vec<&Path> = inside.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
    while let Some(dir) = above.pop() {
        let (source, target) = (then.join(dir), now.join(dir));
        let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|m| m.is_dir());
        if is_dir(&source) && !is_dir(&target) {
            files::remove_tree(&target)?;
            fs::create_dir(&target).at("make", &target)?;
            files::copy_attributes(&source, &target)?;
            count.written += 1;
        }
    }
    put_path_back(then, now, inside, count)
}

fn put_path_back(then: &Path, now: &Path, inside: &Path, count: &mut Count) -> Result<()> {
    let (source, target) = (then.join(inside), now.join(inside));
    let meta = match fs::symlink_metadata(&source) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            if target.symlink_metadata().is_ok() {
                files::remove_tree(&target)?;
                count.removed += 1;
            }
            return Ok(());
        }
        other => other.at("look at", &source)?,
    };
    if !meta.is_dir() {
        return put_file_back(&source, &meta, &target, count);
    }
    put_directory_back(then, now, inside, count)?;
    files::copy_attributes(&source, &target)
}

/// Anything but a directory. Names of one file are names of one file again.
fn put_file_back(source: &Path, meta: &fs::Metadata, target: &Path, count: &mut Count) -> Result<()> {
    let identity = (meta.dev(), meta.ino());
    let first = count.links.get(&identity).filter(|_| meta.nlink() > 1);
    let is_done = match first {
        Some(first) => is_one_file(first, target),
        None => same(source, meta, target)?,
    };
    if !is_done {
        replace(source, meta, first.map(PathBuf::as_path), target)?;
        count.written += 1;
    }
    if meta.nlink() > 1 {
        count.links.entry(identity).or_insert_with(|| target.to_path_buf());
    }
    Ok(())
}

fn is_one_file(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| path.symlink_metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    matches!((identity(a), identity(b)), (Some(a), Some(b)) if a == b)
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
        put_path_back(then, now, &inside.join(name), count)?;
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

/// Where a path is made before it takes its place: a cut may leave it.
pub fn aside(target: &Path) -> PathBuf {
    files::beside(target, ".flipper-new")
}

/// `first`: another name of the same file, put back already.
fn replace(source: &Path, meta: &fs::Metadata, first: Option<&Path>, target: &Path) -> Result<()> {
    let aside = aside(target);
    files::remove_tree(&aside)?;
    let made = match first {
        Some(first) => fs::hard_link(first, &aside).at("link to", &aside),
        None => make_whole(source, meta, &aside),
    };
    if made.is_err() {
        files::remove_tree(&aside)?; // a full disk: half of it would stay for ever
    }
    made?;
    if target.symlink_metadata().is_ok_and(|m| m.is_dir()) {
        files::remove_tree(target)?; // a directory cannot be renamed over
    }
    fs::rename(&aside, target).at("rename to", target) // the visible moment of this path
}

fn make_whole(source: &Path, meta: &fs::Metadata, aside: &Path) -> Result<()> {
    make(source, meta, aside)?;
    files::copy_attributes(source, aside)?;
    if meta.is_file() {
        fs::File::open(aside).and_then(|f| f.sync_all()).at("sync", aside)?;
    }
    Ok(())
}

/// Another text for a file that is there, with its owner, mode and extended attributes.
pub fn replace_text(path: &Path, text: &[u8]) -> Result<()> {
    let aside = files::beside(path, ".flipper-new");
    files::remove_tree(&aside)?;
    fs::write(&aside, b"").at("make", &aside)?;
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o600)).at("set the mode of", &aside)?;
    fs::write(&aside, text).at("write", &aside)?;
    files::copy_attributes(path, &aside)?;
    fs::File::open(&aside).and_then(|f| f.sync_all()).at("sync", &aside)?;
    fs::rename(&aside, path).at("rename to", path) // the visible moment of this file
}

/// Anything but a directory, without its attributes.
pub(super) fn make(source: &Path, meta: &fs::Metadata, aside: &Path) -> Result<()> {
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
