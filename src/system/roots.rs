//! Roots and points of a profile on disk: made from the template or from a point, their one-line
//! facts, the `current` pointer, and what an undo carries on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::model::carried::{CARRIED, LENT_RESOLV_CONF};
use crate::model::error::{At, Error, Result};
use crate::model::layout::{ProfileDir, RootDir, RootFact};
use crate::model::{BaseVersion, EntryNumber};

use super::{files, identity, upper};

/// The root the next boot mounts: what `current` names.
pub fn current(profile: &ProfileDir) -> Result<EntryNumber> {
    let link = profile.current();
    let target = fs::read_link(&link).at("read", &link)?;
    let number = target.strip_prefix("roots").ok().and_then(|n| n.to_str()?.parse().ok());
    number.ok_or_else(|| Error::Damaged { what: link, why: format!("it points to {}", target.display()) })
}

/// THE commit of undo, redo, reset and rebase: one rename, durable when this returns.
pub fn flip(profile: &ProfileDir, to: EntryNumber) -> Result<()> {
    files::replace_symlink(&format!("roots/{to}"), &profile.current())
}

/// The first pointer of a profile that is being made; publishing the profile makes it count.
pub fn aim(profile: &ProfileDir, at: EntryNumber) -> Result<()> {
    let link = profile.current();
    std::os::unix::fs::symlink(format!("roots/{at}"), &link).at("make", &link)
}

/// The numbers in `roots/` or `snapshots/`.
pub fn numbers(dir: &Path) -> Result<BTreeSet<EntryNumber>> {
    Ok(files::names(dir)?.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// e.g. `13.2`; every root and point has it.
pub fn base_of(root: &RootDir) -> Result<BaseVersion> {
    let path = root.fact(RootFact::Base);
    let text = files::read_line(&path)?;
    text.parse().map_err(|_| Error::Damaged { what: path, why: format!("{text:?} is not a base version") })
}

pub fn fact(root: &RootDir, fact: RootFact) -> Result<String> {
    let text = files::read_if_there(&root.fact(fact))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned())
}

/// In a root that is `current`.
pub fn replace_fact(root: &RootDir, fact: RootFact, text: &str) -> Result<()> {
    files::replace(&root.fact(fact), format!("{text}\n").as_bytes())
}

/// In a root that is being made.
pub fn write_fact(root: &RootDir, fact: RootFact, text: &str) -> Result<()> {
    files::write_unpublished(&root.fact(fact), format!("{text}\n").as_bytes())
}

/// Writes a file into an upper, making the directories above it look like those of the base. For a
/// root that is not mounted.
pub fn write_into_upper(upper: &Path, base: &Path, inside: &str, bytes: &[u8]) -> Result<()> {
    make_parents(upper, &[base], Path::new(inside))?;
    let path = upper.join(inside);
    files::remove_tree(&path)?;
    fs::write(&path, bytes).at("write", &path)?;
    let pattern = base.join(inside);
    if pattern.symlink_metadata().is_ok_and(|m| m.is_file()) {
        files::copy_attributes(&pattern, &path)?;
    } else {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).at("set the mode of", &path)?;
    }
    Ok(())
}

/// Hands the carried paths of one upper on to another, on the same or another base: a file, a
/// whiteout or nothing at all. For a target root that is not mounted.
pub fn carry(from: &RootDir, to: &RootDir, base_of_to: &Path) -> Result<()> {
    for inside in CARRIED {
        let (source, target) = (from.upper().join(inside), to.upper().join(inside));
        // A link above it may be absolute, and then leads to the files of this machine.
        let above = Path::new(inside).parent().unwrap_or(Path::new(""));
        if has_link(&from.upper(), above) || has_link(&to.upper(), above) {
            continue;
        }
        let meta = match source.symlink_metadata() {
            // Not even its directory is one any more: what is broken is not handed on.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files::remove_tree(&target)?;
                continue;
            }
            other => other.at("look at", &source)?,
        };
        if !meta.is_file() && !files::is_whiteout(&meta) {
            continue; // a directory or a link of that name is the person's own: leave both as they are
        }
        if same_file(&source, &meta, &target) {
            continue; // not even a time changes
        }
        make_parents(&to.upper(), &[&from.upper(), base_of_to], Path::new(inside))?;
        files::remove_tree(&target)?;
        if files::is_whiteout(&meta) {
            make_whiteout(&target)?;
        } else {
            fs::copy(&source, &target).at("copy to", &target)?;
            files::copy_attributes(&source, &target)?;
        }
    }
    identity::carry(from, to, base_of_to)
}

/// New content for a file of a root that nobody uses, wherever it lay: its owner, mode and attributes stay.
/// A file that is not there, or is reached through a link, stays as it is.
pub fn rewrite_in_upper(root: &RootDir, base: &Path, inside: &str, bytes: &[u8]) -> Result<()> {
    let Some(old) = upper::find(root, base, Path::new(inside)) else { return Ok(()) };
    let linked = has_link(&root.upper(), Path::new(inside));
    if linked || !old.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
        return Ok(());
    }
    make_parents(&root.upper(), &[base], Path::new(inside))?;
    let path = root.upper().join(inside);
    let (dir, aside) = (path.parent().unwrap_or(&path), files::beside(&path, ".flipper-new"));
    files::keeping_times(dir, || {
        fs::write(&aside, bytes).at("write", &aside)?;
        files::copy_attributes(&old, &aside)?;
        fs::rename(&aside, &path).at("rename to", &path) // the visible moment of this file
    })
}

/// Is a lent resolv.conf in the upper?
pub fn has_lent(root: &RootDir) -> bool {
    let target = fs::read_link(root.upper().join("etc/resolv.conf"));
    target.is_ok_and(|target| target == Path::new(LENT_RESOLV_CONF))
        && !has_link(&root.upper(), Path::new("etc"))
}

pub(super) fn has_link(tree: &Path, inside: &Path) -> bool {
    let mut ancestors = inside.ancestors().filter(|path| !path.as_os_str().is_empty());
    ancestors.any(|path| {
        let path = tree.join(path);
        path.symlink_metadata().is_ok_and(|meta| meta.is_symlink())
    })
}

/// The snapshot shares the file: same content and attributes, as far as the inode tells.
pub(super) fn same_file(source: &Path, meta: &fs::Metadata, target: &Path) -> bool {
    let stamp = |m: &fs::Metadata| (m.mode(), m.uid(), m.gid(), m.rdev(), m.len(), m.mtime(), m.mtime_nsec());
    let Ok(there) = target.symlink_metadata() else { return false };
    stamp(meta) == stamp(&there) && (!meta.is_file() || fs::read(source).ok() == fs::read(target).ok())
}

/// Takes the resolv.conf a run lent out of a root that was staged from a point taken in that run. Where
/// the base has one, the profile had removed it (else nothing would have been lent): it stays removed.
pub fn give_back_lent(root: &RootDir, base: &Path) -> Result<()> {
    let etc = root.upper().join("etc");
    let path = etc.join("resolv.conf");
    if !has_lent(root) {
        return Ok(());
    }
    files::keeping_times(&etc, || {
        files::remove_if_there(&path)?;
        match base.join("etc/resolv.conf").symlink_metadata() {
            Ok(_) => make_whiteout(&path),
            Err(_) => Ok(()),
        }
    })
}

/// A clone must not begin with the seed its source begins with; the first boot makes another.
pub fn drop_random_seed(root: &RootDir) -> Result<()> {
    let seed = Path::new("var/lib/systemd/random-seed");
    let path = root.upper().join(seed);
    let is_file = !has_link(&root.upper(), seed) && path.is_file(); // a whiteout goes on hiding the base's
    if is_file { files::remove_tree(&path) } else { Ok(()) }
}

/// Makes the directories above `inside` in an upper, each with the attributes of the first pattern
/// that has it. A directory that is there stays as it is.
pub fn make_parents(upper: &Path, patterns: &[&Path], inside: &Path) -> Result<()> {
    let mut path = PathBuf::new();
    let parts: Vec<_> = inside.parent().into_iter().flat_map(Path::components).collect();
    for part in parts {
        let Component::Normal(name) = part else { continue };
        path.push(name);
        let here = upper.join(&path);
        match here.symlink_metadata() {
            Ok(meta) if meta.is_dir() => continue,
            Ok(_) => files::remove_tree(&here)?,
            Err(_) => {}
        }
        fs::create_dir(&here).at("make", &here)?;
        let pattern = patterns.iter().map(|p| p.join(&path)).find(|p| p.is_dir());
        if let Some(pattern) = pattern {
            files::copy_attributes(&pattern, &here)?;
        }
    }
    Ok(())
}

pub(super) fn make_whiteout(path: &Path) -> Result<()> {
    use nix::sys::stat::{Mode, SFlag, mknod};
    mknod(path, SFlag::S_IFCHR, Mode::empty(), 0).at("make", path)
}

/// Proves a root is what an overlay needs (facts: the kernel mounts all of these without a word and
/// fails later): upper and work in one subvolume that is not the base's, writable, at the floor.
pub fn prove_layout(root: &RootDir, base: &Path, floor: u64) -> Result<()> {
    let look = |path: &Path| fs::metadata(path).at("look at", path);
    let (upper, work, lower) = (look(&root.upper())?, look(&root.work())?, look(base)?);
    let damaged = |why: &str| Err(Error::Damaged { what: root.path().to_path_buf(), why: why.into() });
    if upper.dev() != work.dev() {
        return damaged("root/ and work/ are in different subvolumes");
    }
    if upper.dev() == lower.dev() {
        return damaged("it lies in the same subvolume as its base");
    }
    if super::btrfs::is_read_only(root.path())? {
        return damaged("it is read-only");
    }
    if upper.ino() < floor {
        return damaged("its inode numbers are below the floor");
    }
    Ok(())
}
