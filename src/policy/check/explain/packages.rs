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
        Class::P2 => {
            "\
A package of the base is not in the candidate any more. It was the base's, so it goes with the base, unless
something of yours cannot do without it: then the finding says who, and what takes its place.

  libssl3        is libssl3t64 now, which provides libssl3: what needs it is content

Where nothing stands in for it, what needs it must change too (P11). A package you use without anything
needing it can be installed again afterwards, if the candidate's sources still have it. Where no archive is
to be reached, it can be carried along with the files the old base has of it, and what it needs with it:

  flipper-profile rebase lab --base 13.2 --decide P2:libfoo1=keep"
        }
        Class::P11 => {
            "\
Packages of yours and packages of the candidate do not go together: one needs another in a version that is
not there any more, or one breaks or conflicts with another. A point release is enough for that, since
packages of one source often need each other's very version.

  python3.11 Depends: python3.11-minimal (= 3.11.2-6+deb12u8), but 3.11.2-6+deb12u9 is there

Rebase upgrades the packages of yours with apt, over the candidate and from its sources. Without a network,
or where there is no version that fits, it is refused and nothing has changed. A package that is held is not
upgraded. What did not hold in the profile before is not told again; check without --base shows it."
        }
        Class::P13 => {
            "\
A package of yours and another package of the candidate have a file of the same name.

  /usr/bin/last        of util-linux in one release, of wtmpdb in the next

If the candidate's package says that it replaces yours, its file is taken and struck off the list of yours,
as dpkg would do. Otherwise dpkg would refuse to install the one beside the other, and so does a rebase."
        }
        Class::P16 => {
            "\
A library that is installed for two architectures must have one version in both, and the base brings a new
one for its own architecture only.

  libc6 2.41 of the base, libc6:i386 2.36 of the profile

Rebase upgrades the other one with apt from the candidate's sources, or is refused."
        }
        Class::P17 => {
            "\
A package of the profile has another architecture in the candidate, or may stand beside other architectures
of itself now: dpkg's records of it have another name then.

  libfoo.list  and  libfoo:amd64.list

Rebase takes the candidate's records and removes those under the other name. A candidate that is made for
another machine altogether is refused."
        }
        Class::P23 => {
            "\
A package that dpkg calls essential in the candidate was removed in the profile. Others need it without saying
so: no Depends names an essential package.

  dpkg --force-remove-essential --purge login

Rebase keeps it removed, since that took some force. To have it again, install it in the profile first."
        }
        Class::P22 => {
            "\
A package that came with the base only because others needed it was marked as asked for in the profile, and
the candidate has it no more.

  apt-mark manual mtr-tiny

Rebase lets it go, since it was the base's. Afterwards it can be installed as a package of your own, if the
candidate's sources have it."
        }
        Class::P3 => {
            "\
A package is in the candidate for the first time, with files of its own. You have it after the rebase, and
need do nothing. Had you a file of your own in the place of one of its files, that would be told as F15.

  libssl3t64        new in Debian 13, in the place of libssl3"
        }
        Class::P4 => {
            "\
A package of the base was upgraded in the profile, so the profile carries its own version of it. Is the
candidate's at least as new, it takes the place of yours. Is it older, yours stays on top of it, and goes
on hiding the base's until that has caught up; rebase --decide P4:openssl=new takes the older one.

  apt upgrade      with the security archive, on a base of last month"
        }
        Class::P6 => {
            "\
A package you installed is part of the candidate now. Is the candidate's at least as new, it takes the
place of yours, and the room yours needed is free again; a package you asked for stays marked as such.
Is it older, yours stays."
        }
        Class::P5 => {
            "\
A package of the base has an older version in the profile: somebody took a newer one back. The candidate
has a newer one again.

  apt install tool=1.0-1        where the base has 1.0-2

Rebase takes the candidate's. Whether the fault that was avoided is gone there, nobody here can know."
        }
        Class::P7 => {
            "\
A package of the base was removed or purged in the profile. A new base has it all the same, under names that
may be new, and the database would call it absent while its files are there.

  apt purge tzdata

Rebase hides the candidate's files of it and keeps it out of the database. A package that is protected is
yours to decide about, and so is an essential one (P23). Where a package of the candidate, or one of yours, cannot do without, it comes back
with the candidate's files; nothing is downloaded for that."
        }
        Class::P8 => {
            "\
A package of the base was removed, but not purged: its settings are kept, and so is the script dpkg runs when
it is purged one day. Both may lie in the base only, which is about to go.

  apt remove e2fsprogs        leaves /etc/mke2fs.conf and e2fsprogs.postrm

Rebase copies them into the profile."
        }
        Class::P10 => {
            "\
A package run was cut or failed: a package is unpacked and not configured, or dpkg's notes of a run are
still there. What is half done cannot be carried to another base.

  dpkg --configure -a        finishes it
  flipper-undo               takes it back

Triggers that only wait are run by the rebase."
        }
        Class::P18 => {
            "\
apt remembers which packages came only because others needed them, and offers to remove those that nobody
needs any more. The profile says something else of a package than the candidate does.

Rebase carries the profile's word."
        }
        Class::P19 => {
            "\
A package is on hold: apt will not change it. But it belongs to the base, and the candidate has another
version of it.

  apt-mark hold openssl

Rebase takes the candidate's version and keeps the hold. To stay with the old version, stay on the base.

A held package of your own is not changed. If it does not go together with the candidate (P11), the rebase is
refused until somebody takes the hold away: apt-mark unhold PACKAGE."
        }
        _ => return None,
    })
}
