//! What `btrfs send --no-data` says of the same two snapshots, replayed on names: which paths there are
//! in the end, and of which of them it says that content or attributes were written.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::rig::{btrfs, need};

/// The names of the second snapshot as the stream leaves them, each with the file under it, and the
/// files the stream made or wrote to. Files of the first snapshot are known by their names in it.
pub struct Replay {
    pub names: BTreeMap<PathBuf, usize>,
    pub before: BTreeMap<PathBuf, usize>,
    pub written: BTreeSet<usize>,
}

/// `one_file`: groups of names of the first snapshot that are one file.
pub fn replay(a: &Path, b: &Path, names: &BTreeMap<PathBuf, usize>) -> Replay {
    let stream = tempfile::NamedTempFile::new().unwrap();
    need("btrfs", btrfs(&["--quiet", "send", "--no-data", "-p"]).arg(a).arg("-f").arg(stream.path()).arg(b));
    let output = btrfs(&["receive", "--dump", "-f"]).arg(stream.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut replay = Replay { names: names.clone(), before: names.clone(), written: BTreeSet::new() };
    let mut next = names.values().max().unwrap_or(&0) + 1;
    for line in output.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        replay.take(line, &mut next);
    }
    replay
}

impl Replay {
    fn take(&mut self, line: &[u8], next: &mut usize) {
        let words = words(line);
        let inside = |word: &[u8]| {
            let path = PathBuf::from(OsString::from_vec(word.to_vec()));
            path.components().skip(2).collect::<PathBuf>() // ./snapshot/...
        };
        let path = inside(&words[1]);
        let dest = words.iter().find_map(|word| word.strip_prefix(b"dest="));
        match std::str::from_utf8(&words[0]).unwrap() {
            "snapshot" | "utimes" => {}
            "mkfile" | "mkdir" | "mknod" | "mkfifo" | "mksock" | "symlink" => {
                self.names.insert(path, *next);
                self.written.insert(*next);
                *next += 1;
            }
            "rename" => self.rename(&path, &inside(dest.unwrap())),
            // link: path is the new name, dest the old one, without the snapshot
            "link" => {
                let old = PathBuf::from(OsString::from_vec(dest.unwrap().to_vec()));
                let file = self.names.get(&old).or_else(|| self.names.get(&inside(dest.unwrap())));
                let file = *file.unwrap_or_else(|| panic!("{old:?} is linked and not there"));
                self.names.insert(path, file);
            }
            "unlink" | "rmdir" => drop(self.names.remove(&path).expect("what goes was there")),
            "write" | "update_extent" | "truncate" | "clone" | "chmod" | "chown" | "set_xattr"
            | "remove_xattr" | "fallocate" | "fileattr" | "encoded_write" => {
                self.written.insert(self.names[&path]);
            }
            other => panic!("send says {other}"),
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let below: Vec<PathBuf> = self.names.keys().filter(|p| p.starts_with(from)).cloned().collect();
        for path in below {
            let file = self.names.remove(&path).unwrap();
            let rest = path.strip_prefix(from).unwrap();
            self.names.insert(if rest.as_os_str().is_empty() { to.into() } else { to.join(rest) }, file);
        }
    }
}

/// Words between blanks; blanks in a path are escaped, as in C.
fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut at) = (Vec::new(), Vec::new(), 0);
    while at < line.len() {
        match line[at] {
            b' ' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            b'\\' => {
                at += 1;
                let plain = [
                    (b'a', 7),
                    (b'b', 8),
                    (b'e', 27),
                    (b'f', 12),
                    (b'n', 10),
                    (b'r', 13),
                    (b't', 9),
                    (b'v', 11),
                ];
                match line[at] {
                    b'0'..=b'7' => {
                        let digits = std::str::from_utf8(&line[at..at + 3]).unwrap();
                        word.push(u16::from_str_radix(digits, 8).unwrap() as u8);
                        at += 2;
                    }
                    other => word.push(plain.iter().find(|(c, _)| *c == other).map_or(other, |(_, b)| *b)),
                }
            }
            other => word.push(other),
        }
        at += 1;
    }
    words.push(word);
    words
}
