//! Triggers that were activated and not yet noted in the status: /var/lib/dpkg/triggers/Unincorp
//! (dpkg's lib/dpkg/trigdeferred.c). Mostly empty; a killed dpkg leaves it so, and the next run takes it in.

use super::super::error::ParseError;
use super::super::lines::{Lines, is_white, trim_white};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferred<'a> {
    pub trigger: &'a [u8],
    /// The packages that wait for it, `libc6:amd64` or `man-db`; `-` is nobody.
    pub awaiting: Vec<&'a [u8]>,
}

/// _POSIX2_LINE_MAX
const LONGEST: usize = 2048;

/// Comments and empty lines are passed over.
pub fn parse(input: &[u8]) -> Result<Vec<Deferred<'_>>, ParseError> {
    let mut found = Vec::new();
    for line in Lines::new(input, LONGEST) {
        let (line, text) = line?;
        let text = trim_white(text);
        if text.is_empty() || text[0] == b'#' {
            continue;
        }
        let text = text.split(|b| *b == b'#').next().map_or(text, trim_white);
        let mut words = text.split(is_white).filter(|word| !word.is_empty());
        let trigger = words.next().filter(|word| word.iter().all(u8::is_ascii_graphic));
        let trigger = trigger.ok_or_else(|| ParseError::new(line, "a trigger", text))?;
        let awaiting: Vec<&[u8]> = words.collect();
        if awaiting.is_empty() || !awaiting.iter().all(|word| is_awaiting(word)) {
            return Err(ParseError::new(line, "the packages that wait for it", text));
        }
        found.push(Deferred { trigger, awaiting });
    }
    Ok(found)
}

fn is_awaiting(word: &[u8]) -> bool {
    let first = word[0].is_ascii_lowercase() || word[0].is_ascii_digit();
    let rest = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-:+.".contains(b);
    word == b"-" || (first && word.iter().all(rest))
}

pub fn write(deferred: &[Deferred]) -> Vec<u8> {
    let mut out = Vec::new();
    for one in deferred {
        out.extend(one.trigger);
        for word in &one.awaiting {
            out.push(b' ');
            out.extend(*word);
        }
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits() {
        let text = b"/usr/share/man -\nldconfig libc6:amd64 man-db\n";
        let found = parse(text).unwrap();
        assert_eq!(found[1].awaiting, [&b"libc6:amd64"[..], b"man-db"]);
        assert_eq!(write(&found), text);
        assert_eq!(parse(b"# x\n\n \t\n  a\t b  c # d\n").unwrap()[0].awaiting.len(), 2);
        for bad in ["a\n", "a B\n", "a -b\n", "a b_c\n", "\u{e9} b\n", "a b"] {
            assert_eq!(parse(format!("x y\n{bad}").as_bytes()).unwrap_err().line, 2, "{bad:?}");
        }
    }
}
