//! How a reserved account is told from one that is used: a number that was given once, whose account an
//! undo took away, is kept by a locked account. These lines are ours, so the proof of an undo leaves
//! them out, each by a mark of its own.

use super::ledger::{GROUP, GSHADOW, PASSWD, SHADOW, SUBGID, SUBUID};

/// passwd(5): the comment of a reserved user, which says to people what it is.
pub const COMMENT: &str = "reserved by flipper-profiles";

/// shadow(5), gshadow(5): no password gives this hash, before and after somebody unlocks the account.
pub const LOCKED: &str = "!*flipper-reserved";

/// subuid(5): the owner of a reserved range. And the begin of a name, when another number has the name.
pub const OWNER: &str = "flipper-reserved";

/// The text of one of the account files without its reserved lines. A line of group(5) has no place for
/// a mark: its twin in `gshadow` has it.
pub fn without(inside: &str, text: &[u8], gshadow: &[u8]) -> Vec<u8> {
    text.split_inclusive(|b| *b == b'\n')
        .filter(|line| !is_reserved(inside, line, gshadow))
        .flatten()
        .copied()
        .collect()
}

/// Is this line of one of the account files ours?
pub fn is_reserved(inside: &str, line: &[u8], gshadow: &[u8]) -> bool {
    match inside {
        PASSWD => field(line, 4).starts_with(COMMENT.as_bytes()),
        SHADOW | GSHADOW => field(line, 1) == LOCKED.as_bytes(),
        SUBUID | SUBGID => field(line, 0) == OWNER.as_bytes(),
        GROUP => {
            let twin =
                |other: &[u8]| field(other, 0) == field(line, 0) && field(other, 1) == LOCKED.as_bytes();
            field(line, 1) == LOCKED.as_bytes() || gshadow.split(|b| *b == b'\n').any(twin)
        }
        _ => false,
    }
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
