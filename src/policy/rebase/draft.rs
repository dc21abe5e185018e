//! A plan while it is made: one decision for a path, and the edits they come to, in an order in which each
//! can be carried out.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::edit::{Edit, From, Owner};
use crate::model::numbers::{Numbers, is_acl};
use crate::model::tree::{self, Object, Triple};
use crate::policy::check::Look;

use super::Plan;
use super::accounts;

/// What becomes of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It stays as the upper has it.
    Keep,
    /// The base shows through.
    Drop,
    /// A whiteout.
    Hide,
    /// As a base has it, in the upper.
    Copy(From),
    /// The candidate's content, with what the person changed of mode, owner and attributes.
    Changed(Attributes),
    Write(Vec<u8>, Option<Owner>),
    Link(Vec<u8>),
    /// A directory of the upper: the candidate's attributes where it has them; it goes if nothing is in it.
    Directory {
        takes: bool,
        opens: bool,
        goes_if_empty: bool,
    },
    /// What the candidate has at that path, beside the person's own.
    CopyOf(Vec<u8>),
    /// What the upper has there takes this name.
    MovedFrom(Vec<u8>),
    /// It was moved away.
    Moved,
}

/// How an object is to be, besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub owner: Owner,
    /// None: the attribute goes.
    pub xattrs: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Attributes {
    /// The candidate's, with each change the person made to what the old base has.
    pub fn three_way(old: &Object, mine: &Object, new: &Object) -> Attributes {
        let pick = |old: u32, mine: u32, new: u32| if old == mine { new } else { mine };
        let owner = Owner {
            mode: pick(old.mode.into(), mine.mode.into(), new.mode.into()) as u16,
            uid: pick(old.uid, mine.uid, new.uid),
            gid: pick(old.gid, mine.gid, new.gid),
        };
        let none = BTreeMap::new();
        let [o, m, n] = [old, mine, new].map(|object| object.xattrs.as_ref().unwrap_or(&none));
        let names: BTreeSet<&Vec<u8>> = o.keys().chain(m.keys()).collect();
        let changed = names.into_iter().filter(|name| o.get(*name) != m.get(*name));
        let xattrs = changed.filter(|name| m.get(*name) != n.get(*name));
        let xattrs = xattrs.map(|name| (name.clone(), m.get(name).cloned())).collect();
        Attributes { owner, xattrs }
    }

    /// Where it is the person who gave it that owner, the account may have another number now.
    fn renumbered(&self, triple: Option<&Triple>, numbers: &Numbers) -> Attributes {
        let mut given = self.clone();
        let sides = triple.and_then(|t| t.old.as_deref().zip(t.mine.as_deref()));
        if sides.is_some_and(|(old, mine)| old.uid != mine.uid) {
            given.owner.uid = numbers.user(given.owner.uid);
        }
        if sides.is_some_and(|(old, mine)| old.gid != mine.gid) {
            given.owner.gid = numbers.group(given.owner.gid);
        }
        for value in given.xattrs.iter_mut().filter(|(name, _)| is_acl(name)).filter_map(|(_, v)| v.as_mut())
        {
            *value = numbers.acl(value).unwrap_or_else(|| value.clone());
        }
        given
    }
}

/// Sorted as [`tree::order`] sorts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub Vec<u8>);

impl Ord for Path {
    fn cmp(&self, other: &Path) -> std::cmp::Ordering {
        tree::order(&self.0, &other.0)
    }
}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Path) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Default)]
pub struct Draft {
    decisions: BTreeMap<Path, Decision>,
    saved: BTreeSet<Vec<u8>>,
    /// Paths that are not as their package has them, and need not be: configuration that stays deleted with a
    /// directory above it, texts of both sides.
    pub kept: BTreeSet<Vec<u8>>,
}

impl Draft {
    /// A later decision takes the place of an earlier one.
    pub fn decide(&mut self, path: &[u8], decision: Decision) {
        self.decisions.insert(Path(path.to_vec()), decision);
    }

    pub fn of(&self, path: &[u8]) -> Option<&Decision> {
        self.decisions.get(&Path(path.to_vec()))
    }

    /// A copy of what the person has there goes to saved/.
    pub fn save(&mut self, path: &[u8]) {
        self.saved.insert(path.to_vec());
    }

    /// Is anything below that directory to be in the upper afterwards?
    fn has_content_below(&self, dir: &[u8]) -> bool {
        let below = self.decisions.range(Path(dir.to_vec())..).skip_while(|(path, _)| path.0 == dir);
        let mut below = below.take_while(|(path, _)| tree::is_below(&path.0, dir));
        below.any(|(_, decision)| {
            !matches!(decision, Decision::Drop | Decision::Moved | Decision::Directory { .. })
        })
    }

    pub fn finish(self, look: &Look, numbers: Numbers) -> Plan {
        let mut edits: Vec<Edit> = self.saved.iter().cloned().map(Edit::Save).collect();
        let (mut goes, mut comes, mut directories) = (Vec::new(), Vec::new(), Vec::new());
        for (Path(path), decision) in &self.decisions {
            match decision {
                Decision::Drop => goes.push(Edit::Drop(path.clone())),
                Decision::Directory { .. } => {
                    let edits = self.directory(look, &numbers, path, decision);
                    directories.extend(edits.into_iter().rev());
                }
                Decision::Changed(wanted) => {
                    let wanted = wanted.renumbered(look.triple(path), &numbers);
                    comes.push(Edit::Copy { path: path.clone(), from: From::NewBase });
                    comes.extend(attribute_edits(path, &wanted, None));
                }
                other => comes.extend(coming(path, other)),
            }
        }
        // From the inside out: what is in a directory before the directory.
        edits.extend(goes.into_iter().rev());
        edits.extend(comes);
        let stays = |triple: &&Triple| {
            let decision = self.of(&triple.path);
            triple.mine.is_some()
                && !matches!(decision, Some(Decision::Drop | Decision::Hide | Decision::Moved))
        };
        for triple in look.trees.triples.iter().filter(stays) {
            edits.extend(unmarked(triple));
        }
        edits.extend(accounts::renumbered(look, &numbers, |path| self.of(path)));
        let copied = self.decisions.iter().filter(|(_, d)| **d == Decision::Copy(From::OldBase));
        edits.extend(copied.flat_map(|(path, _)| accounts::materialised(look, &numbers, &path.0)));
        edits.extend(directories.into_iter().rev());
        let mut kept = self.kept.clone();
        let mut hidden = BTreeSet::new();
        for (Path(path), decision) in &self.decisions {
            let whiteout = look.triple(path).is_some_and(Triple::is_whiteout);
            match decision {
                Decision::Keep if whiteout => drop(hidden.insert(path.clone())),
                Decision::Hide => drop(hidden.insert(path.clone())),
                Decision::Keep => drop(kept.insert(path.clone())),
                _ => {}
            }
        }
        Plan { edits, saved: self.saved.into_iter().collect(), numbers, kept, hidden }
    }

    fn directory(&self, look: &Look, numbers: &Numbers, path: &[u8], decision: &Decision) -> Vec<Edit> {
        let Decision::Directory { takes, opens, goes_if_empty } = *decision else { return Vec::new() };
        let mut edits = Vec::new();
        let triple = look.triple(path);
        if opens {
            edits.push(Edit::Open(path.to_vec()));
        }
        let attributes = triple.and_then(|t| {
            let (old, mine, new) = (t.old.as_deref()?, t.mine.as_deref()?, t.new.as_deref()?);
            let both = old.is_directory() && new.is_directory();
            both.then(|| Attributes::three_way(old, mine, new).renumbered(triple, numbers))
        });
        match attributes {
            _ if takes => edits.push(Edit::Copy { path: path.to_vec(), from: From::NewBase }),
            Some(wanted) => {
                edits.extend(attribute_edits(path, &wanted, triple.and_then(|t| t.mine.as_deref())))
            }
            None => {}
        }
        if goes_if_empty && !self.has_content_below(path) {
            edits.push(Edit::DropIfEmpty(path.to_vec()));
        }
        edits
    }
}

/// Only what is not so already.
fn attribute_edits(path: &[u8], wanted: &Attributes, now: Option<&Object>) -> Vec<Edit> {
    let is = now.map(|now| Owner { mode: now.mode, uid: now.uid, gid: now.gid });
    let mut edits = Vec::new();
    if is != Some(wanted.owner) {
        edits.push(Edit::Owner { path: path.to_vec(), owner: wanted.owner });
    }
    for (name, value) in &wanted.xattrs {
        edits.push(Edit::Attribute { path: path.to_vec(), name: name.clone(), value: value.clone() });
    }
    edits
}

fn coming(path: &[u8], decision: &Decision) -> Vec<Edit> {
    let path = path.to_vec();
    match decision {
        Decision::Keep | Decision::Drop | Decision::Moved => Vec::new(),
        Decision::Directory { .. } | Decision::Changed(_) => Vec::new(), // these know more
        Decision::Hide => vec![Edit::Hide(path)],
        Decision::Copy(from) => vec![Edit::Copy { path, from: *from }],
        Decision::CopyOf(of) => vec![Edit::CopyOf { path, of: of.clone() }],
        Decision::MovedFrom(from) => vec![Edit::Rename { path: from.clone(), to: path }],
        Decision::Link(target) => vec![Edit::Link { path, target: target.clone() }],
        Decision::Write(text, owner) => vec![Edit::Write { path, text: text.clone(), owner: *owner }],
    }
}

/// Marks of overlayfs that tell of the base that was below.
fn unmarked(triple: &Triple) -> impl Iterator<Item = Edit> {
    const OF_THE_BASE: [&str; 4] = ["origin", "impure", "nlink", "uuid"];
    let marks = OF_THE_BASE.map(|name| format!("trusted.overlay.{name}"));
    let there = marks.into_iter().filter(|mark| triple.has_mark(mark));
    let edit =
        |name: String| Edit::Attribute { path: triple.path.clone(), name: name.into_bytes(), value: None };
    there.map(edit).collect::<Vec<_>>().into_iter()
}
