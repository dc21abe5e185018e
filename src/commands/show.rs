//! `flipper-profile show ID`: everything about one profile.

use crate::model::error::{Exit, Result};
use crate::model::layout::RootFact;
use crate::system::roots;

use super::cli::Common;
use super::session::Session;
use super::{identity, report, undo_plan};

pub fn run(common: &Common, id: &str) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let facts = undo_plan::look(&session, Some(id))?;
    let profile = session.describe(&facts.dir)?;
    let root = facts.dir.root(facts.current);
    let base = roots::base_of(&root)?;
    let settings: Vec<(RootFact, String)> = [RootFact::Args, RootFact::Dtbo, RootFact::Mounts]
        .into_iter()
        .map(|fact| Ok((fact, roots::fact(&root, fact)?)))
        .collect::<Result<_>>()?;
    let (identity_rows, identity) = identity::shown(&session, &profile.identity, &root)?;
    if common.json {
        let mut value = serde_json::to_value(&profile).unwrap_or_default();
        let more = serde_json::json!({
            "id": facts.id, "base": base, "root": facts.current, "in_use": facts.in_use,
            "waiting": undo_plan::waiting(&facts), "points": facts.points,
            "args": settings[0].1, "dtbo": settings[1].1, "mounts": settings[2].1,
            "identity": identity,
        });
        if let (Some(value), Some(more)) = (value.as_object_mut(), more.as_object()) {
            value.extend(more.clone());
        }
        report::json(&value);
        return Ok(Exit::Done);
    }
    let mut rows: Vec<(&str, String)> = vec![
        ("profile", facts.id.to_string()),
        ("name", profile.name),
        ("note", profile.note),
        ("base", base.to_string()),
        ("created", report::when(&profile.created)),
        ("last used", profile.last_used.as_deref().map(report::when).unwrap_or_default()),
        ("root", root_line(&facts)),
        ("points", facts.points.len().to_string()),
    ];
    let pins = profile.pins.iter().map(|pin| match pin.note.as_str() {
        "" => pin.point.to_string(),
        note => format!("{} ({note})", pin.point),
    });
    rows.push(("pinned", pins.collect::<Vec<_>>().join(", ")));
    let shared: Vec<String> = profile.shared.iter().map(|path| format!("/{}", path.display())).collect();
    rows.push(("shared", shared.join(", ")));
    rows.push(("built-in", profile.origin.builtin.unwrap_or_default()));
    rows.extend(identity_rows);
    rows.extend(settings.into_iter().map(|(fact, text)| (fact.file_name(), text)));
    let rows: Vec<Vec<String>> =
        rows.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| vec![k.to_owned(), v]).collect();
    report::table(&rows);
    Ok(Exit::Done)
}

fn root_line(facts: &super::session::ProfileFacts) -> String {
    match facts.in_use {
        Some(used) if used != facts.current => {
            format!("{} (waits: {used} is in use until it is left)", facts.current)
        }
        Some(_) => format!("{} (in use)", facts.current),
        None => facts.current.to_string(),
    }
}
