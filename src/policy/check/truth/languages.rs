//! What was installed for the Perl or Ruby of the old base past its packages, and servers whose data no
//! other version reads (P15).

use std::collections::BTreeMap;

use crate::model::tree;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity, readable};

use super::changing::Changing;

/// Where modules of a language lie, by a version in the path.
struct Language {
    name: &'static str,
    /// The package whose version counts.
    package: &'static str,
    /// The version as it stands in paths, of the package's.
    version: fn(&str) -> String,
    /// What the path begins with, and what stands right before the version.
    places: &'static [(&'static str, &'static str)],
}

const LANGUAGES: [Language; 2] = [
    Language {
        name: "Perl",
        package: "perl-base",
        version: whole,
        places: &[("usr/local/share/perl/", "perl/"), ("usr/local/lib/", "/perl/")],
    },
    Language {
        name: "Ruby",
        package: "ruby",
        version: with_zero,
        places: &[("var/lib/gems/", "gems/"), ("usr/local/lib/", "/site_ruby/")],
    },
];

/// `5.36.0` of `5.36.0-7+deb12u2`
fn whole(version: &str) -> String {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    upstream.rsplit_once('-').map_or(upstream, |(upstream, _)| upstream).to_owned()
}

/// `3.1.0` of `1:3.1`
fn with_zero(version: &str) -> String {
    format!("{}.0", whole(version))
}

pub fn find(look: &Look, found: &mut Vec<Finding>) {
    for language in &LANGUAGES {
        modules(look, language, found);
    }
    servers(look, found);
}

fn modules(look: &Look, language: &Language, found: &mut Vec<Finding>) {
    let version = |package: Option<&crate::dpkg::status::Package>| {
        package.filter(|p| p.state.has_files()).and_then(|p| p.version).map(language.version)
    };
    let row = look.rows.iter().find(|row| row.name == language.package);
    let Some((row, was)) = row.and_then(|row| Some((row, version(row.mine)?))) else { return };
    let is = version(row.merged());
    if is.as_ref() == Some(&was) {
        return;
    }
    let mut dirs: BTreeMap<&[u8], usize> = BTreeMap::new();
    for triple in look.trees.triples.iter() {
        if triple.mine.as_ref().is_some_and(|mine| !mine.is_directory()) {
            if let Some(dir) = dir_of(language, &triple.path, &was) {
                *dirs.entry(dir).or_insert(0) += 1;
            }
        }
    }
    for (dir, files) in dirs {
        let keeps = format!("keeps them, and no {} of the candidate sees them", language.name);
        found.push(
            Finding::path(Class::P15, Severity::Decision, dir, keeps)
                .seen("made for", format!("{} {was}", language.name))
                .seen("candidate has", is.clone().unwrap_or_else(|| format!("no {}", language.name)))
                .seen("files", files.to_string())
                .choice("install the same modules again afterwards"),
        );
    }
}

/// The directory of that version above a file.
fn dir_of<'p>(language: &Language, path: &'p [u8], version: &str) -> Option<&'p [u8]> {
    let (_, before) = language.places.iter().find(|(start, _)| path.starts_with(start.as_bytes()))?;
    let marker = format!("{before}{version}/");
    let at = memchr::memmem::find(path, marker.as_bytes())?;
    Some(&path[..at + marker.len() - 1])
}

/// A server of the profile's own that has to change, or that the candidate has no more.
fn servers(look: &Look, found: &mut Vec<Finding>) {
    let changing = Changing::of(found);
    for row in &look.rows {
        let Some((server, number)) = server(row) else { continue };
        let goes = row.fate == Fate::Dropped || (row.fate == Fate::Keep && changing.has(row.name));
        let mine = row.mine_installed().filter(|_| goes);
        let Some(cluster) = mine.and_then(|_| clusters(look, number)) else { continue };
        let leaves = "leaves its data as they are; another version does not read them";
        found.push(
            Finding::package(Class::P15, Severity::Decision, row.name, leaves)
                .seen("clusters", cluster)
                .choice(format!("save them first: pg_dumpall, with {server} {number} running"))
                .choice("with both versions installed: pg_upgradecluster"),
        );
    }
}

/// `postgresql-15`
fn server<'r>(row: &Row<'r>) -> Option<(&'static str, &'r str)> {
    let number = row.name.strip_prefix("postgresql-")?;
    number.bytes().all(|b| b.is_ascii_digit()).then_some(("PostgreSQL", number))
}

/// Each is configured in /etc/postgresql/15/main.
fn clusters(look: &Look, number: &str) -> Option<String> {
    let dir = format!("etc/postgresql/{number}").into_bytes();
    let below = look.trees.triples.iter().filter(|triple| tree::is_below(&triple.path, &dir));
    let tops = below.filter(|triple| tree::parent(&triple.path) == dir && triple.mine.is_some());
    let names: Vec<String> = tops.map(|triple| readable(tree::name(&triple.path))).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
