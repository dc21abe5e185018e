//! The manifest of a base: what it held when it was published, readable without the base. One JSON
//! value a line: first a header, then one line per path, then the texts that later comparisons need (the
//! databases of dpkg and apt, ucf, debconf, and /etc). Paths and texts are both in the order of
//! `model/tree.rs`, so that a path is found without reading the others.
//!
//! ```text
//! {"manifest":1,"version":"13.2","floor":1048576,"largest_inode":21544,"paths":9321,"xattrs":true,"texts_at":1437012,
//!  "ends_at":5120733}
//! ```
//! `texts_at` and `ends_at` count bytes from the end of the header's line; older programs wrote neither them nor
//! sizes and attributes. The other lines: `line.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::model::difference::NodeKind;
use crate::model::error::{At, Error, Result};
use crate::model::tree::{Object, Tree as _};
use crate::model::{BaseVersion, Layout};

use super::{files, object};

mod line;
mod read;

pub use read::ManifestFile;

/// A manifest, before it is written.
#[derive(Debug, Default)]
pub struct Manifest {
    paths: Vec<Vec<u8>>,
    texts: Vec<Vec<u8>>,
    pub largest_inode: u64,
    pub devices: Vec<Device>,
    /// One that has an attribute of overlayfs: the top of an upper is no root.
    pub of_an_overlay: Option<PathBuf>,
}

/// A device node, or a whiteout.
#[derive(Clone, Debug)]
pub struct Device {
    pub path: PathBuf,
    pub kind: NodeKind,
    pub number: u64,
}

/// Walks a base and hashes every file in it.
pub fn read_tree(root: &Path) -> Result<Manifest> {
    let largest_inode = fs::symlink_metadata(root).at("look at", root)?.ino();
    let mut manifest = Manifest { largest_inode, ..Manifest::default() };
    walk(root, Path::new(""), &mut manifest)?;
    Ok(manifest)
}

impl Manifest {
    fn notice(&mut self, inside: &Path, object: &Object) {
        if matches!(object.kind, NodeKind::CharacterDevice | NodeKind::BlockDevice) {
            let (path, kind, number) = (inside.to_path_buf(), object.kind, object.device);
            self.devices.push(Device { path, kind, number });
        }
        let of_overlay = |name: &Vec<u8>| name.starts_with(b"trusted.overlay.");
        let noted = object.xattrs.as_ref().is_some_and(|xattrs| xattrs.keys().any(of_overlay));
        if noted && self.of_an_overlay.is_none() {
            self.of_an_overlay = Some(inside.to_path_buf());
        }
    }

    /// How many paths the base has.
    pub fn paths(&self) -> u64 {
        self.paths.len() as u64
    }

    pub fn to_bytes(&self, version: &BaseVersion, floor: u64) -> Vec<u8> {
        let length = |lines: &[Vec<u8>]| -> usize { lines.iter().map(|line| line.len() + 1).sum() };
        let texts_at = length(&self.paths);
        let header = json!({
            "manifest": 1, "version": version.as_str(), "floor": floor,
            "largest_inode": self.largest_inode, "paths": self.paths.len(),
            "xattrs": true, "texts_at": texts_at, "ends_at": texts_at + length(&self.texts),
        });
        let mut bytes = header.to_string().into_bytes();
        bytes.push(b'\n');
        for line in self.paths.iter().chain(&self.texts) {
            bytes.extend_from_slice(line);
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
    let root = layout.base(version);
    let mut named = BTreeMap::new();
    let manifest = ManifestFile::open(layout, version)?;
    manifest.below(b"", &mut |path, object| {
        named.insert(PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())), object.clone());
    })?;
    manifest.texts(b"", b"", &mut |_, _| {})?; // each must be readable
    let mut found = Vec::new();
    for (inside, then) in named.iter().step_by(named.len().div_ceil(at_most.max(1)).max(1)) {
        let path = root.join(inside);
        let now = path.symlink_metadata().ok().map(|meta| look(&path, &meta)).transpose()?;
        if !now.is_some_and(|now| now.same(then)) {
            found.push(inside.clone());
        }
    }
    if at_most >= named.len() {
        strangers(&root, Path::new(""), &named, &mut found)?;
    }
    Ok(found)
}

fn strangers(
    root: &Path,
    inside: &Path,
    named: &BTreeMap<PathBuf, Object>,
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

fn look(path: &Path, meta: &fs::Metadata) -> Result<Object> {
    let mut object = object::look(path, meta, object::xattrs(path)?)?;
    if object.is_file() {
        object.sha256 = Some(object::sha256(path)?);
    }
    Ok(object)
}

fn walk(root: &Path, inside: &Path, manifest: &mut Manifest) -> Result<()> {
    let mut names = files::names(&root.join(inside))?;
    names.sort();
    for name in names {
        let inside = inside.join(name);
        let path = root.join(&inside);
        let meta = fs::symlink_metadata(&path).at("look at", &path)?;
        manifest.largest_inode = manifest.largest_inode.max(meta.ino());
        let bytes = inside.as_os_str().as_bytes();
        let object = look(&path, &meta)?;
        manifest.paths.push(line::write_object(bytes, &object));
        manifest.notice(&inside, &object);
        if meta.is_dir() {
            walk(root, &inside, manifest)?;
        } else if meta.is_file() && is_wanted_text(&inside) {
            let text = fs::read(&path).at("read", &path)?;
            manifest.texts.push(line::write_text(bytes, &text));
        }
    }
    Ok(())
}

/// The databases that a rebase merges, and what a person edits.
fn is_wanted_text(inside: &Path) -> bool {
    const FILES: [&str; 10] = [
        "usr/lib/os-release",
        "var/lib/dpkg/status",
        "var/lib/dpkg/diversions",
        "var/lib/dpkg/statoverride",
        "var/lib/dpkg/arch",
        "var/lib/apt/extended_states",
        "var/lib/ucf/hashfile",
        "var/lib/ucf/registry",
        "var/cache/debconf/config.dat",
        "var/cache/debconf/templates.dat",
    ];
    const DIRECTORIES: [&str; 5] = [
        "etc",
        "var/lib/dpkg/info",
        "var/lib/dpkg/alternatives",
        "var/lib/dpkg/triggers",
        "var/lib/dpkg/updates",
    ];
    FILES.iter().any(|file| inside == Path::new(file))
        || DIRECTORIES.iter().any(|dir| inside.starts_with(dir))
}
