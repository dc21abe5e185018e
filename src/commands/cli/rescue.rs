//! What can be typed after `flipper-rescue`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// Assemble a profile at a directory, for a machine that is about to start from it
    #[command(
        long_about = "\
Assembles a profile at a directory, with its home and state, and writes /run/flipper/booted. The initramfs \
calls it; nothing else should. A root whose programs cannot be started is not handed over: its last change is \
taken back (which is an entry, and can be taken back too), and then the next, until one starts.",
        after_help = "\
Examples:\n  flipper-rescue --pool /dev/mmcblk0p3 assemble --at /root\n  \
flipper-rescue --pool /dev/mmcblk0p3 assemble lab --at /root --root 41"
    )]
    Assemble(Assemble),
}

#[derive(Args, Debug)]
pub struct Assemble {
    /// The profile (default: the pool's default, or the only one there is)
    pub id: Option<String>,
    /// An existing directory: what is to become /
    #[arg(long, value_name = "DIR")]
    pub at: PathBuf,
    /// This root instead of the one `current` names, for this start only
    #[arg(long, value_name = "N")]
    pub root: Option<String>,
    /// First go back to the state before this entry, or `last`
    #[arg(long, value_name = "ENTRY")]
    pub undo: Option<String>,
    /// This start is not one of the tries of a state that has not come up yet
    #[arg(long)]
    pub no_trial: bool,
    /// Start the machine again, once, where the root needs another kernel than the one that runs
    #[arg(long)]
    pub may_restart: bool,
    /// The loader has given its kernel up: the state that came up last, if it is another
    #[arg(long)]
    pub fallback: bool,
    /// What is to be started in it
    #[arg(long, value_name = "PATH", default_value = "/sbin/init")]
    pub init: PathBuf,
}
