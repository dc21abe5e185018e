//! What one of the three trees says about its packages: the dpkg database, with what a killed run left
//! in updates/ on top, and whose each path is.

use std::collections::HashMap;

use crate::dpkg::ParseError;
use crate::dpkg::diversions::{self, Diversion};
use crate::dpkg::statoverride::{self, Override};
use crate::dpkg::status::{Package, PackageState, Status};
use crate::model::error::{Error, Result};
use crate::model::tree::{self, Tree};

/// The texts of a side; what is parsed borrows from them.
#[derive(Debug, Default)]
pub struct Texts {
    pub status: Vec<u8>,
    /// /var/lib/dpkg/updates, in the order of the names, each with its path.
    pub updates: Vec<(Vec<u8>, Vec<u8>)>,
    pub extended_states: Vec<u8>,
    pub diversions: Vec<u8>,
    pub statoverride: Vec<u8>,
    pub arch: Vec<u8>,
}

impl Texts {
    pub fn read(tree: &dyn Tree) -> Result<Texts> {
        let text = |path: &str| Ok::<_, Error>(tree.text(path.as_bytes())?.unwrap_or_default());
        let mut updates = Vec::new();
        tree.texts(b"var/lib/dpkg/updates", b"", &mut |path, text| {
            if tree::name(path).iter().all(u8::is_ascii_digit) {
                updates.push((path.to_vec(), text.to_vec()));
            }
        })?;
        Ok(Texts {
            status: text(STATUS)?,
            updates,
            extended_states: text("var/lib/apt/extended_states")?,
            diversions: text(DIVERSIONS)?,
            statoverride: text(STATOVERRIDE)?,
            arch: text("var/lib/dpkg/arch")?,
        })
    }

    /// Every text.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        let Texts { status, updates, extended_states, diversions, statoverride, arch } = self;
        let others = [status, extended_states, diversions, statoverride, arch].map(Vec::as_slice);
        others.into_iter().chain(updates.iter().flat_map(|(path, text)| [&path[..], text]))
    }
}

pub const STATUS: &str = "var/lib/dpkg/status";
pub const DIVERSIONS: &str = "var/lib/dpkg/diversions";
pub const STATOVERRIDE: &str = "var/lib/dpkg/statoverride";

/// One of the three, in the words of a message: "the base 12.1", "profile lab".
pub struct Side<'a> {
    pub name: &'a str,
    pub tree: &'a dyn Tree,
    pub texts: &'a Texts,
    pub status: Status<'a>,
    pub diversions: Vec<Diversion<'a>>,
    pub statoverride: Vec<Override<'a>>,
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Side<'a> {
    pub fn new(name: &'a str, tree: &'a dyn Tree, texts: &'a Texts) -> Result<Side<'a>> {
        let mut status = Status::parse(&texts.status).map_err(damaged(name, STATUS.as_bytes()))?;
        for (path, text) in &texts.updates {
            status.amend(Status::parse(text).map_err(damaged(name, path))?);
        }
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::with_capacity(status.packages.len());
        for (at, package) in status.packages.iter().enumerate() {
            by_name.entry(package.name).or_default().push(at);
        }
        let diversions =
            diversions::parse(&texts.diversions).map_err(damaged(name, DIVERSIONS.as_bytes()))?;
        let statoverride =
            statoverride::parse(&texts.statoverride).map_err(damaged(name, STATOVERRIDE.as_bytes()))?;
        Ok(Side { name, tree, texts, status, diversions, statoverride, by_name })
    }

    /// All packages of this name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Package<'a>> {
        let places = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        places.iter().map(|at| &self.status.packages[*at])
    }

    /// The package another side knows by this name and architecture: `all` and the native architecture
    /// may have changed places.
    pub fn find(&self, name: &str, architecture: &str) -> Option<&Package<'a>> {
        let exact = self.named(name).find(|package| package.architecture == architecture);
        exact.or_else(|| {
            let mut others = self.named(name);
            let only = others.next().filter(|_| others.next().is_none());
            only.filter(|package| package.architecture == "all" || architecture == "all")
        })
    }

    /// dpkg's own architecture; the one most packages have.
    pub fn native(&self) -> &'a str {
        let is_dpkg = |package: &&Package| package.name == "dpkg" && package.state == PackageState::Installed;
        self.status.packages.iter().find(is_dpkg).map_or("", |package| package.architecture)
    }

    /// For parsers that read more of this side's texts.
    pub fn damaged(&self, path: &[u8], error: ParseError) -> Error {
        damaged(self.name, path)(error)
    }
}

/// "line 17 of /var/lib/dpkg/status in base 12.1 ..."
fn damaged<'a>(side: &'a str, path: &'a [u8]) -> impl FnOnce(ParseError) -> Error + 'a {
    move |error| Error::Damaged {
        what: format!("/{} of {side}", String::from_utf8_lossy(path)).into(),
        why: error.to_string(),
    }
}

/// The name of a package's files in info/: `bash`, `libc6:amd64`.
pub fn stem(package: &Package) -> String {
    match package.multi_arch {
        crate::dpkg::status::MultiArch::Same => format!("{}:{}", package.name, package.architecture),
        _ => package.name.to_owned(),
    }
}

/// A package as people name it: with its architecture where that is not the native one.
pub fn shown(package: &Package, native: &str) -> String {
    match package.architecture {
        "all" | "" => package.name.to_owned(),
        architecture if architecture == native => package.name.to_owned(),
        architecture => format!("{}:{architecture}", package.name),
    }
}
