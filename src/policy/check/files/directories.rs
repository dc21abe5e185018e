//! Directories: hidden by accident or made anew (F7, F8), where the other side has something else (F9,
//! F14), left alone (F10), and their attributes (F11).

use crate::model::tree::{self, Object, Triple};
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::fates::Fate;
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::owners::Owned;
use crate::policy::check::{Hidden, Look};

use super::candidate_owns;

/// On a merged system these are links into /usr (Debian policy 9.1; UsrMerge).
const LINKS_INTO_USR: [&[u8]; 7] = [b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32", b"libo32"];

pub fn find(look: &Look, place: usize, mine: &Object, found: &mut Vec<Finding>) {
    let triple = &look.trees.triples[place];
    match triple.new.as_deref() {
        Some(new) if !new.is_directory() => {
            found.extend(where_the_candidate_has_none(look, place, new));
            return;
        }
        Some(new) => found.extend(attributes(triple, mine, new)),
        None => found.extend(left_alone(look, place)),
    }
    if triple.opaque {
        found.extend(hiding(look, triple));
    }
}

/// F9, F14: the profile has a directory, the candidate something else.
fn where_the_candidate_has_none(look: &Look, place: usize, new: &Object) -> Option<Finding> {
    let triple = &look.trees.triples[place];
    if new.is_link() && LINKS_INTO_USR.contains(&&triple.path[..]) {
        let rebase = "is refused: move what is in it below /usr, and make it a link again";
        let target = readable(new.target.as_deref().unwrap_or_default());
        return Some(
            Finding::path(Class::F14, Severity::Blocker, &triple.path, rebase)
                .seen("candidate has", format!("a link to {target}")),
        );
    }
    if is_of_an_older_package(look, place) {
        return None;
    }
    if triple.old.as_deref().is_some_and(|old| old.same(new)) {
        let keeps = "keeps yours, the candidate has what the base has";
        return Some(Finding::path(Class::F9, Severity::Harmless, &triple.path, keeps));
    }
    if !has_own_content(look, place) {
        return None; // only copies and what goes with its package: nothing is left of the directory
    }
    Some(another_kind(look, place, triple, new))
}

/// F9, the other way round: a file or link of the profile where the candidate has a directory.
pub fn in_its_place(look: &Look, place: usize, mine: &Object, owned: Owned) -> Option<Finding> {
    let triple = &look.trees.triples[place];
    if owned == Owned::Superseded || owned == Owned::Removed || is_of_an_older_package(look, place) {
        return None;
    }
    let old_is_directory = triple.old.as_ref().is_some_and(|old| old.is_directory());
    let stale = triple.old.as_ref().is_some_and(|old| old.same(mine));
    if stale {
        return Some(Finding::path(Class::F1, Severity::Automatic, &triple.path, "drops the copy"));
    }
    let mut below = look.hidden_below(&triple.path);
    if old_is_directory && below.all(|(hidden, _)| is_alike(hidden)) {
        let keeps = "keeps yours, the candidate has what the base has";
        return Some(Finding::path(Class::F9, Severity::Harmless, &triple.path, keeps));
    }
    let hides = look
        .hidden_below(&triple.path)
        .any(|(hidden, _)| hidden.new.as_ref().is_some_and(|o| !o.is_directory()));
    if !hides && old_is_directory {
        let keeps = "keeps yours, the candidate's directory is empty";
        return Some(Finding::path(Class::F9, Severity::Harmless, &triple.path, keeps));
    }
    triple.new.as_deref().map(|new| another_kind(look, place, triple, new))
}

fn is_alike(hidden: &Hidden) -> bool {
    match (&hidden.old, &hidden.new) {
        (Some(old), Some(new)) => old.same(new),
        (old, new) => old.is_none() && new.is_none(),
    }
}

fn another_kind(look: &Look, place: usize, triple: &Triple, new: &Object) -> Finding {
    let packaged = candidate_owns(look, place);
    let (severity, rebase) = match packaged {
        true => (Severity::Blocker, "is refused: the candidate's packages need it as they have it"),
        false => (Severity::Decision, "keeps yours, and saves what the candidate has there"),
    };
    let path = readable(&triple.path);
    Finding::path(Class::F9, severity, &triple.path, rebase)
        .seen("profile has", triple.mine.as_ref().map_or("nothing", |mine| mine.kind.name()))
        .seen("candidate has", new.kind.name())
        .choice(format!("move yours away first: mv /{path} /{path}.local"))
}

/// Is all that the candidate has at and below a path of packages that the profile has newer, or removed? It
/// stays away then, and nobody misses it.
fn is_of_an_older_package(look: &Look, place: usize) -> bool {
    let away = [Fate::Override, Fate::Removed, Fate::RemovedWithSettings];
    let overridden = |place: usize| {
        let mut owners = look.owners.new.of(place).peekable();
        owners.peek().is_some() && owners.all(|stem| look.fate(stem).is_some_and(|fate| away.contains(&fate)))
    };
    let is_file = |hidden: &Hidden| hidden.new.as_ref().is_some_and(|new| !new.is_directory());
    let mut files = look.hidden_below(&look.trees.triples[place].path).filter(|(hidden, _)| is_file(hidden));
    overridden(place) && files.all(|(_, at)| overridden(at))
}

/// Is there anything in a directory of the upper that would be missed?
fn has_own_content(look: &Look, place: usize) -> bool {
    let dir = &look.trees.triples[place].path;
    let below = look.trees.triples.iter().enumerate().skip(place + 1);
    below.take_while(|(_, triple)| tree::is_below(&triple.path, dir)).any(|(at, triple)| {
        let Some(mine) = triple.mine.as_ref().filter(|mine| !mine.is_directory()) else { return false };
        let copied = triple.old.as_ref().is_some_and(|old| mine.same_content(old));
        match look.owned(at) {
            Owned::Superseded | Owned::Removed => false,
            Owned::Kept => true,
            Owned::Base | Owned::Nobody => !copied,
        }
    })
}

/// F7, F8: an opaque directory. That alone says nothing: dpkg makes every new directory by a rename, and
/// then it is opaque. What the base had there tells them apart.
fn hiding(look: &Look, triple: &Triple) -> Option<Finding> {
    let file = |object: &Option<Object>| object.as_ref().is_some_and(|object| !object.is_directory());
    let hidden: Vec<_> = look.hidden_below(&triple.path).map(|(hidden, _)| hidden).collect();
    let in_the_base = hidden.iter().filter(|hidden| file(&hidden.old)).count();
    let theirs: Vec<_> = hidden.iter().filter(|hidden| file(&hidden.new)).collect();
    let old_has_it = triple.old.as_ref().is_some_and(|old| old.is_directory());
    let changed =
        |hidden: &&&Hidden| !matches!((&hidden.old, &hidden.new), (Some(old), Some(new)) if old.same(new));
    let example = theirs.iter().find(|hidden| changed(hidden));
    let finding = match (old_has_it, example.is_some()) {
        (false, false) => return None,
        (true, false) if in_the_base == 0 => return None,
        (false, true) => {
            let shows = "shows the candidate's files beside yours";
            Finding::path(Class::F7, Severity::Automatic, &triple.path, shows)
        }
        (true, true) => {
            let shows =
                "shows what is new in the candidate, and brings back what an upgrade of its package would";
            let keeps = "keeps it as you made it, and deletes the candidate's files in it by name";
            Finding::path(Class::F8, Severity::Decision, &triple.path, shows)
                .decides(Answer::New, &[(Answer::Keep, keeps)])
        }
        (true, false) => {
            let keeps = "keeps it as you made it, the candidate has what the base has";
            Finding::path(Class::F8, Severity::Harmless, &triple.path, keeps)
        }
    };
    let finding = finding
        .seen("files of the base deleted with it", in_the_base.to_string())
        .seen("files of the candidate it hides", theirs.len().to_string());
    Some(match example {
        Some(hidden) => finding.seen("among them", format!("/{}", readable(&hidden.path))),
        None => finding,
    })
}

/// F10: the candidate has no such directory any more, and something of the profile's is in it.
fn left_alone(look: &Look, place: usize) -> Option<Finding> {
    let triple = &look.trees.triples[place];
    let parent_is_gone = look.triple(tree::parent(&triple.path)).is_some_and(|parent| parent.new.is_none());
    let was_there = triple.old.as_ref().is_some_and(|old| old.is_directory());
    if !was_there || parent_is_gone || !has_own_content(look, place) {
        return None;
    }
    let keeps = "keeps the directory with what is yours in it";
    Some(Finding::path(Class::F10, Severity::Harmless, &triple.path, keeps))
}

/// F11: a merged directory shows the upper's mode and owner, whatever the candidate has.
fn attributes(triple: &Triple, mine: &Object, new: &Object) -> Option<Finding> {
    if mine.same_metadata(new) {
        return None;
    }
    let finding = match triple.old.as_deref().filter(|old| old.is_directory()) {
        Some(old) if mine.same_metadata(old) => Finding::path(
            Class::F11,
            Severity::Automatic,
            &triple.path,
            "takes the candidate's mode, owner and attributes",
        ),
        Some(old) if old.same_metadata(new) => return None, // changed here only: it stays
        Some(_) => Finding::path(
            Class::F11,
            Severity::Decision,
            &triple.path,
            "keeps yours, the candidate changed them too",
        )
        .decides(Answer::Keep, &[(Answer::New, "takes the candidate's mode, owner and attributes")]),
        None => Finding::path(
            Class::F11,
            Severity::Automatic,
            &triple.path,
            "takes the candidate's mode, owner and attributes",
        ),
    };
    let text = |object: &Object| format!("{:04o} {}:{}", object.mode, object.uid, object.gid);
    Some(finding.seen("profile has", text(mine)).seen("candidate has", text(new)))
}
