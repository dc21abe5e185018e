//! Directories that hide all the base has in them (opaque) and have to show it again, because a copy in them
//! goes. What was deleted with such a directory is then deleted by name, so that nobody sees a difference:
//!
//! ```text
//!  base   d/a d/b d/c         upper  d/ (opaque)  d/a (a copy of the base's)  d/own
//!  mended                     upper  d/           whiteouts d/b and d/c       d/own      merged: a own
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::model::edit::Edit;
use crate::model::error::Result;
use crate::model::tree::{self, Tree, Triple};

use super::{Act, Step};

pub struct Openings<'a> {
    triples: &'a [Triple],
    /// Opaque directories of the upper where the base has a directory too.
    opaque: BTreeSet<&'a [u8]>,
    opened: BTreeSet<&'a [u8]>,
}

impl<'a> Openings<'a> {
    pub fn of(triples: &'a [Triple]) -> Openings<'a> {
        let in_the_base = |t: &&Triple| t.old.as_ref().is_some_and(|old| old.is_directory());
        let opaque = triples.iter().filter(|t| t.opaque).filter(in_the_base).map(|t| &t.path[..]).collect();
        Openings { triples, opaque, opened: BTreeSet::new() }
    }

    /// The base's shows at this path when what the upper has there goes.
    pub fn open_above(&mut self, path: &[u8]) {
        for dir in tree::above(path) {
            self.opened.extend(self.opaque.get(dir).copied());
        }
    }

    pub fn steps(&self, base: &dyn Tree) -> Result<Vec<Step>> {
        let mut steps: BTreeMap<&[u8], Vec<Edit>> =
            self.opened.iter().map(|dir| (*dir, vec![Edit::Open(dir.to_vec())])).collect();
        for top in self.opened.iter().filter(|dir| !self.is_below_opened(dir)) {
            base.below(top, &mut |path, _| {
                if let Some(dir) = self.deleted_in(path) {
                    steps.entry(dir).or_default().push(Edit::Hide(path.to_vec()));
                }
            })?;
        }
        let step = |(dir, edits): (&[u8], _)| Step { act: Act::Open, path: dir.to_vec(), edits };
        Ok(steps.into_iter().map(step).collect())
    }

    /// Would the base show it now, and it is not there? Then the opened directory it was deleted with; only
    /// the topmost of what was deleted, and nothing that a directory goes on hiding which stays as it is.
    fn deleted_in(&self, path: &[u8]) -> Option<&'a [u8]> {
        let parent = self.triple(tree::parent(path))?.mine.as_ref()?;
        if !parent.is_directory() || self.triple(path).is_some() {
            return None;
        }
        let hides = |dir: &&[u8]| self.opaque.contains(dir);
        let nearest = tree::above(path).filter(hides).last()?;
        self.opened.get(nearest).copied()
    }

    fn is_below_opened(&self, path: &[u8]) -> bool {
        tree::above(path).any(|dir| self.opened.contains(dir))
    }

    fn triple(&self, path: &[u8]) -> Option<&'a Triple> {
        let at = self.triples.binary_search_by(|triple| tree::order(&triple.path, path));
        at.ok().map(|at| &self.triples[at])
    }
}
