//! Which subvolumes are what: the parts of a profile, of the pool, and what is none of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::model::error::Result;
use crate::model::layout::ProfileDir;
use crate::model::{EntryNumber, ProfileId};
use crate::system::space::Found;
use crate::system::{base, btrfs, files};

use super::session::Session;

/// Ids of subvolumes: what is asked about as one.
pub type Group = BTreeSet<u64>;

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
        let numbered = |place: &Path| -> Result<BTreeMap<EntryNumber, Group>> {
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

    pub fn all(&self) -> Group {
        let numbered = self.roots.values().chain(self.points.values()).flatten();
        numbered.chain(&self.others).copied().collect()
    }
}

/// Name and id of each subvolume right in a directory. One that goes meanwhile is left out.
fn subvolumes_in(dir: &Path) -> Result<Vec<(String, u64)>> {
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
pub struct Pool {
    /// e.g. `lab`, `.deleted-lab-57`
    pub profiles: Vec<(String, Parts)>,
    pub bases: Vec<(String, Group)>,
    pub home: Group,
}

impl Pool {
    pub fn look(session: &Session) -> Result<Pool> {
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

    pub fn all_points(&self) -> Group {
        self.profiles.iter().flat_map(|(_, parts)| parts.all_points()).collect()
    }

    /// What is none of ours: other systems and snapshots, and the plain files of the top level.
    pub fn elsewhere(&self, found: &Found) -> Group {
        let profiles = self.profiles.iter().flat_map(|(_, parts)| parts.all());
        let bases = self.bases.iter().flat_map(|(_, group)| group.iter().copied());
        let ours: Group = profiles.chain(bases).chain(self.home.iter().copied()).collect();
        found.holdings.subvolumes().map(|s| s.id).filter(|id| !ours.contains(id)).collect()
    }
}
