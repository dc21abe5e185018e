//! `@data/shared`: what profiles have in common besides home. A path lies there as it does in the profile,
//! and is bound over the profile's own, which is empty: `@data/shared/srv/music` -> `/srv/music`. Which
//! profile wants which path stands in its profile.json, so undo neither takes it away nor brings it back.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::model::error::{At, Result};
use crate::model::layout::ProfileDir;
use crate::model::profile::Profile;
use crate::model::state_path::BytePath;
use crate::model::{Entry, EntryNumber, Layout};

use super::pool::Pool;
use super::{assemble, base, btrfs, files, guard, putback};

/// Binds what the profile shares into its merged root. A path that cannot be bound is left out: the rest
/// of the profile must start all the same.
pub fn mount_shared(pool: &Pool, profile: &ProfileDir, target: &Path) -> Result<()> {
    let paths = wanted(profile);
    if paths.is_empty() || !pool.layout.shared().is_dir() {
        return Ok(());
    }
    let whole = PathBuf::from("/run/flipper/shared");
    fs::create_dir_all(&whole).at("make", &whole)?;
    let flags = MsFlags::MS_NOATIME | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    assemble::subvolume(pool, Path::new("@data/shared"), &whole, flags)?;
    for path in paths {
        if let Err(error) = bind(&whole, target, &path) {
            tracing::warn!("/{} is not shared in this start: {error}", path.display());
        }
    }
    umount2(&whole, MntFlags::MNT_DETACH).at("unmount", &whole)
}

/// The paths that could not be bound into a merged root, for who started it to say so.
pub fn not_bound(pool: &Pool, profile: &ProfileDir, target: &Path) -> Vec<PathBuf> {
    let identity = |path: PathBuf| path.symlink_metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    let is_bound = |path: &PathBuf| {
        let there = identity(pool.layout.shared().join(path));
        there.is_some() && there == identity(target.join(path))
    };
    wanted(profile).into_iter().filter(|path| !is_bound(path)).collect()
}

/// A description that cannot be read shares nothing.
fn wanted(profile: &ProfileDir) -> Vec<PathBuf> {
    let text = fs::read(profile.description()).unwrap_or_default();
    serde_json::from_slice::<Profile>(&text).map(|profile| profile.shared).unwrap_or_default()
}

fn bind(whole: &Path, target: &Path, inside: &Path) -> Result<()> {
    let from = whole.join(inside);
    let meta = from.symlink_metadata().at("look at", &from)?;
    let to = match meta.is_dir() {
        true => files::mount_point(target, inside)?,
        false => file_to_mount_on(target, inside)?,
    };
    let none: Option<&str> = None;
    mount(Some(&from), &to, none, MsFlags::MS_BIND, none).at("bind", &to)
}

/// Made when it is missing: an older root may never have had it.
fn file_to_mount_on(target: &Path, inside: &Path) -> Result<PathBuf> {
    let dir = files::mount_point(target, inside.parent().unwrap_or(Path::new("")))?;
    let path = dir.join(inside.file_name().unwrap_or_default());
    match path.symlink_metadata() {
        Ok(meta) if meta.is_file() => Ok(path),
        Ok(_) => Err(crate::model::Error::Damaged { what: path, why: "it is no file to mount on".into() }),
        Err(_) => fs::write(&path, b"").at("make", &path).map(|()| path),
    }
}

/// Makes `@data/shared` where there is none yet.
pub fn make(layout: &Layout) -> Result<()> {
    if !btrfs::is_subvolume(&layout.shared()) {
        btrfs::create(&layout.shared())?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(layout.shared(), mode).at("set the mode of", layout.shared())?;
    }
    Ok(())
}

/// Copies `tree`/inside to the same path of `@data/shared`, all of it or nothing: aside, synced, renamed.
pub fn put(layout: &Layout, tree: &Path, inside: &Path, number: EntryNumber) -> Result<()> {
    let mut above: Vec<&Path> = inside.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
    while let Some(dir) = above.pop() {
        let (from, to) = (tree.join(dir), layout.shared().join(dir));
        if to.symlink_metadata().is_err() {
            fs::create_dir(&to).at("make", &to)?;
            files::copy_attributes(&from, &to)?;
        }
    }
    let (to, aside) = (layout.shared().join(inside), half_copy(layout, inside, number));
    let put = copy(&tree.join(inside), &aside).and_then(|()| fs::rename(&aside, &to).at("rename to", &to)); // the visible moment of the copy
    if put.is_err() {
        files::remove_tree(&aside)?;
    }
    put?;
    files::sync_parent(&to)
}

fn copy(from: &Path, aside: &Path) -> Result<()> {
    let mut cp = Command::new("cp");
    cp.args(["--archive", "--reflink=auto", "--no-target-directory", "--"]);
    base::run(cp.arg(from).arg(aside))?;
    files::sync_file_system(aside)
}

/// `@data/shared/srv/.music.57.new`: of one entry, so that nobody clears away what another is making.
fn half_copy(layout: &Layout, inside: &Path, number: EntryNumber) -> PathBuf {
    files::beside(&layout.shared().join(inside), &format!(".{number}.new"))
}

/// What a share that was cut left of its copies, and an unshare of its own beside the path in the root.
/// `merged`: where the entry's root is mounted, if it is; below a mount nothing is changed.
pub fn remove_half_copies(pool: &Pool, entry: &Entry, merged: Option<&Path>) -> Result<()> {
    let layout = &pool.layout;
    let paths: Vec<BytePath> = match entry.more.get(PATHS) {
        Some(value) => serde_json::from_value(value.clone()).unwrap_or_default(),
        None => return Ok(()),
    };
    paths.iter().try_for_each(|path| files::remove_tree(&half_copy(layout, &path.0, entry.number)))?;
    let (Some(id), Some(number)) = (&entry.profile, entry.root) else { return Ok(()) };
    let (root, point) = (layout.profile(id).root(number), layout.profile(id).point(entry.number));
    if !point.path().is_dir() {
        return Ok(()); // cut before anything was made
    }
    // What the point has too is somebody's file of a like name.
    let in_it = |upper: PathBuf, path: &Path| putback::aside(&upper.join(path));
    let is_ours = |path: &&BytePath| {
        let there = |upper| in_it(upper, &path.0).symlink_metadata().is_ok();
        there(root.upper()) && !there(point.upper())
    };
    let ours: Vec<&BytePath> = paths.iter().filter(is_ours).collect();
    if ours.is_empty() {
        return Ok(());
    }
    if let Some(merged) = merged {
        return ours.iter().try_for_each(|path| files::remove_tree(&in_it(merged.to_path_buf(), &path.0)));
    }
    let _claimed = guard::claim(pool, &root)?;
    ours.iter().try_for_each(|path| files::remove_tree(&in_it(root.upper(), &path.0)))
}

/// The field of an entry that names the paths it is about, relative to the merged root.
const PATHS: &str = "paths";

pub fn note_paths(entry: &mut Entry, paths: &[PathBuf]) {
    let paths: Vec<BytePath> = paths.iter().cloned().map(BytePath).collect();
    entry.more.insert(PATHS.into(), serde_json::to_value(paths).unwrap_or_default());
}

/// Leaves a directory or a file that is empty, with the attributes it had: something to mount on.
pub fn empty(path: &Path) -> Result<()> {
    let meta = path.symlink_metadata().at("look at", path)?;
    if !meta.is_dir() {
        return fs::OpenOptions::new().write(true).truncate(true).open(path).map(drop).at("empty", path);
    }
    for name in files::names(path)? {
        files::remove_tree(&path.join(name))?;
    }
    Ok(())
}

/// Is nothing there, or nothing in it?
pub fn is_empty(path: &Path) -> Result<bool> {
    match path.symlink_metadata() {
        Err(_) => Ok(true),
        Ok(meta) if meta.is_dir() => Ok(files::names(path)?.is_empty()),
        Ok(meta) => Ok(meta.is_file() && meta.len() == 0),
    }
}

/// Kind, owner, mode and content: what a copy that was cut before it counted is like.
pub fn is_same(a: &Path, b: &Path) -> Result<bool> {
    let (of_a, of_b) = (a.symlink_metadata().at("look at", a)?, b.symlink_metadata().at("look at", b)?);
    let looks = |m: &fs::Metadata| (m.mode(), m.uid(), m.gid(), if m.is_file() { m.len() } else { 0 });
    if looks(&of_a) != looks(&of_b) {
        return Ok(false);
    }
    if of_a.is_symlink() {
        return Ok(fs::read_link(a).at("read", a)? == fs::read_link(b).at("read", b)?);
    }
    if of_a.is_file() {
        return same_bytes(a, b);
    }
    if !of_a.is_dir() {
        return Ok(of_a.rdev() == of_b.rdev());
    }
    let (mut names, mut others) = (files::names(a)?, files::names(b)?);
    names.sort();
    others.sort();
    for name in &names {
        if !others.contains(name) || !is_same(&a.join(name), &b.join(name))? {
            return Ok(false);
        }
    }
    Ok(names == others)
}

fn same_bytes(a: &Path, b: &Path) -> Result<bool> {
    let open = |path: &Path| fs::File::open(path).at("read", path);
    let (mut of_a, mut of_b) = (open(a)?, open(b)?);
    let (mut here, mut there) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = of_a.read(&mut here).at("read", a)?;
        if count == 0 {
            return Ok(true); // they are equally long
        }
        of_b.read_exact(&mut there[..count]).at("read", b)?;
        if here[..count] != there[..count] {
            return Ok(false);
        }
    }
}
