//! A profile's root that is taken for a start, by `run` and by `assemble`.

use std::path::Path;

use crate::model::booted::{Booted, Mode};
use crate::model::error::{Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{BaseVersion, EntryNumber, ProfileId};
use crate::system::locks::Lock;
use crate::system::{btrfs, guard, roots, shared};

use super::session::Session;
use super::{identity, left, now, numbers, report, state};

/// A root that is ours, as it should be before a start.
pub struct Held {
    pub dir: ProfileDir,
    pub number: EntryNumber,
    pub root: RootDir,
    pub base: BaseVersion,
    pub lock: Lock,
}

/// The current root, or the one that was asked for, its lock held. The profile's lock is held meanwhile, so
/// that no undo moves the pointer between the look and the lock.
pub fn hold(session: &Session, id: &ProfileId, asked: Option<EntryNumber>) -> Result<Held> {
    let dir = session.need_profile(id)?;
    let _profile = session.lock_profile(id)?;
    let current = roots::current(&dir)?;
    let number = asked.unwrap_or(current);
    let root = dir.root(number);
    if !root.path().is_dir() {
        return Err(Error::NoSuchRoot { number, profile: id.clone() });
    }
    // The state/ that came with `current` waits for it.
    if number == current {
        left::settle_state(session, &dir)?;
    } else if session.root_in_use(&dir)?.is_none() {
        numbers::settle(session, &dir, number)?;
    }
    let base = roots::base_of(&root)?;
    let lock = guard::claim(&session.pool, &root)?;
    state::settle(session, &dir, &root)?;
    // Under the profile's lock: `set` writes the same file.
    if let Err(error) = note_use(session, &dir) {
        report::note(format_args!("note: {error}")); // a full disk: this run may be the way out
    }
    if let Err(error) = identity::settle(session, &dir, &root) {
        report::note(format_args!("note: {error}"));
    }
    Ok(Held { dir, number, root, base, lock })
}

impl Held {
    /// What the booted file says of it; `identity` is that of the merged `/`.
    pub fn booted(&self, session: &Session, id: &ProfileId, mode: Mode, identity: String) -> Result<Booted> {
        Ok(Booted {
            profile: id.clone(),
            root: self.number,
            base: self.base.clone(),
            pool: session.pool.uuid.clone(),
            device: session.pool.device.display().to_string(),
            subvolid: btrfs::subvolume_id(self.root.path())?,
            identity,
            mode,
        })
    }

    pub fn tell_not_shared(&self, session: &Session, root: &Path) {
        for path in shared::not_bound(&session.pool, &self.dir, root) {
            let path = path.display();
            report::note(format_args!(
                "note: /{path} is not shared in this start: it is gone from @data/shared, or a link or something else is in its place"
            ));
        }
    }
}

fn note_use(session: &Session, dir: &ProfileDir) -> Result<()> {
    let mut profile = session.describe(dir)?;
    profile.last_used = Some(now());
    session.write_description(dir, &profile)
}
