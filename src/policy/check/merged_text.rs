//! A text that changed on both sides, merged line by line where that is clean.

use crate::model::edit::From;
use crate::model::error::Result;
use crate::model::tree::Object;
use crate::policy::text_merge;

use super::Look;
use super::decided::Answer;
use super::finding::{Finding, Offer};

impl Look<'_> {
    /// `at` in the profile, `shipped` in both bases. None: it is no text everywhere, or both sides changed the
    /// same lines.
    pub fn merged_text(&self, at: &[u8], shipped: &[u8]) -> Result<Option<Vec<u8>>> {
        let mine = self.triple(at).and_then(|triple| triple.mine.as_deref().cloned());
        let sides = [mine, self.trees.old.find(shipped)?, self.trees.new.find(shipped)?];
        let is_small = |object: &Option<Object>| {
            let file = object.as_ref().filter(|object| object.is_file());
            file.is_some_and(|file| file.size.is_none_or(|size| size <= text_merge::LARGEST))
        };
        if !sides.iter().all(is_small) {
            return Ok(None);
        }
        let Some(old) = (self.trees.text_of)(From::OldBase, shipped)? else { return Ok(None) };
        let Some(new) = (self.trees.text_of)(From::NewBase, shipped)? else { return Ok(None) };
        let Some(mine) = self.trees.mine.text(at)? else { return Ok(None) };
        Ok(text_merge::clean(&old, &mine, &new))
    }
}

impl Finding {
    /// Where there is a choice, and merging is clean. `at` in the profile, `shipped` in both bases.
    pub fn offers_merge(mut self, look: &Look, at: &[u8], shipped: &[u8]) -> Result<Finding> {
        let is_known = self.default.is_some() && look.triple(at).is_some_and(|triple| triple.old.is_some());
        if is_known && look.merged_text(at, shipped)?.is_some() {
            let does = "writes both changes into one text, and saves yours";
            self.offers.push(Offer { answer: Answer::Merge, does });
        }
        Ok(self)
    }
}
