//! `flipper-profile journal rebuild`: the index again, from the entries.

use crate::model::error::{Exit, Result};
use crate::system::index::Index;

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
