//! The kernel of a root: which files it is, and the key that names what is in them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::error::{At, Result};
use crate::model::kernel::KernelKey;
use crate::model::layout::RootDir;

use super::{files, upper};

const BOOT: &str = "boot";

/// Two files that belong together, where they really lie: in the upper or in the base.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `6.12.48+deb13-amd64`
    pub release: String,
    pub vmlinuz: PathBuf,
    pub initrd: PathBuf,
}

/// The names in the merged /boot.
pub fn names(root: &RootDir, base: &Path) -> Result<Vec<String>> {
    let found = upper::files_in(root, base, Path::new(BOOT), b"")?;
    Ok(found.into_iter().filter_map(|(name, _)| name.into_string().ok()).collect())
}

pub fn has_modules(root: &RootDir, base: &Path, release: &str) -> bool {
    upper::shows_directory(root, base, &Path::new("usr/lib/modules").join(release))
}

/// None where one of the two is no regular file: a link leads out of the root.
pub fn of_release(root: &RootDir, base: &Path, release: &str) -> Option<Kernel> {
    let file = |name: &str| {
        let path = upper::find(root, base, &Path::new(BOOT).join(format!("{name}-{release}")))?;
        files::is_regular(&path).then_some(path)
    };
    Some(Kernel { release: release.to_owned(), vmlinuz: file("vmlinuz")?, initrd: file("initrd.img")? })
}

impl Kernel {
    /// Size and time of both, with the release: what no change of them leaves as it is. A snapshot keeps it.
    pub fn stamp(&self) -> Result<String> {
        let of = |path: &Path| -> Result<String> {
            let meta = fs::metadata(path).at("look at", path)?;
            Ok(format!("{}:{}.{:09}", meta.len(), meta.mtime(), meta.mtime_nsec()))
        };
        Ok(format!("{}:{}:{}", self.release, of(&self.vmlinuz)?, of(&self.initrd)?))
    }

    /// Bytes a boot directory needs for it.
    pub fn size(&self) -> Result<u64> {
        let of = |path: &Path| Ok(fs::metadata(path).at("look at", path)?.len());
        Ok(of(&self.vmlinuz)? + of(&self.initrd)?)
    }

    /// Reads both files: some tens of megabytes.
    pub fn key(&self) -> Result<KernelKey> {
        let mut sum = Sha256::new();
        for path in [&self.vmlinuz, &self.initrd] {
            let mut file = File::open(path).at("open", path)?;
            io::copy(&mut file, &mut sum).at("read", path)?;
        }
        let digest: String = sum.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        KernelKey::new(&self.release, &digest)
    }
}

/// `uname -r`
pub fn running_release() -> Result<String> {
    files::read_line(Path::new("/proc/sys/kernel/osrelease"))
}

/// The kernel this machine was started with, as its loader named it on the command line.
pub fn running() -> Option<KernelKey> {
    let line = fs::read_to_string("/proc/cmdline").ok()?;
    line.split_whitespace().rev().find_map(|word| word.strip_prefix("flipper.kernel="))?.parse().ok()
}
