//! The packages that a rebase changes anyway, since they do not go together with the candidate (P11, P16).

use std::collections::BTreeSet;

use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Subject};

pub struct Changing(BTreeSet<String>);

impl Changing {
    pub fn of(found: &[Finding]) -> Changing {
        let relations = found.iter().filter(|f| matches!(f.class, Class::P11 | Class::P16));
        let names = relations.filter_map(|finding| match &finding.subject {
            Subject::Package(name) => Some(plain(name).to_owned()),
            _ => None,
        });
        Changing(names.collect())
    }

    /// `libc6` and `libc6:amd64` are one.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(plain(name))
    }
}

fn plain(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}
