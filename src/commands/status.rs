//! `flipper-profile status`: what is protected, what waits, and the one next command.

use crate::model::ProfileId;
use crate::model::error::{Error, Exit, Result};
use crate::system::{base, files, guard, pool};

use super::cli::Common;
use super::session::Session;
use super::{report, told, trial, undo_plan};

pub fn run(common: &Common) -> Result<Exit> {
    let session = match Session::to_read(common) {
        Err(Error::NoPool) => {
            report::line("nothing is protected: there is no pool");
            report::line(
                "next: flipper-profile init --image pool.img --size 8G (to try it), or flipper-profile init (the btrfs below /)",
            );
            return Ok(Exit::Attention);
        }
        other => other?,
    };
    let profiles = session.profiles()?;
    let mut attention = Vec::new();
    let booted = pool::booted()?.filter(|booted| booted.pool == session.pool.uuid);
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for id in &profiles {
        match profile_row(&session, id, &mut attention) {
            Ok((row, value)) => {
                rows.push(row);
                list.push(value);
            }
            Err(error) => attention.push(format!("{id}: {error}")),
        }
    }
    let why = files::read_line(pool::UNPROTECTED.as_ref()).unwrap_or_default();
    let kept =
        list.iter().any(|p: &serde_json::Value| p["unprotected"].as_array().is_some_and(|a| !a.is_empty()));
    let at_start = files::read_if_there(pool::TOLD_AT_START.as_ref())?.unwrap_or_default();
    attention.extend(String::from_utf8_lossy(&at_start).lines().map(|line| format!("at the start: {line}")));
    if booted.is_some() && !why.is_empty() && !kept {
        attention.push(format!("the last package run here was not protected: {why}"));
    }
    let next = next_command(&session, &profiles, booted.is_some())?;
    if common.json {
        let booted = booted.map(|b| serde_json::json!({"profile": b.profile, "root": b.root}));
        report::json(&serde_json::json!({
            "pool": session.pool.uuid, "device": session.pool.device, "booted": booted,
            "profiles": list, "attention": attention, "next": next,
        }));
    } else {
        report::line(format_args!("pool {} on {}", session.pool.uuid, session.pool.device.display()));
        match &booted {
            Some(b) => report::line(format_args!(
                "profile {} (root {}) runs here: every package run is protected",
                b.profile, b.root
            )),
            None => report::line("no profile runs here: package runs on this system are not protected"),
        }
        report::table(&rows);
        attention.iter().for_each(|text| report::line(format_args!("! {text}")));
        next.iter().for_each(|text| report::line(format_args!("next: {text}")));
    }
    Ok(if attention.is_empty() { Exit::Done } else { Exit::Attention })
}

fn profile_row(
    session: &Session,
    id: &ProfileId,
    attention: &mut Vec<String>,
) -> Result<(Vec<String>, serde_json::Value)> {
    let facts = undo_plan::look(session, Some(id.as_str()))?;
    let waiting = undo_plan::waiting(&facts);
    let mounted = mounted(session, &facts)?;
    let use_of_it = match (facts.in_use, waiting, &mounted) {
        (_, Some(root), _) => format!(
            "root {root} waits until {} is left",
            facts.in_use.map(|n| n.to_string()).unwrap_or_default()
        ),
        (Some(_), None, Some(at)) => format!("in use ({at})"),
        (Some(_), None, None) => "in use".to_owned(),
        (None, ..) => String::new(),
    };
    let trial = trial::read(&facts.dir).unwrap_or_default();
    let on_trial = trial::in_words(&trial, &facts);
    let told = told::look(session, &facts);
    attention.extend(told.sentences().into_iter().map(|sentence| format!("{id}: {sentence}")));
    for damaged in &facts.damaged {
        attention.push(format!("{id}: {} cannot be read", damaged.display()));
    }
    let row = vec![
        format!("  {id}"),
        format!("root {}", facts.current),
        report::count(facts.points.len(), "point", "points"),
        [use_of_it, on_trial.unwrap_or_default()].join(" ").trim().to_owned(),
    ];
    let value = serde_json::json!({
        "id": id, "root": facts.current, "in_use": facts.in_use, "waiting": waiting,
        "points": facts.points.len(), "mounted": mounted, "good": trial.good, "trying": trial.trying,
        "unsettled": told.unsettled.iter().map(|(entry, sentence)| serde_json::json!({
            "entry": entry.number, "state": entry.state, "cut": entry.cut, "sentence": sentence,
        })).collect::<Vec<_>>(),
        "unprotected": told.unprotected,
    });
    Ok((row, value))
}

/// Where the root in use is mounted, as far as this process can see.
fn mounted(session: &Session, facts: &super::session::ProfileFacts) -> Result<Option<String>> {
    let Some(root) = facts.in_use else { return Ok(None) };
    let tail = session.pool.tail(&facts.dir.root(root).upper());
    let seen = crate::system::mountinfo::find_overlay(&tail)?;
    Ok(seen.map(|seen| format!("mounted at {}", seen.mount.mount_point.display())))
}

fn next_command(session: &Session, profiles: &[ProfileId], booted: bool) -> Result<Option<String>> {
    if base::versions(&session.pool.layout)?.is_empty() {
        return Ok(Some("flipper-base import DIR|TARBALL --version V".into()));
    }
    match profiles {
        [] => Ok(Some("flipper-profile create ID".into())),
        [first, ..] if !booted => {
            let dir = session.need_profile(first)?;
            let Ok(current) = crate::system::roots::current(&dir) else { return Ok(None) };
            let free = !guard::is_used(&session.pool, &dir.root(current))?;
            Ok(free.then(|| format!("flipper-profile run {first}")))
        }
        _ => Ok(None),
    }
}
