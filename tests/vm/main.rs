//! A machine that starts from a profile: QEMU, a real kernel and initrd, systemd. `--all` also what each
//! fault alone does, and Debian 12.
//!
//! Needs root and qemu-system-x86_64. The first run fetches a Debian root; after that no network is used.

mod broken;
#[path = "../long/mod.rs"]
mod long;
mod machine;
mod packages;
#[path = "../apt/repo.rs"]
mod repo;
#[path = "../apt/rig.rs"]
mod rig;
mod starts;
#[path = "../apt/tree.rs"]
mod tree;
mod typed;
