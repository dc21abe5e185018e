//! Classes P that files show and no database says.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::P9 => {
            "\
A package of the base was built again and installed in the profile under the same version. The databases see
no difference, the files do.

  dpkg -i tool_1.0-1_amd64.deb      with a patch, and without a new version

If the candidate has another version of it, that is taken, and your build is gone: give it a version of its
own (dch --local) to keep it. If the candidate has what the base has, yours stays."
        }
        Class::P15 => {
            "\
Modules were installed for the Perl or Ruby of the old base past Debian's packages, or a database server has
data of its own version.

  /usr/local/share/perl/5.36.0      cpan
  /var/lib/gems/3.1.0               gem install
  postgresql-15                     its data are read by version 15 alone

Modules stay and must be installed again. The data of PostgreSQL are carried over by pg_upgradecluster, which
needs the old and the new server beside each other."
        }
        Class::P12 => {
            "\
A program or library in the profile needs a shared library that the candidate does not have any more: the
package that brought it was the base's and is gone, or has it under another name.

  curl: error while loading shared libraries: libidn2.so.0: cannot open shared object file

What is read is the file itself (readelf -d), not what its package says: programs in /usr/local and /opt are
looked at too. Where the package of the file is upgraded anyway (P11), that helps this too. Otherwise keep a
copy of the library beside yours, or get the program for the candidate."
        }
        Class::P14 => {
            "\
Modules were installed for the Python of the old base, and the candidate has another one. It looks for them
in directories of its own version, and cannot load what was compiled for another.

  /usr/local/lib/python3.11/dist-packages      pip install, as root
  /opt/app/venv                                python3 -m venv
  .../dist-packages/x.cpython-311-x86_64-linux-gnu.so

Packages of Debian say which Python they need (P11). What pip installed nobody knows: it stays, and must be
installed again. A virtual environment is made anew with python3 -m venv --clear."
        }
        Class::P20 => {
            "\
The candidate is another release of Debian, and sources or pins of the profile name the old one: apt would
mix packages of two releases.

  deb http://mirror.example/debian bookworm main

Sources as the base shipped them are changed to the new release. Those you added stay as they are, since
nobody here knows whether that archive has the new release; write it in, or switch them off until it has. A
keyring that goes with the old base is told too: apt refuses a source whose Signed-By is not there."
        }
        Class::P21 => {
            "\
The kernel and its modules are the base's. The profile has modules of its own for a kernel the candidate
does not have, or lists of modules (modules.dep) that would hide those of the candidate.

  /usr/lib/modules/6.1.0-18-amd64/updates/dkms/wifi.ko

Lists are made anew. Modules are kept, but no other kernel loads them: they must be built for the new one,
before the device needs them to start.

  dkms autoinstall -k KERNEL"
        }
        _ => return None,
    })
}
