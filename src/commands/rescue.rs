//! flipper-rescue: list and stage from btrfs alone. Static, without SQLite, so that it works when the
//! profile it is called in has lost libc, and from the initramfs.

use crate::model::carried::Keeps;
use crate::model::error::{Error, Exit, Result};
use crate::model::{EntryNumber, ProfileId};
use crate::policy::undo::Ask;
use crate::system::{roots, upper};

use super::cli::{Common, Rescue, RescueVerb};
use super::session::Session;
use super::{assemble, bare, pruned, report, stage, undo_plan};

pub fn run(args: &Rescue) -> Result<Exit> {
    match &args.verb {
        RescueVerb::List { id } => list(&args.common, id.as_deref()),
        RescueVerb::Stage { id, entry } => {
            let session = Session::mending_if_allowed(&args.common)?;
            stage(&session, &id.parse()?, entry, args.common.yes).map(|()| Exit::Done)
        }
        RescueVerb::Assemble(asked) => assemble::run(&args.common, asked),
    }
}

fn list(common: &Common, id: Option<&str>) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let ids = match id {
        Some(text) => vec![session.profile(Some(text))?],
        None => session.profiles()?,
    };
    let mut found = Vec::new();
    for id in ids {
        let dir = session.need_profile(&id)?;
        let current = roots::current(&dir)?;
        let points = roots::numbers(&dir.snapshots())?;
        found.push(serde_json::json!({"profile": id, "current": current, "points": points}));
        if common.json {
            continue;
        }
        report::line(format_args!("{id}: root {current}"));
        for number in points.iter().rev() {
            report::line(format_args!("  {}", point_line(&session, &id, *number)?));
        }
    }
    if common.json {
        report::json(&found.into());
    }
    Ok(Exit::Done)
}

/// "57  before: apt upgrade  (142 packages)"; what the journal lost, the point itself still says.
fn point_line(session: &Session, id: &ProfileId, number: EntryNumber) -> Result<String> {
    let point = session.need_profile(id)?.point(number);
    let base = roots::base_of(&point).map(|base| session.pool.layout.base(&base));
    let status = base.and_then(|base| upper::read(&point, &base, "var/lib/dpkg/status")).ok().flatten();
    let status = status.unwrap_or_default(); // what is damaged must not hide the other points
    let packages = crate::dpkg::Status::parse(&status).map(|s| s.packages.len()).unwrap_or(0);
    let entry = session.journal.entry(Some(id), number).ok().flatten();
    let what = entry.map_or("(its entry is lost)".to_owned(), |entry| {
        entry.command_line.clone().unwrap_or_else(|| entry.kind.name().to_owned())
    });
    Ok(format!("{number}  before: {what}  ({packages} packages)"))
}

/// `entry`: its number, or `last`.
pub fn stage(session: &Session, id: &ProfileId, entry: &str, yes: bool) -> Result<()> {
    let _lock = session.lock_profile(id)?;
    let facts = undo_plan::look(session, Some(id.as_str()))?;
    let ask = match entry {
        "last" => Ask::Last,
        number => Ask::To(number.parse()?),
    };
    let preview = match undo_plan::plan(&facts, ask) {
        Ok(plan) => undo_plan::preview(session, &facts, plan)?,
        // What the journal lost, or never had, its point is all that is left of.
        Err(Error::NoSuchEntry { number }) if facts.points.contains(&number) => {
            undo_plan::preview(session, &facts, undo_plan::plan(&facts, Ask::Point(number))?)?
        }
        Err(Error::NoSuchEntry { number }) => return Err(Error::NotInLine { number, profile: id.clone() }),
        Err(other) => return Err(pruned::name(session, id, other)),
    };
    bare::tell(session);
    report::line(format_args!("{id}: {}", preview.sentence()));
    report::line("  state/ is left as it is");
    report::confirm("go on?", yes)?;
    let staged = stage::act(session, &facts, &preview.plan, &Keeps::default(), &[])?;
    let when = if staged.waits { "; restart the profile to finish" } else { "" };
    report::note(format_args!("staged (entry {}){when}", staged.entry.number));
    Ok(())
}
