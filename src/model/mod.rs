//! WORDS. The names of things, and what may be said about them. No input or output happens here, so
//! every other room may use it.

pub mod boot;
pub mod booted;
pub mod builtin;
pub mod carried;
pub mod config;
pub mod difference;
pub mod edit;
pub mod elf;
pub mod entry;
pub mod error;
pub mod flip;
pub mod holdings;
pub mod id;
pub mod identity;
pub mod kept;
pub mod kernel;
pub mod layout;
pub mod ledger;
pub mod numbers;
pub mod own;
pub mod profile;
pub mod reserved;
pub mod send_stream;
pub mod state_change;
pub mod state_path;
pub mod tree;
pub mod trial;
pub mod words;

pub use entry::{Entry, Kind, State};
pub use error::{Error, Result};
pub use id::{BaseVersion, EntryNumber, ProfileId};
pub use layout::Layout;
