//! `flipper-profile verify`: the pool against what it promises. Looks only; each finding says what it
//! means.

use crate::model::error::{Error, Exit, Result};
use crate::model::layout::RootDir;
use crate::model::{EntryNumber, ProfileId};
use crate::system::{base, btrfs, files, manifest, roots};

use super::cli::Common;
use super::report;
use super::session::Session;

pub fn run(common: &Common) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let mut findings = Vec::new();
    check_bases(&session, &mut findings)?;
    for id in session.profiles()? {
        if let Err(error) = check_profile(&session, &id, &mut findings) {
            findings.push(format!("profile {id}: {error}"));
        }
    }
    check_journal(&session, &mut findings)?;
    if common.json {
        report::json(&serde_json::json!({ "findings": findings }));
    } else if findings.is_empty() {
        report::line("the pool is in order");
    }
    if !common.json {
        findings.iter().for_each(report::line);
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Attention })
}

fn check_bases(session: &Session, findings: &mut Vec<String>) -> Result<()> {
    let layout = &session.pool.layout;
    for version in base::versions(layout)? {
        if !btrfs::is_read_only(&layout.base(&version))? {
            findings.push(format!("base {version} can be written to: it must never change under a profile"));
        }
        match manifest::largest_inode(layout, &version) {
            Ok(largest) if largest >= session.pool.format.inode_floor => {
                findings.push(format!(
                    "base {version} has inode numbers at the floor: files may be taken for others"
                ));
            }
            Ok(_) => {}
            Err(error) => findings.push(format!("base {version}: {error}")),
        }
    }
    Ok(())
}

fn check_profile(session: &Session, id: &ProfileId, findings: &mut Vec<String>) -> Result<()> {
    let dir = session.need_profile(id)?;
    session.describe(&dir)?;
    let current = roots::current(&dir)?;
    if !dir.root(current).path().is_dir() {
        findings.push(format!("profile {id}: current points to root {current}, which is gone"));
    }
    for number in roots::numbers(&dir.roots())? {
        let root = dir.root(number);
        check_state(session, &format!("{id}: root {number}"), &root, findings)?;
        let base = session.pool.layout.base(&roots::base_of(&root)?);
        if base.is_dir() {
            if let Err(error) = roots::prove_layout(&root, &base, session.pool.format.inode_floor) {
                findings.push(format!("{id}: root {number}: {error}"));
            }
        }
        check_state_directories(id, &dir, findings);
    }
    for number in roots::numbers(&dir.snapshots())? {
        let point = dir.point(number);
        check_state(session, &format!("{id}: point {number}"), &point, findings)?;
        if !btrfs::is_read_only(point.path())? {
            findings.push(format!("{id}: point {number} can be written to"));
        }
        if has_no_entry(session, id, number)? {
            findings.push(format!("{id}: point {number} has no entry; it can be looked at: flipper-profile mount {id}@{number} DIR"));
        }
    }
    Ok(())
}

/// What a root and a point have in common.
fn check_state(session: &Session, what: &str, state: &RootDir, findings: &mut Vec<String>) -> Result<()> {
    match roots::base_of(state) {
        Ok(base) if !session.pool.layout.base(&base).is_dir() => {
            findings.push(format!("{what} stands on base {base}, which is gone"));
        }
        Ok(_) => {}
        Err(error) => findings.push(format!("{what}: {error}")),
    }
    if !state.upper().is_dir() {
        findings.push(format!("{what} has no upper"));
    }
    Ok(())
}

fn check_state_directories(
    id: &ProfileId,
    dir: &crate::model::layout::ProfileDir,
    findings: &mut Vec<String>,
) {
    for path in crate::model::carried::STATE_PATHS {
        if !dir.state().join(path).is_dir() {
            findings.push(format!("{id}: state/{path} is missing: it would roll back with the root"));
        }
    }
}

fn has_no_entry(session: &Session, id: &ProfileId, number: EntryNumber) -> Result<bool> {
    match session.journal.entry(Some(id), number) {
        Ok(entry) => Ok(entry.is_none()),
        Err(Error::Damaged { .. }) => Ok(false), // check_journal names it
        Err(other) => Err(other),
    }
}

fn check_journal(session: &Session, findings: &mut Vec<String>) -> Result<()> {
    let mut owners: Vec<Option<ProfileId>> = session.journal.profiles()?.into_iter().map(Some).collect();
    owners.push(None);
    let mut highest = 0;
    for owner in owners {
        let found = session.journal.entries(owner.as_ref())?;
        highest = highest.max(found.entries.last().map_or(0, |entry| entry.number.get()));
        findings.extend(found.damaged.iter().map(|path| format!("{} cannot be read", path.display())));
    }
    let next = files::read_line(&session.pool.layout.next())?;
    match next.trim_start_matches('0').parse::<u64>() {
        Ok(next) if next > highest => {}
        Ok(next) => findings.push(format!("the next entry number is {next}, but entry {highest} exists")),
        Err(_) => findings.push("the next entry number cannot be read; the next entry finds it again".into()),
    }
    Ok(())
}
