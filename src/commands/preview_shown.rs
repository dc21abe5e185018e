//! The preview of an undo, a redo, a cancel or a reset: what would happen, in the person's language and
//! as JSON.

use crate::model::carried::{Keeps, as_texts};
use crate::model::own::Own;
use crate::model::state_change::StateChange;
use crate::model::{EntryNumber, Kind};
use crate::policy::undo::Plan;

use super::session::{ProfileFacts, Session};
use super::state_back::StateBack;
use super::undo_plan::Preview;
use super::{keep, report, undo_list};

/// How many of the person's own files are named unasked.
const NAMED: usize = 3;

/// What goes beside the packages.
pub struct Lines<'a> {
    pub keeps: &'a Keeps,
    pub own: &'a Own,
    pub state: &'a StateBack,
}

pub fn show(session: &Session, facts: &ProfileFacts, preview: &Preview, lines: &Lines, all: bool) {
    if session.common.json {
        return report::json(&json(facts, preview, lines));
    }
    report::line(format_args!("{}: {}", facts.id, preview.sentence()));
    for entry in preview.entries(facts) {
        report::line(format_args!("  {}", undo_list::entry_line(entry)));
    }
    for path in preview.conffiles.iter().take(10) {
        report::line(format_args!("  restores {}", path.display()));
    }
    lines.state.show();
    for name in preview.locked_accounts() {
        report::line(format_args!("  the account {name} is locked (its number and /home stay)"));
    }
    own_lines(lines, all);
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
            Plan::Cancel { .. } => format!("  entries {numbers} were made since and stay"),
            _ => format!("  entries {numbers} went into the root that is being left; its state is kept"),
        });
    }
}

/// `3 files of yours changed since: --keep PATH keeps one`, and what of it has a name.
fn own_lines(lines: &Lines, all: bool) {
    let Lines { keeps, own, .. } = lines;
    let kept = |path: &std::path::Path| keeps.paths.iter().any(|kept| path.starts_with(kept));
    let files: Vec<_> = own.files.iter().filter(|path| !kept(path)).collect();
    if !files.is_empty() {
        let many = report::count(files.len(), "file of yours", "files of yours");
        report::line(format_args!("  {many} changed since: --keep PATH keeps one"));
        let named = if all { files.len() } else { NAMED };
        files.iter().take(named).for_each(|path| report::line(format_args!("    /{}", path.display())));
        if files.len() > named {
            report::line(format_args!("    and {} more: -v names all", files.len() - named));
        }
    }
    for connection in own.connections.iter().filter(|connection| !kept(&connection.path)) {
        report::line(format_args!("  {} goes with it: --keep wifi keeps it", connection.name));
    }
    for account in own.passwords.iter().filter(|account| !keeps.passwords.contains(account)) {
        report::line(format_args!(
            "  the password of {account} becomes the old one: --keep passwords keeps it"
        ));
    }
    keep::sentence(keeps).into_iter().for_each(|sentence| report::line(format_args!("  {sentence}")));
}

fn numbers(of: &[EntryNumber]) -> String {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn json(facts: &ProfileFacts, preview: &Preview, lines: &Lines) -> serde_json::Value {
    let plan = match &preview.plan {
        Plan::Stage { kind, target, leaves, takes_back, brings_back, cancels, waits } => serde_json::json!({
            "do": if *kind == Kind::Redo { "redo" } else { "undo" }, "target": target, "leaves": leaves,
            "takes_back": takes_back, "brings_back": brings_back, "cancels": cancels, "waits": waits,
        }),
        Plan::Reset { leaves, takes_back, wipes, waits } => serde_json::json!({
            "do": "reset", "leaves": leaves, "takes_back": takes_back, "wipes": wipes, "waits": waits,
        }),
        Plan::Cancel { entry, back_to } => {
            serde_json::json!({"do": "cancel", "entry": entry, "back_to": back_to})
        }
    };
    let own = lines.own;
    let connection = |c: &crate::model::own::Connection| serde_json::json!({"name": c.name, "path": as_texts::text(&c.path)});
    serde_json::json!({
        "profile": facts.id, "plan": plan, "changes": preview.changes,
        "conffiles": preview.conffiles.iter().map(|p| p.to_string_lossy()).collect::<Vec<_>>(),
        "left_behind": preview.left_behind, "repairs": preview.repairs, "sentence": preview.sentence(),
        "state": lines.state.json(),
        "state_whole": match preview.state {
            None => serde_json::Value::Null,
            Some(StateChange::Fresh) => "fresh".into(),
            Some(StateChange::From(number)) => serde_json::json!(number),
        },
        "keeps": lines.keeps,
        "locked_accounts": preview.locked_accounts(),
        "own": {
            "files": own.files.iter().map(|path| as_texts::text(path)).collect::<Vec<_>>(),
            "connections": own.connections.iter().map(connection).collect::<Vec<_>>(),
            "passwords": own.passwords,
        },
    })
}
