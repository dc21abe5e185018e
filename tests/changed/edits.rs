//! Random edits of a real tree: everything a program can do to names, content and attributes. Most
//! operations may fail (the name is taken, a directory is not empty); the tree is what it then is.

use std::ffi::{CString, OsString};
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::libc;

/// xorshift: a failing seed is found again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

pub fn name(dice: &mut Dice) -> OsString {
    const ODD: [&[u8]; 8] =
        [b" ", b"new\nline", b"\xff\xfe", b"-rf", b"two  blanks ", b"\\134", b"a=b", "ä€".as_bytes()];
    let mut bytes = if dice.below(4) == 0 { dice.pick(&ODD).to_vec() } else { b"n".to_vec() };
    bytes.extend(dice.below(60).to_string().bytes());
    OsString::from_vec(bytes)
}

fn content(dice: &mut Dice) -> Vec<u8> {
    let size = *dice.pick(&[0, 1, 20, 900, 2048, 4096, 5000, 70_000]);
    vec![b'a' + dice.below(26) as u8; size]
}

/// Directories (the top among them) and everything else, as they are now.
fn look(top: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut dirs, mut rest, mut at) = (vec![top.to_path_buf()], Vec::new(), 0);
    while let Some(dir) = dirs.get(at).cloned() {
        let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        for path in names {
            if path.symlink_metadata().unwrap().is_dir() { dirs.push(path) } else { rest.push(path) }
        }
        at += 1;
    }
    (dirs, rest)
}

/// A tree of so many files to begin with, in directories of about twenty.
pub fn fill(top: &Path, files: usize, dice: &mut Dice) {
    let mut dirs = vec![top.to_path_buf()];
    for _ in 0..files / 20 {
        let dir = dice.pick(&dirs).join(name(dice));
        if fs::create_dir(&dir).is_ok() {
            dirs.push(dir);
        }
    }
    for _ in 0..files {
        let path = dice.pick(&dirs).join(name(dice));
        if path.symlink_metadata().is_err() {
            fs::write(path, content(dice)).unwrap();
        }
    }
}

/// Five times as many edits.
pub fn edit(top: &Path, count: usize, dice: &mut Dice) {
    for _ in 0..count {
        // Looking is slow: what went since then is an operation that fails.
        let (dirs, files) = look(top);
        if files.len() < 20 {
            fill(top, 100, dice);
            continue;
        }
        for _ in 0..5 {
            one(&dirs, &files, dice);
        }
    }
}

fn one(dirs: &[PathBuf], files: &[PathBuf], dice: &mut Dice) {
    let (file, other, dir) = (dice.pick(files), dice.pick(files), dice.pick(dirs));
    let new = dir.join(name(dice));
    // Never the top itself.
    let some_dir = if dirs.len() > 1 { &dirs[1 + dice.below(dirs.len() - 1)] } else { file };
    let either = if dice.below(3) == 0 { some_dir } else { file };
    let _ = match dice.below(26) {
        0 | 1 => write(&new, content(dice)),
        2 => fs::create_dir(&new),
        3 => rewrite(file, |old| old.iter().map(|b| b ^ 1).collect()),
        4 => rewrite(file, <[u8]>::to_vec), // the same again: no change
        5 => append(file),
        6 => rewrite(file, |old| old[..old.len() / 2].to_vec()),
        7 | 8 => replace(file, dice),
        9 | 10 => fs::rename(file, &new),
        11 => fs::rename(file, other),
        12 | 13 if !new.starts_with(some_dir) => fs::rename(some_dir, &new),
        14 => fs::hard_link(file, &new),
        15 | 16 => fs::remove_file(file),
        17 if some_dir.components().count() > dirs[0].components().count() + 1 => {
            fs::remove_dir_all(some_dir)
        }
        18 => xattr::set(
            either,
            *dice.pick(&["user.color", "trusted.c"]),
            &vec![b'x'; *dice.pick(&[1, 2, 900])],
        ),
        19 => xattr::remove(either, "user.color"),
        20 if !either.is_symlink() => {
            fs::set_permissions(either, Permissions::from_mode(*dice.pick(&[0o600, 0o644, 0o755, 0o4711])))
        }
        21 => std::os::unix::fs::lchown(either, Some(dice.below(3) as u32), Some(dice.below(3) as u32)),
        22 => symlink(name(dice), &new),
        23 => node(&new, dice),
        24 => swap(file, other),
        25 => into_the_other_kind(either, dice),
        _ => Ok(()),
    };
}

/// Never into a pipe, which waits for a reader, or a device, which is somebody's disk; nor through a link.
fn write(path: &Path, bytes: Vec<u8>) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(meta) if !meta.is_file() => Ok(()),
        _ => fs::write(path, bytes),
    }
}

fn rewrite(file: &Path, with: impl Fn(&[u8]) -> Vec<u8>) -> std::io::Result<()> {
    if !file.symlink_metadata()?.is_file() {
        return Ok(());
    }
    let old = fs::read(file)?;
    write(file, with(&old))
}

fn append(file: &Path) -> std::io::Result<()> {
    if !file.symlink_metadata()?.is_file() {
        return Ok(());
    }
    OpenOptions::new().append(true).open(file)?.write_all(b"more")
}

/// As dpkg and editors do: another inode under the same name, sometimes with the same content.
fn replace(file: &Path, dice: &mut Dice) -> std::io::Result<()> {
    if !file.symlink_metadata()?.is_file() {
        return Ok(());
    }
    let bytes = if dice.below(3) == 0 { fs::read(file)? } else { content(dice) };
    let aside = file.with_file_name("aside");
    write(&aside, bytes)?;
    fs::rename(aside, file)
}

fn swap(a: &Path, b: &Path) -> std::io::Result<()> {
    let aside = a.with_file_name("aside");
    fs::rename(a, &aside)?;
    let _ = fs::rename(b, a);
    fs::rename(&aside, if b.symlink_metadata().is_ok() { a } else { b })
}

fn node(path: &Path, dice: &mut Dice) -> std::io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let (mode, device) = *dice.pick(&[
        (libc::S_IFCHR, libc::makedev(0, 0)), // a whiteout
        (libc::S_IFCHR, libc::makedev(1, 3)),
        (libc::S_IFBLK, libc::makedev(7, 9)),
        (libc::S_IFIFO, 0),
        (libc::S_IFSOCK, 0),
    ]);
    unsafe { libc::mknod(name.as_ptr(), mode | 0o600, device) };
    Ok(())
}

fn into_the_other_kind(path: &Path, dice: &mut Dice) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        fs::remove_dir_all(path)?;
        return write(path, content(dice));
    }
    fs::remove_file(path)?;
    fs::create_dir(path)?;
    fs::write(path.join("inside"), content(dice))
}
