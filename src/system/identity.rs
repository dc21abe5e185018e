//! Who a root is to others, as files: read from its upper, handed on, given and taken. Never a bind mount:
//! hostnamectl and ssh-keygen rename over what they write. Only for roots nobody uses.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::Layout;
use crate::model::carried::{HOST_KEYS, IDENTITY, matches, not_cloned};
use crate::model::config::KeyValues;
use crate::model::error::{At, Result};
use crate::model::layout::{ProfileDir, RootDir};

use super::{files, roots, upper};

const KEYS_DIR: &str = "etc/ssh";
pub const HOSTNAME: &str = "etc/hostname";

/// ssh host keys of one place: `ssh_host_ed25519_key` -> its digest, in hex. What lies beside it
/// (`.pub`, `-cert.pub`) goes with it.
pub type Keys = BTreeMap<String, String>;

/// The keys in a directory: of the device, or of an upper (no base has any).
pub fn keys_in(dir: &Path) -> Result<Keys> {
    let mut keys = Keys::new();
    for name in files::names(dir)? {
        let Some(name) = name.to_str().filter(|n| n.starts_with("ssh_host_") && n.ends_with("_key")) else {
            continue;
        };
        let path = dir.join(name);
        if files::is_regular(&path) {
            let bytes = fs::read(&path).at("read", &path)?;
            let sum = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
            keys.insert(name.to_owned(), sum);
        }
    }
    Ok(keys)
}

/// The keys of a root. None: it has no directory for them.
pub fn keys_of(root: &RootDir, base: &Path) -> Result<Option<Keys>> {
    if !upper::shows_directory(root, base, Path::new(KEYS_DIR)) {
        return Ok(None);
    }
    keys_in(&root.upper().join(KEYS_DIR)).map(Some)
}

/// `@data/identity/ssh`
pub fn device_keys(layout: &Layout) -> PathBuf {
    layout.identity().join("ssh")
}

/// `@data/identity/hostname`
pub fn device_hostname(layout: &Layout) -> PathBuf {
    layout.identity().join("hostname")
}

/// Makes `@data/identity/`, where it is not there yet.
pub fn make_device(layout: &Layout) -> Result<()> {
    files::make_dir(&layout.identity(), 0o700)?;
    files::make_dir(&device_keys(layout), 0o700)
}

/// A key of the device into a root.
pub fn give_key(layout: &Layout, key: &str, root: &RootDir, base: &Path) -> Result<()> {
    roots::make_parents(&root.upper(), &[base], &Path::new(KEYS_DIR).join(key))?;
    let dir = root.upper().join(KEYS_DIR);
    files::keeping_times(&dir, || copy_key(key, &device_keys(layout), &dir))
}

/// A key of a root into the device.
pub fn take_key(layout: &Layout, key: &str, root: &RootDir) -> Result<()> {
    copy_key(key, &root.upper().join(KEYS_DIR), &device_keys(layout))
}

/// What is beside the key first: as long as the key itself is another, it is all done again. Only files:
/// a link leads to a file of this machine, a FIFO would be waited for.
fn copy_key(key: &str, from: &Path, to: &Path) -> Result<()> {
    for name in files::names(to)?.iter().filter(|name| is_beside(name, key)) {
        if !files::is_regular(&from.join(name)) {
            files::remove_tree(&to.join(name))?;
        }
    }
    for name in files::names(from)?.iter().filter(|name| is_beside(name, key)) {
        if files::is_regular(&from.join(name)) {
            copy(&from.join(name), &to.join(name))?;
        }
    }
    copy(&from.join(key), &to.join(key))
}

fn is_beside(name: &OsString, key: &str) -> bool {
    name.as_bytes().strip_prefix(key.as_bytes()).is_some_and(|rest| rest.ends_with(b".pub"))
}

/// Written aside, synced, renamed; owner, mode and times come along.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let aside = files::beside(to, ".flipper-new");
    files::remove_tree(&aside)?;
    fs::copy(from, &aside).at("copy to", &aside)?;
    files::copy_attributes(from, &aside)?;
    fs::File::open(&aside).and_then(|file| file.sync_all()).at("sync", &aside)?;
    if to.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        files::remove_tree(to)?;
    }
    fs::rename(&aside, to).at("rename to", to) // the visible moment of this file
}

/// A hostname or a table of hosts into a root, when it is another.
pub fn write(root: &RootDir, base: &Path, inside: &str, bytes: &[u8]) -> Result<()> {
    let etc = root.upper().join("etc");
    if upper::read(root, base, inside).ok().flatten().as_deref() == Some(bytes)
        || !upper::shows_directory(root, base, Path::new("etc"))
    {
        return Ok(());
    }
    match upper::find(root, base, Path::new(inside)) {
        Some(_) => roots::rewrite_in_upper(root, base, inside, bytes),
        None => {
            roots::make_parents(&root.upper(), &[base], Path::new(inside))?;
            let path = root.upper().join(inside);
            files::keeping_times(&etc, || {
                let aside = files::beside(&path, ".flipper-new");
                fs::write(&aside, bytes).at("write", &aside)?;
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
                fs::set_permissions(&aside, mode).at("set the mode of", &aside)?;
                fs::rename(&aside, &path).at("rename to", &path) // the visible moment of this file
            })
        }
    }
}

/// What a profile was given last.
pub fn given(profile: &ProfileDir) -> Result<KeyValues> {
    let text = files::read_if_there(&profile.applied())?.unwrap_or_default();
    Ok(KeyValues::parse(&String::from_utf8_lossy(&text)))
}

/// The paths of a root's upper that match one of these patterns and are files.
fn found(root: &RootDir, patterns: impl Iterator<Item = &'static str>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in patterns {
        let dir = Path::new(pattern).parent().unwrap_or(Path::new(""));
        if !files::is_real_directory(&root.upper(), dir) {
            continue;
        }
        for name in files::names(&root.upper().join(dir))? {
            let inside = dir.join(name);
            let is_file = || root.upper().join(&inside).symlink_metadata().is_ok_and(|meta| meta.is_file());
            if matches(pattern, &inside) && is_file() {
                found.push(inside);
            }
        }
    }
    Ok(found)
}

/// Hands on who the machine is: see [`IDENTITY`]. A root that has any host keys hands on these and no other.
pub fn carry(from: &RootDir, to: &RootDir, base_of_to: &Path) -> Result<()> {
    let present = found(from, IDENTITY.into_iter())?;
    if present.iter().any(|inside| matches(HOST_KEYS, inside)) {
        for stale in found(to, [HOST_KEYS].into_iter())?.iter().filter(|inside| !present.contains(inside)) {
            hide(to, base_of_to, stale)?;
        }
    }
    for inside in present {
        let above = inside.parent().unwrap_or(Path::new(""));
        let (source, target) = (from.upper().join(&inside), to.upper().join(&inside));
        let meta = source.symlink_metadata().at("look at", &source)?;
        if !upper::shows_directory(to, base_of_to, above) || roots::same_file(&source, &meta, &target) {
            continue;
        }
        roots::make_parents(&to.upper(), &[base_of_to], &inside)?;
        let dir = to.upper().join(above);
        files::keeping_times(&dir, || copy(&source, &target))?;
    }
    Ok(())
}

/// What a clone must not begin with, whatever it is asked for: by these two machines would be one to
/// others. `var/lib/dbus/machine-id` is a link on any Debian that was booted; a file of that name is a
/// second, older identity.
pub fn drop_secrets(root: &RootDir, base: &Path) -> Result<()> {
    let shown = shown(root, base, not_cloned().chain(["var/lib/dbus/machine-id"]))?;
    shown.iter().try_for_each(|inside| hide(root, base, inside))
}

/// Has this root anything that a clone must not have too?
pub fn has_secrets(root: &RootDir, base: &Path) -> Result<bool> {
    let seed = "var/lib/systemd/random-seed";
    let patterns = not_cloned().chain(["var/lib/dbus/machine-id", HOST_KEYS, seed]);
    Ok(!shown(root, base, patterns)?.is_empty())
}

/// Takes the host keys out of a root. Returns whether there were any.
pub fn drop_keys(root: &RootDir, base: &Path) -> Result<bool> {
    let keys = shown(root, base, [HOST_KEYS].into_iter())?;
    keys.iter().try_for_each(|inside| hide(root, base, inside))?;
    Ok(!keys.is_empty())
}

/// The files by which DHCP servers and the like know this root; else they know it by its machine-id.
pub fn network_files(root: &RootDir) -> Result<Vec<PathBuf>> {
    found(root, not_cloned().filter(|pattern| !pattern.starts_with("var/lib/systemd")))
}

/// The files of a merged root that match one of these patterns.
fn shown(root: &RootDir, base: &Path, patterns: impl Iterator<Item = &'static str>) -> Result<Vec<PathBuf>> {
    let mut shown = Vec::new();
    for pattern in patterns {
        let dir = Path::new(pattern).parent().unwrap_or(Path::new(""));
        if !upper::shows_directory(root, base, dir) {
            continue;
        }
        for (name, path) in upper::files_in(root, base, dir, b"")? {
            let inside = dir.join(name);
            if matches(pattern, &inside) && path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                shown.push(inside);
            }
        }
    }
    Ok(shown)
}

/// Takes a file out of a merged root, also where the base has one.
fn hide(root: &RootDir, base: &Path, inside: &Path) -> Result<()> {
    roots::make_parents(&root.upper(), &[base], inside)?;
    let path = root.upper().join(inside);
    files::keeping_times(path.parent().unwrap_or(&path), || {
        files::remove_if_there(&path)?;
        match base.join(inside).symlink_metadata() {
            Ok(_) => roots::make_whiteout(&path),
            Err(_) => Ok(()),
        }
    })
}
