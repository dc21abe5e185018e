//! Classes F.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::F1 => {
            "\
A file of the base was copied into the profile without being changed: something opened it for writing,
or changed a mode and changed it back. Nothing is seen of it until the base changes: then the profile
goes on with the old file, a security update of the base never arrives, and an interpreter may meet
modules of another version.

  touch /usr/bin/perl        copies it; on the next base perl is still the old one

Rebase drops the copy. Times are not compared. To keep an old version on purpose, hold the package."
        }
        Class::F2 => {
            "\
A file of the base has its old content in the profile with another mode, owner, ACL or capability.

  setcap cap_net_raw+ep /usr/bin/tail
  chmod u+s /usr/bin/chage

Rebase takes the candidate's content and changes the same attributes on it again; what you did not
change is as the candidate has it. To have dpkg itself remember a mode: dpkg-statoverride(1)."
        }
        _ => return None,
    })
}
