//! What can be typed to put a profile on another base.

use std::ffi::OsString;

use clap::Args;

/// Put a profile on another base, prove that it holds, and let it go back
#[derive(Args, Debug)]
#[command(
    long_about = "Does what `check --base V` said. A new root is made from the present one: files of packages are \
the new base's, what you changed stays, the package database and the accounts are merged, and apt closes what is \
missing in a sandbox over the new base. Then it is proved: dpkg --audit is empty, apt-get check finds nothing, \
dpkg --verify names what you changed and nothing else, every program finds its libraries, and what you had \
installed is there. Only then the profile stands on the new base; the present root is a point, and flipper-undo \
goes back to it with its base.\n\n\
Where there is more than one way, the safe one is taken unasked; on a terminal each is asked, and Enter takes \
the safe one. --decide says it beforehand: keep (yours), new (the candidate's) or merge (both changes in one \
text, where they do not touch each other). What can be decided, and how it is typed, --dry-run --all shows. The \
entry says what was decided (flipper-undo --show N).\n\n\
What was yours and gave way lies in @journal/entries/ID/N/saved, what apt said in apt.log beside it. A profile \
that is in use changes over at its next start.\n\n\
Exit status: 0 done, 2 refused and nothing changed, 3 it could not, and nothing changed either.",
    after_help = "\
Examples:\n  flipper-profile rebase lab --base 13.2 --dry-run   what would be done\n  \
flipper-profile rebase lab --base 13.2\n  \
flipper-profile rebase lab --base 13.2 --dry-run --all     what can be decided, and how it is typed\n  \
flipper-profile rebase lab --base 13.2 --decide C6:/etc/tool.conf=merge --decide F3:/usr/bin/tool=keep\n  \
flipper-undo --profile lab                         back, base and all"
)]
pub struct Rebase {
    /// The profile
    pub id: String,
    /// The base it is to stand on
    #[arg(long, value_name = "V")]
    pub base: String,
    /// Take another way than the safe one with what a check found. May be given several times
    #[arg(long, value_name = "CLASS:PATH=keep|new|merge")]
    pub decide: Vec<OsString>,
    /// Every finding with its evidence and what can be decided, not one page
    #[arg(long)]
    pub all: bool,
    /// Say what would be done, and stop
    #[arg(long)]
    pub dry_run: bool,
}
