//! Classes P that files show and no database says.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::P12 => {
            "\
A program or library in the profile needs a shared library that the candidate does not have any more: the
package that brought it was the base's and is gone, or has it under another name.

  curl: error while loading shared libraries: libidn2.so.0: cannot open shared object file

What is read is the file itself (readelf -d), not what its package says: programs in /usr/local and /opt are
looked at too. Where the package of the file is upgraded anyway (P11), that helps this too. Otherwise keep a
copy of the library beside yours, or get the program for the candidate."
        }
        _ => return None,
    })
}
