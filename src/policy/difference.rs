//! Sorts what changed into what a person looks for: conffiles first, what else is configured below
//! /etc, files of packages, what dpkg and caches keep for themselves, and the person's own files.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::dpkg::Status;
use crate::model::difference::{PathChange, What};

/// In the order they are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Of this package.
    Conffile(String),
    /// Below /etc, and no conffile.
    Configuration,
    /// No package's, or one that lies about it: made by a person or by a program.
    Own,
    /// Of this package, which is as it was: somebody changed them by hand.
    Unchanged(String),
    /// Of this package, which came, went or has another version.
    Package(String),
    /// dpkg's and apt's own, and caches that are made again at any time.
    Bookkeeping,
}

impl Place {
    pub fn name(&self) -> &'static str {
        match self {
            Place::Conffile(_) => "conffile",
            Place::Configuration => "configuration",
            Place::Own => "own",
            Place::Unchanged(_) => "unchanged-package",
            Place::Package(_) => "package",
            Place::Bookkeeping => "bookkeeping",
        }
    }

    pub fn package(&self) -> Option<&str> {
        match self {
            Place::Conffile(name) | Place::Unchanged(name) | Place::Package(name) => Some(name),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Placed {
    pub place: Place,
    pub change: PathChange,
}

const BOOKKEEPING: [&str; 8] = [
    "var/lib/dpkg",
    "var/lib/apt",
    "var/lib/systemd/deb-systemd-helper-enabled",
    "var/lib/ucf",
    "var/cache",
    "var/log",
    "etc/ld.so.cache",
    "run",
];

/// Which packages own what, as far as it was asked, and which of them changed.
pub struct Owners<'a> {
    /// path relative to / -> package
    pub files: &'a HashMap<Vec<u8>, String>,
    pub changed: &'a dyn Fn(&str) -> bool,
}

/// Every change in its place; within one, by path.
pub fn sort(changes: Vec<PathChange>, statuses: [&Status; 2], owners: &Owners) -> Vec<Placed> {
    let conffiles = conffiles(statuses);
    let place = |change: &PathChange| place(change, &conffiles, owners);
    let mut placed: Vec<Placed> =
        changes.into_iter().map(|change| Placed { place: place(&change), change }).collect();
    placed.sort_by(|a, b| (&a.place, &a.change).cmp(&(&b.place, &b.change)));
    placed
}

/// path relative to / -> the package that watches it, in either state
fn conffiles<'a>(statuses: [&Status<'a>; 2]) -> HashMap<&'a [u8], &'a str> {
    let mut found = HashMap::new();
    for package in statuses.into_iter().flat_map(|status| &status.packages) {
        for conffile in package.conffiles().unwrap_or_default() {
            found.insert(&conffile.path[1..], package.name);
        }
    }
    found
}

fn place(change: &PathChange, conffiles: &HashMap<&[u8], &str>, owners: &Owners) -> Place {
    let mut names = vec![change.path.as_path()];
    if let What::Renamed { from } = &change.what {
        names.push(from);
    }
    let conffile = names.iter().find_map(|path| conffiles.get(path.as_os_str().as_bytes()));
    if let Some(package) = conffile {
        return Place::Conffile((*package).to_owned());
    }
    if BOOKKEEPING.iter().any(|place| change.path.starts_with(place)) {
        return Place::Bookkeeping;
    }
    let owner = names.iter().find_map(|path| owners.files.get(path.as_os_str().as_bytes()));
    match owner {
        Some(package) if (owners.changed)(package) => Place::Package(package.clone()),
        _ if change.path.starts_with("etc") => Place::Configuration,
        Some(package) => Place::Unchanged(package.clone()),
        None => Place::Own,
    }
}

/// How many of what: `added`, `changed`, ... in this order.
pub fn counts<'a>(changes: impl IntoIterator<Item = &'a PathChange>) -> Vec<(&'static str, usize)> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for change in changes {
        *counts.entry(rank(&change.what)).or_default() += 1;
    }
    counts.into_iter().map(|(rank, count)| (WORDS[rank], count)).collect()
}

/// The word for one change.
pub fn word(what: &What) -> &'static str {
    WORDS[rank(what)]
}

const WORDS: [&str; 6] = ["changed", "added", "removed", "renamed", "of another type", "attributes only"];

fn rank(what: &What) -> usize {
    match what {
        What::Changed { .. } => 0,
        What::Added => 1,
        What::Removed => 2,
        What::Renamed { .. } => 3,
        What::TypeChanged { .. } => 4,
        What::Metadata { .. } => 5,
    }
}

/// Is its text worth showing line by line?
pub fn wants_text(placed: &Placed) -> bool {
    let readable = matches!(placed.place, Place::Conffile(_)) || placed.change.path.starts_with("etc");
    let with_text = matches!(placed.change.what, What::Changed { .. } | What::Added | What::Removed);
    let ours = placed.place != Place::Bookkeeping && placed.change.path != Path::new("etc/ld.so.cache");
    readable && with_text && ours && placed.change.kind == crate::model::difference::NodeKind::File
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::difference::{Attributes, NodeKind};

    fn change(path: &str, what: What) -> PathChange {
        PathChange { path: path.into(), kind: NodeKind::File, what }
    }

    fn changed() -> What {
        What::Changed { attributes: Attributes::default() }
    }

    #[test]
    fn everything_has_its_place() {
        let text = "Package: nginx\nStatus: install ok installed\nVersion: 1\nConffiles:\n \
                    /etc/nginx.conf cc3493ecd2d09837ffdcc3e25fdfff18\n";
        let status = Status::parse(text.as_bytes()).unwrap();
        let files =
            [("usr/sbin/nginx", "nginx"), ("usr/bin/ls", "coreutils"), ("etc/default/nginx", "nginx")];
        let files =
            files.into_iter().map(|(path, name)| (path.as_bytes().to_vec(), name.to_owned())).collect();
        let owners = Owners { files: &files, changed: &|name| name == "nginx" };
        for (path, place) in [
            ("etc/nginx.conf", Place::Conffile("nginx".into())),
            ("etc/default/nginx", Place::Package("nginx".into())),
            ("etc/fstab", Place::Configuration),
            ("usr/sbin/nginx", Place::Package("nginx".into())),
            ("usr/bin/ls", Place::Unchanged("coreutils".into())),
            ("var/lib/dpkg/status", Place::Bookkeeping),
            ("var/lib/dpkgx", Place::Own),
            ("opt/mine", Place::Own),
        ] {
            let placed = sort(vec![change(path, changed())], [&status, &Status::default()], &owners);
            assert_eq!(placed[0].place, place, "{path}");
        }
        let renamed = change("etc/nginx.old", What::Renamed { from: "etc/nginx.conf".into() });
        assert_eq!(
            sort(vec![renamed], [&status, &status], &owners)[0].place,
            Place::Conffile("nginx".into())
        );
    }

    #[test]
    fn counts_are_in_one_order() {
        let changes = [change("a", What::Removed), change("b", What::Added), change("c", What::Added)];
        assert_eq!(counts(&changes), [("added", 2), ("removed", 1)]);
    }
}
