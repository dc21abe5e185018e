//! What can be typed: the argv of every program, as clap reads it. Only text here; the verbs parse it
//! into ids, versions and numbers. build.rs includes this file too, for man pages and completions,
//! so it uses nothing of ours.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

// With paths, because build.rs reads this file from where it stands.
#[path = "cli/base.rs"]
mod base;
#[path = "cli/boot.rs"]
mod boot;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/flip.rs"]
mod flip;
#[path = "cli/rebase.rs"]
mod rebase;
#[path = "cli/rescue.rs"]
mod rescue;
#[path = "cli/reset.rs"]
mod reset;
#[path = "cli/set.rs"]
mod set;
#[path = "cli/share.rs"]
mod share;
#[path = "cli/state.rs"]
mod state;
#[path = "cli/undo.rs"]
mod undo;

pub use base::*;
pub use boot::*;
pub use check::*;
pub use flip::*;
pub use rebase::*;
pub use rescue::*;
pub use reset::*;
pub use set::*;
pub use share::*;
pub use state::*;
pub use undo::*;

/// What every program understands.
#[derive(Args, Debug, Clone, Default)]
pub struct Common {
    /// The pool: a block device, an image file or a file system UUID (default: the booted one, else the btrfs below /)
    #[arg(long, value_name = "DEV", global = true, env = "FLIPPER_POOL")]
    pub pool: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Ask nothing
    #[arg(long, short, global = true)]
    pub yes: bool,
}

/// Profiles: whole states of this machine, side by side over one base.
#[derive(Parser, Debug)]
#[command(
    name = "flipper-profile",
    version,
    after_help = "\
Examples:\n  flipper-profile init --image pool.img --size 8G\n  \
flipper-base --pool pool.img import trixie.tar --version 13.2 --clean\n  \
flipper-profile --pool pool.img create lab\n  \
flipper-profile --pool pool.img run lab\n\n\
Exit status: 0 done, 1 attention, 2 refused and nothing changed, 3 could not, 64 usage."
)]
pub struct ProfileProgram {
    #[command(subcommand)]
    pub verb: ProfileVerb,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Subcommand, Debug)]
pub enum ProfileVerb {
    /// Prepare a pool: on the btrfs below /, on a block device, or in an image file
    #[command(after_help = "\
Examples:\n  flipper-profile init --image pool.img --size 8G      try it: a pool in a file\n  \
flipper-profile init                                 on the btrfs below /\n  \
flipper-profile init /dev/mmcblk0p3                  on a device of its own")]
    Init(Init),
    /// Say what is protected, what waits, and the one next command
    ///
    /// Package runs that were cut or failed are told until a run ends well (the repair does) or an undo
    /// takes them out of the line; runs without a point until one with a point follows. A login tells of
    /// those that were cut and those without a point. Exit status 1 when there is something to be told.
    #[command(after_help = "\
Examples:\n  flipper-profile status\n  flipper-profile status --json     profiles[].unsettled, profiles[].unprotected")]
    Status,
    /// Look the pool over: format, roots, points, bases, entries, index, locks, device and space
    ///
    /// Mends nothing. Each finding names its check, what it is about and what is wrong; the line below
    /// it says what to do. Exit status 0: nothing found. 1: something was. 3: it could not look. Some
    /// files of each base are held against its manifest, with --deep all of them.
    #[command(after_help = "\
Examples:\n  flipper-profile verify\n  \
flipper-profile verify --deep      every file of every base is read, which takes minutes\n  \
flipper-profile verify --json      one object a finding: check, of, what, remedy")]
    Verify {
        /// Read every file of every base and hold it against the manifest
        #[arg(long)]
        deep: bool,
    },
    /// List the profiles
    #[command(after_help = "\
Examples:\n  flipper-profile list\n  \
flipper-profile list --format columns      what the device's screen reads")]
    List {
        /// `columns` keeps the shape the device's screen reads
        #[arg(long, value_parser = ["text", "columns"], default_value = "text")]
        format: String,
    },
    /// Show one profile: its base, its root, its settings, and who it is to others
    #[command(after_help = "\
Examples:\n  flipper-profile show lab")]
    Show {
        /// The profile
        id: String,
    },
    /// Make a profile on a base
    #[command(after_help = "\
Examples:\n  flipper-profile create lab\n  \
flipper-profile create router --name \"My router\" --base 13.2 --note \"for the holidays\"")]
    Create {
        /// Its id, for ever: 1 to 32 of a-z, 0-9 and -
        id: String,
        /// What people call it (default: the id)
        #[arg(long)]
        name: Option<String>,
        /// The base it stands on (default: the current one)
        #[arg(long, value_name = "VERSION")]
        base: Option<String>,
        /// A few words about it
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Make a profile from another, or from a point of it (ID@N)
    #[command(after_help = "\
Examples:\n  flipper-profile clone lab lab2         as it is now\n  \
flipper-profile clone lab@57 lab3      as it was before entry 57")]
    Clone {
        /// ID, or ID@N: the state before entry N
        from: String,
        /// The id of the new profile
        new: String,
        /// What people call it (default: the id)
        #[arg(long)]
        name: Option<String>,
        /// A few words about it
        #[arg(long, default_value = "")]
        note: String,
    },
    Set(Set),
    /// Change the name people see (the id never changes)
    #[command(after_help = "\
Examples:\n  flipper-profile rename lab \"My laboratory\"")]
    Rename {
        /// The profile
        id: String,
        /// What people will call it
        name: String,
    },
    /// Delete a profile; flipper-undo --profile ID brings it back until it is pruned
    #[command(after_help = "\
Examples:\n  flipper-profile delete lab\n  \
flipper-undo --profile lab      brings it back")]
    Delete {
        /// The profile
        id: String,
    },
    Check(Check),
    Rebase(Rebase),
    Repair(Repair),
    Reset(Reset),
    InstallBuiltin(InstallBuiltin),
    Share(Share),
    Unshare(Unshare),
    /// Show or choose the profile that is used when none is named
    #[command(after_help = "\
Examples:\n  flipper-profile default          say which it is\n  \
flipper-profile default lab      choose it")]
    Default {
        /// The profile to choose; without it, the present one is shown
        id: Option<String>,
    },
    BootMethod(BootMethod),
    /// Choose the profile of the next start only
    ///
    /// Refused where the loader cannot write to the boot directory: the choice would stay for ever.
    #[command(after_help = "\
Examples:\n  flipper-profile boot router --once      the start after that is the default again")]
    Boot {
        /// The profile
        id: String,
        /// For the next start only
        #[arg(long)]
        once: bool,
    },
    /// Which paths undo leaves alone: /var/log, /root, a database, what you name
    State {
        #[command(subcommand)]
        verb: StateVerb,
    },
    /// Run a command (default: a shell) in a profile that is not booted
    #[command(after_help = "\
Examples:\n  flipper-profile run lab                             a shell in it\n  \
flipper-profile run lab apt upgrade\n  \
flipper-profile run --throwaway lab apt upgrade     try it on a copy that is dropped")]
    Run {
        /// Run in a copy that is dropped afterwards
        #[arg(long)]
        throwaway: bool,
        /// The profile
        id: String,
        /// The command and its arguments (default: a shell)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Mount a profile, or a point of it read-only (ID@N), until it is unmounted with umount(8)
    #[command(after_help = "\
Examples:\n  flipper-profile mount lab /mnt\n  \
flipper-profile mount lab@57 /mnt      the state before entry 57, read-only\n  \
flipper-profile mount lab --refused /mnt      what the last rebase refused, read-only")]
    Mount {
        /// ID, or ID@N: the state before entry N
        state: String,
        /// An existing directory
        dir: PathBuf,
        /// Mount it read-only
        #[arg(long)]
        read_only: bool,
        /// Mount the root of the last rebase that was not proved, read-only. It is kept until the next rebase,
        /// prune, or flipper-undo --cancel
        #[arg(long)]
        refused: bool,
    },
    /// Save the state of a profile by hand, to return to it with flipper-undo N
    ///
    /// An entry of its own kind whose point is the saved state. flipper-undo N returns to it from
    /// wherever the profile went since, as often as you like; a plain flipper-undo passes over it. While
    /// apt or dpkg is at work it is refused; while an undo waits, the running root is saved.
    #[command(after_help = "\
Examples:\n  flipper-profile save lab --note \"works with the old printer\"\n  \
flipper-undo --profile lab 61      returns to it, when it was saved as entry 61")]
    Save {
        /// The profile (default: the one that is booted, else the pool's default)
        id: Option<String>,
        /// What it is good for, in a few words; the log shows it
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Show what happened, newest first
    #[command(after_help = "\
Examples:\n  flipper-profile log lab\n  \
flipper-profile log lab -n 5 --json")]
    Log {
        /// The profile (default: the one that is booted, else the pool's default)
        id: Option<String>,
        /// How many entries
        #[arg(short = 'n', long, default_value_t = 30)]
        number: usize,
    },
    /// Show what lies on the disk for whom, and what pruning would free
    ///
    /// UNIQUE is freed when the thing goes, SHARED is held by something else too; what several points free
    /// together is more than the sum. Data only, by whole extents: flipper-profiles(7), SPACE.
    #[command(after_help = "Examples:\n  flipper-profile space        the pool, each profile, each base\n  \
flipper-profile space lab    each point of lab, alone and with everything older")]
    Space {
        /// List the points of this profile
        id: Option<String>,
    },
    /// Show what is different between two states: packages, settings and files
    ///
    /// A state is a number (the state before that entry), `current` (what the next start mounts) or `now`
    /// (the root in use). Files are told as the merged tree shows them: a file of the base that was
    /// replaced is changed, not added. Times alone are no difference. The text of conffiles and other
    /// small files below /etc is shown, except of those not everybody may read: name such a file as PATH.
    Diff(Diff),
    /// Let points go that no rule keeps any more
    #[command(
        long_about = "Let points go that no rule keeps any more, for good.\n\n\
The rules stand in the pool's settings (@journal/pool.conf): the last N points of a profile, N days \
counted back from its newest entry, the newest point of so many hours, days, weeks and months, and how much \
of the file system must stay free. A point is kept while any of them wants it; each one's reasons are \
shown.\n\n\
Whatever the rules say, these stay: pinned points, the first of a profile, those of an open entry and of the \
current, booted or staged root, those undo and redo return to next, the last good one, those before the last \
changes of the base, and what is from the future by the profile's own clock. Entries stay too: the log says \
that their point was pruned.\n\n\
A profile in which packages are being installed, or that somebody runs or has mounted, is passed over (exit status \
1). On a booted profile a timer does this once a day.",
        after_help = "\
Examples:\n  flipper-profile prune --dry-run      every point, and why it is kept or goes\n  \
flipper-profile prune lab            only the points of lab\n  \
flipper-profile pin lab@57           keep this one whatever the rules say"
    )]
    Prune {
        /// Only this profile (default: all, and deleted profiles)
        id: Option<String>,
        /// Say what would go, and why the rest is kept, and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep a point whatever the rules of retention say
    #[command(after_help = "\
Examples:\n  flipper-profile pin lab@57 --note \"before the move to the new mail server\"\n  \
flipper-profile prune lab --dry-run      shows what is pinned")]
    Pin {
        /// ID@N: the state before entry N
        #[arg(value_name = "ID@N")]
        point: String,
        /// Why it must stay
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Leave a pinned point to the rules again
    #[command(after_help = "Examples:\n  flipper-profile unpin lab@57")]
    Unpin {
        /// ID@N: the state before entry N
        #[arg(value_name = "ID@N")]
        point: String,
    },
    /// Look after the journal
    Journal {
        #[command(subcommand)]
        verb: JournalVerb,
    },
}

#[derive(Subcommand, Debug)]
pub enum JournalVerb {
    /// Make the SQLite index again from the entries
    #[command(after_help = "\
Examples:\n  flipper-profile journal rebuild")]
    Rebuild,
    /// Bring the SQLite index up to the entries; every package run and every reader does it
    #[command(after_help = "\
Examples:\n  flipper-profile journal refresh")]
    Refresh,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:\n  flipper-profile diff lab 57              what changed since before entry 57\n  \
flipper-profile diff lab 57 60           between the states before entries 57 and 60\n  \
flipper-profile diff lab 57 /etc         only below /etc\n  \
flipper-profile diff lab now current     with an undo staged: what its start will bring\n  \
flipper-profile diff lab 57 --stat       counts only")]
pub struct Diff {
    /// The profile
    pub id: String,
    /// The earlier state: N, `current` or `now`
    #[arg(value_name = "A")]
    pub from: String,
    /// The later state (default: current)
    #[arg(value_name = "B")]
    pub to: Option<String>,
    /// Only what lies at or below this path
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Counts only
    #[arg(long, conflicts_with = "all")]
    pub stat: bool,
    /// Everything, not one page
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub struct Init {
    /// A block device to format, or a directory on a btrfs (default: /)
    pub target: Option<PathBuf>,
    /// Make the pool in an image file
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    pub image: Option<PathBuf>,
    /// Size of the image, e.g. 8G
    #[arg(long, default_value = "8G", requires = "image")]
    pub size: String,
    /// First inode number of roots; smaller only for test pools (at least 65536)
    #[arg(long, value_name = "N", default_value_t = 1 << 20)]
    pub inode_floor: u64,
}
