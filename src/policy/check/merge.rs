//! What a path shows once the profile stands on the candidate, as the rules about files decide it: the
//! upper's, the candidate's or nothing. Rules about single databases (accounts, units, ...) are not asked.

use crate::model::error::Result;
use crate::model::tree::{self, Object};
use crate::policy::compare::{Change, change_by};

use super::Look;
use super::decided::Answer;
use super::fates::Fate;
use super::owners::Owned;

/// What is seen at a path, and where it lies.
pub enum Shown {
    /// In the upper.
    Mine(Object),
    /// In the base below.
    Base(Object),
}

impl Shown {
    pub fn object(&self) -> &Object {
        match self {
            Shown::Mine(object) | Shown::Base(object) => object,
        }
    }
}

impl Look<'_> {
    /// Links on the way are not followed: [`super::truth::paths`] does.
    pub fn merged(&self, path: &[u8]) -> Result<Option<Shown>> {
        if let Some(place) = self.place(path) {
            let triple = &self.trees.triples[place];
            return Ok(match &triple.mine {
                Some(mine) if mine.is_directory() || self.stays(place) => Some(Shown::Mine((**mine).clone())),
                Some(_) => triple.new.as_deref().cloned().map(Shown::Base),
                None => self.comes_back(place, triple.old.as_deref(), triple.new.as_deref()).map(Shown::Base),
            });
        }
        if let Ok(at) = self.hidden.binary_search_by(|hidden| tree::order(&hidden.path, path)) {
            let hidden = &self.hidden[at];
            let place = self.trees.triples.len() + at;
            let back = self.comes_back(place, hidden.old.as_ref(), hidden.new.as_ref());
            return Ok(back.map(Shown::Base));
        }
        match self.trees.new.find(path)? {
            None if self.carried.contains(path) => Ok(self.trees.old.find(path)?.map(Shown::Base)),
            new => Ok(new.map(Shown::Base)),
        }
    }

    /// Is the upper's file or link the one that is seen?
    pub fn stays(&self, place: usize) -> bool {
        let triple = &self.trees.triples[place];
        let Some(mine) = triple.mine.as_deref() else { return false };
        let owned = self.owned(place);
        if matches!(owned, Owned::Kept | Owned::Superseded | Owned::Removed) {
            return owned == Owned::Kept;
        }
        match change_by(triple.old.as_deref(), Some(mine), triple.new.as_deref(), Object::same_content) {
            Change::Conflict if self.trees.decided.of_path(&triple.path).is_some() => {
                self.trees.decided.of_path(&triple.path) != Some(Answer::New)
            }
            Change::Mine => true,
            Change::Neither | Change::Theirs | Change::Agreed => false,
            // F3, F4: the candidate's is taken; F15: outside /usr too; F16: mine stays.
            Change::Conflict => match triple.old {
                Some(_) => owned == Owned::Nobody,
                None => !is_below_usr(&triple.path),
            },
        }
    }

    /// As [`Look::owned`] counts: the triples, then what is hidden.
    fn path_at(&self, place: usize) -> &[u8] {
        match self.trees.triples.get(place) {
            Some(triple) => &triple.path,
            None => &self.hidden[place - self.trees.triples.len()].path,
        }
    }

    /// Of what the upper hides: a deletion of the person's stays where the candidate has what the base has.
    pub fn comes_back(&self, place: usize, old: Option<&Object>, new: Option<&Object>) -> Option<Object> {
        let back = match self.owned(place) {
            Owned::Base | Owned::Superseded | Owned::Nobody
                if self.trees.decided.keep_away(self.path_at(place)) =>
            {
                false
            }
            Owned::Base => !matches!((old, new), (Some(old), Some(new)) if old.same(new)),
            Owned::Superseded => true,
            Owned::Nobody => old.is_none(),
            Owned::Removed => self.owners.new.of(place).any(|stem| {
                self.fates.get(stem).is_some_and(|fate| {
                    matches!(fate, Fate::Restored | Fate::Superseded | Fate::Inherit | Fate::New)
                })
            }),
            Owned::Kept => false,
        };
        new.filter(|_| back).cloned()
    }
}

/// Where packages of the distribution put their files, and people do not.
pub fn is_below_usr(path: &[u8]) -> bool {
    path.starts_with(b"usr/") && !path.starts_with(b"usr/local/")
}
