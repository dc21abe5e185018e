//! Accounts: the files merged by name, and the one map by which every number in the upper becomes another,
//! all at once (a number may be given to one account and taken from another in the same rebase).

use std::collections::{BTreeMap, BTreeSet};

use crate::dpkg::account_file::{File, Line, Record, Table, place};
use crate::dpkg::statoverride::Owner as Named;
use crate::model::edit::{Edit, Owner};
use crate::model::error::Result;
use crate::model::numbers::{Numbers, is_acl};
use crate::model::tree::Object;
use crate::policy::accounts::FIRST_PERSON;
use crate::policy::check::accounts::Bearers;
use crate::policy::check::accounts::merge::{self as rules, Account, Kind, Stays, Texts};
use crate::policy::check::{Look, canonical};
use crate::policy::compare::{Change, change};

use super::databases::overrides;
use super::draft::{Attributes, Decision, Draft};

const FILES: [(File, &str); 4] = [
    (File::Passwd, "etc/passwd"),
    (File::Group, "etc/group"),
    (File::Shadow, "etc/shadow"),
    (File::Gshadow, "etc/gshadow"),
];

pub fn decide(look: &Look, draft: &mut Draft) -> Result<Numbers> {
    let trees = look.trees;
    let [old, mine, new, exchanged] = [trees.old, trees.mine, trees.new, trees.exchanged].map(Texts::read);
    let (old, mine, new, exchanged) = (old?, mine?, new?, exchanged?);
    // Placeholders of an undo: the numbers they keep free may be the candidate's own.
    let mine = mine.without_reserved();
    let accounts = rules::accounts([&old, &mine, &new, &exchanged]);
    let bearers = Bearers::read(look);
    let given = given(&accounts, &bearers);
    let numbers = numbers(&accounts, &given);
    for (file, path) in FILES {
        let merged = merged(file, &accounts, &given, &numbers);
        write(look, draft, file, path, &merged)?;
    }
    ranges(look, draft, "etc/subuid", [&old.subuid, &mine.subuid, &new.subuid])?;
    ranges(look, draft, "etc/subgid", [&old.subgid, &mine.subgid, &new.subgid])?;
    files_with_records(look, draft, &given)?;
    Ok(numbers)
}

/// The number each account that stays has afterwards.
type Given<'a> = BTreeMap<(Kind, &'a [u8]), u32>;

fn given<'a>(accounts: &'a [Account<'a>], bearers: &Bearers) -> Given<'a> {
    let mut given = Given::new();
    for kind in [Kind::User, Kind::Group] {
        let these = || accounts.iter().filter(move |account| account.kind == kind);
        let stays = |account: &&Account| match account.stays() {
            Stays::There | Stays::Kept => true,
            Stays::Gone => bearers.of(account) > 0,
            Stays::Removed => false,
        };
        // The candidate's own first: its files bear these numbers. Then whoever keeps what it had.
        let mut taken: BTreeSet<u32> = BTreeSet::new();
        for account in these().filter(stays) {
            let [_, mine, new] = account.numbers();
            let number = account.merged_number().filter(|number| new == Some(*number) && mine != new);
            if let Some(number) = number {
                taken.insert(number);
                given.insert((kind, &account.name), number);
            }
        }
        let known: BTreeSet<u32> = these().flat_map(|account| account.numbers()).flatten().collect();
        for account in these().filter(stays) {
            if given.contains_key(&(kind, &account.name[..])) {
                continue;
            }
            let [_, mine, new] = account.numbers();
            let Some(wanted) = account.merged_number().or(mine).or(new) else { continue };
            let number = match taken.contains(&wanted) {
                true => free(wanted, &known, &taken),
                false => wanted,
            };
            taken.insert(number);
            given.insert((kind, &account.name), number);
        }
    }
    given
}

/// As adduser and systemd-sysusers choose: a system's from 999 down, a person's from 1000 up.
fn free(wanted: u32, known: &BTreeSet<u32>, taken: &BTreeSet<u32>) -> u32 {
    let is_free = |number: &u32| !known.contains(number) && !taken.contains(number);
    let system = (101..FIRST_PERSON).rev().find(is_free).filter(|_| wanted < FIRST_PERSON);
    system.or_else(|| (FIRST_PERSON..60_000).find(is_free)).unwrap_or(wanted)
}

fn numbers(accounts: &[Account], given: &Given) -> Numbers {
    let mut numbers = Numbers::default();
    for account in accounts {
        let (Some(mine), Some(now)) = (account.numbers()[1], given.get(&(account.kind, &account.name[..])))
        else {
            continue;
        };
        if mine != *now {
            let map = if account.kind == Kind::User { &mut numbers.users } else { &mut numbers.groups };
            map.entry(mine).or_insert(*now);
        }
    }
    numbers
}

fn merged<'a>(
    file: File,
    accounts: &[Account<'a>],
    given: &Given,
    numbers: &Numbers,
) -> BTreeMap<Vec<u8>, Record<'a>> {
    let mut found = BTreeMap::new();
    for account in accounts {
        let [main, _] = account.kind.files();
        let Some(lines) = account.kind.files().contains(&file).then_some(if file == main {
            &account.main
        } else {
            &account.shadow
        }) else {
            continue;
        };
        let Some(number) = given.get(&(account.kind, &account.name[..])) else { continue };
        let kept = lines.mine.clone().filter(|_| account.stays() != Stays::There);
        let Some(mut record) = kept.or_else(|| lines.merged(file).0) else { continue };
        if file == File::Passwd || file == File::Group {
            record.set_number(place::UID, *number);
        }
        if file == File::Passwd {
            let group = |record: &Option<Record>| record.as_ref().and_then(|r| r.number(place::USER_GID));
            let [old, mine, new] = [&lines.old, &lines.mine, &lines.new].map(group);
            let of_mine = new.is_none() || change(old.as_ref(), mine.as_ref(), new.as_ref()) == Change::Mine;
            if let Some(mine) = mine.filter(|_| of_mine || account.stays() != Stays::There) {
                record.set_number(place::USER_GID, numbers.group(mine));
            }
        }
        found.insert(account.name.clone(), record);
    }
    found
}

/// In the candidate's order, then in the profile's; what is no account where it was.
fn write(
    look: &Look,
    draft: &mut Draft,
    file: File,
    path: &str,
    merged: &BTreeMap<Vec<u8>, Record>,
) -> Result<()> {
    let (mine, new) = (look.trees.mine.text(path.as_bytes())?, look.trees.new.text(path.as_bytes())?);
    let (mine, new) = (mine.unwrap_or_default(), new.unwrap_or_default());
    let [of_mine, of_new] = [&mine, &new].map(|text| Table::parse(file, text));
    let is = |table: &Table| {
        table.records().count() == merged.len()
            && table.records().all(|r| merged.get(r.name()).is_some_and(|m| same(file, m, r)))
    };
    let in_the_upper = look.triple(path.as_bytes()).is_some_and(|triple| triple.mine.is_some());
    let others = |table: &Table| table.lines.iter().filter(|l| matches!(l, Line::Other(_))).count();
    let alike = others(&of_mine) == others(&of_new);
    let decision = match () {
        () if is(&of_new) && alike && !in_the_upper => return Ok(()),
        () if is(&of_new) && alike => Decision::Drop,
        () if is(&of_mine) && in_the_upper => Decision::Keep,
        () => {
            let mut table = Table::parse(file, &mine);
            table.lines.retain(|line| matches!(line, Line::Other(_)));
            let mut lines = Vec::new();
            let mut done: BTreeSet<&[u8]> = BTreeSet::new();
            for record in of_new.records().chain(of_mine.records()) {
                let Some((name, merged)) = merged.get_key_value(record.name()) else { continue };
                if done.insert(name) {
                    lines.push(Line::Record(merged.clone()));
                }
            }
            lines.append(&mut table.lines);
            let mut all = Table::parse(file, b"");
            all.lines = lines;
            Decision::Write(all.write(), None)
        }
    };
    draft.decide(path.as_bytes(), decision);
    Ok(())
}

/// The same account: a day of a password's change says nothing.
fn same(file: File, a: &Record, b: &Record) -> bool {
    (0..rules::fields(file)).all(|at| rules::same_field(file, at, a.field(at), b.field(at)))
}

/// subuid, subgid: every range of the profile's stays, and the candidate's new ones come.
fn ranges(look: &Look, draft: &mut Draft, path: &str, [old, mine, new]: [&Vec<u8>; 3]) -> Result<()> {
    if look.triple(path.as_bytes()).is_none() {
        return Ok(()); // as the base has it, and as the candidate does
    }
    let lines = |text: &'_ [u8]| -> BTreeSet<Vec<u8>> {
        text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let (old_set, mine_set, new_set) = (lines(old), lines(mine), lines(new));
    let merged: Vec<&[u8]> = mine
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty() && (new_set.contains(*line) || !old_set.contains(*line)))
        .chain(
            new.split(|b| *b == b'\n')
                .filter(|line| !line.is_empty() && !mine_set.contains(*line) && !old_set.contains(*line)),
        )
        .collect();
    let mut text = merged.join(&b'\n');
    text.extend(if text.is_empty() { &b""[..] } else { b"\n" });
    let decision = match () {
        () if text == *new && look.trees.new.find(path.as_bytes())?.is_some() => Decision::Drop,
        () if text == *mine => Decision::Keep,
        () => Decision::Write(text, None),
    };
    draft.decide(path.as_bytes(), decision);
    Ok(())
}

/// A record of dpkg-statoverride waited for a file, and the candidate brings it.
fn files_with_records(look: &Look, draft: &mut Draft, given: &Given) -> Result<()> {
    for record in overrides(look) {
        let path = canonical(record.path);
        let Some(new) = look.trees.new.find(&path)? else { continue };
        let number = |owner: Named, kind| match owner {
            Named::Name(name) => given.get(&(kind, name)).copied(),
            Named::Number(number) => Some(number),
        };
        let (Some(uid), Some(gid)) = (number(record.user, Kind::User), number(record.group, Kind::Group))
        else {
            continue;
        };
        let owner = Owner { mode: record.mode as u16, uid, gid };
        let is_so = (new.mode, new.uid, new.gid) == (owner.mode, uid, gid);
        if !is_so && look.triple(&path).is_none() && !new.is_directory() {
            draft.decide(&path, Decision::Changed(Attributes { owner, xattrs: Vec::new() }));
        }
    }
    Ok(())
}

/// What bears a number that becomes another, and stays in the upper.
pub fn renumbered<'d>(
    look: &Look,
    numbers: &Numbers,
    decided: impl Fn(&[u8]) -> Option<&'d Decision>,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    if numbers.is_empty() {
        return edits;
    }
    for triple in look.trees.triples {
        let Some(mine) = triple.mine.as_deref() else { continue };
        let (old, new) = (triple.old.as_deref(), triple.new.as_deref());
        match decided(&triple.path) {
            None | Some(Decision::Keep | Decision::Write(_, None)) => {
                edits.extend(of(&triple.path, mine, numbers))
            }
            // What both bases have has been compared with them: see draft.rs.
            Some(Decision::Directory { takes: false, .. })
                if !old.zip(new).is_some_and(|(old, new)| old.is_directory() && new.is_directory()) =>
            {
                edits.extend(of(&triple.path, mine, numbers));
            }
            _ => {}
        }
    }
    edits
}

fn of(path: &[u8], mine: &Object, numbers: &Numbers) -> Vec<Edit> {
    let mut edits = Vec::new();
    let (uid, gid) = (numbers.user(mine.uid), numbers.group(mine.gid));
    if (uid, gid) != (mine.uid, mine.gid) {
        edits.push(Edit::Owner { path: path.to_vec(), owner: Owner { mode: mine.mode, uid, gid } });
    }
    for (name, value) in mine.xattrs.iter().flatten().filter(|(name, _)| is_acl(name)) {
        if let Some(value) = numbers.acl(value) {
            edits.push(Edit::Attribute { path: path.to_vec(), name: name.clone(), value: Some(value) });
        }
    }
    edits
}

/// What is made whole from the old base bears its numbers.
pub fn materialised(look: &Look, numbers: &Numbers, path: &[u8]) -> Vec<Edit> {
    let object = look.trees.old.find(path).ok().flatten();
    object.map(|object| of(path, &object, numbers)).unwrap_or_default()
}
