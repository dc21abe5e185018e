//! A package whose new version has a file where it had a directory cannot be unpacked while that directory
//! is one of the base: dpkg renames it aside, and overlayfs does not rename what belongs to two layers
//! ("Invalid cross-device link"). Only looked for after a run that failed, in what was not unpacked.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::dpkg::{Status, file_list, md5sums};
use crate::model::Entry;
use crate::model::error::Result;
use crate::policy::check::finding::readable;
use crate::policy::outcome;
use crate::system::{deb, upper};

use super::session::Hook;

/// Packages that are looked into: each costs a dpkg-deb.
const MOST: usize = 4;

/// One sentence more for the entry. `debs`: where the .deb of a package lies.
pub fn sentence(
    hook: &Hook,
    entry: &Entry,
    after: &Status,
    debs: &BTreeMap<String, String>,
) -> Option<String> {
    let refused = outcome::not_unpacked(&entry.planned, after).take(MOST);
    let paths = refused.filter_map(|planned| debs.get(&planned.package));
    let found = paths.filter_map(|deb| directory(hook, Path::new(deb)).ok().flatten()).next()?;
    let path = readable(&found);
    Some(format!(
        "a file takes the place of /{path}, a directory of the base: \
         flipper-profile repair --path /{path}, then do this again"
    ))
}

/// Below the merged /usr, relative to the root.
fn directory(hook: &Hook, archive: &Path) -> Result<Option<Vec<u8>>> {
    let base = hook.pool.layout.base(&hook.booted.base);
    let root = hook.root();
    // Regular files only: where a directory is, dpkg does not unpack a link.
    let listed = deb::control_file(archive, "md5sums")?;
    let files = md5sums::parse(&listed).unwrap_or_default();
    let in_the_way = |path: &[u8]| {
        let inside = Path::new(OsStr::from_bytes(path));
        let is_directory = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        let (_, below) = upper::directories(&root, &base, inside);
        is_directory(&Path::new("/").join(inside)) && below.is_some_and(|below| is_directory(&below))
    };
    let mut paths = files.iter().map(|file| file_list::canonical(file.path));
    Ok(paths.find(|path| in_the_way(path)).map(|path| path.into_owned()))
}
