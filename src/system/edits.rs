//! Carrying out what a rebase or a repair changes in an upper that nobody uses (`model/edit.rs`). An upper
//! may be changed freely while no overlay is mounted on it (kernel: Documentation/filesystems/overlayfs,
//! "Changes to underlying filesystems"). Nothing is synced here: the root is not published yet.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::model::edit::{Edit, From, Owner};
use crate::model::error::{At, Error, Result};
use crate::model::tree;

use super::{base, files, putback, roots, upper};

/// Where edits are carried out.
pub struct Place<'a> {
    /// `roots/57/root`
    pub upper: &'a Path,
    pub old_base: &'a Path,
    pub new_base: &'a Path,
    /// Where [`Edit::Save`] keeps copies: `@journal/entries/lab/57/saved`
    pub saved: &'a Path,
}

const OPAQUE: &str = "trusted.overlay.opaque";

/// In their order. A link on the way to a path of an edit is refused: it may lead to files of this machine.
pub fn carry_out(place: &Place, edits: &[Edit]) -> Result<()> {
    let mut rest = edits;
    while let Some(first) = rest.first() {
        let saves = rest.iter().take_while(|edit| matches!(edit, Edit::Save(_))).count();
        if saves > 0 {
            save(place, &rest[..saves])?;
            rest = &rest[saves..];
            continue;
        }
        one(place, first)?;
        rest = &rest[1..];
    }
    Ok(())
}

fn one(place: &Place, edit: &Edit) -> Result<()> {
    match edit {
        Edit::Drop(path) => removed(&real(place.upper, path)?),
        Edit::DropIfEmpty(path) => {
            let path = real(place.upper, path)?;
            let is_empty = files::is_real_directory(&path, Path::new("")) && files::names(&path)?.is_empty();
            if is_empty { removed(&path) } else { Ok(()) }
        }
        Edit::Hide(path) => replaced(place, path, roots::make_whiteout),
        Edit::Open(path) => attribute(&real(place.upper, path)?, OPAQUE.as_bytes(), None),
        Edit::Save(_) => Ok(()), // all at once, above
        Edit::Write { path, text, owner } => write(place, path, text, *owner),
        Edit::Link { path, target } => {
            replaced(place, path, |to| symlink(OsStr::from_bytes(target), to).at("make", to))
        }
        Edit::Copy { path, from } => copy(place, path, path, *from),
        Edit::CopyOf { path, of } => copy(place, path, of, From::NewBase),
        Edit::Rename { path, to } => {
            let from = real(place.upper, path)?;
            replaced(place, to, |to| {
                files::keeping_times(&parent(&from), || fs::rename(&from, to).at("rename to", to))
            })
        }
        Edit::Owner { path, owner } => own(&real(place.upper, path)?, *owner),
        Edit::Attribute { path, name, value } => attribute(&real(place.upper, path)?, name, value.as_deref()),
        Edit::Detach(path) => detach(place, path),
    }
}

/// Where a path lies in the upper.
fn real(upper: &Path, path: &[u8]) -> Result<PathBuf> {
    let inside = Path::new(OsStr::from_bytes(path));
    let above = Path::new(OsStr::from_bytes(tree::parent(path)));
    match roots::has_link(upper, above) {
        true => Err(Error::Damaged { what: upper.join(inside), why: "a link leads to it".into() }),
        false => Ok(upper.join(inside)),
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_path_buf()
}

/// A flag of chattr(1) does not keep it: the point has it.
fn removed(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    files::keeping_times(&parent(path), || files::remove_tree_for_good(path))
}

/// Makes something at a path where whatever was there is gone. The directory above keeps its times.
fn replaced(place: &Place, path: &[u8], make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let to = real(place.upper, path)?;
    make_parents(place, path)?;
    files::keeping_times(&parent(&to), || {
        files::remove_tree_for_good(&to)?;
        make(&to)
    })
}

/// Directories as the new base has them, or the old one. Where the profile hid one, the base's stays hidden.
fn make_parents(place: &Place, path: &[u8]) -> Result<()> {
    for dir in tree::above(path) {
        let inside = Path::new(OsStr::from_bytes(dir));
        let here = place.upper.join(inside);
        let hides = match here.symlink_metadata() {
            Ok(meta) if meta.is_dir() => continue,
            Ok(_) => {
                files::remove_tree(&here)?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error).at("look at", &here),
        };
        let pattern = [place.new_base, place.old_base].into_iter().map(|base| base.join(inside));
        let pattern = pattern.into_iter().find(|p| p.symlink_metadata().is_ok_and(|m| m.is_dir()));
        files::keeping_times(&parent(&here), || {
            fs::create_dir(&here).at("make", &here)?;
            match &pattern {
                Some(pattern) => files::copy_attributes(pattern, &here),
                None => {
                    fs::set_permissions(&here, fs::Permissions::from_mode(0o755)).at("set the mode of", &here)
                }
            }
        })?;
        if hides {
            attribute(&here, OPAQUE.as_bytes(), Some(b"y"))?;
        }
    }
    Ok(())
}

fn write(place: &Place, path: &[u8], text: &[u8], owner: Option<Owner>) -> Result<()> {
    let inside = Path::new(OsStr::from_bytes(path));
    let there = real(place.upper, path)?;
    let is_file = |path: &PathBuf| files::is_regular(path);
    let below = place.new_base.join(inside);
    let pattern = [there.clone(), below].into_iter().find(is_file);
    make_parents(place, path)?;
    let aside = files::beside(&there, ".flipper-new");
    files::keeping_times(&parent(&there), || {
        fs::write(&aside, text).at("write", &aside)?;
        match (&pattern, owner) {
            (Some(pattern), None) => {
                let now = aside.symlink_metadata().at("look at", &aside)?;
                files::copy_attributes(pattern, &aside)?;
                files::copy_times(&now, &aside)?;
            }
            (_, owner) => own(&aside, owner.unwrap_or(Owner { mode: 0o644, uid: 0, gid: 0 }))?,
        }
        files::remove_tree(&there)?;
        fs::rename(&aside, &there).at("rename to", &there)
    })
}

fn copy(place: &Place, path: &[u8], of: &[u8], from: From) -> Result<()> {
    let base = match from {
        From::OldBase => place.old_base,
        From::NewBase => place.new_base,
    };
    let source = real(base, of)?;
    let meta = source.symlink_metadata().at("look at", &source)?;
    let there = real(place.upper, path)?;
    if meta.is_dir() && there.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return files::copy_attributes(&source, &there);
    }
    replaced(place, path, |to| {
        match meta.is_dir() {
            true => fs::create_dir(to).at("make", to)?,
            false => putback::make(&source, &meta, to)?,
        }
        files::copy_attributes(&source, to)
    })
}

/// The kernel takes a file's capabilities with its owner (kernel: fs/attr.c, ATTR_KILL_PRIV).
pub fn own(path: &Path, owner: Owner) -> Result<()> {
    const CAPABILITIES: &str = "security.capability";
    let capabilities = xattr::get(path, CAPABILITIES).at("read attributes of", path)?;
    lchown(path, Some(owner.uid), Some(owner.gid)).at("change the owner of", path)?;
    if path.symlink_metadata().at("look at", path)?.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(owner.mode.into())).at("set the mode of", path)?;
    match capabilities {
        Some(value) => xattr::set(path, CAPABILITIES, &value).at("write attributes of", path),
        None => Ok(()),
    }
}

fn attribute(path: &Path, name: &[u8], value: Option<&[u8]>) -> Result<()> {
    let name = OsStr::from_bytes(name);
    match value {
        Some(value) => xattr::set(path, name, value).at("write attributes of", path),
        None if xattr::get(path, name).at("read attributes of", path)?.is_none() => Ok(()),
        None => xattr::remove(path, name).at("write attributes of", path),
    }
}

/// cp makes the directories above with their attributes; all in few calls.
fn save(place: &Place, edits: &[Edit]) -> Result<()> {
    let mut paths = Vec::new();
    for edit in edits {
        let Edit::Save(path) = edit else { continue };
        if real(place.upper, path)?.symlink_metadata().is_ok() {
            paths.push(OsStr::from_bytes(path));
        }
    }
    fs::create_dir_all(place.saved).at("make", place.saved)?;
    for chunk in paths.chunks(256) {
        let mut cp = Command::new("cp");
        cp.current_dir(place.upper).args(["--archive", "--parents", "--reflink=auto", "--"]);
        base::run(cp.args(chunk).arg(place.saved))?;
    }
    Ok(())
}

/// Makes these paths of one upper as they are in another: there with all below them, or not there.
pub fn follow(from: &Path, to: &Path, paths: &[PathBuf]) -> Result<()> {
    let is_there = |path: &&PathBuf| from.join(path).symlink_metadata().is_ok();
    for path in paths {
        removed(&real(to, path.as_os_str().as_bytes())?)?;
    }
    let there: Vec<&PathBuf> = paths.iter().filter(is_there).collect();
    for chunk in there.chunks(256) {
        let mut cp = Command::new("cp");
        cp.current_dir(from).args(["--archive", "--parents", "--reflink=auto", "--"]);
        base::run(cp.args(chunk).arg(to))?;
    }
    Ok(())
}

/// Copied aside, as it is seen, and given the place of what was there. Opaque from then on, as dpkg's own
/// directories are.
fn detach(place: &Place, path: &[u8]) -> Result<()> {
    let inside = Path::new(OsStr::from_bytes(path));
    make_parents(place, path)?;
    let there = real(place.upper, path)?;
    let aside = files::beside(&there, ".flipper-new");
    files::keeping_times(&parent(&there), || {
        files::remove_tree(&aside)?;
        merge(place, (inside, true), &aside, &mut Links::new())?;
        files::remove_tree_for_good(&there)?;
        fs::rename(&aside, &there).at("rename to", &there)
    })?;
    attribute(&there, OPAQUE.as_bytes(), Some(b"y"))
}

/// The first name that was copied of a file with several, by device and inode number.
type Links = HashMap<(u64, u64), PathBuf>;

/// The merged view of a directory, copied. `shows`: nothing above it hides the base's.
fn merge(place: &Place, (inside, shows): (&Path, bool), to: &Path, links: &mut Links) -> Result<()> {
    let (here, below) = (place.upper.join(inside), place.new_base.join(inside));
    let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let in_upper = is_dir(&here);
    let shows = shows && is_dir(&below) && !(in_upper && upper::is_opaque(&here));
    fs::create_dir(to).at("make", to)?;
    let mut names = if in_upper { files::names(&here)? } else { Vec::new() };
    if shows {
        names.extend(files::names(&below)?);
    }
    names.sort();
    names.dedup();
    for name in names {
        let (mine, base) = (here.join(&name), below.join(&name));
        let from = if in_upper && mine.symlink_metadata().is_ok() { &mine } else { &base };
        let meta = from.symlink_metadata().at("look at", from)?;
        let target = to.join(&name);
        if files::is_whiteout(&meta) {
            continue;
        } else if meta.is_dir() {
            merge(place, (&inside.join(&name), shows), &target, links)?;
        } else {
            copy_one(from, &meta, &target, links)?;
        }
    }
    files::copy_attributes(if in_upper { &here } else { &below }, to)
}

/// Names of one file stay names of one file.
fn copy_one(from: &Path, meta: &fs::Metadata, to: &Path, links: &mut Links) -> Result<()> {
    let identity = (meta.dev(), meta.ino());
    if let Some(first) = links.get(&identity) {
        return fs::hard_link(first, to).at("link to", to);
    }
    putback::make(from, meta, to)?;
    files::copy_attributes(from, to)?;
    if meta.nlink() > 1 {
        links.insert(identity, to.to_path_buf());
    }
    Ok(())
}
