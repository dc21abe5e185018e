//! From the bytes of a field to its alternatives, by dpkg's rules: what dpkg refuses is an error, what it only
//! warns of is read as it reads it.

use super::super::deb822::Field;
use super::super::error::{ParseError, architecture_name, package_name, version_word};
use super::{Alternative, Kind, Operator};

/// Reads a field alternative by alternative; nothing comes after an error.
pub struct Relations<'a> {
    kind: Kind,
    value: &'a [u8],
    at: usize,
    /// Where the word or sign that is being read begins.
    looked_at: usize,
    /// The field's.
    line: usize,
    /// A comma or a `|` was read: something must follow. So must it at the beginning, unless nothing is there.
    open: bool,
}

impl<'a> Relations<'a> {
    pub fn new(kind: Kind, field: &Field<'a>) -> Relations<'a> {
        let value = field.value();
        Relations { kind, value, at: 0, looked_at: 0, line: field.line, open: !value.is_empty() }
    }

    fn next_alternative(&mut self) -> Result<Alternative<'a>, ParseError> {
        let name = package_name(self.word(b":(,|"), 0)?;
        let architecture = match self.peek() {
            Some(b':') => {
                self.at += 1;
                Some(architecture_name(self.word(b"(,|"), 0)?)
            }
            _ => None,
        };
        self.skip_spaces();
        let version = match self.peek() {
            Some(b'(') => Some(self.version()?),
            _ => None,
        };
        self.skip_spaces();
        let last = match self.peek() {
            None | Some(b',') => true,
            Some(b'|') if self.kind.has_alternatives() => false,
            Some(b'|') => return Err(self.expected("no alternatives in this field")),
            Some(_) => return Err(self.expected("a comma behind a package")),
        };
        self.open = self.peek().is_some();
        self.at += usize::from(self.open);
        self.skip_spaces();
        Ok(Alternative { name, architecture, version, last })
    }

    /// From `(` to behind `)`. A lone `<` is `<=`, and no operator at all is `=`, as dpkg has it.
    fn version(&mut self) -> Result<(Operator, &'a str), ParseError> {
        self.at += 1;
        self.skip_spaces();
        let (operator, length) = match &self.value[self.at..] {
            [b'<', b'=', ..] => (Operator::EarlierOrEqual, 2),
            [b'>', b'=', ..] => (Operator::LaterOrEqual, 2),
            [b'<', b'<', ..] => (Operator::Earlier, 2),
            [b'>', b'>', ..] => (Operator::Later, 2),
            [b'<', b'>', ..] | [b'>', b'<', ..] => return Err(self.expected("one of << <= = >= >>")),
            [b'<', ..] => (Operator::EarlierOrEqual, 1),
            [b'>', ..] => (Operator::LaterOrEqual, 1),
            [b'=', ..] => (Operator::Equal, 1),
            _ => (Operator::Equal, 0),
        };
        self.at += length;
        self.skip_spaces();
        let version = version_word(self.word(b"()"), 0)?;
        self.skip_spaces();
        if self.peek() != Some(b')') {
            return Err(self.expected("a parenthesis behind the version"));
        }
        self.at += 1;
        Ok((operator, version))
    }

    /// Up to a space or one of `ends`; it may be empty.
    fn word(&mut self, ends: &[u8]) -> &'a [u8] {
        self.looked_at = self.at;
        let rest = &self.value[self.at..];
        let end = rest.iter().position(|b| is_space(*b) || ends.contains(b)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn peek(&self) -> Option<u8> {
        self.value.get(self.at).copied()
    }

    /// Newlines too: continuation lines are nothing special here.
    fn skip_spaces(&mut self) {
        self.at += self.value[self.at..].iter().take_while(|b| is_space(**b)).count();
    }

    /// `next` puts the line in.
    fn expected(&mut self, what: &str) -> ParseError {
        self.looked_at = self.at;
        match &self.value[self.at..] {
            [] => ParseError::end(0, what),
            rest => ParseError::new(0, what, rest),
        }
    }
}

impl<'a> Iterator for Relations<'a> {
    type Item = Result<Alternative<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let next = self.next_alternative();
        self.open &= next.is_ok();
        // Lines are counted for an error only: a field may be as long as a page.
        Some(next.map_err(|error| {
            let before = &self.value[..self.looked_at];
            ParseError { line: self.line + before.iter().filter(|b| **b == b'\n').count(), ..error }
        }))
    }
}

/// What C's isspace calls a space.
fn is_space(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}
