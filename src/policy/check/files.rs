//! Files (classes F): what the upper has in the place of what the bases have.

use crate::model::error::Result;
use crate::model::tree::Triple;

use super::Look;
use super::class::Class;
use super::finding::{Finding, Severity};
use super::owners::Owned;
use super::territory::{self, Territory};

/// Each path by the first rule that is about it. What another territory rules, and what goes or stays with
/// a package of the profile's own, is nothing of ours.
pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    for (place, triple) in look.trees.triples.iter().enumerate() {
        if territory::of(&triple.path) != Territory::Files || look.conffiles.contains(&triple.path) {
            continue;
        }
        match look.owned(place) {
            Owned::Kept | Owned::Superseded | Owned::Removed => {}
            Owned::Base | Owned::Nobody => found.extend(copy_up(triple)),
        }
    }
    Ok(())
}

/// F1, F2: a copy of what the old base has, which hides whatever the candidate has in its place.
fn copy_up(triple: &Triple) -> Option<Finding> {
    let (mine, old) = (triple.mine.as_ref()?, triple.old.as_ref()?);
    if mine.is_directory() || !mine.same_content(old) {
        return None;
    }
    if mine.same_metadata(old) {
        return Some(Finding::path(Class::F1, Severity::Automatic, &triple.path, "drops the copy"));
    }
    let takes = "takes the candidate's content with the mode, owner and attributes changed here";
    Some(Finding::path(Class::F2, Severity::Automatic, &triple.path, takes))
}
