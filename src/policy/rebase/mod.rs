//! Putting a profile on another base: what becomes of every path of its upper, and what is written anew. The
//! same look at the three trees that a check is made of decides it, so a rebase does what the check said.
//!
//! ```text
//!  packages   which package is whose (check/fates.rs): what is kept is made whole, what goes is hidden
//!  files      every path of the upper: stays, goes, is made again from the candidate's
//!  databases  dpkg's and apt's records, ucf's and debconf's: merged record by record
//!  accounts   merged by name; then every number in the upper is given its new value, all at once
//! ```
//! Nothing is read or written here: the plan is a list of edits (`model/edit.rs`).

use std::collections::BTreeSet;

use crate::model::edit::Edit;
use crate::model::error::Result;
use crate::model::numbers::Numbers;
use crate::model::tree;

use super::check::Look;

mod accounts;
mod alternatives;
mod databases;
mod draft;
mod files;
mod packages;
mod records;

use draft::Draft;

/// What a rebase does to the upper, and what it knows afterwards.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In their order.
    pub edits: Vec<Edit>,
    /// Paths of which a copy goes to the entry's `saved/`.
    pub saved: Vec<Vec<u8>>,
    /// Accounts whose numbers become others: state/ is given them too.
    pub numbers: Numbers,
    /// Paths that stay as the person made them, also deleted.
    kept: BTreeSet<Vec<u8>>,
    /// What is hidden, with all below it.
    hidden: BTreeSet<Vec<u8>>,
}

impl Plan {
    /// Is the path as the person made it? Then it need not be as its package has it.
    pub fn keeps(&self, path: &[u8]) -> bool {
        let is_kept = |path: &[u8]| self.kept.contains(path) || self.hidden.contains(path);
        tree::above(path).chain([path]).any(is_kept)
    }
}

pub fn plan(look: &Look) -> Result<Plan> {
    let mut draft = Draft::default();
    files::decide(look, &mut draft)?;
    packages::decide(look, &mut draft)?;
    databases::decide(look, &mut draft)?;
    alternatives::decide(look, &mut draft)?;
    let numbers = accounts::decide(look, &mut draft)?;
    Ok(draft.finish(look, numbers))
}
