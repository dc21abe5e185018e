//! Which points retention let go, from the pool's own entries of kind prune: an entry outlives its
//! point, and whoever wants that state is told when it went.

use std::collections::BTreeMap;

use crate::model::error::{Error, Result};
use crate::model::{Entry, EntryNumber, Kind, ProfileId};

use super::report;
use super::session::Session;

/// Points of one profile, with the prune entry that names them. Written before the deletion: one whose
/// point is there after all was cut, and the point counts.
pub type Pruned = BTreeMap<EntryNumber, Entry>;

pub fn points(session: &Session, id: &ProfileId) -> Result<Pruned> {
    let mut pruned = Pruned::new();
    for entry in session.journal.entries(None)?.entries {
        if entry.kind == Kind::Prune {
            pruned.extend(entry.pruned_points(id).into_iter().map(|point| (point, entry.clone())));
        }
    }
    Ok(pruned)
}

/// A point that is missing because it was pruned is named so.
pub fn name(session: &Session, id: &ProfileId, error: Error) -> Error {
    let Error::PointMissing { number } = error else { return error };
    match points(session, id).ok().and_then(|mut pruned| pruned.remove(&number)) {
        Some(by) => Error::PointPruned { number, by: by.number, when: report::when(&by.started) },
        None => error,
    }
}
