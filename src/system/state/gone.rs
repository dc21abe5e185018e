//! What a package run took out of state/: the snapshot of it from before against what is there after.

use std::path::{Path, PathBuf};

use crate::model::difference::{NodeKind, What};
use crate::model::entry::Gone;
use crate::model::error::Result;
use crate::model::state_path::{ASIDE, BytePath};

use crate::system::changed::{self, State};

/// What comes and goes by itself: never missed.
const FLEETING: [&str; 4] = ["var/tmp", "var/lib/apt/lists", "var/cache/apt", ASIDE];

/// The topmost paths that are in `before` and not in `now`, sorted. What was renamed is not gone.
pub fn between(before: &Path, now: &Path) -> Result<Vec<Gone>> {
    let of = |state: &Path| State { subvolume: state.into(), upper: state.into(), base: None };
    let found = changed::between(&of(before), &of(now))?;
    let removed = found.changes.into_iter().filter(|change| change.what == What::Removed);
    let mut gone: Vec<Gone> = Vec::new();
    let mut last = PathBuf::new();
    for change in removed {
        let fleeting = FLEETING.iter().any(|place| change.path.starts_with(place));
        // In the order of the paths: what lies in a directory follows it.
        let below = !last.as_os_str().is_empty() && change.path.starts_with(&last);
        if fleeting || below || change.kind == NodeKind::Socket {
            continue;
        }
        last.clone_from(&change.path);
        gone.push(Gone { path: BytePath(change.path), directory: change.kind == NodeKind::Directory });
    }
    Ok(gone)
}
