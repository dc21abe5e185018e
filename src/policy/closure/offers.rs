//! Who goes by which name: each package by its own, and by those it Provides.

use std::collections::HashMap;

use super::PackageId;
use crate::dpkg::relations::{Alternative, Operator};

/// One name of one package.
pub struct Offer<'a> {
    name: &'a str,
    /// Its place among the members.
    pub member: usize,
    /// Its own name, not one it provides.
    pub real: bool,
    /// None: a name that is provided without one.
    pub version: Option<&'a str>,
    /// Only what is provided as `foo:i386` has one; None: the package's.
    pub architecture: Option<&'a str>,
    /// The next offer of this name.
    next: Option<usize>,
}

impl<'a> Offer<'a> {
    pub fn itself(member: usize, id: &PackageId<'a>) -> Offer<'a> {
        Offer { name: id.name, member, real: true, version: Some(id.version), architecture: None, next: None }
    }

    /// None: dpkg and apt pass over a Provides with another operator than `=`.
    pub fn provided(member: usize, provided: &Alternative<'a>) -> Option<Offer<'a>> {
        let version = match provided.version {
            None => None,
            Some((Operator::Equal, version)) => Some(version),
            Some(_) => return None,
        };
        let Alternative { name, architecture, .. } = *provided;
        Some(Offer { name, member, real: false, version, architecture, next: None })
    }

    pub fn has_version(&self, wanted: &Alternative) -> bool {
        match (wanted.version, self.version) {
            (None, _) => true,
            (Some((operator, wanted)), Some(found)) => operator.holds(found, wanted),
            (Some(_), None) => false,
        }
    }
}

/// Chains of offers, one for each name, in the order they came.
#[derive(Default)]
pub struct Offers<'a> {
    all: Vec<Offer<'a>>,
    first: HashMap<&'a str, usize>,
}

impl<'a> Offers<'a> {
    pub fn push(&mut self, offer: Offer<'a>) {
        self.all.push(offer);
    }

    pub fn extend(&mut self, offer: Option<Offer<'a>>) {
        self.all.extend(offer);
    }

    /// After the last one: from the end, so that the chains run forward.
    pub fn link(&mut self) {
        self.first.reserve(self.all.len());
        for (number, offer) in self.all.iter_mut().enumerate().rev() {
            offer.next = self.first.insert(offer.name, number);
        }
    }

    /// All that go by this name.
    pub fn of(&self, name: &str) -> impl Iterator<Item = &Offer<'a>> {
        let at = |number: Option<usize>| number.map(|n| &self.all[n]);
        std::iter::successors(at(self.first.get(name).copied()), move |offer| at(offer.next))
    }
}
