//! Which points are kept, and why: every reason, not the first. Nothing goes that a reason keeps.
//!
//! ```text
//!  never goes     pinned · first of the profile · open, booted, staged, current · what undo and redo
//!                 return to next · last good · before a base change · from the future · unknown
//!  rules keep     the last N · N days · the newest of N hours, days, weeks, months
//!  short of room  what ONLY rules keep goes too, oldest first, down to the newest `least`
//! ```
//!
//! Rules add up: a point goes when none wants it. So more generous rules never let more go, and a plan
//! made after a plan was carried out is empty (each span keeps its newest point, which stays its
//! newest). Order is by number; times are only believed as far as [`time`] says.

use std::collections::BTreeSet;

use super::descent::History;
use super::trial::way_back;
use super::undo::{self, Ask};
use crate::model::trial::StateMark;
use crate::model::{BaseVersion, Entry, EntryNumber, Kind, ProfileId, State};
use time::{DAY, Span, Times, When};

pub mod rules;
pub mod space;
pub mod time;

pub use rules::Rules;

/// One profile. Entries and points ascend by number; what recover would close is closed in them.
pub struct Facts<'a> {
    pub rules: &'a Rules,
    pub profile: &'a ProfileId,
    pub entries: &'a [Entry],
    pub points: &'a [Point],
    /// Pinned points and their notes.
    pub pins: &'a [(EntryNumber, String)],
    /// The root behind `current`.
    pub current: EntryNumber,
    /// The root that is in use now.
    pub in_use: Option<EntryNumber>,
    /// The state a machine came up with last.
    pub good: Option<StateMark>,
    /// Seconds since 1970; only ever keeps more.
    pub now: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub number: EntryNumber,
    /// None: what is there cannot be read.
    pub base: Option<BaseVersion>,
    /// Somebody has it mounted.
    pub mounted: bool,
    /// What it frees when it goes after the older ones that go, when that is known.
    pub bytes: Option<u64>,
}

/// Why a point is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    Pinned(String),
    First,
    LastGood,
    BaseChange,
    Open,
    Booted,
    Staged,
    Current,
    Undo,
    Redo,
    Mounted,
    Future,
    Undated,
    NoEntry,
    NewerProgram,
    /// Among the newest that stay even when room is short.
    Least,
    Last,
    Days,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    /// Of a deleted profile: its days are not over.
    DeletedDays,
}

impl Keep {
    pub fn word(&self) -> &'static str {
        match self {
            Keep::Pinned(_) => "pinned",
            Keep::First => "first",
            Keep::LastGood => "last good",
            Keep::BaseChange => "base change",
            Keep::Open => "open",
            Keep::Booted => "booted",
            Keep::Staged => "staged",
            Keep::Current => "current",
            Keep::Undo => "undo",
            Keep::Redo => "redo",
            Keep::Mounted => "mounted",
            Keep::Future => "from the future",
            Keep::Undated => "no time",
            Keep::NoEntry => "no entry",
            Keep::NewerProgram => "newer program",
            Keep::Least => "least",
            Keep::Last => "last",
            Keep::Days | Keep::DeletedDays => "days",
            Keep::Hourly => "hourly",
            Keep::Daily => "daily",
            Keep::Weekly => "weekly",
            Keep::Monthly => "monthly",
        }
    }

    /// Does this reason give way when room is short?
    pub fn yields(&self) -> bool {
        use Keep::*;
        matches!(self, Last | Days | Hourly | Daily | Weekly | Monthly | DeletedDays | Undated)
    }
}

/// One point with every reason to keep it; none: it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub point: EntryNumber,
    pub reasons: Vec<Keep>,
    pub bytes: Option<u64>,
}

impl Kept {
    pub fn goes(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Only rules keep it: it goes when room is short.
    pub fn yields(&self) -> bool {
        !self.goes() && self.reasons.iter().all(Keep::yields)
    }
}

/// Every point of a profile, ascending.
#[must_use]
pub fn plan(facts: &Facts<'_>) -> Vec<Kept> {
    let times = Times::of(facts.entries, facts.now);
    let wanted = Wanted::by_rules(facts, &times);
    let needed = Needed::look(facts);
    let plan = facts.points.iter().map(|point| {
        let mut reasons = needed.reasons(facts, point, times.when(point.number));
        reasons.extend(wanted.reasons(point.number));
        Kept { point: point.number, reasons, bytes: point.bytes }
    });
    plan.collect()
}

/// What is kept whatever the rules say.
struct Needed {
    undo: Option<EntryNumber>,
    redo: [Option<EntryNumber>; 2],
    fallback: Option<EntryNumber>,
    base_changes: BTreeSet<EntryNumber>,
    least: BTreeSet<EntryNumber>,
}

impl Needed {
    fn look(facts: &Facts<'_>) -> Needed {
        let history = History::new(facts.entries);
        let (current, in_use) = (facts.current, facts.in_use);
        let points: BTreeSet<_> = facts.points.iter().map(|point| point.number).collect();
        let undo_facts =
            undo::Facts { profile: facts.profile, entries: facts.entries, current, in_use, points: &points };
        let next = |ask| match undo::plan(&undo_facts, ask) {
            Ok(undo::Plan::Stage { target, .. }) => Some(target),
            _ => None,
        };
        let above = |good| way_back(&history, points.iter().copied(), good);
        let changed = facts.points.iter().rev().filter(|point| changes_base(history, point));
        let newest = points.iter().rev().take(facts.rules.least as usize);
        let redo = next(Ask::Redo);
        Needed {
            undo: next(Ask::Last),
            // And, once it is redone, where undo takes it back to again.
            redo: [redo, redo.and_then(|undo| history.get(undo)?.target)],
            fallback: facts.good.and_then(above),
            base_changes: changed.map(|p| p.number).take(facts.rules.base_changes as usize).collect(),
            least: newest.copied().collect(),
        }
    }

    fn reasons(&self, facts: &Facts<'_>, point: &Point, when: Option<When>) -> Vec<Keep> {
        let number = point.number;
        let entry = History::new(facts.entries).get(number);
        let pin = facts.pins.iter().find(|(pinned, _)| *pinned == number);
        let is_first = facts.points.first().is_some_and(|first| first.number == number);
        let good = facts.good.is_some_and(|good| good.entry == number) || self.fallback == Some(number);
        let waits = facts.in_use.is_some_and(|root| root != facts.current);
        let all = [
            (pin.is_some(), Keep::Pinned(pin.map(|(_, note)| note.clone()).unwrap_or_default())),
            (is_first, Keep::First),
            (good, Keep::LastGood),
            (self.base_changes.contains(&number), Keep::BaseChange),
            (entry.is_some_and(Entry::is_open), Keep::Open),
            (facts.in_use == Some(number), Keep::Booted),
            (waits && facts.current == number, Keep::Staged),
            (!waits && facts.current == number, Keep::Current),
            (self.undo == Some(number), Keep::Undo),
            (self.redo.contains(&Some(number)), Keep::Redo),
            (point.mounted, Keep::Mounted),
            (when == Some(When::Future), Keep::Future),
            (when == Some(When::Undated), Keep::Undated),
            (entry.is_none(), Keep::NoEntry),
            (entry.is_some_and(|e| matches!(e.kind, Kind::Other(_))), Keep::NewerProgram),
            (self.least.contains(&number), Keep::Least),
        ];
        all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, reason)| reason).collect()
    }
}

/// The state before the profile moved to another base: the root the entry made stands on another one
/// than its point.
fn changes_base(history: History<'_>, point: &Point) -> bool {
    let entry = history.get(point.number).filter(|entry| entry.state != State::Cancelled);
    let bases = entry.and_then(|entry| entry.base.as_ref()).zip(point.base.as_ref());
    bases.is_some_and(|(after, before)| after != before)
}

/// What the rules keep: each a set of points.
struct Wanted(Vec<(Keep, BTreeSet<EntryNumber>)>);

impl Wanted {
    fn by_rules(facts: &Facts<'_>, times: &Times) -> Wanted {
        let rules = facts.rules;
        let newest_first = || facts.points.iter().rev().map(|point| point.number);
        let dated: Vec<_> = newest_first()
            .filter_map(|number| match times.when(number) {
                Some(When::At(time)) => Some((number, time)),
                _ => None,
            })
            .collect();
        let limit = rules.days as i64 * DAY;
        let young = |number: &EntryNumber| times.age(*number).is_some_and(|age| age <= limit);
        Wanted(vec![
            (Keep::Last, newest_first().take(rules.last as usize).collect()),
            (Keep::Days, newest_first().filter(|n| rules.days > 0 && young(n)).collect()),
            (Keep::Hourly, newest_of_each(&dated, Span::Hour, rules.hourly)),
            (Keep::Daily, newest_of_each(&dated, Span::Day, rules.daily)),
            (Keep::Weekly, newest_of_each(&dated, Span::Week, rules.weekly)),
            (Keep::Monthly, newest_of_each(&dated, Span::Month, rules.monthly)),
        ])
    }

    fn reasons(&self, number: EntryNumber) -> impl Iterator<Item = Keep> {
        self.0.iter().filter(move |(_, points)| points.contains(&number)).map(|(reason, _)| reason.clone())
    }
}

/// The newest point of each of the newest `count` spans that have one.
fn newest_of_each(dated: &[(EntryNumber, i64)], span: Span, count: u64) -> BTreeSet<EntryNumber> {
    let mut spans = BTreeSet::new();
    let first_of_span = |(_, time): &&(EntryNumber, i64)| spans.insert(span.key(*time));
    dated.iter().filter(first_of_span).take(count as usize).map(|(number, _)| *number).collect()
}

/// A profile that was deleted and can be brought back.
pub struct Deleted {
    /// By this entry.
    pub by: EntryNumber,
    /// One of its points is pinned.
    pub pinned: bool,
    /// Something in it is in use.
    pub in_use: bool,
}

/// Why a deleted profile is kept; nothing: it goes. `times` are of the whole pool.
#[must_use]
pub fn plan_deleted(rules: &Rules, deleted: &Deleted, times: &Times) -> Vec<Keep> {
    let when = times.when(deleted.by);
    let limit = rules.deleted_days as i64 * DAY;
    let young = times.age(deleted.by).is_some_and(|age| age <= limit);
    let all = [
        (deleted.pinned, Keep::Pinned(String::new())),
        (deleted.in_use, Keep::Mounted),
        (when.is_none(), Keep::NoEntry),
        (when == Some(When::Undated), Keep::Undated),
        (when == Some(When::Future), Keep::Future),
        (rules.deleted_days > 0 && young, Keep::DeletedDays),
    ];
    all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, reason)| reason).collect()
}

#[cfg(test)]
mod tests;
