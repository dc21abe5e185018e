//! One row a rule. What holds for every history: tests/property_retention.rs.

use super::super::descent::tests::{history, number};
use super::*;
use crate::model::config::KeyValues;

const NOTHING: &str = "keep_last=0\nkeep_days=0\nkeep_daily=0\nkeep_weekly=0\nkeep_monthly=0\n\
    keep_base_changes=0\nkeep_deleted_days=0\nkeep_free=0\nkeep_least=0\n";

fn rules(more: &str) -> Rules {
    let mut settings = KeyValues::parse(NOTHING);
    for line in more.split_whitespace() {
        let (key, value) = line.split_once('=').unwrap();
        settings.set(&format!("keep_{key}"), value);
    }
    Rules::parse(&settings).unwrap()
}

/// 2026-11-01, a Sunday, at noon.
const NOON: i64 = 1_793_534_400;

/// `2 packages` one day after `1 create`, and so on: entry N on day N, unless `days` says otherwise.
fn dated(text: &str, days: &[(u64, i64)]) -> Vec<Entry> {
    let mut entries = history(text);
    for entry in &mut entries {
        let n = entry.number.get();
        let day = days.iter().find(|(at, _)| *at == n).map_or(n as i64, |(_, day)| *day);
        let time = chrono::DateTime::from_timestamp(NOON + day * DAY, 0).unwrap();
        entry.started = time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    }
    entries
}

struct Case {
    entries: Vec<Entry>,
    current: u64,
    in_use: Option<u64>,
    pins: Vec<u64>,
    good: Option<(u64, u64)>,
    /// A point that stands on another base.
    other_base: Option<u64>,
    now: i64,
}

impl Case {
    fn new(text: &str, current: u64) -> Case {
        let entries = dated(text, &[]);
        let now = NOON + 1000 * DAY;
        Case { entries, current, in_use: None, pins: Vec::new(), good: None, other_base: None, now }
    }

    fn with_days(mut self, text: &str, days: &[(u64, i64)]) -> Case {
        self.entries = dated(text, days);
        self
    }

    fn plan(&self, rules: &Rules) -> Vec<Kept> {
        let of = |n: u64| if Some(n) == self.other_base { "13.1" } else { "13.2" }.parse().ok();
        let with_point = self.entries.iter().filter(|e| e.point);
        let points: Vec<Point> = with_point
            .map(|e| Point { number: e.number, base: of(e.number.get()), mounted: false, bytes: None })
            .collect();
        let mut entries = self.entries.clone();
        entries.iter_mut().for_each(|e| e.base = "13.2".parse().ok());
        let pins: Vec<_> = self.pins.iter().map(|n| (number(*n), "note".to_owned())).collect();
        plan(&Facts {
            rules,
            profile: &"lab".parse().unwrap(),
            entries: &entries,
            points: &points,
            pins: &pins,
            current: number(self.current),
            in_use: self.in_use.map(number),
            good: self.good.map(|(root, entry)| StateMark { root: number(root), entry: number(entry) }),
            now: self.now,
        })
    }

    /// `3: last, days` of each point, `3: goes`.
    fn words(&self, text: &str) -> Vec<String> {
        let word = |kept: &Kept| match kept.goes() {
            true => format!("{}: goes", kept.point),
            false => {
                let words: Vec<_> = kept.reasons.iter().map(Keep::word).collect();
                format!("{}: {}", kept.point, words.join(", "))
            }
        };
        self.plan(&rules(text)).iter().map(word).collect()
    }
}

const LINE: &str = "1 create, 2 apt @1, 3 apt @1, 4 apt @1, 5 apt @1, 6 apt @1";

#[test]
fn without_rules_stays_what_is_needed() {
    assert_eq!(Case::new(LINE, 1).words(""), ["2: first", "3: goes", "4: goes", "5: goes", "6: undo"]);
    let undone = Case::new("1 create, 2 apt @1, 3 apt @1, 4 apt @1, 5 undo>4 @1", 5);
    // Plain undo goes further back to 3; redo returns to the point of the undo, which made the root,
    // and what it brings back can be taken back once more.
    assert_eq!(undone.words(""), ["2: first", "3: undo", "4: redo", "5: current, redo"]);
    let gone_on = Case::new("1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 apt @4, 6 apt @4", 4);
    assert_eq!(gone_on.words(""), ["2: first", "3: goes", "4: current", "5: goes", "6: undo"]);
}

#[test]
fn what_is_in_use_stays() {
    let mut case = Case::new("1 create, 2 apt @1, 3 undo>2 @1, 4 apt @3, 5 apt @3, 6 undo>5 @3", 6);
    case.in_use = Some(3);
    assert_eq!(case.words(""), ["2: first", "3: booted", "4: undo", "5: goes", "6: staged"]);
    let open = Case::new("1 create, 2 apt @1, 3 apt @1, 4 apt @1 open, 5 apt @1 cancelled", 1);
    assert_eq!(open.words(""), ["2: first", "3: goes", "4: open", "5: goes"]);
    let mut pinned = Case::new(LINE, 1);
    pinned.pins = vec![4];
    pinned.good = Some((1, 2));
    assert_eq!(
        pinned.words(""),
        ["2: first, last good", "3: last good", "4: pinned", "5: goes", "6: undo"],
        "the good entry, and the oldest point above it, from which it is staged again"
    );
    let unknown = Case::new("1 create, 2 apt @1, 3 teleport @1, 4 apt @1, 5 apt @1", 1);
    assert_eq!(unknown.words(""), ["2: first", "3: newer program", "4: goes", "5: undo"]);
}

#[test]
fn each_rule_keeps_its_own_and_every_reason_is_told() {
    let case = Case::new(LINE, 1);
    let rows: &[(&str, [&str; 5])] = &[
        ("last=2", ["2: first", "3: goes", "4: goes", "5: last", "6: undo, last"]),
        ("days=2", ["2: first", "3: goes", "4: days", "5: days", "6: undo, days"]),
        ("least=2", ["2: first", "3: goes", "4: goes", "5: least", "6: undo, least"]),
        ("daily=3", ["2: first", "3: goes", "4: daily", "5: daily", "6: undo, daily"]),
        // 2026-11-02 is a Monday: entries 1 to 7 are one week.
        ("weekly=5 hourly=1", ["2: first", "3: goes", "4: goes", "5: goes", "6: undo, hourly, weekly"]),
        (
            "last=1 days=1 monthly=2",
            ["2: first", "3: goes", "4: goes", "5: days", "6: undo, last, days, monthly"],
        ),
    ];
    for (rules, expected) in rows {
        assert_eq!(case.words(rules), expected, "{rules}");
    }
}

#[test]
fn spans_keep_their_newest_and_empty_ones_count_nothing() {
    // Two on the first day, then weeks apart.
    let days = [(2, 0), (3, 0), (4, 20), (5, 21), (6, 100)];
    let case = Case::new(LINE, 1).with_days(LINE, &days);
    assert_eq!(
        case.words("daily=4"),
        ["2: first", "3: daily", "4: daily", "5: daily", "6: undo, daily"],
        "four days that have a point, however far apart"
    );
    assert_eq!(case.words("weekly=2"), ["2: first", "3: goes", "4: goes", "5: weekly", "6: undo, weekly"]);
    assert_eq!(case.words("monthly=9"), ["2: first", "3: goes", "4: goes", "5: monthly", "6: undo, monthly"]);
}

/// Day 0 of 1970, and 2099.
const PAST: i64 = -NOON / DAY;
const FUTURE: i64 = 26_500;

#[test]
fn a_clock_that_jumps_lets_nothing_go() {
    let days_only = |days: &[(u64, i64)], now: i64| {
        let mut case = Case::new(LINE, 1).with_days(LINE, days);
        case.now = NOON + now * DAY;
        case.words("days=3")
    };
    let right = ["2: first", "3: days", "4: days", "5: days", "6: undo, days"];
    assert_eq!(days_only(&[], 6), right);
    // The newest alone is in 2099: it moves nothing, whatever the wall clock says.
    let jumped = ["2: first, days", "3: days", "4: days", "5: days", "6: undo, from the future"];
    assert_eq!(days_only(&[(6, FUTURE)], FUTURE), jumped);
    assert_eq!(days_only(&[(6, FUTURE)], 6), jumped);
    // It is in 1970, or one before it was: it takes nobody's place.
    let back = ["2: first, days", "3: days", "4: days", "5: days", "6: undo, no time"];
    assert_eq!(days_only(&[(6, PAST)], 6), back);
    assert_eq!(days_only(&[(5, PAST)], 6), ["2: first", "3: days", "4: days", "5: no time", "6: undo, days"]);
    // A few seconds back are no harm.
    assert_eq!(days_only(&[(5, 6)], 6), ["2: first", "3: days", "4: days", "5: days", "6: undo, days"]);
    // One in the middle stays until time has come to it.
    assert_eq!(
        days_only(&[(3, FUTURE)], 6),
        ["2: first", "3: from the future", "4: days", "5: days", "6: undo, days"]
    );
    // The wall clock stands in 1970: nothing has an age.
    assert!(days_only(&[], PAST).iter().all(|word| word.ends_with("from the future")));
    // After a long rest the second entry bears the first out.
    assert_eq!(
        days_only(&[(5, 900), (6, 901)], 901),
        ["2: first", "3: goes", "4: goes", "5: days", "6: undo, days"]
    );
}

#[test]
fn a_point_before_a_base_change_stays_for_the_last_ones() {
    let mut case = Case::new("1 create, 2 apt @1, 3 undo>2 @1, 4 apt @3, 5 apt @3", 3);
    case.other_base = Some(4);
    assert_eq!(case.words("base_changes=1"), ["2: first", "3: current", "4: base change", "5: undo"]);
    assert_eq!(case.words("base_changes=0")[2], "4: goes");
}

#[test]
fn when_room_is_short_only_what_rules_keep_gives_way_oldest_first() {
    let mut case = Case::new(LINE, 1);
    case.pins = vec![4];
    let yields = |text: &str, missing| {
        let points = space::yielding(&case.plan(&rules(text)), missing);
        points.iter().map(|n| n.get()).collect::<Vec<_>>()
    };
    assert_eq!(yields("last=9", 1), [3, 5]);
    assert_eq!(yields("last=9 days=9 daily=9 least=2", 1), [3]);
    assert_eq!(yields("", 1), [0; 0]);
    assert_eq!(yields("last=9", 0), [0; 0]);
    let kept = |point, bytes| Kept { point: number(point), reasons: vec![Keep::Last], bytes: Some(bytes) };
    assert_eq!(space::yielding(&[kept(2, 10), kept(3, 5), kept(4, 5)], 12), [number(2), number(3)]);
    assert_eq!(space::yielding(&[kept(2, 4), kept(3, 5)], 100), [], "points are not what fills it");
    assert_eq!(space::yielding(&[kept(2, 0), kept(3, 10)], 100), [number(2), number(3)]);
    let room = |free| space::Room { total: 1000, free };
    assert_eq!(space::missing(&rules("free=5"), room(40)), 10);
    assert_eq!(space::missing(&rules("free=5"), room(50)), 0);
    assert_eq!(space::missing(&rules("free=0"), room(0)), 0);
    assert!(space::worth_going_on(1000, 1000, 2) && !space::worth_going_on(1000, 950, 3));
    assert!(space::worth_going_on(1000, 900, 3) && !space::worth_going_on(1000, 0, 1));
}

#[test]
fn a_deleted_profile_stays_for_its_days() {
    let entries =
        dated("9 create, 10 delete, 20 delete, 21 delete, 41 delete, 60 apt @9, 50 create", &[(41, 45)]);
    let mut entries = entries;
    entries.sort_by_key(|entry| entry.number);
    entries[2].started = "yesterday".into();
    let times = Times::of(entries.iter().filter(|e| e.number != number(60)), NOON + 60 * DAY);
    let words = |by, pinned, in_use| {
        let deleted = Deleted { by: number(by), pinned, in_use };
        let reasons = plan_deleted(&rules("deleted_days=30"), &deleted, &times);
        reasons.iter().map(Keep::word).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(words(10, false, false), "", "40 days before entry 50");
    assert_eq!(words(21, false, false), "days");
    assert_eq!(words(10, true, true), "pinned, mounted");
    assert_eq!(words(20, false, false), "no time");
    assert_eq!(words(7, false, false), "no entry");
    let times = Times::of(entries.iter().filter(|e| e.number < number(50)), NOON + 41 * DAY);
    let deleted = Deleted { by: number(41), pinned: false, in_use: false };
    assert_eq!(plan_deleted(&rules("deleted_days=30"), &deleted, &times), [Keep::Future]);
}
