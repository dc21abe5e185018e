//! What can be typed after `flipper-undo`.

use std::path::PathBuf;

use clap::Parser;

use super::Common;

/// Takes the last change back: packages, conffiles, kernel, settings, and undo itself.
#[derive(Parser, Debug)]
#[command(
    name = "flipper-undo",
    version,
    long_about = "\
Takes the last change back: packages, conffiles, kernel, settings, and undo itself.\n\n\
A new root is made from the point before the change, and counts from the next start of the profile. Until \
then it waits, and the root in use stays as it is: another undo replaces what waits by a root further back, \
--cancel (or --redo of an undo that waits) drops it, and a package run goes into the root that is being \
left. What was written there is kept when that root goes, as an entry `left`: --show N says what it is, and \
its number returns to it.\n\n\
What lies in state/ (logs, /root, databases) and in /home stays as it is. What a removal or a purge took out of \
state/ comes back where nothing is by now: single files by themselves, whole directories after asking.\n\n\
A run that was cut and the one that repaired it (dpkg --configure -a, apt -f install) are taken back as one \
step; the number of the repair takes back the repair alone.\n\n\
Files of your own that were written by hand since that point, outside of every package run, are counted before \
you are asked; Wi-Fi connections and changed passwords are offered by name. --keep hands on what is there now, \
into the new root; of a password that is its field alone. What was kept is in the entry. An account of a \
person that is newer than that point is locked, which is said before: its number and /home stay.",
    after_help = "\
Examples:\n  flipper-undo                take back the newest change; again: go further back\n  \
flipper-undo --dry-run      say what that would be\n  \
flipper-undo --reboot       and restart into it, in seconds where the kernel can go on\n  \
flipper-undo --cancel       drop what waits: stay where you are, with what was installed since\n  \
flipper-undo 57             return to the state before entry 57\n  \
flipper-undo 57 --path /etc/nginx/nginx.conf\n                              put one file back, live\n  \
flipper-undo --keep /etc/fstab --keep wifi --keep passwords\n                              but keep these as they are now\n  \
flipper-undo --redo         take the last undo back\n  \
flipper-undo --list         what can be taken back\n  \
flipper-undo --show 57      what entry 57 changed, files included\n\n\
Exit status: 0 done, 1 attention, 2 refused and nothing changed, 3 could not, 64 usage."
)]
pub struct Undo {
    /// Return to the state before this entry: it and everything after it in this line is taken back
    pub entry: Option<String>,
    /// Put back only these paths, live, from the state before the entry
    #[arg(long, value_name = "PATH", requires = "entry")]
    pub path: Vec<PathBuf>,
    /// List what can be taken back, newest first
    #[arg(long, conflicts_with_all = ["entry", "redo", "cancel"])]
    pub list: bool,
    /// Show one entry whole: packages, settings, files, and the text of what people edit
    #[arg(long, value_name = "N", conflicts_with_all = ["entry", "list", "redo", "cancel"])]
    pub show: Option<String>,
    /// With --show: count the files only
    #[arg(long, requires = "show", conflicts_with = "all")]
    pub stat: bool,
    /// With --show: every file, not one page
    #[arg(long, requires = "show")]
    pub all: bool,
    /// Take the last undo back
    #[arg(long, conflicts_with_all = ["entry", "cancel"])]
    pub redo: bool,
    /// Drop a root that waits for its boot: the machine stays as it is, with what was done since
    #[arg(long, conflicts_with = "entry")]
    pub cancel: bool,
    /// Keep what is at this path now, also its absence; `wifi`: new and changed connections; `passwords`:
    /// changed ones. May be given several times
    #[arg(long, value_name = "PATH", conflicts_with_all = ["path", "cancel"])]
    pub keep: Vec<PathBuf>,
    /// Name every file of yours that would be taken along
    #[arg(long, short)]
    pub verbose: bool,
    /// Then restart by `systemctl soft-reboot`, in seconds and without the kernel; where that is not enough, say why
    /// and leave it staged
    #[arg(long, conflicts_with_all = ["path", "cancel", "dry_run", "list", "show", "reboot"])]
    pub soft_reboot: bool,
    /// Then restart by the cheapest that is enough, and say why
    #[arg(long, conflicts_with_all = ["path", "cancel", "dry_run", "list", "show"])]
    pub reboot: bool,
    /// Say what would be done and stop
    #[arg(long)]
    pub dry_run: bool,
    /// The profile (default: the one that is booted, else the pool's default)
    #[arg(long, value_name = "ID")]
    pub profile: Option<String>,
    #[command(flatten)]
    pub common: Common,
}
