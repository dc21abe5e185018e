//! The device below the pool: errors it has counted, and how much room is left.

use crate::system::health;
use crate::system::usage::usage;

use super::Findings;
use crate::commands::session::Session;

/// A point costs metadata; below this much, or this share of it, changes begin to fail.
const LEAST_METADATA: u64 = 24 << 20;
const LEAST_DATA: u64 = 64 << 20;
const LEAST_SHARE: u64 = 20;

/// What cannot be asked is no finding: an older kernel, a device that is gone from under a mirror.
pub fn check(session: &Session, findings: &mut Findings) {
    let top = session.pool.layout.top();
    for device in health::devices(top).unwrap_or_default() {
        let counted: Vec<String> =
            device.errors.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
        if !counted.is_empty() {
            let remedy = "save what matters; then btrfs scrub start on the pool, and smartctl on the device";
            findings.add(
                "device",
                device.path.display(),
                format!("it has counted {}", counted.join(", ")),
                remedy,
            );
        }
    }
    let Ok(usage) = usage(top) else { return };
    for (kind, room, least) in
        [("data", usage.room_for_data(), LEAST_DATA), ("metadata", usage.room_for_metadata(), LEAST_METADATA)]
    {
        if room.free < least.min(room.size / LEAST_SHARE) {
            let what = format!("{} MiB left for {kind}: changes will fail soon", room.free >> 20);
            let remedy = "flipper-profile prune lets points go; else profiles or bases nobody needs, or what lies in /home";
            findings.add("space", session.pool.device.display(), what, remedy);
        }
    }
}
