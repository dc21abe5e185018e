//! Profiles as systemd finds them: a real Debian root with systemd, booted with systemd-nspawn from the
//! merged root of a profile; and the programs that make accounts on a Debian that has them all.
//!
//! Needs root. The first run fetches a Debian root; after that no network is used.

mod accounts;
#[path = "../rig/booted.rs"]
mod booted;
mod identity;
mod machine;
#[path = "../apt/repo.rs"]
mod repo;
#[path = "../apt/rig.rs"]
mod rig;
mod services;
#[path = "../apt/tree.rs"]
mod tree;
