//! Classes A6-A9.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::A7 => {
            "\
The candidate comes with a private key. A key that is part of a base is the same on every device that has this
base, so it keeps nothing secret.

  /etc/ssl/private/ssl-cert-snakeoil.key, when ssl-cert was installed while the base was built

Keys in the profile are its own: rebase never touches them. Without one of its own the profile gets the
candidate's. Make a new one, and tell whoever built the base."
        }
        Class::A8 => {
            "\
A file that says who or where this machine is, its mounts, names, time zone, was set in the profile, and the
candidate has another one than the base.

  /etc/fstab with your disks, and the candidate's has a new line

Rebase keeps yours. Of mounts and hosts you are told, because the candidate may want something of them."
        }
        _ => return None,
    })
}
