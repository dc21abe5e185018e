//! Moving a profile to another state: the steps undo, redo, reset and flipper-rescue share. Order of a
//! staged change (house rule 2): entry open and durable, own point, new root, what goes back into state/
//! aside, sync, POINTER, that put into its place, what it cancels dropped, entry closed. A cut before the
//! pointer leaves the old state, after it the new one; recover does what is left to do and closes the
//! entry accordingly.

use crate::model::carried::Keeps;
use crate::model::entry::Back;
use crate::model::error::{Error, Result};
use crate::model::layout::{ProfileDir, RootDir, RootFact};
use crate::model::state_change::StateChange;
use crate::model::{BaseVersion, Entry, EntryNumber, Kind, State};
use crate::policy::undo::Plan;
use crate::system::locks::{self, DpkgLocks};
use crate::system::reserve::{For, with_room};
use crate::system::state::back;
use crate::system::{btrfs, driver, files, guard, mountinfo, next_state, roots};

use super::session::{ProfileFacts, Session};
use super::{accounts, bare, boot_files, keep, left, now, report, undo_plan};

/// What was done, for the report.
pub struct Staged {
    pub entry: Entry,
    /// The new root waits until the one in use is left.
    pub waits: bool,
}

/// Keeps apt and dpkg out of a root that is in use while its successor is staged; they are asked
/// through the merged root, where their locks are seen.
pub fn keep_packages_still(session: &Session, facts: &ProfileFacts) -> Result<Option<DpkgLocks>> {
    let Some(root) = facts.in_use else { return Ok(None) };
    let upper = facts.dir.root(root).upper();
    let here = crate::system::pool::booted()?.filter(|booted| {
        booted.profile == facts.id && booted.root == root && booted.pool == session.pool.uuid
    });
    if here.is_some() {
        return locks::dpkg("/".as_ref()).map(Some);
    }
    match mountinfo::find_overlay(&session.pool.tail(&upper))? {
        Some(seen) => locks::dpkg(&seen.path()).map(Some),
        None => Err(Error::InUse {
            what: format!("root {root} of {}", facts.id),
            by: "by somebody who cannot be seen from here".into(),
        }),
    }
}

/// Keeps our programs in the pool before a change that takes them out of the profile. Where a newer
/// program writes, newer ones are kept.
pub fn keep_programs(session: &Session, facts: &ProfileFacts) -> Result<()> {
    if !session.pool.format.may_write() {
        return Ok(());
    }
    let root = facts.dir.root(facts.in_use.unwrap_or(facts.current));
    let base = session.pool.layout.base(&roots::base_of(&root)?);
    crate::system::programs::keep(&session.pool.layout, &root, &base)
}

/// An open entry is somebody's work; where it is apt's, its process is named.
pub fn name_worker(session: &Session, facts: &ProfileFacts, error: Error) -> Error {
    match (&error, keep_packages_still(session, facts)) {
        (Error::Busy { .. }, Err(apt @ Error::AptRunning { .. })) => apt,
        _ => error,
    }
}

/// A root that is to be made and become current.
struct Order<'a> {
    kind: Kind,
    /// The state before this entry; None: pristine.
    target: Option<EntryNumber>,
    leaves: EntryNumber,
    /// The waiting entry that it replaces.
    cancels: Option<EntryNumber>,
    waits: bool,
    keeps: &'a Keeps,
    /// What becomes of all of state/.
    state: Option<StateChange>,
    /// What goes back into state/.
    back: &'a [Back],
}

/// Carries a plan out, and puts `back` into state/. The caller holds the profile's lock and has the
/// person's yes.
pub fn act(
    session: &Session,
    facts: &ProfileFacts,
    plan: &Plan,
    keeps: &Keeps,
    back: &[Back],
) -> Result<Staged> {
    let _still = keep_packages_still(session, facts)?;
    need_nothing_new(session, facts)?;
    if !session.pool.format.may_write() {
        return bare::act(session, facts, plan);
    }
    let state = undo_plan::state_change(facts, plan);
    match plan {
        Plan::Stage { kind, target, leaves, cancels, waits, .. } => {
            let (kind, target, cancels) = (kind.clone(), Some(*target), *cancels);
            let order = Order { kind, target, leaves: *leaves, cancels, waits: *waits, keeps, state, back };
            stage(session, facts, &order)
        }
        Plan::Reset { leaves, waits, .. } => {
            let (kind, leaves, waits) = (Kind::Reset, *leaves, *waits);
            let order = Order { kind, target: None, leaves, cancels: None, waits, keeps, state, back };
            stage(session, facts, &order)
        }
        Plan::Cancel { entry, back_to } => cancel(session, facts, *entry, *back_to),
    }
}

/// A package run may have begun and ended while the person read the preview: it was not in it.
pub fn need_nothing_new(session: &Session, facts: &ProfileFacts) -> Result<()> {
    let now = session.journal.numbers(Some(&facts.id))?.last().copied();
    match now > facts.newest {
        true => {
            Err(Error::Busy { what: format!("{}: something happened there since the preview", facts.id) })
        }
        false => Ok(()),
    }
}

fn stage(session: &Session, facts: &ProfileFacts, order: &Order) -> Result<Staged> {
    let (dir, layout) = (&facts.dir, &session.pool.layout);
    let made_from = order.target.map_or_else(|| dir.pristine(), |target| dir.point(target));
    let base = roots::base_of(&made_from)?;
    if !layout.base(&base).is_dir() {
        return Err(Error::NoSuchBase { version: base });
    }
    let kernel = boot_files::prepare(&session.pool, &made_from)?; // refused before anything changed
    let mut entry = begin(session, facts, order, &base)?;
    let (root, point) = (dir.root(entry.number), dir.point(entry.number));
    with_room(layout, For::Recovery, || {
        files::sync_file_system(layout.top())?;
        btrfs::point(dir.root(order.leaves).path(), point.path())
    })?;
    with_room(layout, For::Recovery, || {
        btrfs::delete_if_there(root.path())?; // half made, when there was no room for it
        if let Some(change) = order.state {
            next_state::prepare(dir, entry.number, change)?;
        }
        make_root(session, dir, entry.number, &made_from, order.leaves)?;
        if let Some(kernel) = &kernel {
            roots::replace_fact(&root, RootFact::Kernel, &kernel.to_string())?;
        }
        keep::carry(session, facts, order.keeps, &point, &root)
    })?;
    // Small next to what an undo is for: where there is no room for it, the undo goes on.
    if let Err(error) = with_room(layout, For::Recovery, || back::prepare(dir, entry.number, order.back)) {
        report::note(format_args!("note: state/ stays as it is: {error}"));
        back::drop_prepared(dir, entry.number)?;
    }
    with_room(layout, For::Recovery, || roots::flip(dir, entry.number))?; // the visible moment
    back::finish(dir, entry.number, order.back)?;
    left::drop_cancelled(session, &entry)?;
    if !order.waits {
        left::settle_state(session, dir)?;
    }
    close(session, &mut entry, State::Completed, None)?;
    if !order.waits {
        left::retire(session, dir, order.leaves)?;
    }
    Ok(Staged { entry, waits: order.waits })
}

fn begin(session: &Session, facts: &ProfileFacts, order: &Order, base: &BaseVersion) -> Result<Entry> {
    session.journal.lock()?.begin(order.kind.clone(), now(), |entry| {
        entry.profile = Some(facts.id.clone());
        entry.root = Some(order.leaves);
        entry.base = Some(base.clone());
        entry.target = order.target;
        entry.cancels = order.cancels;
        entry.state_back = order.back.to_vec();
        entry.point = true;
        entry.person = Some(driver::person("/".as_ref()));
        order.keeps.note_in(entry);
        if let Some(change) = order.state {
            change.note_in(entry);
        }
    })
}

/// `roots/<number>` from a point, whole and durable; nobody sees it before the pointer.
pub fn make_root(
    session: &Session,
    dir: &ProfileDir,
    number: EntryNumber,
    point: &RootDir,
    leaves: EntryNumber,
) -> Result<()> {
    let base = session.pool.layout.base(&roots::base_of(point)?);
    let root = dir.root(number);
    if session.pool.format.may_write() {
        accounts::note(&session.pool.layout, dir, &dir.root(leaves))?;
    }
    btrfs::snapshot(point.path(), root.path())?;
    roots::write_fact(&root, RootFact::Entry, &number.to_string())?;
    roots::carry(&dir.root(leaves), &root, &base)?;
    accounts::keep(dir, &root, &base)?;
    roots::give_back_lent(&root, &base)?;
    files::sync_file_system(session.pool.layout.top())
}

/// The pointer goes back to the root in use. An entry like every change, so that a cut right after the
/// pointer reads as what it is.
fn cancel(
    session: &Session,
    facts: &ProfileFacts,
    waiting: EntryNumber,
    back_to: EntryNumber,
) -> Result<Staged> {
    let claimed = guard::claim(&session.pool, &facts.dir.root(waiting))?; // refused before anything changed
    let base = roots::base_of(&facts.dir.root(back_to)).ok();
    let mut entry = session.journal.lock()?.begin(Kind::Cancel, now(), |entry| {
        entry.profile = Some(facts.id.clone());
        entry.root = Some(back_to);
        entry.base = base;
        entry.cancels = Some(waiting);
        entry.person = Some(driver::person("/".as_ref()));
    })?;
    with_room(&session.pool.layout, For::Recovery, || {
        files::sync_file_system(session.pool.layout.top())?;
        roots::flip(&facts.dir, back_to) // the visible moment
    })?;
    drop(claimed);
    left::drop_cancelled(session, &entry)?;
    close(session, &mut entry, State::Completed, None)?;
    Ok(Staged { entry, waits: false })
}

/// Closes an entry and tells the index.
pub fn close(session: &Session, entry: &mut Entry, state: State, outcome: Option<String>) -> Result<()> {
    entry.state = state;
    entry.outcome = outcome.or(entry.outcome.take());
    entry.ended = Some(now());
    session.journal.lock()?.close(entry)?;
    session.index(entry);
    boot_files::follow(&session.pool);
    Ok(())
}
