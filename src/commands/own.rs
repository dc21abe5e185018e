//! What of the person's own a plan would take along: files written by hand since the state it returns to,
//! Wi-Fi connections, passwords. Looked for before the person is asked, so that it can be kept.

use std::path::{Path, PathBuf};

use crate::dpkg::shadow;
use crate::model::carried::{HOSTS, SHADOW, compared};
use crate::model::difference::What;
use crate::model::error::Result;
use crate::model::own::{Connection, Own, Window};
use crate::model::reserved;
use crate::model::{EntryNumber, Kind};
use crate::policy::connections;
use crate::policy::descent::History;
use crate::policy::own::{by_hand, may_be_own};
use crate::system::changed::{self, Written};
use crate::system::{btrfs, upper};

use super::compared;
use super::session::{ProfileFacts, Session};
use super::undo_plan::State;

/// Points before later runs that are asked too, the newest: a run may have written over a file.
const ASKED_POINTS: usize = 20;

/// From here on all inodes are read at once.
const MANY: usize = 500;

/// `after`: the entry whose point is returned to; None: pristine.
pub fn look(
    session: &Session,
    facts: &ProfileFacts,
    after: Option<EntryNumber>,
    [then, now]: [&State; 2],
) -> Result<Own> {
    let of = |state: &State| changed::State::merged(&state.root, state.base.clone());
    let mut found = changed::between(&of(then), &of(now))?;
    found.changes.retain(|change| change.what != What::Removed);
    let mut here = match found.changes.len() {
        0..MANY => Written::of(&now.root)?,
        _ => Written::of_many(&now.root, found.since)?,
    };
    let runs = windows(session, facts, found.since)?;
    let (mut own, mut by_hand_now, mut other) = (Own::default(), Vec::new(), Vec::new());
    for change in found.changes {
        let Some(stamp) = here.stamp(&change.path)? else { continue };
        if stamp.transaction <= found.since {
            continue; // it is the other side that differs
        }
        if change.path == Path::new(HOSTS) && same_hosts(then, now) {
            continue; // a run brings the name of the device
        }
        if change.path == Path::new(SHADOW) {
            own.passwords = passwords(then, now);
        } else if let Some(name) = connection(now, &change.path) {
            own.connections.push(Connection { name, path: change.path });
        } else if by_hand(stamp, found.since, &runs) {
            by_hand_now.push(change);
        } else {
            other.push(change);
        }
    }
    let named = |changes| -> Result<Vec<PathBuf>> {
        let placed = compared::place(then, now, changes)?;
        Ok(placed.into_iter().filter(may_be_own).map(|placed| placed.change.path).collect())
    };
    own.files = named(by_hand_now)?;
    own.files.extend(written_over(facts, after, found.since, &runs, named(other)?)?);
    own.files.sort();
    Ok(own)
}

fn same_hosts(then: &State, now: &State) -> bool {
    let read = |state: &State| {
        let text = upper::read(&state.root, &state.base, HOSTS).ok()?.unwrap_or_default();
        Some(compared(Path::new(HOSTS), text, b""))
    };
    read(then).is_some_and(|hosts| Some(hosts) == read(now))
}

fn passwords(then: &State, now: &State) -> Vec<String> {
    // A reserved account has no password: the line that locks it is ours, on either side.
    let read = |state: &State| {
        let text = upper::read(&state.root, &state.base, SHADOW).ok().flatten().unwrap_or_default();
        reserved::without(SHADOW, &text, b"")
    };
    shadow::changed(&read(then), &read(now))
}

fn connection(now: &State, path: &Path) -> Option<String> {
    connections::name(path, b"")?;
    let text = upper::read(&now.root, &now.base, path).ok()??;
    connections::name(path, &text)
}

/// Of what a run wrote last: the paths that were written by hand before it did, by the points since `after`.
fn written_over(
    facts: &ProfileFacts,
    after: Option<EntryNumber>,
    since: u64,
    runs: &[Window],
    mut paths: Vec<PathBuf>,
) -> Result<Vec<PathBuf>> {
    let line = History::new(&facts.entries).line(facts.in_use.unwrap_or(facts.current));
    let later = line.iter().map(|e| e.number).filter(|n| facts.points.contains(n) && Some(*n) > after);
    let mut found = Vec::new();
    for number in later.take(ASKED_POINTS) {
        let mut then = Written::of(&facts.dir.point(number))?;
        let mut rest = Vec::new();
        for path in paths {
            let is_own = then.stamp(&path)?.is_some_and(|stamp| by_hand(stamp, since, runs));
            if is_own { found.push(path) } else { rest.push(path) }
        }
        paths = rest;
    }
    Ok(found)
}

/// When runs, and changes of ours, wrote into the profile after a transaction.
fn windows(session: &Session, facts: &ProfileFacts, since: u64) -> Result<Vec<Window>> {
    let layout = &session.pool.layout;
    let mut journal = Written::below(layout.top(), &layout.entries(Some(&facts.id)))?;
    let mut windows = Vec::new();
    let mut before = None; // a run whose point is gone may have begun right after the one before it
    for entry in &facts.entries {
        let writes = entry.kind.leaves_its_root()
            || matches!(entry.kind, Kind::Packages | Kind::Restore | Kind::Share);
        let Some(closed) = journal.stamp(Path::new(&format!("{}.json", entry.number)))? else { continue };
        if writes && closed.transaction > since {
            let point = facts.dir.point(entry.number);
            let taken = facts.points.contains(&entry.number).then(|| btrfs::created_in(point.path()));
            let after = taken.transpose()?.or(before);
            windows.push(Window { after, began: nanoseconds(&entry.started), closed });
        }
        before = Some(closed.transaction);
    }
    Ok(windows)
}

/// What is no time is the beginning of all times: then the end of the run decides alone.
fn nanoseconds(rfc3339: &str) -> i64 {
    let time = chrono::DateTime::parse_from_rfc3339(rfc3339).ok();
    time.and_then(|time| time.timestamp_nanos_opt()).unwrap_or(0)
}
