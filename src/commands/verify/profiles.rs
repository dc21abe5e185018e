//! One profile: its description, its pointer, its roots and points, its state/.

use std::path::Path;

use crate::model::error::{Error, Result};
use crate::model::layout::{ProfileDir, RootDir, RootFact};
use crate::model::state_path::UNMARKED;
use crate::model::{EntryNumber, ProfileId};
use crate::system::locks::Lock;
use crate::system::{btrfs, files, guard, roots, state};

use super::{Findings, NEXT_CHANGE, pool};
use crate::commands::session::Session;

pub fn check(session: &Session, id: &ProfileId, findings: &mut Findings) -> Result<()> {
    let dir = session.need_profile(id)?;
    let of = format!("profile {id}");
    if let Err(error) = session.describe(&dir) {
        findings.add(
            "description",
            &of,
            error,
            format!(
                "write it again: flipper-profile show {id} names what was in it, a clone has one like it"
            ),
        );
    }
    let current = pointer(&dir, &of, findings)?;
    for number in roots::numbers(&dir.roots())? {
        root(session, id, &dir, number, findings)?;
        if current.is_some_and(|current| current != number) {
            left_root(session, id, &dir, number, findings)?;
        }
    }
    for number in roots::numbers(&dir.snapshots())? {
        point(session, id, &dir, number, findings)?;
    }
    super::pristine::check(session, id, &dir, current, findings)?;
    state(session, id, &dir, findings)?;
    pool::written_aside(dir.path(), &format!("@profiles/{id}"), findings)
}

/// What is not there yet moves in at the next start, and is no finding.
fn state(session: &Session, id: &ProfileId, dir: &ProfileDir, findings: &mut Findings) -> Result<()> {
    let (state, of) = (dir.state(), format!("profile {id}"));
    if !btrfs::is_subvolume(&state) {
        let remedy = "make one of it, and copy what is in it";
        findings.add("state", &of, "state/ is no subvolume", remedy);
        return Ok(());
    }
    let listed = state::list(dir).unwrap_or_default().paths(|_| false);
    for path in &listed {
        let there = state.join(path.inside());
        let other = there.symlink_metadata().is_ok_and(|meta| !meta.is_dir());
        let what = format!("state{} is no directory", path.shown());
        let remedy = "move it out of the way: the next start moves in what the root has there";
        findings.add_if(other, "state", &of, &what, remedy);
    }
    // From the first day of every pool; the other defaults may still have to move in.
    for path in listed.iter().filter(|path| UNMARKED.iter().any(|old| path.inside() == Path::new(old))) {
        let missing = state.join(path.inside()).symlink_metadata().is_err();
        let what = format!("state{} is missing: it would roll back with the root", path.shown());
        let remedy = "the next start makes it anew; what was in it is in the snapshots of state/, if any";
        findings.add_if(missing, "state", &of, &what, remedy);
    }
    let at_work = Lock::is_held(&dir.lock())? || !session.journal.open_entries(Some(id))?.is_empty();
    if !at_work && session.root_in_use(dir)?.is_none() && state::has_leftovers(&state)? {
        findings.add("leftovers", &of, "something is aside in state/.flipper", NEXT_CHANGE);
    }
    for name in files::names(&dir.snapshots())? {
        let number = name.to_str().and_then(|name| name.strip_suffix(".state")?.parse::<EntryNumber>().ok());
        let Some(number) = number else { continue };
        let of = format!("{id}: point {number}");
        findings.add_if(
            !dir.point(number).path().exists(),
            "leftovers",
            &of,
            "only its copy of state/ is left",
            NEXT_CHANGE,
        );
        let writable = !btrfs::is_read_only(&dir.point_state(number)).unwrap_or(false);
        findings.add_if(
            writable,
            "sealed",
            &of,
            "its copy of state/ can be written to, or is no subvolume",
            "nothing is put back from it",
        );
    }
    Ok(())
}

/// Where it points, when that is a root.
fn pointer(dir: &ProfileDir, of: &str, findings: &mut Findings) -> Result<Option<EntryNumber>> {
    const REMEDY: &str = "flipper-undo mends it; the newest root is used until then";
    let what = match roots::current(dir) {
        Ok(current) if dir.root(current).path().is_dir() => return Ok(Some(current)),
        Ok(current) => format!("current points to root {current}, which is gone"),
        Err(error) => format!("current: {error}"),
    };
    let has_roots = !roots::numbers(&dir.roots())?.is_empty();
    let remedy = if has_roots { REMEDY } else { "clone a point of it: flipper-profile clone ID@N NEW" };
    findings.add("pointer", of, what, remedy);
    Ok(None)
}

fn root(
    session: &Session,
    id: &ProfileId,
    dir: &ProfileDir,
    number: EntryNumber,
    findings: &mut Findings,
) -> Result<()> {
    let (root, of) = (dir.root(number), format!("{id}: root {number}"));
    let remedy = format!("go back to a point: flipper-undo --profile {id} --list");
    if !btrfs::is_subvolume(root.path()) {
        return {
            findings.add("root", of, "it is no subvolume", remedy);
            Ok(())
        };
    }
    let base = facts(session, &of, &root, &remedy, findings)?;
    if let Some(base) = base {
        if let Err(error) =
            roots::prove_layout(&root, &session.pool.layout.base(&base), session.pool.format.inode_floor)
        {
            findings.add("root", &of, error, &remedy);
        }
    }
    if is_being_made(session, id, number)? {
        return Ok(()); // also when it was cut: the open entry is named, and this root goes with it
    }
    let said = files::read_line(&root.fact(RootFact::Entry))?;
    let what = format!("it says entry {said:?} made it");
    findings.add_if(
        said != number.to_string(),
        "facts",
        &of,
        &what,
        &format!("write {number} into its file `entry`"),
    );
    Ok(())
}

/// The one-line files of a root or a point, read by the initramfs too. Its base, when that is there.
fn facts(
    session: &Session,
    of: &str,
    state: &RootDir,
    remedy: &str,
    findings: &mut Findings,
) -> Result<Option<crate::model::BaseVersion>> {
    findings.add_if(!state.upper().is_dir(), "root", of, "it has no root/", remedy);
    for fact in RootFact::ALL.into_iter().filter(|fact| !matches!(fact, RootFact::Mounts | RootFact::Base)) {
        let name = fact.file_name();
        match files::read_if_there(&state.fact(fact)) {
            Err(error) => findings.add("facts", of, error, remedy),
            Ok(Some(bytes)) if bytes.iter().filter(|b| **b == b'\n').count() > 1 => {
                findings.add("facts", of, format!("its file {name} has more than one line"), remedy);
            }
            Ok(Some(bytes)) if bytes.contains(&0) => {
                findings.add("facts", of, format!("its file {name} is no text"), remedy);
            }
            Ok(_) => {}
        }
    }
    match roots::base_of(state) {
        Ok(base) if session.pool.layout.base(&base).is_dir() => return Ok(Some(base)),
        Ok(base) => findings.add(
            "base",
            of,
            format!("it stands on base {base}, which is gone"),
            format!("import that base again under its version: flipper-base import DIR --version {base}"),
        ),
        Err(error) => findings.add("facts", of, error, remedy),
    }
    Ok(None)
}

fn is_being_made(session: &Session, id: &ProfileId, number: EntryNumber) -> Result<bool> {
    Ok(session.journal.open_entries(Some(id))?.iter().any(|entry| entry.number == number))
}

/// A root that is neither current nor in use, nor being made: what an undo left, or a cut.
fn left_root(
    session: &Session,
    id: &ProfileId,
    dir: &ProfileDir,
    number: EntryNumber,
    findings: &mut Findings,
) -> Result<()> {
    let at_work = is_being_made(session, id, number)? || Lock::is_held(&dir.lock())?;
    if !at_work && !guard::is_used(&session.pool, &dir.root(number))? {
        findings.add("leftovers", format!("{id}: root {number}"), "nobody uses it any more", NEXT_CHANGE);
    }
    Ok(())
}

fn point(
    session: &Session,
    id: &ProfileId,
    dir: &ProfileDir,
    number: EntryNumber,
    findings: &mut Findings,
) -> Result<()> {
    let (point, of) = (dir.point(number), format!("{id}: point {number}"));
    let remedy = "this point cannot be returned to; the others can";
    if !btrfs::is_subvolume(point.path()) {
        return {
            findings.add("point", of, "it is no subvolume", remedy);
            Ok(())
        };
    }
    facts(session, &of, &point, remedy, findings)?;
    if !btrfs::is_read_only(point.path())? {
        let seal = format!(
            "if nothing was changed in it: btrfs property set -ts @profiles/{id}/snapshots/{number} ro true"
        );
        findings.add("sealed", &of, "it can be written to", seal);
    }
    match session.journal.entry(Some(id), number) {
        Ok(None) => {
            let look = format!(
                "look at it: flipper-profile mount {id}@{number} DIR; keep it: flipper-profile clone {id}@{number} NEW"
            );
            findings.add("entry", &of, "it has no entry", look);
        }
        Ok(Some(entry)) if !entry.point && !entry.is_open() => {
            let what = "its entry says that none was taken";
            findings.add("entry", &of, what, format!("look at it: flipper-profile mount {id}@{number} DIR"));
        }
        Ok(_) | Err(Error::Damaged { .. }) => {} // the journal's own checks name what cannot be read
        Err(other) => return Err(other),
    }
    Ok(())
}
