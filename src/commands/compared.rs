//! Two states of a profile held against each other: the packages, the settings and the files that
//! differ, each file in its place, with the text of what people edit. For `diff` and `--show`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::dpkg::{Status, file_list};
use crate::model::difference::{PathChange, What};
use crate::model::entry::Change;
use crate::model::error::{Error, Result};
use crate::model::kernel::KernelFact;
use crate::model::layout::{RootDir, RootFact};
use crate::policy::difference::{self, Owners, Placed};
use crate::policy::text_diff;
use crate::system::changed;
use crate::system::{roots, upper};

use super::session::Session;
use super::undo_plan::{self, State};

pub struct Compared {
    /// None: a damaged package database, or a part of the tree was asked for.
    pub packages: Option<Vec<Change>>,
    /// Name of the setting, before, after.
    pub settings: Vec<(&'static str, String, String)>,
    pub files: Vec<Placed>,
    /// Of those people edit: path -> hunks, or why they are not shown.
    pub texts: BTreeMap<PathBuf, Text>,
    /// No common line was known.
    pub everything: bool,
}

pub enum Text {
    Hunks(String),
    /// Not everybody may read the file: its text does not belong on a screen or into a log.
    Private,
}

/// `within`: only what lies there, relative to the merged root, and there private texts too: who names
/// a file wants to see it.
pub fn compare(session: &Session, a: RootDir, b: RootDir, within: Option<&Path>) -> Result<Compared> {
    let (a, b) = (State::read(session, a)?, State::read(session, b)?);
    let between = |state: &State| changed::State::merged(&state.root, state.base.clone());
    let found = changed::between(&between(&a), &between(&b))?;
    let mut changes = found.changes;
    changes.retain(|change| within.is_none_or(|place| change.is_within(place)));
    let packages = if within.is_none() { undo_plan::compare(&a, &b) } else { None };
    let settings = if within.is_none() { settings(&a, &b)? } else { Vec::new() };
    let files = place(&a, &b, changes)?;
    let texts = files.iter().filter(|placed| difference::wants_text(placed));
    let texts = texts.filter_map(|placed| text(&a, &b, &placed.change, within.is_some()).transpose());
    let texts = texts.collect::<Result<_>>()?;
    Ok(Compared { packages, settings, files, texts, everything: found.everything })
}

fn settings(a: &State, b: &State) -> Result<Vec<(&'static str, String, String)>> {
    let shown = [RootFact::Base, RootFact::Args, RootFact::Dtbo, RootFact::Mounts, RootFact::Kernel];
    let mut differ = Vec::new();
    for fact in shown {
        let of = |state: &State| {
            let text = roots::fact(&state.root, fact)?;
            // Its stamp is for nobody to read.
            let kernel = KernelFact::parse(&text).filter(|_| fact == RootFact::Kernel);
            Ok::<_, Error>(kernel.map_or(text, |kernel| kernel.key.to_string()))
        };
        let (before, after) = (of(a)?, of(b)?);
        if before != after {
            differ.push((fact.file_name(), before, after));
        }
    }
    Ok(differ)
}

/// Each change in its place, held against the packages of both states.
pub fn place(a: &State, b: &State, changes: Vec<PathChange>) -> Result<Vec<Placed>> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let parse = |state: &State| -> Vec<u8> { state.status.clone().unwrap_or_default() };
    let (before, after) = (parse(a), parse(b));
    let (before, after) =
        (Status::parse(&before).unwrap_or_default(), Status::parse(&after).unwrap_or_default());
    let files = owners(a, b, &changes)?;
    let changed = differing(&before, &after);
    let changed = |name: &str| changed.contains(name);
    Ok(difference::sort(changes, [&before, &after], &Owners { files: &files, changed: &changed }))
}

/// The packages that came, went or have another version.
fn differing<'a>(before: &Status<'a>, after: &Status<'a>) -> HashSet<&'a str> {
    let facts = |status: &Status<'a>| -> HashSet<_> {
        let with_files = status.packages.iter().filter(|p| p.state.has_files());
        with_files.map(|p| (p.name, p.architecture, p.version)).collect()
    };
    facts(before).symmetric_difference(&facts(after)).map(|(name, ..)| *name).collect()
}

/// The packages the changed paths are of, from the lists of both states. Those of the later one count:
/// a file may have gone over from one package to another.
fn owners(a: &State, b: &State, changes: &[PathChange]) -> Result<HashMap<Vec<u8>, String>> {
    const INFO: &str = "var/lib/dpkg/info";
    let mut wanted: HashMap<Vec<u8>, ()> = HashMap::new();
    for change in changes.iter().filter(|change| !change.path.starts_with("var/lib/dpkg")) {
        wanted.insert(change.path.as_os_str().as_bytes().to_vec(), ());
        if let What::Renamed { from } = &change.what {
            wanted.insert(from.as_os_str().as_bytes().to_vec(), ());
        }
    }
    let mut owners = HashMap::new();
    if wanted.is_empty() {
        return Ok(owners);
    }
    // A list that did not change says the same in both: read once.
    let changed: HashSet<&Path> = changes.iter().map(|change| change.path.as_path()).collect();
    for (state, all) in [(b, true), (a, false)] {
        for (name, list) in upper::files_in(&state.root, &state.base, Path::new(INFO), b".list")? {
            let Some(package) = file_list::package(name.as_bytes()) else { continue };
            if !all && !changed.contains(Path::new(INFO).join(&name).as_path()) {
                continue;
            }
            file_list::find(&std::fs::read(list).unwrap_or_default(), &wanted, |_, path, ()| {
                owners.entry(path.to_vec()).or_insert_with(|| package.to_owned());
            });
        }
    }
    Ok(owners)
}

fn text(a: &State, b: &State, change: &PathChange, private_too: bool) -> Result<Option<(PathBuf, Text)>> {
    let read = |state: &State| -> (Vec<u8>, bool) {
        use std::os::unix::fs::PermissionsExt;
        let Some(path) = upper::find(&state.root, &state.base, &change.path) else {
            return (Vec::new(), false);
        };
        let private = path.symlink_metadata().is_ok_and(|meta| meta.permissions().mode() & 0o004 == 0);
        (std::fs::read(path).unwrap_or_default(), private)
    };
    let ((before, was_private), (after, is_private)) = (read(a), read(b));
    let text = match text_diff::unified(&before, &after) {
        Some(_) if (was_private || is_private) && !private_too => Text::Private,
        Some(hunks) if !hunks.is_empty() => Text::Hunks(hunks),
        _ => return Ok(None),
    };
    Ok(Some((change.path.clone(), text)))
}
