//! Does a set of packages hold together? Which relations of what is installed are not met, which packages
//! break each other, who needs whom. It says of a synthesised status what `apt-get check` would say
//! (tests/relations.rs asks it), and looks at a fixed set only: finding another one is apt's work.
//!
//! The rules, as apt and dpkg have them:
//! - whoever has files counts as installed, but for the half-installed: apt takes them for removed, and
//!   nothing works that stands on one. Who is unpacked or waits for a trigger counts: apt says so, dpkg
//!   does once it has been configured; `check` does not come so far with such a package;
//! - a package of architecture `all` is one of the native architecture;
//! - `foo` is met by the own architecture, or by any when who meets it is Multi-Arch: foreign; `foo:any` by
//!   those that are Multi-Arch: allowed only, also in their own architecture; `foo:i386` by i386 alone,
//!   `foo:native` by the native one alone;
//! - a relation with a version is met by a package's own version, or by a Provides with `=`. A Provides
//!   with another operator provides nothing;
//! - Breaks and Conflicts hit every architecture, and who provides the name as well; but never the package
//!   itself in any architecture it may share a machine with, nor what it itself provides;
//! - two architectures of one package stand beside each other only if both are Multi-Arch: same and of
//!   equal version.

mod broken;
mod offers;
mod violation;

use crate::dpkg::Status;
use std::collections::HashSet;

use crate::dpkg::error::ParseError;
use crate::dpkg::relations::{Alternative, Kind, Relations, text};
use crate::dpkg::status::{MultiArch, Package, PackageState};

use offers::{Offer, Offers};
pub use violation::{Need, PackageId, Violation, Why};

/// The packages of a status that count as installed, with their relations.
pub struct Installed<'a> {
    native: &'a str,
    members: Vec<Member<'a>>,
    offers: Offers<'a>,
    /// In the order of `members`.
    relations: Vec<Relation>,
    /// Of all relations; each ends with one that is `last`.
    alternatives: Vec<Alternative<'a>>,
}

struct Member<'a> {
    id: PackageId<'a>,
    /// Where it counts: never `all`.
    architecture: &'a str,
    multi_arch: MultiArch,
    essential: bool,
}

/// What must be met (Pre-Depends, Depends) or must not (Breaks, Conflicts).
#[derive(Clone, Copy)]
struct Relation {
    member: usize,
    kind: Kind,
    /// Its first alternative.
    first: usize,
}

impl<'a> Installed<'a> {
    /// `native` is the architecture `all` stands for. A broken relation is an error even where nobody
    /// would ask for it: dpkg would refuse the whole file.
    pub fn new(status: &Status<'a>, native: &'a str) -> Result<Installed<'a>, ParseError> {
        let mut all = Installed {
            native,
            members: Vec::with_capacity(status.packages.len()),
            offers: Offers::default(),
            relations: Vec::with_capacity(status.packages.len() * 4),
            alternatives: Vec::with_capacity(status.packages.len() * 10),
        };
        for package in once_each(status) {
            all.add(package)?;
        }
        all.offers.link();
        Ok(all)
    }

    fn add(&mut self, package: &Package<'a>) -> Result<(), ParseError> {
        let member = self.members.len();
        let id = PackageId {
            name: package.name,
            architecture: package.architecture,
            version: package.version.unwrap_or(""),
        };
        // apt says so too: what is the same everywhere has no siblings.
        let multi_arch = match package.multi_arch {
            MultiArch::Same if id.architecture == "all" => MultiArch::No,
            other => other,
        };
        let architecture = if matches!(id.architecture, "all" | "") { self.native } else { id.architecture };
        self.members.push(Member { id, architecture, multi_arch, essential: package.essential });
        self.offers.push(Offer::itself(member, &id));
        let mut before = [false; Kind::ALL.len()];
        for field in package.fields() {
            let Some(kind) = Kind::of(&field) else { continue };
            if std::mem::replace(&mut before[kind as usize], true) {
                return Err(ParseError::new(field.line, "each field once", field.name));
            }
            match kind {
                Kind::Provides => {
                    for provided in Relations::new(Kind::Provides, &field) {
                        self.offers.extend(Offer::provided(member, &provided?));
                    }
                }
                Kind::PreDepends | Kind::Depends | Kind::Breaks | Kind::Conflicts => {
                    self.relate(member, kind, Relations::new(kind, &field))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn relate(&mut self, member: usize, kind: Kind, field: Relations<'a>) -> Result<(), ParseError> {
        let mut first = self.alternatives.len();
        for alternative in field {
            let alternative = alternative?;
            self.alternatives.push(alternative);
            if alternative.last {
                self.relations.push(Relation { member, kind, first });
                first = self.alternatives.len();
            }
        }
        Ok(())
    }

    /// Packages that are Essential in another set, the candidate base's, and not installed here in any
    /// architecture. Nobody declares a dependency on them, so `broken` does not miss them.
    pub fn missing_essential<'b>(&self, there: &Installed<'b>) -> Vec<PackageId<'b>> {
        let needed = there.members.iter().filter(|m| m.essential && self.find(m.id.name, "").is_none());
        needed.map(|m| m.id).collect()
    }

    /// The relations that only this package meets: what would break if it went. An empty architecture
    /// means the first one of that name.
    pub fn who_needs(&self, name: &str, architecture: &str) -> Vec<Need<'a>> {
        let Some(needed) = self.find(name, architecture) else { return Vec::new() };
        self.needs(|id| *id == self.members[needed].id).into_iter().map(|(_, need)| need).collect()
    }

    /// The same of every package that is asked for, in one pass: each with who needs it.
    pub fn needs(&self, is_asked: impl Fn(&PackageId<'a>) -> bool) -> Vec<(PackageId<'a>, Need<'a>)> {
        let asked: Vec<bool> = self.members.iter().map(|member| is_asked(&member.id)).collect();
        let mut needs = Vec::new();
        for relation in self.relations.iter().filter(|r| !matches!(r.kind, Kind::Breaks | Kind::Conflicts)) {
            let alternatives = self.alternatives_of(relation);
            let mut met = alternatives.iter().flat_map(|wanted| self.meeting(relation.member, wanted));
            let Some(needed) = met.next().map(|offer| offer.member).filter(|needed| asked[*needed]) else {
                continue;
            };
            if needed != relation.member && met.all(|offer| offer.member == needed) {
                let package = self.members[relation.member].id;
                let need = Need { package, kind: relation.kind, relation: text(alternatives) };
                needs.push((self.members[needed].id, need));
            }
        }
        needs
    }

    /// Who meets one of these alternatives for a package of this architecture, in the alternatives' order.
    pub fn providers(&self, wanted: &[Alternative], architecture: &str) -> Vec<PackageId<'a>> {
        let architecture = if architecture == "all" { self.native } else { architecture };
        let mut found = Vec::new();
        for wanted in wanted {
            for offer in self.offers.of(wanted.name).filter(|o| self.meets(architecture, wanted, o)) {
                let id = self.members[offer.member].id;
                if !found.contains(&id) {
                    found.push(id);
                }
            }
        }
        found
    }

    /// Other packages that Provide this name, for a package that is called so no longer: libssl3t64 is one
    /// for libssl3. With the version it is provided in, if any.
    pub fn successors(&self, name: &str) -> Vec<(PackageId<'a>, Option<&'a str>)> {
        let others = self.offers.of(name).filter(|offer| !offer.real);
        others.map(|offer| (self.members[offer.member].id, offer.version)).collect()
    }

    /// An empty architecture finds any.
    pub fn contains(&self, name: &str, architecture: &str) -> bool {
        self.find(name, architecture).is_some()
    }

    fn find(&self, name: &str, architecture: &str) -> Option<usize> {
        let itself = |offer: &&Offer| {
            offer.real
                && (architecture.is_empty() || self.members[offer.member].id.architecture == architecture)
        };
        self.offers.of(name).find(itself).map(|offer| offer.member)
    }

    fn alternatives_of(&self, relation: &Relation) -> &[Alternative<'a>] {
        let rest = &self.alternatives[relation.first..];
        let last = rest.iter().position(|a| a.last).expect("it was read to its end");
        &rest[..=last]
    }

    fn is_met(&self, member: usize, wanted: &Alternative) -> bool {
        self.meeting(member, wanted).next().is_some()
    }

    fn meeting<'s>(&'s self, member: usize, wanted: &'s Alternative) -> impl Iterator<Item = &'s Offer<'a>> {
        let architecture = self.members[member].architecture;
        self.offers.of(wanted.name).filter(move |offer| self.meets(architecture, wanted, offer))
    }

    /// `architecture` is that of who wants it.
    fn meets(&self, architecture: &str, wanted: &Alternative, offer: &Offer) -> bool {
        let member = &self.members[offer.member];
        let here = match (wanted.architecture, offer.architecture) {
            (Some("any"), Some(offered)) => offered == "any",
            (Some("any"), None) => member.multi_arch == MultiArch::Allowed,
            (None, None) if member.multi_arch == MultiArch::Foreign => true,
            (None, offered) => offered.unwrap_or(member.architecture) == architecture,
            (Some("native"), offered) => offered.unwrap_or(member.architecture) == self.native,
            (Some(wanted), offered) => offered.unwrap_or(member.architecture) == wanted,
        };
        here && offer.has_version(wanted)
    }
}

/// Those that count, in their order; should one be there twice, the last one, as dpkg reads it.
fn once_each<'s, 'a>(status: &'s Status<'a>) -> Vec<&'s Package<'a>> {
    let mut seen = HashSet::with_capacity(status.packages.len());
    let last = status.packages.iter().rev().filter(|p| seen.insert((p.name, p.architecture)));
    let mut packages: Vec<_> = last.collect();
    packages.retain(|p| counts(p));
    packages.reverse();
    packages
}

/// See the head of this file.
fn counts(package: &Package) -> bool {
    package.state.has_files() && package.state != PackageState::HalfInstalled
}

/// The machine's own architecture: dpkg is of it. None where dpkg is not installed.
pub fn native_architecture<'a>(status: &Status<'a>) -> Option<&'a str> {
    let dpkg =
        status.packages.iter().rev().find(|p| p.name == "dpkg" && p.architecture != "all" && counts(p))?;
    Some(dpkg.architecture).filter(|a| !a.is_empty())
}

#[cfg(test)]
mod tests;
