//! `flipper-profile rebase` on real Debian roots: a changed profile stands on another base, proved, and can
//! go back. Needs root and the archive that this machine's apt uses.

#[path = "../long/mod.rs"]
mod long;
#[path = "../rig/real_pair.rs"]
mod pair;
#[path = "../rig/mod.rs"]
mod rig;

mod alike;
mod flip;
mod real;
mod refused;
