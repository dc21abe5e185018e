//! Classes G.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::G1 => {
            "\
A diversion tells dpkg to put packages' files of one name under another, because you or a package have your
own there. The candidate has diversions too, and a new file for the other name.

  dpkg-divert --local --rename --divert /usr/bin/factor.real --add /usr/bin/factor

Rebase takes the diversions of both together, and puts the candidate's file to the other name. Do both
divert one name, to different places or by different owners, dpkg would not run any more, so that is
refused: take yours back first."
        }
        Class::G2 => {
            "\
dpkg-statoverride remembers an owner and a mode that a file is to have whatever its package says. The file in
the profile is a copy of the old base's with that owner and mode.

  dpkg-statoverride --update --add root mail 2750 /usr/bin/chage

Rebase takes the records of both together, and the candidate's content with the owner and mode of yours.
Have both a record for one path, yours stays. Names an account that there will not be, dpkg would refuse to
run, and so is the flip: remove the record, or make the account."
        }
        Class::G3 => {
            "\
A name as `editor` or `pager` that several packages offer. The profile has its own list of who offers it, and
so has the candidate.

  update-alternatives --config editor

Rebase takes the choices of both, without those whose file is gone. What you chose by hand stays; is that
gone, the best that is there is taken and you are told."
        }
        Class::G4 => {
            "\
dpkg's database of which package waits for changes of which paths. It follows from the packages there are; the
first package you installed that has such an interest copied it into the profile.

  /var/lib/dpkg/triggers/File

Rebase makes it anew from the packages of the merged profile, and runs the triggers for what changed."
        }
        Class::G5 => {
            "\
dpkg's records of a package (its file list, its scripts) lie in the profile, although the package is the
base's: it was installed again, or upgraded and taken back. Over the candidate they would describe files
of another version, and an upgrade would leave files behind.

  apt install --reinstall openssl      copies /var/lib/dpkg/info/openssl.* into the profile

Rebase drops them: the candidate's describe what is there."
        }
        Class::G6 => {
            "\
dpkg and the account tools keep the state before their last change beside their databases. In the profile these
are of databases that a rebase merges, so nobody could go back to them.

  /var/lib/dpkg/status-old      /etc/passwd-

Rebase drops them. What was before is in the points: flipper-undo."
        }
        Class::G7 => {
            "\
What deb-systemd-helper notes of units that packages enabled, so that a unit you disabled is not enabled
again by an upgrade. The profile's notes and the candidate's are not the same.

  /var/lib/systemd/deb-systemd-helper-enabled

Rebase takes what only the candidate changed, and keeps what you did; the links themselves are G8."
        }
        Class::G8 => {
            "\
Units are enabled, disabled and masked by links below /etc/systemd/system. What you did there stays; what the
candidate enables for the first time comes. Told is what is neither: a link you made to a unit that the
candidate has no more, one that both changed, and one of the candidate that a directory deleted here
would hide.

  systemctl enable cron        on a base with cron; the candidate has none: the link stays, and starts nothing

Presets are never applied again: they would enable what you disabled."
        }
        _ => return None,
    })
}
