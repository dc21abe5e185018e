//! `flipper-profile reset`: back to the pristine state of a profile, as an entry like every other. Home and
//! state/ stay, unless --wipe begins state/ anew.

use crate::model::ProfileId;
use crate::model::error::{Exit, Result};

use super::cli::{Common, Reset};
use super::session::Session;
use super::undo::{self, How};
use super::{keep, undo_plan};

pub fn run(common: &Common, args: &Reset) -> Result<Exit> {
    let id: ProfileId = args.id.parse()?;
    let session = if args.dry_run { Session::to_read(common)? } else { Session::to_change(common)? };
    session.need_profile(&id)?;
    let _lock = if args.dry_run { None } else { Some(session.lock_profile(&id)?) };
    let facts = undo_plan::look(&session, Some(id.as_str()))?;
    let keep = keep::asked(&args.keep, &facts)?;
    let plan = undo_plan::reset(&session, &facts, args.wipe)?;
    let preview = undo_plan::preview(&session, &facts, plan)?;
    // All of what changed since the profile was made is looked through for it: not where nobody asks.
    let counts = !common.yes || args.dry_run || common.json || args.verbose || keep.by_name();
    let how = How { keep, dry_run: args.dry_run, verbose: args.verbose, counts };
    undo::carry_out(&session, &facts, preview, &how).map(|_| Exit::Done)
}
