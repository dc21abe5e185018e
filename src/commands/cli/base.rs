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
flipper-base publish 13.2 13.2.stream.zst\n  \
flipper-base receive 13.2.stream.zst\n  \
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
    /// List the bases: how each came, what it takes, and who stands on it
    #[command(
        long_about = "\
List the bases. Current is what new profiles stand on, last good what mark-good named; every other one is a candidate. \
UNIQUE is freed when the base goes, TOTAL is all it holds, also what other bases share.",
        after_help = "\
Examples:\n  flipper-base list"
    )]
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
    /// Receive a base that was published, from a file or standard input
    #[command(
        long_about = "\
Receive a base that was published: a btrfs send stream, plain or compressed with zstd, whole or a delta to a base that \
is here. It is looked at before it has a name (a settled Debian root of this machine's architecture, without keys, \
machine-id and devices) and stays sealed, byte for byte. A stream that is cut or damaged leaves nothing. What \
arrives is a candidate: no profile moves to it by itself.",
        after_help = "\
Examples:\n  flipper-base receive 13.2.stream.zst\n  \
flipper-base receive delta.stream --base 13.3    called so, whatever it calls itself\n  \
flipper-base receive -    from standard input"
    )]
    Receive {
        /// The stream; - is standard input
        #[arg(value_name = "FILE")]
        stream: PathBuf,
        /// What the base will be called (default: as whoever published it called it, else IMAGE_VERSION of its os-release)
        #[arg(long, value_name = "V")]
        base: Option<String>,
    },
    /// Write a base as a stream that other devices receive
    #[command(
        long_about = "\
Write a base as a btrfs send stream, compressed with zstd where FILE ends in .zst. With --parent it is a delta: small, \
and of use only where that parent is. FILE is made aside and appears whole.",
        after_help = "\
Examples:\n  flipper-base publish 13.2 13.2.stream.zst\n  \
flipper-base publish 13.3 13.3-from-13.2.stream.zst --parent 13.2\n  \
flipper-base publish 13.2 -    to standard output"
    )]
    Publish {
        /// The base
        version: String,
        /// Where to; - is standard output
        file: PathBuf,
        /// Only what is different from this base
        #[arg(long, value_name = "V")]
        parent: Option<String>,
    },
    /// Say that a base has proved itself: what one falls back to, and prune never takes
    #[command(after_help = "\
Examples:\n  flipper-base mark-good         the current one\n  \
flipper-base mark-good 13.1")]
    MarkGood {
        /// The base (default: the current one)
        version: Option<String>,
    },
    Flip(super::Flip),
    Rollback(super::Rollback),
    /// Remove bases nothing stands on
    #[command(
        long_about = "\
Remove bases nothing stands on, after showing every base with every reason it is kept for. Kept are the current one, \
the last good one, what a root, a point or the pristine state of a profile stands on (also of a deleted profile, and \
points until flipper-profile prune lets go of them), and what is mounted. A candidate newer than the current base is \
kept too, because it was fetched to be flipped to; it goes when it is named.",
        after_help = "\
Examples:\n  flipper-base prune --dry-run    every base, and why it is kept\n  \
flipper-base prune\n  \
flipper-base prune 13.1         only this one"
    )]
    Prune {
        /// Only this base
        version: Option<String>,
        /// Say what would go and why the others are kept, and stop
        #[arg(long)]
        dry_run: bool,
    },
}
