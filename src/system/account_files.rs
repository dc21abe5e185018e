//! The ledger of a profile, and the account files of its roots: read as overlayfs would show them, and
//! written into a root nobody uses, or into the live one under the lock that passwd(1) and its like take.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;

use crate::model::error::{At, Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::ledger::{self, ACCOUNT_FILES, Given, Texts};

use super::{files, roots, upper};

/// The account files of a root or a point. What cannot be read is as good as missing: an undo must work
/// on what is left of a profile.
pub fn of_root(root: &RootDir, base: &Path) -> Texts {
    let read = |inside| Some((inside, upper::read(root, base, inside).ok().flatten()?));
    ACCOUNT_FILES.into_iter().filter_map(read).collect()
}

/// The account files of the merged root this process lives in.
pub fn live() -> Texts {
    let read = |inside| Some((inside, files::read_if_there(&Path::new("/").join(inside)).ok().flatten()?));
    ACCOUNT_FILES.into_iter().filter_map(read).collect()
}

/// Are the accounts of two states the very same files? A look, nothing is read.
pub fn are_the_same(a: (&RootDir, &Path), b: (&RootDir, &Path)) -> bool {
    ACCOUNT_FILES.iter().all(|inside| upper::same_file(a, b, Path::new(inside)))
}

/// Writes them into a root nobody uses.
pub fn write_unused(root: &RootDir, base: &Path, texts: &Texts) -> Result<()> {
    texts.iter().try_for_each(|(inside, text)| roots::rewrite_in_upper(root, base, inside, text))
}

/// How long somebody else may hold the lock of the account files.
const PATIENCE: Duration = Duration::from_secs(2);

/// Changes the live account files: `change` gets them, and what it returns is written, each file by one
/// rename. Under the lock of lckpwdf(3).
pub fn change_live(change: impl FnOnce(&Texts) -> Result<Texts>) -> Result<()> {
    let lock = Path::new("/etc/.pwd.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock);
    let file = file.at("open", lock)?;
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = libc::F_WRLCK as libc::c_short;
    let begun = Instant::now();
    while unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &request) } != 0 {
        if begun.elapsed() > PATIENCE {
            return Err(Error::Busy { what: "the account files".into() });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for (inside, text) in change(&live())? {
        let path = Path::new("/").join(inside);
        if !path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            continue; // a link is the owner's own arrangement
        }
        let aside = files::beside(&path, ".flipper-new");
        files::remove_if_there(&aside)?;
        let mut new =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).at("write", &aside)?;
        new.write_all(&text).at("write", &aside)?;
        files::copy_attributes(&path, &aside)?;
        new.sync_all().at("sync", &aside)?;
        fs::rename(&aside, &path).at("rename to", &path)?; // the visible moment of this file
    }
    Ok(())
}

/// The directory an account lived in, as adduser makes it, where only it is missing.
pub fn make_home(home: &Path, user: u32, group: u32) -> Result<()> {
    let above = home.parent().is_some_and(Path::is_dir);
    if !above || !home.is_absolute() || home.symlink_metadata().is_ok() || home.starts_with("/nonexistent") {
        return Ok(());
    }
    files::make_dir(home, 0o755)?;
    std::os::unix::fs::chown(home, Some(user), Some(group)).at("change the owner of", home)
}

pub fn ledger(profile: &ProfileDir) -> Result<Vec<Given>> {
    Ok(ledger::parse(&files::read_if_there(&profile.ids())?.unwrap_or_default()))
}

/// Adds lines to the ledger, with one write, durable when this returns. Two that add the same at once do no
/// harm, and a cut leaves whole lines and at most one that is passed over.
pub fn add_to_ledger(profile: &ProfileDir, given: &[Given]) -> Result<()> {
    if given.is_empty() {
        return Ok(());
    }
    let path = profile.ids();
    let torn = files::read_if_there(&path)?.is_some_and(|bytes| bytes.last().is_some_and(|b| *b != b'\n'));
    let mut text = if torn { "\n".to_owned() } else { String::new() };
    text.extend(given.iter().map(Given::to_line));
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).at("open", &path)?;
    file.write_all(text.as_bytes()).at("write", &path)?;
    file.sync_all().at("sync", &path)?;
    if file.metadata().is_ok_and(|meta| meta.len() == text.len() as u64 && meta.nlink() == 1) {
        files::sync_parent(&path)?; // it was made just now
    }
    Ok(())
}
