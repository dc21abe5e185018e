//! `flipper-rescue assemble [ID] --at DIR`: a profile becomes what a machine is about to start from. The
//! initramfs calls it; all of it happens in a mount namespace of its own and appears with one mount, or not
//! at all. What does not start is not handed over: its last change is taken back first. What was started three
//! times and never came up is taken back, too.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

use crate::model::booted::Mode;
use crate::model::carried::Keeps;
use crate::model::error::{At, Error, Exit, Result};
use crate::model::{EntryNumber, ProfileId};
use crate::policy::undo::Ask;
use crate::system::assemble::Assembly;
use crate::system::{detached, device, files, pool, sandbox, starts};

use super::cli::{Assemble, Common};
use super::held::{Held, hold};
use super::session::Session;
use super::{recover, report, rescue, running_kernel, stage, state, trial, undo_plan};

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
    for attempt in 0..MOST_TAKEN_BACK {
        let how = How { root, asked, booted: pool::BOOTED, gave_up: asked.fallback && attempt == 0 };
        match start_from(&session, &id, &how) {
            Err(broken @ Error::DoesNotStart { .. }) if root.is_none() => {
                report::note(format_args!("{broken}: its last change is taken back"));
                take_back(&session, &id, "last").map_err(|error| {
                    report::note(error);
                    broken
                })?;
            }
            Err(spent @ Error::TriesSpent { .. }) => fall_back(&session, &id, spent)?,
            ended => return ended.map(|()| Exit::Done),
        }
    }
    let how = How { root, asked, booted: pool::BOOTED, gave_up: false };
    start_from(&session, &id, &how).map(|()| Exit::Done)
}

struct How<'a> {
    /// None: the current one.
    root: Option<EntryNumber>,
    asked: &'a Assemble,
    /// The file that is to say so.
    booted: &'a str,
    /// The loader has given the kernel up.
    gave_up: bool,
}

/// The good state again, as an undo; the profile is given up where there is none.
fn fall_back(session: &Session, id: &ProfileId, spent: Error) -> Result<()> {
    let facts = undo_plan::look(session, Some(id.as_str()))?;
    let Error::TriesSpent { back_to: Some(number), .. } = spent else {
        if let Err(error) = trial::give_up(session, &facts) {
            report::note(format_args!("note: {error}"));
        }
        return Err(spent);
    };
    report::note(format_args!("{spent}: back to the state before entry {number}"));
    let noted = match go_back(session, id, number) {
        Ok(by) => {
            report::note(format_args!("flipper-undo {by} brings it again"));
            trial::note_fallback(session, &undo_plan::look(session, Some(id.as_str()))?)
        }
        // It may have been the power. What cannot be taken back is tried again.
        Err(error) => {
            report::note(format_args!("{error}: it is tried again"));
            trial::forget(session, &facts)
        }
    };
    // What is current can be started all the same.
    if let Err(error) = noted {
        report::note(format_args!("note: {error}"));
    }
    Ok(())
}

/// The entry that did it.
fn go_back(session: &Session, id: &ProfileId, number: EntryNumber) -> Result<EntryNumber> {
    recover::recover(session)?;
    let _lock = session.lock_profile(id)?;
    let facts = undo_plan::look(session, Some(id.as_str()))?;
    // Beside the line of `current` it is reached by its point alone.
    let plan =
        undo_plan::plan(&facts, Ask::To(number)).or_else(|_| undo_plan::plan(&facts, Ask::Point(number)))?;
    stage::act(session, &facts, &plan, &Keeps::default(), &[]).map(|staged| staged.entry.number)
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

fn start_from(session: &Session, id: &ProfileId, how: &How) -> Result<()> {
    let facts = undo_plan::look(session, Some(id.as_str()))?;
    let (root, asked) = (how.root, how.asked);
    let is_a_try = root.is_none() && !asked.no_trial;
    if is_a_try && trial::was_given_up(&facts) {
        return Err(Error::TriesSpent { profile: id.clone(), number: facts.current, back_to: None });
    }
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
    if is_a_try {
        trial::begin(session, &facts, &held, &target, how.gave_up).or_else(|error| match error {
            Error::TriesSpent { .. } => sandbox::dismantle(&target).and(Err(error)),
            // A full disk, say: no reason not to start.
            other => {
                report::note(format_args!("note: this start does not count as a try: {other}"));
                Ok(())
            }
        })?;
    }
    if root.is_none() {
        running_kernel::need(session, id, &held, &target, asked.may_restart)?;
    }
    held.tell_not_shared(session, &target);
    hand_over(session, id, &held, &target, (&asked.at, how.booted))
}

/// The current root at `at`, while another one of this profile is in use: what a soft reboot starts from.
pub fn next_root(session: &Session, id: &ProfileId, at: &Path) -> Result<()> {
    let init = Path::new("/sbin/init").into();
    let asked = Assemble {
        id: None,
        at: at.into(),
        root: None,
        undo: None,
        no_trial: false,
        may_restart: false,
        fallback: false,
        init,
    };
    start_from(session, id, &How { root: None, asked: &asked, booted: pool::BOOTED_NEXT, gave_up: false })
}

/// The booted file lies ready before the root appears: nobody sees the one without the other for longer than
/// a rename takes.
fn hand_over(
    session: &Session,
    id: &ProfileId,
    held: &Held,
    target: &Path,
    (at, file): (&Path, &str),
) -> Result<()> {
    let booted = held.booted(session, id, Mode::Boot, files::identity(target)?)?;
    let (file, aside) = (Path::new(file), files::beside(Path::new(file), ".new"));
    fs::write(&aside, booted.to_text()).at("write", &aside)?;
    let tree = detached::take_all(target)?;
    setns(&session.pool.outer, CloneFlags::CLONE_NEWNS).at("return to the namespace of", at)?;
    detached::put(tree, at)?; // the visible moment
    fs::rename(&aside, file).at("rename to", file)?;
    report::line(format_args!("{id}: root {} on base {}", held.number, held.base));
    Ok(())
}
