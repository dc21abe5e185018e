//! Classes C.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::C1 => {
            "\
A conffile lies in the profile as it was shipped: somebody changed its mode, or it was written and written
back. The copy would hide whatever a new base ships there.

  chmod 600 /etc/tool.conf

Rebase takes the candidate's content and, as dpkg does, keeps the owner and the mode of yours. Where those
are the base's too, the copy is dropped."
        }
        Class::C2 => {
            "\
You changed a conffile, and the candidate ships the one the base ships: nothing speaks against yours.

  editing /etc/ssh/ssh_config

Rebase keeps it, and so does every upgrade until the package ships another."
        }
        Class::C3 => {
            "\
You changed a conffile, and the candidate ships the very text you wrote. dpkg asks nothing then.

Rebase drops your copy, so that later changes of the package arrive again."
        }
        Class::C4 => {
            "\
You deleted a conffile, and the candidate ships the one the base ships. To dpkg a deleted conffile is a
setting like any other: it does not come back.

  rm /etc/cron.daily/dpkg

Rebase keeps it deleted."
        }
        Class::C5 => {
            "\
You deleted a conffile, and the candidate ships another one than the base. An upgrade would ask, and unasked
keep it deleted.

  rm /etc/cron.daily/dpkg      and the candidate's job does something else

Rebase does that too, and leaves the candidate's there with .dpkg-dist behind its name. To have it:

  flipper-profile rebase lab --base 13.2 --decide C5:/etc/cron.daily/dpkg=new"
        }
        Class::C6 => {
            "\
You changed a conffile, and the candidate ships another one than the base. This is where an upgrade asks
\"What would you like to do about it?\", and unasked keeps yours.

  editing /etc/sysctl.conf     and the candidate's has a new section

Rebase keeps yours and puts the candidate's beside it with .dpkg-dist behind its name, so that you can
compare them:

  diff /etc/sysctl.conf /etc/sysctl.conf.dpkg-dist

rebase --decide C6:/etc/sysctl.conf=new takes the candidate's and saves yours; =merge writes both changes into
one text, where they do not touch each other."
        }
        Class::C7 => {
            "\
A file you made, or a plain file of a package that you changed, lies where the candidate has a conffile for
the first time. An upgrade would ask about a \"file on system created by you or by a script\".

  /etc/tool.conf, written for a tool in /usr/local     and the candidate has a package of it

Rebase keeps yours and puts the candidate's beside it as .dpkg-dist. Are both the same, yours is dropped."
        }
        Class::C8 => {
            "\
A conffile of the profile is in no package of the candidate. Where only the base has it, it goes with the
base and nothing is said.

  /etc/init/tool.conf       after the package left the old way of starting behind

Rebase drops a copy nobody changed. A changed one is kept, and noted as obsolete in dpkg's database, as an
upgrade would: purging the package removes it."
        }
        Class::C9 => {
            "\
The candidate's package says that one of its conffiles is to be removed on upgrade: it does harm, or stands
in the way of its successor (deb-conffiles(5), remove-on-upgrade).

Rebase removes it as dpkg would. Yours, if you changed it, stays beside it with .dpkg-old behind its name."
        }
        Class::C10 => {
            "\
A conffile you changed or deleted belongs to another package in the candidate, and what that ships is what
was shipped to you before.

  /etc/default/tool         from tool to tool-common

Rebase keeps what you did, and the database names the new package. Is it another text too, that is C5 or C6."
        }
        Class::C11 => {
            "\
Some configuration is in no package's list: its maintainer script installs it through ucf, which keeps
checksums of its own in /var/lib/ucf and goes by the same table as dpkg.

  /etc/ssh/sshd_config      edited here, and another one in the candidate

Rebase keeps what you edited. Where the candidate's is another one than the base's, it is put beside yours
with .ucf-dist behind its name. ucf's own records are merged file by file."
        }
        Class::C12 => {
            "\
debconf keeps the answers of all packages in one file. A copy of it in the profile hides what the
candidate's packages were told when the base was built, and the next upgrade would ask again or take a wrong
answer.

  dpkg-reconfigure tzdata      writes /var/cache/debconf/config.dat

Rebase merges the records each by its own: what you answered stays, all else is as the candidate has it."
        }
        Class::C13 => {
            "\
A directory whose files are all read, one after the other, has files of yours, and the candidate brings new
ones.

  /etc/sysctl.d/99-mine.conf, and the candidate brings /etc/sysctl.d/50-base.conf

Both are read after the rebase, in the order of their names. Look whether they set the same thing twice."
        }
        _ => return None,
    })
}
