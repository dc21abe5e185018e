//! How a reserved account is told from one that is used: a number that was given once, whose account an
//! undo took away, is kept by a locked account. These lines are ours, so the proof of an undo leaves
//! them out, each by a mark of its own.

use std::collections::BTreeSet;

use super::ledger::{GROUP, GSHADOW, PASSWD, SHADOW, SUBGID, SUBUID};

/// passwd(5): the comment of a reserved user, which says to people what it is.
pub const COMMENT: &str = "reserved by flipper-profiles";

/// shadow(5), gshadow(5): no password gives this hash, before and after somebody unlocks the account.
pub const LOCKED: &str = "!*flipper-reserved";

/// subuid(5): the owner of a reserved range. And the begin of a name, when another number has the name.
pub const OWNER: &str = "flipper-reserved";

/// The text of one of the account files without its reserved lines. `gshadow` is that of the same root.
pub fn without(inside: &str, text: &[u8], gshadow: &[u8]) -> Vec<u8> {
    let marks = Marks::of(gshadow);
    let lines = text.split_inclusive(|b| *b == b'\n');
    lines.filter(|line| !marks.is_reserved(inside, line)).flatten().copied().collect()
}

/// The reserved groups of a root: a line of group(5) has no place for a mark, its twin in gshadow has it.
pub struct Marks<'a> {
    groups: BTreeSet<&'a [u8]>,
}

impl<'a> Marks<'a> {
    pub fn of(gshadow: &'a [u8]) -> Marks<'a> {
        let lines = gshadow.split(|b| *b == b'\n');
        Marks { groups: lines.filter(|line| is_locked(line)).map(|line| field(line, 0)).collect() }
    }

    /// Is this line of one of the account files ours?
    pub fn is_reserved(&self, inside: &str, line: &[u8]) -> bool {
        match inside {
            PASSWD => field(line, 4).starts_with(COMMENT.as_bytes()),
            SHADOW | GSHADOW => is_locked(line),
            SUBUID | SUBGID => field(line, 0) == OWNER.as_bytes(),
            GROUP => is_locked(line) || self.groups.contains(field(line, 0)),
            _ => false,
        }
    }
}

fn is_locked(line: &[u8]) -> bool {
    field(line, 1) == LOCKED.as_bytes()
}

fn field(line: &[u8], number: usize) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.split(|b| *b == b':').nth(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_lines_are_left_out() {
        let gshadow = b"a:!::\nb:!*flipper-reserved::\n";
        for (inside, text, rest) in [
            (
                PASSWD,
                "r:x:0:0:root:/:/bin/sh\nb:x:1:1:reserved by flipper-profiles:/:/\n",
                "r:x:0:0:root:/:/bin/sh\n",
            ),
            (SHADOW, "r:*:1::::::\nb:!*flipper-reserved:1:::::1:\nlast", "r:*:1::::::\nlast"),
            (GROUP, "a:x:1:\nb:x:2:\nc:!*flipper-reserved:3:\nd:x:4:\n", "a:x:1:\nd:x:4:\n"),
            (SUBUID, "anna:1:2\nflipper-reserved:3:4\n", "anna:1:2\n"),
            ("etc/other", "flipper-reserved:!*flipper-reserved\n", "flipper-reserved:!*flipper-reserved\n"),
        ] {
            assert_eq!(without(inside, text.as_bytes(), gshadow), rest.as_bytes(), "{inside}");
        }
    }
}
