//! Classes U.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::U1 => {
            "\
The profile was in use and written to while it was looked at, three times in a row, or packages are being
installed in it right now. What is said here may not fit what it has become.

  apt upgrade        in one window, flipper-profile check in another

Logs and caches do not count. While packages or accounts change, a flip is refused; wait for the run to end
and look again. Of other files a rebase takes what they are when it is made."
        }
        Class::U2 => {
            "\
What you changed is told by comparison with the base you changed it on. When a base is imported, everything
about it is written into a manifest, so that its files may go one day. Without the manifest nothing can be
compared, and the flip is refused.

  @base/13.2.manifest

Are only the files gone, all but this can be done: keep a library that the candidate drops, and copy the
scripts and settings of packages you removed and did not purge."
        }
        Class::U3 => {
            "\
Points of this profile stand on another base than its root does now. An undo to one of them goes back to its
base as well, so that base is kept as long as such a point is there.

  flipper-undo --list        shows them"
        }
        _ => return None,
    })
}
