//! `flipper-profile prune`: look, show, confirm, delete what no reason keeps, and measure whether that
//! was enough room. What is deleted was shown before, and is looked at again under the profile's lock.
//!
//! The entry is open before the first deletion and names what it intends. Deleting is done again where
//! it was cut: a subvolume is there or gone. Only when the disk is so full that not even the reserve
//! makes room for the entry do deletions come first, and the entry after them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::entry::{PRUNED_POINTS, PRUNED_PROFILES};
use crate::model::error::{Error, Exit, Result};
use crate::model::{Entry, EntryNumber, Kind, ProfileId, State};
use crate::policy::retention::space::{missing, worth_going_on};
use crate::policy::retention::{Kept, Rules};
use crate::system::locks::Lock;
use crate::system::reserve::{self, wait_until_cleaned};
use crate::system::{btrfs, driver, files, guard, profiles, refused};

use super::cli::Common;
use super::prune_plan::{self, DeletedPlan, PoolPlan, ProfilePlan};
use super::report::retention;
use super::session::Session;
use super::{now, report, stage};

/// The cleaner needs seconds for a point, minutes for a full root on a slow card.
const CLEANING: Duration = Duration::from_secs(120);

pub fn run(common: &Common, id: Option<&str>, dry_run: bool) -> Result<Exit> {
    let only = id.map(str::parse::<ProfileId>).transpose()?;
    let session = if dry_run { Session::to_read(common)? } else { Session::to_change(common)? };
    if !dry_run {
        session.need_outside("letting points go")?;
    }
    let plan = prune_plan::look(&session, only.as_ref(), &now())?;
    let short = missing(&plan.rules, plan.room) > 0;
    let wanted = Wanted::of(&plan);
    if !common.json {
        retention::show(&plan, dry_run);
    }
    let mut done = Done::default();
    if !dry_run && !wanted.is_nothing(short) {
        report::confirm(&wanted.question(short), common.yes)?;
        let _lock = Lock::take_soon(&session.pool.layout.base_lock(), "the bases")?;
        done = act(&session, &plan, &wanted)?;
    }
    if !dry_run {
        reserve::make(&session.pool.layout)?;
    }
    match common.json {
        true => report::json(&retention::json(&plan, &done)),
        false => retention::finish(&plan, &done, dry_run),
    }
    Ok(if plan.is_skipping() || !done.left.is_empty() { Exit::Attention } else { Exit::Done })
}

/// What was shown: nothing else is deleted.
struct Wanted {
    points: BTreeMap<ProfileId, Vec<EntryNumber>>,
    profiles: Vec<String>,
    /// Profiles with a root that a rebase refused.
    refused: Vec<ProfileId>,
    yielding: Vec<(ProfileId, EntryNumber)>,
    yielding_profiles: Vec<String>,
}

impl Wanted {
    fn of(plan: &PoolPlan) -> Wanted {
        let going = plan.going().filter(|(_, points)| !points.is_empty());
        let (deleted, yielding) = plan.yielding(missing(&plan.rules, plan.room));
        Wanted {
            points: going.map(|(profile, points)| (profile.id.clone(), points)).collect(),
            profiles: plan.deleted.iter().filter(|d| d.goes()).map(DeletedPlan::name).collect(),
            refused: plan.refused().map(|(id, _)| id.clone()).collect(),
            yielding,
            yielding_profiles: deleted.into_iter().map(DeletedPlan::name).collect(),
        }
    }

    fn is_nothing(&self, short: bool) -> bool {
        let surely = self.points.is_empty() && self.profiles.is_empty() && self.refused.is_empty();
        surely && !(short && (!self.yielding.is_empty() || !self.yielding_profiles.is_empty()))
    }

    fn question(&self, short: bool) -> String {
        let points = self.points.values().map(Vec::len).sum();
        let mut what = vec![report::count(points, "point", "points")];
        if !self.profiles.is_empty() {
            what.push(report::count(self.profiles.len(), "deleted profile", "deleted profiles"));
        }
        if !self.refused.is_empty() {
            what.push(report::count(self.refused.len(), "refused root", "refused roots"));
        }
        let more = if short { ", and more while room is short" } else { "" };
        format!("let {} go for good{more}?", what.join(" and "))
    }
}

/// What went.
#[derive(Default)]
pub struct Done {
    pub points: BTreeMap<ProfileId, Vec<EntryNumber>>,
    pub profiles: Vec<String>,
    /// Roots that a rebase refused.
    pub refused: usize,
    /// Subvolumes whose space is not free yet.
    ids: Vec<u64>,
    /// What was wanted and could not go, and why.
    pub left: Vec<String>,
    /// Bytes, as far as they were free when it ended.
    pub freed: u64,
}

fn act(session: &Session, plan: &PoolPlan, wanted: &Wanted) -> Result<Done> {
    let before = prune_plan::room(session)?;
    // Not even the reserve made room for it: deleting comes first.
    let entry = match begin(session, wanted) {
        Err(error) if error.is_no_space() => None,
        other => Some(other?),
    };
    let mut done = Done::default();
    for name in &wanted.profiles {
        delete_profile(session, plan, name, &mut done)?;
    }
    for (id, points) in &wanted.points {
        delete_points(session, &plan.rules, id, points, Kept::goes, &mut done)?;
    }
    for id in &wanted.refused {
        drop_refused(session, id, &mut done)?;
    }
    if missing(&plan.rules, plan.room) > 0 {
        make_room(session, plan, wanted, &mut done)?;
    }
    // Gone for good before the entry says so.
    files::sync_file_system(session.pool.layout.top())?;
    let after = prune_plan::room(session)?;
    done.freed = after.free.saturating_sub(before.free);
    let mut entry = match entry.map_or_else(|| begin_late(session, wanted, &mut done), Ok) {
        Err(error) if error.is_no_space() => {
            done.left.push("there is no room yet for this prune's entry in the journal".into());
            return Ok(done);
        }
        other => other?,
    };
    entry.more.insert(PRUNED_POINTS.into(), serde_json::json!(done.points));
    entry.more.insert(PRUNED_PROFILES.into(), serde_json::json!(done.profiles));
    let outcome = format!("let go: {}", done.sentence());
    stage::close(session, &mut entry, State::Completed, Some(outcome))?;
    Ok(done)
}

/// Open and durable, with everything that may go.
fn begin(session: &Session, wanted: &Wanted) -> Result<Entry> {
    let mut points = wanted.points.clone();
    for (id, number) in &wanted.yielding {
        points.entry(id.clone()).or_default().push(*number);
    }
    let profiles: Vec<&String> = wanted.profiles.iter().chain(&wanted.yielding_profiles).collect();
    let entry = session.journal.lock()?.begin(Kind::Prune, now(), |entry| {
        entry.person = Some(driver::person("/".as_ref()));
        entry.more.insert(PRUNED_POINTS.into(), serde_json::json!(points));
        entry.more.insert(PRUNED_PROFILES.into(), serde_json::json!(profiles));
    })?;
    files::sync_file_system(session.pool.layout.top())?;
    Ok(entry)
}

/// What was deleted is free only when the cleaner is done with it.
fn begin_late(session: &Session, wanted: &Wanted, done: &mut Done) -> Result<Entry> {
    wait_until_cleaned(&session.pool.layout, &done.ids, CLEANING)?;
    begin(session, wanted)
}

/// Looked at again under the profile's lock: a point may have been pinned, or a run begun, since.
fn delete_points(
    session: &Session,
    rules: &Rules,
    id: &ProfileId,
    points: &[EntryNumber],
    may_go: fn(&Kept) -> bool,
    done: &mut Done,
) -> Result<()> {
    let look = || {
        let lock = session.lock_profile(id)?;
        let plan = prune_plan::look_at(session, rules, id, &now())?;
        Ok((lock, plan))
    };
    let (_lock, plan) = match look() {
        Ok((lock, ProfilePlan { skipped: None, points, .. })) => (lock, points),
        Ok((_, ProfilePlan { skipped: Some(why), .. })) => return done.leave(id, &why),
        Err(error @ (Error::Busy { .. } | Error::NoSuchProfile { .. } | Error::ProfileDeleted { .. })) => {
            return done.leave(id, &error.to_string());
        }
        Err(other) => return Err(other),
    };
    let dir = session.need_profile(id)?;
    profiles::remove_orphans(&dir)?;
    for kept in plan.iter().filter(|kept| points.contains(&kept.point) && may_go(kept)) {
        let point = dir.point(kept.point);
        let _claimed = match guard::claim(&session.pool, &point) {
            Err(error @ Error::InUse { .. }) => {
                done.leave(id, &error.to_string())?;
                continue;
            }
            other => other?,
        };
        let subvolume = btrfs::subvolume_id(point.path())?;
        profiles::remove_point(&dir, kept.point)?;
        done.ids.push(subvolume);
        done.points.entry(id.clone()).or_default().push(kept.point);
    }
    Ok(())
}

fn drop_refused(session: &Session, id: &ProfileId, done: &mut Done) -> Result<()> {
    let dropped = session.lock_profile(id).and_then(|_lock| {
        let dir = session.need_profile(id)?;
        let root = refused::find(&dir)?.map(|(_, root)| btrfs::subvolume_id(root.path())).transpose()?;
        refused::drop_kept(&session.pool, &dir)?;
        Ok(root)
    });
    match dropped {
        Ok(root) => {
            done.refused += usize::from(root.is_some());
            done.ids.extend(root);
            Ok(())
        }
        Err(error @ (Error::Busy { .. } | Error::InUse { .. } | Error::NoSuchProfile { .. })) => {
            done.leave(id, &error.to_string())
        }
        Err(other) => Err(other),
    }
}

fn delete_profile(session: &Session, plan: &PoolPlan, name: &str, done: &mut Done) -> Result<()> {
    let layout = &session.pool.layout;
    let Some(deleted) = plan.deleted.iter().find(|deleted| deleted.name() == name) else { return Ok(()) };
    let dir = layout.deleted_profile(&deleted.id, deleted.entry);
    if !dir.path().is_dir() {
        return Ok(()); // brought back since
    }
    let pinned = session.describe(&dir).map(|profile| !profile.pins.is_empty()).unwrap_or(true);
    if pinned {
        return done.leave(&deleted.id, "a point of the deleted profile is pinned");
    }
    let _lock = match Lock::take_soon(&dir.lock(), name) {
        Err(error @ Error::Busy { .. }) => return done.leave(&deleted.id, &error.to_string()),
        other => other?,
    };
    done.ids.extend(profiles::subvolumes(&dir)?);
    let aside = layout.pruned_profile(&deleted.id, deleted.entry);
    match profiles::remove_deleted(&session.pool, &dir, &aside) {
        Err(error @ Error::InUse { .. }) => return done.leave(&deleted.id, &error.to_string()),
        other => other?,
    }
    done.profiles.push(name.to_owned());
    Ok(())
}

/// Short of room: one at a time, oldest first, and the room measured after each.
fn make_room(session: &Session, plan: &PoolPlan, wanted: &Wanted, done: &mut Done) -> Result<()> {
    let is_missing = |done: &mut Done| -> Result<u64> {
        wait_until_cleaned(&session.pool.layout, &done.ids, CLEANING)?;
        done.ids.clear();
        Ok(missing(&plan.rules, prune_plan::room(session)?))
    };
    let mut now_missing = is_missing(done)?;
    for name in &wanted.yielding_profiles {
        if now_missing > 0 {
            delete_profile(session, plan, name, done)?;
            now_missing = is_missing(done)?;
        }
    }
    let before = now_missing;
    for (tried, (id, number)) in wanted.yielding.iter().enumerate() {
        if !worth_going_on(before, now_missing, tried) {
            break;
        }
        delete_points(session, &plan.rules, id, &[*number], Kept::yields, done)?;
        now_missing = is_missing(done)?;
    }
    if now_missing > 0 {
        done.left.push(format!(
            "keep_free={} wants {} more than points could give",
            plan.rules.free,
            retention::bytes(now_missing)
        ));
    }
    Ok(())
}

impl Done {
    fn leave(&mut self, id: &ProfileId, why: &str) -> Result<()> {
        self.left.push(format!("{id}: {why}"));
        Ok(())
    }

    pub fn sentence(&self) -> String {
        let points = self.points.values().map(Vec::len).sum();
        let mut parts = vec![report::count(points, "point", "points")];
        if !self.profiles.is_empty() {
            parts.push(report::count(self.profiles.len(), "deleted profile", "deleted profiles"));
        }
        if self.refused > 0 {
            parts.push(report::count(self.refused, "refused root", "refused roots"));
        }
        parts.join(" and ")
    }
}
