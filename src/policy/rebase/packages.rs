//! Packages: what the profile keeps is made whole (some of it lay in the old base only), and what it removed
//! is hidden under the names it has in the candidate.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::dpkg::file_list;
use crate::model::edit::From;
use crate::model::error::Result;
use crate::model::tree::{self, Object, Tree};
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::packages::shared;
use crate::policy::check::side::stem;
use crate::policy::check::{Look, canonical};

use super::draft::{Decision, Draft};

const INFO: &str = "var/lib/dpkg/info";

pub fn decide(look: &Look, draft: &mut Draft) -> Result<()> {
    let live = live_paths(look)?;
    let info = info_files(look)?;
    for row in &look.rows {
        match row.fate {
            Fate::Keep | Fate::Override => {
                whole(look, draft, row)?;
                control(look, draft, row, &info);
                if row.fate == Fate::Override {
                    hide(look, draft, row, &live, true)?;
                }
            }
            Fate::SettingsOnly | Fate::RemovedWithSettings => {
                whole(look, draft, row)?;
                control(look, draft, row, &info);
                hide(look, draft, row, &live, true)?;
            }
            Fate::Removed => {
                hide(look, draft, row, &live, false)?;
                control(look, draft, row, &info);
            }
            Fate::Inherit | Fate::Superseded | Fate::New | Fate::Restored | Fate::Dropped | Fate::Gone => {
                let stems = [row.old, row.mine, row.new].into_iter().flatten().map(stem);
                for stem in stems.collect::<BTreeSet<_>>() {
                    of_the_candidate(look, draft, &stem, &info);
                }
            }
        }
    }
    for (stem, paths) in shared::taken(look)? {
        strike_off(look, draft, &stem, &paths)?;
    }
    Ok(())
}

/// P13: the candidate's package may take these (Replaces, policy 7.6.1), and dpkg then strikes them off the
/// list of the other.
fn strike_off(look: &Look, draft: &mut Draft, stem: &str, paths: &[Vec<u8>]) -> Result<()> {
    let list = format!("{INFO}/{stem}.list");
    let text = match draft.of(list.as_bytes()) {
        Some(Decision::Write(text, _)) => text.clone(),
        _ => look.trees.mine.text(list.as_bytes())?.unwrap_or_default(),
    };
    let stays = |line: &&[u8]| !paths.contains(&canonical(line));
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(stays).collect();
    draft.decide(list.as_bytes(), Decision::Write(lines.join(&b'\n'), None));
    for path in paths {
        draft.decide(path, Decision::Drop);
    }
    Ok(())
}

/// The files in info/ of each package, on all sides: `bash` has `var/lib/dpkg/info/bash.list`, ...
fn info_files(look: &Look) -> Result<HashMap<String, BTreeSet<Vec<u8>>>> {
    let mut found: HashMap<String, BTreeSet<Vec<u8>>> = HashMap::new();
    let mut add = |path: &[u8]| {
        let name = String::from_utf8_lossy(tree::name(path)).into_owned();
        if let Some((stem, _)) = name.rsplit_once('.') {
            found.entry(stem.to_owned()).or_default().insert(path.to_vec());
        }
    };
    let trees: [&dyn Tree; 3] = [look.trees.old, look.trees.mine, look.trees.new];
    for tree in trees {
        tree.below(INFO.as_bytes(), &mut |path, object| {
            if !object.is_directory() {
                add(path);
            }
        })?;
    }
    let of_info = |path: &[u8]| tree::parent(path) == INFO.as_bytes();
    look.trees.triples.iter().filter(|t| of_info(&t.path)).for_each(|triple| add(&triple.path));
    Ok(found)
}

/// dpkg's files about a package that the candidate decides: nothing of them in the upper.
fn of_the_candidate(look: &Look, draft: &mut Draft, stem: &str, info: &HashMap<String, BTreeSet<Vec<u8>>>) {
    for path in info.get(stem).into_iter().flatten() {
        if look.triple(path).is_some() {
            draft.decide(path, Decision::Drop);
        }
    }
}

/// dpkg's files about a package of the profile's own: exactly those it had, whatever the candidate has.
fn control(look: &Look, draft: &mut Draft, row: &Row, info: &HashMap<String, BTreeSet<Vec<u8>>>) {
    let stems: BTreeSet<String> = [row.old, row.mine, row.new].into_iter().flatten().map(stem).collect();
    let own = row.mine.map(stem);
    for (stem, path) in
        stems.iter().flat_map(|stem| info.get(stem).into_iter().flatten().map(move |p| (stem, p)))
    {
        let find = |tree: &dyn Tree| tree.find(path).ok().flatten();
        let mine = find(look.trees.mine).filter(|_| Some(stem) == own.as_ref() && row.fate != Fate::Removed);
        let new = find(look.trees.new);
        let in_the_upper = look.triple(path).is_some_and(|triple| triple.mine.is_some());
        let decision = match (&mine, &new) {
            (Some(_), _) if in_the_upper => Decision::Keep,
            (Some(mine), Some(new)) if mine.same_content(new) && mine.sha256.is_some() => continue,
            (Some(_), _) => Decision::Copy(From::OldBase),
            (None, Some(_)) => Decision::Hide,
            (None, None) if look.triple(path).is_some() => Decision::Drop,
            (None, None) => continue,
        };
        draft.decide(path, decision);
    }
}

/// The paths a package names, relative to the root, canonical, and where a diversion has them.
fn listed(tree: &dyn Tree, stem: &str) -> Result<Vec<Vec<u8>>> {
    let list = tree.text(format!("{INFO}/{stem}.list").as_bytes())?.unwrap_or_default();
    let lines = list.split(|b| *b == b'\n').filter(|line| line.len() > 1 && *line != b"/.");
    Ok(lines.map(canonical).collect())
}

/// What of a kept package lies in the old base only.
fn whole(look: &Look, draft: &mut Draft, row: &Row) -> Result<()> {
    let Some(package) = row.mine else { return Ok(()) };
    for path in listed(look.trees.mine, &stem(package))? {
        if look.triple(&path).is_some() || look.is_hidden(&path) {
            continue; // in the upper as it should be, or deleted
        }
        let Some(old) = look.trees.old.find(&path)? else { continue };
        let new = look.trees.new.find(&path)?;
        let is_there = match &new {
            // What another package of the candidate has there is not written over: the proof then says so.
            Some(_) if row.is_carried() => true,
            Some(new) if old.is_directory() => new.is_directory(),
            Some(new) => new.same(&old),
            None => false,
        };
        if !is_there {
            draft.decide(&path, Decision::Copy(From::OldBase));
        }
    }
    Ok(())
}

/// Every path of a package that is live after the merge, as the candidate's lists and the profile's name them.
fn live_paths(look: &Look) -> Result<HashMap<Vec<u8>, usize>> {
    let mut wanted: HashMap<Vec<u8>, usize> = HashMap::new();
    for row in look.rows.iter().filter(|row| hides_something(row)) {
        for path in row.new.map(|new| listed(look.trees.new, &stem(new))).transpose()?.unwrap_or_default() {
            wanted.insert(path, 0);
        }
    }
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let mut live: BTreeMap<bool, HashSet<String>> = BTreeMap::new();
    for row in &look.rows {
        let is_new = matches!(row.fate, Fate::Inherit | Fate::Superseded | Fate::New | Fate::Restored);
        let side = if is_new { row.new } else { row.mine };
        let stays = is_new || matches!(row.fate, Fate::Keep | Fate::Override);
        if let Some(package) = side.filter(|_| stays) {
            live.entry(is_new).or_default().insert(stem(package));
        }
    }
    for (is_new, stems) in &live {
        let tree: &dyn Tree = if *is_new { look.trees.new } else { look.trees.mine };
        let mut hits: Vec<Vec<u8>> = Vec::new();
        tree.texts(INFO.as_bytes(), b".list", &mut |path, list| {
            let name = tree::name(path).strip_suffix(b".list").unwrap_or_default();
            if stems.contains(&*String::from_utf8_lossy(name)) {
                file_list::find(list, &wanted, |_, path, _| hits.push(path.to_vec()));
            }
        })?;
        for path in hits {
            *wanted.entry(path).or_default() += 1;
        }
    }
    Ok(wanted)
}

fn hides_something(row: &Row) -> bool {
    matches!(row.fate, Fate::Override | Fate::Removed | Fate::RemovedWithSettings) && row.new.is_some()
}

/// What the candidate has of a package that is not as the candidate has it. `keeps`: not what the profile's
/// own version of it names.
fn hide(
    look: &Look,
    draft: &mut Draft,
    row: &Row,
    live: &HashMap<Vec<u8>, usize>,
    keeps: bool,
) -> Result<()> {
    let Some(new) = row.new else { return Ok(()) };
    let own: HashSet<Vec<u8>> = match row.mine.filter(|_| keeps) {
        Some(mine) => listed(look.trees.mine, &stem(mine))?.into_iter().collect(),
        None => HashSet::new(),
    };
    let is_directory = |object: &Option<Object>| object.as_ref().is_some_and(Object::is_directory);
    for path in listed(look.trees.new, &stem(new))? {
        let live_elsewhere = live.get(&path).copied().unwrap_or_default() > 0;
        let object = look.trees.new.find(&path)?;
        if own.contains(&path) || live_elsewhere || object.is_none() || is_directory(&object) {
            continue;
        }
        match look.triple(&path) {
            Some(triple) if triple.is_whiteout() => draft.decide(&path, Decision::Keep),
            Some(_) => {} // something of the person's is in its place
            None if look.is_hidden(&path) => {}
            None => draft.decide(&path, Decision::Hide),
        }
    }
    Ok(())
}
