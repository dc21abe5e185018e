//! A stream as nobody's kernel writes it, made command by command.

pub const SUBVOLUME: u16 = 1;
pub const MKFILE: u16 = 3;
pub const MKDIR: u16 = 4;
pub const SYMLINK: u16 = 8;
pub const RENAME: u16 = 9;
pub const LINK: u16 = 10;
pub const UNLINK: u16 = 11;
pub const WRITE: u16 = 15;
pub const CHMOD: u16 = 18;
pub const END: u16 = 21;

pub const UUID: u16 = 1;
pub const TRANSACTION: u16 = 2;
pub const INODE: u16 = 3;
pub const MODE: u16 = 5;
pub const PATH: u16 = 15;
pub const PATH_TO: u16 = 16;
pub const PATH_LINK: u16 = 17;
pub const OFFSET: u16 = 18;
pub const DATA: u16 = 19;

/// Begun with a subvolume of this name.
pub fn begun(name: &str) -> Vec<u8> {
    let mut stream = b"btrfs-stream\0\x01\0\0\0".to_vec();
    stream.extend(command(
        SUBVOLUME,
        &[(PATH, name.as_bytes()), (UUID, &[7; 16]), (TRANSACTION, &[9, 0, 0, 0, 0, 0, 0, 0])],
    ));
    stream
}

pub fn command(number: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (kind, value) in attributes {
        payload.extend(kind.to_le_bytes());
        payload.extend((value.len() as u16).to_le_bytes());
        payload.extend_from_slice(value);
    }
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.extend(number.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    let crc = crc32c(&bytes);
    bytes[6..10].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

/// Where each command of a stream begins, the last one too.
pub fn borders(stream: &[u8]) -> Vec<usize> {
    let (mut at, mut found) = (17, Vec::new());
    while at + 10 <= stream.len() {
        found.push(at);
        at += 10 + u32::from_le_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
    }
    assert_eq!(at, stream.len());
    found
}
