//! What can be typed to share paths between profiles.

use std::path::PathBuf;

use clap::Args;

/// Share files and folders between profiles; undo leaves them alone
#[derive(Args, Debug)]
#[command(
    long_about = "Shares files and folders between profiles, as /home is shared by all.\n\n\
What is at PATH moves to the pool (@data/shared) and is mounted there again from the next start of the \
profile; another profile that shares the same PATH gets the same. Undo, reset and rebase leave it alone. \
Where a profile has something of its own there while another shares it already, it is refused: move it away \
first.\n\n\
A folder is nearly always better than a file: a program that replaces a shared FILE by a rename (many editors \
do) fails with `device or resource busy`. dpkg's database, accounts, the machine-id and what state/ has cannot \
be shared.\n\n\
The profile must not be in use.",
    after_help = "\
Examples:\n  flipper-profile share /srv/music --profile lab\n  \
flipper-profile share /srv/music --profile other     the same music in both\n  \
flipper-profile share --list\n  \
flipper-profile unshare /srv/music --profile other   a copy of its own again"
)]
pub struct Share {
    /// As in the profile, e.g. /srv/music
    #[arg(required_unless_present = "list")]
    pub path: Vec<PathBuf>,
    /// The profile (default: the booted one, else the pool's default)
    #[arg(long, value_name = "ID")]
    pub profile: Option<String>,
    /// List what is shared, and by whom
    #[arg(long, conflicts_with = "path")]
    pub list: bool,
}

/// Give a profile a copy of its own of what it shares
#[derive(Args, Debug)]
#[command(
    long_about = "Gives a profile a copy of its own of what it shares. What the others share stays, and so \
does what nobody shares any more: it lies in the pool (@data/shared) until somebody shares it again.",
    after_help = "Examples:\n  flipper-profile unshare /srv/music --profile other"
)]
pub struct Unshare {
    /// As in the profile, e.g. /srv/music
    #[arg(required = true)]
    pub path: Vec<PathBuf>,
    /// The profile (default: the booted one, else the pool's default)
    #[arg(long, value_name = "ID")]
    pub profile: Option<String>,
}
