//! What ucf watches (C11): files that maintainer scripts install, which no list names. ucf goes by dpkg's
//! table, with checksums of its own.

use std::collections::{BTreeSet, HashMap};

use crate::dpkg::ucf::{self, Hash};
use crate::model::error::Result;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::Fate;
use crate::policy::check::finding::{Finding, Severity};
use crate::policy::check::side::Side;

use super::compared::{Compared, Row, in_the_profile};
use super::conffiles::{self, Outcome};
use super::paths::{HASHES, REGISTRY};

struct Texts {
    hashes: Vec<u8>,
    registry: Vec<u8>,
}

impl Texts {
    fn read(side: &Side) -> Result<Texts> {
        let text = |path| Ok::<_, crate::model::error::Error>(side.tree.text(path)?.unwrap_or_default());
        Ok(Texts { hashes: text(HASHES)?, registry: text(REGISTRY)? })
    }
}

/// By paths relative to the root.
struct Records<'a> {
    md5: HashMap<&'a [u8], &'a str>,
    package: HashMap<&'a [u8], &'a str>,
}

impl<'a> Records<'a> {
    fn parse(side: &Side, texts: &'a Texts) -> Result<Records<'a>> {
        let hashes = ucf::hashes(&texts.hashes).map_err(|error| side.damaged(HASHES, error))?;
        let owners = ucf::owners(&texts.registry).map_err(|error| side.damaged(REGISTRY, error))?;
        Ok(Records {
            md5: hashes.iter().map(|Hash { md5, path }| (&path[1..], *md5)).collect(),
            package: owners.iter().map(|owner| (&owner.path[1..], owner.package)).collect(),
        })
    }
}

/// `is_conffile`: then it is decided as one.
pub fn find(look: &Look, is_conffile: impl Fn(&[u8]) -> bool, found: &mut Vec<Finding>) -> Result<()> {
    let texts = [Texts::read(look.old)?, Texts::read(look.mine)?, Texts::read(look.new)?];
    let (mine, new) = (Records::parse(look.mine, &texts[1])?, Records::parse(look.new, &texts[2])?);
    found.extend(records_to_merge(look, &texts));
    let paths: BTreeSet<&[u8]> = mine.md5.keys().chain(new.md5.keys()).copied().collect();
    for path in paths {
        if look.conffiles.contains(path) && !is_conffile(path) {
            found.extend(one(look, path, &mine, &new)?);
        }
    }
    Ok(())
}

/// Of every path that ucf decides.
pub fn outcomes(look: &Look) -> Result<Vec<(Vec<u8>, Outcome)>> {
    let listed = conffiles::listed(look)?;
    let texts = [Texts::read(look.mine)?, Texts::read(look.new)?];
    let (mine, new) = (Records::parse(look.mine, &texts[0])?, Records::parse(look.new, &texts[1])?);
    let paths: BTreeSet<&[u8]> = mine.md5.keys().chain(new.md5.keys()).copied().collect();
    let mut found = Vec::new();
    for path in paths {
        if !look.conffiles.contains(path) || listed.contains_key(path) {
            continue;
        }
        let outcome = match one(look, path, &mine, &new)? {
            Some(finding) if finding.severity == Severity::Decision => {
                Outcome::KeptBeside.decided(look.trees.decided.of_path(path))
            }
            Some(finding) if finding.severity == Severity::Harmless => Outcome::Kept,
            Some(_) => Outcome::Goes,
            None => continue,
        };
        found.push((path.to_vec(), outcome));
    }
    Ok(found)
}

fn one(look: &Look, path: &[u8], mine: &Records, new: &Records) -> Result<Option<Finding>> {
    let package = mine.package.get(path).or(new.package.get(path)).copied();
    let fate = package.and_then(|name| look.rows.iter().find(|row| row.name == name)).map(|row| row.fate);
    let inherited = match fate {
        None | Some(Fate::Inherit | Fate::Dropped | Fate::New) => true,
        Some(Fate::Superseded) => false,
        Some(_) => return Ok(None), // it stays, or went, with a package of the profile's own
    };
    let Some(there) = in_the_profile(look, path) else { return Ok(None) };
    let (old, new_object) = (look.trees.old.find(path)?, look.trees.new.find(path)?);
    let odd = there.as_ref().is_some_and(|there| !there.is_file() && !there.is_link());
    let (was, is) = (mine.md5.get(path).copied(), new.md5.get(path).copied());
    let deleted_by_nobody = there.is_none() && was.is_none();
    if odd || deleted_by_nobody || new_object.is_none() {
        return stays_alone(look, path, inherited);
    }
    let at = path.to_vec();
    let compared = Compared { look, at, mine: there, old, new: new_object, was, is, inherited };
    let Some(finding) = by_the_table(&compared, inherited)? else { return Ok(None) };
    Ok(Some(match package {
        Some(package) => finding.seen("package", package),
        None => finding,
    }))
}

/// The candidate has no such file: what nobody changed goes, what is the person's stays.
fn stays_alone(look: &Look, path: &[u8], inherited: bool) -> Result<Option<Finding>> {
    let triple = look.triple(path);
    let copy =
        triple.and_then(|t| t.mine.as_ref().zip(t.old.as_ref())).is_some_and(|(a, b)| a.same_content(b));
    Ok((copy && inherited)
        .then(|| Finding::path(Class::C11, Severity::Automatic, path, "drops the unchanged copy")))
}

fn by_the_table(compared: &Compared, inherited: bool) -> Result<Option<Finding>> {
    let path = &compared.at[..];
    let row = match compared.was {
        Some(_) => compared.row()?,
        None if compared.mine_is_new()? => Row::Agreed,
        None => Row::Conflict,
    };
    let finding = match row {
        Row::Unchanged if !inherited => return Ok(None), // it goes with its package
        Row::Unchanged => Finding::path(Class::C11, Severity::Automatic, path, "drops the copy"),
        Row::Agreed => {
            let drops = "drops yours, the candidate has the same";
            Finding::path(Class::C11, Severity::Automatic, path, drops)
        }
        Row::Mine => {
            let keeps = "keeps yours, the candidate ships what the base ships";
            Finding::path(Class::C11, Severity::Harmless, path, keeps)
        }
        Row::Deleted => {
            let keeps = "keeps it deleted, the candidate ships what the base ships";
            Finding::path(Class::C11, Severity::Harmless, path, keeps)
        }
        Row::DeletedAndChanged => {
            let keeps = "keeps it deleted, and puts the candidate's there as .ucf-dist";
            Finding::path(Class::C11, Severity::Decision, path, keeps)
        }
        Row::Conflict => {
            let keeps = "keeps yours, and puts the candidate's beside it as .ucf-dist";
            Finding::path(Class::C11, Severity::Decision, path, keeps)
        }
    };
    if finding.severity != Severity::Decision {
        return Ok(Some(finding));
    }
    let finding = conffiles::offers_theirs(finding);
    let finding = match inherited && compared.was.is_some() {
        true => finding.offers_merge(compared.look, path, path)?,
        false => finding,
    };
    let recorded = [("md5 shipped before", compared.was), ("md5 in the candidate", compared.is)];
    Ok(Some(recorded.into_iter().fold(finding, |finding, (what, md5)| match md5 {
        Some(md5) => finding.seen(what, md5),
        None => finding,
    })))
}

/// The profile has a copy of ucf's records, and those of the base became others.
fn records_to_merge(look: &Look, [old, mine, new]: &[Texts; 3]) -> Option<Finding> {
    let lines = |texts: &Texts| -> BTreeSet<Vec<u8>> {
        let lines = texts.hashes.split(|b| *b == b'\n').chain(texts.registry.split(|b| *b == b'\n'));
        lines.map(<[u8]>::to_vec).collect()
    };
    let copied = |path| look.triple(path).is_some_and(|triple| triple.mine.is_some());
    let (old, mine, new) = (lines(old), lines(mine), lines(new));
    if !(copied(HASHES) || copied(REGISTRY)) || old == new || mine == new {
        return None;
    }
    let merges = "merges what ucf knows, file by file";
    Some(
        Finding::path(Class::C11, Severity::Automatic, HASHES, merges).seen(
            "lines that are others in the candidate",
            old.symmetric_difference(&new).count().to_string(),
        ),
    )
}
