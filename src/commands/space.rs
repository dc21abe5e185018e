//! `flipper-profile space [ID]`: what lies on the disk for whom, and what pruning would free.

use serde_json::{Value, json};

use crate::model::error::{Exit, Result};
use crate::model::{Entry, EntryNumber, ProfileId};
use crate::policy::space::{Sizes, Space};
use crate::system::files;
use crate::system::refused;
use crate::system::space::{Found, holdings};
use crate::system::usage::{Usage, usage};

use super::cli::Common;
use super::session::Session;
use super::space_parts::{Group, Parts, Pool};
use super::{now, prune_plan, report, undo_plan};

pub fn run(common: &Common, id: Option<&str>) -> Result<Exit> {
    let session = Session::to_read(common)?;
    match id {
        None => whole_pool(&session),
        Some(id) => one_profile(&session, id),
    }
}

/// Who holds what, as of now: what is in memory only has no place on the disk yet, so it is written
/// first. What a set of points frees: `Space::new(&found.holdings).freed_by(&ids)`.
pub fn measure(session: &Session) -> Result<Found> {
    let layout = &session.pool.layout;
    files::sync_file_system(layout.top())?;
    let mut bar = None;
    holdings(layout, session.pool.format.may_write(), |read, all| {
        if all > 0 {
            let bar = bar.get_or_insert_with(|| report::progress("reading subvolumes", all as u64));
            bar.set_position(read as u64);
            if read == all {
                bar.finish_and_clear();
            }
        }
    })
}

/// The page of the pool.
pub struct PoolSpace {
    pub usage: Usage,
    pub profiles: Vec<ProfileRow>,
    /// By version.
    pub bases: Vec<(String, Sizes)>,
    pub home: Sizes,
    /// Whatever is none of ours: other systems, other snapshots, plain files of the top level.
    pub elsewhere: Sizes,
    /// Data that no subvolume holds.
    pub unaccounted: u64,
    pub being_deleted: usize,
    /// Of the points of all profiles together.
    pub points: usize,
    pub freed_by_pruning: u64,
    /// What `flipper-profile prune` would let go now; None where the rules cannot be read.
    pub by_the_rules: Option<Pruned>,
}

/// Points, and the bytes they hold together and nobody else does.
#[derive(Clone, Copy)]
pub struct Pruned {
    pub points: usize,
    pub freed: u64,
}

pub struct ProfileRow {
    /// e.g. `lab`, `.deleted-lab-57`
    pub name: String,
    /// All its subvolumes together.
    pub sizes: Sizes,
    pub points: usize,
    pub freed_by_pruning: u64,
}

fn whole_pool(session: &Session) -> Result<Exit> {
    let pool = Pool::look(session)?;
    let found = measure(session)?;
    let mut page = pool_space(&pool, &found, usage(session.pool.layout.top())?);
    page.by_the_rules = by_the_rules(session, &found).ok();
    match session.common.json {
        true => report::json(&pool_value(session, &page)),
        false => report::space::pool(&session.pool.device, &page),
    }
    Ok(Exit::Done)
}

fn pool_space(pool: &Pool, found: &Found, usage: Usage) -> PoolSpace {
    let space = Space::new(&found.holdings);
    let profile = |(name, parts): &(String, Parts)| ProfileRow {
        name: name.clone(),
        sizes: space.of(&parts.all()),
        points: parts.points.len(),
        freed_by_pruning: space.freed_by(&parts.all_points()),
    };
    let profiles: Vec<ProfileRow> = pool.profiles.iter().map(profile).collect();
    PoolSpace {
        points: profiles.iter().map(|profile| profile.points).sum(),
        profiles,
        bases: pool.bases.iter().map(|(version, group)| (version.clone(), space.of(group))).collect(),
        home: space.of(&pool.home),
        elsewhere: space.of(&pool.elsewhere(found)),
        unaccounted: usage.data.used.saturating_sub(space.held()),
        being_deleted: found.being_deleted,
        freed_by_pruning: space.freed_by(&pool.all_points()),
        by_the_rules: None,
        usage,
    }
}

fn by_the_rules(session: &Session, found: &Found) -> Result<Pruned> {
    let plan = prune_plan::look(session, None, &now())?;
    let (mut points, mut group) = (0, Group::new());
    for (profile, going) in plan.going() {
        let parts = Parts::look(&session.pool.layout.profile(&profile.id))?;
        points += going.len();
        group.extend(going.iter().filter_map(|number| parts.points.get(number)).flatten());
    }
    Ok(Pruned { points, freed: Space::new(&found.holdings).freed_by(&group) })
}

/// In bytes.
fn pool_value(session: &Session, page: &PoolSpace) -> Value {
    let profiles = page.profiles.iter().map(|row| {
        let more = json!({"id": row.name, "points": row.points, "freed_by_pruning": row.freed_by_pruning});
        with_sizes(more, row.sizes)
    });
    let bases = page.bases.iter().map(|(version, sizes)| with_sizes(json!({"version": version}), *sizes));
    let Usage { total, free, data, metadata, unallocated, mixed } = page.usage;
    json!({
        "pool": session.pool.uuid, "device": session.pool.device, "total": total, "free": free,
        "data": {"used": data.used, "allocated": data.allocated},
        "metadata": {"used": metadata.used, "allocated": metadata.allocated},
        "unallocated": unallocated, "mixed": mixed,
        "profiles": profiles.collect::<Vec<_>>(), "bases": bases.collect::<Vec<_>>(),
        "home": with_sizes(json!({}), page.home), "elsewhere": with_sizes(json!({}), page.elsewhere),
        "unaccounted": page.unaccounted, "being_deleted": page.being_deleted,
        "points": page.points, "freed_by_pruning": page.freed_by_pruning,
        "prune_now": page.by_the_rules.map(|p| json!({"points": p.points, "freed": p.freed})),
    })
}

fn with_sizes(mut value: Value, sizes: Sizes) -> Value {
    value["unique"] = sizes.unique.into();
    value["shared"] = sizes.shared.into();
    value["total"] = sizes.total().into();
    value
}

/// The page of one profile.
pub struct ProfileSpace {
    pub id: ProfileId,
    pub current: EntryNumber,
    /// The root that a rebase refused.
    pub refused: Option<EntryNumber>,
    pub all: Sizes,
    /// Newest first, like the points.
    pub roots: Vec<(EntryNumber, Sizes)>,
    /// state/ and pristine/
    pub state: Sizes,
    pub points: Vec<PointRow>,
}

pub struct PointRow {
    pub number: EntryNumber,
    /// None when it cannot be read.
    pub entry: Option<Entry>,
    pub sizes: Sizes,
    /// When it goes together with everything older.
    pub freed_with_older: u64,
}

fn one_profile(session: &Session, id: &str) -> Result<Exit> {
    let facts = undo_plan::look(session, Some(id))?;
    let parts = Parts::look(&facts.dir)?;
    let found = measure(session)?;
    let space = Space::new(&found.holdings);
    let mut older = Group::new();
    let point = |(number, group): (&EntryNumber, &Group)| {
        older.extend(group);
        PointRow {
            number: *number,
            entry: facts.entries.iter().find(|entry| entry.number == *number).cloned(),
            sizes: space.of(group),
            freed_with_older: space.freed_by(&older),
        }
    };
    let mut points: Vec<PointRow> = parts.points.iter().map(point).collect();
    points.reverse();
    let page = ProfileSpace {
        all: space.of(&parts.all()),
        roots: parts.roots.iter().rev().map(|(number, group)| (*number, space.of(group))).collect(),
        state: space.of(&parts.others),
        id: facts.id,
        current: facts.current,
        refused: refused::find(&facts.dir)?.map(|(number, _)| number),
        points,
    };
    match session.common.json {
        true => report::json(&profile_value(&page)),
        false => report::space::profile(&page),
    }
    Ok(Exit::Done)
}

/// In bytes.
fn profile_value(page: &ProfileSpace) -> Value {
    let roots = page.roots.iter().map(|(number, sizes)| with_sizes(json!({"root": number}), *sizes));
    let points = page.points.iter().map(|point| {
        let more = json!({"point": point.number, "freed_with_older": point.freed_with_older});
        with_sizes(more, point.sizes)
    });
    let value = json!({
        "id": page.id, "roots": roots.collect::<Vec<_>>(), "points": points.collect::<Vec<_>>(),
        "state": with_sizes(json!({}), page.state),
    });
    with_sizes(value, page.all)
}
