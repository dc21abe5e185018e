//! The same rules, stated again, slowly: the calendar is asked for each pair of points.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Timelike, Utc};
use flipper_profiles::model::{Entry, Kind, State};
use flipper_profiles::policy::retention::Point;
use flipper_profiles::policy::undo::Ask;

use super::{DAY, Numbers, World, time_of};

/// Newest entry not from the future that some earlier one, at most 366 days away, confirms.
fn slow_clock(world: &World) -> Option<DateTime<Utc>> {
    let past: Vec<DateTime<Utc>> =
        world.entries.iter().filter_map(time_of).filter(|time| time.timestamp() <= world.now).collect();
    let mut clock = None;
    for (at, time) in past.iter().enumerate() {
        let mut confirmed = at == 0;
        for earlier in &past[..at] {
            confirmed |= (*time - *earlier).num_seconds().abs() <= 366 * DAY;
        }
        if confirmed {
            clock = Some(*time);
        }
    }
    clock
}

/// When an entry happened: never before an entry before it; None when that is too far from what it says.
fn slow_time(world: &World, entry: &Entry, clock: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let said = time_of(entry)?;
    let mut latest = said;
    for earlier in world.entries.iter().filter(|e| e.number < entry.number) {
        let dated = time_of(earlier).filter(|time| *time <= clock);
        // What is itself too early raises nothing: it lies below what made it so.
        latest = latest.max(dated.unwrap_or(latest));
    }
    ((latest - said).num_seconds() <= DAY).then_some(latest)
}

/// The calendar's own words for a time.
fn span(rule: usize, time: DateTime<Utc>) -> String {
    match rule {
        2 => format!("{} {}", time.date_naive(), time.hour()),
        3 => time.date_naive().to_string(),
        4 => format!("{:?}", time.date_naive().iso_week()),
        5 => format!("{}-{}", time.year(), time.month()),
        _ => unreachable!(),
    }
}

pub fn slow_keeps(world: &World, numbers: &Numbers, point: &Point) -> bool {
    let entry_of = |number| world.entries.iter().find(|entry| entry.number == number);
    let newer = world.points.iter().filter(|other| other.number > point.number).count() as u64;
    let Some(entry) = entry_of(point.number) else { return true };
    let (Some(said), Some(clock)) = (time_of(entry), slow_clock(world)) else { return true };
    if said > clock {
        return true;
    }
    let Some(time) = slow_time(world, entry, clock) else { return true };
    let changes_base = |point: &Point| {
        entry_of(point.number).is_some_and(|e| e.state != State::Cancelled && e.base != point.base)
    };
    let newer_changes =
        world.points.iter().filter(|other| other.number > point.number && changes_base(other)).count();
    let redo = world.undo(Ask::Redo);
    let taken_back = redo.and_then(|undo| entry_of(undo)?.target);
    let mut keep = world.points.iter().all(|other| other.number >= point.number)
        || world.pins.iter().any(|(pinned, _)| *pinned == point.number)
        || point.mounted
        || entry.state == State::Open
        || matches!(entry.kind, Kind::Other(_))
        || [Some(world.current), world.in_use, world.undo(Ask::Last), redo, taken_back]
            .contains(&Some(point.number))
        || said.timestamp() > world.now
        || newer < numbers[0]
        || newer < numbers[7]
        || (numbers[1] > 0 && (clock - time).num_seconds() <= numbers[1] as i64 * DAY)
        || (changes_base(point) && (newer_changes as u64) < numbers[6]);
    if let Some(good) = world.good {
        let of_root = |other: &&Point| entry_of(other.number).is_some_and(|e| e.root == Some(good.root));
        let above = world.points.iter().filter(of_root).find(|other| other.number > good.entry);
        keep |= good.entry == point.number || above.map(|p| p.number) == Some(point.number);
    }
    for (rule, count) in numbers.iter().enumerate().skip(2).take(4) {
        // Spans of newer points that have one, and whether a newer one is in ours.
        let mut spans = BTreeSet::new();
        for other in world.points.iter().filter(|other| other.number > point.number) {
            let dated = entry_of(other.number).filter(|e| time_of(e).is_some_and(|time| time <= clock));
            let dated = dated.and_then(|e| slow_time(world, e, clock));
            spans.extend(dated.map(|time| span(rule, time)));
        }
        keep |= !spans.contains(&span(rule, time)) && (spans.len() as u64) < *count;
    }
    keep
}
