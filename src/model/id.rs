//! The three names that become paths: profile ids, base versions and entry numbers. Their fields are
//! private and the only way in is `FromStr`, so a path built from one can never leave its directory
//! (house rule 4). `tests/names.txt` lists good and bad ids for Rust, shell and boot.cmd alike.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::Error;

/// The id of a profile, e.g. `lab`: `[a-z0-9][a-z0-9-]{0,31}`. It names the profile's directory and
/// never changes; what people see and may change is the name in profile.json. Short, because the
/// overlay's mount options must fit into 256 bytes a value (util-linux 2.41).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProfileId(String);

impl ProfileId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProfileId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        let lower = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = (1..=32).contains(&bytes.len())
            && lower(&bytes[0])
            && bytes.iter().all(|b| lower(b) || *b == b'-');
        if good { Ok(ProfileId(text.to_owned())) } else { Err(Error::BadId { text: text.to_owned() }) }
    }
}

/// The version of a base, e.g. `13.2`: `[A-Za-z0-9][A-Za-z0-9.+~-]{0,47}`, never `current`, `good`
/// or `lock`, never ending in `.manifest` or `.json` (those names stand beside the bases).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseVersion(String);

impl BaseVersion {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaseVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        let good = (1..=48).contains(&bytes.len())
            && bytes[0].is_ascii_alphanumeric()
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b".+~-".contains(b))
            && text != "current"
            && text != "good"
            && text != "lock"
            && !text.ends_with(".manifest")
            && !text.ends_with(".json");
        if good {
            Ok(BaseVersion(text.to_owned()))
        } else {
            Err(Error::BadBaseVersion { text: text.to_owned() })
        }
    }
}

/// The number of a journal entry. Pool-wide, from 1, never reused. It also names what the entry
/// made: `roots/57` is the root made by entry 57, `snapshots/57` the state before entry 57.
///
/// At most 2^63-1, which is what SQLite counts to; nobody gets there by counting, but a file may say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct EntryNumber(u64);

impl EntryNumber {
    pub const FIRST: EntryNumber = EntryNumber(1);
    /// The greatest there can be (SQLite counts to it); no entry comes to have it.
    pub const LAST: EntryNumber = EntryNumber(i64::MAX as u64);

    pub fn get(self) -> u64 {
        self.0
    }

    /// The last one has no next: it is itself, and making its entry fails.
    pub fn next(self) -> EntryNumber {
        EntryNumber((self.0 + 1).min(EntryNumber::LAST.0))
    }
}

impl TryFrom<u64> for EntryNumber {
    type Error = Error;

    fn try_from(number: u64) -> Result<Self, Error> {
        match number {
            0 => Err(Error::BadEntryNumber { text: "0".to_owned() }),
            n if n > EntryNumber::LAST.0 => Err(Error::BadEntryNumber { text: n.to_string() }),
            n => Ok(EntryNumber(n)),
        }
    }
}

impl From<EntryNumber> for u64 {
    fn from(number: EntryNumber) -> u64 {
        number.0
    }
}

impl FromStr for EntryNumber {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // No sign, no leading zero: the number must print back to the name of its directory.
        match text.parse::<u64>() {
            Ok(n) if n.to_string() == text => EntryNumber::try_from(n),
            _ => Err(Error::BadEntryNumber { text: text.to_owned() }),
        }
    }
}

/// What a person names where a state is wanted: `lab` (its current root) or `lab@57` (the state
/// before entry 57).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRef {
    pub profile: ProfileId,
    pub point: Option<EntryNumber>,
}

impl FromStr for StateRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once('@') {
            None => Ok(StateRef { profile: text.parse()?, point: None }),
            Some((id, number)) => Ok(StateRef { profile: id.parse()?, point: Some(number.parse()?) }),
        }
    }
}

macro_rules! prints_as_text {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    )*};
}
prints_as_text!(ProfileId, BaseVersion, EntryNumber);

macro_rules! serde_through_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(id: $type) -> String {
                id.0
            }
        }
    )*};
}
serde_through_text!(ProfileId, BaseVersion);

#[cfg(test)]
mod tests {
    use super::*;

    /// The one list of names, shared with the shell and boot.cmd tests.
    #[test]
    fn ids_follow_the_shared_list() {
        let list = include_str!("../../tests/names.txt");
        let (mut good, mut bad) = (0, 0);
        for line in list.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
            let (verdict, name) = line.split_once(' ').unwrap_or((line, ""));
            match verdict {
                "good" => {
                    good += 1;
                    assert!(name.parse::<ProfileId>().is_ok(), "should be good: {name:?}");
                }
                "bad" => {
                    bad += 1;
                    assert!(name.parse::<ProfileId>().is_err(), "should be bad: {name:?}");
                }
                other => panic!("names.txt: {other:?} is neither good nor bad"),
            }
        }
        assert!(good >= 5 && bad >= 10, "the list is too short to mean anything");
    }

    #[test]
    fn base_versions_cannot_leave_their_directory() {
        for good in ["13.2", "13.2+b1", "trixie", "2026-11-01", "1~rc1"] {
            assert!(good.parse::<BaseVersion>().is_ok(), "{good}");
        }
        for bad in
            ["", ".", "..", ".incoming", "a/b", "current", "good", "x.manifest", "x.json", "lock", "a b", "ä"]
        {
            assert!(bad.parse::<BaseVersion>().is_err(), "{bad}");
        }
    }

    #[test]
    fn entry_numbers_print_back_to_their_name() {
        assert_eq!("57".parse::<EntryNumber>().unwrap().to_string(), "57");
        let last = "9223372036854775807".parse::<EntryNumber>().unwrap();
        assert_eq!(last.next(), last);
        let too_large = ["9223372036854775808", "18446744073709551615", "18446744073709551616"];
        let no_numbers = ["0", "007", "+5", "-1", "", " 5", "5 ", "1e3"];
        for bad in too_large.into_iter().chain(no_numbers) {
            assert!(bad.parse::<EntryNumber>().is_err(), "{bad}");
            assert!(serde_json::from_str::<EntryNumber>(bad).is_err() || bad.trim() == "5", "{bad}");
        }
    }

    #[test]
    fn a_state_is_a_profile_or_a_point_of_it() {
        let state: StateRef = "lab@57".parse().unwrap();
        assert_eq!((state.profile.as_str(), state.point.unwrap().get()), ("lab", 57));
        assert!("lab".parse::<StateRef>().unwrap().point.is_none());
        for bad in ["lab@", "@57", "lab@57@58", "LAB", "lab@x"] {
            assert!(bad.parse::<StateRef>().is_err(), "{bad}");
        }
    }
}
