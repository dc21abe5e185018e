//! `flipper-undo`: look, plan, show, confirm, act, say what is left to do.

use crate::model::error::{Error, Exit, Result};
use crate::model::{EntryNumber, Kind, ProfileId};
use crate::policy::undo::{Ask, Plan};
use crate::system::pool;

use super::cli::Undo;
use super::report::difference::Length;
use super::session::{ProfileFacts, Session};
use super::state_back::{self, StateBack};
use super::undo_plan::{self, Preview};
use super::{bare, delete, pruned, report, restore, stage, undo_list};

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
    let _lock = if args.dry_run { None } else { Some(session.lock_profile(&id)?) };
    let facts = undo_plan::look(&session, Some(id.as_str()))?;
    if !args.path.is_empty() {
        return restore::run(&session, &facts, ask, &args.path, args.dry_run);
    }
    let plan = undo_plan::plan(&facts, ask)
        .map_err(|error| pruned::name(&session, &facts.id, stage::name_worker(&session, &facts, error)))?;
    let preview = undo_plan::preview(&session, &facts, plan)?;
    let state = state_back::look(&session, &facts, &preview.plan, &preview.changes)?;
    bare::tell(&session);
    show(&session, &facts, &preview, &state);
    if args.dry_run {
        return Ok(Exit::Done);
    }
    report::confirm("go on?", args.common.yes)?;
    let back = state.confirmed(args.common.yes);
    if preview.takes_us_away() {
        stage::keep_programs(&session, &facts)?;
    }
    let staged = stage::act(&session, &facts, &preview.plan, &back)?;
    finish(&facts, &preview, &staged);
    Ok(Exit::Done)
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

/// The preview, in the person's language.
fn show(session: &Session, facts: &ProfileFacts, preview: &Preview, state: &StateBack) {
    if session.common.json {
        return report::json(&json(facts, preview, state));
    }
    report::line(format_args!("{}: {}", facts.id, preview.sentence()));
    for entry in preview.entries(facts) {
        report::line(format_args!("  {}", undo_list::entry_line(entry)));
    }
    for path in preview.conffiles.iter().take(10) {
        report::line(format_args!("  restores {}", path.display()));
    }
    state.show();
    if preview.takes_us_away() {
        report::line("  flipper-profiles itself goes with it: package runs are not protected there any more");
        report::line(format_args!(
            "  (flipper-rescue stays in the pool; from outside: flipper-undo --profile {} --redo)",
            facts.id
        ));
    }
    if let Some(cut) = preview.plan.target().filter(|_| !preview.repairs.is_empty()) {
        let (repairs, newest) = (numbers(&preview.repairs), preview.repairs[0]);
        report::line(format_args!("  entry {repairs} only finished entry {cut}, which was cut: one step"));
        report::line(format_args!("  (flipper-undo {newest} takes back entry {newest} alone)"));
    }
    if let Plan::Stage { cancels: Some(waiting), .. } = &preview.plan {
        report::line(format_args!("  entry {waiting}, which waits for the next start, is dropped for it"));
    }
    if !preview.left_behind.is_empty() {
        let numbers = numbers(&preview.left_behind);
        report::line(match &preview.plan {
            Plan::Stage { .. } => {
                format!("  entries {numbers} went into the root that is being left; its state is kept")
            }
            Plan::Cancel { .. } => format!("  entries {numbers} were made since and stay"),
        });
    }
}

fn numbers(of: &[EntryNumber]) -> String {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn finish(facts: &ProfileFacts, preview: &Preview, staged: &stage::Staged) {
    let number = staged.entry.number;
    let sentence = match (&preview.plan, staged.waits) {
        (Plan::Cancel { entry, .. }, _) => {
            format!("entry {entry} is cancelled (entry {number}): {} stays as it is", facts.id)
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

fn json(facts: &ProfileFacts, preview: &Preview, state: &StateBack) -> serde_json::Value {
    let plan = match &preview.plan {
        Plan::Stage { kind, target, leaves, takes_back, brings_back, cancels, waits } => serde_json::json!({
            "do": if *kind == Kind::Redo { "redo" } else { "undo" }, "target": target, "leaves": leaves,
            "takes_back": takes_back, "brings_back": brings_back, "cancels": cancels, "waits": waits,
        }),
        Plan::Cancel { entry, back_to } => {
            serde_json::json!({"do": "cancel", "entry": entry, "back_to": back_to})
        }
    };
    serde_json::json!({
        "profile": facts.id, "plan": plan, "changes": preview.changes,
        "conffiles": preview.conffiles.iter().map(|p| p.to_string_lossy()).collect::<Vec<_>>(),
        "left_behind": preview.left_behind, "repairs": preview.repairs, "sentence": preview.sentence(),
        "state": state.json(),
    })
}
