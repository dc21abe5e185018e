//! What every parser of a Debian format says about broken input: where, what belongs there, what is
//! there. It holds no path, because parsers know bytes only; the caller adds the path.

use std::fmt;

/// "line 17: expected a package name, found "../etc""
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    pub expected: String,
    /// Never longer than 60 characters, and always printable.
    pub found: String,
}

impl ParseError {
    /// `found` is quoted, made printable and cut.
    pub fn new(line: usize, expected: &str, found: &[u8]) -> ParseError {
        let cut = &found[..found.len().min(200)];
        let mut shown = format!("{:?}", String::from_utf8_lossy(cut));
        if shown.chars().count() > 60 {
            shown = shown.chars().take(57).chain("...".chars()).collect();
        }
        ParseError { line, expected: expected.to_owned(), found: shown }
    }

    /// The input stops where more had to come.
    pub fn end(line: usize, expected: &str) -> ParseError {
        ParseError { line, expected: expected.to_owned(), found: "the end".to_owned() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: expected {}, found {}", self.line, self.expected, self.found)
    }
}

impl std::error::Error for ParseError {}

/// A package name as dpkg takes it (pkg_name_is_illegal): a letter or digit, then those and `-+._`.
/// Wider than policy 5.6.1, which forbids capitals and `_`. Such a name can never leave a directory.
pub(super) fn package_name(bytes: &[u8], line: usize) -> Result<&str, ParseError> {
    let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    if first && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(b)) {
        return text(bytes, line, "a package name");
    }
    Err(ParseError::new(line, "a package name", bytes))
}

/// An architecture name (dpkg_arch_name_is_illegal): a letter or digit, then those and `-`.
pub(super) fn architecture_name(bytes: &[u8], line: usize) -> Result<&str, ParseError> {
    let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    if first && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
        return text(bytes, line, "an architecture");
    }
    Err(ParseError::new(line, "an architecture", bytes))
}

/// A version: one printable ASCII word. Its order is the business of `version::compare`.
pub(super) fn version_word(bytes: &[u8], line: usize) -> Result<&str, ParseError> {
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic) {
        return text(bytes, line, "a version");
    }
    Err(ParseError::new(line, "a version", bytes))
}

fn text<'a>(bytes: &'a [u8], line: usize, expected: &str) -> Result<&'a str, ParseError> {
    std::str::from_utf8(bytes).map_err(|_| ParseError::new(line, expected, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_always_short_and_printable() {
        let error = ParseError::new(3, "a package name", &[b'\x1b', 0xff, b'\n']);
        assert_eq!(error.to_string(), "line 3: expected a package name, found \"\\u{1b}\u{fffd}\\n\"");
        assert!(ParseError::new(1, "x", &[0xff; 5000]).found.chars().count() <= 60);
    }

    #[test]
    fn a_name_cannot_leave_its_directory() {
        for good in ["dpkg", "libstdc++6", "0ad", "a.b_c-d+e", "X11"] {
            assert!(package_name(good.as_bytes(), 1).is_ok(), "{good}");
        }
        for bad in [&b""[..], b".", b"..", b"../x", b"a/b", b"-x", b"a b", b"a\n", b"\xff", b"a:i386"] {
            assert!(package_name(bad, 1).is_err(), "{bad:?}");
        }
    }
}
