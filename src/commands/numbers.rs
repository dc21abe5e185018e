//! state/ is shared by all roots of a profile, and their accounts need not have the same numbers: after a rebase
//! or an undo of one, state/ is given those of the root that uses it next, by name. Before every start, while
//! nobody uses the profile.

use crate::dpkg::account_file::{File, Table, place};
use crate::model::error::Result;
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::numbers::Bearers;
use crate::system::state::numbers;
use crate::system::{roots, upper};

use super::session::Session;

/// The caller holds the profile's lock, and nobody uses it.
pub fn settle(session: &Session, dir: &ProfileDir) -> Result<()> {
    let number = roots::current(dir)?;
    let Some(now) = of(session, &dir.root(number))? else { return Ok(()) };
    match numbers::noted(&dir.state())? {
        Some(was) if was == now => Ok(()),
        Some(was) if was.base != now.base && !was.numbers(&now).is_empty() => {
            numbers::give(dir, number, &was.numbers(&now), &now)
        }
        Some(_) => numbers::write(&dir.state(), &now),
        // Who leaves for another base notes it first ([`note`]): until then it is no reason to use the reserve.
        None => match numbers::write(&dir.state(), &now) {
            Err(error) if error.is_no_space() => Ok(()),
            noted => noted,
        },
    }
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
