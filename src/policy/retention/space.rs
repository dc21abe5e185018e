//! Short of room: how much is missing, what goes for it, and when to stop. What points free is read from
//! the extent trees before (no quota groups: they freeze machines), and measured by statfs after each
//! deletion, because the file system goes on being used and may not have been readable.

use super::{Kept, Rules};
use crate::model::EntryNumber;

/// Bytes of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub total: u64,
    /// What an ordinary program may still write (statfs).
    pub free: u64,
}

/// What is missing to the share that `keep_free` wants free.
pub fn missing(rules: &Rules, room: Room) -> u64 {
    let wanted = u128::from(room.total) * u128::from(rules.free) / 100;
    (wanted as u64).saturating_sub(room.free)
}

/// The points that give way, oldest first, until what is known of their sizes adds up to the missing.
/// None at all when together they would not free a tenth of it: then points are not what fills it.
pub fn yielding(plan: &[Kept], missing: u64) -> Vec<EntryNumber> {
    let all = || plan.iter().filter(|kept| kept.yields());
    let together: Option<u64> = all().map(|kept| kept.bytes).sum();
    if together.is_some_and(|bytes| bytes < missing / 10) {
        return Vec::new();
    }
    let mut found = 0;
    let mut enough = |kept: &&Kept| {
        let go_on = found < missing;
        found += kept.bytes.unwrap_or(0);
        go_on
    };
    all().take_while(|kept| enough(kept)).map(|kept| kept.point).collect()
}

/// Enough has gone to see whether points are what fills the file system.
const A_FAIR_TRY: usize = 3;

/// Whether deleting more is worth it. Where the owner's own files fill the disk, a history given up
/// for nothing would be lost for nothing: after a few deletions they must have brought a tenth of what
/// is missing.
pub fn worth_going_on(missing_before: u64, missing_now: u64, deleted: usize) -> bool {
    let freed = missing_before.saturating_sub(missing_now);
    missing_now > 0 && (deleted < A_FAIR_TRY || freed >= missing_before / 10)
}
