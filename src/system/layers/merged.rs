//! The merged view of an upper over a base, as overlayfs would show it (kernel:
//! Documentation/filesystems/overlayfs, "whiteouts and opaque directories"), from a walk and a manifest.

use crate::model::error::Result;
use crate::model::tree::{self, Object, Tree, Triple};
use crate::system::files;

use super::Upper;

pub struct Merged<'a> {
    pub upper: &'a Upper,
    pub base: &'a dyn Tree,
}

/// What the upper says about a path.
enum Said<'a> {
    Has(&'a Triple),
    /// A whiteout, an opaque directory or something that is no directory is at it or above it.
    Hidden,
    /// Nothing: the base shows.
    Nothing,
}

impl<'a> Merged<'a> {
    fn triple(&self, path: &[u8]) -> Option<&'a Triple> {
        let triples = &self.upper.triples;
        triples.binary_search_by(|triple| tree::order(&triple.path, path)).ok().map(|at| &triples[at])
    }

    fn said(&self, path: &[u8]) -> Said<'a> {
        let mut hidden = false;
        for dir in tree::above(path) {
            match self.triple(dir) {
                Some(triple) if hides(triple) => match &triple.mine {
                    Some(mine) if mine.is_directory() => hidden = true,
                    _ => return Said::Hidden,
                },
                Some(_) => {}
                // Not in the upper: nothing below it is either.
                None => return if hidden { Said::Hidden } else { Said::Nothing },
            }
        }
        match self.triple(path) {
            Some(triple) if triple.is_whiteout() => Said::Hidden,
            Some(triple) => Said::Has(triple),
            None if hidden => Said::Hidden,
            None => Said::Nothing,
        }
    }

    /// Does the base show below this directory at all?
    fn base_shows(&self, dir: &[u8]) -> bool {
        match self.said(dir) {
            Said::Hidden => false,
            Said::Nothing => true,
            Said::Has(triple) => {
                !hides(triple) && !tree::above(dir).any(|d| self.triple(d).is_some_and(hides))
            }
        }
    }

    /// The paths of the upper below a directory.
    fn range(&self, dir: &[u8]) -> &'a [Triple] {
        let triples = &self.upper.triples;
        let start = triples.partition_point(|t| tree::order(&t.path, dir).is_le() && t.path != dir);
        let start = start + usize::from(triples.get(start).is_some_and(|t| t.path == dir));
        let length = triples[start..].iter().take_while(|t| tree::is_below(&t.path, dir)).count();
        &triples[start..start + length]
    }

    fn read(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let path = self.upper.on_disk(path);
        if files::is_regular(&path) { files::read_if_there(&path) } else { Ok(None) }
    }
}

/// Whatever the base has below it cannot be seen.
fn hides(triple: &Triple) -> bool {
    triple.opaque || triple.mine.as_ref().is_none_or(|mine| !mine.is_directory())
}

/// Walks the upper's paths beside the base's: what of the base is hidden or replaced is left out.
struct Zipped<'a> {
    upper: std::iter::Peekable<std::slice::Iter<'a, Triple>>,
    /// The last thing of the upper that hides what is below it.
    hiding: Option<&'a [u8]>,
}

impl<'a> Zipped<'a> {
    fn of(range: &'a [Triple]) -> Zipped<'a> {
        Zipped { upper: range.iter().peekable(), hiding: None }
    }

    /// The next of the upper's, unless it comes after `path` (None: whatever is left).
    fn next_up_to(&mut self, path: Option<&[u8]>) -> Option<&'a Triple> {
        let next = *self.upper.peek()?;
        if path.is_some_and(|path| tree::order(&next.path, path).is_gt()) {
            return None;
        }
        self.upper.next();
        if hides(next) && !self.hiding.is_some_and(|dir| tree::is_below(&next.path, dir)) {
            self.hiding = Some(&next.path);
        }
        Some(next)
    }

    fn hides(&self, path: &[u8]) -> bool {
        self.hiding.is_some_and(|dir| tree::is_below(path, dir))
    }
}

impl Tree for Merged<'_> {
    fn find(&self, path: &[u8]) -> Result<Option<Object>> {
        match self.said(path) {
            Said::Has(triple) => Ok(triple.mine.as_deref().cloned()),
            Said::Hidden => Ok(None),
            Said::Nothing => self.base.find(path),
        }
    }

    fn text(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.said(path) {
            Said::Has(_) => self.read(path),
            Said::Hidden => Ok(None),
            Said::Nothing => self.base.text(path),
        }
    }

    fn below(&self, dir: &[u8], visit: &mut dyn FnMut(&[u8], &Object)) -> Result<()> {
        let mut zipped = Zipped::of(self.range(dir));
        if self.base_shows(dir) {
            self.base.below(dir, &mut |path, object| {
                let mut replaced = false;
                while let Some(triple) = zipped.next_up_to(Some(path)) {
                    replaced |= triple.path == path;
                    if let Some(mine) = &triple.mine {
                        visit(&triple.path, mine);
                    }
                }
                if !replaced && !zipped.hides(path) {
                    visit(path, object);
                }
            })?;
        }
        while let Some(triple) = zipped.next_up_to(None) {
            if let Some(mine) = &triple.mine {
                visit(&triple.path, mine);
            }
        }
        Ok(())
    }

    fn texts(&self, dir: &[u8], ending: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let wanted: Vec<&Triple> = self.range(dir).iter().filter(|t| t.path.ends_with(ending)).collect();
        let mut texts = Vec::new();
        for triple in &wanted {
            let is_file = triple.mine.as_ref().is_some_and(|mine| mine.is_file());
            texts.push(if is_file { self.read(&triple.path)? } else { None });
        }
        let mut next = 0;
        let mut mine_up_to = |path: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8])| {
            while next < wanted.len() && path.is_none_or(|p| tree::order(&wanted[next].path, p).is_le()) {
                if let Some(text) = &texts[next] {
                    visit(&wanted[next].path, text);
                }
                next += 1;
            }
        };
        let mut zipped = Zipped::of(self.range(dir));
        if self.base_shows(dir) {
            self.base.texts(dir, ending, &mut |path, text| {
                let mut replaced = false;
                while let Some(triple) = zipped.next_up_to(Some(path)) {
                    replaced |= triple.path == path;
                }
                mine_up_to(Some(path), visit);
                if !replaced && !zipped.hides(path) {
                    visit(path, text);
                }
            })?;
        }
        mine_up_to(None, visit);
        Ok(())
    }
}
