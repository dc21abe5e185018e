//! `flipper-profile run ID [CMD]`: a profile that is not booted, assembled as at boot, with apt and
//! its hooks working in it exactly as when it is. `--throwaway`: in a copy that is dropped.

use std::ffi::OsString;
use std::path::Path;

use crate::model::ProfileId;
use crate::model::booted::{Booted, Mode};
use crate::model::error::{Exit, Result};
use crate::model::layout::ProfileDir;
use crate::system::assemble::Assembly;
use crate::system::locks::Lock;
use crate::system::{btrfs, files, guard, profiles, roots, sandbox};

use super::cli::Common;
use super::held::{Held, hold};
use super::session::Session;
use super::{boot_files, left, report, state, told, undo_plan};

pub fn run(common: &Common, id: &str, command: &[OsString], throwaway: bool) -> Result<Exit> {
    let id: ProfileId = id.parse()?;
    let session = Session::to_change(common)?;
    session.need_outside("a run")?;
    if command.is_empty() && !throwaway {
        tell(&session, &id);
    }
    let shell = [OsString::from("/bin/bash"), OsString::from("-l")];
    let command = if command.is_empty() { &shell } else { command };
    let status =
        if throwaway { in_copy(&session, &id, command)? } else { in_profile(&session, &id, command)? };
    // The command's own status, as if it had been run without us.
    std::process::exit(status)
}

/// Beginning to work in it is logging in. Not being able to look stops nothing: this run may be the way out.
fn tell(session: &Session, id: &ProfileId) {
    let Ok(facts) = undo_plan::look(session, Some(id.as_str())) else { return };
    told::look(session, &facts).unasked().iter().for_each(report::note);
}

fn in_profile(session: &Session, id: &ProfileId, command: &[OsString]) -> Result<i32> {
    let held = hold(session, id, None)?;
    // Its identity is known once it is assembled.
    let booted = held.booted(session, id, Mode::Run, String::new())?;
    let status = supervise(session, &held, id.as_str(), Some(booted), command)?;
    let Held { dir, number, root, lock, .. } = held;
    drop(lock);
    // The boot directory cannot be reached from inside.
    boot_files::follow_kernel(&session.pool, &root);
    // Was it left by an undo? Then nobody needs it any more.
    let _still_ours = Lock::take_soon(&dir.lock(), "the profile");
    if _still_ours.is_ok() && roots::current(&dir)? != number {
        left::retire(session, &dir, number)?;
    }
    Ok(status)
}

fn supervise(
    session: &Session,
    held: &Held,
    name: &str,
    booted: Option<Booted>,
    command: &[OsString],
) -> Result<i32> {
    let assembly = Assembly {
        pool: &session.pool,
        profile: &held.dir,
        root: &held.root,
        base: &held.base,
        target: Path::new("/"), // the sandbox chooses
        state: Some(held.dir.state()),
    };
    let assemble = |target: &Path| assembly.at(target).map(|problems| state::tell_not_mounted(&problems));
    let root = sandbox::prepare(assemble, &session.pool.device, booted)?;
    held.tell_not_shared(session, &root);
    let status = sandbox::supervise(&root, &sandbox::hostname(&root, name), command);
    // A root that an undo left is not touched any more: what is written there would be kept as a point.
    if roots::current(&held.dir).is_ok_and(|current| current == held.number) {
        sandbox::take_name_servers_back(&root)?;
    }
    sandbox::dismantle(&root)?;
    status
}

/// A copy that nobody sees: no booted file, so nothing of it is journalled; gone afterwards.
fn in_copy(session: &Session, id: &ProfileId, command: &[OsString]) -> Result<i32> {
    let source = session.need_profile(id)?;
    let number = roots::current(&source)?;
    let name = format!(".new-throwaway-{}", std::process::id());
    let dir = ProfileDir::at(session.pool.layout.profiles().join(name));
    let aside = profiles::make_aside(&dir)?;
    let root = dir.root(number);
    btrfs::snapshot(source.root(number).path(), root.path())?;
    btrfs::snapshot(&source.state(), &dir.state())?;
    if let Some(description) = files::read_if_there(&source.description())? {
        files::write_unpublished(&dir.description(), &description)?;
    }
    let lock = guard::claim(&session.pool, &root)?;
    state::settle(session, &dir, &root)?;
    let held = Held { base: roots::base_of(&root)?, dir, number, root, lock };
    let status = supervise(session, &held, id.as_str(), None, command);
    let Held { dir, lock, .. } = held;
    drop(lock);
    if let Err(error) = profiles::remove(&session.pool, &dir) {
        report::note(format_args!("note: the copy goes with the next change: {error}"));
    }
    drop(aside);
    status
}
