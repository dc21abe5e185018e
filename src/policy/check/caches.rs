//! Caches (classes R): made by a program from what packages bring. One that lies in the profile was made
//! over the old base: over the candidate it hides the candidate's, or lacks what is new there.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::error::Result;
use crate::model::tree::{self, Tree, Triple};

use super::Look;
use super::class::Class;
use super::databases::records::hides_a_change;
use super::fates::{Fate, Row};
use super::finding::{Finding, Severity};
use super::territory::{self, Territory};

struct Cache {
    class: Class,
    /// A file, or with `/` at its end everything in a directory.
    place: &'static str,
    from: From,
    /// The program, and what makes dpkg run it.
    maker: &'static str,
}

/// What a cache is made from.
enum From {
    Directory(&'static str),
    /// Whatever packages there are.
    Packages,
    Package(&'static str),
}

const CACHES: &[Cache] = &[
    cache(Class::R2, "etc/ld.so.cache", From::Packages, "ldconfig, a trigger of libc-bin"),
    cache(Class::R3, "var/cache/man/", From::Directory("usr/share/man"), "mandb, a trigger of man-db"),
    cache(
        Class::R4,
        "var/cache/fontconfig/",
        From::Directory("usr/share/fonts"),
        "fc-cache, a trigger of fontconfig",
    ),
    cache(
        Class::R5,
        "usr/share/icons/hicolor/icon-theme.cache",
        From::Directory("usr/share/icons/hicolor"),
        "update-icon-caches, a trigger of hicolor-icon-theme",
    ),
    cache(
        Class::R6,
        "usr/share/applications/mimeinfo.cache",
        From::Directory("usr/share/applications"),
        "update-desktop-database, a trigger of desktop-file-utils",
    ),
    cache(
        Class::R6,
        "usr/share/mime/",
        From::Directory("usr/share/mime/packages"),
        "update-mime-database, a trigger of shared-mime-info",
    ),
    cache(
        Class::R7,
        "usr/share/glib-2.0/schemas/gschemas.compiled",
        From::Directory("usr/share/glib-2.0/schemas"),
        "glib-compile-schemas, a trigger of libglib2.0-0",
    ),
    cache(
        Class::R8,
        "etc/ssl/certs/ca-certificates.crt",
        From::Directory("usr/share/ca-certificates"),
        "update-ca-certificates, a trigger of ca-certificates",
    ),
    cache(
        Class::R9,
        "etc/udev/hwdb.bin",
        From::Directory("usr/lib/udev/hwdb.d"),
        "systemd-hwdb update, by udev",
    ),
    cache(
        Class::R9,
        "usr/lib/udev/hwdb.bin",
        From::Directory("usr/lib/udev/hwdb.d"),
        "systemd-hwdb update, by udev",
    ),
    cache(
        Class::R9,
        "var/lib/systemd/catalog/",
        From::Directory("usr/lib/systemd/catalog"),
        "journalctl --update-catalog, by systemd",
    ),
    cache(Class::R10, "usr/lib/locale/locale-archive", From::Package("libc-bin"), "locale-gen, of locales"),
    cache(
        Class::R16,
        "var/cache/apparmor/",
        From::Directory("etc/apparmor.d"),
        "apparmor_parser, when AppArmor starts",
    ),
];

const fn cache(class: Class, place: &'static str, from: From, maker: &'static str) -> Cache {
    Cache { class, place, from, maker }
}

impl Cache {
    fn holds(&self, path: &[u8]) -> bool {
        match self.place.strip_suffix('/') {
            Some(dir) => tree::is_below(path, dir.as_bytes()),
            None => path == self.place.as_bytes(),
        }
    }
}

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    if look.is_doctor() {
        return Ok(());
    }
    let mut in_the_upper: BTreeMap<usize, Vec<&Triple>> = BTreeMap::new();
    let mut others: BTreeSet<Vec<u8>> = BTreeSet::new();
    for triple in look.trees.triples.iter().filter(|t| territory::of(&t.path) == Territory::Cache) {
        match CACHES.iter().position(|cache| cache.holds(&triple.path)) {
            Some(at) => in_the_upper.entry(at).or_default().push(triple),
            None => others.extend(other(triple)),
        }
    }
    for (at, triples) in in_the_upper {
        found.extend(outdated(look, &CACHES[at], &triples)?);
    }
    let anew = "drops it; whatever needs it makes it anew";
    found.extend(others.iter().map(|path| Finding::path(Class::R1, Severity::Automatic, path, anew)));
    found.extend(of_apt(look));
    Ok(())
}

fn outdated(look: &Look, cache: &Cache, triples: &[&Triple]) -> Result<Option<Finding>> {
    let files = || triples.iter().filter(|triple| triple.mine.as_ref().is_some_and(|m| !m.is_directory()));
    if files().next().is_none() {
        return Ok(None); // only directories, or somebody deleted it
    }
    let hides = files().any(|triple| hides_a_change(triple));
    let same_as_the_candidate = files().all(|triple| match (&triple.mine, &triple.new) {
        (Some(mine), Some(new)) => mine.same_content(new),
        _ => false,
    });
    if same_as_the_candidate || !(hides || sources_differ(look, cache)?) {
        return Ok(None);
    }
    let what = if hides { "hides the candidate's" } else { "was made over the old base" };
    let anew = "makes it anew from what is there then";
    let path = cache.place.trim_end_matches('/').as_bytes();
    Ok(Some(
        Finding::path(cache.class, Severity::Automatic, path, anew)
            .seen("the profile's", what)
            .seen("made by", cache.maker),
    ))
}

/// Does the candidate have other things than the old base, of which this cache is made?
fn sources_differ(look: &Look, cache: &Cache) -> Result<bool> {
    let changed = |row: &&Row| match row.fate {
        Fate::Inherit => row.mine.and_then(|mine| mine.version) != row.new.and_then(|new| new.version),
        Fate::Dropped | Fate::New => true,
        _ => false,
    };
    match cache.from {
        From::Packages => Ok(look.rows.iter().any(|row| changed(&row))),
        From::Package(name) => Ok(look.rows.iter().filter(|row| row.name == name).any(|row| changed(&row))),
        From::Directory(dir) => {
            let [old, new] = [look.trees.old, look.trees.new].map(|tree| content(tree, dir));
            Ok(old? != new?)
        }
    }
}

type Content = Vec<(Vec<u8>, Option<[u8; 32]>, Option<Box<[u8]>>)>;

/// The files and links below a directory, without what is made there.
fn content(tree: &dyn Tree, dir: &str) -> Result<Content> {
    let mut content = Content::new();
    tree.below(dir.as_bytes(), &mut |path, object| {
        if !object.is_directory() && territory::of(path) != Territory::Cache {
            content.push((path.to_vec(), object.sha256, object.target.clone()));
        }
    })?;
    Ok(content)
}

/// R1: any other below /var/cache that hides one of the candidate: `var/cache/swcatalog`.
fn other(triple: &Triple) -> Option<Vec<u8>> {
    let rest = triple.path.strip_prefix(b"var/cache/")?;
    let name = rest.split(|b| *b == b'/').next()?;
    let is_file = triple.mine.as_ref().is_some_and(|mine| !mine.is_directory());
    (name != b"apt" && is_file && triple.new.is_some() && hides_a_change(triple))
        .then(|| [b"var/cache/", name].concat())
}

/// R13: what apt has read of its lists and of the database, and packages it fetched. The lists are P20.
fn of_apt(look: &Look) -> Option<Finding> {
    const DIR: &[u8] = b"var/cache/apt";
    let is_file = |triple: &&Triple| triple.mine.as_ref().is_some_and(|mine| mine.is_file());
    let below = look.trees.triples.iter().filter(|triple| tree::is_below(&triple.path, DIR)).filter(is_file);
    let files = below.filter(|t| t.path.ends_with(b".bin") || t.path.ends_with(b".deb")).count();
    (files > 0).then(|| {
        let drops = "drops them, apt makes and fetches them anew";
        Finding::path(Class::R13, Severity::Automatic, DIR, drops).seen("files", files.to_string())
    })
}
