//! The rules of `@journal/pool.conf`. A value that cannot be read, and a `keep_` key nobody knows (a
//! slip, or a newer program's), stop every deletion: each may have meant to keep more.

use crate::model::config::{KeyValues, POOL_CONF};
use crate::model::{Error, Result};

/// 0: there is no such rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The newest points of each profile.
    pub last: u64,
    /// Days, counted back from the newest entry of the profile.
    pub days: u64,
    /// The newest point of as many hours, days, weeks (from Monday) and months, in UTC.
    pub hourly: u64,
    pub daily: u64,
    pub weekly: u64,
    pub monthly: u64,
    /// The points before the last changes of the base.
    pub base_changes: u64,
    /// Days a deleted profile is kept, counted back from the newest entry of the pool.
    pub deleted_days: u64,
    /// Percent of the file system: with less free, what only rules keep goes.
    pub free: u64,
    /// The newest points of each profile that stay even then.
    pub least: u64,
}

/// More would have the owner's own files push out every point.
const MOST_FREE: u64 = 50;

/// A million is for ever, and days of it still count in seconds.
const MOST: u64 = 1_000_000;

impl Rules {
    /// What is missing in the file is as in a fresh one: older pools have no such lines.
    pub fn parse(settings: &KeyValues) -> Result<Rules> {
        let fresh = KeyValues::parse(POOL_CONF);
        let unknown = settings.keys().find(|key| key.starts_with("keep") && fresh.get(key).is_none());
        if let Some(key) = unknown {
            let line = format!("{key}={}", settings.get(key).unwrap_or_default());
            return Err(Error::BadSetting { line, why: "there is no such rule".into() });
        }
        let number = |key: &str, most: u64| {
            let text = settings.get(key).or(fresh.get(key)).unwrap_or_default();
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number = text.parse::<u64>().ok().filter(|number| digits && *number <= most);
            number.ok_or_else(|| Error::BadSetting {
                line: format!("{key}={text}"),
                why: format!("it wants a whole number from 0 to {most}"),
            })
        };
        Ok(Rules {
            last: number("keep_last", MOST)?,
            days: number("keep_days", MOST)?,
            hourly: number("keep_hourly", MOST)?,
            daily: number("keep_daily", MOST)?,
            weekly: number("keep_weekly", MOST)?,
            monthly: number("keep_monthly", MOST)?,
            base_changes: number("keep_base_changes", MOST)?,
            deleted_days: number("keep_deleted_days", MOST)?,
            free: number("keep_free", MOST_FREE)?,
            least: number("keep_least", MOST)?,
        })
    }

    /// "the last 10, 7 days, 14 daily": what a point that goes is beyond.
    pub fn sentence(&self) -> String {
        let named = [
            (self.last, format!("the last {}", self.last)),
            (self.days, format!("{} days", self.days)),
            (self.hourly, format!("{} hourly", self.hourly)),
            (self.daily, format!("{} daily", self.daily)),
            (self.weekly, format!("{} weekly", self.weekly)),
            (self.monthly, format!("{} monthly", self.monthly)),
        ];
        let named: Vec<String> = named.into_iter().filter(|(n, _)| *n > 0).map(|(_, text)| text).collect();
        if named.is_empty() { "no rule keeps points".into() } else { format!("beyond {}", named.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rules> {
        Rules::parse(&KeyValues::parse(text))
    }

    #[test]
    fn a_fresh_pool_has_the_rules_an_older_one_gets() {
        let fresh = parse(POOL_CONF).unwrap();
        assert_eq!(parse("").unwrap(), fresh);
        assert_eq!((fresh.last, fresh.days, fresh.hourly, fresh.least), (10, 7, 0, 3));
        assert_eq!(fresh.sentence(), "beyond the last 10, 7 days, 14 daily, 8 weekly, 6 monthly");
        let changed = parse("keep_last = 3\n#keep_last=x\n# keep_dayz=1\nkeep_days=0\n").unwrap();
        assert_eq!((changed.last, changed.days, changed.daily), (3, 0, 14));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for bad in [
            "keep_last=ten",
            "keep_last=",
            "keep_last=-1",
            "keep_last=+1",
            "keep_last=1 # one",
            "keep_days=1.5",
            "keep_days=1000001",
            "keep_days=99999999999999999999",
            "keep_free=51",
            "keep_dayz=30",
            "keep=3",
            "keep_yearly=1",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.to_string().contains("nothing is deleted"), "{error}");
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
