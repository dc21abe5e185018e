//! What every hook begins with: the booted root, its pool, and who runs packages in it.

use crate::model::booted::Booted;
use crate::model::entry::Driver;
use crate::model::error::{Error, Result};
use crate::model::layout::RootDir;
use crate::model::{Entry, State};
use crate::system::driver;
use crate::system::journal::Journal;
use crate::system::pool::Pool;

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
        let driver = driver::of_this_hook("/".as_ref())?.ok_or_else(|| Error::Child {
            program: "flipper-hook".into(),
            why: "no program above it".into(),
        })?;
        Ok(Hook { booted, pool, journal, driver })
    }

    /// The booted root on disk, e.g. `@profiles/lab/roots/41`.
    pub fn root(&self) -> RootDir {
        self.pool.layout.profile(&self.booted.profile).root(self.booted.root)
    }

    /// Is this open entry the one of the run that calls us?
    pub fn is_ours(&self, entry: &Entry) -> bool {
        entry.root == Some(self.booted.root) && entry.driver.as_ref() == Some(&self.driver)
    }

    /// The open entry of this run.
    pub fn open_entry(&self) -> Result<Option<Entry>> {
        let open = self.journal.open_entries(Some(&self.booted.profile))?;
        Ok(open.into_iter().find(|entry| entry.state == State::Open && self.is_ours(entry)))
    }
}
