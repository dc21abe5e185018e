//! Where packages come from, when the candidate is another release (P20): suites in the sources and pins of
//! the profile that name the old one, and keyrings that go with the old base.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::dpkg::preferences;
use crate::dpkg::sources::{self, SignedBy, Source, Style};
use crate::model::error::Result;
use crate::model::tree::{self, Tree};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, readable};

use super::paths::Paths;

const LIST: &[u8] = b"etc/apt/sources.list";
const LISTS: &[u8] = b"etc/apt/sources.list.d";
const PINS: &[u8] = b"etc/apt/preferences";
const MORE_PINS: &[u8] = b"etc/apt/preferences.d";

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let is_of_apt = |path: &[u8]| path.starts_with(b"etc/apt/");
    let start = look.trees.triples.partition_point(|t| tree::order(&t.path, b"etc/apt").is_lt());
    let places = (start..look.trees.triples.len()).take_while(|place| {
        let path = &look.trees.triples[*place].path[..];
        path == b"etc/apt" || is_of_apt(path)
    });
    let stays = places.filter(|place| look.stays(*place));
    let paths: Vec<&[u8]> = stays.map(|place| &look.trees.triples[place].path[..]).collect();
    let releases = releases(look)?;
    let shipped = Entries::of(look.trees.old)?;
    let mut mine = Vec::new();
    let mut keys: BTreeMap<Vec<u8>, BTreeSet<&[u8]>> = BTreeMap::new();
    for path in paths {
        let text = look.trees.mine.text(path)?.unwrap_or_default();
        if let Some(style) = style(path) {
            match sources::parse(&text, style) {
                Ok(sources) => {
                    if let Some((was, is)) = &releases {
                        mine.extend(of_the_old_release(path, &sources, &shipped, was, is));
                    }
                    keyrings(path, &sources, &mut keys);
                }
                Err(error) => mine.push(unreadable(path, &error.to_string())),
            }
        } else if let Some((was, is)) = releases.as_ref().filter(|_| is_of_pins(path)) {
            mine.extend(pins(path, &text, was, is));
        }
    }
    // A source that is told of here is nothing for the rules about files any more.
    let told: BTreeSet<_> = mine.iter().map(|finding| finding.subject.clone()).collect();
    found.retain(|f| !(matches!(f.class, Class::F15 | Class::F16) && told.contains(&f.subject)));
    found.extend(mine);
    lost_keyrings(look, keys, found)
}

/// The code names of the old base and of the candidate, where they are not the same.
fn releases(look: &Look) -> Result<Option<(String, String)>> {
    let (was, is) = (code_name(look.trees.old)?, code_name(look.trees.new)?);
    Ok(was.zip(is).filter(|(was, is)| was != is))
}

/// VERSION_CODENAME of os-release(5). None: a manifest that does not have it, or a base without.
fn code_name(base: &dyn Tree) -> Result<Option<String>> {
    let text = base.text(b"usr/lib/os-release")?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.map(|name| name.trim().trim_matches(['"', '\'']).to_owned()).filter(|name| !name.is_empty()))
}

fn style(path: &[u8]) -> Option<Style> {
    match path {
        LIST => Some(Style::OneLine),
        _ if tree::parent(path) == LISTS => sources::style(tree::name(path)),
        _ => None,
    }
}

fn is_of_pins(path: &[u8]) -> bool {
    path == PINS || tree::parent(path) == MORE_PINS
}

/// Is it a suite of this release: `bookworm`, `bookworm-updates`, `bookworm/updates`?
fn is_of(suite: &[u8], release: &str) -> bool {
    let rest = suite.strip_prefix(release.as_bytes());
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'-' | b'/')))
}

/// What a base ships: each suite of each source as one entry.
struct Entries(BTreeSet<Vec<u8>>);

impl Entries {
    /// A base's own file that cannot be read ships nothing.
    fn of(base: &dyn Tree) -> Result<Entries> {
        let mut entries = BTreeSet::new();
        let mut add = |path: &[u8], text: &[u8]| {
            let sources = style(path).map(|style| sources::parse(text, style).unwrap_or_default());
            for source in sources.iter().flatten() {
                entries.extend(source.suites.iter().map(|suite| entry(source, &suite.name)));
            }
        };
        add(LIST, &base.text(LIST)?.unwrap_or_default());
        base.texts(LISTS, b"", &mut |path, text| add(path, text))?;
        Ok(Entries(entries))
    }

    fn has(&self, source: &Source, suite: &[u8]) -> bool {
        self.0.contains(&entry(source, suite))
    }
}

/// Whatever it is signed by, and in whichever file it is.
fn entry(source: &Source, suite: &[u8]) -> Vec<u8> {
    let words = |words: &[Cow<[u8]>]| words.join(&b' ');
    let types = format!("{:?}", source.types);
    [types.as_bytes(), &words(&source.uris), suite, &words(&source.components)].join(&b'\n')
}

/// Two findings at most: what the base shipped so, and what somebody added.
fn of_the_old_release(
    path: &[u8],
    sources: &[Source],
    shipped: &Entries,
    was: &str,
    is: &str,
) -> Vec<Finding> {
    let (mut automatic, mut own) = (BTreeSet::new(), BTreeSet::new());
    for source in sources.iter().filter(|source| source.enabled) {
        let uri = readable(source.uris.first().map_or(b"", |uri| &uri[..]));
        for suite in source.suites.iter().filter(|suite| is_of(&suite.name, was)) {
            let list = if shipped.has(source, &suite.name) { &mut automatic } else { &mut own };
            list.insert(format!("{uri} {}", readable(&suite.name)));
        }
    }
    let finding = |severity, list: BTreeSet<String>, rebase: String| {
        (!list.is_empty()).then(|| {
            Finding::path(Class::P20, severity, path, rebase)
                .seen("names the old release", list.into_iter().collect::<Vec<_>>().join(", "))
                .seen("candidate is", is)
        })
    };
    let writes = format!("writes {is} for {was}, the base shipped it so");
    let leaves = "leaves it as it is: whether this archive has the new release, nobody here can know";
    let automatic = finding(Severity::Automatic, automatic, writes);
    let own = finding(Severity::Decision, own, leaves.to_owned()).map(|finding| {
        finding.choice(format!(
            "afterwards write {is} for {was} in it, or switch it off until the archive has that"
        ))
    });
    automatic.into_iter().chain(own).collect()
}

fn unreadable(path: &[u8], why: &str) -> Finding {
    Finding::path(Class::P20, Severity::Decision, path, "leaves it as it is; apt refuses to work with it")
        .seen("what is wrong", why)
}

fn pins(path: &[u8], text: &[u8], was: &str, is: &str) -> Option<Finding> {
    let pins = preferences::parse(text).ok()?;
    let names_it = |pin: &&preferences::Pin| {
        let mut words = pin.pin.split(|b| b.is_ascii_whitespace() || *b == b',');
        words.any(|word| {
            let name = word.strip_prefix(b"n=").or_else(|| word.strip_prefix(b"a="));
            name.is_some_and(|name| is_of(name, was))
        })
    };
    let named: Vec<String> = pins.iter().filter(names_it).map(|pin| readable(pin.pin)).collect();
    (!named.is_empty()).then(|| {
        Finding::path(Class::P20, Severity::Decision, path, "leaves it as it is; it fits nothing any more")
            .seen("names the old release", named.join(", "))
            .choice(format!("write {is} for {was} in it"))
    })
}

/// Which files of the profile trust which keyring.
fn keyrings<'p>(path: &'p [u8], sources: &[Source], keys: &mut BTreeMap<Vec<u8>, BTreeSet<&'p [u8]>>) {
    for source in sources.iter().filter(|source| source.enabled) {
        if let Some(SignedBy::Keys(names)) = &source.signed_by {
            for name in names.iter().filter(|name| name.starts_with(b"/")) {
                keys.entry(name.to_vec()).or_default().insert(path);
            }
        }
    }
}

fn lost_keyrings(
    look: &Look,
    keys: BTreeMap<Vec<u8>, BTreeSet<&[u8]>>,
    found: &mut Vec<Finding>,
) -> Result<()> {
    let (mut before, mut merge) = (Paths::of_the_profile(look), Paths::of_the_merge(look));
    for (key, by) in keys {
        if merge.file(&key)?.is_some() || before.file(&key)?.is_none() {
            continue;
        }
        let by: Vec<String> = by.iter().map(|path| format!("/{}", readable(path))).collect();
        let rebase = "leaves the source as it is; apt refuses it without its keyring";
        let name = readable(tree::name(&key));
        found.push(
            Finding::path(Class::P20, Severity::Decision, &key[1..], rebase)
                .seen("named as Signed-By in", by.join(", "))
                .choice(format!(
                    "keep it: cp /{} /etc/apt/keyrings/{name}, and name that",
                    readable(&key[1..])
                )),
        );
    }
    Ok(())
}
