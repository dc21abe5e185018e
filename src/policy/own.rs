//! Which of the changed files are the person's own: what an undo would take along without anybody having
//! asked a package for it.
//!
//! There is a point before each entry and none after it, so the states cannot tell a run's work from what
//! was done by hand later. btrfs can: it notes for each file the transaction of its last change, and the
//! closed entry is a file too.
//!
//! ```text
//!  transactions  ──57 point──[ the run writes ]──57.json──   by hand   ──58 point──[ run ]──58.json──  now
//!                            after ......... closed
//! ```
//! A file is a run's when its transaction lies within one. A file whose bytes were written back later than
//! the entry was closed shows a later transaction; then its time of change, set when it was written, lies
//! between the run's begin and end. In doubt it is the run's: a count that names what nobody made is not
//! read twice. Only within the tick of the clock (some milliseconds) in which the entry was closed it is the
//! person's: of a run, only our own program is left by then. What a run wrote over is looked for in the
//! points before later runs as well.

use std::path::Path;

use super::difference::{Place, Placed};
use crate::model::carried::is_carried;
use crate::model::difference::{NodeKind, What};
use crate::model::own::{Stamp, Window};

/// What programs write for themselves all the time: nobody would call it a file of theirs.
const BY_ITSELF: [&str; 26] = [
    "boot",
    "etc/.pwd.lock",
    "etc/.updated",
    "etc/adjtime",
    "etc/mtab",
    "etc/resolv.conf",
    "etc/subgid-",
    "etc/subuid-",
    "var/.updated",
    "var/backups",
    "var/lib/NetworkManager/NetworkManager-intern.conf",
    "var/lib/NetworkManager/NetworkManager.state",
    "var/lib/NetworkManager/seen-bssids",
    "var/lib/NetworkManager/timestamps",
    "var/lib/PackageKit",
    "var/lib/aptitude",
    "var/lib/command-not-found",
    "var/lib/dbus/machine-id",
    "var/lib/dhcp",
    "var/lib/flipper-profiles",
    "var/lib/logrotate",
    "var/lib/man-db",
    "var/lib/private/systemd",
    "var/lib/systemd",
    "var/lib/unattended-upgrades",
    "var/spool/anacron",
];

/// Accounts are no files: passwords are kept one by one.
pub const ACCOUNTS: [&str; 10] = [
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/gshadow",
    "etc/subuid",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subgid",
];

/// Could it be the person's own, by what it is? Who wrote it, its stamp tells.
pub fn may_be_own(placed: &Placed) -> bool {
    let path = placed.change.path.as_path();
    let is_there = placed.change.what != What::Removed; // an undo brings it back: nothing is lost
    let is_file =
        placed.change.kind != NodeKind::Directory || matches!(placed.change.what, What::Renamed { .. });
    let of_a_package = matches!(placed.place, Place::Package(_) | Place::Bookkeeping);
    let by_itself = BY_ITSELF.iter().any(|place| path.starts_with(place));
    let named = is_carried(path) || ACCOUNTS.iter().any(|other| path == Path::new(other));
    is_there && is_file && !of_a_package && !by_itself && !named
}

/// Was it written by hand, by this stamp?
pub fn by_hand(stamp: Stamp, since: u64, runs: &[Window]) -> bool {
    stamp.transaction > since && !runs.iter().any(|run| is_within(stamp, run))
}

fn is_within(stamp: Stamp, run: &Window) -> bool {
    let after = run.after.unwrap_or(0);
    if stamp.transaction <= after {
        return false;
    }
    let by_clock = run.began <= stamp.time && stamp.time < run.closed.time;
    match stamp.transaction.cmp(&run.closed.transaction) {
        std::cmp::Ordering::Less => true,
        // The person may have been quick: the same transaction goes on after the entry was closed.
        std::cmp::Ordering::Equal => stamp.time < run.closed.time,
        std::cmp::Ordering::Greater => by_clock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::difference::{Attributes, PathChange};

    const RUN: Window =
        Window { after: Some(100), began: 5_000, closed: Stamp { transaction: 110, time: 9_000 } };

    #[test]
    fn by_hand_is_what_lies_in_no_run() {
        let rows = [
            (90, 1_000, false, "older than the point"),
            (99, 4_000, true, "before the run"),
            (100, 4_900, true, "in the point already"),
            (101, 6_000, false, "in the run"),
            (105, 1, false, "in the run, whatever the clock says"),
            (110, 8_999, false, "written as the entry was closed"),
            (110, 9_000, true, "right after it, in the same tick of the clock"),
            (110, 9_001, true, "right after it, in the same transaction"),
            (111, 7_000, false, "written in the run, written back later"),
            (111, 9_001, true, "after it"),
            (111, 4_000, true, "the clock was set back"),
        ];
        for (transaction, time, expected, why) in rows {
            assert_eq!(by_hand(Stamp { transaction, time }, 95, &[RUN]), expected, "{why}");
        }
        let pruned = Window { after: None, ..RUN };
        assert!(!by_hand(Stamp { transaction: 99, time: 4_000 }, 95, &[pruned]), "in doubt it is the run's");
        assert!(by_hand(Stamp { transaction: 99, time: 4_000 }, 95, &[]));
    }

    #[test]
    fn what_may_be_own() {
        let file = |path: &str, place, what| Placed {
            place,
            change: PathChange { path: path.into(), kind: NodeKind::File, what },
        };
        let changed = || What::Changed { attributes: Attributes::default() };
        let own = [
            file("srv/mine", Place::Own, What::Added),
            file("etc/fstab", Place::Configuration, changed()),
            file("etc/nginx.conf", Place::Conffile("nginx".into()), changed()),
            file("usr/bin/ls", Place::Unchanged("coreutils".into()), changed()),
        ];
        let not = [
            file("usr/sbin/nginx", Place::Package("nginx".into()), changed()),
            file("var/lib/dpkg/status", Place::Bookkeeping, changed()),
            file("srv/mine", Place::Own, What::Removed),
            file("etc/machine-id", Place::Configuration, changed()),
            file("etc/shadow", Place::Configuration, changed()),
            file("var/lib/systemd/timers/x", Place::Own, What::Added),
        ];
        own.iter().for_each(|placed| assert!(may_be_own(placed), "{placed:?}"));
        not.iter().for_each(|placed| assert!(!may_be_own(placed), "{placed:?}"));
        let mut dir = file("srv/dir", Place::Own, What::Added);
        dir.change.kind = NodeKind::Directory;
        assert!(!may_be_own(&dir));
        dir.change.what = What::Renamed { from: "srv/old".into() };
        assert!(may_be_own(&dir), "what is in it is not listed again");
    }
}
