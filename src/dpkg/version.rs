//! The order of Debian versions, exactly as dpkg has it (Debian policy 5.6.12). It decides what is
//! called an upgrade and what a downgrade, so it is our own code and proved against
//! `dpkg --compare-versions`: the crate debversion disagrees with dpkg where a run of digits is empty.

use std::cmp::Ordering;

/// Compares `[epoch:]upstream[-revision]`. An absent epoch is 0 and an absent revision equals `0`, so
/// different texts can be equal (`1.0`, `0:1.0-0`): compare texts too where that matters. What dpkg
/// refuses as a version (an epoch that is no number, an empty revision) gets an order all the same.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    compare_numbers(a.epoch, b.epoch)
        .then_with(|| compare_part(a.upstream, b.upstream))
        .then_with(|| compare_part(a.revision, b.revision))
}

struct Parts<'a> {
    /// Digits only; empty when there is none.
    epoch: &'a [u8],
    upstream: &'a [u8],
    /// What follows the last `-`; empty when there is none.
    revision: &'a [u8],
}

impl Parts<'_> {
    fn of(text: &str) -> Parts<'_> {
        let text = text.trim_ascii().as_bytes();
        let (epoch, rest) = match text.iter().position(|b| *b == b':') {
            Some(at) if text[..at].iter().all(u8::is_ascii_digit) => (&text[..at], &text[at + 1..]),
            _ => (&text[..0], text),
        };
        let (upstream, revision) = match rest.iter().rposition(|b| *b == b'-') {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[..0]),
        };
        Parts { epoch, upstream, revision }
    }
}

/// Alternates between a run without digits and a run of digits until both sides are used up.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_text, b_text) = (take_run(&mut a, false), take_run(&mut b, false));
        let (a_digits, b_digits) = (take_run(&mut a, true), take_run(&mut b, true));
        let order = compare_text(a_text, b_text).then_with(|| compare_numbers(a_digits, b_digits));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Cuts the longest run of digits (or of anything else) off the front; it may be empty.
fn take_run<'a>(rest: &mut &'a [u8], digits: bool) -> &'a [u8] {
    let all: &'a [u8] = rest;
    let end = all.iter().position(|b| b.is_ascii_digit() != digits).unwrap_or(all.len());
    let (run, after) = all.split_at(end);
    *rest = after;
    run
}

/// `~` sorts before the end, the end before letters, letters before everything else.
fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        None => 0,
        Some(b'~') => -1,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    };
    let longer = a.len().max(b.len());
    (0..longer)
        .map(|i| weight(a.get(i)).cmp(&weight(b.get(i))))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Digits of any length, without overflow; an empty run counts as 0.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |run: &[u8]| run.iter().position(|d| *d != b'0').unwrap_or(run.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_dpkgs_order() {
        let table = "
            1.0 < 1.1
            1.9 < 1.10
            1.0 = 1.0
            1.0 = 1.0-0
            1.0 = 0:1.0
            1.0 = 00:1.0-00
            1.0-1 > 1.0
            1:0.1 > 9.9
            2:1 > 1:9
            10:1 > 9:1
            1.0~rc1 < 1.0
            1.0~~ < 1.0~
            1.0~~a < 1.0~
            1.0-1~bpo12+1 < 1.0-1
            1.0+b1 > 1.0
            1.0a < 1.0b
            1.0Z < 1.0a
            1.0a < 1.0+
            1.0+1-1 < 1.0-1-1
            1.0+ < 1.0.
            1.0-1 < 1.0-1+b1
            1.0-1 < 1.0-1.1
            1.2-3-4 > 1.2-3
            1.2-3-4 > 1.2-2-9
            007 = 7
            1.00000000000000000000000000001 < 1.00000000000000000000000000002
            99999999999999999999999999999999 > 9999999999999999999999999999999
            1.16.2+ds-1+b3 > 1.16.2+ds0-1
            0~ = 0~0
            1.0. = 1.0.0
            2:0b = 2:0b0
            0-~ < 0
            1:1:2 > 1:1
            2023-01-01-1 < 2023-01-02-1
            6.1.115-1 < 6.1.119-1
            1.0_1 > 1.0
            x1 > 1
        ";
        let rows: Vec<_> = table.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        assert!(rows.len() > 30);
        for row in rows {
            let words: Vec<_> = row.split(' ').collect();
            let wanted = match words[1] {
                "<" => Ordering::Less,
                "=" => Ordering::Equal,
                _ => Ordering::Greater,
            };
            assert_eq!(compare(words[0], words[2]), wanted, "{row}");
            assert_eq!(compare(words[2], words[0]), wanted.reverse(), "{row}, turned round");
        }
    }

    #[test]
    fn what_is_no_version_still_has_an_order() {
        for odd in ["", ":", "-", "a:1", "1:", "1.0-", "ä", "--", "::", " 1 "] {
            assert_eq!(compare(odd, odd), Ordering::Equal);
            assert_eq!(compare(odd, "1.5"), compare("1.5", odd).reverse(), "{odd:?}");
        }
    }
}
