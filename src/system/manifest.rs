//! The manifest of a base: what it held when it was published, readable without the base. One JSON
//! value a line: first a header, then one line per path in byte order, then the texts that later
//! comparisons need (the dpkg database and /etc).
//!
//! ```text
//! {"manifest":1,"version":"13.2","floor":1048576,"largest_inode":21544,"paths":9321}
//! {"p":"usr/bin/dpkg","t":"f","m":33261,"u":0,"g":0,"h":"9f86d0..."}
//! {"text":"var/lib/dpkg/status","s":"Package: adduser\n..."}
//! ```
//! Paths and texts are bytes: what is not UTF-8 is written as `pb`/`sb`, an array of numbers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::model::error::{At, Error, Result};
use crate::model::{BaseVersion, Layout};

use super::files;

/// A manifest, before it is written.
#[derive(Debug, Default)]
pub struct Manifest {
    lines: Vec<Value>,
    texts: Vec<Value>,
    pub largest_inode: u64,
}

/// Walks a base and hashes every file in it.
pub fn read_tree(root: &Path) -> Result<Manifest> {
    let mut manifest = Manifest { largest_inode: inode(root)?, ..Manifest::default() };
    walk(root, Path::new(""), &mut manifest)?;
    Ok(manifest)
}

impl Manifest {
    /// How many paths the base has.
    pub fn paths(&self) -> u64 {
        self.lines.len() as u64
    }

    pub fn to_bytes(&self, version: &BaseVersion, floor: u64) -> Vec<u8> {
        let header = json!({
            "manifest": 1, "version": version.as_str(), "floor": floor,
            "largest_inode": self.largest_inode, "paths": self.lines.len(),
        });
        let mut bytes = Vec::new();
        for value in std::iter::once(&header).chain(&self.lines).chain(&self.texts) {
            bytes.extend_from_slice(value.to_string().as_bytes());
            bytes.push(b'\n');
        }
        bytes
    }
}

/// The largest inode number of a published base, from the first line of its manifest.
pub fn largest_inode(layout: &Layout, version: &BaseVersion) -> Result<u64> {
    let path = layout.manifest(version);
    let line = files::read_line(&path)?;
    largest_inode_of_header(&line).ok_or_else(|| Error::Damaged {
        what: path.clone(),
        why: "its first line names no largest_inode".into(),
    })
}

/// Of the first line of a manifest.
pub fn largest_inode_of_header(line: &str) -> Option<u64> {
    serde_json::from_str::<Value>(line).ok()?.get("largest_inode")?.as_u64()
}

/// The paths of a published base that are not as its manifest says: all of them, or of some `at_most`
/// that lie evenly in it. Read whole, what the manifest does not name is found too.
pub fn differences(layout: &Layout, version: &BaseVersion, at_most: usize) -> Result<Vec<PathBuf>> {
    let (path, root) = (layout.manifest(version), layout.base(version));
    let text = fs::read(&path).at("read", &path)?;
    let damaged = |why: String| Error::Damaged { what: path.clone(), why };
    let lines = text.split(|b| *b == b'\n').skip(1).filter(|line| !line.is_empty());
    let mut named = BTreeMap::new();
    for line in lines {
        let value: Value = serde_json::from_slice(line).map_err(|e| damaged(e.to_string()))?;
        if let Some(inside) = path_of(&value) {
            named.insert(inside, value);
        }
    }
    let mut found = Vec::new();
    for (inside, value) in named.iter().step_by(named.len().div_ceil(at_most.max(1)).max(1)) {
        let path = root.join(inside);
        let now = fs::symlink_metadata(&path).ok().map(|meta| line(&path, inside, &meta)).transpose()?;
        if now.as_ref() != Some(value) {
            found.push(inside.clone());
        }
    }
    if at_most >= named.len() {
        strangers(&root, Path::new(""), &named, &mut found)?;
    }
    Ok(found)
}

fn path_of(value: &Value) -> Option<PathBuf> {
    if let Some(text) = value.get("p") {
        return text.as_str().map(PathBuf::from);
    }
    let bytes = value.get("pb")?.as_array()?.iter().map(|b| b.as_u64().and_then(|b| u8::try_from(b).ok()));
    bytes.collect::<Option<Vec<u8>>>().map(|bytes| PathBuf::from(OsString::from_vec(bytes)))
}

fn strangers(
    root: &Path,
    inside: &Path,
    named: &BTreeMap<PathBuf, Value>,
    found: &mut Vec<PathBuf>,
) -> Result<()> {
    for name in files::names(&root.join(inside))? {
        let inside = inside.join(name);
        if !named.contains_key(&inside) {
            found.push(inside);
        } else if files::is_real_directory(root, &inside) {
            strangers(root, &inside, named, found)?;
        }
    }
    Ok(())
}

fn inode(path: &Path) -> Result<u64> {
    Ok(fs::symlink_metadata(path).at("look at", path)?.ino())
}

fn walk(root: &Path, inside: &Path, manifest: &mut Manifest) -> Result<()> {
    let mut names = files::names(&root.join(inside))?;
    names.sort();
    for name in names {
        let inside = inside.join(name);
        let path = root.join(&inside);
        let meta = fs::symlink_metadata(&path).at("look at", &path)?;
        manifest.largest_inode = manifest.largest_inode.max(meta.ino());
        manifest.lines.push(line(&path, &inside, &meta)?);
        if meta.is_dir() {
            walk(root, &inside, manifest)?;
        } else if meta.is_file() && is_wanted_text(&inside) {
            let text = fs::read(&path).at("read", &path)?;
            let mut value = bytes_field("text", "textb", inside.as_os_str().as_bytes());
            value.extend(bytes_field("s", "sb", &text));
            manifest.texts.push(Value::Object(value));
        }
    }
    Ok(())
}

/// The dpkg database, and what a person edits, up to a size nobody edits by hand.
fn is_wanted_text(inside: &Path) -> bool {
    const DATABASE: [&str; 4] = ["status", "diversions", "statoverride", "arch"];
    let database = inside.parent() == Some(Path::new("var/lib/dpkg"))
        && inside.file_name().is_some_and(|n| DATABASE.iter().any(|d| n == *d));
    database
        || inside.starts_with("var/lib/dpkg/info")
        || inside.starts_with("var/lib/dpkg/alternatives")
        || inside == Path::new("var/lib/apt/extended_states")
        || inside.starts_with("etc")
}

fn line(path: &Path, inside: &Path, meta: &fs::Metadata) -> Result<Value> {
    let mut value = bytes_field("p", "pb", inside.as_os_str().as_bytes());
    let kind = meta.file_type();
    let letter = match () {
        _ if kind.is_dir() => "d",
        _ if kind.is_symlink() => "l",
        _ if kind.is_file() => "f",
        _ if kind.is_char_device() => "c",
        _ if kind.is_block_device() => "b",
        _ if kind.is_fifo() => "p",
        _ => "s",
    };
    value.insert("t".into(), letter.into());
    value.insert("m".into(), meta.mode().into());
    value.insert("u".into(), meta.uid().into());
    value.insert("g".into(), meta.gid().into());
    if kind.is_file() {
        value.insert("h".into(), sha256(path)?.into());
    } else if kind.is_symlink() {
        let target: PathBuf = fs::read_link(path).at("read", path)?;
        value.extend(bytes_field("l", "lb", target.as_os_str().as_bytes()));
    } else if letter == "c" || letter == "b" {
        value.insert("r".into(), meta.rdev().into());
    }
    Ok(Value::Object(value))
}

fn bytes_field(text: &str, bytes: &str, value: &[u8]) -> Map<String, Value> {
    let mut map = Map::new();
    match std::str::from_utf8(value) {
        Ok(good) => map.insert(text.into(), good.into()),
        Err(_) => map.insert(bytes.into(), value.to_vec().into()),
    };
    map
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).at("open", path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0u8; 1 << 17];
    loop {
        match file.read(&mut block).at("read", path)? {
            0 => break,
            n => hash.update(&block[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
