//! What a pool holds, read from its files and links alone: none of our programs is asked. At recording
//! time it says what each step did; of a crash image, what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use flipper_profiles::model::carried::{compared, is_carried};
use flipper_profiles::model::state_path::MARK;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::data::Data;

/// One line for each path: kind, mode, ids, extended attributes, content.
pub type Lines = BTreeMap<PathBuf, String>;

/// The paths of every base, kept from the recording: a base never changes.
pub type Bases = BTreeMap<String, Lines>;

/// A root or a point: its base, and the upper as far as it differs from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree {
    pub base: String,
    pub lines: Lines,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    pub current: u64,
    pub tree: Tree,
    pub points: BTreeMap<u64, Tree>,
    pub data: Data,
}

/// Owner (`.pool` for the pool's own) and number.
pub type EntryKey = (String, u64);

#[derive(Clone, Default)]
pub struct Facts {
    pub profiles: BTreeMap<String, Profile>,
    /// Kind and state. What cannot be read has the state `torn`.
    pub entries: BTreeMap<EntryKey, (String, String)>,
    pub bases: BTreeSet<String>,
    pub current_base: Option<String>,
    pub good_base: Option<String>,
    pub default: Option<String>,
    /// `.deleted-lab-57`
    pub deleted: BTreeSet<String>,
}

impl Tree {
    /// What differs, at most a few lines; empty when nothing does.
    pub fn differences(&self, other: &Tree) -> String {
        let mut text = String::new();
        if self.base != other.base {
            text.push_str(&format!("base {} and not {}\n", other.base, self.base));
        }
        let paths: BTreeSet<_> = self.lines.keys().chain(other.lines.keys()).collect();
        let differ = paths.into_iter().filter(|path| self.lines.get(*path) != other.lines.get(*path));
        for path in differ.take(6) {
            let line = |lines: &Lines| lines.get(path).cloned().unwrap_or("-".into());
            text.push_str(&format!("  {path:?}: {} -> {}\n", line(&self.lines), line(&other.lines)));
        }
        text
    }

    /// Each path is as in one of the two, and what is in both is there.
    pub fn is_between(&self, before: &Tree, after: &Tree) -> bool {
        let paths: BTreeSet<_> = [self, before, after].iter().flat_map(|tree| tree.lines.keys()).collect();
        let of = |tree: &Tree, path: &Path| tree.lines.get(path).cloned();
        paths.into_iter().all(|path| [before, after].iter().any(|tree| of(self, path) == of(tree, path)))
    }

    /// The same system, as undo promises it: without what stays with the profile.
    pub fn is_back(&self, before: &Tree) -> bool {
        let strip = |tree: &Tree| {
            let mut tree = tree.clone();
            tree.lines.retain(|path, _| !is_carried(path));
            tree
        };
        strip(self) == strip(before)
    }
}

impl Facts {
    pub fn read(top: &Path, bases: &Bases) -> io::Result<Facts> {
        let mut facts = Facts { entries: entries(top)?, ..Facts::default() };
        for name in names(&top.join("@profiles"))? {
            if name.starts_with(".deleted-") {
                facts.deleted.insert(name);
            } else if !name.starts_with('.') {
                let profile = profile(top, &name, bases)?;
                facts.profiles.insert(name, profile);
            }
        }
        for name in names(&top.join("@base"))? {
            if top.join("@base").join(&name).symlink_metadata()?.is_dir() && !name.starts_with('.') {
                facts.bases.insert(name);
            }
        }
        let link = fs::read_link(top.join("@base/current"));
        facts.current_base = link.ok().map(|link| link.display().to_string());
        let link = fs::read_link(top.join("@base/good"));
        facts.good_base = link.ok().map(|link| link.display().to_string());
        let settings = fs::read_to_string(top.join("@journal/pool.conf"))?;
        let default = settings.lines().find_map(|line| line.strip_prefix("default="));
        facts.default = default.map(str::to_owned);
        Ok(facts)
    }

    /// The highest number of any entry.
    pub fn newest(&self) -> u64 {
        self.entries.keys().map(|(_, number)| *number).max().unwrap_or(0)
    }
}

fn profile(top: &Path, id: &str, bases: &Bases) -> io::Result<Profile> {
    let dir = &top.join("@profiles").join(id);
    let link = fs::read_link(dir.join("current"))?;
    let number = link.strip_prefix("roots").ok().and_then(|name| name.to_str()?.parse().ok());
    let current = number.ok_or_else(|| wrong(dir, &format!("current points to {}", link.display())))?;
    let tree = tree(&dir.join(&link), bases)?;
    let mut points = BTreeMap::new();
    for name in names(&dir.join("snapshots"))? {
        if let Ok(number) = name.parse() {
            points.insert(number, self::tree(&dir.join("snapshots").join(name), bases)?);
        }
    }
    Ok(Profile { current, tree, points, data: Data::read(top, dir, current)? })
}

/// What was copied up and is as in the base is left out: opening a lock file for writing copies it.
fn tree(root: &Path, bases: &Bases) -> io::Result<Tree> {
    let base = fs::read_to_string(root.join("base"))?.trim().to_owned();
    let below = bases.get(&base).ok_or_else(|| wrong(root, &format!("its base is {base:?}")))?;
    let mut lines = lines(&root.join("root"))?;
    lines.retain(|path, line| below.get(path) != Some(line));
    lines.remove(Path::new("etc/resolv.conf")); // `run` lends it, and undo takes it out again
    for fact in ["args", "dtbo", "mounts", "kernel"] {
        lines.insert(format!("({fact})").into(), fs::read_to_string(root.join(fact))?);
    }
    Ok(Tree { base, lines })
}

fn entries(top: &Path) -> io::Result<BTreeMap<EntryKey, (String, String)>> {
    let mut found = BTreeMap::new();
    for owner in names(&top.join("@journal/entries"))? {
        let dir = top.join("@journal/entries").join(&owner);
        let names = names(&dir)?;
        let numbers = names.iter().filter_map(|name| {
            name.strip_suffix(".open.json").or(name.strip_suffix(".json"))?.parse::<u64>().ok()
        });
        for number in numbers {
            let (closed, open) =
                (dir.join(format!("{number}.json")), dir.join(format!("{number}.open.json")));
            let read = entry(&closed).or_else(|| entry(&open)).unwrap_or(("torn".into(), "torn".into()));
            found.insert((owner.clone(), number), read);
        }
    }
    Ok(found)
}

fn entry(path: &Path) -> Option<(String, String)> {
    let value: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some((value["kind"].as_str()?.to_owned(), value["state"].as_str()?.to_owned()))
}

fn wrong(path: &Path, why: &str) -> io::Error {
    io::Error::other(format!("{}: {why}", path.display()))
}

/// Sorted; a missing directory has none.
pub fn names(dir: &Path) -> io::Result<Vec<String>> {
    let list = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for item in list {
        names.push(item?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

pub fn lines(dir: &Path) -> io::Result<Lines> {
    let mut lines = Lines::new();
    walk(dir, Path::new(""), &mut lines)?;
    Ok(lines)
}

/// A file joined to nothing would be a directory.
fn at(top: &Path, inside: &Path) -> PathBuf {
    if inside.as_os_str().is_empty() { top.to_owned() } else { top.join(inside) }
}

fn walk(top: &Path, inside: &Path, lines: &mut Lines) -> io::Result<()> {
    let path = at(top, inside);
    let meta = fs::symlink_metadata(&path)?;
    lines.insert(inside.to_owned(), line(top, inside, &meta)?);
    if meta.is_dir() {
        for item in fs::read_dir(&path)? {
            walk(top, &inside.join(item?.file_name()), lines)?;
        }
    }
    Ok(())
}

fn line(top: &Path, inside: &Path, meta: &fs::Metadata) -> io::Result<String> {
    let path = &at(top, inside);
    let kind = meta.file_type();
    let content = match () {
        _ if kind.is_symlink() => format!("{:?}", fs::read_link(path)?),
        _ if kind.is_file() && inside.starts_with("etc") => {
            let gshadow = fs::read(top.join("etc/gshadow")).unwrap_or_default();
            hash(&compared(inside, fs::read(path)?, &gshadow).unwrap_or_default())
        }
        _ if kind.is_file() => hash(&fs::read(path)?),
        _ if kind.is_char_device() || kind.is_block_device() => meta.rdev().to_string(),
        _ => String::new(),
    };
    let mut text = format!("{:o} {}:{} {content}", meta.mode(), meta.uid(), meta.gid());
    let mut attributes: Vec<_> = xattr::list(path)?.collect();
    attributes.sort();
    for name in attributes {
        let of_overlay = name.as_bytes().starts_with(b"trusted.overlay.") || name == MARK;
        if !of_overlay || name.as_bytes() == b"trusted.overlay.opaque" {
            text.push_str(&format!(" {name:?}={}", hash(&xattr::get(path, &name)?.unwrap_or_default())));
        }
    }
    Ok(text)
}

/// Not the standard hasher: compiled for tests it takes as long as all the rest.
fn hash(bytes: &[u8]) -> String {
    format!("{}:{}", bytes.len(), crate::rig::hex(&Sha256::digest(bytes)[..8]))
}
