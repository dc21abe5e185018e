//! A configuration file on three sides, and the row of dpkg's table that is about it. ucf(1) goes by the
//! same table.

use crate::model::error::Result;
use crate::model::tree::{self, Object};
use crate::policy::check::Look;

/// The rows of the table (dpkg's src/main/configure.c, deferred_configure_conffile).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The profile has what was shipped to it.
    Unchanged,
    /// Changed in the profile only.
    Mine,
    /// The profile has what the candidate ships.
    Agreed,
    /// Deleted, and the candidate ships what was shipped before.
    Deleted,
    /// Deleted, and the candidate ships something else.
    DeletedAndChanged,
    /// Changed on both sides.
    Conflict,
}

pub struct Compared<'a> {
    pub look: &'a Look<'a>,
    /// Where it lies in the profile, relative to the root: a diversion may have moved it.
    pub at: Vec<u8>,
    /// None: deleted.
    pub mine: Option<Object>,
    pub old: Option<Object>,
    pub new: Option<Object>,
    /// The checksum on record of what was shipped to the profile last, and of what the candidate ships.
    pub was: Option<&'a str>,
    pub is: Option<&'a str>,
    /// Its package is as the old base has it. Then what the old base has was shipped to the profile,
    /// whatever is on record: whoever built the base may have edited it.
    pub inherited: bool,
}

impl Compared<'_> {
    pub fn row(&self) -> Result<Row> {
        let shipped_again = self.old_is_new();
        if self.mine.is_none() {
            return Ok(if shipped_again { Row::Deleted } else { Row::DeletedAndChanged });
        }
        Ok(match () {
            () if self.is_own_link() => {
                let leads_to_the_new = shipped_again || self.mine_is_new()?;
                if leads_to_the_new { Row::Mine } else { Row::Conflict }
            }
            () if self.mine_is_old()? => Row::Unchanged,
            () if self.mine_is_new()? => Row::Agreed,
            () if shipped_again => Row::Mine,
            () => Row::Conflict,
        })
    }

    pub fn mine_is_old(&self) -> Result<bool> {
        self.mine_is(self.old.as_ref().filter(|_| self.inherited), self.was)
    }

    pub fn mine_is_new(&self) -> Result<bool> {
        self.mine_is(self.new.as_ref(), self.is)
    }

    pub fn old_is_new(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) if self.inherited => old.same_content(new),
            (_, None) => true, // on record, but whoever built the candidate took it away
            _ => self.was.is_some() && self.was == self.is,
        }
    }

    /// The person put a link in its place. dpkg follows it to compare, but does not write through it: it
    /// leaves the link alone, whatever the package ships (seen with 1.21 and 1.22, which then leave a
    /// `.dpkg-new` beside it).
    pub fn is_own_link(&self) -> bool {
        let same = |mine: &Object| self.old.as_ref().is_some_and(|old| old.same_content(mine));
        self.mine.as_ref().is_some_and(|mine| mine.is_link() && !same(mine))
    }

    /// The checksum as dpkg and ucf take it: of what a link leads to. None: that is no file, or the base's.
    pub fn md5(&self) -> Result<Option<String>> {
        let Some(file) = self.file()? else { return Ok(None) };
        let is_of_the_upper = self.look.triple(&file).is_some();
        is_of_the_upper.then(|| (self.look.trees.md5)(&file)).transpose()
    }

    fn mine_is(&self, shipped: Option<&Object>, md5: Option<&str>) -> Result<bool> {
        let Some(mine) = &self.mine else { return Ok(false) };
        let lies_where_it_was =
            self.look.triple(&self.at).is_some_and(|t| t.old.as_deref() == self.old.as_ref());
        match shipped {
            Some(shipped) if mine.kind == shipped.kind && lies_where_it_was => {
                return Ok(mine.same_content(shipped));
            }
            _ => {}
        }
        if let Some(mine) = self.md5()? {
            return Ok(md5 == Some(&*mine));
        }
        // A link to a file of the base.
        let Some(file) = self.file()? else { return Ok(false) };
        let found = self.look.trees.mine.find(&file)?;
        Ok(matches!((found, shipped), (Some(found), Some(shipped)) if found.same_content(shipped)))
    }

    /// The regular file that is read at this path. dpkg follows links within the root.
    fn file(&self) -> Result<Option<Vec<u8>>> {
        const LINKS: usize = 25; // dpkg gives up there too (src/main/configure.c, conffderef)
        let mut path = self.at.clone();
        for _ in 0..LINKS {
            match self.look.trees.mine.find(&path)? {
                Some(object) if object.is_file() => return Ok(Some(path)),
                Some(Object { target: Some(target), .. }) => path = leads_to(&path, &target),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// Where a link leads, relative to the root; `..` at the top stays there.
fn leads_to(link: &[u8], target: &[u8]) -> Vec<u8> {
    let dir = if target.starts_with(b"/") { b"" } else { tree::parent(link) };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in dir.split(|b| *b == b'/').chain(target.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join(&b'/')
}

/// What the profile has at a path of configuration: None where it has what its base has, Some(None) where
/// it was deleted, alone or with a directory above it.
pub fn in_the_profile(look: &Look, path: &[u8]) -> Option<Option<Object>> {
    if let Some(triple) = look.triple(path) {
        return Some(triple.mine.as_deref().cloned());
    }
    let of_another_kind = |dir: &[u8]| {
        let mine = look.triple(dir).and_then(|triple| triple.mine.as_ref());
        mine.is_some_and(|mine| !mine.is_directory())
    };
    // Below a file or link: that is what is wrong there (F9).
    (look.is_hidden(path) && !tree::above(path).any(of_another_kind)).then_some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_links_lead() {
        for (link, target, wanted) in [
            ("etc/a", "b", "etc/b"),
            ("etc/a", "/srv/b", "srv/b"),
            ("etc/x/a", "../b", "etc/b"),
            ("etc/a", "../../../b/./c/", "b/c"),
            ("a", "b", "b"),
        ] {
            let found = leads_to(link.as_bytes(), target.as_bytes());
            assert_eq!(found, wanted.as_bytes(), "{link} -> {target}");
        }
    }
}
