//! `flipper-undo N --path P`: some paths put back, live. An entry with its own point like every
//! change; a cut leaves it open and undo takes it back.

use std::path::{Component, Path, PathBuf};

use crate::model::error::{At, Error, Exit, Result};
use crate::model::state_path::{OF_THE_ROOT, StatePath};
use crate::model::{EntryNumber, Kind, State};
use crate::policy::undo::{Ask, Plan};
use crate::system::assemble::{self, Assembly};
use crate::system::putback::{Count, need_no_links_above, put_back};
use crate::system::{btrfs, driver, files, guard, mountinfo, pool, roots, state};

use super::session::{ProfileFacts, Session};
use super::{now, pruned, report, stage, undo_plan};

pub fn run(
    session: &Session,
    facts: &ProfileFacts,
    ask: Ask,
    paths: &[PathBuf],
    dry_run: bool,
) -> Result<Exit> {
    let in_state = state::found(&facts.dir.state())?;
    let paths: Vec<PathBuf> = paths.iter().map(|path| restorable(path, &in_state)).collect::<Result<_>>()?;
    let plan = undo_plan::plan(facts, ask).map_err(|error| pruned::name(session, &facts.id, error))?;
    let Plan::Stage { target, .. } = plan else {
        return Err(Error::Usage("--path wants an entry number".into()));
    };
    for path in &paths {
        report::line(format_args!("puts back /{} as it was before entry {target}", path.display()));
    }
    if dry_run {
        return Ok(Exit::Done);
    }
    session.pool.need_writable_format()?;
    report::confirm("go on?", session.common.yes)?;
    let count = with_merged_roots(session, facts, target, &paths)?;
    report::note(format_args!(
        "done: {} written, {} removed; flipper-undo takes it back",
        count.written, count.removed
    ));
    Ok(Exit::Done)
}

/// A path inside the root, without its first `/`; refused where single files would break what they
/// belong to, or where undo does not reach.
fn restorable(path: &Path, in_state: &[StatePath]) -> Result<PathBuf> {
    let refused = |why| Error::NotRestorable { path: path.to_path_buf(), why };
    inside_a_point(path, in_state).map_err(refused)
}

/// The same for whoever takes single paths out of a state; else the reason.
pub fn inside_a_point(path: &Path, in_state: &[StatePath]) -> Result<PathBuf, String> {
    let refuse = |why: &str| Err(why.to_owned());
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return refuse("it must be an absolute path without ..");
    }
    let inside: PathBuf = path.components().skip(1).collect();
    if inside.as_os_str().is_empty() {
        return refuse("it is everything: take the whole entry back instead");
    }
    for database in ["var/lib/dpkg", "var/lib/apt"] {
        if inside.starts_with(database) || Path::new(database).starts_with(&inside) {
            return refuse("dpkg's database must agree with the files: take the whole entry back instead");
        }
    }
    let of_the_root = OF_THE_ROOT.iter().any(|place| inside.starts_with(place));
    let in_state = in_state.iter().any(|path| inside.starts_with(path.inside())) && !of_the_root;
    let outside = ["home", "run", "proc", "sys", "dev", "tmp"].iter().any(|place| inside.starts_with(place));
    if in_state || outside {
        return refuse("it is not in any point: undo leaves it alone");
    }
    Ok(inside)
}

/// The state of then is mounted read-only; now is `/`, the merged root of whoever uses it, or, unused,
/// a mount of our own.
fn with_merged_roots(
    session: &Session,
    facts: &ProfileFacts,
    target: EntryNumber,
    paths: &[PathBuf],
) -> Result<Count> {
    let _still = stage::keep_packages_still(session, facts)?;
    let number = facts.in_use.unwrap_or(facts.current);
    let root = facts.dir.root(number);
    let base = roots::base_of(&root)?;
    let point = facts.dir.point(target);
    let (then, own) = (PathBuf::from("/run/flipper/then"), PathBuf::from("/run/flipper/now"));
    for dir in [&then, &own] {
        std::fs::create_dir_all(dir).at("make", dir)?;
    }
    assemble::mount_read_only(&session.pool.layout, &point, &roots::base_of(&point)?, &then)?;
    let (merged, _claimed) = match merged_in_use(session, facts, number)? {
        Some(merged) => (merged, None),
        None => {
            let claimed = guard::claim(&session.pool, &root)?;
            let (pool, profile) = (&session.pool, &facts.dir);
            Assembly { pool, profile, root: &root, base: &base, target: &own, state: None }.mount()?;
            (own, Some(claimed))
        }
    };
    for path in paths {
        need_no_links_above(&then, path)?;
        need_no_links_above(&merged, path)?;
    }
    let mut entry = begin(session, facts, number, target, paths)?;
    let mut count = Count::default();
    for path in paths {
        put_back(&then, &merged, path, &mut count)?;
    }
    files::sync_file_system(&merged)?;
    let outcome = entry.outcome.clone();
    stage::close(session, &mut entry, State::Completed, outcome)?;
    Ok(count)
}

fn merged_in_use(session: &Session, facts: &ProfileFacts, number: EntryNumber) -> Result<Option<PathBuf>> {
    if facts.in_use.is_none() {
        return Ok(None);
    }
    let here = pool::booted()?
        .is_some_and(|b| b.profile == facts.id && b.root == number && b.pool == session.pool.uuid);
    if here {
        return Ok(Some(PathBuf::from("/")));
    }
    let seen = mountinfo::find_overlay(&session.pool.tail(&facts.dir.root(number).upper()))?;
    Ok(seen.map(|seen| seen.path()))
}

fn begin(
    session: &Session,
    facts: &ProfileFacts,
    number: EntryNumber,
    target: EntryNumber,
    paths: &[PathBuf],
) -> Result<crate::model::Entry> {
    let root = facts.dir.root(number);
    let base = roots::base_of(&root)?;
    let names: Vec<String> = paths.iter().map(|p| format!("/{}", p.display())).collect();
    let entry = session.journal.lock()?.begin(Kind::Restore, now(), |entry| {
        entry.profile = Some(facts.id.clone());
        entry.root = Some(number);
        entry.base = Some(base);
        entry.target = Some(target);
        entry.point = true;
        entry.person = Some(driver::person("/".as_ref()));
        entry.outcome = Some(format!("put back {}", names.join(", ")));
    })?;
    files::sync_file_system(session.pool.layout.top())?;
    btrfs::point(root.path(), facts.dir.point(entry.number).path())?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_put_back_alone_is_refused() {
        assert_eq!(
            restorable(Path::new("/etc/nginx/nginx.conf"), &[]).unwrap(),
            Path::new("etc/nginx/nginx.conf")
        );
        let bad = [
            "etc/x",
            "/",
            "/etc/../var",
            "/var/lib/dpkg/status",
            "/var/lib/dpkg",
            "/var/lib",
            "/var",
            "/home/u/x",
            "/var/log/dpkg.log",
            "/run/x",
            "/var/lib/apt/extended_states",
        ];
        let in_state = [StatePath::parse(Path::new("var/log")).unwrap()];
        for path in bad {
            assert!(restorable(Path::new(path), &in_state).is_err(), "{path}");
        }
    }
}
