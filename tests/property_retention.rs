//! Retention over made-up histories: what it never lets go, against a slow restatement of the rules that
//! shares no code with it (no clock arithmetic of ours, no spans: calendars of chrono, quadratic loops).

#[path = "property_retention/again.rs"]
mod again;
mod long;

use std::collections::{BTreeMap, BTreeSet};

use again::slow_keeps;
use chrono::{DateTime, Utc};
use flipper_profiles::model::config::KeyValues;
use flipper_profiles::model::trial::StateMark;
use flipper_profiles::model::{Entry, EntryNumber, Kind, ProfileId, State};
use flipper_profiles::policy::retention::{Facts, Keep, Kept, Point, Rules, plan, space};
use flipper_profiles::policy::undo::{self, Ask};
use proptest::prelude::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// 2026-11-01, noon.
const BEGIN: i64 = 1_793_534_400;
const IN_2099: i64 = 4_080_000_000;

/// One step of a made-up history.
#[derive(Clone, Debug)]
struct Step {
    what: What,
    /// Hours since the step before; a clock that was set back is negative.
    hours: i64,
    /// Its clock is wrong: in 1970, in 2099, or unreadable.
    wrong: Option<Wrong>,
    other_base: bool,
    mounted: bool,
    pinned: bool,
    lost: bool,
}

#[derive(Clone, Copy, Debug)]
enum Wrong {
    In1970,
    In2099,
    NoTime,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Apt(State),
    Unprotected,
    Set,
    Undo(usize),
    Redo,
    Teleport,
    Boot,
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        8 => Just(What::Apt(State::Completed)),
        1 => Just(What::Apt(State::Failed)),
        1 => Just(What::Apt(State::Cancelled)),
        1 => Just(What::Apt(State::Open)),
        1 => Just(What::Unprotected),
        2 => Just(What::Set),
        3 => (0..20usize).prop_map(What::Undo),
        2 => Just(What::Redo),
        1 => Just(What::Teleport),
        2 => Just(What::Boot),
    ];
    let hours = prop_oneof![6 => 0..30i64, 2 => 30..1000i64, 1 => 1000..20_000i64, 1 => -50..0i64];
    let wrong = prop_oneof![
        12 => Just(None),
        1 => Just(Some(Wrong::In1970)),
        1 => Just(Some(Wrong::In2099)),
        1 => Just(Some(Wrong::NoTime)),
    ];
    let rare = || prop::bool::weighted(0.06);
    (what, hours, wrong, rare(), rare(), rare(), rare()).prop_map(
        |(what, hours, wrong, other_base, mounted, pinned, lost)| Step {
            what,
            hours,
            wrong,
            other_base,
            mounted,
            pinned,
            lost,
        },
    )
}

/// The numbers of each rule, in the order of [`KEYS`].
type Numbers = [u64; 8];

const KEYS: [&str; 8] = [
    "keep_last",
    "keep_days",
    "keep_hourly",
    "keep_daily",
    "keep_weekly",
    "keep_monthly",
    "keep_base_changes",
    "keep_least",
];

fn rules(numbers: &Numbers) -> Rules {
    let mut settings = KeyValues::default();
    KEYS.iter().zip(numbers).for_each(|(key, number)| settings.set(key, &number.to_string()));
    Rules::parse(&settings).unwrap()
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let small = || prop_oneof![3 => Just(0u64), 5 => 1..6u64, 1 => Just(400u64)];
    [small(), small(), small(), small(), small(), small(), small(), small()]
}

#[derive(Clone, Debug)]
struct World {
    entries: Vec<Entry>,
    points: Vec<Point>,
    pins: Vec<(EntryNumber, String)>,
    current: EntryNumber,
    in_use: Option<EntryNumber>,
    good: Option<StateMark>,
    now: i64,
}

fn id() -> ProfileId {
    "lab".parse().unwrap()
}

impl World {
    fn new() -> World {
        let mut create = Entry::begin(EntryNumber::FIRST, Kind::Create, text(BEGIN));
        create.state = State::Completed;
        let first = EntryNumber::FIRST;
        let (points, pins) = (Vec::new(), Vec::new());
        World { entries: vec![create], points, pins, current: first, in_use: None, good: None, now: BEGIN }
    }

    fn of(steps: &[Step]) -> World {
        let mut world = World::new();
        let mut time = BEGIN;
        for step in steps {
            time += step.hours * HOUR;
            world.step(step, time);
        }
        world.now = time;
        // An entry that cannot be read is not there for anybody.
        let lost: BTreeSet<_> =
            world.entries.iter().skip(1).zip(steps).filter(|(_, s)| s.lost).map(|(e, _)| e.number).collect();
        world.entries.retain(|entry| !lost.contains(&entry.number));
        world
    }

    fn facts<'a>(&'a self, rules: &'a Rules, id: &'a ProfileId) -> Facts<'a> {
        Facts {
            rules,
            profile: id,
            entries: &self.entries,
            points: &self.points,
            pins: &self.pins,
            current: self.current,
            in_use: self.in_use,
            good: self.good,
            now: self.now,
        }
    }

    fn plan(&self, numbers: &Numbers) -> Vec<Kept> {
        plan(&self.facts(&rules(numbers), &id()))
    }

    fn going(&self, numbers: &Numbers) -> BTreeSet<EntryNumber> {
        self.plan(numbers).iter().filter(|kept| kept.goes()).map(|kept| kept.point).collect()
    }

    fn undo(&self, ask: Ask) -> Option<EntryNumber> {
        let points: BTreeSet<_> = self.points.iter().map(|point| point.number).collect();
        let (profile, entries) = (&id(), &self.entries[..]);
        let facts =
            undo::Facts { profile, entries, current: self.current, in_use: self.in_use, points: &points };
        match undo::plan(&facts, ask) {
            Ok(undo::Plan::Stage { target, .. }) => Some(target),
            _ => None,
        }
    }

    fn step(&mut self, step: &Step, time: i64) {
        let (kind, state) = match step.what {
            What::Boot => {
                self.in_use = Some(self.current);
                self.good = self.entries.last().map(|e| StateMark { root: self.current, entry: e.number });
                return;
            }
            What::Apt(state) => (Kind::Packages, state),
            What::Unprotected => (Kind::Packages, State::Completed),
            What::Set => (Kind::Set, State::Completed),
            What::Undo(_) => (Kind::Undo, State::Completed),
            What::Redo => (Kind::Redo, State::Completed),
            What::Teleport => (Kind::Other("teleport".into()), State::Completed),
        };
        let target = match step.what {
            What::Undo(at) if !self.points.is_empty() => Some(self.points[at % self.points.len()].number),
            What::Undo(_) => return,
            What::Redo => match self.undo(Ask::Redo) {
                None => return,
                target => target,
            },
            _ => None,
        };
        let number = self.entries.last().unwrap().number.next();
        let started = match step.wrong {
            None => text(time),
            Some(Wrong::In1970) => text(time - BEGIN),
            Some(Wrong::In2099) => text(IN_2099),
            Some(Wrong::NoTime) => "yesterday".to_owned(),
        };
        let mut entry = Entry::begin(number, kind, started);
        entry.root = Some(self.in_use.unwrap_or(self.current));
        (entry.state, entry.target) = (state, target);
        entry.base = "13.2".parse().ok();
        entry.point = !matches!(step.what, What::Unprotected);
        if entry.point {
            let base = if step.other_base { "13.1" } else { "13.2" }.parse().ok();
            self.points.push(Point { number, base, mounted: step.mounted, bytes: None });
        }
        if step.pinned && entry.point {
            self.pins.push((number, "why".into()));
        }
        if target.is_some() {
            self.current = number;
        }
        self.entries.push(entry);
    }
}

fn text(time: i64) -> String {
    DateTime::from_timestamp(time, 0).unwrap().to_rfc3339()
}

fn time_of(entry: &Entry) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(&entry.started).ok().map(|time| time.with_timezone(&Utc))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: long::cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_keeps_what_the_rules_stated_again_keep(steps in prop::collection::vec(step(), 1..50), numbers in numbers()) {
        let world = World::of(&steps);
        for (kept, point) in world.plan(&numbers).iter().zip(&world.points) {
            prop_assert_eq!(kept.point, point.number);
            prop_assert_eq!(!kept.goes(), slow_keeps(&world, &numbers, point), "{:?} of {:?}", kept, &world);
        }
    }

    #[test]
    fn some_points_never_go(steps in prop::collection::vec(step(), 1..50), numbers in numbers()) {
        let world = World::of(&steps);
        let plan = world.plan(&numbers);
        let mut never: BTreeSet<EntryNumber> = world.pins.iter().map(|(number, _)| *number).collect();
        never.extend(world.entries.iter().filter(|e| e.is_open()).map(|e| e.number));
        never.extend([Some(world.current), world.in_use].into_iter().flatten());
        never.extend([world.undo(Ask::Last), world.undo(Ask::Redo)].into_iter().flatten());
        never.extend(world.good.map(|good| good.entry));
        never.extend(world.points.first().map(|point| point.number));
        for entry in &world.entries {
            never.extend(time_of(entry).filter(|time| time.timestamp() > world.now).map(|_| entry.number));
        }
        // Neither by the rules nor when room is short.
        for kept in plan.iter().filter(|kept| never.contains(&kept.point)) {
            prop_assert!(!kept.goes() && !kept.yields(), "{:?}", kept);
        }
        for number in space::yielding(&plan, u64::MAX) {
            prop_assert!(!never.contains(&number));
        }
    }

    #[test]
    fn a_second_prune_finds_nothing(steps in prop::collection::vec(step(), 1..50), numbers in numbers()) {
        let mut world = World::of(&steps);
        let before = (world.undo(Ask::Last), world.undo(Ask::Redo));
        let going = world.going(&numbers);
        world.points.retain(|point| !going.contains(&point.number));
        prop_assert_eq!(world.going(&numbers), BTreeSet::new());
        prop_assert_eq!(before, (world.undo(Ask::Last), world.undo(Ask::Redo)), "what undo and redo return to");
        // Nor does it find anything tomorrow, on a clock that went on without an entry.
        world.now += 400 * DAY;
        let later = world.plan(&numbers);
        let since: BTreeMap<_, _> = later.iter().filter(|k| k.goes()).map(|k| (k.point, k)).collect();
        for number in since.keys() {
            let entry = world.entries.iter().find(|e| e.number == *number).unwrap();
            let future = world.entries.iter().filter_map(time_of).any(|t| t.timestamp() > world.now - 400 * DAY);
            prop_assert!(future, "only what waited for the future: {:?}", entry);
        }
    }

    #[test]
    fn more_generous_rules_let_nothing_more_go(
        steps in prop::collection::vec(step(), 1..50), numbers in numbers(), more in numbers()
    ) {
        let world = World::of(&steps);
        let mut generous = numbers;
        generous.iter_mut().zip(more).for_each(|(number, more)| *number += more);
        prop_assert!(world.going(&generous).is_subset(&world.going(&numbers)));
    }

    /// The last entry's clock is wrong: nothing goes that would not have gone without the jump.
    #[test]
    fn a_clock_that_jumps_lets_nothing_more_go(
        steps in prop::collection::vec(step(), 2..40), numbers in numbers(), back in any::<bool>(), wall in any::<bool>()
    ) {
        let mut steps = steps;
        steps.iter_mut().for_each(|step| { step.wrong = None; step.hours = step.hours.clamp(0, 1000); });
        let right = World::of(&steps);
        let mut wrong = right.clone();
        let last = wrong.entries.last_mut().unwrap();
        last.started = text(if back { 3600 } else { IN_2099 });
        if wall {
            wrong.now = if back { 7200 } else { IN_2099 + HOUR };
        }
        let more: Vec<_> = wrong.going(&numbers).difference(&right.going(&numbers)).copied().collect();
        prop_assert!(more.is_empty(), "{:?}", more);
    }
}

/// The generator reaches every reason, and points that go.
#[test]
fn every_reason_is_met() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..600 {
        let steps = prop::collection::vec(step(), 1..50).new_tree(&mut runner).unwrap().current();
        let numbers = numbers().new_tree(&mut runner).unwrap().current();
        for kept in World::of(&steps).plan(&numbers) {
            seen.extend(kept.reasons.iter().map(Keep::word));
            seen.extend(kept.goes().then_some("goes"));
        }
    }
    let all = [
        "base change",
        "booted",
        "current",
        "daily",
        "days",
        "first",
        "from the future",
        "goes",
        "hourly",
        "last",
        "last good",
        "least",
        "monthly",
        "mounted",
        "newer program",
        "no entry",
        "no time",
        "open",
        "pinned",
        "redo",
        "staged",
        "undo",
        "weekly",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}
