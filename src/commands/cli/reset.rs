//! What can be typed to make a profile from a built-in, and to go back to what it was made as.

use std::path::PathBuf;

use clap::Args;

/// Go back to the state a profile was made in; flipper-undo takes it back
#[derive(Args, Debug)]
#[command(
    long_about = "Goes back to the pristine state of a profile: as create made it, or as the built-in was \
installed; a clone has that of its source.\n\n\
An entry like every other: it takes its own point first, counts from the next start while the profile is in \
use, and flipper-undo takes it back. Home, and what undo leaves alone (state/: logs, caches), stay. With \
--wipe state/ begins anew too; the old one is kept beside the point, and taking the reset back puts it back \
whole. The machine-id stays. Kernel arguments, DT overlays and mounts become those of the pristine state. \
Files of your own are counted before you are asked; --keep PATH keeps some.\n\n\
Refused while another root waits for its start, and where the profile moved to another base since.",
    after_help = "\
Examples:\n  flipper-profile reset lab --dry-run\n  \
flipper-profile reset lab --keep /etc/hostname --keep wifi\n  \
flipper-profile reset lab --wipe             logs and caches too\n  \
flipper-undo --profile lab                   takes the reset back"
)]
pub struct Reset {
    /// The profile
    pub id: String,
    /// Begin state/ anew too
    #[arg(long)]
    pub wipe: bool,
    /// Keep what is at this path now; `wifi`, `passwords`: see flipper-undo. May be given several times
    #[arg(long, value_name = "PATH")]
    pub keep: Vec<PathBuf>,
    /// Name every file of yours that would be taken along
    #[arg(long, short)]
    pub verbose: bool,
    /// Say what would be done and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// Make a profile from a built-in: a directory, a .deb or an installed package
#[derive(Args, Debug)]
#[command(
    long_about = "Makes a profile from a built-in, with a pristine state to reset it to.\n\n\
A built-in is a directory with a file builtin.conf (lines of key=value: id, name, note, base, args, dtbo; base \
is a version, or a pattern as 13.*) and one of two things: upper.stream or upper.stream.zst, a btrfs send \
stream of a point or of @profiles/ID/pristine, which stands on exactly one base; or packages, the names of \
Debian packages, one a line, which apt installs on the base, with the tree files/ laid over them. A .deb, and \
a package that is installed here, has it below /usr/share/flipper-profiles/builtin/NAME.\n\n\
Nothing is to be seen before all of it is there: what is cut is cleared away by the next command.",
    after_help = "\
Examples:\n  flipper-profile install-builtin ./router\n  \
flipper-profile install-builtin flipper-builtin-router.deb --id gate --base 13.2\n  \
flipper-profile install-builtin flipper-builtin-router      a package that is installed\n  \
flipper-profile reset gate                                  as it was installed"
)]
pub struct InstallBuiltin {
    /// A directory, a .deb, or the name of an installed package
    #[arg(value_name = "DIR|DEB|PACKAGE")]
    pub from: PathBuf,
    /// The id of the profile (default: what builtin.conf says)
    #[arg(long)]
    pub id: Option<String>,
    /// The base it stands on (default: the current one, or the one its stream was made on)
    #[arg(long, value_name = "VERSION")]
    pub base: Option<String>,
}
