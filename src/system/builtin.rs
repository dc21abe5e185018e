//! Built-in profiles on disk: where one lies, its stream received, its upper copied into a root of ours.
//! Received numbers of inodes are low ones, and would collide with the base's: what is received is only a
//! source to copy from.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use crate::model::error::{At, Error, Result};
use crate::model::layout::{ProfileDir, RootDir, RootFact};

use super::{base, btrfs, files, upper};

/// Where built-ins lie in a package, each in a directory of its own.
const SHIPPED: &str = "usr/share/flipper-profiles/builtin";

/// The directory of a built-in: `from` itself, or what a .deb or an installed package ships. `unpack`: a
/// place for what is in a .deb.
pub fn find(from: &Path, unpack: &Path) -> Result<PathBuf> {
    if from.is_dir() {
        return Ok(from.to_path_buf());
    }
    if from.is_file() {
        base::run(Command::new("dpkg-deb").arg("--extract").arg("--").arg(from).arg(unpack))?;
        return only_one(from, directories(&unpack.join(SHIPPED))?);
    }
    let name = from.to_str().filter(|name| !name.contains('/')).unwrap_or_default();
    let lists = ["", ":amd64", ":arm64", ":all"].map(|arch| format!("/var/lib/dpkg/info/{name}{arch}.list"));
    let Some(list) = lists.iter().find_map(|list| fs::read(list).ok()) else {
        return Err(not_one(from, "there is no such directory, .deb or installed package"));
    };
    let shipped = |dir: &PathBuf| list.split(|b| *b == b'\n').any(|line| line == dir.as_os_str().as_bytes());
    let mut found = directories(&Path::new("/").join(SHIPPED))?;
    found.retain(shipped);
    only_one(from, found)
}

fn directories(place: &Path) -> Result<Vec<PathBuf>> {
    let paths = files::names(place)?.into_iter().map(|name| place.join(name));
    Ok(paths.filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir())).collect())
}

fn only_one(from: &Path, mut found: Vec<PathBuf>) -> Result<PathBuf> {
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(not_one(from, &format!("it ships nothing below /{SHIPPED}"))),
        _ => Err(not_one(from, &format!("it ships more than one: name the directory below /{SHIPPED}"))),
    }
}

pub fn not_one(path: &Path, why: &str) -> Error {
    Error::NotABuiltin { path: path.to_path_buf(), why: why.to_owned() }
}

/// Receives a stream into the directory of a profile that is being made; what came is the one subvolume
/// that was not there before.
pub fn receive(stream: &Path, aside: &ProfileDir) -> Result<RootDir> {
    let mut command = Command::new("btrfs");
    command
        .args(["receive", "--chroot"])
        .arg(aside.path()) // a stream may say any path
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().at("run btrfs for", stream)?;
    let whole = child.stdin.take().map_or(Ok(false), |to| pour(stream, to));
    let ended = child.wait_with_output().at("run btrfs for", stream)?;
    if !ended.status.success() {
        let text = String::from_utf8_lossy(&ended.stderr).trim().replace('\n', "; ");
        return Err(Error::Child { program: "btrfs receive".into(), why: text });
    }
    if !whole? {
        return Err(not_one(stream, "its stream ends too early"));
    }
    let known = ["roots", "snapshots"];
    let came = directories(aside.path())?;
    let mut came = came.into_iter().filter(|path| !known.iter().any(|name| path.ends_with(name)));
    let received = came.next().filter(|path| btrfs::is_subvolume(path));
    let root = RootDir::at(received.ok_or_else(|| not_one(stream, "its stream holds no subvolume"))?);
    let says_its_base = root.fact(RootFact::Base).is_file(); // a base has a directory /root as well
    match root.upper().symlink_metadata() {
        Ok(meta) if meta.is_dir() && says_its_base => Ok(root),
        _ => Err(not_one(stream, "what its stream holds is no root of a profile")),
    }
}

/// Hands the stream over, unpacked. True: it ended with the command that ends a stream. Without this a
/// stream that was cut between two commands would pass for a whole one.
fn pour(stream: &Path, mut to: ChildStdin) -> Result<bool> {
    let mut unpack = match stream.extension().is_some_and(|ending| ending == "zst") {
        true => {
            let mut zstd = Command::new("zstd");
            zstd.args(["--decompress", "--stdout", "--quiet", "--"]).arg(stream).stdout(Stdio::piped());
            Some(zstd.spawn().at("run zstd for", stream)?)
        }
        false => None,
    };
    let mut from: Box<dyn Read> = match unpack.as_mut().and_then(|child| child.stdout.take()) {
        Some(unpacked) => Box::new(unpacked),
        None => Box::new(File::open(stream).at("open", stream)?),
    };
    let (mut buffer, mut tail) = (vec![0; 1 << 16], Vec::new());
    loop {
        let count = from.read(&mut buffer).at("read", stream)?;
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break; // why the other side stopped reading, it says itself
        }
        tail.extend_from_slice(&buffer[..count]);
        tail.drain(..tail.len().saturating_sub(END.len() + CHECKSUM));
    }
    drop((to, from));
    let unpacked = unpack.map(|mut child| child.wait().at("run zstd for", stream)).transpose()?;
    Ok(unpacked.is_none_or(|status| status.success()) && tail.starts_with(&END))
}

/// Length 0 and BTRFS_SEND_C_END (kernel: fs/btrfs/send.h); a checksum follows.
const END: [u8; 6] = [0, 0, 0, 0, 21, 0];
const CHECKSUM: usize = 4;

/// Copies an upper into a fresh root: owners, modes, attributes, whiteouts, hard links and all. What overlayfs
/// noted about the base it lay over is left behind.
pub fn copy_upper(from: &RootDir, to: &RootDir) -> Result<()> {
    copy(&from.upper(), &to.upper())?;
    strip(&to.upper())
}

/// `tree`/inside laid over the same path of a merged root.
pub fn lay_over_merged(tree: &Path, inside: &Path, merged: &Path) -> Result<()> {
    let seen = |path: &Path| Some(merged.join(path));
    inside.ancestors().skip(1).try_for_each(|above| need_alike(tree, above, &seen).map(drop))?;
    lay_over(tree, inside, merged, &seen)
}

/// A tree laid over a root that is not mounted, into its upper.
pub fn lay_over_root(tree: &Path, root: &RootDir, base: &Path) -> Result<()> {
    lay_over(tree, Path::new(""), &root.upper(), &|path| upper::find(root, base, path))
}

/// What `seen` names for a path is what the profile shows there. No link of the profile is followed, it
/// may be absolute and lead to a file of this machine: a file takes the place of one, and a folder is
/// refused, or its files would be beside what the link leads to (`files/lib/x` where /lib is usr/lib).
fn lay_over(tree: &Path, inside: &Path, to: &Path, seen: &dyn Fn(&Path) -> Option<PathBuf>) -> Result<()> {
    prepare(tree, inside, to, seen)?;
    copy(&tree.join(inside), &to.join(inside))
}

fn prepare(tree: &Path, inside: &Path, to: &Path, seen: &dyn Fn(&Path) -> Option<PathBuf>) -> Result<()> {
    let is_directory = need_alike(tree, inside, seen)?;
    let target = to.join(inside);
    if is_directory && target.symlink_metadata().is_ok_and(|meta| files::is_whiteout(&meta)) {
        files::remove_tree(&target)?;
        files::make_dir(&target, 0o755)?; // its attributes come with the copy
        xattr::set(&target, "trusted.overlay.opaque", b"y").at("write attributes of", &target)?;
    }
    let names = if is_directory { files::names(&tree.join(inside))? } else { Vec::new() };
    names.into_iter().try_for_each(|name| prepare(tree, &inside.join(name), to, seen))
}

/// Is it a directory in the tree? Then it is one in the profile too, or nothing, and the reverse.
fn need_alike(tree: &Path, inside: &Path, seen: &dyn Fn(&Path) -> Option<PathBuf>) -> Result<bool> {
    let source = if inside.as_os_str().is_empty() { tree.to_path_buf() } else { tree.join(inside) };
    let meta = source.symlink_metadata().at("look at", &source)?;
    let there = seen(inside).and_then(|path| path.symlink_metadata().ok());
    if let Some(there) = there.filter(|there| there.is_dir() != meta.is_dir()) {
        let (ours, theirs) = (kind(&meta), kind(&there));
        let why = format!("/{} is a {ours} in it, and a {theirs} in the profile", inside.display());
        return Err(not_one(tree, &why));
    }
    Ok(meta.is_dir())
}

fn kind(meta: &fs::Metadata) -> &'static str {
    match () {
        () if meta.is_dir() => "folder",
        () if meta.is_symlink() => "link",
        () => "file",
    }
}

/// What is in the way of a file is removed first: written into, it would lead through a link or be
/// another name's file too.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut cp = Command::new("cp");
    cp.args(["--archive", "--remove-destination", "--reflink=auto", "--no-target-directory", "--"]);
    base::run(cp.arg(from).arg(to))
}

/// Only that a directory is opaque stays: it means something without the old base.
fn strip(path: &Path) -> Result<()> {
    for name in xattr::list(path).at("read attributes of", path)? {
        let bytes = name.as_bytes();
        if bytes == b"trusted.overlay.redirect" || bytes == b"trusted.overlay.metacopy" {
            return Err(not_one(path, "its upper was written with other mount options than ours"));
        }
        if bytes.starts_with(b"trusted.overlay.") && bytes != b"trusted.overlay.opaque" {
            xattr::remove(path, &name).at("remove attributes of", path)?;
        }
    }
    if path.symlink_metadata().at("look at", path)?.is_dir() {
        for name in files::names(path)? {
            strip(&path.join(name))?;
        }
    }
    Ok(())
}
