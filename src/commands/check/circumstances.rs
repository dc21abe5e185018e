//! What stands around a check: who is at work in the profile, whether it keeps still, what its points
//! stand on.

use std::collections::BTreeMap;

use crate::commands::session::Session;
use crate::model::error::Result;
use crate::model::layout::{ProfileDir, RootDir};
use crate::policy::check::finding::Finding;
use crate::policy::check::procedure::Circumstances;
use crate::system::mountinfo::{self, Seen};
use crate::system::{btrfs, locks, roots};

use super::Look;

/// Times a profile in use may change under the look before it is told as it is.
const LOOKS: usize = 3;

pub fn around(session: &Session, dir: &ProfileDir, root: &RootDir) -> Result<Circumstances> {
    let base = roots::base_of(root)?;
    let mut points: BTreeMap<String, usize> = BTreeMap::new();
    for number in roots::numbers(&dir.snapshots())? {
        // A point may go between the list and the look.
        let Ok(other) = roots::base_of(&dir.point(number)) else { continue };
        if other != base {
            *points.entry(other.to_string()).or_default() += 1;
        }
    }
    let base_is_gone = !session.pool.layout.base(&base).is_dir();
    Ok(Circumstances { base_is_gone, points, ..Circumstances::default() })
}

/// Looks again as long as the root changes under the look, but not for ever; what changed under the last
/// look, and who is at work there, is noted.
pub fn quietly(
    session: &Session,
    root: &RootDir,
    around: &mut Circumstances,
    look: &mut dyn FnMut() -> Result<Look>,
) -> Result<(Vec<Finding>, String)> {
    let mut looks = 0;
    loop {
        looks += 1;
        let (before, seen) = (btrfs::generation(root.path())?, mounted(session, root)?);
        around.package_run = at_work(seen.as_ref())?;
        let looked = look()?;
        let committed = btrfs::generation(root.path())? != before;
        let seen_after = mounted(session, root)?;
        // What is not committed yet shows in the times of the files only.
        let may_change = committed || seen.is_some() || seen_after.is_some();
        around.changed = if may_change { looked.upper.changed_since(looked.begin) } else { Vec::new() };
        if around.changed.is_empty() || looks == LOOKS {
            around.package_run = around.package_run.or(at_work(seen_after.as_ref())?);
            return Ok((looked.findings, looked.plan_hash));
        }
    }
}

fn mounted(session: &Session, root: &RootDir) -> Result<Option<Seen>> {
    mountinfo::find_overlay(&session.pool.tail(&root.upper()))
}

/// dpkg's locks are seen through the merged mount only.
fn at_work(seen: Option<&Seen>) -> Result<Option<i32>> {
    seen.map_or(Ok(None), |seen| locks::dpkg_at_work(&seen.path()))
}
