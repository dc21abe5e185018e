//! Directories of fragments (C13), `/etc/profile.d` and its like: the candidate's new fragments come to stand
//! beside the person's own, and nobody can tell by their names whether they say the same thing twice.

use crate::model::error::Result;
use crate::model::tree::{self, Object, Triple};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::owners::Owned;

/// Ends with `.d`, but what is in it is not read one after the other.
const OTHERS: [&[u8]; 1] = [b"etc/init.d"];
/// How many names a finding shows.
const SHOWN: usize = 5;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    for (place, triple) in look.trees.triples.iter().enumerate() {
        let is_directory = |object: Option<&Object>| object.is_some_and(|object| object.is_directory());
        let both = is_directory(triple.mine.as_deref()) && is_directory(triple.new.as_deref());
        if is_place_of_fragments(&triple.path) && both {
            found.extend(of(look, place, triple)?);
        }
    }
    Ok(())
}

/// `etc/apt/apt.conf.d`; not `etc/rc2.d`, whose links follow from the scripts.
fn is_place_of_fragments(path: &[u8]) -> bool {
    let runlevel = |name: &[u8]| name.len() == 5 && name.starts_with(b"rc");
    path.starts_with(b"etc/")
        && path.ends_with(b".d")
        && !OTHERS.contains(&path)
        && !runlevel(tree::name(path))
}

fn of(look: &Look, place: usize, dir: &Triple) -> Result<Option<Finding>> {
    let triples = look.trees.triples.iter().enumerate().skip(place + 1);
    let inside = triples.take_while(|(_, triple)| tree::is_below(&triple.path, &dir.path));
    let own = |(at, triple): &(usize, &Triple)| {
        let is_file = triple.mine.as_ref().is_some_and(|mine| !mine.is_directory());
        is_file && triple.old.is_none() && triple.new.is_none() && look.owned(*at) == Owned::Nobody
    };
    let own: Vec<String> = inside.filter(own).map(|(_, t)| readable(tree::name(&t.path))).collect();
    if own.is_empty() {
        return Ok(None);
    }
    let mut fresh = Vec::new();
    look.trees.new.below(&dir.path, &mut |path, object| {
        if !object.is_directory() && tree::parent(path) == dir.path {
            fresh.push(path.to_vec());
        }
    })?;
    let mut new = Vec::new();
    for path in fresh {
        if look.trees.old.find(&path)?.is_none() && look.triple(&path).is_none() {
            new.push(readable(tree::name(&path)));
        }
    }
    let shown = |names: &[String]| names[..names.len().min(SHOWN)].join(", ");
    let keeps = "keeps yours; the candidate's come beside them";
    Ok((!new.is_empty()).then(|| {
        Finding::path(Class::C13, Severity::Harmless, &dir.path, keeps)
            .seen("yours", shown(&own))
            .seen("new in the candidate", shown(&new))
    }))
}
