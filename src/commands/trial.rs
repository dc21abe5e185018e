//! The file `trial` of a profile, for those who start it, confirm a start, and tell of it.

use std::fs;
use std::path::Path;

use crate::model::EntryNumber;
use crate::model::error::{At, Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::trial::{TRIES, Trial};
use crate::policy::descent::History;
use crate::policy::trial::{self, Start};
use crate::system::reserve::{For, with_room};
use crate::system::{files, kernels, pool, starts};

use super::held::Held;
use super::session::{ProfileFacts, Session};
use super::{boot_files, report};

pub fn read(dir: &ProfileDir) -> Result<Trial> {
    let path = dir.trial();
    let text = files::read_if_there(&path)?.unwrap_or_default();
    Trial::parse(&text).map_err(|error| Error::Damaged { what: path, why: error.to_string() })
}

/// Also on a full disk: a start that is not counted or not confirmed would take a good state back.
pub fn write(session: &Session, dir: &ProfileDir, trial: &Trial) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(trial).unwrap_or_default();
    text.push(b'\n');
    with_room(&session.pool.layout, For::Recovery, || files::replace(&dir.trial(), &text))
}

/// Before a machine is handed over to `root`, the merged one: this start counts. Refused when its tries are
/// spent. `loader_gave_up`: the loader has counted too, of a kernel that never got here.
pub fn begin(
    session: &Session,
    facts: &ProfileFacts,
    held: &Held,
    root: &Path,
    loader_gave_up: bool,
) -> Result<()> {
    if !session.pool.format.may_write() || !starts::can_confirm(root) {
        return Ok(());
    }
    // One that cannot be read is begun anew: nothing is to keep a machine from starting.
    let mut trial = read(&held.dir).unwrap_or_else(|error| {
        report::note(error);
        Trial::default()
    });
    let history = History::new(&facts.entries);
    let state = trial::state(&history, held.number);
    let way_back = trial.good.and_then(|good| trial::way_back(&history, facts.points.iter().copied(), good));
    if loader_gave_up && trial.fallback != Some(state.root) && brought_its_kernel(session, held, way_back) {
        trial.spend(state);
    }
    let judged = trial::judge(&trial, state, way_back);
    let spent = |back_to| Error::TriesSpent { profile: facts.id.clone(), number: held.number, back_to };
    match judged {
        // Whether its kernel came up, too, is still to be seen.
        Start::Good if kernels::running().is_some_and(|key| trial.good_kernel != Some(key)) => {
            return note_on_trial(held);
        }
        Start::Good => return Ok(()),
        Start::GoBack(number) => return Err(spent(Some(number))),
        Start::GiveUp => return Err(spent(None)),
        Start::Try(1) => {}
        Start::Try(nth) => {
            let of = if nth > TRIES { " and there is nothing better".into() } else { format!(" of {TRIES}") };
            report::note(format_args!(
                "root {} of {} did not come up at its last start: this is try {nth}{of}",
                held.number, facts.id
            ));
        }
    }
    trial.begin(state);
    write(session, &held.dir, &trial)?;
    note_on_trial(held)
}

fn note_on_trial(held: &Held) -> Result<()> {
    fs::write(pool::ON_TRIAL, format!("{}\n", held.number)).at("write", pool::ON_TRIAL)
}

/// Has what happened since the good state brought the kernel that the loader gave up? An initrd that somebody made
/// by hand, say, was there before: then nothing of it is taken back.
fn brought_its_kernel(session: &Session, held: &Held, way_back: Option<EntryNumber>) -> bool {
    let key = |state: &RootDir| {
        let found = boot_files::of_root(&session.pool, state);
        found.ok().flatten().map(|(fact, _)| fact.key)
    };
    let then = way_back.and_then(|number| key(&held.dir.point(number)));
    then.is_some_and(|then| key(&held.root) != Some(then))
}

/// The tries begin anew.
pub fn forget(session: &Session, facts: &ProfileFacts) -> Result<()> {
    change(session, facts, |trial| trial.trying = None)
}

/// What is current now was made because the tries of another state were spent.
pub fn note_fallback(session: &Session, facts: &ProfileFacts) -> Result<()> {
    change(session, facts, |trial| (trial.trying, trial.fallback) = (None, Some(facts.current)))
}

fn change(session: &Session, facts: &ProfileFacts, how: impl FnOnce(&mut Trial)) -> Result<()> {
    let mut trial = read(&facts.dir)?;
    how(&mut trial);
    write(session, &facts.dir, &trial)
}

/// "on trial: 2 of 3 starts", for who asks.
pub fn in_words(trial: &Trial, facts: &ProfileFacts) -> Option<String> {
    let starts = trial.starts_of(trial::state(&History::new(&facts.entries), facts.current));
    (starts > 0).then(|| format!("on trial: {starts} of {TRIES} starts"))
}

/// At this very start the profile was given up already: another candidate of the initramfs may be the same one.
pub fn was_given_up(facts: &ProfileFacts) -> bool {
    let ids = files::read_if_there(Path::new(pool::GIVEN_UP)).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&ids).lines().any(|id| id == facts.id.as_str())
}

pub fn give_up(session: &Session, facts: &ProfileFacts) -> Result<()> {
    let before = files::read_if_there(Path::new(pool::GIVEN_UP))?.unwrap_or_default();
    let ids = format!("{}{}\n", String::from_utf8_lossy(&before), facts.id);
    fs::write(pool::GIVEN_UP, ids).at("write", pool::GIVEN_UP)?;
    // With the next start it is tried again.
    forget(session, facts)
}
