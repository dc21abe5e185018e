//! `flipper-base import`: a Debian root becomes a read-only base with its manifest.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::error::{At, Error, Exit, Result};
use crate::model::{BaseVersion, Kind, State};
use crate::policy::settled::{TreeFacts, complaints};
use crate::system::locks::Lock;
use crate::system::manifest::{self, Manifest};
use crate::system::{base, btrfs, driver, files};

use super::cli::Common;
use super::session::Session;
use super::{now, report, stage};

/// What to do with what a base should not carry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cleaning {
    Ask,
    Clean,
    Leave,
}

impl Cleaning {
    pub fn from(clean: bool, no_clean: bool) -> Cleaning {
        match (clean, no_clean) {
            (true, _) => Cleaning::Clean,
            (_, true) => Cleaning::Leave,
            _ => Cleaning::Ask,
        }
    }
}

pub fn run(common: &Common, source: &Path, version: &str, cleaning: Cleaning) -> Result<Exit> {
    let version: BaseVersion = version.parse()?;
    fs::metadata(source).at("look at", source)?;
    let session = Session::to_change(common)?;
    let layout = &session.pool.layout;
    let _lock = Lock::take_soon(&layout.base_lock(), "the bases")?;
    if layout.base(&version).exists() {
        return Err(Error::BaseExists { version });
    }
    let mut entry = session.journal.lock()?.begin(Kind::Import, now(), |entry| {
        entry.base = Some(version.clone());
        entry.person = Some(driver::person("/".as_ref()));
        entry.command_line = Some(format!("flipper-base import {}", source.display()));
    })?;
    files::sync_file_system(layout.top())?;
    let made = import(&session, source, &version, cleaning);
    match made {
        Ok(paths) => {
            stage::close(&session, &mut entry, State::Completed, None)?;
            tell(&session, &version, paths)
        }
        Err(error) => {
            btrfs::delete_if_there(&layout.incoming_base())?;
            stage::close(&session, &mut entry, State::Failed, Some(error.to_string()))?;
            Err(error)
        }
    }
}

fn import(session: &Session, source: &Path, version: &BaseVersion, cleaning: Cleaning) -> Result<u64> {
    let layout = &session.pool.layout;
    let spinner = report::progress("copying the root", 3);
    let root = base::extract(source, layout)?;
    base::need_real_directories(&root, source)?;
    spinner.inc(1);
    let found = base::to_clean(&root)?;
    if !found.is_empty() && wants_cleaning(session, cleaning, &found)? {
        base::clean(&root, &found)?;
    }
    base::ensure_machine_id(&root)?;
    if !base::ship_policy(&root)? {
        report::note("note: the root has its own policy-rc.d; in a run it decides which services start");
    }
    spinner.inc(1);
    let manifest = manifest::read_tree(&root)?;
    spinner.finish_and_clear();
    need_settled(source, &root, &manifest, session.pool.format.inode_floor)?;
    base::publish(layout, version, &manifest.to_bytes(version, session.pool.format.inode_floor))?;
    if base::current(layout)?.is_none() {
        files::replace_symlink(version.as_str(), &layout.current_base())?;
    }
    Ok(manifest.paths())
}

/// Lists what would go, then asks (once, for all of it).
fn wants_cleaning(session: &Session, cleaning: Cleaning, found: &[PathBuf]) -> Result<bool> {
    if cleaning != Cleaning::Ask {
        return Ok(cleaning == Cleaning::Clean);
    }
    report::note("a base should not carry these into every profile:");
    for path in found.iter().take(12) {
        report::note(format_args!("  /{}", path.display()));
    }
    if found.len() > 12 {
        report::note(format_args!("  and {} more", found.len() - 12));
    }
    report::confirm("take them out of the base? (--no-clean imports it as it is)", session.common.yes)?;
    Ok(true)
}

fn need_settled(source: &Path, root: &Path, manifest: &Manifest, floor: u64) -> Result<()> {
    let read = |path: &str| match base::inside(root, path) {
        Some(path) => files::read_if_there(&path),
        None => Ok(None),
    };
    let (os_release, status) = (read("usr/lib/os-release")?, read("var/lib/dpkg/status")?);
    let fstab = read("etc/fstab")?.unwrap_or_default();
    let is_link = |name: &str| root.join(name).symlink_metadata().is_ok_and(|m| m.is_symlink());
    let complaints = complaints(&TreeFacts {
        os_release: os_release.as_deref(),
        status: status.as_deref(),
        updates: files::names(&root.join("var/lib/dpkg/updates"))?.len(),
        has_dpkg: base::inside(root, "usr/bin/dpkg").is_some_and(|path| path.is_file()),
        merged_usr: ["bin", "sbin", "lib"].into_iter().all(is_link),
        fstab_mounts_root: mounts_root(&fstab),
        largest_inode: manifest.largest_inode,
        inode_floor: floor,
    });
    match complaints.as_slice() {
        [] => Ok(()),
        found => Err(Error::NotADebianRoot { path: source.to_path_buf(), why: found.join("; ") }),
    }
}

fn mounts_root(fstab: &[u8]) -> bool {
    let text = String::from_utf8_lossy(fstab);
    text.lines()
        .any(|line| !line.trim_start().starts_with('#') && line.split_whitespace().nth(1) == Some("/"))
}

fn tell(session: &Session, version: &BaseVersion, paths: u64) -> Result<Exit> {
    let current = base::current(&session.pool.layout)?.is_some_and(|c| c == *version);
    if session.common.json {
        report::json(&serde_json::json!({"base": version, "paths": paths, "current": current}));
        return Ok(Exit::Done);
    }
    let role = if current { "it is current" } else { "a candidate: flipping comes after checking" };
    report::line(format_args!("imported base {version}: {paths} paths, sealed; {role}"));
    Ok(Exit::Done)
}
