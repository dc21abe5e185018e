//! `flipper-undo`: look, plan, show, confirm, act, say what is left to do.

use crate::model::error::{Error, Exit, Result};
use crate::model::own::Own;
use crate::model::{EntryNumber, ProfileId};
use crate::policy::undo::{Ask, Plan};
use crate::system::{btrfs, pool, refused};

use super::cli::Undo;
use super::preview_shown::{self, Lines};
use super::report::difference::Length;
use super::restart::{self, Restart};
use super::session::{ProfileFacts, Session};
use super::stage::Staged;
use super::state_back::{self, StateBack};
use super::undo_plan::{self, Preview, State};
use super::{bare, delete, keep, own, pruned, report, restore, stage, undo_list};

pub fn run(args: &Undo) -> Result<Exit> {
    let ask = ask(args)?;
    if args.list {
        return undo_list::list(&args.common, args.profile.as_deref());
    }
    if let Some(number) = &args.show {
        let length = Length::asked(args.stat, args.all);
        return undo_list::show(&args.common, args.profile.as_deref(), number.parse()?, length);
    }
    // A dry run looks with a reader's eyes: recover mends nothing, but is asked what it would say.
    let session = match args.dry_run {
        true => Session::to_read(&args.common)?,
        false => Session::mending_if_allowed(&args.common)?,
    };
    if let Some(id) = deleted_profile(&session, args)? {
        return delete::undelete(&session, &id);
    }
    let id = session.profile(args.profile.as_deref())?;
    let lock = if args.dry_run { None } else { Some(session.lock_profile(&id)?) };
    let facts = undo_plan::look(&session, Some(id.as_str()))?;
    if ask == Ask::Cancel && undo_plan::waiting(&facts).is_none() {
        if let Some((number, _)) = refused::find(&facts.dir)? {
            return drop_refused(&session, &facts, number, args.dry_run);
        }
    }
    if !args.path.is_empty() {
        return restore::run(&session, &facts, ask, &args.path, args.dry_run);
    }
    let plan = undo_plan::plan(&facts, ask)
        .map_err(|error| pruned::name(&session, &facts.id, stage::name_worker(&session, &facts, error)))?;
    let preview = undo_plan::preview(&session, &facts, plan)?;
    let keep = keep::asked(&args.keep, &facts)?;
    let how = How { keep, dry_run: args.dry_run, verbose: args.verbose, counts: true };
    let restart = Restart::asked(args);
    restart::need_machine(&session, &facts, restart)?;
    let staged = carry_out(&session, &facts, preview, &how)?;
    drop(lock);
    match staged {
        Some(staged) if staged.waits => restart::restart(&session, &facts, restart),
        _ => Ok(Exit::Done),
    }
}

/// Nothing waits, but a rebase left what it refused.
fn drop_refused(session: &Session, facts: &ProfileFacts, number: EntryNumber, dry_run: bool) -> Result<Exit> {
    report::line(format_args!("{}: drops the root that the rebase {number} refused", facts.id));
    if dry_run {
        return Ok(Exit::Done);
    }
    report::confirm("go on?", session.common.yes)?;
    session.pool.need_writable_format()?;
    refused::drop_kept(&session.pool, &facts.dir)?;
    report::line("done");
    Ok(Exit::Done)
}

/// What was said beside the plan.
pub struct How {
    pub keep: keep::Asked,
    pub dry_run: bool,
    /// Every file of the person's own, not only some.
    pub verbose: bool,
    /// Looks for what of the person's own goes along.
    pub counts: bool,
}

/// Shows a plan, asks, and does it: for undo and reset alike. None: it was only shown.
pub fn carry_out(
    session: &Session,
    facts: &ProfileFacts,
    preview: Preview,
    how: &How,
) -> Result<Option<Staged>> {
    if matches!(preview.plan, Plan::Cancel { .. }) && !how.keep.is_empty() {
        return Err(Error::Usage("nothing is taken back here: there is nothing to --keep from it".into()));
    }
    let own = own_of(session, facts, &preview, how);
    let may_ask = !how.dry_run && !session.common.yes && !session.common.json && report::may_ask();
    bare::tell(session);
    let state = state_of(session, facts, &preview)?;
    let left = keep::left_state(facts, &preview.plan, sides(&preview))?;
    let keeps = keep::choose(&how.keep, &left, &own, sides(&preview), false)?;
    let lines = Lines { keeps: &keeps, own: &own, state: &state };
    preview_shown::show(session, facts, &preview, &lines, how.verbose);
    if how.dry_run {
        return Ok(None);
    }
    let keeps = keep::choose(&how.keep, &left, &own, sides(&preview), may_ask)?;
    if !keeps.is_empty() {
        session.pool.need_writable_format()?;
    }
    report::confirm("go on?", session.common.yes)?;
    let back = state.confirmed(session.common.yes);
    if preview.takes_us_away() {
        stage::keep_programs(session, facts)?;
    }
    let staged = stage::act(session, facts, &preview.plan, &keeps, &back)?;
    finish(facts, &preview, &staged);
    Ok(Some(staged))
}

fn sides(preview: &Preview) -> &[State] {
    preview.sides.as_ref().map_or(&[], |sides| sides.as_slice())
}

/// Where all of state/ changes, nothing of it is put back by itself.
fn state_of(session: &Session, facts: &ProfileFacts, preview: &Preview) -> Result<StateBack> {
    match preview.state {
        Some(_) => {
            // Not refused: any user could then keep the owner from an undo.
            for inside in btrfs::nested(&facts.dir.state())? {
                let path = inside.display();
                report::note(format_args!(
                    "note: /{path} is a subvolume of its own, in no snapshot: it goes"
                ));
            }
            Ok(StateBack::default())
        }
        None => state_back::look(session, facts, &preview.plan, &preview.changes),
    }
}

/// What cannot be looked at is not in the way of the undo that mends it.
fn own_of(session: &Session, facts: &ProfileFacts, preview: &Preview, how: &How) -> Own {
    let Some([then, now]) = preview.sides.as_ref().filter(|_| how.counts) else { return Own::default() };
    let found = own::look(session, facts, preview.plan.target(), [then, now]);
    found.unwrap_or_else(|error| {
        report::note(format_args!("note: files of your own were not looked for: {error}"));
        Own::default()
    })
}

fn ask(args: &Undo) -> Result<Ask> {
    match &args.entry {
        Some(text) => Ok(Ask::To(text.parse::<EntryNumber>()?)),
        None if args.redo => Ok(Ask::Redo),
        None if args.cancel => Ok(Ask::Cancel),
        None => Ok(Ask::Last),
    }
}

/// `flipper-undo --profile ID` of a profile that was deleted takes the delete back.
fn deleted_profile(session: &Session, args: &Undo) -> Result<Option<ProfileId>> {
    let Some(text) = &args.profile else { return Ok(None) };
    let id: ProfileId = text.parse()?;
    match session.need_profile(&id) {
        Err(Error::ProfileDeleted { .. }) if args.entry.is_none() && !args.dry_run => Ok(Some(id)),
        Err(Error::NoSuchProfile { .. }) => Err(Error::NoSuchProfile { id }),
        _ => Ok(None),
    }
}

fn finish(facts: &ProfileFacts, preview: &Preview, staged: &stage::Staged) {
    let number = staged.entry.number;
    let sentence = match (&preview.plan, staged.waits) {
        (Plan::Cancel { entry, .. }, _) => {
            format!("entry {entry} is cancelled (entry {number}): {} stays as it is", facts.id)
        }
        (Plan::Reset { .. }, false) => {
            format!("done (entry {number}): {} is as it was made; flipper-undo takes it back", facts.id)
        }
        (_, false) => format!("done (entry {number}): {} is back", facts.id),
        (_, true) if runs_here(facts) => {
            format!(
                "staged (entry {number}): it counts when this run is left and started again; --cancel drops it"
            )
        }
        (_, true) => format!("staged (entry {number}): restart the profile to finish; --cancel drops it"),
    };
    report::note(sentence);
}

fn runs_here(facts: &ProfileFacts) -> bool {
    let booted = pool::booted().ok().flatten();
    booted.is_some_and(|b| b.profile == facts.id && b.mode == crate::model::booted::Mode::Run)
}
