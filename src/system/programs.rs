//! Copies of our programs in the pool, from before a change that takes them out of a profile:
//! `@journal/bin/<version>/`. Without them, who undoes the installation of flipper-profiles could
//! not redo it from inside. The pool is mounted noexec: whoever wants one copies it out (or runs it
//! from a memfd, as the initramfs does).

use std::fs;
use std::path::Path;

use crate::model::Layout;
use crate::model::error::{At, Result};
use crate::model::layout::RootDir;

use super::{files, upper};

/// flipper-rescue needs nothing beside it: static, and btrfs is enough for it.
const KEPT: [&str; 1] = ["usr/sbin/flipper-rescue"];

/// The version of the programs that are running.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Keeps the programs of a root; one that is kept already, or that the root lacks, is passed over.
pub fn keep(layout: &Layout, root: &RootDir, base: &Path) -> Result<()> {
    let dir = layout.programs(VERSION);
    for inside in KEPT {
        let Some(program) = upper::find(root, base, Path::new(inside)) else { continue };
        let kept = dir.join(Path::new(inside).file_name().unwrap_or_default());
        if kept.exists() {
            continue;
        }
        fs::create_dir_all(&dir).at("make", &dir)?;
        let bytes = fs::read(&program).at("read", &program)?;
        files::replace(&kept, &bytes)?;
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o755)).at("set the mode of", &kept)?;
    }
    Ok(())
}
