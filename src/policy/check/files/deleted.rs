//! What was deleted in the profile (F5, F6).

use crate::dpkg::filters::Filters;
use crate::model::tree::{Object, Triple};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::owners::Owned;

use super::candidate_owns;

/// F6
pub fn hides_nothing(triple: &Triple) -> Finding {
    let drops = "drops the whiteout, it would hide what a later base has there";
    Finding::path(Class::F6, Severity::Harmless, &triple.path, drops)
}

pub fn whiteout(look: &Look, filters: &Filters, place: usize, owned: Owned) -> Option<Finding> {
    let triple = &look.trees.triples[place];
    match triple.old.as_deref().or(triple.new.as_deref()) {
        Some(object) if object.is_directory() => directory(look, filters, place),
        _ => {
            let deleted =
                matches!(owned, Owned::Base) || (owned == Owned::Superseded && candidate_owns(look, place));
            deleted.then(|| file(filters, triple))
        }
    }
}

fn file(filters: &Filters, triple: &Triple) -> Finding {
    let absolute = [b"/", &triple.path[..]].concat();
    if filters.exclude(&absolute) {
        let keeps = "keeps it away, as path-exclude in /etc/dpkg/dpkg.cfg.d says";
        return Finding::path(Class::F5, Severity::Harmless, &triple.path, keeps);
    }
    match unchanged(triple.old.as_deref(), triple.new.as_deref()) {
        true => {
            let keeps = "keeps it deleted, the candidate has what the base has";
            Finding::path(Class::F5, Severity::Harmless, &triple.path, keeps)
        }
        false => comes_back(&triple.path),
    }
}

fn comes_back(path: &[u8]) -> Finding {
    let rule = format!("path-exclude=/{}", readable(path));
    Finding::path(Class::F5, Severity::Decision, path, "brings it back, as an upgrade of its package would")
        .decides(Answer::New, &[(Answer::Keep, "keeps it deleted, until an upgrade of its package")])
        .choice(format!("keep it away for good: echo {rule} > /etc/dpkg/dpkg.cfg.d/local"))
}

fn unchanged(old: Option<&Object>, new: Option<&Object>) -> bool {
    matches!((old, new), (Some(old), Some(new)) if old.same(new))
}

/// A directory that was deleted whole: what is in it is a deletion only where its package is still there.
fn directory(look: &Look, filters: &Filters, place: usize) -> Option<Finding> {
    let triple = &look.trees.triples[place];
    let (mut back, mut same) = (0, 0);
    for (hidden, at) in look.hidden_below(&triple.path) {
        let is_deleted = matches!(look.owned(at), Owned::Base) && !look.conffiles.contains(&hidden.path);
        let file = |object: &Option<Object>| object.as_ref().is_some_and(|object| !object.is_directory());
        if is_deleted && file(&hidden.new) && !filters.exclude(&[b"/", &hidden.path[..]].concat()) {
            match unchanged(hidden.old.as_ref(), hidden.new.as_ref()) {
                true => same += 1,
                false => back += 1,
            }
        }
    }
    let finding = match (back, same) {
        (0, 0) => return None,
        (0, _) => {
            let keeps = "keeps it deleted, the candidate has what the base has";
            Finding::path(Class::F5, Severity::Harmless, &triple.path, keeps)
        }
        _ => comes_back(&[&triple.path[..], b"/*"].concat()),
    };
    Some(finding.seen("files of packages in it", (back + same).to_string()))
}
