//! What can be typed to move all of a device to another base, and back.

use clap::Args;

/// Move profiles to a base, and make it the one that new profiles stand on
#[derive(Args, Debug)]
#[command(
    long_about = "Rebases one profile after the other, each proved and with an entry of its own, and makes the base \
current when all of that is done. Without --profiles those move whose check finds nothing to decide; the others are \
listed with what holds them, and stay where they are. Whoever is named moves with the safe defaults, as \
`flipper-profile rebase` would. One that cannot be proved stays, and stops no other.\n\n\
`flipper-base rollback` puts all of it back. A flip that a power cut or a full disk ends has moved whom it has moved: \
the same flip again does the rest, and one rollback takes back both.\n\n\
Exit status: 0 all of them moved, 1 some stay, 2 refused: not one of the named can move, and nothing changed; 3 it \
could not go on.",
    after_help = "\
Examples:\n  flipper-base flip 13.2 --dry-run          who would move, and who would not\n  \
flipper-base flip 13.2                    those that are clean\n  \
flipper-base flip 13.2 --profiles all\n  \
flipper-base flip 13.2 --profiles lab,router"
)]
pub struct Flip {
    /// The base
    pub version: String,
    /// Whom to move: ids with commas between, or all (default: those whose check is clean)
    #[arg(long, value_name = "ID,...")]
    pub profiles: Option<String>,
    /// Say who would move, and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// Put back what the last flip moved
#[derive(Args, Debug)]
#[command(
    long_about = "Every profile that the last flip moved goes back to the point before it, and the base of before is \
current again. Nothing is rebased: the old roots come back as they were. A profile in which something happened since \
is left alone and named, unless --all says that this goes too; flipper-undo brings it back.",
    after_help = "\
Examples:\n  flipper-base rollback\n  flipper-base rollback --all      also what happened since goes"
)]
pub struct Rollback {
    /// Also profiles in which something happened since
    #[arg(long)]
    pub all: bool,
    /// Say who would go back, and stop
    #[arg(long)]
    pub dry_run: bool,
}
