//! What can be typed to check a profile, and to mend it.

use std::path::PathBuf;

use clap::Args;

/// Say what a candidate base would do to a profile, before anything moves
#[derive(Args, Debug)]
#[command(
    long_about = "Compares a profile with the base it stands on and with a candidate base, and says what the \
candidate would do to it: packages, conffiles, files, accounts, links and records. Nothing is changed and \
nothing is mounted over.\n\n\
Each finding belongs to a class (P11, F1, ...), has evidence, and says what a rebase would do and what you can \
choose instead. A blocker refuses the flip. A decision has a safe default that is taken unasked. What is \
automatic is set right by the rebase, and what is harmless is only said.\n\n\
Without --base the profile is held against the base it stands on: copies that mask the base's files, files \
deleted or changed, packages that are half done. What is automatic then, flipper-profile repair sets right.\n\n\
Exit status: 0 clean (automatic and harmless findings only), 1 attention, 2 blocked, 3 it could not look.",
    after_help = "\
Examples:\n  flipper-profile check lab --base 13.2\n  \
flipper-profile check lab --base 13.2 --all        every finding with its evidence\n  \
flipper-profile check lab                          against the base it stands on\n  \
flipper-profile check --explain F1                 what F1 is, with an example\n  \
flipper-profile check lab --base 13.2 --json"
)]
pub struct Check {
    /// The profile (default: the booted one, else the pool's default)
    pub id: Option<String>,
    /// The candidate base
    #[arg(long, value_name = "CANDIDATE")]
    pub base: Option<String>,
    /// Every finding with its evidence, not one page
    #[arg(long)]
    pub all: bool,
    /// Teach what a class is, and stop
    #[arg(long, value_name = "CLASS")]
    pub explain: Option<String>,
}

/// Mend what a check without --base finds and what can be set right by itself; flipper-undo takes it back
#[derive(Args, Debug)]
#[command(
    long_about = "Takes out of a profile what it has too much: copies of files that the base has just so, \
whiteouts that hide nothing, files below mount points that nobody sees. Nothing else is different \
afterwards: each file, link and directory that is seen in the profile is the same, with its owner, mode, \
attributes and time (a copy that was only touched has the base's time again). Where a copy lies in a directory \
that was made anew over the base's, the directory is opened, and what was deleted with it is deleted by name. \
Notes of the base that files came from, and directories that would hide a later base's, go along.\n\n\
What somebody changed or deleted stays, unless --path names it. With --path only what is named is mended: a \
directory of the base becomes one of the profile alone, with all that is in it, and a deleted or changed file \
of the base is as the base has it. The first is for a package run that failed with \"unable to move aside ... \
Invalid cross-device link\": dpkg cannot replace a directory of the base by a file or a link; after this it \
can, and the run is done again.\n\n\
An entry like every other: it takes its own point first, makes a new root and moves to it; while the profile \
is in use it counts from the next start, without what is written until then (which is kept, as after an \
undo). Refused while another root waits for that, and while packages are \
being installed. Where there is nothing to mend, it says so and leaves no entry.",
    after_help = "\
Examples:\n  flipper-profile check lab                        what there is to mend: \"set right by a repair\"\n  \
flipper-profile repair lab --dry-run\n  \
flipper-profile repair lab\n  \
flipper-profile repair lab --path /usr/share/doc/tool      dpkg can replace this directory then\n  \
flipper-profile repair lab --path /usr/bin/whoami          have it again, as the base has it\n  \
flipper-undo --profile lab                       takes the repair back"
)]
pub struct Repair {
    /// The profile (default: the booted one, else the pool's default)
    pub id: Option<String>,
    /// Only this directory or file of the base. May be given several times
    #[arg(long, value_name = "PATH")]
    pub path: Vec<PathBuf>,
    /// Name every path, not some of each kind
    #[arg(long)]
    pub all: bool,
    /// Say what would be done and stop
    #[arg(long)]
    pub dry_run: bool,
}
