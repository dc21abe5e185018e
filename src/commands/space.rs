//! `flipper-profile space [ID]`: what lies on the disk for whom, and what pruning would free.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::model::error::{Exit, Result};
use crate::model::layout::ProfileDir;
use crate::model::{Entry, EntryNumber, ProfileId};
use crate::policy::space::{Sizes, Space};
use crate::system::space::{Found, holdings};
use crate::system::usage::{Usage, usage};
use crate::system::{base, btrfs, files};

use super::cli::Common;
use super::report::space::{size, size_cell, size_title};
use super::session::Session;
use super::{report, undo_list, undo_plan};

/// Ids of subvolumes: what is asked about as one.
pub type Group = BTreeSet<u64>;

pub fn run(common: &Common, id: Option<&str>) -> Result<Exit> {
    let session = Session::to_read(common)?;
    match id {
        None => whole_pool(&session),
        Some(id) => one_profile(&session, id),
    }
}

/// Who holds what, as of now: what is still in memory only is written first, it has no place before.
pub fn measure(session: &Session) -> Result<Found> {
    let layout = &session.pool.layout;
    files::sync_file_system(layout.top())?;
    let mut bar = None;
    holdings(layout, session.pool.format.may_write(), |read, all| {
        let bar = bar.get_or_insert_with(|| report::progress("reading subvolumes", all as u64));
        bar.set_position(read as u64);
        if read == all {
            bar.finish_and_clear();
        }
    })
}

/// The subvolumes of one profile, by what they are for it.
pub struct Parts {
    pub roots: BTreeMap<EntryNumber, Group>,
    /// A point is its snapshot and, where one was taken, that of state/ beside it.
    pub points: BTreeMap<EntryNumber, Group>,
    /// state/ and pristine/
    pub others: Group,
}

impl Parts {
    pub fn look(dir: &ProfileDir) -> Result<Parts> {
        let numbered = |place: &std::path::Path| -> Result<BTreeMap<EntryNumber, Group>> {
            let mut parts: BTreeMap<EntryNumber, Group> = BTreeMap::new();
            for (name, id) in subvolumes_in(place)? {
                if let Ok(number) = name.split('.').next().unwrap_or_default().parse() {
                    parts.entry(number).or_default().insert(id);
                }
            }
            Ok(parts)
        };
        Ok(Parts {
            roots: numbered(&dir.roots())?,
            points: numbered(&dir.snapshots())?,
            others: subvolumes_in(dir.path())?.into_iter().map(|(_, id)| id).collect(),
        })
    }

    pub fn all_points(&self) -> Group {
        self.points.values().flatten().copied().collect()
    }

    fn all(&self) -> Group {
        let numbered = self.roots.values().chain(self.points.values()).flatten();
        numbered.chain(&self.others).copied().collect()
    }
}

/// Name and id of each subvolume right in a directory. One that goes meanwhile is left out.
fn subvolumes_in(dir: &std::path::Path) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for name in files::names(dir)? {
        let path = dir.join(&name);
        if btrfs::is_subvolume(&path) {
            match btrfs::subvolume_id(&path) {
                Err(_) if path.symlink_metadata().is_err() => {}
                id => found.push((name.to_string_lossy().into_owned(), id?)),
            }
        }
    }
    Ok(found)
}

/// Everything that has a row on the page of the pool.
struct Pool {
    /// e.g. `lab`, `.deleted-lab-57`
    profiles: Vec<(String, Parts)>,
    bases: Vec<(String, Group)>,
    home: Group,
}

impl Pool {
    fn look(session: &Session) -> Result<Pool> {
        let layout = &session.pool.layout;
        let mut profiles = Vec::new();
        for name in files::names(&layout.profiles())? {
            let dir = ProfileDir::at(layout.profiles().join(&name));
            let name = name.to_string_lossy().into_owned();
            if dir.roots().is_dir() && (name.parse::<ProfileId>().is_ok() || name.starts_with(".deleted-")) {
                profiles.push((name, Parts::look(&dir)?));
            }
        }
        // Deleted ones, which begin with a dot, last.
        profiles.sort_by(|(a, _), (b, _)| (a.starts_with('.'), a).cmp(&(b.starts_with('.'), b)));
        let mut bases = Vec::new();
        for version in base::versions(layout)? {
            bases.push((version.to_string(), Group::from([btrfs::subvolume_id(&layout.base(&version))?])));
        }
        let home = subvolumes_in(&layout.data())?.into_iter().map(|(_, id)| id).collect();
        Ok(Pool { profiles, bases, home })
    }

    fn all_points(&self) -> Group {
        self.profiles.iter().flat_map(|(_, parts)| parts.all_points()).collect()
    }

    /// What is none of ours: other systems and snapshots, and the plain files of the top level.
    fn elsewhere(&self, found: &Found) -> Group {
        let profiles = self.profiles.iter().flat_map(|(_, parts)| parts.all());
        let bases = self.bases.iter().flat_map(|(_, group)| group.iter().copied());
        let ours: Group = profiles.chain(bases).chain(self.home.iter().copied()).collect();
        found.holdings.subvolumes().map(|s| s.id).filter(|id| !ours.contains(id)).collect()
    }
}

fn whole_pool(session: &Session) -> Result<Exit> {
    let pool = Pool::look(session)?;
    let found = measure(session)?;
    let usage = usage(session.pool.layout.top())?;
    let space = Space::new(&found.holdings);
    // What the trees of ours and others do not hold: subvolumes in deletion, the file system's own.
    let rest = usage.data.used.saturating_sub(space.held());
    match session.common.json {
        true => report::json(&pool_value(session, &pool, &found, &usage, &space, rest)),
        false => pool_page(session, &pool, &found, &usage, &space, rest),
    }
    Ok(Exit::Done)
}

fn pool_value(s: &Session, pool: &Pool, found: &Found, usage: &Usage, space: &Space<'_>, rest: u64) -> Value {
    let profile = |(name, parts): &(String, Parts)| {
        let mut value = sizes_value(space.of(&parts.all()));
        value["id"] = name.as_str().into();
        value["points"] = parts.points.len().into();
        value["freed_by_pruning"] = space.freed_by(&parts.all_points()).into();
        value
    };
    let base = |(version, group): &(String, Group)| {
        let mut value = sizes_value(space.of(group));
        value["version"] = version.as_str().into();
        value
    };
    json!({
        "pool": s.pool.uuid, "device": s.pool.device, "total": usage.total, "free": usage.free,
        "data": {"used": usage.data.used, "allocated": usage.data.allocated},
        "metadata": {"used": usage.metadata.used, "allocated": usage.metadata.allocated},
        "unallocated": usage.unallocated, "mixed": usage.mixed,
        "profiles": pool.profiles.iter().map(profile).collect::<Vec<_>>(),
        "bases": pool.bases.iter().map(base).collect::<Vec<_>>(),
        "home": sizes_value(space.of(&pool.home)),
        "elsewhere": sizes_value(space.of(&pool.elsewhere(found))),
        "unaccounted": rest, "being_deleted": found.being_deleted,
        "freed_by_pruning": space.freed_by(&pool.all_points()),
    })
}

fn sizes_value(sizes: Sizes) -> Value {
    json!({"unique": sizes.unique, "shared": sizes.shared, "total": sizes.total()})
}

fn pool_page(s: &Session, pool: &Pool, found: &Found, usage: &Usage, space: &Space<'_>, rest: u64) {
    let device = s.pool.device.display();
    report::line(format_args!("pool on {device}: {} of {} free", size(usage.free), size(usage.total)));
    let line = |what: &str, of: crate::system::usage::Allocated, more: &str| {
        let (used, allocated) = (size(of.used), size(of.allocated));
        report::line(format_args!("  {what}: {used} used of {allocated} allocated{more}"));
    };
    line("data", usage.data, if usage.mixed { ", metadata included" } else { "" });
    if !usage.mixed {
        line("metadata (names, small files; not counted below)", usage.metadata, "");
    }
    report::line(format_args!("  not allocated yet: {}\n", size(usage.unallocated)));

    let titles = ["UNIQUE", "SHARED", "TOTAL"].map(size_title);
    let head = |what: &str| [vec![what.to_owned()], titles.to_vec()].concat();
    let mut rows = vec![[head("PROFILE"), vec![size_title("IF PRUNED"), "POINTS".into()]].concat()];
    for (name, parts) in &pool.profiles {
        let freed = size_cell(space.freed_by(&parts.all_points()));
        rows.push([row(name, space.of(&parts.all())), vec![freed, parts.points.len().to_string()]].concat());
    }
    rows.push(head("BASE"));
    rows.extend(pool.bases.iter().map(|(version, group)| row(version, space.of(group))));
    rows.push(head("OTHER"));
    rows.push(row("home", space.of(&pool.home)));
    rows.push(row("elsewhere", space.of(&pool.elsewhere(found))));
    if rest > 0 && !usage.mixed {
        rows.push(vec!["unaccounted".to_owned(), size_cell(rest)]);
    }
    report::table(&rows);
    report::line(
        "\nunique is freed when it goes, shared is held by something else too; data on disk, compressed",
    );
    if found.being_deleted > 0 {
        let many = report::count(found.being_deleted, "subvolume is", "subvolumes are");
        report::line(format_args!("{many} being deleted; what only they held is unaccounted until then"));
    }
    let freed = size(space.freed_by(&pool.all_points()));
    let points = report::count(pool.profiles.iter().map(|(_, p)| p.points.len()).sum(), "point", "points");
    report::line(format_args!("pruning all {points} would free {freed}"));
}

fn row(name: &str, sizes: Sizes) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    row.extend([sizes.unique, sizes.shared, sizes.total()].map(size_cell));
    row
}

fn one_profile(session: &Session, id: &str) -> Result<Exit> {
    let facts = undo_plan::look(session, Some(id))?;
    let parts = Parts::look(&facts.dir)?;
    let found = measure(session)?;
    let space = Space::new(&found.holdings);
    // Each point with what goes when it and everything older is pruned.
    let mut older = Group::new();
    let mut points: Vec<(EntryNumber, Sizes, u64)> = Vec::new();
    for (number, group) in &parts.points {
        older.extend(group);
        points.push((*number, space.of(group), space.freed_by(&older)));
    }
    points.reverse();
    let all = space.of(&parts.all());
    if session.common.json {
        let mut value = sizes_value(all);
        value["id"] = facts.id.as_str().into();
        let numbered = |number: EntryNumber, sizes: Sizes| {
            let mut value = sizes_value(sizes);
            value["number"] = number.get().into();
            value
        };
        let point = |(number, sizes, freed): &(EntryNumber, Sizes, u64)| {
            let mut value = numbered(*number, *sizes);
            value["freed_with_older"] = (*freed).into();
            value
        };
        value["points"] = points.iter().map(point).collect();
        value["roots"] = parts.roots.iter().map(|(n, group)| numbered(*n, space.of(group))).collect();
        value["state"] = sizes_value(space.of(&parts.others));
        report::json(&value);
        return Ok(Exit::Done);
    }
    let (unique, shared) = (size(all.unique), size(all.shared));
    report::line(format_args!("profile {}: {unique} unique, {shared} shared\n", facts.id));
    let mut rows =
        vec![[vec![String::new()], ["UNIQUE", "SHARED", "TOTAL"].map(size_title).to_vec()].concat()];
    for (number, group) in parts.roots.iter().rev() {
        let mark = if *number == facts.current { " (current)" } else { "" };
        rows.push(row(&format!("root {number}{mark}"), space.of(group)));
    }
    rows.push(row("state", space.of(&parts.others)));
    report::table(&rows);
    if !points.is_empty() {
        report::line("");
        report::table(&point_rows(&points, &facts.entries));
        report::line(
            "\nunique: freed when this point alone is pruned; with older: when everything older goes too",
        );
    }
    Ok(Exit::Done)
}

fn point_rows(points: &[(EntryNumber, Sizes, u64)], entries: &[Entry]) -> Vec<Vec<String>> {
    let mut rows = vec![["UNIQUE", "WITH OLDER", "TOTAL"].map(size_title).to_vec()];
    rows[0].push("THE STATE BEFORE".into());
    for (number, sizes, freed) in points {
        let entry = entries.iter().find(|entry| entry.number == *number);
        let mut row = [sizes.unique, *freed, sizes.total()].map(size_cell).to_vec();
        row.push(entry.map_or(number.to_string(), undo_list::entry_line));
        rows.push(row);
    }
    rows
}
