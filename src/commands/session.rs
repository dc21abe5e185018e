//! What most verbs begin with: the pool opened, the profile found, its facts looked at.

use std::collections::BTreeSet;

use crate::model::config::KeyValues;
use crate::model::error::{At, Error, Result};
use crate::model::kept::with_unknown;
use crate::model::layout::ProfileDir;
use crate::model::profile::Profile;
use crate::model::{Entry, EntryNumber, ProfileId};
use crate::system::journal::{Journal, to_json};
use crate::system::locks::Lock;
use crate::system::pool::{self, Pool};
use crate::system::{files, guard, roots};

use super::cli::Common;

pub struct Session {
    pub pool: Pool,
    pub journal: Journal,
    pub common: Common,
}

/// What there is of one profile, as undo and log need it.
pub struct ProfileFacts {
    pub id: ProfileId,
    pub dir: ProfileDir,
    pub current: EntryNumber,
    /// The root somebody runs on; with an undo staged, not the current one.
    pub in_use: Option<EntryNumber>,
    pub entries: Vec<Entry>,
    pub damaged: Vec<std::path::PathBuf>,
    /// The highest number that has an entry, readable or not.
    pub newest: Option<EntryNumber>,
    pub points: BTreeSet<EntryNumber>,
}

impl Session {
    /// For readers: nothing is locked, nothing is mended.
    pub fn to_read(common: &Common) -> Result<Session> {
        let pool = Pool::open(common.pool.as_deref())?;
        let journal = Journal::new(&pool.layout);
        Ok(Session { pool, journal, common: common.clone() })
    }

    /// For verbs that change something: the format allows it, and what a cut left open is closed first.
    pub fn to_change(common: &Common) -> Result<Session> {
        let session = Session::to_read(common)?;
        session.pool.need_writable_format()?;
        super::recover::recover(&session)?;
        Ok(session)
    }

    /// For verbs that also work where a newer program writes the journal: what a cut left is closed first
    /// where that is ours to do. Whoever goes on to write asks the format.
    pub fn mending_if_allowed(common: &Common) -> Result<Session> {
        let session = Session::to_read(common)?;
        if session.pool.format.may_write() {
            super::recover::recover(&session)?;
        }
        Ok(session)
    }

    /// Deleting and sealing are not done from inside a run: from there, other processes are not seen.
    pub fn need_outside(&self, verb: &str) -> Result<()> {
        match pool::booted()? {
            Some(booted) if booted.mode == crate::model::booted::Mode::Run => {
                Err(Error::InsideRun { verb: verb.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// The profile somebody named, else the booted one, else the pool's default.
    pub fn profile(&self, named: Option<&str>) -> Result<ProfileId> {
        if let Some(text) = named {
            let id: ProfileId = text.parse()?;
            return self.need_profile(&id).map(|_| id);
        }
        match pool::booted()? {
            Some(booted) if booted.pool == self.pool.uuid => Ok(booted.profile),
            _ => self.pool.default_profile()?.ok_or(Error::NoProfileNamed),
        }
    }

    /// The directory of an existing profile.
    pub fn need_profile(&self, id: &ProfileId) -> Result<ProfileDir> {
        let dir = self.pool.layout.profile(id);
        if dir.path().is_dir() {
            return Ok(dir);
        }
        match self.deleted(id)? {
            Some((entry, _)) => Err(Error::ProfileDeleted { id: id.clone(), entry }),
            None => Err(Error::NoSuchProfile { id: id.clone() }),
        }
    }

    /// The id is free: no profile has it, not even a deleted one that can still be brought back.
    pub fn need_free_id(&self, id: &ProfileId) -> Result<()> {
        match self.need_profile(id) {
            Ok(_) => Err(Error::ProfileExists { id: id.clone() }),
            Err(Error::NoSuchProfile { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The newest deleted profile of this id: the entry that deleted it, and where it lies.
    pub fn deleted(&self, id: &ProfileId) -> Result<Option<(EntryNumber, ProfileDir)>> {
        let prefix = format!(".deleted-{id}-");
        let names = files::names(&self.pool.layout.profiles())?;
        let numbers = names.iter().filter_map(|name| name.to_str()?.strip_prefix(&prefix)?.parse().ok());
        let newest: Option<EntryNumber> = numbers.max();
        Ok(newest.map(|entry| (entry, self.pool.layout.deleted_profile(id, entry))))
    }

    /// Every published profile, in the order of their ids.
    pub fn profiles(&self) -> Result<Vec<ProfileId>> {
        self.pool.profiles()
    }

    /// One long operation per profile at a time.
    pub fn lock_profile(&self, id: &ProfileId) -> Result<Lock> {
        let dir = self.need_profile(id)?;
        Lock::take_soon(&dir.lock(), &format!("profile {id}"))
    }

    pub fn facts(&self, id: &ProfileId) -> Result<ProfileFacts> {
        let dir = self.need_profile(id)?;
        let current = self.current_or_newest(&dir)?;
        let found = self.journal.entries(Some(id))?;
        Ok(ProfileFacts {
            id: id.clone(),
            current,
            in_use: self.root_in_use(&dir)?,
            entries: found.entries,
            damaged: found.damaged,
            newest: found.newest,
            points: roots::numbers(&dir.snapshots())?,
            dir,
        })
    }

    /// What `current` names. When the pointer is lost or names nothing, the newest root that is there:
    /// who wants to undo then is served best from it (verify names the damage, and the undo mends it).
    fn current_or_newest(&self, dir: &ProfileDir) -> Result<EntryNumber> {
        let pointer = roots::current(dir);
        if pointer.as_ref().is_ok_and(|number| dir.root(*number).path().is_dir()) {
            return pointer;
        }
        match roots::numbers(&dir.roots())?.last() {
            Some(newest) => Ok(*newest),
            None => pointer,
        }
    }

    /// The root of a profile that is in use now, if one is.
    pub fn root_in_use(&self, dir: &ProfileDir) -> Result<Option<EntryNumber>> {
        // After a soft reboot the one before may still be in use for a while.
        if let Some(booted) = pool::booted()?.filter(|booted| booted.pool == self.pool.uuid) {
            let of_it = self.pool.layout.profile(&booted.profile);
            if of_it.path() == dir.path() && dir.root(booted.root).path().is_dir() {
                return Ok(Some(booted.root));
            }
        }
        for number in roots::numbers(&dir.roots())? {
            match guard::is_used(&self.pool, &dir.root(number)) {
                Ok(true) => return Ok(Some(number)),
                // Readers hold no lock: a root that was left may go between the list and the look.
                Err(_) if !dir.root(number).path().is_dir() => {}
                other => drop(other?),
            }
        }
        Ok(None)
    }

    pub fn describe(&self, dir: &ProfileDir) -> Result<Profile> {
        let path = dir.description();
        let bytes = std::fs::read(&path).at("read", &path)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Damaged { what: path, why: error.to_string() })
    }

    pub fn write_description(&self, dir: &ProfileDir, profile: &Profile) -> Result<()> {
        let path = dir.description();
        let old = files::read_if_there(&path)?.unwrap_or_default();
        let value = serde_json::to_value(profile).unwrap_or_default();
        files::replace(&path, &to_json(&with_unknown::<Profile>(&old, value)))
    }

    pub fn write_settings(&self, settings: &KeyValues) -> Result<()> {
        files::replace(&self.pool.layout.pool_conf(), settings.to_text().as_bytes())
    }

    /// Writes an entry into the index. The entry files are the truth: an index that fails is made
    /// again by the next reader, so this says a word and goes on.
    pub fn index(&self, _entry: &Entry) {
        #[cfg(feature = "index")]
        if let Err(error) =
            crate::system::index::Index::open(&self.pool.layout).and_then(|(mut i, _)| i.record(_entry))
        {
            tracing::warn!("{error}");
        }
    }
}
