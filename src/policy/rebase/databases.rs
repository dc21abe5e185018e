//! The records of dpkg, apt, ucf and debconf.

use std::collections::{BTreeMap, BTreeSet};

use crate::dpkg::debconf::Database;
use crate::dpkg::diversions::{self, Diversion};
use crate::dpkg::extended_states::ExtendedStates;
use crate::dpkg::statoverride::{self, Override};
use crate::dpkg::status::{MultiArch, Package};
use crate::dpkg::triggers::deferred::{self, Deferred};
use crate::dpkg::triggers::interests::{self, Interests};
use crate::dpkg::{architectures, triggers, ucf};
use crate::model::error::Result;
use crate::model::tree;
use crate::policy::check::config::conffiles;
use crate::policy::check::config::paths::{HASHES, REGISTRY};
use crate::policy::check::databases::diversions as rules;
use crate::policy::check::fates::Fate;
use crate::policy::check::side::{DIVERSIONS, STATOVERRIDE, STATUS, Side, stem};
use crate::policy::check::{Look, canonical, synthesis};

use super::draft::{Decision, Draft};
use super::records::{Both, merge, put};

const EXTENDED_STATES: &str = "var/lib/apt/extended_states";
const ARCHITECTURES: &str = "var/lib/dpkg/arch";
const TRIGGERS: &str = "var/lib/dpkg/triggers";
const ANSWERS: [&str; 3] =
    ["var/cache/debconf/config.dat", "var/cache/debconf/templates.dat", "var/cache/debconf/passwords.dat"];

pub fn decide(look: &Look, draft: &mut Draft) -> Result<()> {
    status(look, draft)?;
    marks(look, draft)?;
    diverted(look, draft)?;
    overridden(look, draft)?;
    foreign(look, draft)?;
    interested(look, draft)?;
    watched(look, draft)?;
    answered(look, draft)?;
    backups(look, draft);
    Ok(())
}

fn status(look: &Look, draft: &mut Draft) -> Result<()> {
    let merged = synthesis::status(&look.rows, &conffiles::obsolete(look)?);
    let sorted = |side: &Side| {
        let mut packages: Vec<&Package> = side.status.packages.iter().collect();
        packages.sort_by_key(|package| (package.name, package.architecture));
        packages.iter().flat_map(|package| [package.paragraph(), b"\n"].concat()).collect::<Vec<u8>>()
    };
    let sides = [sorted(look.mine), sorted(look.new)];
    put(look, draft, STATUS, (&merged, || merged.clone()), [&sides[0], &sides[1]])
}

/// apt's marks: which packages came only because another needed them.
fn marks(look: &Look, draft: &mut Draft) -> Result<()> {
    let damaged = |side: &Side, error| side.damaged(EXTENDED_STATES.as_bytes(), error);
    let parse = |side: &Side<'_>| -> Result<BTreeSet<(String, String)>> {
        let states = ExtendedStates::parse(&side.texts.extended_states).map_err(|e| damaged(side, e))?;
        Ok(states.iter().map(|(name, architecture)| (name.to_owned(), architecture.to_owned())).collect())
    };
    let [old, mine, new] = [parse(look.old)?, parse(look.mine)?, parse(look.new)?];
    let installed: BTreeSet<&str> = look
        .rows
        .iter()
        .filter(|row| row.merged().is_some_and(|p| p.state.has_files()))
        .map(|r| r.name)
        .collect();
    let known = |side: &Side, name: &str| side.named(name).any(|package| package.state.has_files());
    let wanted = |key: &(String, String)| {
        let [o, m, n] = [&old, &mine, &new].map(|side| side.contains(key));
        // The profile's word, where it has one: it installed the package, or marked it otherwise.
        let said = known(look.mine, &key.0) && (m != o || !known(look.old, &key.0));
        installed.contains(&*key.0) && if said { m } else { n || (m && !known(look.new, &key.0)) }
    };
    let merged: BTreeSet<(String, String)> = mine.union(&new).filter(|key| wanted(key)).cloned().collect();
    let text = || {
        let stanza = |(name, architecture): &(String, String)| {
            format!("Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n")
        };
        merged.iter().map(stanza).collect::<String>().into_bytes()
    };
    put(look, draft, EXTENDED_STATES, (&merged, text), [&mine, &new])
}

fn diverted(look: &Look, draft: &mut Draft) -> Result<()> {
    let set = |side: &Side| side.diversions.len();
    if set(look.old) + set(look.mine) + set(look.new) == 0 {
        return Ok(());
    }
    let rules::Merged { records, adopted, own } = rules::merged(look)?;
    for diversion in &adopted {
        if rules::kept_at(look, diversion)? {
            let (from, to) = (canonical(diversion.from), canonical(diversion.to));
            draft.decide(&from, Decision::Moved);
            draft.decide(&to, Decision::MovedFrom(from.clone()));
        }
    }
    for diversion in &own {
        let (from, to) = (canonical(diversion.from), canonical(diversion.to));
        let new = look.trees.new.find(&from)?;
        if look.triple(&from).is_some_and(|triple| triple.mine.is_some() || new.is_some()) {
            draft.decide(&from, Decision::Keep);
        }
        match (rules::outdated(look, diversion)?.is_some(), new) {
            (true, Some(_)) => draft.decide(&to, Decision::CopyOf(from)),
            (true, None) => draft.decide(&to, Decision::Drop),
            (false, _) if look.triple(&to).is_some_and(|triple| triple.mine.is_some()) => {
                draft.decide(&to, Decision::Keep);
            }
            (false, _) => {}
        }
    }
    let as_set = |records: &[Diversion<'_>]| -> BTreeSet<Vec<u8>> {
        records.iter().map(|record| diversions::write(&[*record])).collect()
    };
    let merged = as_set(&records);
    let sides = [as_set(&look.mine.diversions), as_set(&look.new.diversions)];
    put(look, draft, DIVERSIONS, (&merged, || diversions::write(&records)), [&sides[0], &sides[1]])
}

fn overridden(look: &Look, draft: &mut Draft) -> Result<()> {
    let by_path = |side: &Side| -> BTreeMap<Vec<u8>, Vec<u8>> {
        side.statoverride.iter().map(|r| (canonical(r.path), statoverride::write(&[*r]))).collect()
    };
    let [old, mine, new] = [by_path(look.old), by_path(look.mine), by_path(look.new)];
    let merged = merge(&old, &mine, &new, Both::Mine);
    let text = || merged.values().flatten().copied().collect();
    put(look, draft, STATOVERRIDE, (&merged, text), [&mine, &new])
}

/// The records that are in force after the merge.
pub fn overrides<'a>(look: &'a Look<'a>) -> Vec<Override<'a>> {
    let by_path = |side: &'a Side<'a>| -> BTreeMap<Vec<u8>, Override<'a>> {
        side.statoverride.iter().map(|r| (canonical(r.path), *r)).collect()
    };
    merge(&by_path(look.old), &by_path(look.mine), &by_path(look.new), Both::Mine).into_values().collect()
}

/// Foreign architectures, of both sides.
fn foreign(look: &Look, draft: &mut Draft) -> Result<()> {
    let parse = |side: &Side| -> Result<BTreeMap<String, ()>> {
        let names =
            architectures::parse(&side.texts.arch).map_err(|e| side.damaged(ARCHITECTURES.as_bytes(), e))?;
        Ok(names.into_iter().map(|name| (name.to_owned(), ())).collect())
    };
    let [old, mine, new] = [parse(look.old)?, parse(look.mine)?, parse(look.new)?];
    let merged = merge(&old, &mine, &new, Both::Mine);
    let native = look.new.native();
    let text = || {
        let first = merged.contains_key(native).then_some(native);
        let others = merged.keys().map(String::as_str).filter(|name| *name != native);
        architectures::write(&first.into_iter().chain(others).collect::<Vec<_>>())
    };
    put(look, draft, ARCHITECTURES, (&merged, text), [&mine, &new])
}

/// triggers/: made anew from the packages there are then. What is to be done for a new base waits in
/// Unincorp: dpkg does it in the sandbox.
fn interested(look: &Look, draft: &mut Draft) -> Result<()> {
    let mut texts: Vec<(&Package, Vec<u8>)> = Vec::new();
    for row in &look.rows {
        let Some(package) = row.merged().filter(|package| package.state.has_files()) else { continue };
        let side = if matches!(row.fate, Fate::Keep | Fate::Override) { look.mine } else { look.new };
        let path = format!("var/lib/dpkg/info/{}.triggers", stem(package));
        if let Some(text) = side.tree.text(path.as_bytes())? {
            texts.push((package, text));
        }
    }
    let mut all = Interests::default();
    for (package, text) in &texts {
        let path = format!("var/lib/dpkg/info/{}.triggers", stem(package));
        let directives = triggers::parse(text).map_err(|e| look.mine.damaged(path.as_bytes(), e))?;
        let architecture = (package.multi_arch == MultiArch::Same).then_some(package.architecture);
        all.add(package.name, architecture, &directives);
    }
    let mut files: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    files.insert(b"File".to_vec(), interests::write_file(&all.file));
    files.extend(all.named.iter().map(|(word, list)| (word.to_vec(), interests::write_named(list))));
    let known = |name: &[u8]| name == b"File" || interests::is_named(name);
    let mut names: BTreeSet<Vec<u8>> = files.keys().cloned().collect();
    for side in [look.mine, look.new] {
        side.tree.texts(TRIGGERS.as_bytes(), b"", &mut |path, _| {
            names.insert(tree::name(path).to_vec());
        })?;
    }
    for name in names.iter().filter(|name| known(name)) {
        let path = [TRIGGERS.as_bytes(), b"/", name].concat();
        one_of_triggers(look, draft, &path, files.get(name))?;
    }
    if !look.is_doctor() {
        let words = all.file.iter().map(|(path, _)| *path).chain(all.named.keys().copied());
        let words: BTreeSet<&[u8]> = words.collect();
        let waits: Vec<Deferred> =
            words.into_iter().map(|t| Deferred { trigger: t, awaiting: vec![b"-"] }).collect();
        let path = format!("{TRIGGERS}/Unincorp");
        draft.decide(path.as_bytes(), Decision::Write(deferred::write(&waits), None));
    }
    Ok(())
}

fn one_of_triggers(look: &Look, draft: &mut Draft, path: &[u8], wanted: Option<&Vec<u8>>) -> Result<()> {
    let sorted = |text: &[u8]| -> Vec<Vec<u8>> {
        let mut lines: Vec<Vec<u8>> = text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    let (mine, new) = (look.trees.mine.text(path)?, look.trees.new.text(path)?);
    let is = |text: &Option<Vec<u8>>| match (text, wanted) {
        (Some(text), Some(wanted)) => sorted(text) == sorted(wanted),
        (None, None) => true,
        _ => false,
    };
    let in_the_upper = look.triple(path).is_some();
    let decision = match wanted {
        _ if is(&new) && !in_the_upper => return Ok(()),
        _ if is(&new) => Decision::Drop,
        _ if is(&mine) && in_the_upper => Decision::Keep,
        Some(wanted) => Decision::Write(wanted.clone(), None),
        None => Decision::Hide,
    };
    draft.decide(path, decision);
    Ok(())
}

/// ucf: by path. What both recorded differently is what was shipped last: the candidate's.
fn watched(look: &Look, draft: &mut Draft) -> Result<()> {
    let lines = |side: &Side, path: &'static [u8]| -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let text = side.tree.text(path)?.unwrap_or_default();
        let damaged = |error| side.damaged(path, error);
        Ok(match path == HASHES {
            true => {
                let hashes = ucf::hashes(&text).map_err(damaged)?;
                hashes.into_iter().map(|h| (h.path.to_vec(), ucf::write_hashes(&[h]))).collect()
            }
            false => {
                let owners = ucf::owners(&text).map_err(damaged)?;
                owners.into_iter().map(|o| (o.path.to_vec(), ucf::write_owners(&[o]))).collect()
            }
        })
    };
    for path in [HASHES, REGISTRY] {
        let [old, mine, new] = [lines(look.old, path)?, lines(look.mine, path)?, lines(look.new, path)?];
        let merged = merge(&old, &mine, &new, Both::Theirs);
        let text = || merged.values().flatten().copied().collect();
        let path = std::str::from_utf8(path).expect("a name of ours");
        put(look, draft, path, (&merged, text), [&mine, &new])?;
    }
    Ok(())
}

/// debconf: an answer both gave differently is the person's.
fn answered(look: &Look, draft: &mut Draft) -> Result<()> {
    for path in ANSWERS {
        let text = |side: &Side| side.tree.text(path.as_bytes()).map(Option::unwrap_or_default);
        let texts = [text(look.old)?, text(look.mine)?, text(look.new)?];
        let parse = |at: usize, side: &Side| {
            Database::parse(&texts[at]).map(|d| d.items).map_err(|e| side.damaged(path.as_bytes(), e))
        };
        let (old, mine, new) = (parse(0, look.old)?, parse(1, look.mine)?, parse(2, look.new)?);
        let mut merged = merge(&old, &mine, &new, Both::Mine);
        for (name, item) in &mut merged {
            item.owners.extend(new.get(name).into_iter().flat_map(|item| item.owners.iter().copied()));
        }
        let database = Database { items: merged };
        put(look, draft, path, (&database.items, || database.write()), [&mine, &new])?;
    }
    Ok(())
}

/// Of a database that is another one now.
fn backups(look: &Look, draft: &mut Draft) {
    if look.is_doctor() {
        return;
    }
    let triples = look.trees.triples.iter();
    for triple in triples.filter(|triple| crate::policy::check::databases::records::is_backup(triple)) {
        draft.decide(&triple.path, Decision::Drop);
    }
}
