//! flipper-profiles: rollback and profiles for a Debian device.

pub mod commands;
pub mod dpkg;
pub mod model;
pub mod policy;
pub mod system;
