//! What `flipper-profile check` finds, class by class: each is built from tiny packages by dpkg itself, on
//! real overlayfs, and so is a near miss that must not be reported. What is expected is always the whole
//! verdict, so every test is a near miss of all other classes too. Run as root: `cargo test --test check`.
//!
//! A test of class F1 is called `f1_found...` or `f1_near_miss...`; `table.rs` holds the names against
//! the classes that are said to be looked at.

#[path = "../rig/real_pair.rs"]
mod pair;
#[path = "../rig/mod.rs"]
mod rig;

mod accounts;
mod caches;
mod case;
mod conffile_oracle;
mod config;
mod config_records;
mod databases;
mod deb;
mod files;
mod identity;
mod marks;
mod mend;
mod packages;
mod procedure;
mod real;
mod relations;
mod table;
mod truth;
