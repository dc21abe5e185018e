//! Files that a package of the profile and another one of the candidate both have (P13). The file lists of
//! both say so; whether one may take the other's file, only Replaces says.

use std::collections::BTreeMap;

use crate::dpkg::relations::{Alternative, Kind, Relations};
use crate::dpkg::status::Package;
use crate::model::error::Result;
use crate::model::tree::Object;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::side::{STATUS, stem};

use super::{named, version};

/// Files that are named of those two packages have.
const NAMED: usize = 3;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    for Pair { mine, new, paths } in pairs(look) {
        found.push(finding(look, mine, new, &paths)?);
    }
    Ok(())
}

/// Files of a package of the profile that the candidate's may take: its name in info/, and the paths.
pub fn taken(look: &Look) -> Result<Vec<(String, Vec<Vec<u8>>)>> {
    let mut taken = Vec::new();
    for Pair { mine, new, paths } in pairs(look) {
        if replaces(look, new, mine)?.is_some() {
            taken.push((stem(mine), paths.into_iter().map(<[u8]>::to_vec).collect()));
        }
    }
    Ok(taken)
}

/// A package of the profile's own and another one of the candidate, and what both have.
struct Pair<'l> {
    mine: &'l Package<'l>,
    new: &'l Package<'l>,
    paths: Vec<&'l [u8]>,
}

fn pairs<'l>(look: &'l Look<'l>) -> Vec<Pair<'l>> {
    if look.is_doctor() {
        return Vec::new();
    }
    let mut pairs: BTreeMap<(&str, &str), Vec<&[u8]>> = BTreeMap::new();
    for (place, triple) in look.trees.triples.iter().enumerate() {
        let directory = |object: Option<&Object>| object.is_some_and(|o| o.is_directory());
        if triple.is_whiteout() || (directory(triple.mine.as_deref()) && directory(triple.new.as_deref())) {
            continue;
        }
        for mine in look.owners.mine.of(place) {
            for new in look.owners.new.of(place).filter(|new| plain(new) != plain(mine)) {
                pairs.entry((mine, new)).or_default().push(&triple.path);
            }
        }
    }
    if pairs.is_empty() {
        return Vec::new();
    }
    let (kept, comes) = (rows(look, is_kept, |row| row.mine), rows(look, comes, |row| row.new));
    let pair = |((mine, new), paths): ((&str, &str), Vec<&'l [u8]>)| {
        let (mine, new): (&Package, &Package) = (kept.get(mine)?, comes.get(new)?);
        // Both had it before already: the profile's dpkg settled that.
        let before = look.mine.find(new.name, new.architecture).and_then(|p| p.version) == new.version;
        (!before).then_some(Pair { mine, new, paths })
    };
    pairs.into_iter().filter_map(pair).collect()
}

/// Without an architecture.
fn plain(stem: &str) -> &str {
    stem.split(':').next().unwrap_or(stem)
}

fn is_kept(row: &Row) -> bool {
    matches!(row.fate, Fate::Keep | Fate::Override)
}

fn comes(row: &Row) -> bool {
    matches!(row.fate, Fate::Inherit | Fate::Superseded | Fate::New | Fate::Restored)
}

fn rows<'a>(
    look: &Look<'a>,
    wanted: impl Fn(&Row) -> bool,
    side: impl Fn(&Row<'a>) -> Option<&'a Package<'a>>,
) -> BTreeMap<String, &'a Package<'a>> {
    let rows = look.rows.iter().filter(|row| wanted(row));
    rows.filter_map(|row| side(row).map(|package| (stem(package), package))).collect()
}

fn finding(look: &Look, mine: &Package, new: &Package, paths: &[&[u8]]) -> Result<Finding> {
    let replaces = replaces(look, new, mine)?;
    let (severity, rebase) = match replaces {
        Some(_) => (Severity::Automatic, "takes the candidate's, as dpkg would, and strikes it off yours"),
        None => (Severity::Blocker, "is refused: neither package says that it may take the other's files"),
    };
    let named_paths: Vec<String> =
        paths.iter().take(NAMED).map(|path| format!("/{}", readable(path))).collect();
    let other = named(look, new);
    let finding = Finding::package(Class::P13, severity, &named(look, mine), rebase)
        .seen("package of the candidate", format!("{other} {}", version(new)))
        .seen("files of both", paths.len().to_string())
        .seen("among them", named_paths.join(", "));
    Ok(match replaces {
        Some(relation) => finding.seen("Replaces", relation),
        None => finding.choice(format!("apt remove {}, before the flip", mine.name)),
    })
}

/// The relation by which `new` may overwrite files of `mine` (policy 7.6.1).
fn replaces(look: &Look, new: &Package, mine: &Package) -> Result<Option<String>> {
    let mut fields = new.fields();
    let Some(field) = fields.find(|field| Kind::of(field) == Some(Kind::Replaces)) else { return Ok(None) };
    for alternative in Relations::new(Kind::Replaces, &field) {
        let alternative: Alternative =
            alternative.map_err(|error| look.new.damaged(STATUS.as_bytes(), error))?;
        let hits = alternative.name == mine.name
            && alternative.version.is_none_or(|(operator, wanted)| operator.holds(version(mine), wanted));
        if hits {
            return Ok(Some(alternative.to_string()));
        }
    }
    Ok(None)
}
