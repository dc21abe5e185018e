//! Line by line, as dpkg's fgets_checked (lib/dpkg/utils.c) reads the small files of its database: each
//! line has an end, none holds a NUL, and none is longer than dpkg's buffer. What dpkg cannot read back
//! must never be written.

use memchr::memchr;

use super::error::ParseError;

/// The lines with their numbers, from 1. `longest` is the size of dpkg's buffer, in which the newline
/// and a NUL have their place.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
    longest: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a [u8], longest: usize) -> Lines<'a> {
        Lines { rest: input, line: 0, longest }
    }

    /// For a record of several lines.
    pub(super) fn must(&mut self, expected: &str) -> Result<(usize, &'a [u8]), ParseError> {
        self.next().unwrap_or_else(|| Err(ParseError::end(self.line + 1, expected)))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<(usize, &'a [u8]), ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let Some(length) = memchr(b'\n', self.rest) else {
            self.rest = b"";
            return Some(Err(ParseError::end(self.line, "a newline behind the last line")));
        };
        let text = &self.rest[..length];
        self.rest = &self.rest[length + 1..];
        if memchr(0, text).is_some() {
            return Some(Err(ParseError::new(self.line, "a line without a NUL", text)));
        }
        if text.len() + 2 > self.longest {
            return Some(Err(ParseError::new(self.line, "a line that dpkg has room for", text)));
        }
        Some(Ok((self.line, text)))
    }
}

/// What dpkg's c_iswhite calls white, within a line.
pub(super) fn is_white(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without the white at both ends.
pub(super) fn trim_white(text: &[u8]) -> &[u8] {
    let start = text.iter().take_while(|b| is_white(b)).count();
    let end = text[start..].iter().rev().take_while(|b| is_white(b)).count();
    &text[start..text.len() - end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_end_and_no_nul() {
        let read = |text| Lines::new(text, 8).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string());
        assert_eq!(read(b"").unwrap(), []);
        assert_eq!(read(b"a\n\n123456\n").unwrap(), [(1, &b"a"[..]), (2, b""), (3, b"123456")]);
        assert_eq!(
            read(b"a\nb").unwrap_err(),
            "line 2: expected a newline behind the last line, found the end"
        );
        assert!(read(b"a\n\0\n").is_err_and(|e| e.starts_with("line 2: expected a line without a NUL")));
        assert!(read(b"1234567\n").is_err_and(|e| e.starts_with("line 1: expected a line that dpkg has")));
        assert_eq!(trim_white(b" \t a b\t"), b"a b");
        assert_eq!(trim_white(b" \t "), b"");
    }
}
