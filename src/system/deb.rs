//! A .deb, as dpkg-deb shows it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::model::error::{At, Result};

/// `plain 1:2-3 all`: name, version, architecture. Empty when it is no .deb (any more).
pub fn show(path: &Path) -> Result<Vec<u8>> {
    let mut command = Command::new("dpkg-deb");
    command.args(["--show", "--showformat=${Package} ${Version} ${Architecture}\\n", "--"]).arg(path);
    command.env_remove("DPKG_FRONTEND_LOCKED").stdin(Stdio::null()).stderr(Stdio::null());
    Ok(command.output().at("run dpkg-deb for", path)?.stdout)
}

/// A file of its control archive, e.g. `md5sums`; empty when it has none.
pub fn control_file(path: &Path, name: &str) -> Result<Vec<u8>> {
    let mut command = Command::new("dpkg-deb");
    command.arg("--info").arg(path).arg(name);
    command.env_remove("DPKG_FRONTEND_LOCKED").stdin(Stdio::null()).stderr(Stdio::null());
    Ok(command.output().at("run dpkg-deb for", path)?.stdout)
}

/// A path that a process was called with, as seen from here.
pub fn of_process(pid: i32, typed: &[u8]) -> std::path::PathBuf {
    Path::new(&format!("/proc/{pid}/cwd")).join(OsStr::from_bytes(typed))
}
