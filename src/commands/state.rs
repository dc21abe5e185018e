//! `flipper-profile state list|add|remove`: which paths of a profile undo leaves alone.
//!
//! Add and remove copy aside first (a full disk refuses, and nothing has changed), then write
//! profile.json, then let the copy take its place. After a cut in between the next start does the rest.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::dpkg::file_list;
use crate::model::error::{Error, Exit, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::state_path::StatePath;
use crate::model::{Kind, ProfileId, State};
use crate::policy::state as policy;
use crate::system::state::settle::{Problem, Settling};
use crate::system::state::{self, is_in};
use crate::system::{btrfs, driver, files, guard, roots, upper};

use super::cli::{Common, StateVerb};
use super::session::Session;
use super::{now, report, stage};

pub fn run(common: &Common, verb: &StateVerb) -> Result<Exit> {
    match verb {
        StateVerb::List { id } => list(common, id),
        StateVerb::Add { id, path, dry_run } => add(common, id, path, *dry_run),
        StateVerb::Remove { id, path, dry_run } => remove(common, id, path, *dry_run),
    }
}

/// A profile's state/ and the root it belongs to next.
struct Place {
    dir: ProfileDir,
    root: RootDir,
    base: PathBuf,
    listed: Vec<StatePath>,
}

impl Place {
    fn look(session: &Session, id: &ProfileId) -> Result<Place> {
        let dir = session.need_profile(id)?;
        let root = dir.root(roots::current(&dir)?);
        let base = session.pool.layout.base(&roots::base_of(&root)?);
        let listed = state::wanted(&dir, &root, &base)?;
        Ok(Place { dir, root, base, listed })
    }

    fn settling(&self) -> Settling<'_> {
        Settling { profile: &self.dir, root: &self.root, base: &self.base }
    }
}

fn list(common: &Common, id: &str) -> Result<Exit> {
    let (id, session) = (id.parse()?, Session::to_read(common)?);
    let place = Place::look(&session, &id)?;
    let (mut rows, mut values) = (vec![["PATH", "WHY", "WHERE"].map(str::to_owned).to_vec()], Vec::new());
    let without = state::list(&place.dir)?.without;
    let outside = without.iter().filter_map(|path| StatePath::parse(&path.0).ok());
    let mut outside: Vec<_> = outside.filter(|path| !place.listed.contains(path)).collect();
    outside.sort();
    for path in place.listed.iter().chain(&outside) {
        let why = match () {
            () if path.is_default() => "default",
            () if path.is_brought() => "package",
            () => "named",
        };
        let at = match (outside.contains(path), is_in(&place.dir.state(), path)?) {
            (true, _) => "root: taken out",
            (false, true) => "state",
            (false, false) => "root: moves at the next start",
        };
        rows.push([path.shown(), why.into(), at.into()].to_vec());
        values.push(serde_json::json!({"path": path.shown(), "why": why, "where": at}));
    }
    if common.json {
        report::json(&values.into())
    } else {
        report::table(&rows)
    }
    Ok(Exit::Done)
}

fn add(common: &Common, id: &str, typed: &Path, dry_run: bool) -> Result<Exit> {
    let (id, path): (ProfileId, StatePath) = (id.parse()?, parse(typed)?);
    let session = open(common, dry_run)?;
    let _lock = (!dry_run).then(|| session.lock_profile(&id)).transpose()?;
    let place = Place::look(&session, &id)?;
    policy::may_add(&path, &place.listed)?;
    policy::need_not_shared(&path, &session.describe(&place.dir)?.shared)?;
    need_plain_directory(&place, &path)?;
    need_no_package_files(&place, &path)?;
    let in_use = session.root_in_use(&place.dir)?.is_some();
    let when = if in_use { "it moves into state/ at the next start" } else { "it is in state/" };
    if dry_run {
        report::line(format_args!("{}: undo will leave it alone; {when}", path.shown()));
        return Ok(Exit::Done);
    }
    let mut profile = session.describe(&place.dir)?;
    profile.state.add(&path);
    if in_use {
        session.write_description(&place.dir, &profile)?; // the visible moment
    } else {
        let (_claimed, settling) = (guard::claim(&session.pool, &place.root)?, place.settling());
        let moves = settling.copy_in(&path)?;
        session.write_description(&place.dir, &profile)?; // the visible moment
        if moves {
            settling.place_in(&path)?;
        }
    }
    let value = serde_json::json!({"profile": id, "path": path.shown(), "moved": !in_use});
    report::done(common.json, value, format_args!("{}: {when}; undo leaves it alone", path.shown()));
    Ok(Exit::Done)
}

fn remove(common: &Common, id: &str, typed: &Path, dry_run: bool) -> Result<Exit> {
    let (id, path): (ProfileId, StatePath) = (id.parse()?, parse(typed)?);
    let session = open(common, dry_run)?;
    let _lock = (!dry_run).then(|| session.lock_profile(&id)).transpose()?;
    let place = Place::look(&session, &id)?;
    if !place.listed.contains(&path) {
        return Err(Error::BadStatePath { path: typed.to_path_buf(), why: "it is not in state/".into() });
    }
    if let Some(number) = session.root_in_use(&place.dir)? {
        let what = format!("root {number} of {id}");
        return Err(Error::InUse { what, by: "its files cannot be moved meanwhile".into() });
    }
    if dry_run {
        report::line(format_args!("{}: it goes back into the root and rolls back with it", path.shown()));
        return Ok(Exit::Done);
    }
    let _claimed = guard::claim(&session.pool, &place.root)?;
    match is_in(&place.dir.state(), &path)? {
        true => move_out(&session, &id, &place, &path)?,
        false => unlist(&session, &place, &path)?,
    }
    let value = serde_json::json!({"profile": id, "path": path.shown()});
    let sentence = format!("{}: it is in the root again and rolls back with it", path.shown());
    report::done(common.json, value, sentence);
    Ok(Exit::Done)
}

fn unlist(session: &Session, place: &Place, path: &StatePath) -> Result<()> {
    let mut profile = session.describe(&place.dir)?;
    profile.state.remove(path);
    session.write_description(&place.dir, &profile) // the visible moment
}

/// An entry, because the points before it have nothing where the files are from now on: an undo to one of
/// them hands them on (see `keep.rs`).
fn move_out(session: &Session, id: &ProfileId, place: &Place, path: &StatePath) -> Result<()> {
    let (number, base) = (roots::current(&place.dir)?, roots::base_of(&place.root)?);
    let mut entry = session.journal.lock()?.begin(Kind::Set, now(), |entry| {
        entry.profile = Some(id.clone());
        entry.root = Some(number);
        entry.base = Some(base);
        entry.point = true;
        entry.person = Some(driver::person("/".as_ref()));
        entry.outcome = Some(format!("{} left state/", path.shown()));
        entry.note_state_removed(path.inside());
    })?;
    files::sync_file_system(place.dir.path())?;
    btrfs::point(place.root.path(), place.dir.point(entry.number).path())?;
    let settling = place.settling();
    if let Err(error) = settling.copy_out(path) {
        stage::close(session, &mut entry, State::Failed, Some(error.to_string()))?;
        return Err(error);
    }
    unlist(session, place, path)?;
    settling.place_out(path)?;
    stage::close(session, &mut entry, State::Completed, None)
}

fn open(common: &Common, dry_run: bool) -> Result<Session> {
    if dry_run { Session::to_read(common) } else { Session::to_change(common) }
}

fn parse(typed: &Path) -> Result<StatePath> {
    StatePath::typed(typed).map_err(|why| Error::BadStatePath { path: typed.to_path_buf(), why })
}

/// What is there is a directory, reached through directories, or nothing.
fn need_plain_directory(place: &Place, path: &StatePath) -> Result<()> {
    let ways = path.inside().ancestors().filter(|above| !above.as_os_str().is_empty());
    for above in ways {
        let seen = upper::find(&place.root, &place.base, above);
        if seen.is_some_and(|seen| !seen.symlink_metadata().is_ok_and(|meta| meta.is_dir())) {
            let why = format!("/{} is no directory: name the place it leads to", above.display());
            return Err(Error::BadStatePath { path: Path::new("/").join(path.inside()), why });
        }
    }
    Ok(())
}

/// Files of a package roll back with it, or its database would say what is not so.
fn need_no_package_files(place: &Place, path: &StatePath) -> Result<()> {
    let lists = upper::files_in(&place.root, &place.base, Path::new("var/lib/dpkg/info"), b".list")?;
    let mut prefix = b"/".to_vec();
    prefix.extend_from_slice(path.inside().as_os_str().as_bytes());
    for (name, list) in lists {
        let text = files::read_if_there(&list)?.unwrap_or_default();
        for line in text.split(|b| *b == b'\n').filter(|line| line.starts_with(&prefix)) {
            let inside = Path::new(std::ffi::OsStr::from_bytes(&line[1..]));
            let seen =
                upper::find(&place.root, &place.base, inside).filter(|_| inside.starts_with(path.inside()));
            if seen.is_some_and(|seen| !seen.is_dir()) {
                let package = file_list::package(name.as_bytes()).unwrap_or_default();
                let why = format!(
                    "/{} is a file of the package {package}, which undo takes back",
                    inside.display()
                );
                return Err(Error::BadStatePath { path: Path::new("/").join(path.inside()), why });
            }
        }
    }
    Ok(())
}

/// A path of state/ that a link or a file is in the way of: its files are safe, and not to be seen.
pub fn tell_not_mounted(problems: &[Problem]) {
    for problem in problems {
        let (path, error) = (problem.path.as_ref().map(StatePath::shown).unwrap_or_default(), &problem.error);
        report::note(format_args!("note: {path} is not mounted, its files stay in state/: {error}"));
    }
}

/// Moves into state/ what belongs there, before a root starts. The caller holds the profile's lock and
/// has claimed the root. What cannot be moved stays where it was, and the start goes on.
pub fn settle(session: &Session, dir: &ProfileDir, root: &RootDir) -> Result<()> {
    let base = session.pool.layout.base(&roots::base_of(root)?);
    match (Settling { profile: dir, root, base: &base }).all() {
        Ok(problems) => problems.iter().for_each(|Problem { path, error }| match path {
            Some(path) => {
                let path = path.shown();
                report::note(format_args!("note: {path} stays where it is until the next start: {error}"));
            }
            None => report::note(format_args!("note: what a change left aside is not removed yet: {error}")),
        }),
        // A description nobody can read says nothing about what should be moved; what is in state/ is.
        Err(error) => report::note(format_args!("note: {error}")),
    }
    Ok(())
}
