//! Decisions about state/: what may lie in it, what a purge would take out of it, what an undo puts back,
//! and where it meets packages of another version than it was left by.

use std::path::{Path, PathBuf};

use crate::model::EntryNumber;
use crate::model::entry::{Action, Back, Change, Gone, Planned};
use crate::model::error::{Error, Result};
use crate::model::state_path::{BytePath, StatePath, brought_by};

/// May this path come into state/ beside those that are listed?
pub fn may_add(path: &StatePath, listed: &[StatePath]) -> Result<()> {
    let refuse = |why: String| Err(Error::BadStatePath { path: Path::new("/").join(path.inside()), why });
    match listed.iter().find(|other| other.meets(path)) {
        Some(other) if other == path => refuse("it is in state/ already".into()),
        Some(other) => refuse(format!("it meets {}, which is in state/ already", other.shown())),
        None => Ok(()),
    }
}

/// One of the two would be mounted over the other, and hide what lies there.
pub fn need_not_shared(path: &StatePath, shared: &[PathBuf]) -> Result<()> {
    match shared.iter().find(|other| other.starts_with(path.inside()) || path.inside().starts_with(other)) {
        Some(other) => {
            let why = format!("it meets /{}, which the profile shares", other.display());
            Err(Error::BadStatePath { path: Path::new("/").join(path.inside()), why })
        }
        None => Ok(()),
    }
}

/// What dpkg knows of a package that is to be purged.
pub struct Purged {
    pub package: String,
    /// info/PACKAGE.list
    pub list: Vec<u8>,
    /// info/PACKAGE.postrm
    pub postrm: Vec<u8>,
}

/// The state paths, other than the defaults, that a purge may empty: the package names something at or
/// below them among its files, or its postrm speaks of them.
pub fn purged<'a>(packages: &'a [Purged], paths: &'a [StatePath]) -> Vec<(&'a str, &'a StatePath)> {
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| !path.is_default()) {
        let at_it = packages.iter().filter(|purged| names(purged, path));
        found.extend(at_it.map(|purged| (purged.package.as_str(), path)));
    }
    found
}

fn names(purged: &Purged, path: &StatePath) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let mut whole = b"/".to_vec();
    whole.extend_from_slice(path.inside().as_os_str().as_bytes());
    let at_or_below =
        |line: &[u8]| line.strip_prefix(&whole[..]).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
    let listed = purged.list.split(|b| *b == b'\n').any(at_or_below);
    // `/var/lib/thing` is not meant by `/var/lib/things`.
    let ends =
        |at: usize| purged.postrm.get(at).is_none_or(|b| !b.is_ascii_alphanumeric() && !b"-_.+".contains(b));
    let spoken = memchr::memmem::find_iter(&purged.postrm, &whole).any(|at| ends(at + whole.len()));
    listed || spoken
}

/// Does anything of this plan go?
pub fn removes(planned: &[Planned]) -> bool {
    planned.iter().any(|p| matches!(p.action, Action::Remove | Action::Purge))
}

/// One entry that is taken back, with what vanished from state/ in it.
pub struct Removal {
    pub entry: EntryNumber,
    pub gone: Vec<Gone>,
}

/// What comes back, and what does not because something is there again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PutBack {
    pub back: Vec<Back>,
    pub there_again: Vec<PathBuf>,
}

/// What was there before the oldest of these entries and has vanished since, each as it last was.
/// `removals` ascending; `was_there` asks the oldest snapshot, `is_free` the state/ of now.
pub fn put_back(
    removals: &[Removal],
    was_there: impl Fn(&Path) -> bool,
    is_free: impl Fn(&Path) -> bool,
) -> PutBack {
    let mut found = PutBack::default();
    for removal in removals {
        for BytePath(path) in removal.gone.iter().map(|gone| &gone.path) {
            let covered = |back: &Back| path.starts_with(&back.path.0) || back.path.0.starts_with(path);
            if !was_there(path) || found.back.iter().any(covered) {
                continue;
            }
            match is_free(path) {
                true => found.back.push(Back { from: removal.entry, path: BytePath(path.clone()) }),
                false if !found.there_again.contains(path) => found.there_again.push(path.clone()),
                false => {}
            }
        }
    }
    found
}

/// A state path that stays as one version of a package left it, while the package becomes another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stays {
    pub path: StatePath,
    pub package: String,
    pub left_by: String,
    /// Absent: the package is gone then.
    pub becomes: Option<String>,
}

impl Stays {
    /// "/var/lib/postgresql stays as version 16 left it: postgresql-16 goes back to 15"
    pub fn sentence(&self) -> String {
        let Stays { path, package, left_by, becomes } = self;
        let what = match becomes {
            Some(version) => format!("{package} goes back to {version}"),
            None => format!("{package} goes"),
        };
        format!("{} stays as version {left_by} left it: {what}", path.shown())
    }
}

/// `changes` from the state that is left to the one that is taken; `named_by` says whether a package has a
/// file at or below a path that its owner named.
pub fn stays(
    changes: &[Change],
    paths: &[StatePath],
    named_by: impl Fn(&str, &StatePath) -> bool,
) -> Vec<Stays> {
    let mut found = Vec::new();
    for change in changes {
        let Some(left_by) = change.old.as_ref().filter(|old| change.new.as_ref() != Some(*old)) else {
            continue;
        };
        let brings = brought_by(&change.package);
        let of_it = |path: &&StatePath| {
            brings.is_some_and(|brings| path.inside() == Path::new(brings))
                || !path.is_default() && !path.is_brought() && named_by(&change.package, path)
        };
        found.extend(paths.iter().filter(of_it).map(|path| Stays {
            path: path.clone(),
            package: change.package.clone(),
            left_by: left_by.clone(),
            becomes: change.new.clone(),
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StatePath {
        StatePath::typed(Path::new(text)).unwrap()
    }

    fn gone(paths: &[&str]) -> Vec<Gone> {
        paths.iter().map(|p| Gone { path: BytePath(p.into()), directory: true }).collect()
    }

    fn number(n: u64) -> EntryNumber {
        n.to_string().parse().unwrap()
    }

    #[test]
    fn a_purge_that_names_a_state_path_is_found() {
        let of = |list: &str, postrm: &str| {
            let purged = Purged { package: "p".into(), list: list.into(), postrm: postrm.into() };
            super::purged(&[purged], &[path("/var/lib/thing"), path("/var/log")]).len()
        };
        assert_eq!(of("/.\n/var/lib/thing\n", ""), 1);
        assert_eq!(of("/.\n/var/lib/thing/data\n", ""), 1);
        assert_eq!(of("/.\n/var/lib/things\n/var/log/p\n", "rm -r /var/lib/things /var/lib/thing-2\n"), 0);
        assert_eq!(of("", "rm -rf /var/lib/thing/*"), 1);
        assert_eq!(of("", "rm -rf /var/lib/thing"), 1);
    }

    #[test]
    fn the_oldest_removal_counts_and_nothing_is_overwritten() {
        let removals = [
            Removal { entry: number(5), gone: gone(&["var/log/a", "srv/d/x", "var/log/there"]) },
            Removal { entry: number(8), gone: gone(&["var/log/a", "srv/d", "srv/new"]) },
        ];
        let found = put_back(&removals, |p| p != Path::new("srv/new"), |p| p != Path::new("var/log/there"));
        let back: Vec<_> = found.back.iter().map(|b| (b.from.get(), b.path.0.to_str().unwrap())).collect();
        assert_eq!(back, [(5, "var/log/a"), (5, "srv/d/x")]);
        assert_eq!(found.there_again, [PathBuf::from("var/log/there")]);
    }

    #[test]
    fn a_database_under_another_version_is_named() {
        let change = |package: &str, old: Option<&str>, new: Option<&str>| -> Change {
            let text = serde_json::json!({"package": package, "architecture": "amd64", "old": old, "new": new, "action": "upgrade"});
            serde_json::from_value(text).unwrap()
        };
        let paths = [path("/var/lib/postgresql"), path("/srv/d"), path("/var/log")];
        let changes = [
            change("postgresql-16", Some("16"), Some("15")),
            change("owner", Some("2"), None),
            change("same", Some("1"), Some("1")),
            change("new", None, Some("1")),
        ];
        let found = stays(&changes, &paths, |package, _| package == "owner");
        let said: Vec<_> = found.iter().map(Stays::sentence).collect();
        assert_eq!(
            said,
            [
                "/var/lib/postgresql stays as version 16 left it: postgresql-16 goes back to 15",
                "/srv/d stays as version 2 left it: owner goes"
            ]
        );
    }
}
