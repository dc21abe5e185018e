//! What a repair changes in a profile: what the doctor (`flipper-profile check ID`) found and can set right
//! without anybody seeing a difference. The upper holds more than it has to: copies of files the base has
//! just so, whiteouts over nothing, files that lie below mount points. The merged view is the same before and
//! after, but for the time of a copy that was only touched, and what nobody sees when the profile runs.
//!
//! Whatever else there is to be said of a profile is no business of a repair, unless a path is named
//! ([`named`]): a changed file of the base is somebody's work.

use std::collections::BTreeSet;

use crate::model::edit::Edit;
use crate::model::error::{Error, Result};
use crate::model::tree::{self, Tree, Triple};

use super::check::class::Class;
use super::check::finding::{Finding, Severity, Subject, readable};
use super::check::territory::{self, Territory};

pub mod named;
mod opened;

use opened::Openings;

/// What is done to one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// A copy of what the base has goes (F1).
    DropCopy,
    /// A directory shows the base's again; what was deleted with it is deleted by name from then on (F8).
    Open,
    /// A whiteout goes that hides nothing (F6).
    DropWhiteout,
    /// What lies below a mount point goes (F24).
    DropUnseen,
    /// A directory of the base becomes one of the profile alone.
    Detach,
    /// A deleted file or directory of the base is there again (F5).
    BringBack,
    /// What somebody made of a file of the base goes (F2 to F4).
    TakeBase,
}

impl Act {
    pub const ALL: [Act; 7] = [
        Act::DropCopy,
        Act::Open,
        Act::DropWhiteout,
        Act::DropUnseen,
        Act::Detach,
        Act::BringBack,
        Act::TakeBase,
    ];

    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Act::DropCopy => "drop-copy",
            Act::Open => "open",
            Act::DropWhiteout => "drop-whiteout",
            Act::DropUnseen => "drop-unseen",
            Act::Detach => "detach",
            Act::BringBack => "bring-back",
            Act::TakeBase => "take-base",
        }
    }

    /// `3 copies dropped`
    fn done(self, count: usize) -> String {
        let (one, many, done) = match self {
            Act::DropCopy => ("copy", "copies", "dropped"),
            Act::Open => ("directory", "directories", "opened"),
            Act::DropWhiteout => ("whiteout", "whiteouts", "dropped"),
            Act::DropUnseen => ("unseen file", "unseen files", "dropped"),
            Act::Detach => ("directory", "directories", "made the profile's own"),
            Act::BringBack => ("deleted path", "deleted paths", "brought back"),
            Act::TakeBase => ("change of a base file", "changes of base files", "dropped"),
        };
        format!("{count} {} {done}", if count == 1 { one } else { many })
    }
}

/// One path, and how it is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub act: Act,
    pub path: Vec<u8>,
    edits: Vec<Edit>,
}

impl Step {
    /// As a person reads it: "drops the copy of /usr/bin/cat".
    pub fn line(&self) -> String {
        let path = readable(&self.path);
        match self.act {
            Act::DropCopy => format!("drops the copy of /{path}"),
            Act::Open => format!("opens /{path}, and deletes by name what was deleted with it"),
            Act::DropWhiteout => format!("drops the whiteout /{path}, which hides nothing"),
            Act::DropUnseen => format!("drops /{path}, which nobody sees when the profile runs"),
            Act::Detach => format!("makes /{path} a directory of the profile alone, with all that is in it"),
            Act::BringBack => format!("brings back /{path}, as the base has it"),
            Act::TakeBase => format!("drops what was made of /{path}: the base's shows again"),
        }
    }
}

/// A whole repair.
#[derive(Clone, Debug, Default)]
pub struct Mending {
    /// What a person confirms. When it is carried out on the copy that was taken of the profile, it must
    /// still be the same.
    pub steps: Vec<Step>,
    /// Goes along, and is no reason for a repair: only another base would ever notice (F7, F18).
    along: Vec<Edit>,
    /// Directories that are left empty by it.
    emptied: Vec<Edit>,
}

/// What is looked at: the doctor's findings, and what they are about.
pub struct Patient<'a> {
    pub findings: &'a [Finding],
    /// Of the root, beside its base twice.
    pub triples: &'a [Triple],
    pub base: &'a dyn Tree,
    /// The upper over the base: what the person has.
    pub merged: &'a dyn Tree,
}

/// Everything the doctor found that can be set right by itself.
pub fn plan(patient: &Patient) -> Result<Mending> {
    need_one_overlay(patient.findings)?;
    let mut openings = Openings::of(patient.triples);
    let mut steps = Vec::new();
    for finding in patient.findings.iter().filter(|finding| mends(finding)) {
        let Subject::Path(path) = &finding.subject else { continue };
        let act = match finding.class {
            Class::F1 => Act::DropCopy,
            Class::F6 => Act::DropWhiteout,
            Class::F24 => Act::DropUnseen,
            _ => continue, // F13: parted names are one file again when the copy goes
        };
        if act == Act::DropCopy {
            openings.open_above(path);
        }
        steps.push(Step { act, path: path.clone(), edits: vec![Edit::Drop(path.clone())] });
    }
    steps.extend(openings.steps(patient.base)?);
    steps.sort_by(|a, b| a.act.cmp(&b.act).then_with(|| tree::order(&a.path, &b.path)));
    let along = along(patient.triples, &steps);
    let emptied = emptied(&steps);
    Ok(Mending { steps, along, emptied })
}

/// Does a plain repair set this finding of the doctor right?
pub fn mends(finding: &Finding) -> bool {
    match finding.class {
        Class::F1 | Class::F6 | Class::F24 => true,
        Class::F13 => finding.severity == Severity::Automatic,
        _ => false,
    }
}

/// What is somebody's work is mended when it is named.
fn mends_when_named(class: Class) -> bool {
    matches!(class, Class::F2 | Class::F3 | Class::F4 | Class::F5)
}

/// Says in a finding of the doctor how to have the base's file again.
pub fn offer(finding: &mut Finding, profile: &str) {
    if let (true, Subject::Path(path)) = (mends_when_named(finding.class), &finding.subject) {
        let path = readable(path);
        finding.choices.push(format!("have the base's: flipper-profile repair {profile} --path /{path}"));
    }
}

/// Marks of other overlays mean that what lies here may be something else than it seems; a subvolume is in
/// no snapshot, and would be missing in the new root.
fn need_one_overlay(findings: &[Finding]) -> Result<()> {
    let in_the_way = |finding: &&Finding| matches!(finding.class, Class::F17 | Class::F19 | Class::F21);
    match findings.iter().find(in_the_way) {
        None => Ok(()),
        Some(finding) => Err(Error::NotMendable {
            what: finding.subject.text(),
            why: format!("it has a {} (class {})", finding.class.title(), finding.class),
        }),
    }
}

impl Mending {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// In the order in which they are carried out.
    pub fn edits(&self) -> Vec<Edit> {
        let steps = self.steps.iter().flat_map(|step| &step.edits);
        steps.chain(&self.along).chain(&self.emptied).cloned().collect()
    }

    /// `3 copies dropped, 1 directory opened`; what goes along is counted too.
    pub fn outcome(&self) -> String {
        let count = |act: Act| {
            let along = if act == Act::Open { self.opened_along() } else { 0 };
            self.steps.iter().filter(|step| step.act == act).count() + along
        };
        let counts = Act::ALL.into_iter().map(|act| (act, count(act))).filter(|(_, count)| *count > 0);
        counts.map(|(act, count)| act.done(count)).collect::<Vec<_>>().join(", ")
    }

    /// Directories dpkg made that would hide what a later base has there.
    pub fn opened_along(&self) -> usize {
        self.along.iter().filter(|edit| matches!(edit, Edit::Open(_))).count()
    }
}

/// Notes of the base a file came from: right as long as the base stays, and of no use.
const NOTES: [&str; 4] =
    ["trusted.overlay.impure", "trusted.overlay.nlink", "trusted.overlay.origin", "trusted.overlay.uuid"];

/// F7 and F18, of what is left.
fn along(triples: &[Triple], steps: &[Step]) -> Vec<Edit> {
    let dropped: BTreeSet<&[u8]> =
        steps.iter().filter(|step| step.act != Act::Open).map(|step| &*step.path).collect();
    let mut edits = Vec::new();
    for triple in triples.iter().filter(|t| t.mine.is_some() && !dropped.contains(&*t.path)) {
        let in_the_base = triple.old.as_ref().is_some_and(|old| old.is_directory());
        if triple.opaque && !in_the_base {
            edits.push(Edit::Open(triple.path.clone()));
        }
        for note in NOTES.iter().filter(|note| triple.has_mark(note)) {
            let (path, name) = (triple.path.clone(), note.as_bytes().to_vec());
            edits.push(Edit::Attribute { path, name, value: None });
        }
    }
    edits
}

/// The directories below a mount point that held what goes, the deepest first.
fn emptied(steps: &[Step]) -> Vec<Edit> {
    let unseen = steps.iter().filter(|step| step.act == Act::DropUnseen);
    let above = unseen.flat_map(|step| tree::above(&step.path));
    let hidden: BTreeSet<&[u8]> = above.filter(|dir| territory::of(dir) == Territory::Hidden).collect();
    hidden.into_iter().rev().map(|dir| Edit::DropIfEmpty(dir.to_vec())).collect()
}

#[cfg(test)]
mod tests;
