//! Accounts of three sides merged by name, field by field. Whether an account is there at all goes by
//! passwd and group; its line in shadow or gshadow goes with it, so that neither is left without the other.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::dpkg::account_file::{File, Record, Table, place};
use crate::model::error::Result;
use crate::model::reserved;
use crate::model::tree::Tree;
use crate::policy::compare::{Change, change, change_by};

/// The account files of one side.
#[derive(Default)]
pub struct Texts {
    passwd: Vec<u8>,
    shadow: Vec<u8>,
    group: Vec<u8>,
    gshadow: Vec<u8>,
    pub subuid: Vec<u8>,
    pub subgid: Vec<u8>,
}

impl Texts {
    pub fn read(tree: &dyn Tree) -> Result<Texts> {
        let text = |path: &str| Ok(tree.text(path.as_bytes())?.unwrap_or_default());
        Ok(Texts {
            passwd: text("etc/passwd")?,
            shadow: text("etc/shadow")?,
            group: text("etc/group")?,
            gshadow: text("etc/gshadow")?,
            subuid: text("etc/subuid")?,
            subgid: text("etc/subgid")?,
        })
    }

    /// Without the accounts that an undo reserved.
    pub fn without_reserved(self) -> Texts {
        let of = |inside: &str, text: &[u8]| reserved::without(inside, text, &self.gshadow);
        Texts {
            passwd: of("etc/passwd", &self.passwd),
            shadow: of("etc/shadow", &self.shadow),
            group: of("etc/group", &self.group),
            subuid: of("etc/subuid", &self.subuid),
            subgid: of("etc/subgid", &self.subgid),
            gshadow: of("etc/gshadow", &self.gshadow),
        }
    }

    fn of(&self, kind: Kind) -> [Table<'_>; 2] {
        let [main, shadow] = kind.files();
        match kind {
            Kind::User => [Table::parse(main, &self.passwd), Table::parse(shadow, &self.shadow)],
            Kind::Group => [Table::parse(main, &self.group), Table::parse(shadow, &self.gshadow)],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    User,
    Group,
}

impl Kind {
    /// The one with the number, and the one beside it.
    pub fn files(self) -> [File; 2] {
        match self {
            Kind::User => [File::Passwd, File::Shadow],
            Kind::Group => [File::Group, File::Gshadow],
        }
    }

    /// passwd and group have it at the same place.
    pub fn number(self, record: &Record) -> Option<u32> {
        record.number(place::UID)
    }
}

/// A line of a file on all sides.
#[derive(Clone, Debug, Default)]
pub struct Lines<'a> {
    pub old: Option<Record<'a>>,
    pub mine: Option<Record<'a>>,
    pub new: Option<Record<'a>>,
    /// What a plain exchange of the base would show.
    pub exchanged: Option<Record<'a>>,
}

/// A user or a group on all sides.
pub struct Account<'a> {
    pub kind: Kind,
    pub name: Vec<u8>,
    /// Its line with the number.
    pub main: Lines<'a>,
    pub shadow: Lines<'a>,
}

/// What an account is after the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// As the fields say.
    There,
    /// Nobody's, or the candidate dropped it and the profile never changed it.
    Gone,
    /// The candidate dropped it, and the profile changed it.
    Kept,
    /// Removed in the profile, and the candidate has it.
    Removed,
}

impl<'a> Account<'a> {
    pub fn stays(&self) -> Stays {
        let lines = &self.main;
        match (&lines.old, &lines.mine, &lines.new) {
            (_, Some(_), Some(_)) | (None, Some(_), None) | (None, None, Some(_)) => Stays::There,
            (Some(old), Some(mine), None) if old == mine => Stays::Gone,
            (Some(_), Some(_), None) => Stays::Kept,
            (Some(_), None, Some(_)) => Stays::Removed,
            (_, None, None) => Stays::Gone,
        }
    }

    pub fn numbers(&self) -> [Option<u32>; 3] {
        let lines = &self.main;
        [&lines.old, &lines.mine, &lines.new].map(|line| self.kind.number(line.as_ref()?))
    }

    /// The number it has after the merge, if it is there: the profile's own where only that changed it, and
    /// else the candidate's, whose files bear it.
    pub fn merged_number(&self) -> Option<u32> {
        let [old, mine, new] = self.numbers();
        match (self.stays(), change(old.as_ref(), mine.as_ref(), new.as_ref())) {
            (Stays::Gone | Stays::Removed, _) => None,
            (_, Change::Mine) => mine,
            _ => new.or(mine),
        }
    }
}

/// Every account of the three sides, users first, each by its name. `sides`: old, mine, new, and what an
/// exchange would show.
pub fn accounts<'a>(sides: [&'a Texts; 4]) -> Vec<Account<'a>> {
    let mut found: BTreeMap<(Kind, Vec<u8>), Account<'a>> = BTreeMap::new();
    for kind in [Kind::User, Kind::Group] {
        for (side, texts) in sides.into_iter().enumerate() {
            let [main, shadow] = texts.of(kind);
            for (table, is_main) in [(main, true), (shadow, false)] {
                for record in table.records() {
                    let key = (kind, record.name().to_vec());
                    let account = found.entry(key).or_insert_with(|| Account {
                        kind,
                        name: record.name().to_vec(),
                        main: Lines::default(),
                        shadow: Lines::default(),
                    });
                    let lines = if is_main { &mut account.main } else { &mut account.shadow };
                    // Of several lines with one name the first counts.
                    lines.side(side).get_or_insert_with(|| record.clone());
                }
            }
        }
    }
    found.into_values().collect()
}

impl<'a> Lines<'a> {
    fn side(&mut self, at: usize) -> &mut Option<Record<'a>> {
        [&mut self.old, &mut self.mine, &mut self.new, &mut self.exchanged].into_iter().nth(at).expect("four")
    }

    /// The line an account that is there has after the merge, and the fields both sides changed
    /// differently: there the profile's stay.
    pub fn merged(&self, file: File) -> (Option<Record<'a>>, Vec<usize>) {
        let (Some(mine), Some(new)) = (&self.mine, &self.new) else {
            return (self.mine.clone().or_else(|| self.new.clone()), Vec::new());
        };
        let (mut merged, mut both) = (new.clone(), Vec::new());
        for at in 1..fields(file) {
            let old = self.old.as_ref().map(|old| old.field(at));
            if is_list(file, at) {
                let names = members(self.old.as_ref(), mine, new, at);
                let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
                merged.set_list(at, &names);
                continue;
            }
            let same = |a: &[u8], b: &[u8]| same_field(file, at, a, b);
            match change_by(old, Some(mine.field(at)), Some(new.field(at)), same) {
                Change::Mine => drop(merged.set(at, Cow::Owned(mine.field(at).to_vec()))),
                Change::Conflict if is_number(file, at) => {}
                Change::Conflict => {
                    merged.set(at, Cow::Owned(mine.field(at).to_vec()));
                    // Made on both sides: full names and ageing are as the tool has them that made it.
                    if old.is_some() || is_of_weight(file, at) {
                        both.push(at);
                    }
                }
                Change::Neither | Change::Theirs | Change::Agreed => {}
            }
        }
        (Some(merged), both)
    }
}

pub fn fields(file: File) -> usize {
    match file {
        File::Passwd => 7,
        File::Shadow => 9,
        File::Group | File::Gshadow => 4,
        File::Subuid => 3,
    }
}

/// What an account can be used for.
fn is_of_weight(file: File, at: usize) -> bool {
    match file {
        File::Passwd => at == place::HOME || at == place::SHELL,
        File::Shadow | File::Gshadow => at == place::PASSWORD,
        File::Group | File::Subuid => false,
    }
}

fn is_list(file: File, at: usize) -> bool {
    match file {
        File::Group => at == place::MEMBERS,
        File::Gshadow => at == place::MEMBERS || at == place::ADMINISTRATORS,
        File::Passwd | File::Shadow | File::Subuid => false,
    }
}

/// The number of an account, and of a user that of its group.
pub fn is_number(file: File, at: usize) -> bool {
    match file {
        File::Passwd => at == place::UID || at == place::USER_GID,
        File::Group => at == place::GID,
        File::Shadow | File::Gshadow | File::Subuid => false,
    }
}

/// The candidate's members without those the profile took out, and those it put in.
fn members(old: Option<&Record>, mine: &Record, new: &Record, at: usize) -> BTreeSet<Vec<u8>> {
    let set =
        |record: &Record| -> BTreeSet<Vec<u8>> { record.list(at).into_iter().map(<[u8]>::to_vec).collect() };
    let (old, mine, new) = (old.map(set).unwrap_or_default(), set(mine), set(new));
    let stays = new.into_iter().filter(|name| mine.contains(name) || !old.contains(name));
    stays.chain(mine.iter().filter(|name| !old.contains(*name)).cloned()).collect()
}

/// `*`, `!`, `!*` and `!!` all say that no password opens it. The day of the last change is the day an
/// account was made, on whatever machine that was.
pub fn same_field(file: File, at: usize, a: &[u8], b: &[u8]) -> bool {
    let locked = |text: &[u8]| !text.is_empty() && text.iter().all(|b| matches!(b, b'!' | b'*'));
    match (file, at) {
        (File::Shadow | File::Gshadow, place::PASSWORD) => a == b || (locked(a) && locked(b)),
        (File::Shadow, place::LAST_CHANGE) => true,
        _ if is_list(file, at) => {
            let set = |text: &[u8]| -> BTreeSet<Vec<u8>> {
                text.split(|b| *b == b',').filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect()
            };
            set(a) == set(b)
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(passwd: &str, group: &str, shadow: &str) -> Texts {
        let bytes = |text: &str| text.as_bytes().to_vec();
        Texts { passwd: bytes(passwd), group: bytes(group), shadow: bytes(shadow), ..Texts::default() }
    }

    fn merged(old: &Texts, mine: &Texts, new: &Texts) -> Vec<(String, Stays, String, Vec<usize>)> {
        let list = accounts([old, mine, new, mine]);
        let line = |account: &Account| {
            let [main, _] = account.kind.files();
            let (record, both) = account.main.merged(main);
            let fields = record.map(|r| (0..fields(main)).map(|at| r.field(at).to_vec()).collect::<Vec<_>>());
            let text = String::from_utf8(fields.unwrap_or_default().join(&b':')).unwrap();
            (String::from_utf8(account.name.clone()).unwrap(), account.stays(), text, both)
        };
        list.iter().map(line).collect()
    }

    #[test]
    fn each_field_goes_by_who_changed_it() {
        let old = texts("a:x:5:5:A:/a:/bin/sh\n", "g:x:9:one,two\n", "");
        let mine = texts("a:x:5:5:A:/mine:/bin/zsh\n", "g:x:9:two,three\n", "");
        let new = texts("a:x:6:5:B:/a:/bin/false\n", "g:x:9:one,two,four\n", "");
        assert_eq!(
            merged(&old, &mine, &new),
            [
                ("a".into(), Stays::There, "a:x:6:5:B:/mine:/bin/zsh".into(), vec![place::SHELL]),
                ("g".into(), Stays::There, "g:x:9:four,three,two".into(), vec![]),
            ]
        );
    }

    #[test]
    fn an_account_stays_goes_or_stays_away() {
        let old = texts("same:x:1:1::/:\nchanged:x:2:2::/:\nremoved:x:3:3::/:\nboth:x:4:4::/:\n", "", "");
        let mine = texts("same:x:1:1::/:\nchanged:x:2:2::/x:\nmine:x:9:9::/:\n", "", "");
        let new = texts("removed:x:3:3::/:\nnew:x:8:8::/:\n", "", "");
        let stays: Vec<_> = merged(&old, &mine, &new).into_iter().map(|(name, s, ..)| (name, s)).collect();
        let wanted = [
            ("both", Stays::Gone),
            ("changed", Stays::Kept),
            ("mine", Stays::There),
            ("new", Stays::There),
            ("removed", Stays::Removed),
            ("same", Stays::Gone),
        ];
        assert_eq!(stays, wanted.map(|(name, stays)| (name.to_owned(), stays)));
    }

    #[test]
    fn locked_is_locked_and_a_day_says_nothing() {
        for (a, b, same) in [("*", "!", true), ("!*", "!!", true), ("", "!", false), ("$6$x", "!", false)] {
            assert_eq!(
                same_field(File::Shadow, place::PASSWORD, a.as_bytes(), b.as_bytes()),
                same,
                "{a} {b}"
            );
        }
        assert!(same_field(File::Shadow, place::LAST_CHANGE, b"1", b"2"));
        assert!(!same_field(File::Passwd, place::SHELL, b"*", b"!"));
        assert!(same_field(File::Group, place::MEMBERS, b"a,b", b"b,a,"));
    }
}
