//! `flipper-profile journal rebuild`: the index again, from the entries. `refresh`: what it lacks.

use crate::model::error::{Exit, Result};
use crate::system::index::{Index, Refreshed};

use super::cli::Common;
use super::report;
use super::session::Session;

pub fn rebuild(common: &Common) -> Result<Exit> {
    let session = Session::to_change(common)?;
    let entries = Index::rebuild(&session.journal, &session.pool.layout)?;
    let sentence = format!("index made again from {}", report::count(entries, "entry", "entries"));
    report::done(common.json, serde_json::json!({"entries": entries}), sentence);
    Ok(Exit::Done)
}

/// Started by every package run when it has ended, so it has time for what no reader should wait for.
pub fn refresh(common: &Common) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let (mut index, _) = Index::open(&session.pool.layout)?;
    let Refreshed { added, removed } = index.refresh(&session.journal)?;
    index.checkpoint()?;
    let sentence = format!("{added} added to the index, {removed} taken from it");
    report::done(common.json, serde_json::json!({"added": added, "removed": removed}), sentence);
    Ok(Exit::Done)
}
