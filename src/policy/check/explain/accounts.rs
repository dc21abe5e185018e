//! Classes A.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::A1 => {
            "\
A profile that ever made an account has its own copies of /etc/passwd, /etc/group and the shadow files. Over
another base they would hide what the candidate added, changed or dropped.

  adduser anna       from then on a new system user of a later base would be missing

Rebase merges them by name and field by field: what you changed stays, what the candidate changed comes,
and a user never loses its line in shadow. Did both change one field, yours stays and you are told. An
account you removed stays away; when the candidate has files for it and the old base had none, that is
refused until you decide, for those files would belong to nobody."
        }
        Class::A2 => {
            "\
An account has one number in your base and another one in the candidate. The candidate's files bear the
new number; what the account owns in the profile bears the old one, which may be somebody else's there.

  messagebus is 100 in Debian 12 and 997 in Debian 13

Rebase takes the candidate's number and gives everything the account owns in the profile to it, ACLs too.
Files outside the profile, in /home or on another disk, keep their number: for the account of a person you
are told, because those are yours to change."
        }
        Class::A3 => {
            "\
The candidate gives a number to one account, and the profile has it for another. Without a rebase the one
could read and run what is the other's.

  adduser --system --group svc      gets 997; in the candidate 997 is messagebus, and a program that only
                                    messagebus may start could be started by svc

Rebase gives the profile's account a free number and takes what it owns in the profile along. Files that
belong to a number without a name are left as they are, and named."
        }
        Class::A4 => {
            "\
Subordinate ids are the numbers an account may use inside its containers (/etc/subuid, /etc/subgid). Two
accounts with one range could each act as the other there.

  anna:100000:65536 in the profile, and the candidate has builder:100000:65536

This is refused: which of the two keeps its containers, nobody here can know. Give one another range with
usermod --del-subuids and --add-subuids, and change the owner of what its containers left."
        }
        Class::A5 => {
            "\
The password of root. You set one, or locked it, and the candidate changed its own. Yours stays: nobody is
locked out by a new base. Did only the candidate change it, its is taken.

Whether root is locked by `*`, `!` or both makes no difference and is not told."
        }
        _ => return None,
    })
}
