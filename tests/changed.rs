//! What is different between two states, asked of btrfs by us, held against a walk over both trees and
//! against `btrfs send`: random edits on a real btrfs, on one line and between siblings; the same through
//! a real overlay; and what a person is shown. Run as root: `cargo test --test changed`.

#[path = "long/mod.rs"]
mod long;
mod rig;

#[path = "changed/edits.rs"]
mod edits;
#[path = "changed/oracle.rs"]
mod oracle;
#[path = "changed/random.rs"]
mod random;
#[path = "changed/send.rs"]
mod send;
#[path = "changed/shown.rs"]
mod shown;
