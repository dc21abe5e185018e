//! A root made of the very state that is left, then changed, then made current: what rebase and repair share.
//! The order is that of every staged change (`commands/stage.rs`).

use std::os::unix::ffi::OsStrExt;

use crate::model::carried::is_carried;
use crate::model::error::{Error, Result};
use crate::model::layout::{RootDir, RootFact};
use crate::model::{BaseVersion, Entry, EntryNumber, Kind, ProfileId, State};
use crate::policy::check::territory::{self, Territory};
use crate::system::reserve::{For, with_room};
use crate::system::state::made;
use crate::system::{btrfs, changed, driver, edits, files, refused, roots};

use super::session::{ProfileFacts, Session};
use super::stage::{self, Staged};
use super::{accounts, boot_files, left, now, undo_plan};

/// What is to be made.
pub struct Order {
    pub kind: Kind,
    /// The base the new root stands on.
    pub base: BaseVersion,
    pub command_line: String,
    /// The flip that this is a part of.
    pub flip: Option<EntryNumber>,
}

/// Refused while a root waits: what is in use then is not what would be changed.
pub fn need_none_waiting(facts: &ProfileFacts, what: &str) -> Result<()> {
    match undo_plan::waiting(facts) {
        Some(entry) => Err(Error::Waits { profile: facts.id.clone(), entry, what: what.into() }),
        None => Ok(()),
    }
}

/// `change` gets the new root, which stands on the new base already, and says how it ended. Where it fails
/// nothing stays but the entry. The caller holds the profile's lock and has the person's yes.
pub fn remake(
    session: &Session,
    facts: &ProfileFacts,
    order: &Order,
    change: impl FnOnce(&mut Entry, &RootDir) -> Result<String>,
) -> Result<Staged> {
    let _still = stage::keep_packages_still(session, facts)?;
    stage::need_nothing_new(session, facts)?;
    let mut entry = begin(session, facts, order)?;
    let made = make(session, facts, order, &mut entry, change);
    let outcome = match made {
        Ok(outcome) => outcome,
        Err(error) => {
            give_up(session, facts, &mut entry, &error)?;
            return Err(error);
        }
    };
    with_room(&session.pool.layout, For::Ordinary, || roots::flip(&facts.dir, entry.number))?; // the visible moment
    let waits = facts.in_use.is_some();
    if !waits {
        left::settle_state(session, &facts.dir)?;
    }
    stage::close(session, &mut entry, State::Completed, Some(outcome))?;
    if !waits {
        left::retire(session, &facts.dir, facts.current)?;
    }
    Ok(Staged { entry, waits })
}

fn begin(session: &Session, facts: &ProfileFacts, order: &Order) -> Result<Entry> {
    session.journal.lock()?.begin(order.kind.clone(), now(), |entry| {
        entry.profile = Some(facts.id.clone());
        entry.root = Some(facts.current);
        entry.base = Some(order.base.clone());
        entry.point = true;
        entry.command_line = Some(order.command_line.clone());
        if let Some(flip) = order.flip {
            entry.note_part_of(flip);
        }
        entry.person = Some(driver::person("/".as_ref()));
    })
}

fn make(
    session: &Session,
    facts: &ProfileFacts,
    order: &Order,
    entry: &mut Entry,
    change: impl FnOnce(&mut Entry, &RootDir) -> Result<String>,
) -> Result<String> {
    let (dir, layout) = (&facts.dir, &session.pool.layout);
    let (leaves, root, point) = (dir.root(facts.current), dir.root(entry.number), dir.point(entry.number));
    with_room(layout, For::Ordinary, || {
        files::sync_file_system(layout.top())?;
        btrfs::point(leaves.path(), point.path())
    })?;
    accounts::note(layout, dir, &leaves)?;
    with_room(layout, For::Ordinary, || {
        btrfs::delete_if_there(root.path())?; // half made, when there was no room for it
        btrfs::snapshot(point.path(), root.path())?;
        roots::write_fact(&root, RootFact::Entry, &entry.number.to_string())?;
        roots::write_fact(&root, RootFact::Base, order.base.as_str())
    })?;
    let outcome = change(entry, &root)?;
    let base = layout.base(&order.base);
    if facts.in_use.is_some() {
        follow(session, facts, (&point, &leaves), &root)?;
        roots::carry(&leaves, &root, &base)?;
    }
    roots::give_back_lent(&root, &base)?;
    if let Some(kernel) = boot_files::prepare(&session.pool, &root)? {
        roots::write_fact(&root, RootFact::Kernel, &kernel.to_string())?;
    }
    roots::prove_layout(&root, &base, session.pool.format.inode_floor)?;
    files::sync_file_system(layout.top())?;
    entry.note_made_at(btrfs::generation(root.path())?);
    session.journal.lock()?.amend(entry)?;
    Ok(outcome)
}

/// The root that is left is in use, and packages keep still: what is written as time goes by comes along.
/// Anything else was not looked at when the new root was made, and refuses it.
fn follow(
    session: &Session,
    facts: &ProfileFacts,
    (point, leaves): (&RootDir, &RootDir),
    root: &RootDir,
) -> Result<()> {
    let base = session.pool.layout.base(&roots::base_of(point)?);
    let of = |state: &RootDir| changed::State::merged(state, base.clone());
    let mut written = Vec::new();
    for change in changed::between(&of(point), &of(leaves))?.changes {
        match territory::of(change.path.as_os_str().as_bytes()) {
            _ if is_carried(&change.path) => {}
            Territory::Hidden | Territory::Cache => {}
            Territory::Running => written.push(change.path),
            _ => {
                let path = change.path.display();
                return Err(Error::Busy { what: format!("{}: /{path} changed meanwhile", facts.id) });
            }
        }
    }
    edits::follow(&leaves.upper(), &root.upper(), &written)
}

/// What was made goes, or is kept for looking where it is whole and was not proved; the state that was to be left
/// is current as before.
fn give_up(session: &Session, facts: &ProfileFacts, entry: &mut Entry, error: &Error) -> Result<()> {
    made::drop_both(&facts.dir, entry.number)?;
    match error {
        Error::NotProved { .. } => refused::keep(&session.pool, &facts.dir, entry.number)?,
        _ => {
            drop_saved(session, &facts.id, entry)?; // first: a cut here leaves the root, and recover does the rest
            btrfs::delete_if_there(facts.dir.root(entry.number).path())?;
        }
    }
    btrfs::delete_if_there(facts.dir.point(entry.number).path())?;
    entry.point = false;
    stage::close(session, entry, State::Failed, Some(format!("not done: {error}")))
}

/// What gave way in a root that is gone did not give way. What apt said stays, to be looked at.
pub fn drop_saved(session: &Session, id: &ProfileId, entry: &Entry) -> Result<()> {
    files::remove_tree(&session.pool.layout.papers(id, entry.number).join("saved"))
}
