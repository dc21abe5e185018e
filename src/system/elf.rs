//! Reads what an ELF file asks of the dynamic linker: its header, the program headers, the dynamic section
//! and a few strings, never the file as a whole. What these bytes mean the crate `elf` knows; the file may
//! be of any machine, and broken in any way.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use elf::abi::{DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB};
use elf::abi::{EI_NIDENT, ELFMAGIC, PT_DYNAMIC, PT_INTERP, PT_LOAD};
use elf::dynamic::Dyn;
use elf::endian::{AnyEndian, EndianParse};
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::{ParseAt, ParsingTable};
use elf::segment::ProgramHeader;

use crate::model::elf::{Abi, Elf, Reading};
use crate::model::error::{At, Result};

use super::files::no_file;

/// The header of a 64 bit file.
const HEADER: u64 = 64;
/// A dynamic section has some dozen entries; 4096 of them are enough for anybody.
const LONGEST_DYNAMIC: u64 = 64 << 10;
/// PATH_MAX: for a name, the interpreter, and a list of directories.
const LONGEST_STRING: u64 = 4096;

/// Of a regular file; links are not followed.
pub fn read(path: &Path) -> Result<Reading> {
    let open = || {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let mut file = File::options().read(true).custom_flags(flags).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(no_file());
        }
        read_from(&mut file)
    };
    open().at("read", path)
}

/// An error is one of the disk; whatever the bytes are, there is an answer.
pub fn read_from(file: &mut (impl Read + Seek)) -> io::Result<Reading> {
    let header = piece(file, 0, HEADER)?;
    if !header.starts_with(&ELFMAGIC) {
        return Ok(Reading::Other);
    }
    match read_elf(file, &header) {
        Ok(elf) => Ok(Reading::Elf(elf)),
        Err(Failed::Io(error)) => Err(error),
        Err(Failed::Broken(why)) => Ok(Reading::Broken(why)),
    }
}

enum Failed {
    Io(io::Error),
    Broken(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Io(error)
    }
}

impl From<elf::ParseError> for Failed {
    fn from(error: elf::ParseError) -> Failed {
        Failed::Broken(error.to_string())
    }
}

fn broken<T>(why: &str) -> std::result::Result<T, Failed> {
    Err(Failed::Broken(why.to_owned()))
}

type Outcome<T> = std::result::Result<T, Failed>;

fn read_elf(file: &mut (impl Read + Seek), header: &[u8]) -> Outcome<Elf> {
    if header.len() < EI_NIDENT {
        return broken("the header is cut");
    }
    let header = FileHeader::<AnyEndian>::parse_tail(parse_ident(header)?, &header[EI_NIDENT..])?;
    let segments = segments(file, &header)?;
    let mut found = Elf {
        abi: Abi {
            bits: if header.class == Class::ELF64 { 64 } else { 32 },
            big_endian: header.endianness.is_big(),
            machine: header.e_machine,
        },
        interpreter: None,
        soname: None,
        needed: Vec::new(),
        rpath: None,
        runpath: None,
    };
    if let Some(segment) = segments.iter().find(|s| s.p_type == PT_INTERP) {
        found.interpreter = Some(string(file, segment.p_offset, segment.p_filesz)?);
    }
    if let Some(segment) = segments.iter().find(|s| s.p_type == PT_DYNAMIC) {
        let entries = dynamic(file, &header, segment)?;
        fill(&mut found, file, &entries, &segments)?;
    }
    Ok(found)
}

fn segments(file: &mut (impl Read + Seek), header: &FileHeader<AnyEndian>) -> Outcome<Vec<ProgramHeader>> {
    if header.e_phoff == 0 || header.e_phnum == 0 {
        return Ok(Vec::new());
    }
    let size = ProgramHeader::validate_entsize(header.class, usize::from(header.e_phentsize))? as u64;
    table(file, header, header.e_phoff, size * u64::from(header.e_phnum))
}

/// Up to the entry that ends it.
fn dynamic(
    file: &mut (impl Read + Seek),
    header: &FileHeader<AnyEndian>,
    segment: &ProgramHeader,
) -> Outcome<Vec<Dyn>> {
    let mut entries: Vec<Dyn> = table(file, header, segment.p_offset, segment.p_filesz.min(LONGEST_DYNAMIC))?;
    match entries.iter().position(|e| e.d_tag == DT_NULL) {
        Some(end) => entries.truncate(end),
        None => return broken("the dynamic section has no end"),
    }
    Ok(entries)
}

fn table<P: ParseAt>(
    file: &mut (impl Read + Seek),
    header: &FileHeader<AnyEndian>,
    at: u64,
    length: u64,
) -> Outcome<Vec<P>> {
    let bytes = piece(file, at, length)?;
    if (bytes.len() as u64) < length {
        return broken("the file is cut");
    }
    let whole = bytes.len() - bytes.len() % P::size_for(header.class);
    Ok(ParsingTable::new(header.endianness, header.class, &bytes[..whole]).iter().collect())
}

fn fill(
    found: &mut Elf,
    file: &mut (impl Read + Seek),
    entries: &[Dyn],
    segments: &[ProgramHeader],
) -> Outcome<()> {
    let first = |tag: i64| entries.iter().find(|e| e.d_tag == tag).map(|e| e.d_val());
    let strings = first(DT_STRTAB).map(|address| offset(address, segments));
    let length = first(DT_STRSZ).unwrap_or(u64::MAX);
    for entry in entries {
        if ![DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH].contains(&entry.d_tag) {
            continue;
        }
        let Some(Some(strings)) = strings else { return broken("its strings are nowhere in the file") };
        let Some(left) = length.checked_sub(entry.d_val()).filter(|left| *left > 0) else {
            return broken("a string lies behind its strings");
        };
        let Some(at) = strings.checked_add(entry.d_val()) else { return broken("a string lies nowhere") };
        let text = string(file, at, left)?;
        match entry.d_tag {
            DT_NEEDED => found.needed.push(text),
            DT_SONAME => found.soname = Some(text),
            DT_RPATH => found.rpath = Some(text),
            _ => found.runpath = Some(text),
        }
    }
    Ok(())
}

/// Where in the file lies what is loaded to this address?
fn offset(address: u64, segments: &[ProgramHeader]) -> Option<u64> {
    let inside = |s: &&ProgramHeader| {
        s.p_type == PT_LOAD && address.checked_sub(s.p_vaddr).is_some_and(|within| within < s.p_filesz)
    };
    let segment = segments.iter().find(inside)?;
    segment.p_offset.checked_add(address - segment.p_vaddr)
}

/// Up to its NUL, which must be within `room`.
fn string(file: &mut (impl Read + Seek), at: u64, room: u64) -> Outcome<Vec<u8>> {
    let mut text = piece(file, at, room.min(LONGEST_STRING))?;
    match text.iter().position(|b| *b == 0) {
        Some(end) => text.truncate(end),
        None => return broken("a string has no end"),
    }
    Ok(text)
}

/// At most `length` bytes; fewer where the file ends.
fn piece(file: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    // Seeking takes an i64; no file is that long.
    if at > i64::MAX as u64 {
        return Ok(Vec::new());
    }
    file.seek(SeekFrom::Start(at))?;
    // Room for all of it, so that it is one read and not a row of growing ones.
    let mut bytes = Vec::with_capacity(length.min(LONGEST_DYNAMIC) as usize);
    file.by_ref().take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
