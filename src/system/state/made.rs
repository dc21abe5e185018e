//! What the sandbox of a rebase makes of state/. It works on a copy, so that a rebase that is refused has
//! written nothing there; what it changed is merged into state/ before the next start, when nobody uses the
//! profile. Until then whoever runs it goes on with state/:
//!
//! ```text
//!  snapshots/57.state   state/ when the rebase began, sealed; an undo puts back from it
//!  .state-57.made       the copy, with the numbers of the new root's accounts, and what apt did to it
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::EntryNumber;
use crate::model::difference::{Attributes, NodeKind, PathChange, What};
use crate::model::error::{At, Result};
use crate::model::layout::ProfileDir;
use crate::model::numbers::{Bearers, Numbers, is_acl};
use crate::model::state_path::{ASIDE, StatePath};

use super::{found, make_parents, numbers};
use crate::system::changed::{self, State};
use crate::system::{btrfs, files, nested, putback};

/// Makes both for entry `number`. The copy bears `now`.
pub fn prepare(dir: &ProfileDir, number: EntryNumber, given: &Numbers, now: Option<&Bearers>) -> Result<()> {
    let (before, made) = (dir.point_state(number), dir.made_state(number));
    btrfs::delete_if_there(&before)?;
    btrfs::delete_if_there(&made)?; // half made, when there was no room for it
    btrfs::point(&dir.state(), &before)?;
    btrfs::snapshot(&before, &made)?;
    numbers::below(&made, given)?;
    now.map_or(Ok(()), |now| numbers::write(&made, now))
}

/// Of a rebase that did not happen.
pub fn drop_both(dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    drop_copy(dir, number)?;
    btrfs::delete_if_there(&dir.point_state(number))
}

/// What is merged, or will never be. A maintainer script may have made subvolumes in it.
pub fn drop_copy(dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    nested::delete_with(&dir.made_state(number))
}

/// The rebases whose copy is there still.
pub fn waiting(dir: &ProfileDir) -> Result<Vec<EntryNumber>> {
    let names = files::names(dir.path())?;
    let number =
        |name: &str| name.strip_prefix(".state-").and_then(|name| name.strip_suffix(".made")?.parse().ok());
    Ok(names.iter().filter_map(|name| number(name.to_str()?)).collect())
}

/// Brings what the sandbox changed into `state`: state/ itself, or a copy of it, with its numbers given
/// already. What somebody changed meanwhile stays as it is now; returns the places where that met a change
/// of the sandbox's. May be done again after a cut.
pub fn merge(
    dir: &ProfileDir,
    number: EntryNumber,
    given: &Numbers,
    state: &Path,
) -> Result<BTreeSet<PathBuf>> {
    let (before, made) = (dir.point_state(number), dir.made_state(number));
    let ours = changes(&before, &made, given)?;
    let paths = found(&made)?;
    let theirs = Theirs::new(changes(&before, &dir.state(), given)?, &paths);
    let mut met = BTreeSet::new();
    let mut count = putback::Count::default();
    for change in ours.iter().filter(|change| change.kind != NodeKind::Socket) {
        if let What::Renamed { from } = &change.what {
            match theirs.meet(from, true) {
                Some(place) => drop(met.insert(place)),
                None => files::remove_tree_for_good(&state.join(from))?,
            }
        }
        match theirs.meet(&change.path, change.what == What::Removed) {
            Some(place) => drop(met.insert(place)),
            None => follow(&made, state, change, &mut count)?,
        }
    }
    Ok(met)
}

/// One change of the sandbox's.
fn follow(made: &Path, state: &Path, change: &PathChange, count: &mut putback::Count) -> Result<()> {
    let (from, to) = (made.join(&change.path), state.join(&change.path));
    match &change.what {
        What::Removed => files::remove_tree_for_good(&to),
        What::Metadata { .. } => match to.symlink_metadata() {
            Ok(_) => files::copy_attributes(&from, &to),
            Err(_) => Ok(()),
        },
        // What is in it is listed by itself, but for a directory with another name.
        What::Added | What::TypeChanged { .. } if change.kind == NodeKind::Directory => {
            make_parents(state, &change.path, &[made])?;
            if !to.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                files::remove_tree_for_good(&to)?;
                fs::create_dir(&to).at("make", &to)?;
            }
            files::copy_attributes(&from, &to)
        }
        _ => {
            make_parents(state, &change.path, &[made])?;
            putback::put_back(made, state, &change.path, count)
        }
    }
}

/// All that differs, but for what is ours, and for files that only have their account's new number.
fn changes(before: &Path, now: &Path, given: &Numbers) -> Result<Vec<PathChange>> {
    let of = |state: &Path| State { subvolume: state.into(), upper: state.into(), base: None };
    let mut found = changed::between(&of(before), &of(now))?.changes;
    let ours = |path: &Path| path.starts_with(ASIDE) || path == Path::new(numbers::NOTE);
    found.retain(|change| {
        let inside = !change.path.as_os_str().is_empty() && !ours(&change.path);
        inside && !matches!(&change.what, What::Metadata { attributes } if renumbered(attributes, given))
    });
    Ok(found)
}

fn renumbered(attributes: &Attributes, given: &Numbers) -> bool {
    let Attributes { mode, owner, group, extended } = attributes;
    mode.is_none()
        && owner.is_none_or(|(was, is)| given.user(was) == is)
        && group.is_none_or(|(was, is)| given.group(was) == is)
        && extended.iter().all(|name| is_acl(name.as_bytes()))
}

/// What was written into state/ since the rebase began.
struct Theirs {
    changed: BTreeSet<PathBuf>,
    /// Paths of services: their files belong together, and one that changed is all of them.
    whole: Vec<PathBuf>,
}

impl Theirs {
    fn new(changes: Vec<PathChange>, paths: &[StatePath]) -> Theirs {
        let mut changed = BTreeSet::new();
        for change in changes {
            if let What::Renamed { from } = change.what {
                changed.insert(from);
            }
            changed.insert(change.path);
        }
        let of_services = paths.iter().filter(|path| !path.is_default());
        Theirs { changed, whole: of_services.map(|path| path.inside().to_path_buf()).collect() }
    }

    /// The place where a change at `path` meets one of theirs. `below`: one below it counts too.
    fn meet(&self, path: &Path, below: bool) -> Option<PathBuf> {
        if let Some(whole) = self.whole.iter().find(|whole| path.starts_with(whole)) {
            return self.any_within(whole).then(|| whole.clone());
        }
        let met = if below { self.any_within(path) } else { self.changed.contains(path) };
        met.then(|| path.to_path_buf())
    }

    /// In the order of paths what lies in a directory follows it.
    fn any_within(&self, place: &Path) -> bool {
        self.changed.range(place.to_path_buf()..).next().is_some_and(|first| first.starts_with(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_one_place_and_a_log_is_itself() {
        let change = |path: &str| PathChange {
            path: path.into(),
            kind: NodeKind::File,
            what: What::Changed { attributes: Default::default() },
        };
        let moved =
            PathChange { what: What::Renamed { from: "var/log/old".into() }, ..change("var/log/new") };
        let paths = ["/var/log", "/var/lib/postgresql", "/srv/d"];
        let paths = paths.map(|path| StatePath::typed(Path::new(path)).unwrap());
        let theirs =
            Theirs::new(vec![change("var/lib/postgresql/15/x"), change("var/log/a/b"), moved], &paths);
        let meet = |path: &str, below| theirs.meet(Path::new(path), below);
        assert_eq!(meet("var/lib/postgresql/17/y", false), Some("var/lib/postgresql".into()));
        assert_eq!(meet("srv/d/z", false), None);
        assert_eq!(meet("var/log/a/c", false), None);
        assert_eq!(meet("var/log/a", false), None);
        assert_eq!(meet("var/log/a", true), Some("var/log/a".into()));
        assert_eq!(meet("var/log/a/b", false), Some("var/log/a/b".into()));
        assert_eq!(meet("var/log/old", false), Some("var/log/old".into()));
        assert_eq!(meet("var/log/ol", true), None);
    }
}
