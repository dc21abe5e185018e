//! What can be typed to change what a profile is called and asks for.

use clap::Args;

/// Change the name, the note, the hostname, kernel arguments, DT overlays or mounts of a profile
#[derive(Args, Debug)]
#[command(
    long_about = "Change the name, the note, the hostname, the ssh host keys, kernel arguments, DT overlays or \
mounts of a profile.\n\n\
Name, note, hostname and ssh host keys belong to the profile and do not roll back. Kernel arguments, DT overlays and \
mounts lie in its root: an entry, which flipper-undo takes back.\n\n\
All profiles have the hostname and the ssh host keys of the device, unless they ask for others. What is changed \
in one of them (hostnamectl, ssh-keygen) is the device's from its next start on, and comes to the others at \
theirs. With --ssh-host-keys profile the keys that are in it now are its own; a clone of it gets new ones.",
    after_help = "\
Examples:\n  flipper-profile set lab --note \"for the holidays\"\n  \
flipper-profile set lab --hostname lab\n  \
flipper-profile set lab --ssh-host-keys profile\n  \
flipper-profile set lab --args systemd.unit=rescue.target\n  \
flipper-profile set lab --mount \"LABEL=media /media/films ext4 ro,nofail\"\n  \
flipper-profile set lab --mount \"\"      none any more"
)]
pub struct Set {
    /// The profile
    pub id: String,
    /// What people call it
    #[arg(long)]
    pub name: Option<String>,
    /// A few words about it
    #[arg(long)]
    pub note: Option<String>,
    /// Its hostname: the device's, its own as it was set in it, or always this NAME
    #[arg(long, value_name = "device|profile|NAME")]
    pub hostname: Option<String>,
    /// Its ssh host keys: the device's, or its own
    #[arg(long, value_name = "device|profile", value_parser = ["device", "profile"])]
    pub ssh_host_keys: Option<String>,
    /// Kernel arguments of this profile, e.g. "systemd.unit=router.target"
    #[arg(long, value_name = "TEXT")]
    pub args: Option<String>,
    /// Device-tree overlays, names separated by blanks
    #[arg(long, value_name = "NAMES")]
    pub dtbo: Option<String>,
    /// One more mount as a line of fstab(5); may be given several times, replaces all; "" for none
    #[arg(long, value_name = "LINE")]
    pub mount: Vec<String>,
}
