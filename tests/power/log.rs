//! The log of a recording, in the format of dm-log-writes (kernel:
//! Documentation/admin-guide/device-mapper/log-writes.rst): a super block, then one entry for each
//! request in the order of their submission, its data behind it. All numbers little-endian, in sectors.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const SECTOR: u64 = 512;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `fua`: durable when it is completed, without a flush.
    Write {
        fua: bool,
    },
    Discard,
    /// What was completed before it is durable after it.
    Flush,
}

/// One request. Offsets and lengths in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub act: Act,
    pub at: u64,
    pub length: u64,
    /// Where its data begins in the log.
    pub data: u64,
}

pub fn read(path: &Path) -> Vec<Request> {
    let log = File::open(path).expect("open the log");
    let end = log.metadata().expect("look").len();
    let word = |at: u64| {
        let mut bytes = [0; 8];
        log.read_exact_at(&mut bytes, at).expect("read the log");
        u64::from_le_bytes(bytes)
    };
    assert_eq!(word(0), MAGIC, "{} is no log of writes", path.display());
    assert_eq!(word(24) & 0xffff_ffff, SECTOR, "sectors of another size");
    // The count in the super block may be behind: the log is read until it ends.
    let (mut requests, mut at) = (Vec::new(), SECTOR);
    while at + SECTOR <= end {
        let (sector, count, flags) = (word(at), word(at + 8), word(at + 16));
        if count == 0 && flags & FLUSH == 0 {
            break;
        }
        let (place, length, data) = (sector * SECTOR, count * SECTOR, at + SECTOR);
        if flags & FLUSH != 0 {
            requests.push(Request { act: Act::Flush, at: 0, length: 0, data });
        }
        let act = if flags & DISCARD != 0 { Act::Discard } else { Act::Write { fua: flags & FUA != 0 } };
        if length > 0 {
            requests.push(Request { act, at: place, length, data });
        }
        at = if act == Act::Discard { data } else { data + length };
    }
    assert!(word(8) == 1 && requests.len() as u64 >= word(16), "the log ends early");
    requests
}
