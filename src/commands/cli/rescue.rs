//! What can be typed after `flipper-rescue`.

use clap::{Parser, Subcommand};

use super::Common;

/// Lists points and stages one, from btrfs alone: for a profile that is broken. Static, no SQLite.
#[derive(Parser, Debug)]
#[command(
    name = "flipper-rescue",
    version,
    after_help = "\
Examples:\n  flipper-rescue list\n  \
flipper-rescue stage lab last\n\n\
Exit status: 0 done, 1 attention, 2 refused and nothing changed, 3 could not, 64 usage."
)]
pub struct Rescue {
    #[command(subcommand)]
    pub verb: RescueVerb,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Subcommand, Debug)]
pub enum RescueVerb {
    /// List the profiles and their points, newest first
    #[command(after_help = "\
Examples:\n  flipper-rescue list\n  \
flipper-rescue list lab --pool /dev/mmcblk0p3")]
    List {
        /// Only this profile
        id: Option<String>,
    },
    /// Stage the state before an entry: the profile's next boot has it
    #[command(after_help = "\
Examples:\n  flipper-rescue stage lab last      take the last change back\n  \
flipper-rescue stage lab 57        return to the state before entry 57")]
    Stage {
        /// The profile
        id: String,
        /// The entry's number, or `last`
        entry: String,
    },
}
