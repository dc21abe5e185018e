//! What can be typed to check a profile.

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
deleted or changed, packages that are half done.\n\n\
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
