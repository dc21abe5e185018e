//! The pool itself: its format and settings, the template, home, the kept programs, what runs here, and
//! what a cut left lying about.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::config::Format;
use crate::model::error::{Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{Layout, ProfileId};
use crate::system::locks::Lock;
use crate::system::{btrfs, files, pool, roots};

use super::{Findings, NEXT_CHANGE};
use crate::commands::session::Session;

pub fn check(session: &Session, findings: &mut Findings) -> Result<()> {
    let layout = &session.pool.layout;
    format(&session.pool.format, findings);
    settings(session, findings)?;
    template(layout, session.pool.format.inode_floor, findings);
    let home_is_missing = !btrfs::is_subvolume(&layout.home());
    let make = "make it: btrfs subvolume create @data/home in the pool's top level";
    findings.add_if(
        home_is_missing,
        "home",
        "@data/home",
        "it is no subvolume: runs cannot mount /home",
        make,
    );
    identity(layout, findings);
    programs(layout, findings)?;
    leftovers(session, findings)?;
    locks(session, findings)?;
    booted(session, findings)
}

/// The private halves of the host keys lie there.
fn identity(layout: &Layout, findings: &mut Findings) {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    findings.add_if(
        open(&layout.identity()),
        "identity",
        "@data/identity",
        "others than root may look into it, and the ssh host keys of this device lie there",
        "chmod 700 @data/identity in the pool's top level",
    );
}

fn format(format: &Format, findings: &mut Findings) {
    let what = format!(
        "a newer program writes this pool (format {}): this one only reads it and undoes",
        format.format
    );
    findings.add_if(
        !format.may_write(),
        "format",
        "@journal/format",
        &what,
        "install that flipper-profiles here too",
    );
}

fn settings(session: &Session, findings: &mut Findings) -> Result<()> {
    let settings = session.pool.settings()?;
    let Some(text) = settings.get("default").filter(|text| !text.is_empty()) else { return Ok(()) };
    let exists = text.parse::<ProfileId>().is_ok_and(|id| session.need_profile(&id).is_ok());
    let what = format!("its default profile, {text:?}, is not there");
    findings.add_if(
        !exists,
        "settings",
        "@journal/pool.conf",
        &what,
        "choose one: flipper-profile default ID",
    );
    Ok(())
}

fn template(layout: &Layout, floor: u64, findings: &mut Findings) {
    const REMEDY: &str =
        "no profile can be made; what is there goes on working. Restore it from a backup of the pool";
    let template = RootDir::at(layout.template());
    let mut wrong = |what: &str| findings.add("template", "@profiles/.template", what, REMEDY);
    if !btrfs::is_subvolume(template.path()) {
        return wrong("it is no subvolume");
    }
    if fs::metadata(template.floor()).map_or(true, |anchor| anchor.ino() < floor) {
        return wrong("its inode numbers are below the floor: files of a base would be taken for others");
    }
    if !template.upper().is_dir() || !template.work().is_dir() {
        wrong("it lacks root/ or work/");
    }
}

/// `@journal/bin/<version>/flipper-rescue`: what brings a profile back that has lost our programs.
fn programs(layout: &Layout, findings: &mut Findings) -> Result<()> {
    for version in files::names(&layout.journal().join("bin"))? {
        let of = format!("@journal/bin/{}/flipper-rescue", version.to_string_lossy());
        let path = layout.journal().join("bin").join(&version).join("flipper-rescue");
        let what = match fs::metadata(&path) {
            Err(_) => "it is missing",
            Ok(meta) if meta.permissions().mode() & 0o111 == 0 => "it is not executable",
            Ok(_) if !files::read_if_there(&path)?.unwrap_or_default().starts_with(b"\x7fELF") => {
                "it is no program"
            }
            Ok(_) => continue,
        };
        findings.add("programs", of, what, "copy it there again: cp -p /usr/sbin/flipper-rescue");
    }
    Ok(())
}

/// Names that only a cut leaves: a change in progress holds its lock, and then they are somebody's.
fn leftovers(session: &Session, findings: &mut Findings) -> Result<()> {
    let layout = &session.pool.layout;
    let mut of = Vec::new();
    for name in files::names(&layout.profiles())? {
        let Some(text) = name.to_str().filter(|text| text.starts_with(".new-")) else { continue };
        let lock = ProfileDir::at(layout.profiles().join(text)).lock();
        if !Lock::is_held(&lock)? {
            of.push(format!("@profiles/{text}"));
        }
    }
    if !Lock::is_held(&layout.base_lock())? {
        let names = files::names(&layout.bases())?;
        let made = names.iter().filter_map(|n| n.to_str());
        let made = made.filter(|n| *n == ".incoming" || n.starts_with(".pruned-"));
        of.extend(made.map(|n| format!("@base/{n}")));
    }
    for of in of {
        findings.add("leftovers", of, "left by a change that was cut", NEXT_CHANGE);
    }
    for (dir, name) in [(layout.journal(), "@journal"), (layout.bases(), "@base")] {
        written_aside(&dir, name, findings)?;
    }
    Ok(())
}

/// `.next.new`: a file that was written aside and never got its name. The next one takes its place.
pub fn written_aside(dir: &Path, shown: &str, findings: &mut Findings) -> Result<()> {
    for name in files::names(dir)? {
        let Some(text) = name.to_str().filter(|t| t.starts_with('.') && t.ends_with(".new")) else {
            continue;
        };
        let path = dir.join(&name);
        if is_older_than_a_write(&path) {
            let remedy = "it does no harm and may be removed";
            findings.add(
                "leftovers",
                format!("{shown}/{text}"),
                "written aside by a change that was cut",
                remedy,
            );
        }
    }
    Ok(())
}

/// Between its writing and its rename lie milliseconds; who looks then must not call it a leftover.
fn is_older_than_a_write(path: &Path) -> bool {
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        if path.symlink_metadata().is_err() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// A lock that is something else than a file stops every change; one held for seconds hangs them.
fn locks(session: &Session, findings: &mut Findings) -> Result<()> {
    let layout = &session.pool.layout;
    let mut all = vec![
        ("@journal/lock".to_owned(), layout.journal_lock()),
        ("@base/lock".to_owned(), layout.base_lock()),
    ];
    for id in session.profiles()? {
        all.push((format!("@profiles/{id}/lock"), layout.profile(&id).lock()));
    }
    for (of, path) in all {
        let wrong = path.symlink_metadata().is_ok_and(|meta| !meta.is_file());
        findings.add_if(wrong, "locks", &of, "it is not a file: nothing can be locked", "remove it");
    }
    let until = Instant::now() + Duration::from_secs(2);
    while Lock::is_held(&layout.journal_lock())? {
        if Instant::now() > until {
            let what = "somebody has held it for seconds; it is meant for milliseconds";
            findings.add(
                "locks",
                "@journal/lock",
                what,
                "find who stopped there: fuser on the file in the pool",
            );
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The booted file, where this machine or this run stands on the pool.
fn booted(session: &Session, findings: &mut Findings) -> Result<()> {
    const REMEDY: &str = "package runs here are not protected until the next start";
    let booted = match pool::booted() {
        Ok(Some(booted)) if booted.pool == session.pool.uuid => booted,
        Ok(_) => return Ok(()),
        Err(error @ Error::Damaged { .. }) => {
            return {
                findings.add("booted", pool::BOOTED, error, REMEDY);
                Ok(())
            };
        }
        Err(other) => return Err(other),
    };
    let root = session.pool.layout.profile(&booted.profile).root(booted.root);
    let what = match btrfs::subvolume_id(root.path()) {
        Err(_) => format!("it names root {} of {}, which is not there", booted.root, booted.profile),
        Ok(id) if id != booted.subvolid => format!("root {} is not the subvolume it names", booted.root),
        Ok(_) if roots::base_of(&root)? != booted.base => "it names another base than its root".to_owned(),
        Ok(_) => return Ok(()),
    };
    findings.add("booted", pool::BOOTED, what, REMEDY);
    Ok(())
}
