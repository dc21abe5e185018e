//! What `flipper-profile prune` says: each point with every reason it is kept for, or the rules it is
//! beyond.

use super::{count, line, note, table, when};
use crate::commands::prune::Done;
use crate::commands::prune_plan::{PoolPlan, ProfilePlan};
use crate::policy::retention::space::{Room, missing};
use crate::policy::retention::{Keep, Kept};

/// `12.3 MiB`
pub fn bytes(number: u64) -> String {
    format!("{:.1} MiB", number as f64 / f64::from(1 << 20))
}

/// `all`: also what stays.
pub fn show(plan: &PoolPlan, all: bool) {
    let short = missing(&plan.rules, plan.room) > 0;
    for profile in &plan.profiles {
        show_profile(plan, profile, all, short);
    }
    for deleted in plan.deleted.iter().filter(|deleted| all || deleted.goes()) {
        let verdict = verdict(plan, &deleted.reasons, deleted.goes(), short && deleted.yields());
        line(format_args!("deleted profile {} (entry {}): {verdict}", deleted.id, deleted.entry));
    }
    if short {
        let Room { total, free } = plan.room;
        line(format_args!(
            "room is short: {} of {} are free, and keep_free={} wants more",
            bytes(free),
            bytes(total),
            plan.rules.free
        ));
    }
}

fn show_profile(plan: &PoolPlan, profile: &ProfilePlan, all: bool, short: bool) {
    let kept = count(profile.points.iter().filter(|kept| !kept.goes()).count(), "point", "points");
    match &profile.skipped {
        Some(why) => line(format_args!("{}: nothing goes now: {why}", profile.id)),
        None => {
            let goes = profile.points.iter().filter(|kept| kept.goes()).count();
            line(format_args!("{}: {kept} kept, {goes} let go", profile.id));
        }
    }
    if let Some(number) = profile.refused {
        line(format_args!("  the root that the rebase {number} refused goes"));
    }
    let rows = profile.points.iter().rev().filter(|kept| all || kept.goes()).map(|kept| {
        let entry = profile.entries.iter().find(|entry| entry.number == kept.point);
        let when = entry.map(|entry| when(&entry.started)).unwrap_or_default();
        let verdict = verdict(plan, &kept.reasons, kept.goes(), short && kept.yields());
        vec![format!("  {}", kept.point), when, verdict]
    });
    table(&rows.collect::<Vec<_>>());
}

fn verdict(plan: &PoolPlan, reasons: &[Keep], goes: bool, yields: bool) -> String {
    if goes {
        return format!("goes: {}", plan.rules.sentence());
    }
    let words: Vec<String> = reasons
        .iter()
        .map(|reason| match reason {
            Keep::Pinned(note) if !note.is_empty() => format!("pinned ({note})"),
            other => other.word().to_owned(),
        })
        .collect();
    let unless = if yields { "; goes while room is short" } else { "" };
    format!("kept: {}{unless}", words.join(", "))
}

pub fn finish(plan: &PoolPlan, done: &Done, dry_run: bool) {
    done.left.iter().for_each(|why| note(format_args!("note: {why}")));
    let free = bytes(plan.room.free + done.freed);
    match dry_run {
        true => {}
        false if done.points.is_empty() && done.profiles.is_empty() && done.refused == 0 => {
            note("nothing was let go")
        }
        false => note(format_args!("let go: {}; {free} are free now", done.sentence())),
    }
}

pub fn json(plan: &PoolPlan, done: &Done) -> serde_json::Value {
    let profile = |profile: &ProfilePlan| {
        let points: Vec<_> = profile.points.iter().map(json_point).collect();
        let refused = profile.refused;
        serde_json::json!({
            "profile": profile.id, "skipped": profile.skipped, "points": points, "refused": refused,
        })
    };
    let deleted = plan.deleted.iter().map(|d| {
        let reasons = words(&d.reasons);
        serde_json::json!({"profile": d.id, "entry": d.entry, "goes": d.goes(), "kept_for": reasons})
    });
    let Room { total, free } = plan.room;
    serde_json::json!({
        "profiles": plan.profiles.iter().map(profile).collect::<Vec<_>>(),
        "deleted_profiles": deleted.collect::<Vec<_>>(),
        "room": {"total": total, "free": free, "missing": missing(&plan.rules, plan.room)},
        "rule": plan.rules.sentence(),
        "done": {"points": done.points, "profiles": done.profiles, "refused": done.refused, "freed": done.freed, "left": done.left},
    })
}

fn json_point(kept: &Kept) -> serde_json::Value {
    let note = kept.reasons.iter().find_map(|reason| match reason {
        Keep::Pinned(note) if !note.is_empty() => Some(note.clone()),
        _ => None,
    });
    serde_json::json!({
        "point": kept.point, "goes": kept.goes(), "kept_for": words(&kept.reasons), "note": note,
        "yields": kept.yields(),
    })
}

fn words(reasons: &[Keep]) -> Vec<&'static str> {
    reasons.iter().map(Keep::word).collect()
}
