use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand, Debug)]
pub enum StateVerb {
    /// Show which paths of a profile undo leaves alone, and why
    #[command(after_help = "\
Examples:\n  flipper-profile state list lab\n  flipper-profile state list lab --json")]
    List {
        /// The profile
        id: String,
    },
    /// Put a path into state/: from then on undo leaves it alone
    ///
    /// What lies there is moved, not lost: at once when nobody uses the profile, otherwise at its next start.
    /// Refused: what belongs to the system (/etc, /usr, dpkg's database and what holds or lies below
    /// them), what holds files of a package, and what meets a path that is in state/ already.
    #[command(after_help = "\
Examples:\n  flipper-profile state add lab /srv/data\n  \
flipper-profile state add lab /srv/data --dry-run      say what would be moved")]
    Add {
        /// The profile
        id: String,
        /// A path in the profile, with its first /
        path: PathBuf,
        /// Say what would be done and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Take a path out of state/: from then on it rolls back with the root
    ///
    /// Its files go back into the root. Defaults can be taken out too. Refused while the profile is in use.
    #[command(after_help = "\
Examples:\n  flipper-profile state remove lab /srv/data\n  \
flipper-profile state remove lab /root      from now on undo takes /root back too")]
    Remove {
        /// The profile
        id: String,
        /// A path that `state list` names
        path: PathBuf,
        /// Say what would be done and stop
        #[arg(long)]
        dry_run: bool,
    },
}
