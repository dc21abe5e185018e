//! `flipper-profile share`, `unshare`: a path of a profile moves to `@data/shared` and is bound from there.
//! Copied, then listed, then emptied, in that order: cut at any place, nothing is lost, and doing it again
//! finishes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use crate::model::carried::as_texts;
use crate::model::error::{At, Error, Exit, Result};
use crate::model::state_path::StatePath;
use crate::model::{Entry, EntryNumber, Kind, ProfileId, State};
use crate::policy::own::ACCOUNTS;
use crate::system::assemble::Assembly;
use crate::system::{btrfs, driver, files, guard, putback, roots, shared, state};

use super::cli::{Common, Share, Unshare};
use super::session::{ProfileFacts, Session};
use super::{now, report, restore, stage, undo_plan};

pub fn run(common: &Common, args: &Share) -> Result<Exit> {
    if args.list {
        return list(common);
    }
    let session = Session::to_change(common)?;
    session.need_outside("sharing")?;
    let id = session.profile(args.profile.as_deref())?;
    let _lock = session.lock_profile(&id)?;
    let facts = undo_plan::look(&session, Some(id.as_str()))?;
    let paths = shareable_all(&args.path, &facts)?;
    need_no_state(&session, &facts, &paths)?;
    need_nothing_nested(&session, &paths)?;
    let moved = with_merged(&session, &facts, |merged| {
        for path in &paths {
            need_place(&session, merged, path)?;
        }
        let mut entry = begin(&session, &facts, "shared", &paths)?;
        let before = session.describe(&facts.dir)?.shared;
        let done = take_point(&session, &facts, &entry).and_then(|()| {
            shared::make(&session.pool.layout)?;
            share(&session, &facts, merged, &paths, &entry)?;
            files::sync_file_system(session.pool.layout.top())
        });
        let is_as_before = session.describe(&facts.dir).is_ok_and(|profile| profile.shared == before);
        close(&session, &facts, &mut entry, done, is_as_before)
    });
    moved?;
    tell(common, &id, &paths, "is shared; it counts from the next start of the profile");
    Ok(Exit::Done)
}

pub fn take_back(common: &Common, args: &Unshare) -> Result<Exit> {
    let session = Session::to_change(common)?;
    session.need_outside("unsharing")?;
    let id = session.profile(args.profile.as_deref())?;
    let _lock = session.lock_profile(&id)?;
    let facts = undo_plan::look(&session, Some(id.as_str()))?;
    let paths = shareable_all(&args.path, &facts)?;
    let listed = session.describe(&facts.dir)?.shared;
    if let Some(path) = paths.iter().find(|path| !listed.contains(path)) {
        return Err(refused(path, &format!("{id} does not share it")));
    }
    with_merged(&session, &facts, |merged| {
        for path in &paths {
            need_no_link(merged, path)?;
        }
        let mut entry = begin(&session, &facts, "no longer shared", &paths)?;
        let was_empty: Result<Vec<bool>> =
            paths.iter().map(|path| shared::is_empty(&merged.join(path))).collect();
        let done =
            take_point(&session, &facts, &entry).and_then(|()| unshare(&session, &facts, merged, &paths));
        let is_as_before =
            done.is_err() && was_empty?.iter().all(|empty| *empty) && empty_again(merged, &paths);
        close(&session, &facts, &mut entry, done, is_as_before)
    })?;
    tell(common, &id, &paths, "is the profile's own again; what the others share stays in @data/shared");
    Ok(Exit::Done)
}

fn unshare(session: &Session, facts: &ProfileFacts, merged: &Path, paths: &[PathBuf]) -> Result<()> {
    let layout = &session.pool.layout;
    for path in paths.iter().filter(|path| layout.shared().join(path).symlink_metadata().is_ok()) {
        putback::put_back(&layout.shared(), merged, path, &mut Default::default())?;
    }
    files::sync_file_system(layout.top())?;
    let mut profile = session.describe(&facts.dir)?;
    profile.shared.retain(|path| !paths.contains(path));
    session.write_description(&facts.dir, &profile) // the visible moment
}

/// The half that came back takes up room nobody sees: the paths are shared still.
fn empty_again(merged: &Path, paths: &[PathBuf]) -> bool {
    let there = paths.iter().map(|path| merged.join(path)).filter(|path| path.symlink_metadata().is_ok());
    there.map(|path| shared::empty(&path)).all(|done| done.is_ok())
}

/// Closes the entry by what became of it; nothing changed, so there is no state before it to go back to.
/// A full disk may have no room for that either: then the next change closes it.
fn close(
    session: &Session,
    facts: &ProfileFacts,
    entry: &mut Entry,
    done: Result<()>,
    is_as_before: bool,
) -> Result<()> {
    let Err(error) = done else { return stage::close(session, entry, State::Completed, None) };
    let state = if is_as_before { State::Cancelled } else { State::Failed };
    let point = facts.dir.point(entry.number);
    if is_as_before && btrfs::delete_if_there(point.path()).is_ok() {
        entry.point = false;
    }
    let outcome = Some(format!("not done: {error}"));
    if let Err(of_entry) = stage::close(session, entry, state, outcome) {
        report::note(format_args!("note: entry {} stays open: {of_entry}", entry.number));
    }
    Err(error)
}

fn tell(common: &Common, id: &ProfileId, paths: &[PathBuf], sentence: &str) {
    if common.json {
        let texts: Vec<_> = paths.iter().map(|path| as_texts::text(path)).collect();
        return report::json(&serde_json::json!({"profile": id, "paths": texts}));
    }
    for path in paths {
        report::line(format_args!("/{} {sentence}", path.display()));
    }
}

fn refused(inside: &Path, why: &str) -> Error {
    Error::NotShareable { path: Path::new("/").join(inside), why: why.to_owned() }
}

fn shareable_all(typed: &[PathBuf], facts: &ProfileFacts) -> Result<Vec<PathBuf>> {
    let in_state = state::found(&facts.dir.state())?;
    typed.iter().map(|path| shareable(path, &in_state)).collect()
}

/// Relative to the merged root; refused where a mount would break what is there, or has a place already.
fn shareable(path: &Path, in_state: &[StatePath]) -> Result<PathBuf> {
    let refuse = |why: &str| Err(Error::NotShareable { path: path.to_path_buf(), why: why.into() });
    let inside = match restore::inside_a_point(path, in_state) {
        Ok(inside) => inside,
        Err(_) if path.starts_with("/home") => return refuse("/home is shared by all profiles already"),
        Err(why) => return refuse(&why),
    };
    const RENAMED_OVER: [&str; 5] =
        ["etc/machine-id", "etc/resolv.conf", "etc/fstab", "etc/mtab", "etc/ld.so.cache"];
    if ACCOUNTS.iter().chain(&RENAMED_OVER).any(|file| inside == Path::new(file)) {
        return refuse("it belongs to one profile, and programs replace it by a rename");
    }
    // A whole of what packages made, and everything above state/, which is mounted over it.
    const WHOLE: [&str; 10] =
        ["etc", "usr", "bin", "sbin", "lib", "lib64", "boot", "var", "var/lib", "var/cache"];
    if WHOLE.iter().any(|place| inside == Path::new(place)) || inside.starts_with("boot") {
        return refuse("it is made of packages: name what lies in it");
    }
    Ok(inside)
}

/// The mount of a shared path would cover what state/ has below it, and state/'s what lies in it. What a
/// package of another day brings counts: its data would go the same way.
fn need_no_state(session: &Session, facts: &ProfileFacts, paths: &[PathBuf]) -> Result<()> {
    let root = facts.dir.root(facts.current);
    let base = session.pool.layout.base(&roots::base_of(&root)?);
    let mut known = state::wanted(&facts.dir, &root, &base)?;
    known.extend(state::found(&facts.dir.state())?);
    known.extend(state::list(&facts.dir)?.paths(|_| true));
    for path in paths {
        let meets = |of: &&StatePath| of.inside().starts_with(path) || path.starts_with(of.inside());
        if let Some(of) = known.iter().find(meets) {
            let why = format!("{} is in state/, which undo leaves alone already", of.shown());
            return Err(refused(path, &why));
        }
    }
    Ok(())
}

/// One shared path within another would be two places for the same file.
fn need_nothing_nested(session: &Session, paths: &[PathBuf]) -> Result<()> {
    let mut listed: Vec<PathBuf> = paths.to_vec();
    for other in session.profiles()? {
        listed.extend(session.describe(&session.need_profile(&other)?).map(|p| p.shared).unwrap_or_default());
    }
    for path in paths {
        let nested =
            |other: &&PathBuf| *other != path && (other.starts_with(path) || path.starts_with(other));
        if let Some(other) = listed.iter().find(nested) {
            return Err(refused(path, &format!("/{} is shared, and one lies in the other", other.display())));
        }
    }
    Ok(())
}

/// What comes back would take the place of a link, and of all it leads to.
fn need_no_link(merged: &Path, inside: &Path) -> Result<()> {
    let is_link = merged.join(inside).symlink_metadata().is_ok_and(|meta| meta.is_symlink());
    match putback::need_no_links_above(merged, inside) {
        Ok(()) if !is_link => Ok(()),
        _ => Err(Error::NotShareable {
            path: Path::new("/").join(inside),
            why: "a link is, or leads to, its place: move it away first".into(),
        }),
    }
}

/// The profile's own must be there to be moved, or nothing of its own be in the way of what others share.
fn need_place(session: &Session, merged: &Path, inside: &Path) -> Result<()> {
    putback::need_no_links_above(merged, inside).map_err(|_| refused(inside, "a link leads to it"))?;
    let (own, there) = (merged.join(inside), session.pool.layout.shared().join(inside));
    let kind = own.symlink_metadata().ok();
    if kind.as_ref().is_some_and(|meta| !meta.is_dir() && !meta.is_file()) {
        return Err(refused(inside, "it is neither a file nor a folder"));
    }
    match (kind, there.symlink_metadata().ok()) {
        (None, None) => Err(refused(inside, "there is nothing: make it first")),
        (Some(own_kind), Some(other)) if own_kind.is_dir() != other.is_dir() => {
            Err(refused(inside, "others share a folder of this name, and here is a file, or the reverse"))
        }
        (Some(_), Some(_)) if !shared::is_empty(&own)? && !shared::is_same(&own, &there)? => {
            Err(refused(inside, "others share it already, and here is something else: move it away first"))
        }
        _ => Ok(()),
    }
}

/// All of them are listed by one write, or none: until then the profile has its own still.
fn share(
    session: &Session,
    facts: &ProfileFacts,
    merged: &Path,
    paths: &[PathBuf],
    entry: &Entry,
) -> Result<()> {
    let mut made = Vec::new();
    let listed = put(session, merged, paths, entry, &mut made).and_then(|()| list_all(session, facts, paths));
    if listed.is_err() && is_listed_none(session, facts, &made) {
        made.iter().try_for_each(|inside| files::remove_tree(&session.pool.layout.shared().join(inside)))?;
    }
    listed?;
    // Where nothing is, the next start makes the place.
    let own = paths.iter().map(|inside| merged.join(inside)).filter(|path| path.symlink_metadata().is_ok());
    own.into_iter().try_for_each(|path| shared::empty(&path))
}

fn is_listed_none(session: &Session, facts: &ProfileFacts, paths: &[&PathBuf]) -> bool {
    let listed = session.describe(&facts.dir).map(|profile| profile.shared);
    listed.is_ok_and(|listed| !paths.iter().any(|path| listed.contains(path)))
}

/// Copies what others do not share already.
fn put<'a>(
    session: &Session,
    merged: &Path,
    paths: &'a [PathBuf],
    entry: &Entry,
    made: &mut Vec<&'a PathBuf>,
) -> Result<()> {
    let layout = &session.pool.layout;
    for inside in paths {
        if layout.shared().join(inside).symlink_metadata().is_err() {
            shared::put(layout, merged, inside, entry.number)?;
            made.push(inside);
        }
    }
    Ok(())
}

fn list_all(session: &Session, facts: &ProfileFacts, paths: &[PathBuf]) -> Result<()> {
    let mut profile = session.describe(&facts.dir)?;
    profile.shared.extend(paths.iter().cloned());
    profile.shared.sort();
    profile.shared.dedup();
    session.write_description(&facts.dir, &profile) // the visible moment
}

fn begin(session: &Session, facts: &ProfileFacts, verb: &str, paths: &[PathBuf]) -> Result<Entry> {
    let root: EntryNumber = facts.current;
    let base = roots::base_of(&facts.dir.root(root))?;
    let names: Vec<String> = paths.iter().map(|path| format!("/{}", path.display())).collect();
    session.journal.lock()?.begin(Kind::Share, now(), |entry| {
        entry.profile = Some(facts.id.clone());
        entry.root = Some(root);
        entry.base = Some(base);
        entry.point = true;
        entry.person = Some(driver::person("/".as_ref()));
        entry.outcome = Some(format!("{verb}: {}", names.join(", ")));
        shared::note_paths(entry, paths);
    })
}

fn take_point(session: &Session, facts: &ProfileFacts, entry: &Entry) -> Result<()> {
    files::sync_file_system(session.pool.layout.top())?;
    btrfs::point(facts.dir.root(facts.current).path(), facts.dir.point(entry.number).path())
}

/// The bare merged root, which must be unused: what runs in it has its files open.
fn with_merged(
    session: &Session,
    facts: &ProfileFacts,
    work: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let root = facts.dir.root(facts.current);
    let _claimed = guard::claim(&session.pool, &root)?;
    let merged = PathBuf::from("/run/flipper/now");
    fs::create_dir_all(&merged).at("make", &merged)?;
    let base = roots::base_of(&root)?;
    let (pool, profile) = (&session.pool, &facts.dir);
    Assembly { pool, profile, root: &root, base: &base, target: &merged, state: None }.mount()?;
    let done = work(&merged);
    umount2(&merged, MntFlags::MNT_DETACH).at("unmount", &merged).and(done)
}

fn list(common: &Common) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let mut by_path: BTreeMap<PathBuf, Vec<ProfileId>> = BTreeMap::new();
    for id in session.profiles()? {
        for path in session.describe(&session.need_profile(&id)?)?.shared {
            by_path.entry(path).or_default().push(id.clone());
        }
    }
    if common.json {
        let value = |(path, ids): (&PathBuf, &Vec<ProfileId>)| serde_json::json!({"path": as_texts::text(path), "profiles": ids});
        report::json(&by_path.iter().map(value).collect::<Vec<_>>().into());
        return Ok(Exit::Done);
    }
    let mut rows = vec![vec!["PATH".to_owned(), "PROFILES".to_owned()]];
    rows.push(vec!["/home".into(), "all".into()]);
    rows.extend(by_path.iter().map(|(path, ids)| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        vec![format!("/{}", path.display()), ids.join(", ")]
    }));
    report::table(&rows);
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shared() {
        let in_state = [StatePath::parse(Path::new("var/log")).unwrap()];
        for path in ["/srv/music", "/etc/wpa_supplicant.conf", "/etc/nginx", "/opt", "/usr/local/games"] {
            assert!(shareable(Path::new(path), &in_state).is_ok(), "{path}");
        }
        let bad = [
            "srv",
            "/",
            "/etc",
            "/usr",
            "/var",
            "/var/lib",
            "/var/lib/dpkg",
            "/var/lib/dpkg/info",
            "/var/lib/apt",
            "/etc/passwd",
            "/etc/shadow",
            "/etc/machine-id",
            "/home",
            "/home/anna",
            "/var/log",
            "/var/log/x",
            "/run/x",
            "/srv/../etc",
            "/boot",
            "/boot/x",
            "/etc/fstab",
            "/var/cache",
        ];
        for path in bad {
            assert!(shareable(Path::new(path), &in_state).is_err(), "{path}");
        }
    }
}
