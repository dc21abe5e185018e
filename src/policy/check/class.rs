//! The classes of what a candidate base can do to a profile. Their ids never change: people write them
//! down and programs read them. A class without a text (`explain/`) is not looked at yet, and every
//! verdict says how many those are.

use std::fmt;
use std::str::FromStr;

use super::explain;

macro_rules! classes {
    ($($id:ident $title:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $($id),* }

        impl Class {
            pub const ALL: &[Class] = &[$(Class::$id),*];

            /// `F1`
            pub fn id(self) -> &'static str {
                match self { $(Class::$id => stringify!($id)),* }
            }

            /// A few words, in the singular, without an article: "stale copy of a base file".
            pub fn title(self) -> &'static str {
                match self { $(Class::$id => $title),* }
            }
        }
    };
}

classes! {
    F1 "stale copy of a base file"
    F2 "changed mode, owner or attributes of a base file"
    F3 "changed file of a package"
    F4 "older file that masks the base's"
    F5 "deleted file of the base"
    F6 "whiteout with nothing beneath"
    F7 "directory that hides the base's by accident"
    F8 "directory of the base that was made anew"
    F9 "file, directory or link where the base has another kind"
    F10 "file in a directory the base has no more"
    F11 "frozen attributes of a directory"
    F12 "age of /usr that hides an update"
    F13 "parted names of one file"
    F14 "directory where the base has a link into /usr"
    F15 "local file that the base ships now"
    F16 "generated file changed on both sides"
    F17 "trace of an overlay feature that must not be used"
    F18 "trace of the base that was below"
    F19 "attributes of an overlay for users"
    F20 "file that can be taken for another"
    F21 "subvolume inside the profile"
    F22 "leftover of a package run, socket or device"
    F23 "leftover in the work directory"
    F24 "file below a mount point"
    P1 "outdated package database"
    P2 "package the base drops"
    P3 "package new in the base"
    P4 "base package upgraded in the profile"
    P5 "base package downgraded in the profile"
    P6 "package of the profile that the base has now"
    P7 "base package removed in the profile"
    P8 "removed package with its settings kept"
    P9 "same version with other content"
    P10 "package that is not settled"
    P11 "dependency that would be broken"
    P12 "library that would be missing"
    P13 "file of two packages"
    P14 "files of another Python"
    P15 "files of another Perl, Ruby, PHP or database"
    P16 "package of two architectures out of step"
    P17 "package with another architecture"
    P18 "automatic mark"
    P19 "held package"
    P20 "package source of another release"
    P21 "kernel module or initramfs in the profile"
    P22 "wanted package that would go"
    P23 "essential package removed"
    C1 "unchanged conffile"
    C2 "changed conffile"
    C3 "conffile changed as the base changes it"
    C4 "deleted conffile"
    C5 "deleted conffile that the base changes"
    C6 "conffile changed on both sides"
    C7 "own file where the base has a conffile now"
    C8 "conffile its package has no more"
    C9 "conffile to be removed on upgrade"
    C10 "conffile that moves to another package"
    C11 "configuration under ucf"
    C12 "answer in debconf"
    C13 "drop-in beside new ones"
    C14 "old configuration of a new daemon"
    G1 "diversion"
    G2 "owner or mode by dpkg-statoverride"
    G3 "alternative"
    G4 "trigger database"
    G5 "package records"
    G6 "backup of a package database"
    G7 "state of deb-systemd-helper"
    G8 "enabled, disabled or masked unit"
    G9 "apt's own records"
    G10 "registry made by maintainer scripts"
    A1 "account changed on one side"
    A2 "account of the base with another number"
    A3 "number of two accounts"
    A4 "overlapping subordinate ids"
    A5 "root's password"
    A6 "machine id"
    A7 "key of this machine"
    A8 "name, time zone or mounts of this machine"
    A9 "random seed or stored secret"
    R1 "cache that must be made anew"
    R2 "cache of the dynamic linker"
    R3 "cache of man"
    R4 "cache of fonts"
    R5 "cache of icons"
    R6 "cache of mime types"
    R7 "cache of schemas and modules"
    R8 "certificates of authorities"
    R9 "hardware database or catalog"
    R10 "archive of locales"
    R11 "initramfs"
    R12 "index of documents or bytecode"
    R13 "old lists and caches of apt"
    R14 "logs and mail"
    R15 "data of a service with a format"
    R16 "cache of AppArmor"
    R17 "time in the future"
    U1 "profile changed while it was looked at"
    U2 "base that is gone"
    U3 "point on another base"
    U4 "data shared with a profile of other numbers"
    U5 "room for the new state"
    U6 "older base"
}

impl Class {
    /// What it is, how it comes about, what a rebase does, with an example. None: not looked at.
    pub fn explained(self) -> Option<&'static str> {
        explain::text(self)
    }

    pub fn is_looked_at(self) -> bool {
        self.explained().is_some()
    }
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(out)
    }
}

impl FromStr for Class {
    type Err = ();

    /// In any case: `f1` is F1.
    fn from_str(text: &str) -> Result<Class, ()> {
        Class::ALL.iter().copied().find(|class| class.id().eq_ignore_ascii_case(text)).ok_or(())
    }
}
