//! The flips of a pool, as far as they came to pass: looked at by flip and by rollback.

use std::collections::BTreeMap;

use crate::model::error::Result;
use crate::model::flip::Moved;
use crate::model::{BaseVersion, Entry, EntryNumber, Kind, ProfileId, State};
use crate::policy::flip::Facts;
use crate::system::base;

use super::cli::Common;
use super::session::Session;
use super::{recover, report, stage, undo_plan};

pub struct Flips {
    entries: Vec<Entry>,
    parts: BTreeMap<EntryNumber, Moved>,
    current: Option<BaseVersion>,
}

impl Flips {
    pub fn facts(&self) -> Facts<'_> {
        Facts { entries: &self.entries, parts: &self.parts, current: self.current.as_ref() }
    }
}

/// The caller holds the lock of the bases, or only reads.
pub fn look(session: &Session) -> Result<Flips> {
    let mut entries = session.journal.entries(None)?.entries;
    recover::settle(session, &mut entries)?;
    let mut parts: BTreeMap<EntryNumber, Moved> = BTreeMap::new();
    for id in session.profiles()? {
        // One that cannot be read stops no other: what it was a part of, its own flip noted.
        let Ok(facts) = undo_plan::look(session, Some(id.as_str())) else { continue };
        let done = |e: &&Entry| e.kind == Kind::Rebase && e.state == State::Completed;
        for (entry, flip) in facts.entries.iter().filter(done).filter_map(|e| Some((e, e.part_of()?))) {
            parts.entry(flip).or_default().insert(id.clone(), entry.number);
        }
    }
    Ok(Flips { entries, parts, current: base::current(&session.pool.layout)? })
}

/// What becomes of each profile, in words.
pub fn tell(common: &Common, base: &BaseVersion, each: impl Iterator<Item = (ProfileId, String)>) {
    if common.json {
        let all = each.map(|(id, word)| (id.to_string(), word.into()));
        return report::json(
            &serde_json::json!({"base": base, "profiles": serde_json::Value::Object(all.collect())}),
        );
    }
    report::table(&each.map(|(id, word)| vec![id.to_string(), word]).collect::<Vec<_>>());
}

/// `did` is the end of the sentence that the number of profiles begins. A rollback that failed is none: its flip
/// can still be taken back.
pub fn finish(
    session: &Session,
    entry: &mut Entry,
    moved: &Moved,
    did: &str,
    done: &Result<()>,
) -> Result<()> {
    entry.note_moved(moved);
    let did = format!("{} {did}", report::count(moved.len(), "profile", "profiles"));
    let (state, outcome) = match done {
        Ok(()) => (State::Completed, did),
        Err(error) => (State::Failed, format!("{did}, and then: {error}")),
    };
    stage::close(session, entry, state, Some(outcome))
}
