//! `flipper-rescue assemble [ID] --at DIR`: a profile becomes what a machine is about to start from. The
//! initramfs calls it; all of it happens in a mount namespace of its own and appears with one mount, or not
//! at all. What does not start is not handed over: its last change is taken back first.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

use crate::model::booted::{Booted, Mode};
use crate::model::error::{At, Error, Exit, Result};
use crate::model::{EntryNumber, ProfileId};
use crate::system::assemble::Assembly;
use crate::system::{btrfs, detached, device, files, pool, sandbox, starts};

use super::cli::{Assemble, Common};
use super::run::{Held, hold, tell_not_shared};
use super::session::Session;
use super::{recover, report, rescue, state};

/// Where it is assembled; only this process sees it.
const TARGET: &str = "/run/flipper/root";

/// A profile with more broken changes in a row than this is left to its owner.
const MOST_TAKEN_BACK: usize = 8;

pub fn run(common: &Common, asked: &Assemble) -> Result<Exit> {
    let session = open(common)?;
    let id = which(&session, asked.id.as_deref())?;
    let root = asked.root.as_deref().map(str::parse).transpose()?;
    if let Some(entry) = &asked.undo {
        // What cannot be taken back is no reason not to start.
        if let Err(error) = take_back(&session, &id, entry) {
            report::note(format_args!("note: {entry} is not taken back: {error}"));
        }
    }
    for _ in 0..MOST_TAKEN_BACK {
        let broken = match start_from(&session, &id, root, asked) {
            Err(error @ Error::DoesNotStart { .. }) if root.is_none() => error,
            ended => return ended.map(|()| Exit::Done),
        };
        report::note(format_args!("{broken}: its last change is taken back"));
        take_back(&session, &id, "last").map_err(|error| {
            report::note(error);
            broken
        })?;
    }
    start_from(&session, &id, root, asked).map(|()| Exit::Done)
}

fn open(common: &Common) -> Result<Session> {
    let named = common.pool.as_deref().ok_or(Error::NoPool)?;
    device::need_no_twin(&device::named(named)?)?; // before anything is mounted
    Session::to_read(common)
}

/// Nobody is there to be asked: where there is one profile only, it is that.
fn which(session: &Session, named: Option<&str>) -> Result<ProfileId> {
    match session.profile(named) {
        Err(Error::NoProfileNamed) => match session.profiles()?.as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(Error::NoProfileNamed),
        },
        other => other,
    }
}

fn take_back(session: &Session, id: &ProfileId, entry: &str) -> Result<()> {
    if session.pool.format.may_write() {
        recover::recover(session)?;
    }
    rescue::stage(session, id, entry, true)
}

fn start_from(session: &Session, id: &ProfileId, root: Option<EntryNumber>, asked: &Assemble) -> Result<()> {
    let held = hold(session, id, root)?;
    let target = PathBuf::from(TARGET);
    fs::create_dir_all(&target).at("make", &target)?;
    let assembly = Assembly {
        pool: &session.pool,
        profile: &held.dir,
        root: &held.root,
        base: &held.base,
        target: &target,
        state: Some(held.dir.state()),
    };
    state::tell_not_mounted(&assembly.mount()?);
    if let Some(why) = starts::hindrance(&target, &asked.init)? {
        sandbox::dismantle(&target)?;
        return Err(Error::DoesNotStart { profile: id.clone(), number: held.number, why });
    }
    tell_not_shared(session, &held, &target);
    hand_over(session, id, &held, &target, &asked.at)
}

/// The booted file lies ready before the root appears: nobody sees the one without the other for longer than
/// a rename takes.
fn hand_over(session: &Session, id: &ProfileId, held: &Held, target: &Path, at: &Path) -> Result<()> {
    let booted = Booted {
        profile: id.clone(),
        root: held.number,
        base: held.base.clone(),
        pool: session.pool.uuid.clone(),
        device: session.pool.device.display().to_string(),
        subvolid: btrfs::subvolume_id(held.root.path())?,
        identity: files::identity(target)?,
        mode: Mode::Boot,
    };
    let (file, aside) = (Path::new(pool::BOOTED), files::beside(Path::new(pool::BOOTED), ".new"));
    fs::write(&aside, booted.to_text()).at("write", &aside)?;
    let tree = detached::take_all(target)?;
    setns(&session.pool.outer, CloneFlags::CLONE_NEWNS).at("return to the namespace of", at)?;
    detached::put(tree, at)?; // the visible moment
    fs::rename(&aside, file).at("rename to", file)?;
    report::line(format_args!("{id}: root {} on base {}", held.number, held.base));
    Ok(())
}
