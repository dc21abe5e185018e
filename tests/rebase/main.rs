//! `flipper-profile rebase` on real Debian roots: a changed profile stands on another base, proved, and can
//! go back. Needs root and the archive that this machine's apt uses.

#[allow(dead_code)]
#[path = "../check/case.rs"]
mod case;
#[path = "../check/deb.rs"]
mod deb;
#[path = "../long/mod.rs"]
mod long;
#[path = "../rig/real_pair.rs"]
mod pair;
#[path = "../rig/mod.rs"]
mod rig;

mod alike;
#[path = "../rig/booted.rs"]
mod booted;
mod brought;
mod carried;
mod decided;
mod flip;
mod merged;
mod real;
mod refused;
mod state;
