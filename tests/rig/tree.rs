//! What a tree holds, for comparing: path, type, mode, ids, device, extended attributes, content or
//! link target, and which names are one file. Paths are bytes.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use flipper_profiles::model::carried::compared;

/// One line for each path, below its path.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, String>);

pub fn read(dir: &Path) -> Tree {
    read_as(dir, &|_, bytes| Some(bytes))
}

/// What an undo promises to bring back: without what it hands on (`model/carried.rs`).
pub fn promised(dir: &Path) -> Tree {
    let gshadow = fs::read(dir.join("etc/gshadow")).unwrap_or_default();
    read_as(dir, &|inside, bytes| compared(inside, bytes, &gshadow))
}

/// What of a file's content is compared; None: the path is left out.
type View<'a> = &'a dyn Fn(&Path, Vec<u8>) -> Option<Vec<u8>>;

fn read_as(dir: &Path, view: View) -> Tree {
    let mut lines = BTreeMap::new();
    let mut first_name = HashMap::new();
    walk(dir, Path::new(""), &mut |inside, path, meta| {
        if view(inside, Vec::new()).is_some() {
            lines.insert(inside.to_path_buf(), line(inside, path, meta, &mut first_name, view));
        }
    });
    Tree(lines)
}

impl Tree {
    /// Leaves paths out, with what is below them.
    pub fn without(mut self, paths: &[&str]) -> Tree {
        self.0.retain(|path, _| !paths.iter().any(|p| path.starts_with(p)));
        self
    }

    /// Only what lies at or below a path.
    pub fn under(mut self, path: &str) -> Tree {
        self.0.retain(|inside, _| inside.starts_with(path));
        self
    }

    /// Two names of one file compare like two files.
    pub fn without_link_groups(mut self) -> Tree {
        for line in self.0.values_mut() {
            line.truncate(line.rfind("] ").unwrap() + 1);
        }
        self
    }

    /// Leaves out the mark a path of state/ bears, which its directory in the root has not.
    pub fn without_mark(mut self) -> Tree {
        for line in self.0.values_mut() {
            *line = line.replace("[\"trusted.flipper.state=1:6d977f7cebd9455c\"]", "[]");
        }
        self
    }

    /// Leaves out what a base is called.
    pub fn without_name(mut self) -> Tree {
        if let Some(top) = self.0.get_mut(Path::new("")) {
            let (from, to) = (top.find('[').unwrap(), top.find(']').unwrap());
            top.replace_range(from..=to, "[]");
        }
        self
    }

    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.0.contains_key(path.as_ref())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing when equal, else what only one of them has: `-` before, `+` after.
    pub fn difference(&self, after: &Tree) -> String {
        let mut text = String::new();
        let all: std::collections::BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        for path in all {
            let (a, b) = (self.0.get(path), after.0.get(path));
            if a == b {
                continue;
            }
            for (sign, line) in [("-", a), ("+", b)] {
                if let Some(line) = line {
                    text.push_str(&format!("{sign} {path:?} {line}\n"));
                }
            }
        }
        text
    }
}

#[track_caller]
pub fn assert_same(before: &Tree, after: &Tree) {
    let difference = before.difference(after);
    assert!(difference.is_empty(), "the trees differ:\n{difference}");
}

#[track_caller]
pub fn assert_differ(before: &Tree, after: &Tree) {
    assert!(before != after, "the trees are the same, and should not be");
}

/// Names of different files that overlayfs reports as one: same (dev, ino).
pub fn mistaken_for_one(dir: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut seen: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let mut mistaken = Vec::new();
    walk(dir, Path::new(""), &mut |inside, _, meta| {
        if let Some(other) = seen.insert((meta.dev(), meta.ino()), inside.to_path_buf()) {
            if meta.is_dir() || meta.nlink() < 2 {
                mistaken.push((other, inside.to_path_buf()));
            }
        }
    });
    mistaken
}

fn walk(top: &Path, inside: &Path, visit: &mut impl FnMut(&Path, &Path, &fs::Metadata)) {
    let path = top.join(inside);
    let meta = fs::symlink_metadata(&path).unwrap();
    visit(inside, &path, &meta);
    if meta.is_dir() {
        let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            walk(top, &inside.join(name), visit);
        }
    }
}

fn line(
    inside: &Path,
    path: &Path,
    meta: &fs::Metadata,
    first_name: &mut HashMap<(u64, u64), PathBuf>,
    view: View,
) -> String {
    let kind = meta.file_type();
    let (letter, content) = match () {
        _ if kind.is_dir() => ('d', String::new()),
        _ if kind.is_symlink() => ('l', format!("{:?}", fs::read_link(path).unwrap())),
        _ if kind.is_file() => ('f', hash(&view(inside, fs::read(path).unwrap()).unwrap())),
        _ if kind.is_char_device() => ('c', meta.rdev().to_string()),
        _ if kind.is_block_device() => ('b', meta.rdev().to_string()),
        _ if kind.is_fifo() => ('p', String::new()),
        _ => ('s', String::new()),
    };
    let mut attributes: Vec<String> = xattr::list(path)
        .unwrap()
        .map(|name| {
            let value = xattr::get(path, &name).unwrap().unwrap_or_default();
            format!("{}={}", String::from_utf8_lossy(name.as_bytes()), hash(&value))
        })
        .collect();
    attributes.sort();
    let same_as = match meta.is_file() && meta.nlink() > 1 {
        true => first_name.entry((meta.dev(), meta.ino())).or_insert_with(|| inside.to_path_buf()).clone(),
        false => PathBuf::new(),
    };
    format!(
        "{letter} {:o} {}:{} {content} {attributes:?} {same_as:?}",
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid()
    )
}

fn hash(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{}:{:016x}", bytes.len(), hasher.finish())
}
