//! What the two trees hold, by a walk over both, and whether a list of changes is right: done to the
//! first tree it must give the second, each change must be justified by what the walk saw, and no rename
//! may be missing. Nothing here knows how the list was made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flipper_profiles::model::difference::{NodeKind, PathChange, What};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub content: Content,
    pub metadata: (u32, u32, u32, BTreeMap<Vec<u8>, Vec<u8>>),
    /// Number and time of birth: equal for one file in two snapshots.
    pub identity: (u64, Option<SystemTime>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    File(Vec<u8>),
    Directory,
    Link(PathBuf),
    Device(u32, u64),
}

pub type Tree = BTreeMap<PathBuf, Node>;

impl Node {
    fn kind(&self) -> NodeKind {
        match self.content {
            Content::File(_) => NodeKind::File,
            Content::Directory => NodeKind::Directory,
            Content::Link(_) => NodeKind::Link,
            Content::Device(mode, _) => NodeKind::of_mode(mode),
        }
    }
}

pub fn walk(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(inside) = todo.pop() {
        let path = top.join(&inside);
        tree.insert(inside.clone(), node(&path));
        if path.symlink_metadata().unwrap().is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| inside.join(e.unwrap().file_name())));
        }
    }
    tree
}

fn node(path: &Path) -> Node {
    let meta = path.symlink_metadata().unwrap();
    let kind = meta.file_type();
    let content = match () {
        _ if kind.is_file() => Content::File(fs::read(path).unwrap()),
        _ if kind.is_dir() => Content::Directory,
        _ if kind.is_symlink() => Content::Link(fs::read_link(path).unwrap()),
        _ => Content::Device(meta.mode() & 0o170000, meta.rdev()),
    };
    let attributes = xattr::list(path).unwrap().filter(|n| !n.as_bytes().starts_with(b"trusted.overlay."));
    let attributes = attributes
        .map(|name| (name.as_bytes().to_vec(), xattr::get(path, &name).unwrap().unwrap_or_default()))
        .collect();
    Node {
        content,
        metadata: (meta.mode() & 0o7777, meta.uid(), meta.gid(), attributes),
        identity: (meta.ino(), meta.created().ok()),
    }
}

/// Everything that is wrong with the list, or nothing. `renames`: files keep their identity between
/// these two, so that none may be missed.
pub fn faults(a: &Tree, b: &Tree, changes: &[PathChange], renames: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut tree = a.clone();
    // What went had its name in the first tree, everything else has one in the second.
    let (gone, rest): (Vec<_>, Vec<_>) = changes.iter().partition(|c| c.what == What::Removed);
    for change in gone {
        apply(&mut tree, b, change, &mut faults);
    }
    move_renamed(&mut tree, changes, &mut faults);
    for change in rest {
        apply(&mut tree, b, change, &mut faults);
    }
    for path in tree.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
        match (tree.get(path), b.get(path)) {
            (Some(x), Some(y)) if x.content == y.content && x.metadata == y.metadata => {}
            (x, y) => faults.push(format!("{path:?} would be {x:?} and is {y:?}")),
        }
    }
    faults.extend(changes.iter().filter_map(|change| unjustified(a, b, change)));
    if renames {
        faults.extend(missed_renames(a, b, changes));
    }
    faults
}

/// Directories before what moved out of them: all old names go first, then all new ones come.
fn move_renamed(tree: &mut Tree, changes: &[PathChange], faults: &mut Vec<String>) {
    let mut moves: Vec<(&PathBuf, &PathBuf)> = changes
        .iter()
        .filter_map(|c| match &c.what {
            What::Renamed { from } => Some((from, &c.path)),
            _ => None,
        })
        .collect();
    moves.sort_by_key(|(from, _)| std::cmp::Reverse(from.components().count()));
    let mut taken = Vec::new();
    for (from, to) in moves {
        let below: Vec<PathBuf> = tree.keys().filter(|p| p.starts_with(from)).cloned().collect();
        if below.is_empty() {
            faults.push(format!("{from:?} was renamed and was not there"));
        }
        let nodes: Vec<(PathBuf, Node)> =
            below.into_iter().map(|path| (to_new(&path, from, to), tree.remove(&path).unwrap())).collect();
        taken.extend(nodes);
    }
    for (path, node) in taken {
        if tree.insert(path.clone(), node).is_some() {
            faults.push(format!("{path:?} was renamed over something"));
        }
    }
}

fn to_new(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_path_buf(),
        Ok(rest) => to.join(rest),
        Err(_) => path.to_path_buf(),
    }
}

fn apply(tree: &mut Tree, b: &Tree, change: &PathChange, faults: &mut Vec<String>) {
    let path = &change.path;
    let now = b.get(path).cloned();
    match (&change.what, now) {
        (What::Renamed { .. }, Some(_)) => {}
        (What::Removed, _) => {
            if tree.remove(path).is_none() {
                faults.push(format!("{path:?} was removed twice, or never there"));
            }
        }
        (What::Added, Some(now)) => {
            if tree.insert(path.clone(), now).is_some() {
                faults.push(format!("{path:?} was added over something"));
            }
        }
        (What::Changed { .. } | What::TypeChanged { .. }, Some(now)) => drop(tree.insert(path.clone(), now)),
        (What::Metadata { .. }, Some(now)) => match tree.get_mut(path) {
            Some(node) => node.metadata = now.metadata,
            None => faults.push(format!("{path:?} changed attributes and was not there")),
        },
        (_, None) => faults.push(format!("{change:?} is not in the second tree")),
    }
}

/// Each change must be one.
fn unjustified(a: &Tree, b: &Tree, change: &PathChange) -> Option<String> {
    let (was, is) = (a.get(&change.path), b.get(&change.path));
    let good = match &change.what {
        What::Added => was.is_none() && is.is_some_and(|n| n.kind() == change.kind),
        What::Removed => is.is_none() && was.is_some_and(|n| n.kind() == change.kind),
        What::Renamed { from } => {
            let before = a.get(from);
            let same = before.zip(is).is_some_and(|(x, y)| x.identity == y.identity);
            was.is_none() && !b.contains_key(from) && same
        }
        // Below a directory that was renamed its old self has another path: the replay has compared it.
        What::Changed { .. } | What::Metadata { .. } | What::TypeChanged { .. } if was.is_none() => {
            is.is_some()
        }
        What::Changed { .. } => {
            was.zip(is).is_some_and(|(x, y)| x.kind() == y.kind() && x.content != y.content)
        }
        What::Metadata { .. } => {
            was.zip(is).is_some_and(|(x, y)| x.content == y.content && x.metadata != y.metadata)
        }
        What::TypeChanged { was: kind } => was
            .zip(is)
            .is_some_and(|(x, y)| x.kind() == *kind && y.kind() == change.kind && *kind != change.kind),
    };
    (!good).then(|| format!("{change:?} is not so"))
}

/// One that is called added and another that is called removed are not the same file.
fn missed_renames(a: &Tree, b: &Tree, changes: &[PathChange]) -> Vec<String> {
    let named = |what: What, tree: &Tree| -> BTreeMap<_, PathBuf> {
        let those = changes.iter().filter(|c| c.what == what);
        those.filter_map(|c| Some((tree.get(&c.path)?.identity, c.path.clone()))).collect()
    };
    let (added, removed) = (named(What::Added, b), named(What::Removed, a));
    let both = added.iter().filter_map(|(identity, to)| Some((to, removed.get(identity)?)));
    both.map(|(to, from)| format!("{from:?} was renamed to {to:?}, and nobody says so")).collect()
}
