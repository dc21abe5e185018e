//! What `dpkg --verify` says (dpkg(1), "--verify-format rpm"): nine characters of which the third tells of the
//! checksum, or the word `missing`; then `c` for a conffile, then the path.

use super::error::ParseError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub is_missing: bool,
    pub is_conffile: bool,
    /// Absolute.
    pub path: &'a [u8],
}

pub fn parse(input: &[u8]) -> Result<Vec<Line<'_>>, ParseError> {
    let lines = input.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(at, line)| one(line).ok_or_else(|| ParseError::new(at + 1, "a line of dpkg --verify", line)))
        .collect()
}

/// `??5?????? c /etc/hosts`, `missing     /usr/bin/cat (Permission denied)`
fn one(line: &[u8]) -> Option<Line<'_>> {
    let word = line.iter().position(|b| *b == b' ')?;
    let (word, rest) = line.split_at(word);
    let slash = rest.iter().position(|b| *b == b'/')?;
    let (attribute, mut path) = rest.split_at(slash);
    let is_missing = word == b"missing";
    if let Some(at) = memchr::memmem::rfind(path, b" (").filter(|_| is_missing && path.ends_with(b")")) {
        path = &path[..at];
    }
    let known = is_missing || word.len() == 9;
    known.then_some(Line { is_missing, is_conffile: attribute.contains(&b'c'), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dpkg_says() {
        let text =
            b"??5?????? c /etc/a b\nmissing     /usr/share/doc/x\nmissing   c /etc/c (Permission denied)\n";
        let found = parse(text).unwrap();
        let line = |is_missing, is_conffile, path: &'static str| Line {
            is_missing,
            is_conffile,
            path: path.as_bytes(),
        };
        assert_eq!(
            found,
            [
                line(false, true, "/etc/a b"),
                line(true, false, "/usr/share/doc/x"),
                line(true, true, "/etc/c")
            ]
        );
        assert_eq!(parse(b"").unwrap(), []);
        assert_eq!(parse(b"dpkg: error\n").unwrap_err().line, 1);
    }
}
