//! Diversions (G1): the profile's and the candidate's together, and what lies at their names.

use std::collections::BTreeSet;

use crate::dpkg::diversions::Diversion;
use crate::model::error::Result;
use crate::model::tree::Object;
use crate::policy::check::class::Class;
use crate::policy::check::fates::Fate;
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::owners::Owned;
use crate::policy::check::side::{DIVERSIONS, Side};
use crate::policy::check::{Look, canonical};

type Records<'a> = BTreeSet<Diversion<'a>>;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let (old, mine, new) = (records(look.old), records(look.mine), records(look.new));
    let added: Records = mine.iter().filter(|d| !old.contains(d) && stays(look, d)).copied().collect();
    let theirs: Records = new.difference(&old).filter(|d| !mine.contains(d)).copied().collect();
    let is_in_the_upper = look.triple(DIVERSIONS.as_bytes()).is_some();
    for diversion in &theirs {
        if let Some(clash) = added.iter().find(|own| !new.contains(own) && shares_a_path(own, diversion)) {
            found.push(clashing(clash, diversion));
            continue;
        }
        let moved = kept_at(look, diversion)?;
        if is_in_the_upper || moved {
            let adopts = "adopts the candidate's diversion";
            let finding = finding(Severity::Automatic, diversion, adopts);
            found.push(match moved {
                true => finding.seen("a package of the profile has a file there", "goes to the new name"),
                false => finding,
            });
        }
    }
    let goes = old.difference(&new).filter(|d| mine.contains(d) && is_in_the_upper);
    found
        .extend(goes.map(|d| finding(Severity::Automatic, d, "takes it away, the candidate has it no more")));
    for own in added.iter().filter(|own| !theirs.iter().any(|other| shares_a_path(own, other))) {
        found.extend(outdated(look, own)?);
    }
    Ok(())
}

/// The records after the merge.
pub struct Merged<'a> {
    /// All of them.
    pub records: Vec<Diversion<'a>>,
    /// The candidate's that the profile did not have.
    pub adopted: Vec<Diversion<'a>>,
    /// The profile's own.
    pub own: Vec<Diversion<'a>>,
}

/// What clashes, the check refuses.
pub fn merged<'a>(look: &'a Look<'a>) -> Result<Merged<'a>> {
    let (old, mine, new) = (records(look.old), records(look.mine), records(look.new));
    let own: Vec<Diversion> =
        look.mine.diversions.iter().filter(|d| !old.contains(*d) && stays(look, d)).copied().collect();
    let adopted = look.new.diversions.iter().filter(|d| !old.contains(*d) && !mine.contains(*d));
    let adopted: Vec<Diversion> = adopted.copied().collect();
    // The person took it away.
    let removed = |d: &&Diversion| old.contains(*d) && !mine.contains(*d);
    let theirs = look.new.diversions.iter().filter(|d| !removed(d)).copied();
    let mine_only = own.iter().filter(|d| !new.contains(*d)).copied();
    Ok(Merged { records: theirs.chain(mine_only).collect(), adopted, own })
}

fn records<'a>(side: &Side<'a>) -> Records<'a> {
    side.diversions.iter().copied().collect()
}

/// What a package diverts that the candidate has too goes by the candidate.
fn stays(look: &Look, diversion: &Diversion) -> bool {
    let Some(by) = diversion.by else { return true };
    let row = look.rows.iter().find(|row| row.name.as_bytes() == by && row.mine.is_some());
    row.is_none_or(|row| !matches!(row.fate, Fate::Superseded | Fate::Dropped | Fate::Gone))
}

/// dpkg takes a path for one diversion only (see [`crate::dpkg::diversions::parse`]).
fn shares_a_path(a: &Diversion, b: &Diversion) -> bool {
    let paths = |d: &Diversion| [canonical(d.from), canonical(d.to)];
    let of_b = paths(b);
    paths(a).iter().any(|path| of_b.contains(path))
}

/// `/usr/bin/factor to /usr/bin/factor.real, by coreutils`
fn shown(diversion: &Diversion) -> String {
    let by = diversion.by.map_or("hand".to_owned(), readable);
    format!("{} to {}, by {by}", readable(diversion.from), readable(diversion.to))
}

fn finding(severity: Severity, diversion: &Diversion, rebase: &str) -> Finding {
    Finding::path(Class::G1, severity, &canonical(diversion.from), rebase).seen("diverted", shown(diversion))
}

fn clashing(own: &Diversion, theirs: &Diversion) -> Finding {
    let whose = own.by.map_or("--local".to_owned(), |by| format!("--package {}", readable(by)));
    let refused = "is refused: dpkg does not run with two diversions of one name";
    Finding::path(Class::G1, Severity::Blocker, &canonical(own.from), refused)
        .seen("diverted in the profile", shown(own))
        .seen("diverted in the candidate", shown(theirs))
        .choice(format!(
            "take yours back first: dpkg-divert {whose} --rename --remove {}",
            readable(own.from)
        ))
}

/// A package of the profile's own has its file where the candidate's diversion moves files away. dpkg goes
/// by the name as it is written: a diversion of /lib/x is none of /usr/lib/x.
pub fn kept_at(look: &Look, diversion: &Diversion) -> Result<bool> {
    let Some(place) = look.place(&canonical(diversion.from)) else { return Ok(false) };
    let here = look.trees.triples[place].mine.as_ref().is_some_and(|mine| !mine.is_directory());
    if !here || look.owned(place) != Owned::Kept {
        return Ok(false);
    }
    for stem in look.owners.mine.of(place) {
        let list = look.trees.mine.text(format!("var/lib/dpkg/info/{stem}.list").as_bytes())?;
        let says_so = list.is_some_and(|list| list.split(|b| *b == b'\n').any(|line| line == diversion.from));
        let package = stem.split(':').next().unwrap_or(stem);
        if says_so && Some(package.as_bytes()) != diversion.by {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A file of the old base was moved to the other name, and the candidate has another one.
pub fn outdated(look: &Look, own: &Diversion) -> Result<Option<Finding>> {
    let (from, to) = (canonical(own.from), canonical(own.to));
    let Some(moved) = look.triple(&to).and_then(|triple| triple.mine.as_deref()) else { return Ok(None) };
    let (old, new) = (look.trees.old.find(&from)?, look.trees.new.find(&from)?);
    let Some(old) = old.filter(|old| seems_moved(old, moved)) else { return Ok(None) };
    let Some(new) = new else {
        let drops = "drops the copy of the old base's file, the candidate has none, and keeps the diversion";
        return Ok(Some(finding(Severity::Automatic, own, drops)));
    };
    let takes = "puts the candidate's file to the other name";
    Ok((!old.same(&new)).then(|| finding(Severity::Automatic, own, takes)))
}

/// Nobody hashes what has no counterpart in a base, and neither base has the other name.
fn seems_moved(old: &Object, moved: &Object) -> bool {
    old.kind == moved.kind && old.size == moved.size && old.target == moved.target
}
