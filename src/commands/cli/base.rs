//! What can be typed after `flipper-base`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::Common;

/// Bases: the read-only Debian roots profiles stand on.
#[derive(Parser, Debug)]
#[command(
    name = "flipper-base",
    version,
    after_help = "\
Examples:\n  flipper-base import trixie.tar --version 13.2 --clean\n  \
flipper-base list\n  flipper-base flip 13.2\n\n\
Exit status: 0 done, 1 attention, 2 refused and nothing changed, 3 could not, 64 usage."
)]
pub struct BaseProgram {
    #[command(subcommand)]
    pub verb: BaseVerb,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Subcommand, Debug)]
pub enum BaseVerb {
    /// List the bases and who stands on them
    #[command(after_help = "\
Examples:\n  flipper-base list")]
    List,
    /// Make a base from a Debian root: a directory or a tarball (mmdebstrap's output)
    #[command(after_help = "\
Examples:\n  flipper-base import trixie.tar --version 13.2 --clean      what mmdebstrap made\n  \
flipper-base import /srv/root --version 13.2-mine")]
    Import {
        /// A directory, or a tarball
        source: PathBuf,
        /// What the base will be called, e.g. 13.2
        #[arg(long, value_name = "V")]
        version: String,
        /// Take machine-id, host keys, lists, logs and the like out without asking
        #[arg(long, conflicts_with = "no_clean")]
        clean: bool,
        /// Import it as it is
        #[arg(long)]
        no_clean: bool,
    },
    Flip(super::Flip),
    Rollback(super::Rollback),
    /// Remove a base nothing stands on
    #[command(after_help = "\
Examples:\n  flipper-base prune 13.1")]
    Prune {
        /// The base
        version: String,
    },
}
