//! What does not hold in a set, and why.

use super::{Installed, Offer, Violation, Why};
use crate::dpkg::relations::{Alternative, Kind, text};
use crate::dpkg::status::MultiArch;
use crate::dpkg::version;

impl<'a> Installed<'a> {
    /// Everything that does not hold, in the order of the status. Empty: apt-get check is content.
    pub fn broken(&self) -> Vec<Violation<'a>> {
        let mut found = Vec::new();
        let mut relations = self.relations.iter().peekable();
        for (number, member) in self.members.iter().enumerate() {
            while let Some(relation) = relations.next_if(|r| r.member == number) {
                let alternatives = self.alternatives_of(relation);
                match relation.kind {
                    Kind::Breaks | Kind::Conflicts => {
                        self.hits(number, relation.kind, &alternatives[0], &mut found);
                    }
                    kind if !alternatives.iter().any(|wanted| self.is_met(number, wanted)) => {
                        let why = self.why(number, alternatives);
                        found.push(Violation { package: member.id, kind, relation: text(alternatives), why });
                    }
                    _ => {}
                }
            }
            self.siblings(number, &mut found);
        }
        found
    }

    /// Why no alternative is met: the first one of that name says most.
    fn why(&self, member: usize, alternatives: &[Alternative<'a>]) -> Why<'a> {
        let architecture = self.members[member].architecture;
        let named = || {
            alternatives
                .iter()
                .flat_map(|wanted| self.offers.of(wanted.name).map(move |offer| (wanted, offer)))
        };
        // In the right architecture, were there no version.
        let near = |(wanted, offer): &(&Alternative, &Offer)| {
            self.meets(architecture, &Alternative { version: None, ..**wanted }, offer)
        };
        let id = |offer: &Offer| self.members[offer.member].id;
        if let Some((_, offer)) = named().find(near) {
            return match offer.real {
                true => Why::Version(id(offer)),
                false => Why::Provided(id(offer), offer.version),
            };
        }
        named().next().map_or(Why::Missing, |(_, offer)| Why::Architecture(id(offer)))
    }

    /// Whom a Breaks or Conflicts hits.
    fn hits(&self, number: usize, kind: Kind, unwanted: &Alternative<'a>, found: &mut Vec<Violation<'a>>) {
        let member = &self.members[number];
        for offer in self.offers.of(unwanted.name).filter(|offer| offer.has_version(unwanted)) {
            let other = &self.members[offer.member];
            // Siblings that may stand beside each other are one, and so is a sibling that is named.
            let one = offer.member == number
                || member.multi_arch == MultiArch::Same
                || unwanted.architecture.is_some();
            let itself = other.id.name == member.id.name && (one || !offer.real);
            let here = match unwanted.architecture {
                None | Some("any") => true,
                Some("native") => offer.architecture.unwrap_or(other.architecture) == self.native,
                Some(named) => offer.architecture.unwrap_or(other.architecture) == named,
            };
            if here && !itself {
                let relation = unwanted.to_string();
                found.push(Violation { package: member.id, kind, relation, why: Why::Present(other.id) });
            }
        }
    }

    /// The same package in another architecture: what apt adds as `Breaks: libc6:i386 (!= 2.36)` or
    /// `Conflicts: foo:i386`.
    fn siblings(&self, number: usize, found: &mut Vec<Violation<'a>>) {
        let member = &self.members[number];
        for offer in self.offers.of(member.id.name).filter(|offer| offer.real) {
            let other = &self.members[offer.member];
            if other.architecture == member.architecture {
                continue;
            }
            let named = format!("{}:{}", other.id.name, other.architecture);
            let (kind, relation) = match member.multi_arch {
                MultiArch::Same if version::compare(member.id.version, other.id.version).is_eq() => continue,
                MultiArch::Same => (Kind::Breaks, format!("{named} (!= {})", member.id.version)),
                _ => (Kind::Conflicts, named),
            };
            found.push(Violation { package: member.id, kind, relation, why: Why::Present(other.id) });
        }
    }
}
