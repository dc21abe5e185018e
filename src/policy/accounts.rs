//! Account numbers: which ones a root gave, and how those it does not have any more are kept from being
//! given to somebody else (design section 7). Text in, text out.

use std::collections::{BTreeMap, BTreeSet};

use crate::dpkg::accounts::{self, User};
use crate::model::ledger::{
    ACCOUNT_FILES, GROUP, GSHADOW, Given, PASSWD, SHADOW, SUBGID, SUBUID, Texts, What,
};
use crate::model::reserved::{COMMENT, LOCKED, Marks, OWNER, without};

/// passwd(5) of a reserved user.
const NOWHERE: &str = "/nonexistent";
const NO_SHELL: &str = "/usr/sbin/nologin";

/// Debian policy 9.2.2: `nobody` and `nogroup`, and the primary group of who has none.
const NOBODY: u32 = 65534;

/// Every number of a root, but for those that are only reserved.
pub fn given(texts: &Texts) -> Vec<Given> {
    let used = used(texts);
    let of = |inside: &str| used.get(inside).map_or(&b""[..], Vec::as_slice);
    let one = |what, number, name: &str, rest: String| Given {
        what,
        number,
        name: name.to_owned(),
        packages: Vec::new(),
        rest,
    };
    let user = |user: User| one(What::User, user.number, user.name, rest_of(&user));
    let mut found: Vec<Given> = accounts::users(of(PASSWD)).map(user).collect();
    found.extend(accounts::groups(of(GROUP)).map(|g| one(What::Group, g.number, g.name, String::new())));
    for (inside, what) in [(SUBUID, What::SubUid), (SUBGID, What::SubGid)] {
        let ranges = accounts::ranges(of(inside));
        found.extend(ranges.map(|range| one(what, range.number, range.name, range.rest)));
    }
    found
}

fn used(texts: &Texts) -> Texts {
    let gshadow = texts.get(GSHADOW).cloned().unwrap_or_default();
    texts.iter().map(|(inside, text)| (*inside, without(inside, text, &gshadow))).collect()
}

fn rest_of(user: &User) -> String {
    let User { group, comment, home, shell, .. } = user;
    format!("{group}:{comment}:{home}:{shell}")
}

/// The account files of a root with a locked account for every number of the ledger that it lacks: only
/// those that change, and only lines at their end. The account has the name it had, so that the package
/// finds it, and the files it owns, when it is installed again. A root without passwd gets nothing.
pub fn reserve(ledger: &[Given], texts: &Texts) -> Texts {
    if !texts.contains_key(PASSWD) {
        return Texts::new();
    }
    let mut more = Appended::to(texts);
    // Of two accounts that had one number or one name, the newer is the one that may have left something.
    let newest_first = || ledger.iter().rev();
    newest_first().filter(|given| given.what == What::Group).for_each(|given| more.group(given));
    for given in newest_first() {
        match given.what {
            What::User => more.user(given),
            What::Group => {}
            What::SubUid => more.range(SUBUID, given),
            What::SubGid => more.range(SUBGID, given),
        }
    }
    more.texts.retain(|inside, _| more.changed.contains(inside));
    more.texts
}

/// Account files that get lines at their end, and the numbers and names in them.
struct Appended {
    texts: Texts,
    changed: BTreeSet<&'static str>,
    numbers: BTreeSet<(&'static str, u32)>,
    names: BTreeSet<(&'static str, String)>,
}

impl Appended {
    fn to(texts: &Texts) -> Appended {
        let of = |inside| texts.get(inside).map_or(&b""[..], Vec::as_slice);
        let users = accounts::users(of(PASSWD)).map(|user| (PASSWD, user.number, user.name));
        let groups = accounts::groups(of(GROUP)).map(|group| (GROUP, group.number, group.name));
        let ranges =
            |inside| accounts::ranges(of(inside)).map(move |range| (inside, range.number, range.name));
        let all = users.chain(groups).chain(ranges(SUBUID)).chain(ranges(SUBGID));
        let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
        for (inside, number, name) in all {
            numbers.insert((inside, number));
            names.insert((inside, name.to_owned()));
        }
        Appended { texts: texts.clone(), changed: BTreeSet::new(), numbers, names }
    }

    fn append(&mut self, inside: &'static str, line: String) {
        let text = self.texts.entry(inside).or_default();
        if text.last().is_some_and(|b| *b != b'\n') {
            text.push(b'\n');
        }
        text.extend_from_slice(line.as_bytes());
        self.changed.insert(inside);
    }

    /// The name for a number that is free; None when it is not.
    fn name_for(&mut self, inside: &'static str, given: &Given) -> Option<String> {
        if !self.numbers.insert((inside, given.number)) {
            return None;
        }
        let free = self.names.insert((inside, given.name.clone()));
        Some(if free { given.name.clone() } else { format!("{OWNER}-{}", given.number) })
    }

    fn user(&mut self, given: &Given) {
        let Some(name) = self.name_for(PASSWD, given) else { return };
        let group = given.rest.split(':').next().and_then(|group| group.parse().ok());
        let group = group.filter(|group| self.numbers.contains(&(GROUP, *group))).unwrap_or(NOBODY);
        let has_shadow = self.texts.contains_key(SHADOW);
        let password = if has_shadow { "x" } else { LOCKED };
        self.append(
            PASSWD,
            format!("{name}:{password}:{}:{group}:{COMMENT}:{NOWHERE}:{NO_SHELL}\n", given.number),
        );
        if has_shadow {
            // shadow(5): changed on day 1, expired on day 1, so that no key of ssh opens it either.
            self.append(SHADOW, format!("{name}:{LOCKED}:1:::::1:\n"));
        }
    }

    fn group(&mut self, given: &Given) {
        if !self.texts.contains_key(GROUP) {
            return;
        }
        let Some(name) = self.name_for(GROUP, given) else { return };
        let has_gshadow = self.texts.contains_key(GSHADOW);
        let password = if has_gshadow { "x" } else { LOCKED };
        self.append(GROUP, format!("{name}:{password}:{}:\n", given.number));
        if has_gshadow {
            self.append(GSHADOW, format!("{name}:{LOCKED}::\n"));
        }
    }

    /// useradd(8) gives the range behind the last one; one of another length at the same place is enough.
    fn range(&mut self, inside: &'static str, given: &Given) {
        let Ok(length) = given.rest.parse::<u32>() else { return };
        if self.texts.contains_key(inside) && self.numbers.insert((inside, given.number)) {
            self.append(inside, format!("{OWNER}:{}:{length}\n", given.number));
        }
    }
}

/// Debian policy 9.2.2: numbers below are of packages, from here on of people.
pub const FIRST_PERSON: u32 = 1000;

/// Behind it are systemd's dynamic users and `nobody` (Debian policy 9.2.2).
const LAST_PERSON: u32 = 59_999;

/// The people who are in one state and not in another: there their accounts are locked.
pub fn locked(now: &Texts, then: &Texts) -> Vec<String> {
    let is_person =
        |given: &Given| given.what == What::User && (FIRST_PERSON..=LAST_PERSON).contains(&given.number);
    let then: BTreeSet<u32> = given(then).iter().filter(|g| is_person(g)).map(|g| g.number).collect();
    let gone = given(now).into_iter().filter(|given| is_person(given) && !then.contains(&given.number));
    gone.map(|given| given.name).collect()
}

/// The names of the reserved users and groups of a root that a package may wake. A person's account never
/// wakes by itself, whatever a script says.
pub fn reserved_names(texts: &Texts) -> BTreeSet<String> {
    let gshadow = texts.get(GSHADOW).cloned().unwrap_or_default();
    let (marks, mut names, mut persons) = (Marks::of(&gshadow), BTreeSet::new(), BTreeSet::new());
    for inside in [PASSWD, GROUP] {
        let text = texts.get(inside).map_or(&b""[..], Vec::as_slice);
        let ours = text.split(|b| *b == b'\n').filter(|line| marks.is_reserved(inside, line));
        for fields in ours.filter_map(|line| std::str::from_utf8(line).ok()) {
            let mut fields = fields.split(':');
            let (name, number) = (fields.next().unwrap_or_default(), fields.nth(1));
            let of_package = number.and_then(|n| n.parse().ok()).is_some_and(|n: u32| n < FIRST_PERSON);
            if of_package { &mut names } else { &mut persons }.insert(name.to_owned());
        }
    }
    names.difference(&persons).cloned().collect()
}

/// Each new account with the packages that name it. A package is not the giver of what was there before
/// its run began (`before`: the point), made by hand since the last note; nor of a person.
pub fn credit(now: &mut [Given], before: &Texts, names: impl Fn(&Given) -> Vec<String>) {
    let before = given(before);
    let is_new =
        |given: &Given| !before.iter().any(|old| (old.what, old.number) == (given.what, given.number));
    let of_package = |given: &Given| match given.what {
        What::User | What::Group => given.number < FIRST_PERSON,
        What::SubUid | What::SubGid => true,
    };
    for given in now.iter_mut().filter(|given| of_package(given) && is_new(given)) {
        given.packages = names(given);
    }
}

/// The account files with these reserved accounts as they were when they were used, but for the password:
/// their package comes back, finds them, and changes nothing of what it finds (adduser, sysusers). Only
/// the files that change; with the directories the users lived in, and who they are.
pub fn revive(ledger: &[Given], texts: &Texts, names: &BTreeSet<String>) -> Revived {
    let gshadow = texts.get(GSHADOW).cloned().unwrap_or_default();
    let (marks, mut revived) = (Marks::of(&gshadow), Revived::default());
    let users = ledger.iter().filter(|given| given.what == What::User);
    let was = users.map(|given| ((given.number, given.name.as_str()), given.rest.as_str())).collect();
    let owners = Owners::of(ledger, names);
    for inside in ACCOUNT_FILES {
        let Some(text) = texts.get(inside) else { continue };
        let mut now = Vec::with_capacity(text.len());
        for line in text.split_inclusive(|b| *b == b'\n') {
            let ours = marks.is_reserved(inside, line);
            let line_now = || match inside {
                SUBUID | SUBGID => owners.revived_range(inside, line),
                _ => revived_line(inside, line, &was, names, &mut revived),
            };
            match ours.then(line_now).flatten() {
                Some(line) => now.extend_from_slice(line.as_bytes()),
                None => now.extend_from_slice(line),
            }
        }
        if now != *text {
            revived.texts.insert(inside, now);
        }
    }
    revived
}

/// Whose a range was, of those that are revived: the newest owner of its first number.
struct Owners<'a>(BTreeMap<(&'static str, u32), &'a str>);

impl<'a> Owners<'a> {
    fn of(ledger: &'a [Given], names: &BTreeSet<String>) -> Owners<'a> {
        let mut owners = BTreeMap::new();
        for given in ledger {
            let inside = match given.what {
                What::SubUid => SUBUID,
                What::SubGid => SUBGID,
                What::User | What::Group => continue,
            };
            owners.insert((inside, given.number), given.name.as_str());
        }
        owners.retain(|_, name| names.contains(*name));
        Owners(owners)
    }

    fn revived_range(&self, inside: &'static str, line: &[u8]) -> Option<String> {
        let range = accounts::ranges(line.strip_suffix(b"\n").unwrap_or(line)).next()?;
        let owner = self.0.get(&(inside, range.number))?;
        Some(format!("{owner}:{}:{}\n", range.number, range.rest))
    }
}

/// What [`revive`] makes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Revived {
    pub texts: Texts,
    /// Absolute path, user, group.
    pub homes: Vec<(String, u32, u32)>,
}

fn revived_line(
    inside: &str,
    line: &[u8],
    was: &BTreeMap<(u32, &str), &str>,
    names: &BTreeSet<String>,
    revived: &mut Revived,
) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.trim_end_matches('\n');
    let mut fields: Vec<&str> = line.split(':').collect();
    let name = (*fields.first()?).to_owned();
    if !names.contains(&name) {
        return None;
    }
    match inside {
        PASSWD => {
            let user = accounts::users(line.as_bytes()).next()?;
            let rest = was.get(&(user.number, name.as_str()))?;
            let whole = format!("{name}:{}:{}:{rest}\n", fields.get(1)?, user.number);
            let was = accounts::users(whole.as_bytes()).next()?;
            revived.homes.push((was.home, was.number, was.group));
            Some(whole.clone())
        }
        SHADOW => {
            *fields.get_mut(1)? = "!*";
            *fields.get_mut(7)? = "";
            Some(fields.join(":") + "\n")
        }
        GSHADOW => {
            *fields.get_mut(1)? = "!";
            Some(fields.join(":") + "\n")
        }
        GROUP if fields.get(1) == Some(&LOCKED) => {
            fields[1] = "!";
            Some(fields.join(":") + "\n")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
