//! What `flipper-profile repair` says: what it does by kinds, and how it ended.

use serde_json::json;

use super::{count, line, note};
use crate::commands::session::{ProfileFacts, Session};
use crate::commands::stage::Staged;
use crate::policy::check::finding::readable;
use crate::policy::mend::{Mending, Step};

/// Paths of a kind that are named.
const NAMED: usize = 10;

pub fn show(session: &Session, facts: &ProfileFacts, plan: &Mending, all: bool) {
    if session.common.json {
        return super::json(&as_json(facts, plan));
    }
    if plan.is_empty() {
        return line(format_args!("{}: there is nothing to mend", facts.id));
    }
    line(format_args!("{}: {}", facts.id, count(plan.steps.len(), "thing to mend", "things to mend")));
    for kind in plan.steps.chunk_by(|a, b| a.act == b.act) {
        let named = if all { kind.len() } else { NAMED };
        kind.iter().take(named).for_each(|step| line(format_args!("  {}", step.line())));
        if kind.len() > named {
            line(format_args!("  and {} more of these: --all names each", kind.len() - named));
        }
    }
    match plan.opened_along() {
        0 => {}
        opened => line(format_args!(
            "  along with it {} that would hide what a later base has",
            count(opened, "directory is opened", "directories are opened")
        )),
    }
    if facts.in_use.is_some() {
        line(format_args!("  {} is in use: it counts from the next start, and", facts.id));
        line("  what is written until then is not in it (kept all the same: flipper-undo --list)");
    }
}

fn as_json(facts: &ProfileFacts, plan: &Mending) -> serde_json::Value {
    let step = |step: &Step| json!({"do": step.act.name(), "path": format!("/{}", readable(&step.path)), "line": step.line()});
    json!({
        "profile": facts.id,
        "waits": facts.in_use.is_some(),
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "opened_along": plan.opened_along(),
        "outcome": plan.outcome(),
    })
}

pub fn finish(facts: &ProfileFacts, staged: &Staged, plan: &Mending) {
    let (number, outcome) = (staged.entry.number, plan.outcome());
    note(match staged.waits {
        false => format!("done (entry {number}): {outcome}; flipper-undo takes it back"),
        true => format!(
            "staged (entry {number}): {outcome}; it counts from the next start of {}, flipper-undo --cancel drops it",
            facts.id
        ),
    });
}
