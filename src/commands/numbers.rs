//! state/ is shared by all roots of a profile, and their accounts need not have the same numbers: after a rebase
//! or an undo of one, state/ is given those of the root that uses it next, by name. Before every start, while
//! nobody uses the profile.

use crate::dpkg::account_file::{File, Table, place};
use crate::model::EntryNumber;
use crate::model::error::Result;
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::numbers::{Bearers, Numbers};
use crate::system::reserve::{For, with_room};
use crate::system::state::{made, numbers};
use crate::system::{next_state, roots, upper};

use super::report;
use super::session::Session;

/// The caller holds the profile's lock, and nobody uses it.
pub fn settle(session: &Session, dir: &ProfileDir, number: EntryNumber) -> Result<()> {
    let was = numbers::noted(&dir.state())?;
    let merged = was.as_ref().and_then(|was| was.merged);
    let now = of(session, &dir.root(number))?.map(|now| Bearers { merged, ..now });
    let given = given(was.as_ref(), now.as_ref());
    let merges = merged != Some(number) && dir.made_state(number).is_dir();
    if merges || !given.is_empty() {
        give(dir, number, &given, (now.or(was).unwrap_or_default(), merges))?;
    } else if let Some(now) = now.filter(|now| was.as_ref() != Some(now)) {
        match numbers::write(&dir.state(), &now) {
            // Who leaves for another base notes it first ([`note`]): a first note is no reason to use the reserve.
            Err(error) if was.is_none() && error.is_no_space() => {}
            noted => noted?,
        }
    }
    made::drop_copy(dir, number)
}

fn given(was: Option<&Bearers>, now: Option<&Bearers>) -> Numbers {
    match (was, now) {
        (Some(was), Some(now)) if was.base != now.base => was.numbers(now),
        _ => Numbers::default(),
    }
}

/// `merges`: what the sandbox of the rebase that made the current root wrote comes along.
fn give(
    dir: &ProfileDir,
    number: EntryNumber,
    given: &Numbers,
    (mut now, merges): (Bearers, bool),
) -> Result<()> {
    let mut met = Default::default();
    next_state::renew(dir, number, |state| {
        numbers::below(state, given)?;
        if merges {
            met = made::merge(dir, number, given, state)?;
            now.merged = Some(number);
        }
        numbers::write(state, &now)
    })?;
    for place in met {
        let place = place.display();
        report::note(format_args!("note: /{place} changed during the rebase, and stays as it is now"));
    }
    Ok(())
}

/// state/ as the sandbox of a rebase has it: a copy, with the numbers of the new root's accounts.
pub fn copy_for_sandbox(
    session: &Session,
    dir: &ProfileDir,
    root: &RootDir,
    number: EntryNumber,
) -> Result<()> {
    let (was, now) = (numbers::noted(&dir.state())?, of(session, root)?);
    let given = given(was.as_ref(), now.as_ref());
    with_room(&session.pool.layout, For::Ordinary, || made::prepare(dir, number, &given, now.as_ref()))
}

/// Before a root is left for one on another base: whose numbers state/ bears is known afterwards.
pub fn note(session: &Session, dir: &ProfileDir, root: &RootDir) -> Result<()> {
    match (numbers::noted(&dir.state())?, of(session, root)?) {
        (None, Some(now)) => numbers::write(&dir.state(), &now),
        _ => Ok(()),
    }
}

/// None where an account file cannot be read: then nothing is given to anybody.
fn of(session: &Session, root: &RootDir) -> Result<Option<Bearers>> {
    let version = roots::base_of(root)?;
    let base = session.pool.layout.base(&version);
    let mut found = Bearers { base: version.to_string(), ..Bearers::default() };
    for (file, path, map) in
        [(File::Passwd, "etc/passwd", &mut found.users), (File::Group, "etc/group", &mut found.groups)]
    {
        let Ok(Some(text)) = upper::read(root, &base, path) else { return Ok(None) };
        for record in Table::parse(file, &text).records() {
            let name = String::from_utf8_lossy(record.name()).into_owned();
            if let Some(number) = record.number(place::UID) {
                map.entry(name).or_insert(number);
            }
        }
    }
    Ok(Some(found))
}
