//! The machine starts again at once: for the initramfs, where there is nothing to shut down.

use std::fs;
use std::io;

use crate::model::error::{At, Result};

/// reboot(2). `why` is a sentence for who looks at the screen: nobody else is there to say it. Returns only when it
/// was refused.
pub fn now(why: &str) -> Result<()> {
    let _ = fs::write("/dev/console", format!("flipper: {why}\r\n"));
    nix::unistd::sync();
    unsafe { nix::libc::reboot(nix::libc::LINUX_REBOOT_CMD_RESTART) };
    Err(io::Error::last_os_error()).at("restart", "the machine")
}
