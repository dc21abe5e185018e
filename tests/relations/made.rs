//! Sets of real packages with something wrong about them.

use std::collections::HashSet;

use crate::archive::{Archive, Paragraph, relations};

/// xorshift: a failing seed is found again.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    pub fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

#[derive(Clone)]
pub struct Made {
    pub name: String,
    pub architecture: String,
    pub version: String,
    pub state: &'static str,
    pub fields: Vec<(String, String)>,
}

impl Made {
    pub fn of(package: &Paragraph) -> Made {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Made {
            name: package.name.to_owned(),
            architecture: package.architecture.to_owned(),
            version: package.version.to_owned(),
            state: "installed",
            fields: package.fields.iter().map(text).collect(),
        }
    }

    fn set(&mut self, field: &str, value: &str) {
        self.fields.retain(|(name, _)| name != field);
        self.fields.push((field.to_owned(), value.to_owned()));
    }

    fn add(&mut self, field: &str, value: &str) {
        match self.fields.iter_mut().find(|(name, _)| name == field) {
            Some((_, old)) => *old += &format!(", {value}"),
            None => self.set(field, value),
        }
    }
}

pub fn status(set: &[Made]) -> String {
    let paragraph = |p: &Made| {
        let triggers = match p.state {
            "triggers-awaited" => "Triggers-Awaited: dpkg\n",
            "triggers-pending" => "Triggers-Pending: x\n",
            _ => "",
        };
        let fields: String = p.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!(
            "Package: {}\nStatus: install ok {}\nArchitecture: {}\nVersion: {}\n{triggers}{fields}Maintainer: me\nDescription: x\n\n",
            p.name, p.state, p.architecture, p.version
        )
    };
    set.iter().map(paragraph).collect()
}

/// Some packages with all they depend on, as far as that goes.
pub fn closed(archive: &Archive, random: &mut Random) -> Vec<Made> {
    let (wanted, most) = (1 + random.below(6), 300 + random.below(500));
    let mut queue: Vec<usize> = (0..wanted).map(|_| random.below(archive.packages.len())).collect();
    let mut names = HashSet::new();
    let mut set = Vec::new();
    while let Some(at) = queue.pop() {
        let package = &archive.packages[at];
        if set.len() >= most || !names.insert(package.name) {
            continue;
        }
        set.push(Made::of(package));
        for (field, value) in package.fields.iter().filter(|(name, _)| name.ends_with("Depends")) {
            let mut open = Vec::new();
            for (name, last) in relations(field, value) {
                open.push(name);
                if last {
                    // Mostly the first, as apt would.
                    let which = if random.below(5) == 0 { random.below(open.len()) } else { 0 };
                    queue.extend(archive.find(open[which]));
                    open.clear();
                }
            }
        }
    }
    set
}

/// One more thing that is wrong.
pub fn spoil(set: &mut Vec<Made>, random: &mut Random) {
    let at = random.below(set.len());
    match random.below(9) {
        0 if set.len() > 1 => drop(set.remove(at)),
        0 | 1 => set[at].version = another_version(&set[at].version, random),
        2 | 3 => sibling(set, at, random),
        4 => {
            let word = random.one(&["no", "same", "foreign", "allowed"]);
            set[at].set("Multi-Arch", word);
        }
        5 => {
            set[at].state = random.one(&[
                "installed",
                "unpacked",
                "half-configured",
                "triggers-awaited",
                "triggers-pending",
                "config-files",
            ]);
        }
        6 => provide(set, at, random),
        _ => relate(set, at, random),
    }
}

/// A neighbour, as dpkg would take it.
pub fn another_version(version: &str, random: &mut Random) -> String {
    let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
    match random.below(8) {
        0 => format!("{version}~"),
        1 => format!("{version}+b1"),
        2 => format!("9:{without_epoch}"),
        3 => without_epoch.to_owned(),
        4 => version.rsplit_once('-').map_or(format!("{version}-0"), |(upstream, _)| upstream.to_owned()),
        5 => "0".to_owned(),
        6 => {
            let digit = char::from(b'0' + random.below(10) as u8);
            let mut bytes: Vec<char> = version.chars().collect();
            let digits: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i].is_ascii_digit()).collect();
            if let Some(place) = digits.last().copied() {
                bytes[digits[random.below(digits.len())].max(place.min(1))] = digit;
            }
            let changed: String = bytes.into_iter().collect();
            if is_version(&changed) { changed } else { version.to_owned() }
        }
        _ => {
            let place = 1 + random.below(version.len());
            let piece = random.one(&["0", "~", "+", ".", "a", "1", "00", "0.", "~0", "Z"]);
            let changed = format!("{}{piece}{}", &version[..place], &version[place..]);
            if is_version(&changed) { changed } else { version.to_owned() }
        }
    }
}

/// What dpkg takes without a word (deb-version(7)).
pub fn is_version(text: &str) -> bool {
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    epoch.parse::<i32>().is_ok()
        && epoch.bytes().all(|b| b.is_ascii_digit())
        && upstream.starts_with(|c: char| c.is_ascii_digit())
        && upstream.chars().all(|c| c.is_ascii_alphanumeric() || "-.+~:".contains(c))
        && !revision.is_empty()
        && revision.chars().all(|c| c.is_ascii_alphanumeric() || ".+~".contains(c))
}

fn sibling(set: &mut Vec<Made>, at: usize, random: &mut Random) {
    if set.iter().any(|p| p.name == set[at].name && p.architecture == "i386") {
        return;
    }
    let mut other = set[at].clone();
    other.architecture = "i386".to_owned();
    if random.below(3) == 0 {
        other.version = another_version(&other.version, random);
    }
    set.push(other);
}

/// Only with another operator than `=`. apt says that it passes over such a Provides, and does, but not
/// where `virtual-c:amd64` is wanted.
const NEVER_PROVIDED: &str = "virtual-c";

fn provide(set: &mut [Made], at: usize, random: &mut Random) {
    let other = random.below(set.len());
    let name = random.one(&["virtual-a", "virtual-b", set[other].name.as_str()]).to_owned();
    let version = another_version(&set[other].version, random);
    let provided = match random.below(4) {
        0 => name,
        1 => format!("{NEVER_PROVIDED} (>= {version})"),
        2 => format!("{name}:i386"),
        _ => format!("{name} (= {version})"),
    };
    set[at].add("Provides", &provided);
}

fn relate(set: &mut [Made], at: usize, random: &mut Random) {
    let field = random.one(&["Depends", "Pre-Depends", "Breaks", "Conflicts"]);
    let may_choose = field.ends_with("Depends");
    let count = if may_choose { 1 + random.below(2) } else { 1 };
    let relation: Vec<String> = (0..count).map(|_| target(set, may_choose, random)).collect();
    set[at].add(field, &relation.join(" | "));
}

fn target(set: &[Made], positive: bool, random: &mut Random) -> String {
    let other = &set[random.below(set.len())];
    let provided = other.fields.iter().find(|(name, _)| name == "Provides");
    let provided = provided.and_then(|(_, value)| value.split([' ', ',', ':']).next());
    let name =
        random.one(&[&other.name, &other.name, provided.unwrap_or("virtual-a"), "nothing", NEVER_PROVIDED]);
    let qualifier = match random.below(8) {
        1..=3 if name == NEVER_PROVIDED => "",
        0 if positive => ":any",
        1 if positive => ":native",
        2 => ":i386",
        3 => ":amd64",
        _ => "",
    };
    let operator = random.one(&["<<", "<=", "=", ">=", ">>"]);
    let version = another_version(&other.version, random);
    // apt takes the version of who provides `foo:i386` for the version it is provided in, or not: it
    // depends on what it read first.
    let in_version = random.below(2) == 0 && matches!(qualifier, "" | ":any");
    if in_version {
        format!("{name}{qualifier} ({operator} {version})")
    } else {
        format!("{name}{qualifier}")
    }
}
