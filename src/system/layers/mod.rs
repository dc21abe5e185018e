//! An upper and the bases below it, without a mount: the upper walked raw (whiteouts, opaque directories,
//! overlayfs's own attributes), each path beside what the bases have there, and the merged view of the
//! upper over either. Nothing is written, and a base may be only its manifest.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::error::{At, Result};
use crate::model::layout::RootDir;
use crate::model::tree::{self, Object, Tree, Triple, Xattrs};

use super::object;

mod attributed;
mod merged;

use attributed::Attributed;
pub use merged::Merged;

/// What overlayfs keeps in extended attributes; with `userxattr` it would be the second kind.
const OWN_MARKS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
const OPAQUE: &str = "trusted.overlay.opaque";
const WHITEOUT: &str = "trusted.overlay.whiteout";

/// Every path of an upper, in [`crate::model::tree::order`].
pub struct Upper {
    /// `@profiles/lab/roots/41/root`
    dir: PathBuf,
    pub triples: Vec<Triple>,
}

impl Upper {
    /// Walks the upper and looks each path up in both bases, in their order.
    pub fn read(root: &RootDir, old: &dyn Tree, new: &dyn Tree) -> Result<Upper> {
        let mut upper = Upper { dir: root.upper(), triples: Vec::new() };
        let around = Around { old, new, attributed: Attributed::below(&upper.dir)? };
        upper.walk(Path::new(""), false, &around)?;
        Ok(upper)
    }

    /// Where a path of the upper lies on disk.
    pub fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.dir.join(OsStr::from_bytes(path))
    }

    /// Paths that were written, made or removed since then, as far as their own time or that of their
    /// directory tells. The kernel's clock for files may be a tick (10 ms) behind.
    pub fn changed_since(&self, then: SystemTime) -> Vec<Vec<u8>> {
        const TICK: Duration = Duration::from_millis(10);
        let then = (then - TICK).duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = |triple: &&Triple| match self.on_disk(&triple.path).symlink_metadata() {
            Ok(meta) => {
                (meta.ctime(), meta.ctime_nsec()) >= (then.as_secs() as i64, then.subsec_nanos().into())
            }
            Err(_) => true,
        };
        self.triples.iter().filter(changed).map(|triple| triple.path.clone()).collect()
    }

    fn walk(&mut self, inside: &Path, xattr_whiteouts: bool, around: &Around) -> Result<()> {
        for Seen { mut triple, opaque, is_directory } in self.list(inside, xattr_whiteouts, around)? {
            triple.old = around.old.find(&triple.path)?.map(Box::new);
            triple.new = around.new.find(&triple.path)?.map(Box::new);
            let path = self.on_disk(&triple.path);
            match hash_if_it_matters(&mut triple, &path) {
                Err(_) if is_gone(&path) => continue,
                other => other?,
            }
            let inside = is_directory.then(|| inside.join(OsStr::from_bytes(tree::name(&triple.path))));
            self.triples.push(triple);
            if let Some(inside) = inside {
                // "x": whiteouts in here may be files with an attribute (kernel 6.7 and later).
                self.walk(&inside, opaque == Opaque::HasXattrWhiteouts, around)?;
            }
        }
        Ok(())
    }

    /// What is in one directory, by name. It is looked at through the open directory, which spares the kernel
    /// the way from the top, and closed before anything below it is listed: a tree may be deeper than a
    /// process may have files open.
    fn list(&self, inside: &Path, xattr_whiteouts: bool, around: &Around) -> Result<Vec<Seen>> {
        let dir = self.dir.join(inside);
        let list = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.at("list", &dir)?,
        };
        let mut seen = Vec::new();
        for entry in list {
            let entry = entry.at("list", &dir)?;
            // Of a root in use, a file may have gone since its name was read.
            let Ok(meta) = entry.metadata() else { continue };
            let (path, inside) = (entry.path(), inside.join(entry.file_name()));
            let has_xattrs = around.attributed.may_have(&meta);
            match look(&inside, &path, &meta, has_xattrs, xattr_whiteouts) {
                Err(_) if is_gone(&path) => {}
                looked => seen.push(looked?),
            }
        }
        seen.sort_unstable_by(|a, b| a.triple.path.cmp(&b.triple.path));
        Ok(seen)
    }
}

/// What a walk asks besides the upper itself.
struct Around<'a> {
    old: &'a dyn Tree,
    new: &'a dyn Tree,
    attributed: Attributed,
}

/// A path of the upper, before it is looked up in the bases.
struct Seen {
    triple: Triple,
    opaque: Opaque,
    /// A whiteout is none.
    is_directory: bool,
}

#[derive(PartialEq)]
enum Opaque {
    No,
    Yes,
    HasXattrWhiteouts,
}

fn look(
    inside: &Path,
    path: &Path,
    meta: &fs::Metadata,
    has_xattrs: bool,
    xattr_whiteouts: bool,
) -> Result<Seen> {
    let all = if has_xattrs { object::xattrs(path)? } else { Xattrs::new() };
    let is_mark = |name: &[u8]| OWN_MARKS.iter().any(|prefix| name.starts_with(prefix));
    let opaque = match all.get(OPAQUE.as_bytes()).map(Vec::as_slice) {
        Some(b"y") => Opaque::Yes,
        Some(b"x") => Opaque::HasXattrWhiteouts,
        _ => Opaque::No,
    };
    let marks = all.keys().filter(|name| is_mark(name) && *name != OPAQUE.as_bytes());
    let marks = marks.map(|name| String::from_utf8_lossy(name).into()).collect();
    let xattr_whiteout =
        xattr_whiteouts && meta.is_file() && meta.len() == 0 && all.contains_key(WHITEOUT.as_bytes());
    let is_whiteout = (meta.file_type().is_char_device() && meta.rdev() == 0) || xattr_whiteout;
    let others: Xattrs = all.into_iter().filter(|(name, _)| !is_mark(name)).collect();
    let mine = if is_whiteout { None } else { Some(Box::new(object::look(path, meta, others)?)) };
    let path = inside.as_os_str().as_bytes().to_vec();
    let is_opaque = opaque == Opaque::Yes;
    let triple = Triple { path, mine, inode: meta.ino(), opaque: is_opaque, marks, old: None, new: None };
    Ok(Seen { triple, opaque, is_directory: meta.is_dir() })
}

fn is_gone(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A file is read only where one of the bases has a file of its size.
fn hash_if_it_matters(triple: &mut Triple, path: &Path) -> Result<()> {
    let Some(mine) = triple.mine.as_mut().filter(|mine| mine.is_file()) else { return Ok(()) };
    let could_be_equal = |other: &Option<Box<Object>>| {
        other.as_ref().is_some_and(|o| o.is_file() && (o.size.is_none() || o.size == mine.size))
    };
    if could_be_equal(&triple.old) || could_be_equal(&triple.new) {
        mine.sha256 = Some(object::sha256(path)?);
    }
    Ok(())
}
