//! What can be typed to put a profile on another base.

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
What was yours and gave way lies in @journal/entries/ID/N/saved, what apt said in apt.log beside it. A profile \
that is in use changes over at its next start.\n\n\
Exit status: 0 done, 2 refused and nothing changed, 3 it could not, and nothing changed either.",
    after_help = "\
Examples:\n  flipper-profile rebase lab --base 13.2 --dry-run   what would be done\n  \
flipper-profile rebase lab --base 13.2\n  \
flipper-undo --profile lab                         back, base and all"
)]
pub struct Rebase {
    /// The profile
    pub id: String,
    /// The base it is to stand on
    #[arg(long, value_name = "V")]
    pub base: String,
    /// Say what would be done, and stop
    #[arg(long)]
    pub dry_run: bool,
}
