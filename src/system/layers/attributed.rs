//! Which files of an upper have extended attributes at all. btrfs is asked once for the whole subvolume, by the
//! keys of its items, where asking each file is a third of a check.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::model::error::{At, Result};
use crate::system::tree_search::{FIRST_FREE, Key, LAST_FREE, Range, TreeSearch, XATTR_ITEM};

pub struct Attributed {
    /// Of the subvolume. Another subvolume in it has a device number and inode numbers of its own.
    device: u64,
    /// Sorted.
    inodes: Vec<u64>,
}

impl Attributed {
    /// In the subvolume of this directory. An attribute is in the tree as soon as it is set: unlike names and
    /// sizes it never waits for the next commit. One that is set later changes the time of its file, as every
    /// other change under a look does.
    pub fn below(dir: &Path) -> Result<Attributed> {
        let device = dir.symlink_metadata().at("look at", dir)?.dev();
        let mut inodes = Vec::new();
        let (first, last) = (Key::new(FIRST_FREE, 0, 0), Key::new(LAST_FREE, u8::MAX, u64::MAX));
        TreeSearch::open(dir)?.items(Range::between(0, first, last), |item| {
            if item.key.kind == XATTR_ITEM && inodes.last() != Some(&item.key.object) {
                inodes.push(item.key.object);
            }
        })?;
        Ok(Attributed { device, inodes })
    }

    /// False: it has none.
    pub fn may_have(&self, meta: &Metadata) -> bool {
        meta.dev() != self.device || self.inodes.binary_search(&meta.ino()).is_ok()
    }
}
