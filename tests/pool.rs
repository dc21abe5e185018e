//! What a pool promises, on real btrfs and real overlayfs: one test a promise. Run as root:
//! `cargo test --test pool`. Each test has a pool of its own (tests/rig).

mod long;
mod rig;

#[path = "pool/accounts.rs"]
mod accounts;
#[path = "pool/assemble.rs"]
mod assemble;
#[path = "pool/bases.rs"]
mod bases;
#[path = "pool/boot_files.rs"]
mod boot_files;
#[path = "pool/builtin.rs"]
mod builtin;
#[path = "pool/bytes.rs"]
mod bytes;
#[path = "pool/damage.rs"]
mod damage;
#[path = "pool/formats.rs"]
mod formats;
#[path = "pool/full_disk.rs"]
mod full_disk;
#[path = "pool/guards.rs"]
mod guards;
#[path = "pool/identity.rs"]
mod identity;
#[path = "pool/init.rs"]
mod init;
#[path = "pool/journal.rs"]
mod journal;
#[path = "pool/keep.rs"]
mod keep;
#[path = "pool/profiles.rs"]
mod profiles;
#[path = "pool/receive/mod.rs"]
mod receive;
#[path = "pool/recover.rs"]
mod recover;
#[path = "pool/repair.rs"]
mod repair;
#[path = "pool/repair_in_use.rs"]
mod repair_in_use;
#[path = "pool/reset.rs"]
mod reset;
#[path = "pool/retention/mod.rs"]
mod retention;
#[path = "pool/runs.rs"]
mod runs;
#[path = "pool/save.rs"]
mod save;
#[path = "pool/share.rs"]
mod share;
#[path = "pool/space.rs"]
mod space;
#[path = "pool/state/mod.rs"]
mod state;
#[path = "pool/sweep.rs"]
mod sweep;
#[path = "pool/trial.rs"]
mod trial;
#[path = "pool/undo.rs"]
mod undo;
#[path = "pool/verify/mod.rs"]
mod verify;
