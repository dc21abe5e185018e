//! state/ of a profile on disk: which paths lie in it, and how they come in, go out and come back.
//!
//! ```text
//! @profiles/lab/state/            one subvolume
//!     var/log/                    a path under its own name; its directory bears the mark
//!     .flipper/                   aside: what is not in its place yet, or any more
//! ```
//! The mark is set before the one rename that puts a directory in its place, so a marked directory is
//! whole. What is marked is mounted, whatever profile.json says; what profile.json says is brought about
//! by `settle.rs`, before the next start, while nobody uses the root.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::error::{At, Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::profile::Profile;
use crate::model::state_path::{ASIDE, MARK, StateList, StatePath, UNMARKED, brought_by};

use super::{btrfs, files, upper};

pub mod back;
mod copy;
pub mod gone;
pub mod live;
pub mod made;
pub mod numbers;
pub mod settle;

/// The paths that lie in a state/ (or in a snapshot of one), sorted. Nothing below a marked directory is
/// looked at, so this reads a handful of directories.
pub fn found(state: &Path) -> Result<Vec<StatePath>> {
    let mut found = Vec::new();
    find_below(state, Path::new(""), &mut found)?;
    found.sort();
    Ok(found)
}

fn find_below(state: &Path, inside: &Path, found: &mut Vec<StatePath>) -> Result<()> {
    for name in files::names(&state.join(inside))? {
        let inside = inside.join(name);
        if inside == Path::new(ASIDE) || !state.join(&inside).symlink_metadata().is_ok_and(|m| m.is_dir()) {
            continue;
        }
        match StatePath::parse(&inside) {
            Ok(path) if is_in(state, &path)? => found.push(path),
            _ => find_below(state, &inside, found)?,
        }
    }
    Ok(())
}

/// Does this path lie in state/, whole?
pub fn is_in(state: &Path, path: &StatePath) -> Result<bool> {
    let dir = state.join(path.inside());
    if !dir.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(false);
    }
    let before_marks = UNMARKED.iter().any(|unmarked| path.inside() == Path::new(unmarked));
    Ok(before_marks || is_marked(&dir)?)
}

fn is_marked(dir: &Path) -> Result<bool> {
    Ok(xattr::get(dir, MARK).at("read attributes of", dir)?.is_some())
}

fn mark(dir: &Path, how: Mark) -> Result<()> {
    xattr::set(dir, MARK, how.value()).at("write attributes of", dir)
}

/// What the mark of a path says. Whatever it says: the path lies here, and is mounted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// It came in, and its files may lie in the upper still, where nobody sees them.
    Came,
    /// They do not.
    Whole,
}

impl Mark {
    fn value(self) -> &'static [u8] {
        match self {
            Mark::Came => b"came",
            Mark::Whole => b"1",
        }
    }

    fn is_on(self, dir: &Path) -> Result<bool> {
        let value = xattr::get(dir, MARK).at("read attributes of", dir)?;
        Ok(value.as_deref() == Some(self.value()))
    }
}

fn unmark(dir: &Path) -> Result<()> {
    if is_marked(dir)? { xattr::remove(dir, MARK).at("write attributes of", dir) } else { Ok(()) }
}

/// What the owner named and took out. A profile that is being made, or a copy, may have no description.
pub fn list(profile: &ProfileDir) -> Result<StateList> {
    let path = profile.description();
    let Some(bytes) = files::read_if_there(&path)? else { return Ok(StateList::default()) };
    let read = serde_json::from_slice::<Profile>(&bytes);
    read.map(|profile| profile.state).map_err(|e| Error::Damaged { what: path, why: e.to_string() })
}

/// Every path of a profile, as it should be with this root: the defaults, what its packages bring (or
/// brought: what is in state/ stays there), and what the owner named.
pub fn wanted(profile: &ProfileDir, root: &RootDir, base: &Path) -> Result<Vec<StatePath>> {
    let (list, state) = (list(profile)?, profile.state());
    let brought = brought_here(root, base)?;
    let is_there = |path: &str| {
        let in_state =
            StatePath::parse(Path::new(path)).is_ok_and(|path| is_in(&state, &path).unwrap_or(false));
        in_state || brought.contains(path)
    };
    Ok(list.paths(is_there))
}

/// The paths that the packages of a root bring: those dpkg has a list of files of.
fn brought_here(root: &RootDir, base: &Path) -> Result<BTreeSet<&'static str>> {
    let lists = upper::files_in(root, base, Path::new("var/lib/dpkg/info"), b".list")?;
    let names = lists.iter().filter_map(|(name, _)| name.to_str()?.strip_suffix(".list"));
    Ok(names.filter_map(|name| brought_by(name.split(':').next().unwrap_or(name))).collect())
}

/// `state/.flipper`
fn aside(state: &Path) -> Result<PathBuf> {
    let dir = state.join(ASIDE);
    files::make_dir(&dir, 0o700)?;
    Ok(dir)
}

/// Names aside that nobody will come back for. The caller holds the profile's lock; what an undo in
/// the middle of its work put there (`back-61`) is kept while `is_open` says so of its number.
pub fn remove_leftovers(state: &Path, is_open: impl Fn(&str) -> bool) -> Result<()> {
    let dir = state.join(ASIDE);
    for name in files::names(&dir)? {
        let needed = name.to_str().and_then(|name| name.strip_prefix("back-")).is_some_and(&is_open);
        if !needed {
            files::remove_tree_for_good(&dir.join(name))?;
        }
    }
    Ok(())
}

/// Is something aside that the next change will clear away?
pub fn has_leftovers(state: &Path) -> Result<bool> {
    Ok(!files::names(&state.join(ASIDE))?.is_empty())
}

/// state/ of a profile that is being made: the defaults, with what the base has there. Not durable;
/// the publication is.
pub fn furnish_new(base: &Path, profile: &ProfileDir, root: &RootDir) -> Result<()> {
    let state = profile.state();
    btrfs::create(&state)?;
    for path in StateList::default().paths(|_| false) {
        settle::fill_new(base, &state, &path)?;
        settle::make_mount_point(root, base, &path)?;
    }
    Ok(())
}

/// The same for a root that comes with content of its own: what it has for state paths moves to state/.
pub fn furnish_from_root(base: &Path, profile: &ProfileDir, root: &RootDir) -> Result<()> {
    btrfs::create(&profile.state())?;
    let problems = settle::Settling { profile, root, base }.all()?;
    problems.into_iter().next().map_or(Ok(()), |problem| Err(problem.error))
}

/// The directories above `inside` in `to`, each with the attributes it has in the first of `patterns`
/// that has it.
fn make_parents(to: &Path, inside: &Path, patterns: &[&Path]) -> Result<()> {
    let mut above: Vec<&Path> = inside.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
    while let Some(dir) = above.pop() {
        let here = to.join(dir);
        if here.symlink_metadata().is_ok() {
            continue;
        }
        fs::create_dir(&here).at("make", &here)?;
        let pattern = patterns.iter().find(|pattern| files::is_real_directory(pattern, dir));
        if let Some(pattern) = pattern {
            files::copy_attributes(&pattern.join(dir), &here)?;
            unmark(&here)?;
        }
    }
    Ok(())
}
