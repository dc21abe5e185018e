//! Conffiles (C1-C7), by dpkg's table. What its package has no more or another has is in moved.rs.

use std::collections::BTreeMap;

use crate::dpkg::conffiles::Conffile;
use crate::model::error::Result;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::fates::{self, Fate};
use crate::policy::check::finding::{Finding, Severity};
use crate::policy::check::owners::Owned;
use crate::policy::check::side::{STATUS, Side};
use crate::policy::check::synthesis::Obsolete;
use crate::policy::check::{Look, canonical};

use super::compared::{Compared, Row, in_the_profile};
use super::moved;

/// A conffile as a package has it.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub row: &'a fates::Row<'a>,
    pub conffile: Conffile<'a>,
}

impl Entry<'_> {
    /// Its package is as the old base has it.
    pub fn is_inherited(&self) -> bool {
        matches!(self.row.fate, Fate::Inherit | Fate::Dropped) && self.row.old.is_some()
    }

    /// Shipped by its package as it is now.
    fn is_current(&self) -> bool {
        !self.conffile.obsolete && !self.conffile.remove_on_upgrade
    }
}

/// What the profile's packages and those of the candidate that it will have say of one path.
#[derive(Default)]
pub struct Listed<'a> {
    pub mine: Option<Entry<'a>>,
    pub new: Option<Entry<'a>>,
}

/// Every conffile, relative to the root.
pub fn listed<'a>(look: &'a Look<'a>) -> Result<BTreeMap<Vec<u8>, Listed<'a>>> {
    let mut found: BTreeMap<Vec<u8>, Listed> = BTreeMap::new();
    for row in &look.rows {
        if let Some(package) = row.mine {
            for (path, entry) in entries(look.mine, row, package)? {
                prefer(&mut found.entry(path).or_default().mine, entry);
            }
        }
        let is_taken = matches!(row.fate, Fate::Inherit | Fate::Superseded | Fate::New);
        if let Some(package) = row.new.filter(|new| is_taken && new.state.has_files()) {
            for (path, entry) in entries(look.new, row, package)? {
                prefer(&mut found.entry(path).or_default().new, entry);
            }
        }
    }
    Ok(found)
}

fn entries<'a>(
    side: &Side,
    row: &'a fates::Row<'a>,
    package: &'a crate::dpkg::status::Package<'a>,
) -> Result<impl Iterator<Item = (Vec<u8>, Entry<'a>)>> {
    let conffiles = package.conffiles().map_err(|error| side.damaged(STATUS.as_bytes(), error))?;
    Ok(conffiles.into_iter().map(move |conffile| (canonical(conffile.path), Entry { row, conffile })))
}

/// Of two packages that name it, the one that ships it now.
fn prefer<'a>(slot: &mut Option<Entry<'a>>, entry: Entry<'a>) {
    if slot.is_none_or(|known| entry.is_current() && !known.is_current()) {
        *slot = Some(entry);
    }
}

/// What becomes of a file of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays, or stays deleted.
    Kept,
    /// The same, and the candidate's is put beside it.
    KeptBeside,
    /// The candidate's, or nothing, takes its place.
    Goes,
    /// The candidate's content, with what the person changed of owner and mode.
    Content,
    /// Taken away, and kept as `.dpkg-old`.
    MovedAside,
    /// The candidate's, or nothing, takes its place, and the person's is saved.
    Taken,
    /// The changes of both in one text, and the person's as it was is saved.
    Merged,
}

impl Outcome {
    /// As the person decided.
    pub fn decided(self, answer: Option<Answer>) -> Outcome {
        match (self, answer) {
            (Outcome::KeptBeside | Outcome::Kept, Some(Answer::New)) => Outcome::Taken,
            (Outcome::KeptBeside, Some(Answer::Merge)) => Outcome::Merged,
            (Outcome::MovedAside, Some(Answer::Keep)) => Outcome::Kept,
            (other, _) => other,
        }
    }
}

pub struct Decided {
    /// Where the profile has it, relative to the root.
    pub at: Vec<u8>,
    pub is: Outcome,
}

/// Of every conffile that is decided as one, by the path its package names.
pub fn outcomes(look: &Look) -> Result<Vec<(Vec<u8>, Decided)>> {
    let mut found = Vec::new();
    for (path, listed) in listed(look)? {
        let Some(compared) = ruled(look, &path, &listed)? else { continue };
        if let Some(is) = outcome(&compared, &listed)? {
            let is = is.decided(look.trees.decided.of_path(&compared.at));
            found.push((path, Decided { at: compared.at, is }));
        }
    }
    Ok(found)
}

/// What a package does not ship any more and the person keeps (C8): dpkg goes on listing it, so that a purge
/// removes it.
pub fn obsolete<'a>(look: &'a Look<'a>) -> Result<Obsolete<'a>> {
    let mut found = Obsolete::new();
    for (path, listed) in listed(look)? {
        let (Some(was), None) = (listed.mine, listed.new) else { continue };
        let stays = matches!(was.row.fate, Fate::Inherit | Fate::Superseded);
        let (Some(md5), true) = (was.conffile.md5, stays) else { continue };
        let Some(compared) = ruled(look, &path, &listed)? else { continue };
        let is = outcome(&compared, &listed)?.map(|is| is.decided(look.trees.decided.of_path(&compared.at)));
        if is == Some(Outcome::Kept) {
            let line = [b" ", was.conffile.path, format!(" {md5} obsolete").as_bytes()].concat();
            found.entry((was.row.name, was.row.architecture)).or_default().push(line);
        }
    }
    Ok(found)
}

fn outcome(compared: &Compared, listed: &Listed) -> Result<Option<Outcome>> {
    Ok(Some(match (listed.mine, listed.new) {
        (Some(was), Some(is)) if !is.conffile.remove_on_upgrade => match compared.row()? {
            Row::Unchanged if was.row.fate == Fate::Superseded => Outcome::Goes,
            Row::Unchanged => Outcome::Content,
            Row::Agreed => Outcome::Goes,
            Row::Mine | Row::Deleted => Outcome::Kept,
            Row::DeletedAndChanged | Row::Conflict => Outcome::KeptBeside,
        },
        (Some(was), Some(_)) => match () {
            () if compared.mine.is_none() || was.conffile.remove_on_upgrade => Outcome::Kept,
            () if compared.mine_is_old()? => Outcome::Goes,
            () => Outcome::MovedAside,
        },
        (Some(_), None) if compared.mine.is_none() => return Ok(None),
        (Some(_), None) if compared.mine_is_old()? && !compared.is_own_link() => Outcome::Goes,
        (Some(_), None) => Outcome::Kept,
        (None, Some(is)) if !is.conffile.remove_on_upgrade => {
            let goes = moves_with_its_package(compared);
            match () {
                () if goes || compared.mine.is_none() || compared.new.is_none() => return Ok(None),
                () if compared.mine_is_new()? && !compared.is_own_link() => Outcome::Goes,
                () if compared.mine_is_new()? => Outcome::Kept,
                () => Outcome::KeptBeside,
            }
        }
        (None, _) => return Ok(None),
    }))
}

fn moves_with_its_package(compared: &Compared) -> bool {
    let place = compared.look.place(&compared.at);
    place.is_some_and(|place| matches!(compared.look.owned(place), Owned::Superseded | Owned::Removed))
}

/// None: it stays or goes with a package of the profile's own, is a file like others, or none of dpkg's.
fn ruled<'a>(look: &'a Look<'a>, path: &[u8], listed: &Listed<'a>) -> Result<Option<Compared<'a>>> {
    let kept = look.place(path).is_some_and(|place| look.owned(place) == Owned::Kept);
    let theirs = listed
        .mine
        .is_some_and(|mine| !matches!(mine.row.fate, Fate::Inherit | Fate::Dropped | Fate::Superseded));
    if kept || theirs || !look.conffiles.contains(path) {
        return Ok(None);
    }
    let Some(compared) = compare(look, path, listed)? else { return Ok(None) };
    let odd = compared.mine.as_ref().is_some_and(|mine| !mine.is_file() && !mine.is_link());
    // Odd: no business of dpkg's; a whiteout of nothing is F6.
    let nothing = compared.mine.is_none() && compared.new.is_none();
    Ok((!odd && !nothing).then_some(compared))
}

pub fn find<'a>(look: &'a Look<'a>, path: &[u8], listed: &Listed<'a>) -> Result<Option<Finding>> {
    let Some(compared) = ruled(look, path, listed)? else { return Ok(None) };
    match (listed.mine, listed.new) {
        (Some(was), Some(is)) if !is.conffile.remove_on_upgrade => by_the_table(&compared, was, is),
        (Some(was), Some(is)) => moved::to_be_removed(&compared, was, is),
        (Some(was), None) => moved::gone(&compared, was),
        (None, Some(is)) if !is.conffile.remove_on_upgrade => shipped_now(&compared, is),
        (None, _) => Ok(None),
    }
}

fn compare<'a>(look: &'a Look<'a>, path: &[u8], listed: &Listed<'a>) -> Result<Option<Compared<'a>>> {
    let at = lies_at(look, path, listed);
    let Some(mine) = in_the_profile(look, &at) else { return Ok(None) };
    Ok(Some(Compared {
        look,
        at,
        mine,
        old: look.trees.old.find(path)?,
        new: look.trees.new.find(path)?,
        was: listed.mine.and_then(|entry| entry.conffile.md5),
        is: listed.new.and_then(|entry| entry.conffile.md5),
        inherited: listed.mine.is_some_and(|entry| entry.is_inherited()),
    }))
}

/// Where the profile has it: a diversion of another package or of the person may have moved it.
fn lies_at(look: &Look, path: &[u8], listed: &Listed) -> Vec<u8> {
    let package = listed.mine.or(listed.new).map(|entry| entry.row.name.as_bytes());
    let mut diversions = look.mine.diversions.iter();
    let diversion = diversions.find(|d| canonical(d.from) == path && (d.by.is_none() || d.by != package));
    diversion.map_or(path.to_vec(), |diversion| canonical(diversion.to))
}

fn by_the_table(compared: &Compared, was: Entry, is: Entry) -> Result<Option<Finding>> {
    let row = compared.row()?;
    let follows_its_package = was.row.fate == Fate::Superseded && row == Row::Unchanged;
    let is_diverted = compared.at != canonical(was.conffile.path);
    if follows_its_package || (is_diverted && matches!(row, Row::Unchanged | Row::Agreed)) {
        return Ok(None); // the second: what is refreshed with its diversion (G1)
    }
    let path = &compared.at[..];
    let moves = was.row.name != is.row.name;
    let finding = match row {
        Row::Unchanged => return Ok(Some(unchanged(compared, was))),
        Row::Mine | Row::Deleted if moves => moved::kept(compared, row),
        Row::Mine => {
            let keeps = "keeps yours, the candidate ships what the base ships";
            Finding::path(Class::C2, Severity::Harmless, path, keeps)
        }
        Row::Agreed => {
            let drops = "drops yours, the candidate has the same";
            Finding::path(Class::C3, Severity::Automatic, path, drops)
        }
        Row::Deleted => {
            let keeps = "keeps it deleted, the candidate ships what the base ships";
            Finding::path(Class::C4, Severity::Harmless, path, keeps)
        }
        Row::DeletedAndChanged => {
            let keeps = "keeps it deleted, and puts the candidate's there as .dpkg-dist";
            let brings = "brings it back, as the candidate has it";
            Finding::path(Class::C5, Severity::Decision, path, keeps)
                .decides(Answer::Keep, &[(Answer::New, brings)])
        }
        Row::Conflict => {
            let keeps = "keeps yours, and puts the candidate's beside it as .dpkg-dist";
            let shipped = canonical(was.conffile.path);
            let finding = offers_theirs(Finding::path(Class::C6, Severity::Decision, path, keeps));
            // Of what a package of the profile's own shipped, no base has the text.
            match compared.inherited {
                true => finding.offers_merge(compared.look, path, &shipped)?,
                false => finding,
            }
        }
    };
    let finding = match moves {
        true => finding.seen("package", format!("{}, in the candidate {}", was.row.name, is.row.name)),
        false => finding.seen("package", is.row.name),
    };
    match row {
        Row::Conflict | Row::DeletedAndChanged => checksums(finding, compared).map(Some),
        _ => Ok(Some(finding)),
    }
}

/// C1: a copy of what was shipped. dpkg puts the new one in its place, and keeps owner and mode.
fn unchanged(compared: &Compared, was: Entry) -> Finding {
    let path = &compared.at[..];
    let (mine, old) = (compared.mine.as_ref(), compared.old.as_ref());
    let attributes = matches!((mine, old), (Some(mine), Some(old)) if !mine.same_metadata(old));
    let rebase = match attributes && compared.new.is_some() {
        true => "takes the candidate's content, and keeps your owner and mode",
        false => "drops the copy",
    };
    Finding::path(Class::C1, Severity::Automatic, path, rebase).seen("package", was.row.name)
}

/// C7: of no package here, or of one that shipped it as a plain file; the candidate has it as a conffile.
fn shipped_now(compared: &Compared, is: Entry) -> Result<Option<Finding>> {
    if moves_with_its_package(compared) || compared.mine.is_none() || compared.new.is_none() {
        return Ok(None);
    }
    let path = &compared.at[..];
    if compared.mine_is_new()? {
        let finding = match compared.is_own_link() {
            true => {
                let keeps = "keeps your link, it leads to what the candidate ships";
                Finding::path(Class::C7, Severity::Harmless, path, keeps)
            }
            false => {
                let drops = "drops yours, the candidate has the same";
                Finding::path(Class::C7, Severity::Automatic, path, drops)
            }
        };
        return Ok(Some(finding.seen("package", is.row.name)));
    }
    let keeps = "keeps yours, and puts the candidate's beside it as .dpkg-dist";
    let finding = offers_theirs(Finding::path(Class::C7, Severity::Decision, path, keeps));
    checksums(finding.seen("package", is.row.name), compared).map(Some)
}

/// What can be done instead of keeping one's own.
pub fn offers_theirs(finding: Finding) -> Finding {
    finding.decides(Answer::Keep, &[(Answer::New, "takes the candidate's, and saves yours")])
}

/// As dpkg has them on record, and what is there.
fn checksums(mut finding: Finding, compared: &Compared) -> Result<Finding> {
    if let Some(was) = compared.was {
        finding = finding.seen("md5 shipped before", was);
    }
    if compared.mine.is_some() {
        let mine = compared.md5()?.unwrap_or_else(|| "of a link that leads elsewhere".into());
        finding = finding.seen("md5 in the profile", mine);
    }
    if let Some(is) = compared.is {
        finding = finding.seen("md5 in the candidate", is);
    }
    Ok(finding)
}
