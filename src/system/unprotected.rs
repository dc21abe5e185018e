//! The package runs of a root that have no point: skipped on request, or because a hook failed. Kept in
//! the root itself, `/var/lib/flipper-profiles/unprotected`, one JSON object a line: the pool may be what
//! failed, and an undo past such a run takes its line along. The next run with a point ends the list.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::error::{At, Result};

use super::files;

/// Inside the merged root.
pub const KEPT: &str = "var/lib/flipper-profiles/unprotected";

/// More than a person reads at login.
const AT_MOST: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unprotected {
    /// RFC 3339, UTC.
    pub at: String,
    pub why: String,
    /// e.g. `apt-get install nginx`
    pub command: String,
}

/// Notes one more, durably: a cut may follow. A program of many commits is noted once.
pub fn remember(root: &Path, run: Unprotected) -> Result<()> {
    let path = kept_in(root);
    let mut runs = parse(&files::read_if_there(&path)?.unwrap_or_default());
    if runs.last().is_some_and(|last| (&last.why, &last.command) == (&run.why, &run.command)) {
        return Ok(());
    }
    runs.push(run);
    let dir = path.parent().unwrap_or(root);
    fs::create_dir_all(dir).at("make", dir)?;
    let newest = &runs[runs.len().saturating_sub(AT_MOST)..];
    let lines = newest.iter().filter_map(|run| serde_json::to_string(run).ok());
    files::replace(&path, lines.map(|line| line + "\n").collect::<String>().as_bytes())
}

/// Oldest first. A line that is none is passed over: the file belongs to the root, and to its owner.
pub fn parse(bytes: &[u8]) -> Vec<Unprotected> {
    bytes.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// A run with a point follows: the point has them, and to return before them is to return to another.
pub fn forget(root: &Path) -> Result<()> {
    let path = kept_in(root);
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    files::remove_if_there(&path)?;
    let _ = fs::remove_dir(path.parent().unwrap_or(root)); // stays when it holds anything else
    Ok(())
}

fn kept_in(root: &Path) -> PathBuf {
    root.join(KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let run = |command: String| Unprotected { at: "x".into(), why: "y\n".into(), command };
        for number in 0..AT_MOST + 5 {
            remember(dir.path(), run(format!("apt {number}"))).unwrap();
            remember(dir.path(), run(format!("apt {number}"))).unwrap();
        }
        let kept = parse(&fs::read(kept_in(dir.path())).unwrap());
        assert_eq!((kept.len(), &kept[0], &kept[19]), (20, &run("apt 5".into()), &run("apt 24".into())));
        assert_eq!(parse(b"junk\n{}\n"), []);
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
        assert!(!dir.path().join("var/lib/flipper-profiles").exists());
    }
}
