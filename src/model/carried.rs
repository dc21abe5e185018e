//! What an undo does not take back: the ONE list of paths that the present state hands on to the
//! root an undo, redo or reset stages, and that therefore the proof ("the merged tree is back byte
//! for byte") leaves out. Part S adds `--keep` paths and reserved account lines to the same list.

/// Paths relative to the merged root. machine-id is the identity of the profile and stays with it;
/// the random seed must never be used twice.
pub const CARRIED: [&str; 2] = ["etc/machine-id", "var/lib/systemd/random-seed"];

/// What `run` lends a profile that has no name servers of its own: `/etc/resolv.conf` becomes a link
/// to this file on the run's tmpfs, and is taken away again afterwards, also out of a root staged
/// from a point that was taken during the run. Never a bind mount: resolvconf's postinst renames
/// over the file and fails on a mount point.
pub const LENT_RESOLV_CONF: &str = "/run/flipper/resolv.conf";
