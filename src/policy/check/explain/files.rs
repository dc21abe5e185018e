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

Rebase drops the copy, and so does flipper-profile repair, without waiting for a new base. Times are not
compared. To keep an old version on purpose, hold the package."
        }
        Class::F2 => {
            "\
A file of the base has its old content in the profile with another mode, owner, ACL or capability.

  setcap cap_net_raw+ep /usr/bin/tail
  chmod u+s /usr/bin/chage

Rebase takes the candidate's content and changes the same attributes on it again; what you did not
change is as the candidate has it. Flags that chattr(1) set in the profile count as such a change. To have
dpkg itself remember a mode: dpkg-statoverride(1)."
        }
        Class::F3 => {
            "\
A file of a package, no conffile, has another content in the profile than in the base, and dpkg does not
know of it. The candidate has a third one.

  editing /usr/lib/systemd/system/ssh.service      (a drop-in in /etc/systemd/system would stay)

Rebase does what an upgrade of the package would: it takes the candidate's, and saves yours with the
entry. Has the candidate what the base has, yours stays. rebase --decide F3:PATH=keep keeps yours until the next
upgrade of its package, =merge merges a text. To keep yours for ever, divert the package's: dpkg-divert(1)."
        }
        Class::F4 => {
            "\
A program or a library of the base has another content in the profile. Below a new base it would run with
libraries and modules of another version, and hide every security update of its package.

  cp my-tool /usr/bin/tool        in the place of a packaged one

Rebase takes the candidate's and saves yours with the entry, unless the candidate has what the base has:
then yours stays, and is named here each time."
        }
        Class::F5 => {
            "\
A file of a package was deleted in the profile and not by dpkg. The package is still installed, so its
next upgrade brings the file back, and so does a rebase onto a base where it changed.

  rm /usr/bin/whoami
  rm -rf /usr/share/doc/adduser

To keep files away for ever, tell dpkg: path-exclude in /etc/dpkg/dpkg.cfg.d (dpkg(1)); what is listed
there stays away here too. To have one again: flipper-profile repair --path /usr/bin/whoami. A deleted
conffile is another thing (C4, C5): dpkg respects that by itself."
        }
        Class::F6 => {
            "\
A name was deleted in the profile, and the candidate has nothing of that name. Nothing is to be seen of
it, but a later base that has it again would have it hidden.

  apt purge e2fsprogs      on a base that had it, before one that has it no more

Rebase drops the whiteout, and so does flipper-profile repair."
        }
        Class::F7 => {
            "\
A directory of the profile hides the one of the candidate completely, though nobody meant it to: dpkg makes
each new directory under another name and renames it, and overlayfs takes that for a replacement. As long
as the base has no such directory nothing comes of it.

  the first Python module of a profile makes /usr/lib/python3/dist-packages; the candidate has one too

Rebase shows both sides' files. flipper-profile repair opens such directories when it has something to
mend."
        }
        Class::F8 => {
            "\
A directory of the base was deleted and made again, so everything the base had in it is gone, and whatever
the candidate has in it would stay hidden, files that are new in it too.

  rm -rf /usr/share/doc/adduser && mkdir /usr/share/doc/adduser

Rebase deletes by name what was deleted here, and shows what is new. Files of installed packages come back
where the candidate changed them (F5)."
        }
        Class::F9 => {
            "\
One side has a directory where the other has a file or a link. A directory of the profile would hide the
candidate's file, and a file or link would hide a whole tree of it: its packages' files would be nowhere.

  /opt made a link to srv/opt, and the candidate's packages have files below /opt

Where a package of the candidate owns the name, the flip is refused until yours is out of the way. Else
yours stays."
        }
        Class::F10 => {
            "\
A directory of the old base holds something of yours, and the candidate has no such directory. It stays,
with your files in it; what only the base had in it is gone.

  /etc/foo.d/local.conf      when the package with /etc/foo.d is no longer part of the base"
        }
        Class::F11 => {
            "\
A directory that was written to in the profile shows the owner, mode and ACL it had then, whatever the
candidate says: overlayfs merges names, not attributes.

  /etc/ssl/private was 0700, and is 0710 root:ssl-cert in the candidate

Rebase takes the candidate's where you did not change them."
        }
        Class::F12 => {
            "\
systemd makes accounts, the cache of libraries and the hardware database again when /usr is younger than
/etc/.updated and /var/.updated. In a profile the age of /usr is that of its own copy, so a new base would
never look new.

Rebase removes both files; the next start does the work and writes them."
        }
        Class::F13 => {
            "\
The base has one file under several names. Changed in the profile through one of them, they are two files:
the others still show the base's.

  perl and perl5.36.0, after chmod u+x /usr/bin/perl

Rebase decides the same for all of them: dropping a stale copy makes them one again, and flipper-profile
repair does that. Where one was changed on purpose, they stay two."
        }
        Class::F14 => {
            "\
Debian has /bin, /sbin and /lib as links into /usr. In this profile one of them is a directory, and would
hide everything programs look for there.

Move what is in it below /usr and make it a link again; until then the flip is refused."
        }
        Class::F15 => {
            "\
A file of yours, of no package, has a name that a package of the candidate has now.

  your script /usr/bin/sqv, and the candidate has the package sqv

Below /usr rebase takes the candidate's, as dpkg would without a word, and saves yours with the entry.
Elsewhere yours stays, and the candidate's lies beside it as .dpkg-dist. Are they alike, yours is dropped.
A place nobody takes from you is /usr/local."
        }
        Class::F16 => {
            "\
A file of no package, made by a program or by whoever built the base, changed both in the profile and in the
candidate. Nobody can say how the two go together: yours stays, unless rebase --decide F16:PATH=new or =merge
says otherwise."
        }
        Class::F17 => {
            "\
Another overlay wrote into this profile, with redirect_dir or metacopy. Files with these marks have their
content or their place in exactly the base they were made on; over another they are other files, or none.
The flip is refused.

It cannot come about through a mount of ours, which has these features off."
        }
        Class::F18 => {
            "\
Every file that was copied up names the file of the base it came from, and reports its inode number. Over
another base those numbers belong to other files, and programs take the two for one.

Rebase takes these marks away. There is nothing to decide."
        }
        Class::F19 => {
            "\
The profile was mounted with the option userxattr once: its whiteouts and opaque directories are marked in a
way that our mount does not read, so what was deleted would be there again. The flip is refused."
        }
        Class::F20 => {
            "\
Base and profile lie on one btrfs and their inode numbers show through the overlay. Profiles have numbers
above a floor and bases below it, so that no two files are ever taken for one. Here they overlap: cp says
\"are the same file\", find and du skip directories, and dpkg leaves obsolete files behind without a word."
        }
        Class::F21 => {
            "\
A subvolume was made inside the upper, on the pool's raw mount. Points do not hold what is in it: after an
undo it would be an empty directory."
        }
        Class::F22 => {
            "\
Something that is neither file, directory nor link (a socket, a pipe, a device node), or what a package run
that was cut left behind (.dpkg-new, .dpkg-tmp). It is carried along as it is."
        }
        Class::F24 => {
            "\
A file lies in the profile where something else is mounted when it runs: /proc, /sys, /dev, /run, /tmp. It
was written from outside, through a chroot or the mounted profile, and nobody sees it.

Rebase drops it, and so does flipper-profile repair."
        }
        _ => return None,
    })
}
