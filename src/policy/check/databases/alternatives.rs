//! Alternatives (G3): the choices of both sides together, without those whose file is gone, and what was
//! chosen by hand as long as it is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::dpkg::alternatives::{Alternative, Mode};
use crate::model::error::Result;
use crate::model::tree::{self, Tree};
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, Subject, readable};
use crate::policy::check::side::Side;
use crate::policy::check::{Look, canonical};
use crate::policy::compare::{Change, change};

pub const RECORDS: &[u8] = b"var/lib/dpkg/alternatives";
pub const LINKS: &[u8] = b"etc/alternatives";

/// A group of one side, and where its link leads.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Group {
    pub manual: bool,
    pub link: Option<Vec<u8>>,
    pub choices: BTreeMap<Vec<u8>, Choice>,
}

/// Its priority, and its slaves by name.
pub type Choice = (i32, BTreeMap<Vec<u8>, Vec<u8>>);

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    for merged in merged(look)? {
        found.extend(group(look, &merged));
    }
    Ok(())
}

/// A group after the merge.
pub struct Merged {
    pub name: Vec<u8>,
    pub group: Group,
    /// What was chosen by hand and is gone.
    lost: Option<Vec<u8>>,
    /// What a plain exchange of the base would show.
    shown: Option<Group>,
}

impl Merged {
    /// Would a plain exchange show something else?
    pub fn is_outdated(&self) -> bool {
        match self.group.choices.is_empty() {
            true => self.shown.is_some(),
            false => self.shown.as_ref() != Some(&self.group),
        }
    }
}

/// Every group that the upper has something of; the links of slaves go with theirs.
pub fn merged(look: &Look) -> Result<Vec<Merged>> {
    let in_the_upper = look.trees.triples.iter().filter(|t| {
        let parent = tree::parent(&t.path);
        parent == RECORDS || parent == LINKS
    });
    let names: BTreeSet<&[u8]> = in_the_upper.map(|triple| tree::name(&triple.path)).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let old = groups(look.old, look.old.tree, &names)?;
    let mine = groups(look.mine, look.mine.tree, &names)?;
    let new = groups(look.new, look.new.tree, &names)?;
    // As the exchange would show it: a text of the candidate's tree is as good as one of the profile's.
    let shown = groups(look.mine, look.trees.exchanged, &names)?;
    let mut found = Vec::new();
    for name in names {
        let sides = [&old, &mine, &new, &shown].map(|side| side.get(name));
        found.extend(one(look, name, sides)?);
    }
    Ok(found)
}

/// `sides`: old, mine, new, and what an exchange would show.
fn one(look: &Look, name: &[u8], sides: [Option<&Group>; 4]) -> Result<Option<Merged>> {
    let [old, mine, new, shown] = sides;
    if mine.is_none() && new.is_none() && shown.is_none() {
        return Ok(None); // the link of a slave, which goes with its group
    }
    let mut group = merge(old, mine, new);
    let mut gone = Vec::new();
    for path in group.choices.keys() {
        let at = canonical(path);
        if look.trees.exchanged.find(&at)?.is_none() && look.trees.mine.find(&at)?.is_some() {
            gone.push(path.clone());
        }
    }
    group.choices.retain(|path, _| !gone.contains(path));
    let had = |path: &Vec<u8>| mine.is_some_and(|mine| mine.choices.contains_key(path));
    let chosen = group.link.clone().filter(|_| group.manual);
    let lost = chosen.filter(|path| had(path) && !group.choices.contains_key(path));
    if lost.is_some() {
        group.manual = false;
    }
    if !group.manual {
        group.link = best(&group);
    }
    Ok(Some(Merged { name: name.to_vec(), group, lost, shown: shown.cloned() }))
}

fn group(look: &Look, merged: &Merged) -> Option<Finding> {
    let (name, group, shown) = (&merged.name[..], &merged.group, merged.shown.as_ref());
    if let Some(chosen) = &merged.lost {
        return Some(lost(name, chosen, group.link.as_deref()));
    }
    if group.choices.is_empty() {
        let goes = "takes it away, the last choice is gone";
        return shown.map(|_| finding(Severity::Automatic, name, goes));
    }
    merged.is_outdated().then(|| match look.is_doctor() {
        true => astray(name, group, shown),
        false => differs(name, group, shown),
    })
}

/// The groups of these names that a tree has; those of slaves have no record. `side` is for messages.
fn groups(side: &Side, tree: &dyn Tree, names: &BTreeSet<&[u8]>) -> Result<BTreeMap<Vec<u8>, Group>> {
    // All records first, then all links: a manifest is read from its beginning to its end.
    let mut records = Vec::new();
    tree.texts(RECORDS, b"", &mut |path, text| {
        if names.contains(tree::name(path)) {
            records.push((path.to_vec(), text.to_vec()));
        }
    })?;
    let mut groups = BTreeMap::new();
    for (path, text) in &records {
        let record = Alternative::parse(text).map_err(|error| side.damaged(path, error))?;
        let name = tree::name(path);
        let link = tree.find(&[LINKS, b"/", name].concat())?.and_then(|link| link.target);
        groups.insert(name.to_vec(), of_record(&record, link.map(Vec::from)));
    }
    Ok(groups)
}

fn of_record(record: &Alternative, link: Option<Vec<u8>>) -> Group {
    let slaves = |paths: &[&[u8]]| -> BTreeMap<Vec<u8>, Vec<u8>> {
        let pairs = record.slaves.iter().zip(paths).filter(|(_, path)| !path.is_empty());
        pairs.map(|(slave, path)| (slave.name.to_vec(), path.to_vec())).collect()
    };
    let choice = |c: &crate::dpkg::alternatives::Choice| (c.path.to_vec(), (c.priority, slaves(&c.slaves)));
    Group { manual: record.mode == Mode::Manual, link, choices: record.choices.iter().map(choice).collect() }
}

fn merge(old: Option<&Group>, mine: Option<&Group>, new: Option<&Group>) -> Group {
    let sides = [old, mine, new];
    let paths: BTreeSet<&Vec<u8>> = sides.iter().flatten().flat_map(|side| side.choices.keys()).collect();
    let mut merged = Group::default();
    for path in paths {
        let [o, m, n] = sides.map(|side| side.and_then(|side| side.choices.get(path)));
        let choice = match change(o, m, n) {
            Change::Mine => m,
            Change::Conflict => n.or(m),
            Change::Neither | Change::Theirs | Change::Agreed => n,
        };
        merged.choices.extend(choice.map(|choice| (path.clone(), choice.clone())));
    }
    // What was chosen: nothing, or by hand this.
    let hand = |side: Option<&Group>| side.map(|side| side.link.clone().filter(|_| side.manual));
    let [o, m, n] = sides.map(hand);
    let takes_mine = matches!(change(o.as_ref(), m.as_ref(), n.as_ref()), Change::Mine | Change::Conflict);
    let by_hand = if takes_mine { m.or(n) } else { n.or(m) }.flatten();
    merged.manual = by_hand.is_some();
    // Among equals the one that is chosen now stays.
    merged.link = by_hand.or_else(|| mine.or(new).and_then(|side| side.link.clone()));
    merged
}

/// The choice of the highest priority; among equals the one the link leads to.
fn best(group: &Group) -> Option<Vec<u8>> {
    let highest = group.choices.values().map(|(priority, _)| *priority).max()?;
    let mut of_it = group.choices.iter().filter(|(_, (priority, _))| *priority == highest);
    let current = of_it.clone().find(|(path, _)| Some(*path) == group.link.as_ref());
    current.or_else(|| of_it.next()).map(|(path, _)| path.clone())
}

fn finding(severity: Severity, name: &[u8], rebase: &str) -> Finding {
    Finding::new(Class::G3, severity, Subject::Named(readable(name)), rebase)
}

fn lost(name: &[u8], chosen: &[u8], instead: Option<&[u8]>) -> Finding {
    let goes = match instead {
        Some(_) => "goes back to the best choice that is there",
        None => "takes it away, there is no other choice",
    };
    let finding = finding(Severity::Decision, name, goes).seen("chosen by hand and gone", readable(chosen));
    match instead {
        Some(best) => finding
            .seen("chosen instead", readable(best))
            .choice(format!("choose another one first: update-alternatives --config {}", readable(name))),
        None => finding,
    }
}

/// Of the doctor: nobody chose by hand, and the link does not lead to the best choice.
fn astray(name: &[u8], merged: &Group, shown: Option<&Group>) -> Finding {
    let leads = |group: Option<&Group>| {
        group.and_then(|group| group.link.as_deref()).map_or("nothing".to_owned(), readable)
    };
    finding(Severity::Harmless, name, "leaves the link as it is")
        .seen("leads to", leads(shown))
        .seen("the best", leads(Some(merged)))
        .choice(format!("have the best: update-alternatives --auto {}", readable(name)))
}

fn differs(name: &[u8], merged: &Group, shown: Option<&Group>) -> Finding {
    let words = |group: &Group| {
        let names: Vec<String> = group.choices.keys().map(|path| readable(path)).collect();
        names.join(", ")
    };
    let rebase = "merges the choices of both";
    let mut finding = finding(Severity::Automatic, name, rebase).seen("choices", words(merged));
    if let Some(link) = &merged.link {
        let how = if merged.manual { "by hand" } else { "the best" };
        finding = finding.seen("chosen", format!("{}, {how}", readable(link)));
    }
    finding.seen("without a merge", shown.map_or("nothing".to_owned(), words))
}
