//! A path that somebody named is mended though it is no mistake: a directory of the base is made the
//! profile's own, so that dpkg can replace it by something else (overlayfs refuses to rename one that
//! belongs to two layers: "Invalid cross-device link"), and a deleted or changed file of the base is as the
//! base has it.

use crate::model::edit::Edit;
use crate::model::error::{Error, Result};
use crate::model::tree::{self, Object};
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Subject, readable};
use crate::policy::check::territory::{self, Territory};

use super::opened::Openings;
use super::{Act, Mending, Patient, Step, mends_when_named, need_one_overlay};

/// `paths`: relative to the root. A directory that is the profile's own already needs nothing.
pub fn plan(patient: &Patient, paths: &[Vec<u8>]) -> Result<Mending> {
    need_one_overlay(patient.findings)?;
    let mut openings = Openings::of(patient.triples);
    let mut steps: Vec<Step> = Vec::new();
    for path in paths {
        let within = |step: &Step| step.path == *path || tree::is_below(path, &step.path);
        if steps.iter().any(within) {
            continue; // it goes with the directory that was named before
        }
        need_no_link_above(patient, path)?;
        let step = match patient.merged.find(path)? {
            Some(object) if object.is_directory() => detach(patient, path)?,
            Some(object) => Some(as_the_base_has_it(patient, path, Some(&object))?),
            None => Some(as_the_base_has_it(patient, path, None)?),
        };
        if step.as_ref().is_some_and(|step| step.act != Act::Detach) {
            openings.open_above(path);
        }
        steps.extend(step);
    }
    steps.extend(openings.steps(patient.base)?);
    Ok(Mending { steps, ..Mending::default() })
}

fn refused(path: &[u8], why: impl Into<String>) -> Error {
    Error::NotMendable { what: format!("/{}", readable(path)), why: why.into() }
}

fn need_no_link_above(patient: &Patient, path: &[u8]) -> Result<()> {
    if path.is_empty() || matches!(territory::of(path), Territory::Hidden | Territory::Running) {
        return Err(refused(path, "name a path of the system in it, e.g. /usr/share/doc"));
    }
    for above in tree::above(path) {
        if patient.merged.find(above)?.is_some_and(|object| object.is_link()) {
            let link = readable(above);
            return Err(refused(path, format!("/{link} is a link: name the place it leads to")));
        }
    }
    Ok(())
}

/// None: nothing of the base is in it, dpkg can replace it already.
fn detach(patient: &Patient, path: &[u8]) -> Result<Option<Step>> {
    let in_the_base = patient.base.find(path)?.is_some_and(|object| object.is_directory());
    let edits = vec![Edit::Detach(path.to_vec())];
    let step = Step { act: Act::Detach, path: path.to_vec(), edits };
    Ok((in_the_base && base_shows(patient, path)).then_some(step))
}

/// Is nothing of the upper, at the path or above it, in the way of the base's directory?
fn base_shows(patient: &Patient, path: &[u8]) -> bool {
    let mut down_to_it = tree::above(path).chain([path]);
    !down_to_it.any(|dir| {
        let at = patient.triples.binary_search_by(|triple| tree::order(&triple.path, dir));
        at.is_ok_and(|at| patient.triples[at].opaque)
    })
}

/// Only what the doctor speaks of: another path is nobody's mistake.
fn as_the_base_has_it(patient: &Patient, path: &[u8], mine: Option<&Object>) -> Result<Step> {
    let is_it = |subject: &Subject| matches!(subject, Subject::Path(other) if other == path);
    let mut classes = patient.findings.iter().filter(|f| is_it(&f.subject)).map(|f| f.class);
    let class = classes.find(|class| *class == Class::F1 || mends_when_named(*class));
    let act = match (class, mine) {
        (Some(Class::F1), _) => Act::DropCopy,
        (Some(Class::F5), _) => Act::BringBack,
        (Some(_), _) => Act::TakeBase,
        (None, Some(_)) => {
            return Err(refused(path, "it is no directory, and no file of the base that was changed"));
        }
        (None, None) => return Err(refused(path, why_it_is_not_there(patient, path)?)),
    };
    Ok(Step { act, path: path.to_vec(), edits: vec![Edit::Drop(path.to_vec())] })
}

fn why_it_is_not_there(patient: &Patient, path: &[u8]) -> Result<String> {
    for above in tree::above(path) {
        if patient.merged.find(above)?.is_none() {
            return Ok(format!("/{} is not there: name that", readable(above)));
        }
    }
    Ok("it is not there, and was no file of an installed package of the base (a conffile comes back with \
        dpkg --force-confmiss)"
        .to_owned())
}
