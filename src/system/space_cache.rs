//! `@journal/space.cache`: who held what when it was last looked at. It may be deleted at any time, is
//! never waited for and never synced: one that is missing, torn or of another version is made again, and
//! where it cannot be written nothing is lost but time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use sha2::{Digest, Sha256};

use crate::model::holdings::Holdings;
use crate::model::layout::Layout;

use super::files;

/// Changed with every change of the encoding. The SHA-256 of what follows comes after it.
const MAGIC: &[u8; 16] = b"flipper space 1\n";
const DIGEST: usize = 32;

/// Bytes; some twelve million extents. A file system with more is read anew each time.
const LARGEST: usize = 64 << 20;

/// It takes at most one part in so many of what is free.
const PART_OF_FREE: u64 = 50;

/// None when there is none that can be believed.
pub fn load(layout: &Layout) -> Option<Holdings> {
    let path = layout.space_cache();
    if fs::symlink_metadata(&path).ok()?.len() > LARGEST as u64 {
        return None;
    }
    let bytes = files::read_if_there(&path).ok()??;
    let rest = bytes.strip_prefix(MAGIC)?;
    let (digest, payload) = rest.split_at_checked(DIGEST)?;
    if digest != Sha256::digest(payload).as_slice() {
        tracing::warn!("{} is damaged: made again", path.display());
        return None;
    }
    Holdings::from_bytes(payload)
}

/// Not synced on purpose: a cache that became durable before the changes it was made from would be
/// believed after a power cut that took them back.
pub fn store(layout: &Layout, holdings: &Holdings) {
    let payload = holdings.to_bytes();
    if let Err(error) = write(layout, &payload) {
        tracing::debug!("{}: {error}", layout.space_cache().display());
    }
}

fn write(layout: &Layout, payload: &[u8]) -> io::Result<()> {
    let path = layout.space_cache();
    // What an older one says of a subvolume that is as it was stays true.
    let free = fs2::available_space(layout.top())?;
    if payload.len() > LARGEST || payload.len() as u64 > free / PART_OF_FREE {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let aside = files::beside(&path, ".new");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&aside)?;
    // Two at once: one writes. Had the other just renamed it, a torn file would be the worst.
    if unsafe { nix::libc::flock(file.as_raw_fd(), nix::libc::LOCK_EX | nix::libc::LOCK_NB) } != 0 {
        return Ok(());
    }
    let done = fill(&file, payload).and_then(|()| fs::rename(&aside, &path)); // the visible moment
    if done.is_err() {
        let _ = fs::remove_file(&aside);
    }
    done
}

fn fill(mut file: &File, payload: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(MAGIC)?;
    file.write_all(Sha256::digest(payload).as_slice())?;
    file.write_all(payload)
}
