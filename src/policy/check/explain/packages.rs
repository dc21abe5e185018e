//! Classes P.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::P1 => {
            "\
The first package run in a profile copies dpkg's database into it. From then on the profile describes
the base it stood on: over another base, dpkg would name versions that are not there any more, and apt
would find nothing wrong with it.

  dpkg-query -W libc6      says 2.36 where the file says 2.41

Rebase merges the databases: packages you did not touch are as the candidate has them, yours stay."
        }
        Class::P4 => {
            "\
A package of the base was upgraded in the profile, so the profile carries its own version of it. Is the
candidate's at least as new, it takes the place of yours. Is it older, yours stays on top of it, and goes
on hiding the base's until that has caught up.

  apt upgrade      with the security archive, on a base of last month"
        }
        Class::P6 => {
            "\
A package you installed is part of the candidate now. Is the candidate's at least as new, it takes the
place of yours, and the room yours needed is free again; a package you asked for stays marked as such.
Is it older, yours stays."
        }
        _ => return None,
    })
}
