//! The merged view of single paths, without a mount: what overlayfs would show for a path of a root
//! or a point over its base. Whiteouts and opaque directories hide the base (kernel:
//! Documentation/filesystems/overlayfs, "whiteouts and opaque directories").

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::model::error::{At, Result};
use crate::model::layout::RootDir;

use super::files;

/// The file that is visible at `inside` (no symlinks on the way): in the upper, in the base, or none.
pub fn find(root: &RootDir, base: &Path, inside: &Path) -> Option<PathBuf> {
    let upper = root.upper();
    let mut path = PathBuf::new();
    let mut base_hidden = false;
    for part in inside.components() {
        let Component::Normal(name) = part else { continue };
        path.push(name);
        let here = upper.join(&path);
        let Ok(meta) = here.symlink_metadata() else {
            let below = base.join(plain(inside));
            let there = !base_hidden && below.symlink_metadata().is_ok();
            return there.then_some(below);
        };
        if files::is_whiteout(&meta) {
            return None;
        }
        base_hidden |= meta.is_dir() && is_opaque(&here);
    }
    Some(upper.join(path))
}

/// Without `..`: a path of a package database must not lead out of the root.
fn plain(inside: &Path) -> PathBuf {
    inside.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// The bytes of a merged file; None when it is not there. A link, and what is reached through one, is not
/// followed: from outside it leads to a file of this machine.
pub fn read(root: &RootDir, base: &Path, inside: impl AsRef<Path>) -> Result<Option<Vec<u8>>> {
    let inside = inside.as_ref();
    let Some(path) = find(root, base, inside) else { return Ok(None) };
    let above = inside.parent().unwrap_or(Path::new(""));
    match shows_directory(root, base, above) && files::is_regular(&path) {
        true => files::read_if_there(&path),
        false => Err(files::no_file()).at("read", &path),
    }
}

/// Is there a directory at this path of the merged root, with no link on the way?
pub fn shows_directory(root: &RootDir, base: &Path, inside: &Path) -> bool {
    let real = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let mut above = inside.ancestors().filter(|path| !path.as_os_str().is_empty());
    above.all(|dir| find(root, base, dir).is_some_and(|path| real(&path)))
}

/// The inode number a path has in the upper itself; None when only the base has it. A snapshot keeps
/// the numbers, so equal numbers mean that nobody replaced the file by a rename since.
pub fn inode(root: &RootDir, inside: &str) -> Option<u64> {
    root.upper().join(inside).symlink_metadata().ok().map(|meta| meta.ino())
}

/// Do two states show the same file at a path? Compared by identity first (a snapshot shares it),
/// by bytes only when that differs.
pub fn same_file(a: (&RootDir, &Path), b: (&RootDir, &Path), inside: &Path) -> bool {
    match (find(a.0, a.1, inside), find(b.0, b.1, inside)) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b || same_stamp(&a, &b) || same_bytes(&a, &b),
        _ => false,
    }
}

fn same_stamp(a: &Path, b: &Path) -> bool {
    let stamp = |path: &Path| {
        let meta = path.symlink_metadata().ok()?;
        Some((meta.ino(), meta.len(), meta.mode(), meta.ctime(), meta.ctime_nsec()))
    };
    matches!((stamp(a), stamp(b)), (Some(a), Some(b)) if a == b)
}

fn same_bytes(a: &Path, b: &Path) -> bool {
    matches!((files::read_if_there(a), files::read_if_there(b)), (Ok(Some(a)), Ok(Some(b))) if a == b)
}

pub fn is_opaque(dir: &Path) -> bool {
    matches!(xattr::get(dir, "trusted.overlay.opaque"), Ok(Some(value)) if value == b"y")
}

/// The files with this ending that can be seen in a merged directory, unsorted: name, and where it lies.
pub fn files_in(
    root: &RootDir,
    base: &Path,
    inside: &Path,
    ending: &[u8],
) -> Result<Vec<(OsString, PathBuf)>> {
    let (upper, below) = directories(root, base, inside);
    let (mut found, mut hidden) = (Vec::new(), HashSet::new());
    for (dir, is_upper) in [(upper, true), (below, false)] {
        let Some(dir) = dir else { continue };
        for name in files::names(&dir)? {
            if !name.as_bytes().ends_with(ending) || hidden.contains(&name) {
                continue;
            }
            let path = dir.join(&name);
            if is_upper {
                hidden.insert(name.clone());
            }
            if !is_upper || path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                found.push((name, path));
            }
        }
    }
    Ok(found)
}

/// The two directories that are merged at a path: of the upper, and of the base where it shows through.
pub fn directories(root: &RootDir, base: &Path, inside: &Path) -> (Option<PathBuf>, Option<PathBuf>) {
    let (mut here, mut base_hidden) = (root.upper(), false);
    let below = || Some(base.join(plain(inside)));
    for part in inside.components() {
        here.push(part);
        match here.symlink_metadata() {
            Err(_) => return (None, below().filter(|_| !base_hidden)),
            Ok(meta) if !meta.is_dir() => return (None, None),
            Ok(_) => base_hidden |= is_opaque(&here),
        }
    }
    (Some(here), below().filter(|_| !base_hidden))
}
