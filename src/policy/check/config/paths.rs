//! Which paths the rules of configuration are about, and which are files like all others although some
//! side has them as configuration.

use std::collections::HashSet;

use crate::dpkg::ucf;
use crate::model::error::Result;
use crate::model::tree::{Object, Triple};
use crate::policy::check::owners::Owners;
use crate::policy::check::side::Side;
use crate::policy::check::{Hidden, Sides, canonical};

pub const HASHES: &[u8] = b"var/lib/ucf/hashfile";
pub const REGISTRY: &[u8] = b"var/lib/ucf/registry";

/// Relative to the root. In are the conffiles of any side, and what ucf has on record. Out are those that
/// went the ways of plain files: what the candidate ships as a plain file now (an upgrade replaces it
/// unasked), what was deleted before it was configuration (an upgrade brings it back), copies of what was
/// not configuration, and directories.
pub fn ruled(
    sides: [&Side; 3],
    triples: &[Triple],
    hidden: &[Hidden],
    owners: &Sides<Owners>,
) -> Result<HashSet<Vec<u8>>> {
    let [old, mine, new] = [listed(sides[0])?, listed(sides[1])?, listed(sides[2])?];
    let mut ruled: HashSet<Vec<u8>> = old.into_iter().chain(mine.clone()).chain(new.clone()).collect();
    let shipped = |place| owners.new.of(place).next().is_some();
    let is_plain_now = |path: &[u8], place| !new.contains(path) && shipped(place);
    for (place, triple) in triples.iter().enumerate() {
        let path = &triple.path[..];
        if !ruled.contains(path) {
            continue;
        }
        let is_directory = |object: &Option<Box<Object>>| object.as_ref().is_some_and(|o| o.is_directory());
        let copied = |mine: &Object| triple.old.as_ref().is_some_and(|old| old.same_content(mine));
        let was = mine.contains(path);
        let is_a_file_like_others = match &triple.mine {
            None => !was || (triple.new.is_some() && is_plain_now(path, place)),
            Some(_) if is_directory(&triple.mine) || is_directory(&triple.new) => true,
            Some(object) => (triple.new.is_some() && is_plain_now(path, place)) || (!was && copied(object)),
        };
        if is_a_file_like_others {
            ruled.remove(path);
        }
    }
    for (at, hidden) in hidden.iter().enumerate() {
        if !mine.contains(&hidden.path) || is_plain_now(&hidden.path, triples.len() + at) {
            ruled.remove(&hidden.path);
        }
    }
    Ok(ruled)
}

/// What one side has as configuration: by its packages, and by ucf.
fn listed(side: &Side) -> Result<HashSet<Vec<u8>>> {
    let mut found = HashSet::new();
    for package in &side.status.packages {
        let conffiles = package
            .conffiles()
            .map_err(|error| side.damaged(super::super::side::STATUS.as_bytes(), error))?;
        found.extend(conffiles.iter().map(|conffile| canonical(conffile.path)));
    }
    let hashes = side.tree.text(HASHES)?.unwrap_or_default();
    let hashes = ucf::hashes(&hashes).map_err(|error| side.damaged(HASHES, error))?;
    found.extend(hashes.iter().map(|hash| hash.path[1..].to_vec()));
    Ok(found)
}
