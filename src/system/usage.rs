//! How full a btrfs is, in its own words: BTRFS_IOC_SPACE_INFO (linux/btrfs.h) for what is allocated to
//! data and to metadata and used of it, its devices for what is not allocated, statvfs(3) for the
//! kernel's estimate of what is free.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::health;
use crate::model::error::{At, Result};

/// All in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// As df shows it: of the devices together, and half of that where data is kept twice.
    pub total: u64,
    /// What the kernel thinks can still be written as data.
    pub free: u64,
    pub data: Allocated,
    /// Trees: names, attributes, checksums, small files. On a file system made with `--mixed` it lies
    /// among the data and is counted there. Without what is allocated to the table of the block groups
    /// themselves (`System` in btrfs's words), which holds nothing else.
    pub metadata: Allocated,
    /// Of the devices, not allocated to anything yet. What is kept twice takes two bytes of it for one.
    pub unallocated: u64,
    pub mixed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    pub used: u64,
    pub allocated: u64,
    /// Bytes of the devices one more byte of it takes.
    copies: u64,
}

/// What one kind may come to hold, in bytes: what is allocated to it, and what is not allocated yet and
/// which any kind may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub size: u64,
    pub free: u64,
}

impl Usage {
    pub fn room_for_data(&self) -> Room {
        self.room(self.data)
    }

    pub fn room_for_metadata(&self) -> Room {
        self.room(if self.mixed { self.data } else { self.metadata })
    }

    fn room(&self, of: Allocated) -> Room {
        let growth = self.unallocated / of.copies.max(1);
        Room { size: of.allocated + growth, free: of.allocated.saturating_sub(of.used) + growth }
    }
}

/// struct btrfs_ioctl_space_args, whose size is in the ioctl's number.
#[repr(C)]
struct Head {
    slots: u64,
    found: u64,
}

/// With room for every kind of block group and profile there is.
#[repr(C)]
struct Arguments {
    head: Head,
    spaces: [SpaceInfo; SLOTS],
}

const SLOTS: usize = 64;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SpaceInfo {
    flags: u64,
    total: u64,
    used: u64,
}

// Flags (btrfs_tree.h, BTRFS_BLOCK_GROUP_*).
const DATA: u64 = 1 << 0;
const METADATA: u64 = 1 << 2;
/// RAID1, DUP and RAID10
const TWO_COPIES: u64 = 1 << 4 | 1 << 5 | 1 << 6;
const RAID1C3: u64 = 1 << 9;
const RAID1C4: u64 = 1 << 10;

nix::ioctl_readwrite!(space_info, 0x94, 20, Head);

/// `place` is any file or directory of the file system.
pub fn usage(place: &Path) -> Result<Usage> {
    let file = File::open(place).at("open", place)?;
    let mut arguments =
        Arguments { head: Head { slots: SLOTS as u64, found: 0 }, spaces: [SpaceInfo::default(); SLOTS] };
    // Sound: the kernel fills at most `slots` of the spaces that follow the head.
    unsafe { space_info(file.as_raw_fd(), (&raw mut arguments).cast()) }.at("ask for the space of", place)?;
    let found = (arguments.head.found as usize).min(SLOTS);
    let total = fs2::total_space(place).at("ask for the space of", place)?;
    let free = fs2::available_space(place).at("ask for the space of", place)?;
    let unallocated = health::devices(place)?.iter().map(|device| device.unallocated).sum();
    Ok(summed(&arguments.spaces[..found], Usage { total, free, unallocated, ..Usage::default() }))
}

fn summed(spaces: &[SpaceInfo], mut usage: Usage) -> Usage {
    for SpaceInfo { flags, total, used } in spaces {
        let kind = match flags & (DATA | METADATA) {
            0 => continue, // System, or the reserve the kernel keeps inside the metadata
            METADATA => &mut usage.metadata,
            _ => &mut usage.data,
        };
        kind.used += used;
        kind.allocated += total;
        // Several, while a balance converts one into the other.
        kind.copies = kind.copies.max(copies(*flags));
        usage.mixed |= flags & DATA != 0 && flags & METADATA != 0;
    }
    usage
}

/// Bytes of the devices one byte takes. With parity it is this many on the fewest devices that will do,
/// and less on more of them: a guess on the safe side.
fn copies(flags: u64) -> u64 {
    const RAID5: u64 = 1 << 7;
    const RAID6: u64 = 1 << 8;
    match flags {
        f if f & RAID1C4 != 0 => 4,
        f if f & (RAID1C3 | RAID6) != 0 => 3,
        f if f & (TWO_COPIES | RAID5) != 0 => 2,
        _ => 1,
    }
}
