//! Groups of alternatives: the record, and the links that follow from it.

use std::collections::BTreeMap;

use crate::dpkg::alternatives::{Alternative, Choice, Mode, Slave};
use crate::model::error::Result;
use crate::policy::check::Look;
use crate::policy::check::databases::alternatives::{self as rules, Group, LINKS, Merged, RECORDS};
use crate::policy::check::side::Side;

use super::draft::{Decision, Draft};

pub fn decide(look: &Look, draft: &mut Draft) -> Result<()> {
    for merged in rules::merged(look)? {
        one(look, draft, &merged)?;
    }
    Ok(())
}

fn one(look: &Look, draft: &mut Draft, merged: &Merged) -> Result<()> {
    let path = [RECORDS, b"/", &merged.name].concat();
    let texts = [look.new.tree.text(&path)?, look.mine.tree.text(&path)?];
    let known = Known::of(look, &path, &texts)?;
    if merged.group.choices.is_empty() {
        return gone(look, draft, merged, &known);
    }
    link(look, draft, &[LINKS, b"/", &merged.name].concat(), merged.group.link.as_deref())?;
    let chosen = merged.group.link.as_ref().and_then(|path| merged.group.choices.get(path));
    for slave in known.slaves.keys() {
        let target = chosen.and_then(|(_, slaves)| slaves.get(*slave)).map(Vec::as_slice);
        link(look, draft, &[LINKS, b"/", slave].concat(), target)?;
    }
    if let Some(master) = known.link {
        master_link(look, draft, master, &merged.name)?;
    }
    let text = written(&merged.group, &known);
    let decision = match &texts {
        [Some(new), _] if *new == text => Decision::Drop,
        [_, Some(mine)] if *mine == text && look.triple(&path).is_some() => Decision::Keep,
        _ => Decision::Write(text, None),
    };
    if decision != Decision::Drop || look.triple(&path).is_some() {
        draft.decide(&path, decision);
    }
    Ok(())
}

/// Where its links lie: the candidate's word before the profile's.
struct Known<'a> {
    link: Option<&'a [u8]>,
    slaves: BTreeMap<&'a [u8], &'a [u8]>,
}

impl<'a> Known<'a> {
    fn of(look: &Look, path: &[u8], texts: &'a [Option<Vec<u8>>; 2]) -> Result<Known<'a>> {
        let mut known = Known { link: None, slaves: BTreeMap::new() };
        let sides: [&Side; 2] = [look.new, look.mine];
        for (text, side) in texts.iter().zip(sides) {
            let Some(text) = text else { continue };
            let record = Alternative::parse(text).map_err(|error| side.damaged(path, error))?;
            known.link = known.link.or(Some(record.link));
            for Slave { name, link } in record.slaves {
                known.slaves.entry(name).or_insert(link);
            }
        }
        Ok(known)
    }
}

fn written(group: &Group, known: &Known) -> Vec<u8> {
    let slaves: Vec<Slave> = known.slaves.iter().map(|(name, link)| Slave { name, link }).collect();
    let targets = |own: &BTreeMap<Vec<u8>, Vec<u8>>| -> Vec<Vec<u8>> {
        slaves.iter().map(|slave| own.get(slave.name).cloned().unwrap_or_default()).collect()
    };
    let choices: Vec<_> =
        group.choices.iter().map(|(path, (priority, own))| (path, *priority, targets(own))).collect();
    let mode = if group.manual { Mode::Manual } else { Mode::Auto };
    let choices = choices.iter().map(|(path, priority, slaves)| Choice {
        path,
        priority: *priority,
        slaves: slaves.iter().map(Vec::as_slice).collect(),
    });
    let mut record = Alternative {
        mode,
        link: known.link.unwrap_or_default(),
        slaves: slaves.clone(),
        choices: choices.collect(),
    };
    record.tidy();
    record.write()
}

/// A link below /etc/alternatives, or none.
fn link(look: &Look, draft: &mut Draft, path: &[u8], target: Option<&[u8]>) -> Result<()> {
    let leads = |object: Option<crate::model::tree::Object>| object.and_then(|o| o.target).map(Vec::from);
    let new: Option<Vec<u8>> = leads(look.trees.new.find(path)?);
    let is_in_new = look.trees.new.find(path)?.is_some();
    let triple = look.triple(path);
    let mine = triple.and_then(|t| t.mine.as_deref()).and_then(|mine| mine.target.as_deref());
    let decision = match target {
        Some(target) if new.as_deref() == Some(target) && triple.is_none() => return Ok(()),
        Some(target) if new.as_deref() == Some(target) => Decision::Drop,
        Some(target) if mine == Some(target) => Decision::Keep,
        Some(target) => Decision::Link(target.to_vec()),
        None if is_in_new => Decision::Hide,
        None if triple.is_some() => Decision::Drop,
        None => return Ok(()),
    };
    draft.decide(path, decision);
    Ok(())
}

/// `/usr/bin/editor`: there where nothing else is.
fn master_link(look: &Look, draft: &mut Draft, link: &[u8], name: &[u8]) -> Result<()> {
    let path = crate::policy::check::canonical(link);
    let target = [b"/etc/alternatives/", name].concat();
    let there = look.trees.mine.find(&path)?.or(look.trees.new.find(&path)?);
    if there.is_some_and(|object| object.target.as_deref() != Some(&target[..])) {
        return Ok(()); // a file: update-alternatives leaves it alone, too
    }
    self::link(look, draft, &path, Some(&target))
}

/// The last choice is gone, and its record and links with it.
fn gone(look: &Look, draft: &mut Draft, merged: &Merged, known: &Known) -> Result<()> {
    link(look, draft, &[LINKS, b"/", &merged.name].concat(), None)?;
    for (slave, at) in &known.slaves {
        link(look, draft, &[LINKS, b"/", slave].concat(), None)?;
        remove_master(look, draft, at, slave)?;
    }
    if let Some(master) = known.link {
        remove_master(look, draft, master, &merged.name)?;
    }
    let path = [RECORDS, b"/", &merged.name].concat();
    match look.trees.new.find(&path)?.is_some() {
        true => draft.decide(&path, Decision::Hide),
        false if look.triple(&path).is_some() => draft.decide(&path, Decision::Drop),
        false => {}
    }
    Ok(())
}

fn remove_master(look: &Look, draft: &mut Draft, link: &[u8], name: &[u8]) -> Result<()> {
    let path = crate::policy::check::canonical(link);
    let target = [b"/etc/alternatives/", name].concat();
    let ours = |object: Option<crate::model::tree::Object>| {
        object.is_some_and(|o| o.target.as_deref() == Some(&target[..]))
    };
    if ours(look.trees.mine.find(&path)?) || ours(look.trees.new.find(&path)?) {
        self::link(look, draft, &path, None)?;
    }
    Ok(())
}
