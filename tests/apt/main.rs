//! Real apt and real dpkg in a real Debian root in a real pool, with our package installed in it: each
//! run has the entry and the point it should, undo returns to the very tree before it, and redo to the
//! very tree that was left.
//!
//! Needs root. The first run fetches a Debian root and what our package depends on; after that no
//! network is used.

mod accounts;
mod before_boot;
mod bookworm;
mod changes;
mod cut;
mod endings;
mod fields;
mod foreign;
mod frontends;
mod own;
mod refusing;
mod repo;
mod rig;
mod state;
mod told;
mod tree;
mod undoing;
