//! Looking before a prune: every profile's points with the reasons they are kept for, the deleted
//! profiles, and the room there is. Readers and the prune itself look with the same eyes.

use std::path::Path;

use crate::model::booted::Mode;
use crate::model::error::{Error, Result};
use crate::model::layout::ProfileDir;
use crate::model::{Entry, EntryNumber, Kind, ProfileId};
use crate::policy::retention::space::Room;
use crate::policy::retention::time::{self, Times};
use crate::policy::retention::{self, Deleted, Facts, Keep, Kept, Point, Rules};
use crate::policy::space::Space;
use crate::system::{btrfs, files, guard, locks, pool, refused, reserve, roots};

use super::session::{ProfileFacts, Session};
use super::space_parts::Group;
use super::{space, trial, undo_plan};

pub struct PoolPlan {
    pub rules: Rules,
    pub profiles: Vec<ProfilePlan>,
    pub deleted: Vec<DeletedPlan>,
    pub room: Room,
}

pub struct ProfilePlan {
    pub id: ProfileId,
    /// Why nothing of it goes now.
    pub skipped: Option<String>,
    pub points: Vec<Kept>,
    /// The rebase whose root was refused and is kept for looking: it goes.
    pub refused: Option<EntryNumber>,
    pub entries: Vec<Entry>,
}

/// `@profiles/.deleted-lab-57`; no reason: it goes.
pub struct DeletedPlan {
    pub id: ProfileId,
    pub entry: EntryNumber,
    pub reasons: Vec<Keep>,
}

impl DeletedPlan {
    pub fn name(&self) -> String {
        format!(".deleted-{}-{}", self.id, self.entry)
    }

    pub fn goes(&self) -> bool {
        self.reasons.is_empty()
    }

    pub fn yields(&self) -> bool {
        !self.goes() && self.reasons.iter().all(Keep::yields)
    }
}

impl PoolPlan {
    /// Points that go, of the profiles that are not passed over, by profile.
    pub fn going(&self) -> impl Iterator<Item = (&ProfilePlan, Vec<EntryNumber>)> {
        let free = self.profiles.iter().filter(|profile| profile.skipped.is_none());
        free.map(|profile| {
            let going = profile.points.iter().filter(|kept| kept.goes()).map(|kept| kept.point).collect();
            (profile, going)
        })
    }

    /// What gives way when room is short, oldest first: deleted profiles, then points.
    pub fn yielding(&self, missing: u64) -> (Vec<&DeletedPlan>, Vec<(ProfileId, EntryNumber)>) {
        let deleted = self.deleted.iter().filter(|deleted| deleted.yields()).collect();
        let mut points = Vec::new();
        let mut all = Vec::new();
        for profile in self.profiles.iter().filter(|profile| profile.skipped.is_none()) {
            all.extend(profile.points.iter().map(|kept| (profile.id.clone(), kept.clone())));
        }
        all.sort_by_key(|(_, kept)| kept.point);
        let kept: Vec<Kept> = all.iter().map(|(_, kept)| kept.clone()).collect();
        for number in retention::space::yielding(&kept, missing) {
            points.extend(
                all.iter().find(|(_, kept)| kept.point == number).map(|(id, _)| (id.clone(), number)),
            );
        }
        (deleted, points)
    }

    /// Also of a profile that is in use.
    pub fn refused(&self) -> impl Iterator<Item = (&ProfileId, EntryNumber)> {
        self.profiles.iter().filter_map(|profile| Some((&profile.id, profile.refused?)))
    }

    pub fn is_skipping(&self) -> bool {
        self.profiles.iter().any(|profile| profile.skipped.is_some())
    }
}

pub fn look(session: &Session, only: Option<&ProfileId>, now: &str) -> Result<PoolPlan> {
    let rules = Rules::parse(&session.pool.settings()?)?;
    let wanted = |id: &ProfileId| only.is_none_or(|only| only == id);
    let ids = session.profiles()?.into_iter().filter(wanted);
    let profiles: Vec<ProfilePlan> = ids.map(|id| look_or_skip(session, &rules, id, now)).collect();
    let deleted: Vec<DeletedPlan> =
        look_deleted(session, &rules, now)?.into_iter().filter(|deleted| wanted(&deleted.id)).collect();
    match only {
        Some(id) if profiles.is_empty() && deleted.is_empty() => Err(Error::NoSuchProfile { id: id.clone() }),
        _ => {
            let mut plan = PoolPlan { profiles, deleted, room: room(session)?, rules };
            if retention::space::missing(&plan.rules, plan.room) > 0 {
                weigh(session, &mut plan);
            }
            Ok(plan)
        }
    }
}

/// What each point that may give way would free, once those before it went. Where that cannot be read,
/// the deletions themselves will tell.
fn weigh(session: &Session, plan: &mut PoolPlan) {
    let Ok(found) = space::measure(session) else { return };
    let space = Space::new(&found.holdings);
    let mut points: Vec<(&ProfileId, &mut Kept)> = Vec::new();
    for profile in plan.profiles.iter_mut().filter(|profile| profile.skipped.is_none()) {
        let (id, kept) = (&profile.id, profile.points.iter_mut());
        points.extend(kept.filter(|kept| kept.goes() || kept.yields()).map(|kept| (id, kept)));
    }
    points.sort_by_key(|(_, kept)| (!kept.goes(), kept.point));
    let (mut going, mut freed) = (Group::new(), 0);
    for (id, kept) in points {
        let dir = session.pool.layout.profile(id);
        let paths = [dir.point(kept.point).path().to_path_buf(), dir.point_state(kept.point)];
        going.extend(paths.iter().filter_map(|path| btrfs::subvolume_id(path).ok()));
        let together = space.freed_by(&going);
        kept.bytes = Some(together.saturating_sub(freed));
        freed = together;
    }
}

pub fn room(session: &Session) -> Result<Room> {
    let (total, free) = reserve::room(&session.pool.layout)?;
    Ok(Room { total, free })
}

/// A profile that cannot be looked at loses nothing.
fn look_or_skip(session: &Session, rules: &Rules, id: ProfileId, now: &str) -> ProfilePlan {
    look_at(session, rules, &id, now).unwrap_or_else(|error| ProfilePlan {
        id,
        skipped: Some(error.to_string()),
        points: Vec::new(),
        refused: None,
        entries: Vec::new(),
    })
}

pub fn look_at(session: &Session, rules: &Rules, id: &ProfileId, now: &str) -> Result<ProfilePlan> {
    let facts = undo_plan::look(session, Some(id.as_str()))?;
    let pins = session.describe(&facts.dir)?.pins;
    let pins: Vec<_> = pins.into_iter().map(|pin| (pin.point, pin.note)).collect();
    let points: Vec<Point> = facts
        .points
        .iter()
        .map(|number| look_at_point(session, &facts.dir, *number))
        .collect::<Result<_>>()?;
    let plan = retention::plan(&Facts {
        rules,
        profile: id,
        entries: &facts.entries,
        points: &points,
        pins: &pins,
        current: facts.current,
        in_use: facts.in_use,
        good: trial::read(&facts.dir).unwrap_or_default().good,
        now: time::seconds(now).unwrap_or(0),
    });
    Ok(ProfilePlan {
        id: id.clone(),
        skipped: why_not_now(session, &facts)?,
        points: plan,
        refused: refused::find(&facts.dir)?.map(|(number, _)| number),
        entries: facts.entries,
    })
}

fn look_at_point(session: &Session, dir: &ProfileDir, number: EntryNumber) -> Result<Point> {
    let point = dir.point(number);
    let mounted = guard::is_used(&session.pool, &point)?;
    Ok(Point { number, base: roots::base_of(&point).ok(), mounted, bytes: None })
}

/// Nothing of a profile goes while packages are installed in it, nor while it is run or mounted. A
/// booted profile is always in use: there only its package runs count.
fn why_not_now(session: &Session, facts: &ProfileFacts) -> Result<Option<String>> {
    if let Some(open) = facts.entries.iter().find(|entry| entry.is_open()) {
        return Ok(Some(format!("entry {} is open ({})", open.number, open.kind.name())));
    }
    let Some(root) = facts.in_use else { return Ok(None) };
    let booted = pool::booted()?.filter(|booted| {
        booted.mode == Mode::Boot && booted.profile == facts.id && booted.pool == session.pool.uuid
    });
    if booted.is_none() {
        return Ok(Some(format!("root {root} is in use by a run or a mount")));
    }
    let pid = locks::dpkg_at_work(Path::new("/"))?;
    Ok(pid.map(|pid| format!("apt or dpkg is at work in it (process {pid})")))
}

fn look_deleted(session: &Session, rules: &Rules, now: &str) -> Result<Vec<DeletedPlan>> {
    let times = pool_times(session, now)?;
    let mut found = Vec::new();
    for name in files::names(&session.pool.layout.profiles())? {
        let parts = name.to_str().and_then(|name| name.strip_prefix(".deleted-")?.rsplit_once('-'));
        let Some((Ok(id), Ok(entry))) = parts.map(|(id, n)| (id.parse::<ProfileId>(), n.parse())) else {
            continue;
        };
        let dir = session.pool.layout.deleted_profile(&id, entry);
        let deleted = Deleted {
            by: entry,
            pinned: session.describe(&dir).map(|profile| !profile.pins.is_empty()).unwrap_or(true),
            in_use: anything_in_use(session, &dir)?,
        };
        found.push(DeletedPlan { reasons: retention::plan_deleted(rules, &deleted, &times), id, entry });
    }
    found.sort_by_key(|deleted| deleted.entry);
    Ok(found)
}

/// Of all profiles and the pool together; a prune is no sign that time has gone by.
fn pool_times(session: &Session, now: &str) -> Result<Times> {
    let mut entries = session.journal.entries(None)?.entries;
    for id in session.journal.profiles()? {
        entries.extend(session.journal.entries(Some(&id))?.entries);
    }
    entries.retain(|entry| entry.kind != Kind::Prune);
    entries.sort_by_key(|entry| entry.number);
    Ok(Times::of(&entries, time::seconds(now).unwrap_or(0)))
}

fn anything_in_use(session: &Session, dir: &ProfileDir) -> Result<bool> {
    for number in roots::numbers(&dir.roots())? {
        if guard::is_used(&session.pool, &dir.root(number))? {
            return Ok(true);
        }
    }
    for number in roots::numbers(&dir.snapshots())? {
        if guard::is_used(&session.pool, &dir.point(number))? {
            return Ok(true);
        }
    }
    Ok(false)
}
