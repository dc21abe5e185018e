//! Times of entries, which may be wrong: a board without a battery begins in 1970, and one bad second
//! can be in 2099. So ages are never counted from the wall clock, and a wrong time only ever keeps more:
//!
//! - the *clock* is the time of the newest entry that an earlier one bears out: at most a year lies
//!   between them. One entry alone in 2099 moves nothing; the second after a long rest does;
//! - what is later than the clock, or later than now, is *from the future*: it stays;
//! - what is more than a day earlier than an entry before it, or no time at all, is *undated*: it takes
//!   nobody's place, and goes only for room.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike};

use crate::model::{Entry, EntryNumber};

pub const DAY: i64 = 86_400;
const YEAR: i64 = 366 * DAY;

/// Seconds since 1970, UTC; None for what is no time.
pub fn seconds(rfc3339: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(rfc3339).ok().map(|time| time.timestamp())
}

/// When an entry happened, as far as that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Never earlier than an entry before it.
    At(i64),
    Future,
    Undated,
}

#[derive(Clone, Debug, Default)]
pub struct Times {
    clock: Option<i64>,
    entries: BTreeMap<EntryNumber, When>,
}

impl Times {
    /// `entries` ascend by number.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>, now: i64) -> Times {
        let read: Vec<_> = entries.into_iter().map(|e| (e.number, seconds(&e.started))).collect();
        let clock = clock(read.iter().filter_map(|(_, time)| *time).filter(|time| *time <= now).collect());
        let mut latest = i64::MIN;
        let mut when = |time: Option<i64>| match (time, clock) {
            (None, _) => When::Undated,
            (Some(time), Some(clock)) if time <= clock && time < latest.saturating_sub(DAY) => When::Undated,
            (Some(time), Some(clock)) if time <= clock => {
                latest = latest.max(time);
                When::At(latest)
            }
            _ => When::Future,
        };
        Times { clock, entries: read.into_iter().map(|(number, time)| (number, when(time))).collect() }
    }

    /// None: there is no such entry.
    pub fn when(&self, number: EntryNumber) -> Option<When> {
        self.entries.get(&number).copied()
    }

    /// Seconds before the clock; None for what has no believed time.
    pub fn age(&self, number: EntryNumber) -> Option<i64> {
        match (self.when(number), self.clock) {
            (Some(When::At(time)), Some(clock)) => Some(clock - time),
            _ => None,
        }
    }
}

fn clock(times: Vec<i64>) -> Option<i64> {
    let borne_out = |at: &usize| *at == 0 || times[..*at].iter().any(|t| (times[*at] - t).abs() <= YEAR);
    (0..times.len()).rev().find(borne_out).map(|at| times[at])
}

/// How a time falls into hours, days, weeks and months: equal keys, same span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Hour,
    Day,
    Week,
    Month,
}

impl Span {
    pub fn key(self, time: i64) -> i64 {
        let day = time.div_euclid(DAY);
        match self {
            Span::Hour => time.div_euclid(3600),
            Span::Day => day,
            Span::Week => (day + 3).div_euclid(7), // 1970-01-01 was a Thursday; weeks begin on Monday
            Span::Month => match DateTime::from_timestamp(time, 0) {
                Some(date) => i64::from(date.year()) * 12 + i64::from(date.month0()),
                None => day.div_euclid(30),
            },
        }
    }
}
