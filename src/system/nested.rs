//! Subvolumes that somebody made inside of state/: any user can, in /var/tmp. They are in no snapshot of it,
//! and the kernel deletes no subvolume that holds another.

use std::path::{Path, PathBuf};

use crate::model::error::{Error, Result};

use super::{btrfs, mountinfo};

/// Deletes a subvolume with all that are nested in it. Refused before anything is gone where one of those
/// is mounted by itself: the kernel would not ask. Missing is fine.
pub fn delete_with(subvolume: &Path) -> Result<()> {
    if !btrfs::is_subvolume(subvolume) {
        return btrfs::delete_if_there(subvolume);
    }
    need_none_mounted(subvolume)?;
    let nested = btrfs::nested(subvolume)?;
    for inside in &nested {
        btrfs::unseal(&subvolume.join(inside))?; // nothing can be deleted in a sealed one
    }
    for inside in &nested {
        btrfs::delete(&subvolume.join(inside))?;
    }
    btrfs::delete(subvolume)
}

pub fn need_none_mounted(subvolume: &Path) -> Result<()> {
    let nested: Vec<PathBuf> = btrfs::nested(subvolume)?.iter().map(|path| subvolume.join(path)).collect();
    if nested.is_empty() {
        return Ok(());
    }
    // The kernel names what is mounted from the top of the file system: `/@profiles/lab/state/var/tmp/mine`.
    let hit = mountinfo::find(|mount| {
        let of_a_profile = mount.file_system == "btrfs" && mount.root.starts_with("/@profiles");
        let tails = mount.root.ancestors().filter_map(|path| path.strip_prefix("/").ok());
        let mut tails = tails.filter(|tail| !tail.as_os_str().is_empty()); // every path ends with nothing
        of_a_profile && tails.any(|tail| nested.iter().any(|path| path.ends_with(tail)))
    })?;
    match hit {
        None => Ok(()),
        Some(seen) => {
            let by = format!("mounted at {} (process {})", seen.mount.mount_point.display(), seen.pid);
            Err(Error::InUse { what: format!("{}, or what lies in it", subvolume.display()), by })
        }
    }
}
