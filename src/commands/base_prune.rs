//! `flipper-base prune [V]`: look, show, confirm, and remove the bases that no reason keeps. The kernel would
//! empty a running root without a word, so every root and point is asked first, and once more when the base
//! is claimed.

use std::fs;

use serde_json::{Value, json};

use crate::model::error::{At, Error, Exit, Result};
use crate::model::{BaseVersion, Entry, Kind, State};
use crate::policy::bases::{Keep, Kept};
use crate::system::locks::Lock;
use crate::system::reserve::{For, with_room};
use crate::system::{base, btrfs, driver, files};

use super::cli::Common;
use super::session::Session;
use super::{base_standing, now, report, stage};

pub fn run(common: &Common, version: Option<&str>, dry_run: bool) -> Result<Exit> {
    let named: Option<BaseVersion> = version.map(str::parse).transpose()?;
    let session = if dry_run { Session::to_read(common)? } else { Session::to_change(common)? };
    session.need_outside("removing a base")?;
    let _lock = match dry_run {
        true => None,
        false => Some(Lock::take_soon(&session.pool.layout.base_lock(), "the bases")?),
    };
    let plan = base_standing::plan(&session)?;
    let going = going(&plan, named.as_ref())?;
    if !common.json && named.is_none() {
        show(&plan);
    }
    let mut done = Done::default();
    if !dry_run && !going.is_empty() {
        report::confirm(&format!("remove {} for good?", names(&going)), common.yes)?;
        for version in &going {
            match remove(&session, version) {
                Err(error @ Error::BaseKept { .. }) if named.is_none() => done.left.push(error.to_string()),
                other => other.map(|()| done.removed.push(version.clone()))?,
            }
        }
    }
    finish(common, &plan, &going, &done, dry_run);
    Ok(if done.left.is_empty() { Exit::Done } else { Exit::Attention })
}

/// What came of it.
#[derive(Default)]
struct Done {
    removed: Vec<BaseVersion>,
    /// What somebody came to stand on meanwhile.
    left: Vec<String>,
}

/// The one that is named, or each that no reason keeps.
fn going(plan: &[Kept], named: Option<&BaseVersion>) -> Result<Vec<BaseVersion>> {
    let Some(version) = named else {
        return Ok(plan.iter().filter(|kept| kept.goes()).map(|kept| kept.version.clone()).collect());
    };
    need_unkept(plan, version)?;
    Ok(vec![version.clone()])
}

/// Refused with every reason.
fn need_unkept(plan: &[Kept], version: &BaseVersion) -> Result<()> {
    let kept = plan.iter().find(|kept| kept.version == *version);
    let kept = kept.ok_or_else(|| Error::NoSuchBase { version: version.clone() })?;
    let holding: Vec<String> = kept.holding().map(Keep::text).collect();
    match holding.is_empty() {
        true => Ok(()),
        false => Err(Error::BaseKept { version: version.clone(), why: holding.join("; ") }),
    }
}

fn remove(session: &Session, version: &BaseVersion) -> Result<()> {
    let layout = &session.pool.layout;
    // A profile may have been made on it while the question stood. From here on none can: create holds
    // the base shared until its root names it.
    let _claimed = Lock::of_directory(&layout.base(version), false)?.ok_or_else(|| Error::BaseKept {
        version: version.clone(),
        why: "a profile is being made on it".into(),
    })?;
    need_unkept(&base_standing::plan(session)?, version)?;
    let mut entry = begin(session, version)?;
    let aside = layout.bases().join(format!(".pruned-{version}"));
    with_room(layout, For::Recovery, || {
        btrfs::delete_if_there(&aside)?; // of a prune that was cut
        fs::rename(layout.base(version), &aside).at("rename", &aside) // the visible moment
    })?;
    with_room(layout, For::Recovery, || base::forget_manifest(layout, version))?;
    files::sync_parent(&aside)?;
    btrfs::delete(&aside)?;
    stage::close(session, &mut entry, State::Completed, None)
}

fn begin(session: &Session, version: &BaseVersion) -> Result<Entry> {
    let entry = session.journal.lock()?.begin(Kind::PruneBase, now(), |entry| {
        entry.base = Some(version.clone());
        entry.person = Some(driver::person("/".as_ref()));
    })?;
    with_room(&session.pool.layout, For::Recovery, || files::sync_file_system(session.pool.layout.top()))?;
    Ok(entry)
}

fn show(plan: &[Kept]) {
    let words = |kept: &Kept| match kept.goes() {
        true => "goes: nothing stands on it".to_owned(),
        false => format!("kept: {}", texts(kept).join("; ")),
    };
    report::table(&plan.iter().map(|kept| vec![kept.version.to_string(), words(kept)]).collect::<Vec<_>>());
}

fn texts(kept: &Kept) -> Vec<String> {
    kept.reasons.iter().map(Keep::text).collect()
}

/// "base 13.1", "bases 13.0, 13.1"
fn names(versions: &[BaseVersion]) -> String {
    let names: Vec<&str> = versions.iter().map(BaseVersion::as_str).collect();
    format!("{} {}", if names.len() == 1 { "base" } else { "bases" }, names.join(", "))
}

fn finish(common: &Common, plan: &[Kept], going: &[BaseVersion], done: &Done, dry_run: bool) {
    let value = |kept: &Kept| json!({"version": kept.version, "goes": going.contains(&kept.version), "kept_for": texts(kept)});
    let all: Vec<Value> = plan.iter().map(value).collect();
    let told = json!({"bases": all, "removed": done.removed, "left": done.left});
    done.left.iter().for_each(|why| report::note(format_args!("note: {why}")));
    let sentence = match (dry_run, going.is_empty(), done.removed.is_empty()) {
        (true, false, _) => format!("{} would go", names(going)),
        (_, true, _) => "there is a reason to keep every base".to_owned(),
        (_, _, true) => "nothing was removed".to_owned(),
        _ => format!("removed {}", names(&done.removed)),
    };
    report::done(common.json, told, sentence);
}
