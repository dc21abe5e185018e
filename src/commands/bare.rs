//! Undo from btrfs alone, for a pool whose journal a newer program writes: programs roll back with their
//! profile, the pool does not, and who undoes the upgrade of flipper-profiles itself must get back from
//! it with the older one. What is made is a point, a root and the pointer, as ever; no entry, and nothing
//! is deleted or mended. The number is taken by the point that bears it, and the next program that may write
//! writes the entry (`commands/found.rs`).

use crate::model::error::{Error, Result};
use crate::model::{Entry, Kind};
use crate::policy::undo::Plan;
use crate::system::{btrfs, files, roots};

use super::session::{ProfileFacts, Session};
use super::stage::{Staged, make_root};
use super::{now, report};

/// The caller holds the profile's lock, keeps packages still and has the person's yes.
pub fn act(session: &Session, facts: &ProfileFacts, plan: &Plan) -> Result<Staged> {
    let (dir, layout) = (&facts.dir, &session.pool.layout);
    match plan {
        Plan::Cancel { entry, back_to } => {
            roots::flip(dir, *back_to)?; // the visible moment
            Ok(Staged { entry: Entry::begin(*entry, Kind::Undo, now()), waits: false })
        }
        Plan::Reset { .. } => Err(Error::FormatTooNew { format: session.pool.format.format, may_read: true }),
        Plan::Stage { kind, target, leaves, waits, .. } => {
            let point = dir.point(*target);
            let base = roots::base_of(&point)?;
            if !layout.base(&base).is_dir() {
                return Err(Error::NoSuchBase { version: base });
            }
            files::sync_file_system(layout.top())?;
            let locked = session.journal.lock()?;
            let number = locked.free_number()?;
            btrfs::point(dir.root(*leaves).path(), dir.point(number).path())?;
            drop(locked);
            make_root(session, dir, number, &point, *leaves)?;
            roots::flip(dir, number)?; // the visible moment
            Ok(Staged { entry: Entry::begin(number, kind.clone(), now()), waits: *waits })
        }
    }
}

/// Said before the plan is shown.
pub fn tell(session: &Session) {
    if !session.pool.format.may_write() {
        report::note(format_args!(
            "note: this pool was written by a newer program (format {}): it is undone without an entry, and state/ is left as it is",
            session.pool.format.format
        ));
    }
}
