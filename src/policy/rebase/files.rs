//! Every path of the upper: by whose it is, and by what became of it on both sides.

use crate::dpkg::filters::Filters;
use crate::model::error::{Error, Result};
use crate::model::tree::{self, Object, Triple};
use crate::policy::check::class::Class;
use crate::policy::check::config::conffiles::{self, Outcome};
use crate::policy::check::decided::Answer;
use crate::policy::check::finding::readable;
use crate::policy::check::merge::is_below_usr;
use crate::policy::check::owners::Owned;
use crate::policy::check::territory::{self, Territory};
use crate::policy::check::{Hidden, Look, canonical, files};
use crate::policy::compare::{Change, change_by};

use super::draft::{Attributes, Decision, Draft};

pub fn decide(look: &Look, draft: &mut Draft) -> Result<()> {
    let filters = files::filters(look)?;
    for (place, triple) in look.trees.triples.iter().enumerate() {
        if triple.mine.as_ref().is_some_and(|mine| mine.is_directory()) {
            directory(look, &filters, draft, triple);
        } else {
            not_a_directory(look, &filters, draft, place, triple)?;
        }
    }
    configuration(look, draft)
}

fn not_a_directory(
    look: &Look,
    filters: &Filters,
    draft: &mut Draft,
    place: usize,
    triple: &Triple,
) -> Result<()> {
    let path = &triple.path[..];
    match territory::of(path) {
        Territory::Hidden => draft.decide(path, Decision::Drop),
        // Their own rules say more; this is what they begin with.
        Territory::Database | Territory::Accounts | Territory::Alternatives | Territory::Units => {
            draft.decide(path, three_way(triple));
        }
        Territory::Answers => draft.decide(path, three_way(triple)),
        Territory::Cache => draft.decide(path, cache(triple)),
        Territory::Identity | Territory::Running => draft.decide(path, unless_it_hides_nothing(triple)),
        Territory::Files => of_files(look, filters, draft, place, triple)?,
    }
    Ok(())
}

fn change(triple: &Triple) -> Change {
    let (old, mine, new) = (triple.old.as_deref(), triple.mine.as_deref(), triple.new.as_deref());
    change_by(old, mine, new, Object::same_content)
}

/// Changed on one side only, that side's; on both, the person's.
fn three_way(triple: &Triple) -> Decision {
    match change(triple) {
        Change::Mine | Change::Conflict => unless_it_hides_nothing(triple),
        Change::Neither if !same_as_old(triple) => changed_attributes(triple).unwrap_or(Decision::Drop),
        Change::Neither | Change::Theirs | Change::Agreed => Decision::Drop,
    }
}

fn same_as_old(triple: &Triple) -> bool {
    matches!((&triple.old, &triple.mine), (Some(old), Some(mine)) if mine.same(old))
}

/// Made from what packages bring: from another base's packages it is another one.
fn cache(triple: &Triple) -> Decision {
    match change(triple) {
        Change::Mine => unless_it_hides_nothing(triple),
        _ => Decision::Drop,
    }
}

fn unless_it_hides_nothing(triple: &Triple) -> Decision {
    let hides_nothing = triple.is_whiteout() && triple.new.is_none();
    if hides_nothing { Decision::Drop } else { Decision::Keep }
}

fn of_files(look: &Look, filters: &Filters, draft: &mut Draft, place: usize, triple: &Triple) -> Result<()> {
    let path = &triple.path[..];
    let Some(mine) = triple.mine.as_deref() else {
        whiteout(look, filters, draft, place, triple);
        return Ok(());
    };
    if look.owned(place) == Owned::Kept {
        draft.decide(path, Decision::Keep);
        return Ok(());
    }
    let follows = matches!(look.owned(place), Owned::Superseded | Owned::Removed);
    let is_copy = triple.old.as_ref().is_some_and(|old| mine.same_content(old));
    if follows {
        draft.decide(path, Decision::Drop);
    } else if is_copy {
        draft.decide(path, changed_attributes(triple).unwrap_or(Decision::Drop));
    } else if triple.new.as_ref().is_some_and(|new| new.is_directory()) {
        draft.decide(path, Decision::Keep); // what the check refuses has not come here: nobody's directory
    } else if look.trees.decided.of_path(path) == Some(Answer::Merge) && !look.conffiles.contains(path) {
        merge(look, draft, path, path)?;
    } else if look.stays(place) {
        keep(look, draft, triple);
    } else {
        let agreed = triple.new.as_ref().is_some_and(|new| mine.same_content(new));
        // Of configuration the rules below say what becomes of it: it stays, or is moved aside.
        if !agreed && !look.conffiles.contains(path) {
            draft.save(path);
        }
        let owner = changed_owner(triple).filter(|_| has_a_record(look, path));
        draft.decide(path, owner.unwrap_or(Decision::Drop));
    }
    Ok(())
}

/// The changes of both in one text. `shipped` is where the bases have it.
fn merge(look: &Look, draft: &mut Draft, path: &[u8], shipped: &[u8]) -> Result<()> {
    let Some(text) = look.merged_text(path, shipped)? else {
        let what = format!("/{}=merge", readable(path));
        return Err(Error::NotDecidable { what, why: "it does not merge without a conflict".into() });
    };
    draft.save(path);
    draft.kept.insert(path.to_vec());
    draft.decide(path, Decision::Write(text, None));
    Ok(())
}

fn keep(look: &Look, draft: &mut Draft, triple: &Triple) {
    let path = &triple.path[..];
    draft.decide(path, Decision::Keep);
    // F15: the candidate has one for the first time, and it is none of the system's own places.
    let shipped_now = triple.old.is_none() && triple.new.as_ref().is_some_and(|new| new.is_file());
    if shipped_now && !is_below_usr(path) && !look.conffiles.contains(path) {
        draft.decide(&beside(path, b".dpkg-dist"), Decision::CopyOf(path.to_vec()));
    }
}

pub fn beside(path: &[u8], ending: &[u8]) -> Vec<u8> {
    [path, ending].concat()
}

/// F2, F11: None where nothing but the base's own is left of it.
fn changed_attributes(triple: &Triple) -> Option<Decision> {
    let (old, mine) = (triple.old.as_deref()?, triple.mine.as_deref()?);
    let new = triple.new.as_deref().filter(|new| new.kind == mine.kind)?;
    if mine.same_metadata(old) || mine.same_metadata(new) && new.same_content(mine) {
        return None;
    }
    if new.same(old) {
        return Some(Decision::Keep);
    }
    Some(Decision::Changed(Attributes::three_way(old, mine, new)))
}

/// Of a file that goes, where dpkg-statoverride has a record of it.
fn changed_owner(triple: &Triple) -> Option<Decision> {
    let (mine, new) = (triple.mine.as_deref()?, triple.new.as_deref()?);
    let old = triple.old.as_deref().unwrap_or(new);
    Some(Decision::Changed(Attributes::three_way(old, mine, new)))
}

/// Of dpkg-statoverride.
fn has_a_record(look: &Look, path: &[u8]) -> bool {
    look.mine.statoverride.iter().any(|record| canonical(record.path) == path)
}

/// A whiteout: of a file it stays or goes; of a directory what is in it is decided one by one.
fn whiteout(look: &Look, filters: &Filters, draft: &mut Draft, place: usize, triple: &Triple) {
    let path = &triple.path[..];
    let Some(new) = triple.new.as_deref() else { return draft.decide(path, Decision::Drop) };
    if new.is_directory() {
        let below: Vec<(&Hidden, usize)> = look.hidden_below(path).collect();
        hide_again(look, filters, draft, (path, place), &below, true);
        return;
    }
    let back = look.comes_back(place, triple.old.as_deref(), Some(new)).is_some();
    let back = back && !is_excluded(filters, path) && !look.conffiles.contains(path);
    draft.decide(path, if back { Decision::Drop } else { Decision::Keep });
}

fn is_excluded(filters: &Filters, path: &[u8]) -> bool {
    filters.exclude(&[b"/", path].concat())
}

/// What a whiteout or an opaque directory hid, name by name: the directory itself where all of it stays hidden.
fn hide_again(
    look: &Look,
    filters: &Filters,
    draft: &mut Draft,
    (path, place): (&[u8], usize),
    below: &[(&Hidden, usize)],
    is_whiteout: bool,
) {
    let hides = |hidden: &Hidden, at: usize| {
        let back = look.comes_back(at, hidden.old.as_ref(), hidden.new.as_ref()).is_some();
        let stays_deleted = look.conffiles.contains(&hidden.path)
            && look.trees.decided.of_path(&hidden.path) != Some(Answer::New);
        let is_brought = look.conffiles.contains(&hidden.path) && !stays_deleted;
        (!back && !is_brought) || is_excluded(filters, &hidden.path) || stays_deleted
    };
    let there: Vec<(&[u8], bool, bool)> = below
        .iter()
        .filter_map(|(hidden, at)| {
            let new = hidden.new.as_ref()?;
            Some((&hidden.path[..], new.is_directory(), hides(hidden, *at)))
        })
        .collect();
    if is_whiteout {
        let all_hidden = there.iter().all(|(_, directory, hides)| *directory || *hides);
        let triple = &look.trees.triples[place];
        let nothing_new = look.comes_back(place, triple.old.as_deref(), triple.new.as_deref()).is_none();
        if all_hidden && (nothing_new || !there.is_empty()) {
            return draft.decide(path, Decision::Keep);
        }
        draft.decide(path, Decision::Drop);
    }
    let mut covered: Option<&[u8]> = None;
    for (at, (path, directory, hides)) in there.iter().enumerate() {
        if covered.is_some_and(|dir| tree::is_below(path, dir)) {
            continue;
        }
        let whole = *directory
            && there[at + 1..]
                .iter()
                .take_while(|(other, ..)| tree::is_below(other, path))
                .all(|(_, directory, hides)| *directory || *hides);
        let own = *directory && look.triple(path).is_some();
        if *hides && (!*directory || (whole && !own)) {
            draft.decide(path, Decision::Hide);
            covered = Some(path);
        }
    }
}

fn directory(look: &Look, filters: &Filters, draft: &mut Draft, triple: &Triple) {
    let path = &triple.path[..];
    let mine = triple.mine.as_deref().expect("a directory is there");
    let is_dir = |object: &Option<Box<Object>>| object.as_ref().is_some_and(|o| o.is_directory());
    let (was, is) = (is_dir(&triple.old), is_dir(&triple.new));
    if triple.opaque && is {
        let below: Vec<(&Hidden, usize)> = look.hidden_below(path).collect();
        let place = look.place(path).unwrap_or_default();
        hide_again(look, filters, draft, (path, place), &below, false);
    }
    let takes_new = look.trees.decided.says(Class::F11, path, Answer::New);
    let unchanged =
        takes_new || triple.old.as_ref().is_none_or(|old| !old.is_directory() || mine.same_metadata(old));
    let takes = is && unchanged && triple.new.as_ref().is_some_and(|new| !mine.same_metadata(new));
    let as_new =
        takes || triple.new.as_ref().is_some_and(|new| new.is_directory() && mine.same_metadata(new));
    // A shell of the base's own goes; a directory of the person's stays, also when it is empty.
    let goes_if_empty = match is {
        true => as_new,
        false => {
            let changed = triple.new.is_some() && triple.old != triple.new;
            (was && !is_kept(look, path)) || changed || of_a_package_that_goes(look, path)
        }
    };
    draft.decide(path, Decision::Directory { takes, opens: triple.opaque && is, goes_if_empty });
}

fn is_kept(look: &Look, path: &[u8]) -> bool {
    look.place(path).is_some_and(|at| look.owned(at) == Owned::Kept)
}

fn of_a_package_that_goes(look: &Look, path: &[u8]) -> bool {
    look.place(path).is_some_and(|at| matches!(look.owned(at), Owned::Superseded | Owned::Removed))
}

/// Conffiles, by dpkg's table.
fn configuration(look: &Look, draft: &mut Draft) -> Result<()> {
    for (path, outcome) in conffiles::outcomes(look)? {
        let (at, shipped) = (&outcome.at[..], &path[..]);
        let is_hidden = look.triple(at).is_none();
        match outcome.is {
            Outcome::Kept => {
                if !is_hidden {
                    draft.decide(at, Decision::Keep);
                }
                draft.kept.insert(at.to_vec());
            }
            Outcome::Goes => draft.decide(at, Decision::Drop),
            Outcome::Content => {
                let changed = look.triple(at).and_then(changed_attributes);
                draft.decide(at, changed.unwrap_or(Decision::Drop));
            }
            Outcome::KeptBeside => {
                if !is_hidden {
                    draft.decide(at, Decision::Keep);
                }
                draft.kept.insert(at.to_vec());
                draft.decide(&beside(at, b".dpkg-dist"), Decision::CopyOf(shipped.to_vec()));
            }
            Outcome::MovedAside => {
                draft.decide(at, Decision::Moved);
                draft.save(at);
                draft.decide(&beside(at, b".dpkg-old"), Decision::MovedFrom(at.to_vec()));
            }
            Outcome::Taken => taken(look, draft, at),
            Outcome::Merged => merge(look, draft, at, shipped)?,
        }
    }
    for (path, is) in crate::policy::check::config::ucf::outcomes(look)? {
        match is {
            Outcome::Goes => draft.decide(&path, Decision::Drop),
            Outcome::KeptBeside => {
                if look.triple(&path).is_some() {
                    draft.decide(&path, Decision::Keep);
                }
                draft.decide(&beside(&path, b".ucf-dist"), Decision::CopyOf(path.clone()));
            }
            Outcome::Taken => taken(look, draft, &path),
            Outcome::Merged => merge(look, draft, &path, &path)?,
            _ if look.triple(&path).is_some() => draft.decide(&path, Decision::Keep),
            _ => {}
        }
    }
    Ok(())
}

/// The candidate shows through; what the person had there is saved.
fn taken(look: &Look, draft: &mut Draft, path: &[u8]) {
    if look.triple(path).is_some_and(|triple| triple.mine.is_some()) {
        draft.save(path);
    }
    if look.triple(path).is_some() {
        draft.decide(path, Decision::Drop);
    }
}
