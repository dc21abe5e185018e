//! What a candidate base would do to a profile, before anything moves. Three trees are compared (the base
//! the profile stands on, the profile, the candidate), and each finding belongs to a class, has evidence,
//! and says what rebase will do and what the person can choose. Intent is taken from comparison with the
//! old base, never from a whiteout or an opaque directory alone: dpkg makes those too.
//!
//! [`fates`] is what becomes of each package, everything else goes by it: [`files`] by whose a path is,
//! [`packages`] by the merged database, [`config`] by what was shipped before, [`truth`] by what no database
//! says. A class counts as looked at when it has a text in [`explain`]; a
//! test holds those against the tests that build each of them, and a near miss of it.

pub mod accounts;
pub mod caches;
pub mod class;
pub mod config;
pub mod databases;
pub mod decided;
pub mod explain;
pub mod fates;
pub mod files;
pub mod finding;
pub mod identity;
pub mod merge;
pub mod merged_text;
pub mod owners;
pub mod packages;
pub mod procedure;
pub mod side;
pub mod synthesis;
pub mod territory;
pub mod together;
pub mod truth;

use crate::dpkg::file_list;
use crate::model::edit::From;
use crate::model::elf::Reading;
use crate::model::error::Result;
use crate::model::tree::{self, Object, Tree, Triple};
use crate::policy::mend;

use std::collections::{BTreeMap, HashMap, HashSet};

use decided::Decisions;
use fates::{Fate, Row};
use finding::{Finding, Severity};
use owners::{Owned, Owners};
use side::{Side, Texts};
use together::Together;

/// What is compared.
pub struct Trees<'a> {
    /// Every path of the upper, beside both bases, in [`crate::model::tree::order`].
    pub triples: &'a [Triple],
    pub old: &'a dyn Tree,
    /// The upper over the old base: what the person has.
    pub mine: &'a dyn Tree,
    pub new: &'a dyn Tree,
    /// The upper over the candidate: what a plain exchange of the base would show.
    pub exchanged: &'a dyn Tree,
    /// For messages: "base 12.1", "profile lab", "base 12.2".
    pub names: [&'a str; 3],
    pub old_largest_inode: u64,
    pub new_largest_inode: u64,
    /// What a file of the upper asks of the dynamic linker.
    pub elf: &'a dyn Fn(&[u8]) -> Result<Reading>,
    /// A file of the upper by its MD5, as dpkg has it for conffiles: 32 hexadecimal digits.
    pub md5: &'a dyn Fn(&[u8]) -> Result<String>,
    /// A file of a base that is not too large to be read as a text (see [`merged_text`]). None: there is no
    /// such file, or the base is gone.
    pub text_of: &'a dyn Fn(From, &[u8]) -> Result<Option<Vec<u8>>>,
    /// What the person decided already.
    pub decided: &'a Decisions,
}

/// Everything the classes are decided by.
pub struct Look<'a> {
    pub trees: &'a Trees<'a>,
    pub old: &'a Side<'a>,
    pub mine: &'a Side<'a>,
    pub new: &'a Side<'a>,
    pub rows: Vec<Row<'a>>,
    pub owners: Sides<Owners>,
    /// What becomes of a package, by its name in info/ on any side.
    pub fates: HashMap<String, Fate>,
    /// In [`tree::order`].
    pub hidden: Vec<Hidden>,
    /// Paths that the rules of configuration are about, relative to the root (see [`config`]).
    pub conffiles: HashSet<Vec<u8>>,
    /// Paths that a diversion or a statoverride of any side is about (classes G1, G2).
    pub overruled: HashSet<Vec<u8>>,
    /// Paths of packages that the candidate drops and that are carried along, relative to the root.
    pub carried: HashSet<Vec<u8>>,
    /// Do the packages of the merged database hold together?
    pub together: Together<'a>,
}

/// What a base has below something of the upper that hides it: a whiteout, an opaque directory, a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    pub path: Vec<u8>,
    pub old: Option<Object>,
    pub new: Option<Object>,
}

impl Look<'_> {
    /// The candidate is the base the profile stands on: nothing is to be carried anywhere.
    pub fn is_doctor(&self) -> bool {
        self.trees.names[0] == self.trees.names[2]
    }

    /// What the bases have below a path and the upper hides, with its place for [`Look::owned`].
    pub fn hidden_below(&self, dir: &[u8]) -> impl Iterator<Item = (&Hidden, usize)> {
        let start = self.hidden.partition_point(|hidden| tree::order(&hidden.path, dir).is_le());
        let below = self.hidden.iter().enumerate().skip(start);
        let first = self.trees.triples.len();
        below
            .take_while(move |(_, hidden)| tree::is_below(&hidden.path, dir))
            .map(move |(at, hidden)| (hidden, first + at))
    }

    /// Who owns the triple at this place of the list.
    pub fn owned(&self, place: usize) -> Owned {
        let mine = || self.owners.mine.of(place).filter_map(|stem| self.fates.get(stem));
        let is = |wanted: &[Fate]| mine().any(|fate| wanted.contains(fate));
        if is(&[Fate::Keep, Fate::Override, Fate::SettingsOnly, Fate::RemovedWithSettings]) {
            Owned::Kept
        } else if is(&[Fate::Inherit, Fate::Dropped]) {
            Owned::Base
        } else if is(&[Fate::Superseded]) {
            Owned::Superseded
        } else if mine().next().is_none() && !self.is_removed(place) {
            Owned::Nobody
        } else {
            Owned::Removed
        }
    }

    /// What becomes of a package, by its name in info/ on any side.
    pub fn fate(&self, stem: &str) -> Option<Fate> {
        self.fates.get(stem).copied()
    }

    /// Was it of a package that the profile removed?
    fn is_removed(&self, place: usize) -> bool {
        use Fate::*;
        let gone = [Removed, RemovedWithSettings, Restored, SettingsOnly, Gone, Superseded];
        let mut owners = self.owners.old.of(place).chain(self.owners.new.of(place));
        owners.any(|stem| self.fates.get(stem).is_some_and(|fate| gone.contains(fate)))
    }

    /// The triple of a path, if the upper has one.
    pub fn triple(&self, path: &[u8]) -> Option<&Triple> {
        self.place(path).map(|place| &self.trees.triples[place])
    }

    /// Where it is in the list of triples.
    pub fn place(&self, path: &[u8]) -> Option<usize> {
        self.trees.triples.binary_search_by(|triple| tree::order(&triple.path, path)).ok()
    }

    /// Does a base have it below something of the upper that hides it?
    pub fn is_hidden(&self, path: &[u8]) -> bool {
        self.hidden.binary_search_by(|hidden| tree::order(&hidden.path, path)).is_ok()
    }
}

/// One thing of each side.
pub struct Sides<T> {
    pub old: T,
    pub mine: T,
    pub new: T,
}

/// Every finding, the worst first, then by class and subject.
pub fn findings(look: &Look) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    packages::find(look, &mut found)?;
    files::find(look, &mut found)?;
    accounts::find(look, &mut found)?;
    databases::find(look, &mut found)?;
    truth::find(look, &mut found)?;
    config::find(look, &mut found)?;
    caches::find(look, &mut found)?;
    identity::find(look, &mut found)?;
    if look.is_doctor() {
        // Whatever else a rebase would do by itself is about carrying: nothing is wrong with it here.
        found.retain(|finding| finding.severity != Severity::Automatic || mend::mends(finding));
        let profile = look.trees.names[1].strip_prefix("profile ").unwrap_or_default();
        found.iter_mut().for_each(|finding| mend::offer(finding, profile));
        // There is nothing to choose from.
        found.iter_mut().for_each(|finding| (finding.default, finding.offers) = (None, Vec::new()));
    }
    look.trees.decided.note_in(&mut found);
    found.sort();
    Ok(found)
}

/// Reads and compares everything the classes, and a rebase, are decided by.
pub fn with_look<T>(trees: &Trees, ask: impl FnOnce(&Look) -> Result<T>) -> Result<T> {
    let texts = [Texts::read(trees.old)?, Texts::read(trees.mine)?, Texts::read(trees.new)?];
    let old = Side::new(trees.names[0], trees.old, &texts[0])?;
    let mine = Side::new(trees.names[1], trees.mine, &texts[1])?;
    let new = Side::new(trees.names[2], trees.new, &texts[2])?;
    let hidden = hidden(trees)?;
    let sides = [&old, &mine, &new];
    let diversions = sides.into_iter().flat_map(|side| &side.diversions);
    let diverted = diversions.map(|diversion| canonical(diversion.from));
    let places = owners::places(trees.triples, &hidden, diverted);
    let owners = |side: &Side| Owners::read(side.tree, &places, &side.diversions);
    let owners = Sides { old: owners(&old)?, mine: owners(&mine)?, new: owners(&new)? };
    let mut rows = fates::rows(&old, &mine, &new);
    fates::decide(&mut rows, trees.decided, mine.native());
    let together = Together::of(&mut rows, &mine, &new)?;
    let conffiles = config::paths::ruled(sides, trees.triples, &hidden, &owners)?;
    let overruled = overruled(sides);
    let fates = stems(&rows);
    let [old, mine, new] = sides;
    let carried = carried(old, &rows)?;
    let look =
        Look { trees, old, mine, new, rows, owners, fates, hidden, conffiles, overruled, carried, together };
    ask(&look)
}

fn carried(old: &Side, rows: &[Row]) -> Result<HashSet<Vec<u8>>> {
    let mut paths = HashSet::new();
    for package in rows.iter().filter(|row| row.is_carried()).filter_map(|row| row.mine) {
        let list = format!("var/lib/dpkg/info/{}.list", side::stem(package));
        let list = old.tree.text(list.as_bytes())?.unwrap_or_default();
        paths.extend(list.split(|b| *b == b'\n').filter(|line| line.len() > 1).map(canonical));
    }
    Ok(paths)
}

fn overruled(sides: [&Side; 3]) -> HashSet<Vec<u8>> {
    let diverted = sides.into_iter().flat_map(|side| &side.diversions).flat_map(|d| [d.from, d.to]);
    let overridden = sides.into_iter().flat_map(|side| &side.statoverride).map(|o| o.path);
    diverted.chain(overridden).map(canonical).collect()
}

/// Relative to the root, below the merged /usr.
pub fn canonical(absolute: &[u8]) -> Vec<u8> {
    file_list::canonical(absolute.strip_prefix(b"/").unwrap_or(absolute)).into_owned()
}

/// In [`tree::order`]; what the upper has at such a path itself is not in it.
fn hidden(trees: &Trees) -> Result<Vec<Hidden>> {
    let mut found: Vec<Hidden> = Vec::new();
    let is_directory = |object: &Option<Box<Object>>| object.as_ref().is_some_and(|o| o.is_directory());
    for (place, triple) in trees.triples.iter().enumerate() {
        let hides = triple.opaque || triple.mine.as_ref().is_none_or(|mine| !mine.is_directory());
        let within = found.last().is_some_and(|last| tree::order(&last.path, &triple.path).is_gt());
        if !hides || within || !(is_directory(&triple.old) || is_directory(&triple.new)) {
            continue; // `within`: a directory above it hides all of this already
        }
        let mut below = BTreeMap::new();
        trees.old.below(&triple.path, &mut |path, object| {
            below.insert(path.to_vec(), (Some(object.clone()), None));
        })?;
        trees.new.below(&triple.path, &mut |path, object| {
            below.entry(path.to_vec()).or_insert((None, None)).1 = Some(object.clone());
        })?;
        for mine in trees.triples[place + 1..].iter().take_while(|t| tree::is_below(&t.path, &triple.path)) {
            below.remove(&mine.path);
        }
        let mut below: Vec<_> =
            below.into_iter().map(|(path, (old, new))| Hidden { path, old, new }).collect();
        below.sort_by(|a, b| tree::order(&a.path, &b.path));
        found.extend(below);
    }
    Ok(found)
}

fn stems(rows: &[Row]) -> HashMap<String, Fate> {
    let packages =
        rows.iter().flat_map(|row| [row.old, row.mine, row.new].map(|package| (package, row.fate)));
    packages.filter_map(|(package, fate)| Some((side::stem(package?), fate))).collect()
}
