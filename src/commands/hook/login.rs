//! At login: /etc/update-motd.d/85-flipper-profiles runs this and shows what it prints. Silent when there
//! is nothing; it changes nothing, waits for nobody and never fails.

use std::path::Path;

use crate::commands::cli::Common;
use crate::commands::session::Session;
use crate::commands::{report, told, undo_plan};
use crate::model::booted::Booted;
use crate::model::error::Result;
use crate::system::{files, pool, unprotected};

pub fn run() {
    let at_start = files::read_if_there(Path::new(pool::TOLD_AT_START)).ok().flatten().unwrap_or_default();
    let at_start = String::from_utf8_lossy(&at_start).into_owned();
    at_start.lines().for_each(|line| report::line(format_args!("flipper-profiles: at the start: {line}")));
    let Ok(Some(booted)) = pool::booted() else { return };
    let told = of_pool(&booted).unwrap_or_else(|error| {
        let mut lines = of_this_root();
        lines.push(format!("what was cut cannot be looked up: {error}"));
        lines
    });
    told.iter().for_each(|line| report::line(format_args!("flipper-profiles: {line}")));
}

fn of_pool(booted: &Booted) -> Result<Vec<String>> {
    let session = Session::to_read(&Common::default())?;
    let facts = undo_plan::look(&session, Some(booted.profile.as_str()))?;
    Ok(told::look(&session, &facts).unasked())
}

/// Without the pool: what the root itself remembers.
fn of_this_root() -> Vec<String> {
    let kept = files::read_if_there(&Path::new("/").join(unprotected::KEPT)).ok().flatten();
    unprotected::parse(&kept.unwrap_or_default()).iter().map(told::not_protected).collect()
}
