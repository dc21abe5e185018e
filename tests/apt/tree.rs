//! What a merged root is, byte for byte: kind, mode, owner, extended attributes, content, link target
//! and hard links of every path, except what an undo carries on.

#![allow(dead_code)] // each test binary uses a part

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use flipper_profiles::model::carried::{compared, is_carried};
use sha2::{Digest, Sha256};

use crate::rig::hex;

/// Path bytes (made printable) and what is there.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Tree(BTreeMap<String, String>);

/// The inode floor of the test pools: what lies below is of the read-only base.
const FLOOR: u64 = 65536;

impl Tree {
    #[track_caller]
    pub fn must_be(&self, before: &Tree) {
        let differs = self.differences(before);
        assert!(
            differs.is_empty(),
            "not the same tree ({}):\n{}",
            differs.len(),
            differs[..differs.len().min(20)].join("\n")
        );
    }

    #[track_caller]
    pub fn must_differ_from(&self, before: &Tree) {
        assert!(!self.differences(before).is_empty(), "nothing changed at all: this test proves nothing");
    }

    /// Without what lies at or below these paths.
    pub fn without(mut self, paths: &[&str]) -> Tree {
        let below = |name: &str, path: &str| {
            name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.retain(|name, _| !paths.iter().any(|path| below(name, path)));
        self
    }

    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    #[track_caller]
    pub fn what(&self, path: &str) -> &str {
        self.0.get(path).unwrap_or_else(|| panic!("there is no {path}"))
    }

    fn differences(&self, before: &Tree) -> Vec<String> {
        let mut found = Vec::new();
        for (path, was) in &before.0 {
            match self.0.get(path) {
                None => found.push(format!("- {path}: {was}")),
                Some(is) if is != was => {
                    found.push(format!("! {path}: {was}\n  {}: {is}", " ".repeat(path.len())))
                }
                Some(_) => {}
            }
        }
        let new = self.0.iter().filter(|(path, _)| !before.0.contains_key(*path));
        found.extend(new.map(|(path, is)| format!("+ {path}: {is}")));
        found
    }
}

pub fn read(root: &Path) -> Tree {
    let mut tree = Tree(BTreeMap::new());
    let mut links: HashMap<(u64, u64), String> = HashMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(inside) = todo.pop() {
        let path = root.join(&inside);
        let meta = path.symlink_metadata().expect("look");
        let name = inside.as_os_str().as_bytes().escape_ascii().to_string();
        if is_carried(&inside) {
            continue;
        }
        if meta.is_dir() {
            let mut names: Vec<_> =
                fs::read_dir(&path).expect("list").map(|n| n.expect("list").file_name()).collect();
            names.sort();
            names.reverse(); // the stack turns it again: hard links are named by their first path
            todo.extend(names.into_iter().map(|n| inside.join(n)));
        }
        let mut text = what(root, &inside, &path, &meta);
        if !meta.is_dir() && meta.nlink() > 1 {
            let first = links.entry((meta.dev(), meta.ino())).or_insert_with(|| name.clone());
            text.push_str(&format!(" linked to {first}"));
        }
        tree.0.insert(name, text);
    }
    tree
}

fn what(root: &Path, inside: &Path, path: &Path, meta: &Metadata) -> String {
    let kind = meta.file_type();
    let content = match () {
        _ if kind.is_symlink() => {
            fs::read_link(path).expect("read").as_os_str().as_bytes().escape_ascii().to_string()
        }
        _ if kind.is_file() => content(root, inside, path, meta),
        _ if kind.is_block_device() || kind.is_char_device() => format!("{:x}", meta.rdev()),
        _ => String::new(),
    };
    let mut text = format!("{:o} {}:{} {content}", meta.mode(), meta.uid(), meta.gid());
    let mut names: Vec<_> = xattr::list(path).expect("list attributes").collect();
    names.sort();
    for name in names.iter().filter(|n| !n.as_bytes().starts_with(b"trusted.overlay.")) {
        let value = xattr::get(path, name).expect("read attributes").unwrap_or_default();
        text.push_str(&format!(" {}={}", name.as_bytes().escape_ascii(), hex(&value)));
    }
    text
}

/// A file of a base is read once: a base is a read-only subvolume, and change time and size are looked
/// at too.
fn content(root: &Path, inside: &Path, path: &Path, meta: &Metadata) -> String {
    type Key = (u64, u64, i64, i64);
    static OF_BASES: Mutex<Option<HashMap<Key, String>>> = Mutex::new(None);
    let key = (meta.ino(), meta.len(), meta.ctime(), meta.ctime_nsec());
    let of_base = meta.ino() < FLOOR;
    if of_base {
        if let Some(known) = OF_BASES.lock().unwrap().get_or_insert_default().get(&key) {
            return known.clone();
        }
    }
    let bytes = fs::read(path).expect("read");
    // Without the accounts that are only reserved.
    let bytes = match inside.starts_with("etc") {
        true => compared(inside, bytes, &fs::read(root.join("etc/gshadow")).unwrap_or_default()),
        false => Some(bytes),
    };
    let sum = hex(&Sha256::digest(bytes.expect("it is compared")));
    if of_base {
        OF_BASES.lock().unwrap().get_or_insert_default().insert(key, sum.clone());
    }
    sum
}
