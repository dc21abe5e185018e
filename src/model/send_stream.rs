//! The btrfs send stream, as far as it is looked at: where it begins, which subvolume it makes, which one it
//! is a difference to, and that no path in it leads out of that subvolume. What its commands do is
//! btrfs-progs' business. Kernel: fs/btrfs/send.h.
//!
//! ```text
//! "btrfs-stream\0"  version u32                         then commands:
//! length u32  command u16  crc32c u32                   then `length` bytes of attributes:
//! type u16  length u16  value                           all little-endian
//! ```
//! From version 2 on the data of a write has no length: it reaches to the end of its command.

const MAGIC: &[u8; 13] = b"btrfs-stream\0";
/// Magic and version.
pub const HEADER: usize = 17;
/// What stands before the attributes of a command.
pub const FRAME: usize = 10;
/// More than any kernel writes: 64 KiB in version 1, 16 KiB and an encoded extent of 128 KiB in version 2.
pub const LONGEST_COMMAND: usize = 1 << 20;
/// The versions btrfs-progs receives (6.0 and later).
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=2;

/// Every published stream makes a subvolume of this name: it is received beside the bases, and renamed.
pub const NAME: &str = ".incoming";

const SUBVOLUME: u16 = 1;
const SNAPSHOT: u16 = 2;
const LINK: u16 = 10;
const END: u16 = 21;

const UUID: u16 = 1;
const PATH: u16 = 15;
const PATH_TO: u16 = 16;
const PATH_LINK: u16 = 17;
const DATA: u16 = 19;
const CLONE_UUID: u16 = 20;
const CLONE_PATH: u16 = 22;

/// What stands before the attributes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of attributes that follow.
    pub length: usize,
    command: u16,
    crc: u32,
}

impl Frame {
    pub fn parse(bytes: &[u8; FRAME]) -> Frame {
        let [a, b, c, d, e, f, g, h, i, j] = *bytes;
        Frame {
            length: u32::from_le_bytes([a, b, c, d]) as usize,
            command: u16::from_le_bytes([e, f]),
            crc: u32::from_le_bytes([g, h, i, j]),
        }
    }

    pub fn is_end(&self) -> bool {
        self.command == END
    }

    fn to_bytes(self) -> [u8; FRAME] {
        let mut bytes = [0; FRAME];
        bytes[..4].copy_from_slice(&(self.length as u32).to_le_bytes());
        bytes[4..6].copy_from_slice(&self.command.to_le_bytes());
        bytes[6..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    /// Is the command as it was written?
    pub fn holds(&self, attributes: &[u8]) -> bool {
        self.crc == checksum(*self, attributes)
    }
}

/// The first command: which subvolume the stream makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    pub name: Vec<u8>,
    /// What a later delta names this subvolume by, wherever it is received.
    pub uuid: [u8; 16],
    /// Of a delta: the subvolume it is the difference to.
    pub parent: Option<[u8; 16]>,
}

/// The version of the format, or why this is no stream that can be received.
pub fn version(beginning: &[u8]) -> Result<u32, String> {
    let Some(header) = beginning.get(..HEADER).filter(|header| header.starts_with(MAGIC)) else {
        return Err(what_it_is(beginning).to_owned());
    };
    let version = u32::from_le_bytes([header[13], header[14], header[15], header[16]]);
    match VERSIONS.contains(&version) {
        true => Ok(version),
        false => Err(format!("it is of version {version}, and this program knows 1 and 2")),
    }
}

/// What somebody took for a stream.
fn what_it_is(beginning: &[u8]) -> &'static str {
    const PACKED: [&[u8]; 3] = [b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh"];
    match beginning {
        [] => "it is empty",
        bytes if MAGIC.starts_with(bytes) || bytes.starts_with(MAGIC) => "it ends in its first line",
        bytes if bytes.get(257..262) == Some(b"ustar") => "it is a tarball",
        bytes if PACKED.iter().any(|magic| bytes.starts_with(magic)) => "it may be a tarball",
        _ => "it begins otherwise",
    }
}

/// Reads the first command, or says why it is none a stream can begin with.
pub fn first(frame: Frame, attributes: &[u8]) -> Result<First, String> {
    if !frame.holds(attributes) {
        return Err("the checksum of its first command is wrong".to_owned());
    }
    if ![SUBVOLUME, SNAPSHOT].contains(&frame.command) {
        return Err("it does not begin with a subvolume".to_owned());
    }
    let (mut name, mut uuid, mut parent) = (None, None, None);
    for attribute in Attributes::of(attributes, 1) {
        let (kind, value) = attribute?;
        match kind {
            PATH => name = Some(value.to_vec()),
            UUID => uuid = value.try_into().ok(),
            CLONE_UUID if frame.command == SNAPSHOT => parent = value.try_into().ok(),
            _ => {}
        }
    }
    match (name, uuid, frame.command == SNAPSHOT && parent.is_none()) {
        (Some(name), Some(uuid), false) => Ok(First { name, uuid, parent }),
        _ => Err("its first command does not say which subvolume it makes".to_owned()),
    }
}

/// Refuses what the stream of one base never has: another subvolume, and a path out of this one. The
/// program that receives follows both.
pub fn check(version: u32, frame: Frame, attributes: &[u8]) -> Result<(), String> {
    if [SUBVOLUME, SNAPSHOT].contains(&frame.command) {
        return Err("it holds more than one subvolume".to_owned());
    }
    for attribute in Attributes::of(attributes, version) {
        let (kind, value) = attribute?;
        let is_path = [PATH, PATH_TO, CLONE_PATH].contains(&kind);
        // Of a symbolic link it is what the link says, which may be anything.
        let is_path = is_path || (kind == PATH_LINK && frame.command == LINK);
        if is_path && value.split(|byte| *byte == b'/').any(|part| part == b"..") {
            return Err(format!("it has a path out of its root: {}", String::from_utf8_lossy(value)));
        }
    }
    Ok(())
}

/// The same first command for a subvolume of another name: `btrfs send` names it as it is called here.
pub fn renamed(frame: Frame, attributes: &[u8], name: &str) -> Result<Vec<u8>, String> {
    let mut made = Vec::with_capacity(attributes.len() + name.len());
    for attribute in Attributes::of(attributes, 1) {
        let (kind, value) = attribute?;
        let value = if kind == PATH { name.as_bytes() } else { value };
        made.extend_from_slice(&kind.to_le_bytes());
        made.extend_from_slice(&(value.len() as u16).to_le_bytes());
        made.extend_from_slice(value);
    }
    let frame = Frame { length: made.len(), ..frame };
    let frame = Frame { crc: checksum(frame, &made), ..frame };
    Ok([&frame.to_bytes()[..], &made].concat())
}

/// As btrfs prints it: `2057bebc-06ac-a146-a40b-e11ccbc7df9a`.
pub fn uuid_text(uuid: &[u8; 16]) -> String {
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

struct Attributes<'a> {
    rest: &'a [u8],
    data_is_last: bool,
}

impl<'a> Attributes<'a> {
    fn of(command: &'a [u8], version: u32) -> Attributes<'a> {
        Attributes { rest: command, data_is_last: version > 1 }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let torn = || Some(Err("it has a command with a torn attribute".to_owned()));
        let Some((kind, rest)) = rest.split_first_chunk::<2>() else { return torn() };
        let kind = u16::from_le_bytes(*kind);
        if kind == DATA && self.data_is_last {
            return Some(Ok((kind, rest)));
        }
        let Some((length, rest)) = rest.split_first_chunk::<2>() else { return torn() };
        let Some((value, rest)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length))) else {
            return torn();
        };
        self.rest = rest;
        Some(Ok((kind, value)))
    }
}

/// CRC-32C from 0 and not inverted at the end, over the frame with its checksum as 0 and the attributes.
fn checksum(frame: Frame, attributes: &[u8]) -> u32 {
    let frame = Frame { crc: 0, ..frame }.to_bytes();
    frame.iter().chain(attributes).fold(0, |crc, byte| {
        let at = (crc ^ u32::from(*byte)) & 0xff;
        (crc >> 8) ^ CRC_OF_BYTE[at as usize]
    })
}

static CRC_OF_BYTE: [u32; 256] = {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
