//! What of the person's apt wrote over in the sandbox: files of packages that it upgraded or removed there, and
//! that were not as their package had them. dpkg asks about conffiles only.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::dpkg::{Status, md5sums};
use crate::model::edit::Edit;
use crate::model::error::{Error, Result};
use crate::model::layout::RootDir;
use crate::policy::check::canonical;
use crate::policy::check::side::{STATUS, stem};
use crate::system::edits::{self, Place};
use crate::system::{files, object, upper};

/// Copies each as it is in the point to `saved/` of `place`, which is the new root. Their paths, relative to
/// the root.
pub fn save(point: &RootDir, place: &Place) -> Result<Vec<Vec<u8>>> {
    let old = Seen { root: point, base: place.old_base };
    let new_root = RootDir::at(place.upper.parent().unwrap_or(place.upper));
    let new = Seen { root: &new_root, base: place.new_base };
    let mut paths = Vec::new();
    for stem in changed(&old, &new)? {
        let list = format!("var/lib/dpkg/info/{stem}.md5sums");
        let Some(sums) = old.text(list.as_bytes())? else { continue };
        // Whoever wrote a list that cannot be read has no checksums to be held against.
        for sum in md5sums::parse(&sums).unwrap_or_default() {
            let path = canonical(sum.path);
            if is_edited(&old, &path, sum.md5)? && !is_there(&old, &new, &path)? {
                paths.push(path);
            }
        }
    }
    let saves: Vec<Edit> = paths.iter().cloned().map(Edit::Save).collect();
    edits::carry_out(&Place { upper: &point.upper(), ..*place }, &saves)?;
    Ok(paths)
}

/// A root over its base.
struct Seen<'a> {
    root: &'a RootDir,
    base: &'a Path,
}

impl Seen<'_> {
    fn file(&self, path: &[u8]) -> Option<PathBuf> {
        let found = upper::find(self.root, self.base, Path::new(OsStr::from_bytes(path)))?;
        files::is_regular(&found).then_some(found)
    }

    fn text(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        self.file(path).map_or(Ok(None), |file| files::read_if_there(&file))
    }
}

/// Packages that are there no more, or in another version, by their names in info/.
fn changed(old: &Seen, new: &Seen) -> Result<Vec<String>> {
    let [before, after] = [old.text(STATUS.as_bytes())?, new.text(STATUS.as_bytes())?];
    let [before, after] = [before.unwrap_or_default(), after.unwrap_or_default()];
    let parse = |text| {
        Status::parse(text).map_err(|error| Error::Damaged { what: STATUS.into(), why: error.to_string() })
    };
    let (before, after) = (parse(&before)?, parse(&after)?);
    let there = |status: &Status| -> BTreeMap<String, String> {
        let installed = status.packages.iter().filter(|package| package.state.has_files());
        installed.map(|package| (stem(package), package.version.unwrap_or_default().to_owned())).collect()
    };
    let after = there(&after);
    let before = there(&before).into_iter();
    Ok(before.filter(|(stem, version)| after.get(stem) != Some(version)).map(|(stem, _)| stem).collect())
}

/// In the profile itself, and not as the package had it.
fn is_edited(old: &Seen, path: &[u8], md5: &str) -> Result<bool> {
    match old.file(path).filter(|file| file.starts_with(old.root.upper())) {
        Some(file) => Ok(!object::md5(&file)?.eq_ignore_ascii_case(md5)),
        None => Ok(false),
    }
}

/// Is it there as it was?
fn is_there(old: &Seen, new: &Seen, path: &[u8]) -> Result<bool> {
    match (old.file(path), new.file(path)) {
        (Some(old), Some(new)) => Ok(object::md5(&old)? == object::md5(&new)?),
        _ => Ok(false),
    }
}
