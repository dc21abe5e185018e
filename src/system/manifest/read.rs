//! A manifest on disk, as a tree that can be asked. It may hold a hundred megabytes, and a check asks it
//! for some thousand paths in their order: each is looked for from where the last one was found, with
//! steps that double, so the work grows with what is asked and hardly with the base.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model::error::{At, Error, Result};
use crate::model::tree::{self, Object, Tree};
use crate::model::{BaseVersion, Layout};

use super::line;
use crate::system::roots;

pub struct ManifestFile {
    path: PathBuf,
    /// The base itself, which may be gone.
    base: PathBuf,
    file: File,
    paths: Section,
    texts: Section,
    has_xattrs: bool,
    /// The largest inode number in the base.
    pub largest_inode: u64,
    windows: RefCell<Windows>,
}

/// A range of lines in [`tree::order`], in bytes of the file.
struct Section {
    start: u64,
    end: u64,
    /// The line that was found last.
    last: Cell<u64>,
    asked: RefCell<Asked>,
}

/// What the last line was found for, and its own path: nothing of the section lies between the two, so most
/// paths that only the upper has need no line read.
#[derive(Default)]
struct Asked {
    wanted: Vec<u8>,
    found: Vec<u8>,
}

impl Asked {
    /// Is what was found then the first that is not before this path, too?
    fn covers(&self, wanted: &[u8]) -> bool {
        tree::order(&self.wanted, wanted).is_le() && tree::order(wanted, &self.found).is_le()
    }
}

/// A piece of the file that was read.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

/// The pieces that were read last, the latest at the end: whoever looks for a line goes to and fro between
/// the same few places.
#[derive(Default)]
struct Windows(Vec<Window>);

impl Windows {
    const MOST: usize = 32;

    /// One was filled before it is looked into.
    fn latest(&self) -> &Window {
        self.0.last().expect("a window was filled")
    }

    /// Makes the one that holds this range the latest. False: none does.
    fn recall(&mut self, start: u64, end: u64) -> bool {
        let holds =
            |window: &Window| window.start <= start && end <= window.start + window.bytes.len() as u64;
        match self.0.iter().rposition(holds) {
            Some(at) => {
                self.0[at..].rotate_left(1);
                true
            }
            None => false,
        }
    }

    /// To be filled anew, as the latest.
    fn oldest(&mut self) -> &mut Window {
        match self.0.len() {
            Self::MOST => self.0.rotate_left(1),
            _ => self.0.push(Window::default()),
        }
        self.0.last_mut().expect("there is one")
    }
}

const PIECE: u64 = 64 << 10;

impl ManifestFile {
    pub fn open(layout: &Layout, version: &BaseVersion) -> Result<ManifestFile> {
        let path = layout.manifest(version);
        let file = File::open(&path).at("open", &path)?;
        let size = file.metadata().at("look at", &path)?.len();
        let section = |start, end| Section { start, end, last: Cell::new(start), asked: RefCell::default() };
        let mut manifest = ManifestFile {
            path,
            base: layout.base(version),
            file,
            paths: section(0, size),
            texts: section(size, size),
            has_xattrs: false,
            largest_inode: 0,
            windows: RefCell::default(),
        };
        let (header, begin) = manifest.line_at(0)?;
        let header: Option<Value> = serde_json::from_slice(&header).ok();
        let number = |name: &str| header.as_ref()?.get(name)?.as_u64();
        manifest.largest_inode = number("largest_inode")
            .ok_or_else(|| manifest.damaged("its first line names no largest_inode"))?;
        manifest.has_xattrs = header.as_ref().is_some_and(|header| header["xattrs"] == true);
        let texts = match number("texts_at") {
            Some(at) => begin.saturating_add(at),
            None => manifest.find_texts(begin)?,
        };
        let ends_well = match number("ends_at") {
            Some(length) => begin.checked_add(length) == Some(size),
            None => manifest.line_start(size, begin)? == size, // behind a newline, or nothing follows
        };
        if texts > size || !ends_well {
            return Err(manifest.damaged("it does not end where it should"));
        }
        (manifest.paths, manifest.texts) = (section(begin, texts), section(texts, size));
        Ok(manifest)
    }

    /// A regular file of the base itself, no link on the way. None: there is no such file, it is larger, or the
    /// base is gone.
    pub fn small_file(&self, path: &[u8], most: u64) -> Result<Option<Vec<u8>>> {
        let inside = Path::new(OsStr::from_bytes(path));
        let there = self.base.join(inside);
        let is_small = |meta: &fs::Metadata| meta.is_file() && meta.len() <= most;
        match there.symlink_metadata() {
            Ok(meta) if is_small(&meta) && !roots::has_link(&self.base, inside) => {
                fs::read(&there).at("read", &there).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Where the texts begin in a manifest that does not say so.
    fn find_texts(&self, mut at: u64) -> Result<u64> {
        let size = self.paths.end;
        while at < size {
            let (line, next) = self.line_at(at)?;
            if line::text_of(&line).is_some() {
                break;
            }
            at = next;
        }
        Ok(at)
    }

    fn damaged(&self, why: &str) -> Error {
        Error::Damaged { what: self.path.clone(), why: why.to_owned() }
    }

    /// The line that begins at `start`, and where the next one begins.
    fn line_at(&self, start: u64) -> Result<(Vec<u8>, u64)> {
        let mut line = Vec::new();
        let mut at = start;
        loop {
            self.fill(at)?;
            let windows = self.windows.borrow();
            let window = windows.latest();
            let rest = &window.bytes[(at - window.start) as usize..];
            match memchr::memchr(b'\n', rest) {
                Some(length) => {
                    line.extend_from_slice(&rest[..length]);
                    return Ok((line, at + length as u64 + 1));
                }
                None if rest.is_empty() => return Err(self.damaged("its last line is torn")),
                None => {
                    line.extend_from_slice(rest);
                    at += rest.len() as u64;
                }
            }
        }
    }

    /// Where the line begins that holds the byte at `at`, not before `from`.
    fn line_start(&self, at: u64, from: u64) -> Result<u64> {
        let mut end = at;
        while end > from {
            let start = end.saturating_sub(PIECE / 4).max(from);
            self.fill_from(start, end)?;
            let windows = self.windows.borrow();
            let window = windows.latest();
            let piece = &window.bytes[(start - window.start) as usize..(end - window.start) as usize];
            if let Some(newline) = memchr::memrchr(b'\n', piece) {
                return Ok(start + newline as u64 + 1);
            }
            end = start;
        }
        Ok(from)
    }

    /// Has the byte at `at` in the window, or nothing when the file ends before it.
    fn fill(&self, at: u64) -> Result<()> {
        self.fill_from(at, at + 1)
    }

    fn fill_from(&self, start: u64, end: u64) -> Result<()> {
        let mut windows = self.windows.borrow_mut();
        if windows.recall(start, end) {
            return Ok(());
        }
        let window = windows.oldest();
        // A little before too: the next line that is asked for may be the one before.
        let from = start.saturating_sub(PIECE / 4);
        window.bytes.resize((end.max(start + PIECE) - from) as usize, 0);
        window.start = from;
        let mut read = 0;
        while read < window.bytes.len() {
            match self.file.read_at(&mut window.bytes[read..], from + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    window.bytes.clear(); // what it holds is nothing of the file
                    return Err(error).at("read", &self.path);
                }
            }
        }
        window.bytes.truncate(read);
        Ok(())
    }

    /// How the path of a line stands to the wanted one.
    fn compare(&self, at: u64, wanted: &[u8]) -> Result<Ordering> {
        let (line, _) = self.line_at(at)?;
        let path = line::path_of(&line).ok_or_else(|| self.damaged("a line names no path"))?;
        Ok(tree::order(&path, wanted))
    }

    /// The first line of a section whose path is not before `wanted`; its end when there is none.
    fn seek(&self, section: &Section, wanted: &[u8]) -> Result<u64> {
        let (mut low, mut high) = (section.start, section.end);
        let last = section.last.get();
        if section.asked.borrow().covers(wanted) {
            return Ok(last);
        }
        match (last < section.end).then(|| self.compare(last, wanted)).transpose()? {
            Some(Ordering::Equal) => return self.remember(section, wanted, last),
            Some(Ordering::Greater) => high = last,
            Some(Ordering::Less) => (low, high) = self.gallop(section, last, wanted)?,
            None => {}
        }
        // Between `low` and `high`, line by line at last.
        while low < high {
            let middle = self.line_start(low + (high - low) / 2, low)?;
            if self.compare(middle, wanted)?.is_lt() {
                low = self.line_at(middle)?.1;
            } else if middle == low {
                high = low;
            } else {
                high = middle;
            }
        }
        self.remember(section, wanted, low)
    }

    fn remember(&self, section: &Section, wanted: &[u8], at: u64) -> Result<u64> {
        section.last.set(at.min(section.end));
        let mut asked = section.asked.borrow_mut();
        asked.wanted.clear();
        asked.found.clear();
        // Behind the last line nothing is found, and nothing is remembered.
        if at < section.end {
            let (line, _) = self.line_at(at)?;
            let found = line::path_of(&line).ok_or_else(|| self.damaged("a line names no path"))?;
            asked.found.extend_from_slice(&found);
            asked.wanted.extend_from_slice(wanted);
        }
        Ok(at)
    }

    /// From a line that is before `wanted`: a range that begins with such a line, and ends with one that
    /// is not, or with the section.
    fn gallop(&self, section: &Section, from: u64, wanted: &[u8]) -> Result<(u64, u64)> {
        let (mut low, mut step) = (from, 256);
        loop {
            let probe = low.saturating_add(step);
            if probe >= section.end {
                return Ok((low, section.end));
            }
            let at = self.line_start(probe, low)?;
            if at > low && self.compare(at, wanted)?.is_ge() {
                return Ok((low, at));
            }
            low = at;
            step *= 2;
        }
    }

    /// Every line of a section from the first that is `dir` or below it to the last.
    fn each(&self, section: &Section, dir: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let mut at = if dir.is_empty() { section.start } else { self.seek(section, dir)? };
        while at < section.end {
            let (line, next) = self.line_at(at)?;
            at = next;
            let path = line::path_of(&line).ok_or_else(|| self.damaged("a line names no path"))?;
            if tree::is_below(&path, dir) {
                visit(&path, &line);
            } else if path != dir {
                break;
            }
        }
        Ok(())
    }

    fn object(&self, line: &[u8]) -> Result<Object> {
        let mut object =
            line::object_of(line).ok_or_else(|| self.damaged("a line says not what is there"))?;
        if !self.has_xattrs {
            object.xattrs = None;
        }
        Ok(object)
    }
}

impl Tree for ManifestFile {
    fn find(&self, path: &[u8]) -> Result<Option<Object>> {
        let at = self.seek(&self.paths, path)?;
        if at >= self.paths.end {
            return Ok(None);
        }
        let (line, _) = self.line_at(at)?;
        match line::path_of(&line) {
            Some(found) if *found == *path => self.object(&line).map(Some),
            _ => Ok(None),
        }
    }

    fn text(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let at = self.seek(&self.texts, path)?;
        if at >= self.texts.end {
            return Ok(None);
        }
        let (line, _) = self.line_at(at)?;
        if line::path_of(&line).is_none_or(|found| *found != *path) {
            return Ok(None);
        }
        let text = line::text_of(&line).ok_or_else(|| self.damaged("a line has no text"))?;
        Ok(Some(text.into_owned()))
    }

    fn below(&self, dir: &[u8], visit: &mut dyn FnMut(&[u8], &Object)) -> Result<()> {
        let mut broken = None;
        self.each(&self.paths, dir, &mut |path, line| match self.object(line) {
            Ok(object) => visit(path, &object),
            Err(error) => broken = Some(error),
        })?;
        broken.map_or(Ok(()), Err)
    }

    fn texts(&self, dir: &[u8], ending: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let mut broken = false;
        self.each(&self.texts, dir, &mut |path, line| {
            if path.ends_with(ending) {
                match line::text_of(line) {
                    Some(text) => visit(path, &text),
                    None => broken = true,
                }
            }
        })?;
        if broken { Err(self.damaged("a line has no text")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
