//! /proc/PID/mountinfo, of this process and of all others.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::model::error::{At, Result};

/// One line of mountinfo (proc(5)), unescaped.
#[derive(Clone, Debug)]
pub struct Mount {
    /// What of the file system is mounted, e.g. `/@profiles/lab/state`.
    pub root: PathBuf,
    pub mount_point: PathBuf,
    pub file_system: String,
    /// The device, e.g. `/dev/mmcblk0p3`, or any word.
    pub source: PathBuf,
    /// Options of the superblock: for an overlay, its directories as they were named when it was mounted.
    pub super_options: Vec<u8>,
}

/// The mounts of one process, in order (a later one on the same place hides an earlier one).
pub fn of_process(pid: &str) -> Result<Vec<Mount>> {
    let path = PathBuf::from(format!("/proc/{pid}/mountinfo"));
    Ok(parse(&fs::read(&path).at("read", &path)?))
}

/// Lines that are none are passed over: a later kernel may write more.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|b| *b == b'\n').filter_map(parse_line).collect()
}

/// A mount seen by some process: reach it through `/proc/PID/root` + its mount point.
pub struct Seen {
    pub pid: i32,
    pub mount: Mount,
}

impl Seen {
    /// e.g. `/proc/812/root/` for the merged root of a run whose first process is 812
    pub fn path(&self) -> PathBuf {
        let inside = self.mount.mount_point.strip_prefix("/").unwrap_or(Path::new(""));
        PathBuf::from(format!("/proc/{}/root", self.pid)).join(inside)
    }
}

/// Looks through the mount namespaces of all processes, each namespace once, for an overlay one of
/// whose directories ends in `tail` (e.g. `<pool uuid>/@profiles/lab/roots/41/root`). A process that
/// ends meanwhile is passed over. A lazily detached mount is in none of them: this is never the only
/// check.
pub fn find_overlay(tail: &str) -> Result<Option<Seen>> {
    find(|mount| mount.file_system == "overlay" && names_directory(mount, tail))
}

/// The first such mount in any mount namespace; see [`find_overlay`] for what it cannot see.
pub fn find(is_it: impl Fn(&Mount) -> bool) -> Result<Option<Seen>> {
    let mut looked_at = std::collections::HashSet::new();
    for name in super::files::names(Path::new("/proc"))? {
        let Some(pid) = name.to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let namespace = fs::read_link(format!("/proc/{pid}/ns/mnt"));
        let Ok(namespace) = namespace else { continue };
        // A chroot sees other mount points in the same namespace; the root tells them apart.
        let root = fs::read_link(format!("/proc/{pid}/root")).unwrap_or_default();
        if !looked_at.insert((namespace, root)) {
            continue;
        }
        let Ok(mounts) = of_process(&pid.to_string()) else { continue };
        if let Some(mount) = mounts.into_iter().find(&is_it) {
            return Ok(Some(Seen { pid, mount }));
        }
    }
    Ok(None)
}

/// The last mount at or above `path`, as this process sees it.
pub fn below(path: &Path) -> Result<Option<Mount>> {
    let mounts = of_process("self")?;
    let at = mounts.into_iter().filter(|m| path.starts_with(&m.mount_point));
    Ok(at.max_by_key(|m| m.mount_point.as_os_str().len()))
}

fn names_directory(mount: &Mount, tail: &str) -> bool {
    let options = String::from_utf8_lossy(&mount.super_options);
    options.split([',', ':', '=']).any(|word| word.ends_with(tail))
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let words: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let dash = words.iter().position(|w| *w == b"-")?;
    Some(Mount {
        root: PathBuf::from(unescape(words.get(3)?)),
        mount_point: PathBuf::from(unescape(words.get(4)?)),
        file_system: String::from_utf8_lossy(words.get(dash + 1)?).into_owned(),
        source: PathBuf::from(unescape(words.get(dash + 2)?)),
        super_options: words.get(dash + 3).copied().unwrap_or_default().to_vec(),
    })
}

/// `\040` is a blank, and so on (seq_path in the kernel).
fn unescape(word: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(word.len());
    let mut at = 0;
    while at < word.len() {
        let octal = |i: usize| word.get(i).filter(|b| (b'0'..=b'7').contains(b)).map(|b| (b - b'0') as u32);
        match (word[at], octal(at + 1), octal(at + 2), octal(at + 3)) {
            (b'\\', Some(a), Some(b), Some(c)) => {
                out.push((a * 64 + b * 8 + c) as u8);
                at += 4;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_blanks_and_an_overlay_is_read() {
        let line = b"99 22 0:45 / /mnt/a\\040b rw shared:1 - overlay overlay rw,lowerdir=/p/@base/13.2,upperdir=/p/U/@profiles/lab/roots/41/root,workdir=/p/w";
        let mount = parse_line(line).unwrap();
        assert_eq!(mount.mount_point, PathBuf::from("/mnt/a b"));
        assert!(names_directory(&mount, "U/@profiles/lab/roots/41/root"));
        assert!(!names_directory(&mount, "@profiles/lab/roots/1/root"));
        assert!(names_directory(&mount, "/@base/13.2"));
        assert!(parse_line(b"").is_none() && parse_line(b"1 2 3").is_none());
    }
}
