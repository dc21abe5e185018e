//! state/ around a package run. Before dpkg: what a removal takes out of it can be put back (a snapshot),
//! a purge that would empty a path is said, a path its package brings is there before the package. After
//! dpkg: what vanished is written down, so that an undo weeks later does not bring back rotated logs.

use std::path::Path;

use crate::dpkg::command_line::{self, Asked};
use crate::dpkg::file_list;
use crate::dpkg::status::{Package, PackageState, Status, Want};
use crate::model::entry::{Action, Gone, Planned};
use crate::model::error::{Error, Result};
use crate::model::state_path::{StatePath, brought_by};
use crate::model::{Entry, EntryNumber};
use crate::policy::state as policy;
use crate::system::reserve::{For, with_room};
use crate::system::state::{self, gone, live};
use crate::system::{btrfs, driver, files, pool};

use super::session::Hook;
use crate::commands::report;

/// More than this is no list to go by: then an undo compares with what is there at its time.
const MOST_GONE: usize = 2000;

/// What a run is about to do to state/.
pub struct Intent<'a> {
    pub planned: &'a [Planned],
    /// apt plans a purge as a removal; its command line tells.
    pub purges: bool,
}

/// Gets state/ ready for a run. Nothing that fails here stops it; the answer is what `strict` refuses.
pub fn prepare(hook: &Hook, entry: EntryNumber, intent: &Intent) -> Vec<Error> {
    if policy::removes(intent.planned) {
        told(take_snapshot(hook, entry), "what it takes out of state/ cannot be put back");
    }
    let coming = intent.planned.iter().filter(|planned| planned.action == Action::Install);
    for path in coming.filter_map(|planned| brought_by(&planned.package)) {
        told(appear(hook, path), &format!("/{path} moves into state/ at the next start"));
    }
    let endangered = endangered(hook, intent);
    endangered.unwrap_or_else(|error| {
        tracing::warn!("{error}");
        Vec::new()
    })
}

fn told(done: Result<()>, what: &str) {
    if let Err(error) = done {
        report::note(format_args!("flipper-profiles: {what}: {error}"));
    }
}

/// Beside the point; of several commits of one entry the first counts.
fn take_snapshot(hook: &Hook, entry: EntryNumber) -> Result<()> {
    let profile = hook.pool.layout.profile(&hook.booted.profile);
    let to = profile.point_state(entry);
    if to.exists() || !profile.point(entry).path().is_dir() {
        return Ok(());
    }
    with_room(&hook.pool.layout, For::PackageRun, || btrfs::point(&profile.state(), &to))
}

fn appear(hook: &Hook, path: &str) -> Result<()> {
    let profile = hook.pool.layout.profile(&hook.booted.profile);
    let Ok(path) = StatePath::parse(Path::new(path)) else { return Ok(()) };
    let list = state::list(&profile)?;
    let wanted = list.paths(|brought| Path::new(brought) == path.inside());
    if !wanted.contains(&path) || state::is_in(&profile.state(), &path)? {
        return Ok(());
    }
    live::appear(&hook.pool, &profile, &path)
}

fn endangered(hook: &Hook, intent: &Intent) -> Result<Vec<Error>> {
    let goes = |p: &&Planned| p.action == Action::Purge || p.action == Action::Remove && intent.purges;
    let gone: Vec<&str> =
        intent.planned.iter().filter(goes).map(|planned| planned.package.as_str()).collect();
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let paths = state::found(&hook.pool.layout.profile(&hook.booted.profile).state())?;
    let packages = gone.iter().map(|package| look_up(package)).collect::<Result<Vec<_>>>()?;
    let found = policy::purged(&packages, &paths);
    let error = |(package, path): (&str, &StatePath)| Error::PurgesState {
        package: package.to_owned(),
        path: path.shown(),
    };
    Ok(found.into_iter().map(error).collect())
}

/// info/NAME.* and info/NAME:ARCHITECTURE.* of the running root.
fn look_up(package: &str) -> Result<policy::Purged> {
    const INFO: &str = "/var/lib/dpkg/info";
    let mut purged = policy::Purged { package: package.to_owned(), list: Vec::new(), postrm: Vec::new() };
    let named = |name: &[u8]| file_list::package(name).is_some_and(|name| name == package);
    for name in files::names(Path::new(INFO))?.iter().filter(|name| named(name.as_encoded_bytes())) {
        let list = Path::new(INFO).join(name);
        purged.list.extend(files::read_if_there(&list)?.unwrap_or_default());
        purged.postrm.extend(files::read_if_there(&list.with_extension("postrm"))?.unwrap_or_default());
    }
    Ok(purged)
}

/// For a dpkg that no apt stands behind: its words say what goes.
pub fn before_plain_dpkg() -> Vec<Error> {
    let Ok(Some(booted)) = pool::booted() else { return Vec::new() };
    let Some(dpkg) = driver::caller().filter(|caller| caller.name == "dpkg") else { return Vec::new() };
    let (names, action) = match command_line::parse(&driver::words(dpkg.pid)) {
        Some(Asked::Remove(names)) => (names, Action::Remove),
        Some(Asked::Purge(names)) => (names, Action::Purge),
        _ => return Vec::new(),
    };
    let planned: Vec<Planned> = names.iter().map(|name| planned(name, action)).collect();
    let intent = Intent { planned: &planned, purges: false };
    let ready = Hook::open(booted).and_then(|hook| {
        let entry = hook.open_entry()?.filter(|entry| entry.point);
        Ok(entry.map(|entry| prepare(&hook, entry.number, &intent)).unwrap_or_default())
    });
    ready.unwrap_or_default()
}

fn planned(name: &str, action: Action) -> Planned {
    let (package, architecture) = name.split_once(':').unwrap_or((name, ""));
    let (package, architecture) = (package.to_owned(), architecture.to_owned());
    Planned { package, architecture, old: None, new: None, action }
}

/// What this run took out of state/; None when there is no snapshot of it, or no telling.
pub fn gone(hook: &Hook, entry: &Entry) -> Option<Vec<Gone>> {
    let profile = hook.pool.layout.profile(&hook.booted.profile);
    let before = profile.point_state(entry.number);
    if !before.is_dir() {
        return None;
    }
    match gone::between(&before, &profile.state()) {
        Ok(gone) => Some(gone).filter(|gone| gone.len() <= MOST_GONE),
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    }
}

/// The packages whose purge was begun and failed: their files are gone, and they are not `deinstall`, as a
/// removal leaves them. dpkg wants them purged; apt has put back what was wanted before (`install`).
fn half_purged() -> Vec<String> {
    let text = files::read_if_there("/var/lib/dpkg/status".as_ref()).ok().flatten().unwrap_or_default();
    let status = Status::parse(&text).unwrap_or_default();
    let stuck = |p: &&Package| p.want != Want::Deinstall && p.state == PackageState::ConfigFiles;
    status.packages.iter().filter(stuck).map(|package| package.name.to_owned()).collect()
}

/// A postrm that removes its directory itself fails where that is mounted, and would fail for ever: a
/// path that such a purge has emptied is a mount no more, so that the next purge can finish.
pub fn let_go_of_emptied(hook: &Hook, entry: &Entry) {
    let profile = hook.pool.layout.profile(&hook.booted.profile);
    let (before, now) = (profile.point_state(entry.number), profile.state());
    let stuck = half_purged();
    let removed = entry.planned.iter().filter(|planned| stuck.contains(&planned.package));
    let packages: Vec<_> = removed.filter_map(|planned| look_up(&planned.package).ok()).collect();
    let paths = state::found(&now).unwrap_or_default();
    for (package, path) in policy::purged(&packages, &paths) {
        let is_empty =
            |state: &Path| files::names(&state.join(path.inside())).is_ok_and(|names| names.is_empty());
        if !before.is_dir() || is_empty(&before) || !is_empty(&now) {
            continue;
        }
        match live::vanish(&profile, path) {
            Ok(()) => report::note(format_args!(
                "flipper-profiles: {} was mounted and could not be removed; it is mounted no more: purge {package} again",
                path.shown()
            )),
            Err(error) => tracing::warn!("{error}"),
        }
    }
}
