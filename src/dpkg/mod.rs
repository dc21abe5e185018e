//! DEBIAN FORMATS. Bytes in, data out: no files are opened here and nothing of ours is imported, so
//! everything can be tested against dpkg and apt themselves (tests/property.rs).

pub mod account_file;
pub mod accounts;
pub mod alternatives;
pub mod architectures;
pub mod command_line;
pub mod conffile_list;
pub mod conffiles;
pub mod deb822;
pub mod debconf;
pub mod diversions;
pub mod enablement;
pub mod error;
pub mod extended_states;
pub mod file_list;
pub mod filters;
pub mod hook_stream;
pub mod info_file;
mod lines;
pub mod md5sums;
pub mod package_list;
pub mod preferences;
pub mod relations;
pub mod shadow;
pub mod sources;
mod stanzas;
pub mod statoverride;
pub mod status;
pub mod triggers;
pub mod ucf;
pub mod verify;
pub mod version;
pub mod words;

pub use error::ParseError;
pub use extended_states::ExtendedStates;
pub use hook_stream::HookStream;
pub use status::Status;
