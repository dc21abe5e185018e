//! Whose numbers a state/ bears, and giving its files others. What was noted lies in the state/ itself, so
//! that a snapshot of it knows too.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::edit::Owner;
use crate::model::error::{At, Result};
use crate::model::numbers::{Bearers, Numbers, is_acl};
use crate::system::{edits, files};

/// `state/.numbers`
pub const NOTE: &str = ".numbers";

fn note(state: &Path) -> PathBuf {
    state.join(NOTE)
}

/// None: nobody noted it yet, or what is there says nothing.
pub fn noted(state: &Path) -> Result<Option<Bearers>> {
    let text = files::read_if_there(&note(state))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

pub fn write(state: &Path, bearers: &Bearers) -> Result<()> {
    files::replace(&note(state), &serde_json::to_vec(bearers).unwrap_or_default())
}

/// Gives every file below a directory its new number.
pub fn below(dir: &Path, numbers: &Numbers) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    for name in files::names(dir)? {
        let path = dir.join(name);
        let meta = path.symlink_metadata().at("look at", &path)?;
        let (uid, gid) = (numbers.user(meta.uid()), numbers.group(meta.gid()));
        if (uid, gid) != (meta.uid(), meta.gid()) {
            edits::own(&path, Owner { mode: (meta.mode() & 0o7777) as u16, uid, gid })?;
        }
        let named =
            xattr::list(&path).at("read attributes of", &path)?.filter(|name| is_acl(name.as_bytes()));
        for name in named {
            let acl = xattr::get(&path, &name).at("read attributes of", &path)?.unwrap_or_default();
            if let Some(acl) = numbers.acl(&acl) {
                xattr::set(&path, &name, &acl).at("write attributes of", &path)?;
            }
        }
        if meta.is_dir() {
            below(&path, numbers)?;
        }
    }
    Ok(())
}
