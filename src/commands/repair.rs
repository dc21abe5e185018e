//! `flipper-profile repair [ID]`: what the doctor found and can be set right by itself. Look, plan, show,
//! confirm, then once more on the copy that was taken of the profile: only what was confirmed is done.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::dpkg::file_list;
use crate::model::error::{Error, Exit, Result};
use crate::model::layout::RootDir;
use crate::model::{Entry, Kind};
use crate::policy::mend::{self, Mending, Patient};
use crate::system::edits::{self, Place};
use crate::system::layers::Merged;
use crate::system::{roots, state};

use super::check::diagnose;
use super::cli::{self, Common};
use super::remake::{self, Order};
use super::session::{ProfileFacts, Session};
use super::{report, undo_plan};

/// Lines of what was done that an entry keeps.
const NOTED: usize = 100;

pub fn run(common: &Common, args: &cli::Repair) -> Result<Exit> {
    let session = if args.dry_run { Session::to_read(common)? } else { Session::to_change(common)? };
    let id = session.profile(args.id.as_deref())?;
    let _lock = if args.dry_run { None } else { Some(session.lock_profile(&id)?) };
    let facts = undo_plan::look(&session, Some(id.as_str()))?;
    remake::need_none_waiting(&facts, "a repair")?;
    let named = named(&facts, &args.path)?;
    let plan = plan(&session, &facts, &facts.dir.root(facts.current), &named)?;
    let base = roots::base_of(&facts.dir.root(facts.current))?;
    report::mend::show(&session, &facts, &plan, args.all);
    if args.dry_run || plan.is_empty() {
        return Ok(Exit::Done);
    }
    if !session.pool.layout.base(&base).is_dir() {
        return Err(Error::NoSuchBase { version: base });
    }
    report::confirm("go on?", session.common.yes)?;
    let order =
        Order { kind: Kind::Repair, base, command_line: command_line(&facts, &args.path), flip: None };
    let staged = remake::remake(&session, &facts, &order, |entry, root| {
        let fresh = self::plan(&session, &facts, root, &named)?;
        if fresh.steps != plan.steps {
            return Err(Error::Busy { what: format!("{id}: it is not as it was in the preview any more") });
        }
        carry_out(&session, entry, root, &fresh)
    })?;
    report::mend::finish(&facts, &staged, &plan);
    Ok(Exit::Done)
}

fn plan(session: &Session, facts: &ProfileFacts, root: &RootDir, named: &[Vec<u8>]) -> Result<Mending> {
    let found = diagnose(session, &facts.id, root)?;
    let merged = Merged { upper: &found.upper, base: &found.base };
    let (findings, triples) = (&found.findings[..], &found.upper.triples[..]);
    let patient = Patient { findings, triples, base: &found.base, merged: &merged };
    match named {
        [] => mend::plan(&patient),
        paths => mend::named::plan(&patient, paths),
    }
}

fn carry_out(session: &Session, entry: &mut Entry, root: &RootDir, plan: &Mending) -> Result<String> {
    let layout = &session.pool.layout;
    let base = layout.base(&roots::base_of(root)?);
    let saved = entry.profile.as_ref().map(|id| layout.papers(id, entry.number).join("saved"));
    let (upper, saved) = (root.upper(), saved.unwrap_or_default());
    edits::carry_out(
        &Place { upper: &upper, old_base: &base, new_base: &base, saved: &saved },
        &plan.edits(),
    )?;
    let mut lines: Vec<String> = plan.steps.iter().take(NOTED).map(mend::Step::line).collect();
    if plan.steps.len() > NOTED {
        lines.push(format!("and {} more", plan.steps.len() - NOTED));
    }
    entry.note_mended(lines);
    Ok(plan.outcome())
}

/// As typed, relative to the root and below the merged /usr: dpkg speaks of `/lib/x` too.
fn named(facts: &ProfileFacts, paths: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let in_state = state::found(&facts.dir.state())?;
    let inside = |path: &PathBuf| {
        let refused =
            |why: &str| Err(Error::NotMendable { what: path.display().to_string(), why: why.into() });
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return refused("it must be an absolute path without ..");
        }
        let inside: PathBuf = path.components().skip(1).collect();
        if in_state.iter().any(|path| inside.starts_with(path.inside())) || inside.starts_with("home") {
            return refused("it lies in no root: neither undo nor a repair changes it");
        }
        Ok(file_list::canonical(inside.as_os_str().as_bytes()).into_owned())
    };
    paths.iter().map(inside).collect()
}

fn command_line(facts: &ProfileFacts, paths: &[PathBuf]) -> String {
    let paths = paths.iter().map(|path: &PathBuf| format!(" --path {}", Path::display(path)));
    format!("flipper-profile repair {}{}", facts.id, paths.collect::<String>())
}
