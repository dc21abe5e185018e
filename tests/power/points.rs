//! Where the power is cut. Between two flushes a device may lose any of the writes it was given after
//! the first (not those with FUA that were completed), each whole or from some page on, in any order.

use std::collections::BTreeMap;

use crate::log::Act;
use crate::recording::Recording;
use crate::say;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing after the last flush.
    Nothing,
    /// Every write.
    Everything,
    /// Some; the number is the seed they are drawn from.
    Some(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The requests before this one are on the disk.
    pub durable: usize,
    /// The power went after this many requests; what was acknowledged before them counts.
    pub cut: usize,
    pub kept: Kept,
}

/// Random subsets of each gap between two flushes that has writes.
const SUBSETS: u64 = 3;

/// Every point, in the order of their flushes.
pub fn all(recording: &Recording) -> Vec<Point> {
    let mut points = Vec::new();
    let flushes = recording.requests.iter().enumerate().filter(|(_, r)| r.act == Act::Flush);
    let ends: Vec<usize> = flushes.map(|(at, _)| at + 1).collect();
    let mut random = Random(1);
    let mut durable = 0;
    for end in ends.into_iter().chain([recording.requests.len()]) {
        // As late as it can be: everything acknowledged until the next flush must be there already.
        let cut = if end == recording.requests.len() { end } else { end - 1 };
        points.push(Point { durable, cut, kept: Kept::Nothing });
        if cut > durable {
            points.push(Point { durable, cut, kept: Kept::Everything });
        }
        if cut > durable + 1 {
            for _ in 0..SUBSETS {
                let cut = durable + 1 + random.below((cut - durable) as u64) as usize;
                points.push(Point { durable, cut, kept: Kept::Some(random.next()) });
            }
        }
        durable = end;
    }
    points.extend(recording.steps.iter().flat_map(|step| acknowledged(recording, step.ended, &mut random)));
    points.sort_by_key(|point| (point.durable, point.cut));
    points
}

/// A step has just said that it is done, and nothing else has begun.
fn acknowledged(recording: &Recording, cut: usize, random: &mut Random) -> [Point; 4] {
    let flush = recording.requests[..cut].iter().rposition(|request| request.act == Act::Flush);
    let durable = flush.map_or(0, |at| at + 1);
    let some = [Kept::Some(random.next()), Kept::Some(random.next())];
    [Kept::Nothing, Kept::Everything, some[0], some[1]].map(|kept| Point { durable, cut, kept })
}

/// How many points, and drawn from what.
pub struct Choice {
    pub count: usize,
    pub seed: u64,
}

impl Choice {
    pub fn of_environment(all: usize) -> Choice {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
        };
        let whole = std::env::var("FLIPPER_TESTS_LONG").is_ok_and(|value| value == "yes");
        let count = number("FLIPPER_POWER_POINTS").map_or(if whole { all } else { 300 }, |n| n as usize);
        Choice { count: count.min(all), seed: number("FLIPPER_POWER_SEED").unwrap_or(1) }
    }
}

/// The moment each step was acknowledged, with nothing more than what it waited for. Of the others every
/// step gets its share, however many writes it made: one point of each step in turn.
pub fn choose(recording: &Recording, all: &[Point], choice: &Choice) -> Vec<Point> {
    let mut of_step: BTreeMap<usize, Vec<Point>> = BTreeMap::new();
    let mut chosen = Vec::new();
    // To look closer: FLIPPER_POWER_STEP="apt remove;undo" takes only the points of these steps.
    let only = std::env::var("FLIPPER_POWER_STEP").ok();
    let wanted = |point: &&Point| {
        let (acknowledged, under_way) = recording.at(point.cut);
        let step = under_way.or(acknowledged.last()).map(|step| step.name);
        only.as_ref().is_none_or(|only| only.split(';').any(|named| step == Some(named)))
    };
    for point in all.iter().filter(wanted) {
        let is_end = recording.steps.iter().any(|step| step.ended == point.cut);
        if is_end && point.kept == Kept::Nothing {
            chosen.push(*point);
            continue;
        }
        of_step.entry(recording.at(point.cut).0.len()).or_default().push(*point);
    }
    let mut random = Random(choice.seed);
    while chosen.len() < choice.count && of_step.values().any(|points| !points.is_empty()) {
        for points in of_step.values_mut().filter(|points| !points.is_empty()) {
            let at = random.below(points.len() as u64) as usize;
            chosen.push(points.swap_remove(at));
        }
    }
    chosen.truncate(choice.count);
    chosen.sort_by_key(|point| (point.durable, point.cut));
    if choice.count < all.len() {
        say(format_args!("power: FLIPPER_POWER_POINTS={} FLIPPER_POWER_SEED={}", choice.count, choice.seed));
    }
    chosen
}

/// Small, and the same everywhere (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
