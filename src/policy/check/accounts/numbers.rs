//! Numbers of accounts: what bears them in the upper, names that have another one in the candidate (A2),
//! and numbers that belong to two (A3).

use std::collections::{BTreeMap, HashMap};

use crate::model::error::Result;
use crate::model::tree::{Object, Tree};
use crate::policy::accounts::FIRST_PERSON;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Severity, readable};
use crate::policy::compare::{Change, change};

use super::Notes;
use super::merge::{Account, Kind, Stays};

/// How many paths of the upper bear a number. Copies of what the base has are not counted: they go.
#[derive(Default)]
pub struct Bearers {
    users: HashMap<u32, usize>,
    groups: HashMap<u32, usize>,
}

impl Bearers {
    pub fn read(look: &Look) -> Bearers {
        let mut bearers = Bearers::default();
        for triple in look.trees.triples {
            let Some(mine) = &triple.mine else { continue };
            if triple.old.as_ref().is_some_and(|old| mine.same(old)) {
                continue;
            }
            *bearers.users.entry(mine.uid).or_default() += 1;
            *bearers.groups.entry(mine.gid).or_default() += 1;
            for (kind, number) in acl_numbers(mine) {
                *bearers.map(kind).entry(number).or_default() += 1;
            }
        }
        bearers
    }

    fn map(&mut self, kind: Kind) -> &mut HashMap<u32, usize> {
        match kind {
            Kind::User => &mut self.users,
            Kind::Group => &mut self.groups,
        }
    }

    fn count(&self, kind: Kind, number: u32) -> usize {
        let map = if kind == Kind::User { &self.users } else { &self.groups };
        map.get(&number).copied().unwrap_or_default()
    }

    /// Paths that bear the number an account has in the profile.
    pub fn of(&self, account: &Account) -> usize {
        account.numbers()[1].map_or(0, |number| self.count(account.kind, number))
    }
}

/// Users and groups that an ACL names (acl(5); linux/posix_acl_xattr.h: a version, then entries of tag,
/// permissions and id, little-endian).
fn acl_numbers(object: &Object) -> Vec<(Kind, u32)> {
    const NAMES: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];
    let Some(xattrs) = &object.xattrs else { return Vec::new() };
    let acls = NAMES.iter().filter_map(|name| xattrs.get(*name)?.get(4..));
    let entries = acls.flat_map(|acl| acl.chunks_exact(8));
    let entry = |entry: &[u8]| {
        let number = u32::from_le_bytes(entry[4..8].try_into().ok()?);
        match u16::from_le_bytes([entry[0], entry[1]]) {
            0x02 => Some((Kind::User, number)),
            0x08 => Some((Kind::Group, number)),
            _ => None,
        }
    };
    entries.filter_map(entry).collect()
}

/// How many files of a tree belong to a number.
pub fn files_of(tree: &dyn Tree, kind: Kind, number: u32) -> Result<usize> {
    let mut count = 0;
    tree.below(b"", &mut |_, object| {
        let its = if kind == Kind::User { object.uid } else { object.gid };
        count += usize::from(its == number);
    })?;
    Ok(count)
}

fn severity(numbers: &[u32]) -> Severity {
    // Of people there are files in home and on other disks, which nobody here renumbers.
    match numbers.iter().any(|number| *number >= FIRST_PERSON) {
        true => Severity::Decision,
        false => Severity::Automatic,
    }
}

const ELSEWHERE: &str = "files outside the profile keep their number: look at /home and other disks with \
                         find -xdev -uid or -gid";

/// A2: the same name, another number in the candidate.
pub fn drift(accounts: &[Account], bearers: &Bearers, notes: &mut Notes) {
    for account in accounts {
        let [old, Some(mine), Some(new)] = account.numbers() else { continue };
        let theirs = change(old.as_ref(), Some(&mine), Some(&new));
        if !matches!(theirs, Change::Theirs | Change::Conflict) {
            continue;
        }
        let shown = account.main.exchanged.as_ref().and_then(|line| account.kind.number(line));
        let paths = bearers.count(account.kind, mine);
        if shown == Some(new) && paths == 0 {
            continue; // the account files come from the base, and nothing bears the old number
        }
        let gives = "takes the candidate's number, and gives what is the account's in the profile to it";
        let severity = severity(&[mine, new]);
        let finding = notes.note(Class::A2, severity, &account.name, gives);
        let (number, bear) = words(account.kind);
        finding.add(number, format!("{mine} in the profile, {new} in the candidate"));
        finding.add(bear, paths.to_string());
        if severity == Severity::Decision && finding.choices.is_empty() {
            finding.choices.push(ELSEWHERE.to_owned());
        }
    }
}

fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::User => ("user", "paths of the user"),
        Kind::Group => ("group", "paths of the group"),
    }
}

/// A3: the candidate gives a number to one account, and the profile has it for another.
pub fn collisions(accounts: &[Account], bearers: &Bearers, notes: &mut Notes) {
    for kind in [Kind::User, Kind::Group] {
        let these = || accounts.iter().filter(move |account| account.kind == kind);
        // Given by the candidate: this one did not have the number in the profile.
        let given: BTreeMap<u32, &Account> = these()
            .filter_map(|account| {
                let [_, mine, new] = account.numbers();
                let number = account.merged_number().filter(|n| new == Some(*n) && mine != new)?;
                Some((number, account))
            })
            .collect();
        let mut had = Vec::new();
        for account in these() {
            let Some(mine) = account.numbers()[1] else { continue };
            had.push(mine);
            let bears = bearers.count(kind, mine);
            let number = match account.stays() {
                Stays::Gone if bears > 0 => Some(mine), // it is kept for its files
                _ => account.merged_number().filter(|number| *number == mine),
            };
            let Some(other) = number.and_then(|n| given.get(&n)).filter(|o| o.name != account.name) else {
                continue;
            };
            let gives = "gives the profile's account a free number, and what is its in the profile with it";
            let severity = severity(&[mine]);
            let finding = notes.note(Class::A3, severity, &account.name, gives);
            let (what, bear) = words(kind);
            finding.add(what, format!("{mine}, which is {} in the candidate", readable(&other.name)));
            finding.add(bear, bears.to_string());
            if severity == Severity::Decision && finding.choices.is_empty() {
                finding.choices.push(ELSEWHERE.to_owned());
            }
        }
        for (number, other) in given {
            let paths = bearers.count(kind, number);
            if paths > 0 && !had.contains(&number) {
                orphans(kind, number, paths, other, notes);
            }
        }
    }
}

/// A3 without a name: somebody's who is no account any more.
fn orphans(kind: Kind, number: u32, paths: usize, other: &Account, notes: &mut Notes) {
    let leaves = "leaves them; they will belong to this account";
    let finding = notes.note(Class::A3, Severity::Decision, &other.name, leaves);
    let (what, bear) = words(kind);
    finding.add(what, format!("{number} in the candidate, nobody's in the profile"));
    finding.add(bear, paths.to_string());
    let option = if kind == Kind::User { "uid" } else { "gid" };
    finding
        .choices
        .push(format!("see whose they were, and give them away first: find / -xdev -{option} {number}"));
}
