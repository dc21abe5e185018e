//! What every hook begins with: the booted root, its pool, and who runs packages in it.

use std::path::Path;

use crate::commands::recover;
use crate::model::booted::Booted;
use crate::model::entry::Driver;
use crate::model::error::{Error, Result};
use crate::model::layout::RootDir;
use crate::model::{Entry, State};
use crate::system::journal::Journal;
use crate::system::pool::Pool;
use crate::system::{driver, files, pool};

/// The booted root, its pool, and who runs packages in it.
pub struct Hook {
    pub booted: Booted,
    pub pool: Pool,
    pub journal: Journal,
    pub driver: Driver,
}

impl Hook {
    /// The hooks' own way in: no person, no arguments, the booted file says everything.
    pub fn open(booted: Booted) -> Result<Hook> {
        let pool = Pool::of_booted(&booted)?;
        pool.need_writable_format()?;
        let journal = Journal::new(&pool.layout);
        let above = driver::of_this_hook("/".as_ref())?;
        let driver = above.ok_or_else(|| Error::Child {
            program: "flipper-hook".into(),
            why: "no program above it".into(),
        })?;
        Ok(Hook { booted, pool, journal, driver })
    }

    /// The booted root on disk, e.g. `@profiles/lab/roots/41`.
    pub fn root(&self) -> RootDir {
        self.pool.layout.profile(&self.booted.profile).root(self.booted.root)
    }

    /// Is this entry one of the program that calls us? Its driver need not be the one we would find
    /// now: aptitude takes the lock, gives it away and has a child run the last hook.
    pub fn is_ours(&self, entry: &Entry) -> bool {
        let above = |d: &Driver| *d == self.driver || driver::is_above_us(d);
        entry.root == Some(self.booted.root) && entry.driver.as_ref().is_some_and(above)
    }

    /// Is the root as it was when the point was taken, as far as dpkg is concerned?
    pub fn changed_nothing(&self, point: &RootDir) -> Result<bool> {
        let base = self.pool.layout.base(&self.booted.base);
        Ok(recover::dpkg_never_wrote(&self.root(), point)?
            || recover::nothing_changed(&self.root(), point, &base)?)
    }

    /// The open entry of this run.
    pub fn open_entry(&self) -> Result<Option<Entry>> {
        let open = self.journal.open_entries(Some(&self.booted.profile))?;
        Ok(open.into_iter().find(|entry| entry.state == State::Open && self.is_ours(entry)))
    }
}

/// The process whose hooks are called (its run is protected, or was told that it is not). dpkg's own hooks
/// below it have nothing to do: its last hook follows. They read the number in sh.
const ANNOUNCED: &str = "/run/flipper/package-run";

/// Best effort: without it dpkg's own hooks take a point of their own.
pub fn announce() {
    if let (Ok(Some(_)), Ok(Some(driver))) = (pool::booted(), driver::of_this_hook("/".as_ref())) {
        let _ = std::fs::write(ANNOUNCED, format!("{}\n", driver.pid));
    }
}

/// aptitude gives the lock away, so that dpkg's hooks think dpkg runs alone.
pub fn is_announced() -> bool {
    let line = files::read_line(Path::new(ANNOUNCED)).unwrap_or_default();
    line.parse().is_ok_and(driver::is_ancestor)
}
