//! EFFECTS. One file per resource; each takes where it works and says what went wrong with its path.

pub mod account_files;
pub mod archives;
pub mod assemble;
pub mod background;
pub mod base;
pub mod btrfs;
pub mod changed;
pub mod deb;
pub mod detached;
pub mod device;
pub mod driver;
pub mod files;
pub mod guard;
pub mod health;
pub mod identity;
#[cfg(feature = "index")]
pub mod index;
pub mod journal;
pub mod locks;
pub mod manifest;
pub mod mountinfo;
pub mod pool;
pub mod profiles;
pub mod programs;
pub mod putback;
pub mod reserve;
pub mod roots;
pub mod sandbox;
pub mod space;
mod space_cache;
pub mod state;
pub mod template;
pub mod tree_search;
pub mod unprotected;
pub mod upper;
pub mod usage;
