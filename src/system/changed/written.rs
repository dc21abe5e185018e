//! When a path was last written, as btrfs knows it: the transaction, which no clock can turn back, and the
//! time of change. The transaction of a file whose bytes were written back late is later than the write; its
//! time is not.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::tree::Tree;
use crate::model::error::{At, Result};
use crate::model::layout::RootDir;
use crate::model::own::Stamp;

/// Asks one subvolume; it must have been synced.
pub struct Written {
    tree: Tree,
    upper: PathBuf,
}

impl Written {
    pub fn of(root: &RootDir) -> Result<Written> {
        Ok(Written { tree: Tree::open(root.path())?, upper: root.upper() })
    }

    /// The same for somebody who will ask for many that were written after this transaction.
    pub fn of_many(root: &RootDir, since: u64) -> Result<Written> {
        let mut written = Written::of(root)?;
        written.tree.scan(since).at("search", root.path())?;
        Ok(written)
    }

    /// Of plain files below a directory that lies in a subvolume's top, e.g. entries of the journal.
    pub fn below(subvolume: &Path, dir: &Path) -> Result<Written> {
        Ok(Written { tree: Tree::open(subvolume)?, upper: dir.to_path_buf() })
    }

    /// None: it is not there, or only the base has it.
    pub fn stamp(&mut self, inside: &Path) -> Result<Option<Stamp>> {
        let path = self.upper.join(inside);
        let Ok(meta) = path.symlink_metadata() else { return Ok(None) };
        let found = self.tree.inode(meta.ino()).at("search", &path)?;
        let time = meta.ctime() * 1_000_000_000 + meta.ctime_nsec();
        Ok(found.map(|inode| Stamp { transaction: inode.transid, time }))
    }
}
