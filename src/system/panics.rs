//! kernel.panic during a trial: a kernel that panics starts again, and the try counts. At a start the initramfs
//! does the same (`initramfs/scripts/flipper`).

use std::fs;
use std::path::Path;

use crate::model::error::{At, Result};

use super::{files, pool};

/// Seconds; 0 waits for ever. kernel: Documentation/admin-guide/sysctl/kernel.rst
const PANIC: &str = "/proc/sys/kernel/panic";
const ON_TRIAL: &str = "10";

/// Whoever said something else has decided.
pub fn restart_soon() -> Result<()> {
    if files::read_line(Path::new(PANIC))? != "0" {
        return Ok(());
    }
    fs::write(pool::PANIC_BEFORE, "0\n").at("write", pool::PANIC_BEFORE)?;
    fs::write(PANIC, ON_TRIAL).at("write", PANIC)
}

/// What it was before, if nobody changed it since.
pub fn as_before() -> Result<()> {
    let Some(before) = files::read_if_there(Path::new(pool::PANIC_BEFORE))? else { return Ok(()) };
    if files::read_line(Path::new(PANIC))? == ON_TRIAL {
        fs::write(PANIC, before).at("write", PANIC)?;
    }
    files::remove_if_there(Path::new(pool::PANIC_BEFORE))
}
