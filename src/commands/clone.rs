//! `flipper-profile clone`: a profile from another, or from a point of it, in milliseconds.

use std::path::PathBuf;

use crate::model::error::{Error, Exit, Result};
use crate::model::id::StateRef;
use crate::model::layout::ProfileDir;
use crate::model::profile::Origin;
use crate::model::state_path::StateList;
use crate::model::{EntryNumber, Kind, ProfileId, State};
use crate::system::{btrfs, profiles, roots, state};

use super::cli::Common;
use super::session::Session;
use super::{accounts, create, identity, pruned, report, stage};

pub fn run(common: &Common, from: &str, new: &str, name: Option<String>, note: String) -> Result<Exit> {
    let from: StateRef = from.parse()?;
    let new: ProfileId = new.parse()?;
    let session = Session::to_change(common)?;
    session.need_free_id(&new)?;
    let source = session.need_profile(&from.profile)?;
    let root = match from.point {
        Some(number) => source.point(number),
        None => source.root(roots::current(&source)?),
    };
    if let (Some(number), false) = (from.point, root.path().is_dir()) {
        return Err(pruned::name(&session, &from.profile, Error::PointMissing { number }));
    }
    // What runs in it may go on; a package run in its middle would be cloned half done.
    let _still = match from.point {
        Some(_) => None,
        None => stage::keep_packages_still(&session, &session.facts(&from.profile)?)?,
    };
    let version = roots::base_of(&root)?;
    let mut entry = create::begin(&session, Kind::Clone, &new, &version, from.point)?;
    let (aside, home) = (session.pool.layout.new_profile(&new), session.pool.layout.profile(&new));
    let lock = profiles::make_aside(&aside)?;
    btrfs::snapshot_both(
        (root.path(), aside.root(entry.number).path()),
        (&state_of(&source, from.point), &aside.state()),
    )?;
    let base = session.pool.layout.base(&version);
    roots::give_back_lent(&aside.root(entry.number), &base)?;
    roots::drop_random_seed(&aside.root(entry.number))?;
    accounts::hand_on(&session.pool.layout, &source, &aside)?;
    accounts::keep(&aside, &aside.root(entry.number), &base)?;
    let of = Some(from.profile.clone());
    let origin = Origin { base: Some(version.clone()), profile: of, point: from.point, builtin: None };
    create::describe(&aside, &new, name, note, origin, state_list(&source)?)?;
    share_alike(&session, &source, &aside)?;
    create::finish_root(&session, &aside, entry.number, &version)?;
    let keys = identity::of_clone(&session, &source, &aside, entry.number)?;
    profiles::hand_on_pristine(&session.pool.layout, &source, &aside)?;
    profiles::publish(&aside, &home)?;
    drop(lock);
    stage::close(&session, &mut entry, State::Completed, None)?;
    if common.json {
        report::json(&serde_json::json!({"profile": new, "base": version, "root": entry.number}));
    } else {
        let point = from.point.map(|n| format!(" as it was before entry {n}")).unwrap_or_default();
        report::line(format_args!("made profile {new} from {}{point}", from.profile));
    }
    identity::tell_keys(&new, keys);
    Ok(Exit::Done)
}

/// Its root has only empty places where the source shares something.
fn share_alike(session: &Session, source: &ProfileDir, aside: &ProfileDir) -> Result<()> {
    let shared = session.describe(source).map(|profile| profile.shared).unwrap_or_default();
    if shared.is_empty() {
        return Ok(());
    }
    let mut profile = session.describe(aside)?;
    profile.shared = shared;
    session.write_description(aside, &profile)
}

/// state/ does not roll back; but where a run took something out of it, there is a copy from before.
fn state_of(source: &ProfileDir, point: Option<EntryNumber>) -> PathBuf {
    let before = point.map(|number| source.point_state(number)).filter(|path| path.is_dir());
    before.unwrap_or_else(|| source.state())
}

/// A description that cannot be read stops no clone: it is the way out of a damaged one.
fn state_list(source: &ProfileDir) -> Result<StateList> {
    match state::list(source) {
        Err(Error::Damaged { .. }) => Ok(StateList::default()),
        list => list,
    }
}
