//! What a person is told at login, when a run begins, and in `status`: package runs that were cut and
//! that nothing settled since, and runs that had no point.

use crate::model::{Entry, State};
use crate::policy::descent::History;
use crate::policy::told::unsettled;
use crate::policy::undo::{Ask, Plan};
use crate::system::unprotected::{self, Unprotected};
use crate::system::{roots, upper};

use super::session::{ProfileFacts, Session};
use super::{report, undo_plan};

/// Of the root that counts: behind a waiting undo, what it takes back is settled.
pub struct Told<'a> {
    /// Cut or failed, newest first, each with its sentence.
    pub unsettled: Vec<(&'a Entry, String)>,
    pub unprotected: Vec<Unprotected>,
}

pub fn look<'a>(session: &Session, facts: &'a ProfileFacts) -> Told<'a> {
    let entries = unsettled(&History::new(&facts.entries), facts.current);
    let plain = undo_plan::plan(facts, Ask::Last).ok();
    let sentence = |entry: &'a Entry| (entry, sentence(entry, facts, plain.as_ref()));
    let root = facts.dir.root(facts.current);
    let base = roots::base_of(&root).map(|base| session.pool.layout.base(&base));
    let kept = base.and_then(|base| upper::read(&root, &base, unprotected::KEPT)).ok().flatten();
    Told {
        unsettled: entries.into_iter().map(sentence).collect(),
        unprotected: unprotected::parse(&kept.unwrap_or_default()),
    }
}

impl Told<'_> {
    /// What is said where nobody asked: apt itself said it when a run failed, but nobody who was there
    /// saw the cut.
    pub fn unasked(&self) -> Vec<String> {
        let cut = self.unsettled.iter().filter(|(entry, _)| entry.state == State::Interrupted);
        cut.map(|(_, sentence)| sentence.clone()).chain(self.unprotected.iter().map(not_protected)).collect()
    }

    /// Everything, for who asks.
    pub fn sentences(&self) -> Vec<String> {
        let unsettled = self.unsettled.iter().map(|(_, sentence)| sentence.clone());
        unsettled.chain(self.unprotected.iter().map(not_protected)).collect()
    }
}

/// "apt was cut at 14 of 61 packages at 03:12: flipper-undo takes it back, dpkg --configure -a finishes it"
fn sentence(entry: &Entry, facts: &ProfileFacts, plain: Option<&Plan>) -> String {
    let by_plain =
        matches!(plain, Some(Plan::Stage { takes_back, .. }) if takes_back.contains(&entry.number));
    let way_back = match facts.points.contains(&entry.number) {
        true if by_plain => "flipper-undo takes it back".to_owned(),
        true => format!("flipper-undo {} takes it back", entry.number),
        false => "it cannot be taken back by itself".to_owned(),
    };
    let what = match entry.state {
        State::Interrupted => was_cut(entry),
        _ => format!("entry {}: {} did not end well", entry.number, command(entry)),
    };
    format!("{what}: {way_back}, dpkg --configure -a finishes it")
}

fn was_cut(entry: &Entry) -> String {
    let driver = entry.driver.as_ref().map(|driver| driver.name.clone());
    let program = driver.unwrap_or_else(|| command(entry));
    let cut = entry.cut.as_ref();
    let far = cut
        .filter(|cut| cut.planned > 0)
        .map(|cut| format!(" at {} of {} packages", cut.reached, cut.planned));
    let when = report::clock(cut.map_or(&entry.started, |cut| &cut.at));
    format!("{program} was cut{} {when}", far.unwrap_or_default())
}

fn command(entry: &Entry) -> String {
    entry.command_line.clone().unwrap_or_else(|| "a package run".to_owned())
}

/// "apt-get install nginx ran without protection at 03:12 (FLIPPER_SKIP=1 was asked for): it cannot be taken back by itself"
pub fn not_protected(run: &Unprotected) -> String {
    let Unprotected { at, why, command } = run;
    let when = report::clock(at);
    format!("{command} ran without protection {when} ({why}): it cannot be taken back by itself")
}
