//! `deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://example.org/debian trixie main`, word by
//! word as apt reads it (sourcelist.cc, ParseFileOldStyle; strutl.cc, ParseQuoteWord).

use std::borrow::Cow;
use std::ops::Range;

use super::super::error::ParseError;
use super::{Source, Suite, Type, is_whole, keys};

pub(super) fn parse(text: &[u8]) -> Result<Vec<Source<'_>>, ParseError> {
    let (mut found, mut start) = (Vec::new(), 0);
    for (at, whole) in text.split(|b| *b == b'\n').enumerate() {
        let (line, end) = (at + 1, start + whole.len());
        let code = start..start + before_comment(whole);
        match trimmed(text, code.clone()) {
            place if !place.is_empty() => found.push(source(text, place, line)?),
            // What is behind the first # may be a source that was switched off.
            _ => found.extend(switched_off(text, code.end..end, line)),
        }
        start = end + 1;
    }
    Ok(found)
}

/// A # within an option is none.
fn before_comment(line: &[u8]) -> usize {
    let mut open = 0_i64;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'[' => open += 1,
            b']' => open -= 1,
            b'#' if open <= 0 => return at,
            _ => {}
        }
    }
    line.len()
}

fn trimmed(text: &[u8], place: Range<usize>) -> Range<usize> {
    let blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r');
    let inside = &text[place.clone()];
    let front = inside.iter().take_while(blank).count();
    let back = inside[front..].iter().rev().take_while(blank).count();
    place.start + front..place.end - back
}

fn switched_off(text: &[u8], comment: Range<usize>, line: usize) -> Option<Source<'_>> {
    let signs = text[comment.clone()].iter().take_while(|b| matches!(b, b'#' | b' ' | b'\t')).count();
    let rest = comment.start + signs..comment.end;
    let code = rest.start..rest.start + before_comment(&text[rest]);
    let source = source(text, trimmed(text, code), line).ok()?;
    Some(Source { enabled: false, ..source })
}

fn source(text: &[u8], place: Range<usize>, line: usize) -> Result<Source<'_>, ParseError> {
    let whole = &text[place.clone()];
    let broken = |expected: &str| ParseError::new(line, expected, whole);
    let end = whole.iter().position(|b| matches!(b, b' ' | b'\t' | 0x0b));
    let end = end.ok_or_else(|| broken("a type and a URI"))?;
    let kind = Type::parse(&whole[..end], line)?;
    let mut words = Words { text: &text[..place.end], at: place.start + end };
    words.skip_space();
    let mut signed_by = None;
    if words.peek() == Some(b'[') {
        signed_by = words.options(line)?;
    }
    let (uri, _) = words.next().ok_or_else(|| broken("a URI"))?;
    let (name, place) = words.next().ok_or_else(|| broken("a suite"))?;
    let components = std::iter::from_fn(|| words.next().map(|(word, _)| word)).collect();
    let suites = vec![Suite { name, place }];
    let source =
        Source { line, enabled: true, types: vec![kind], uris: vec![uri], suites, components, signed_by };
    is_whole(&source, line)?;
    Ok(source)
}

struct Words<'a> {
    /// The file up to the end of the line.
    text: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// The next word, with its quotes and %-signs resolved, and where it stands. None at the end, and where
    /// a quote or a bracket is not closed.
    fn next(&mut self) -> Option<(Cow<'a, [u8]>, Range<usize>)> {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
        let (start, mut at) = (self.at, self.at);
        while let Some(byte) = self.text.get(at).filter(|b| !is_space(**b)) {
            let close = match byte {
                b'"' => Some(b'"'),
                b'[' => Some(b']'),
                _ => None,
            };
            if let Some(close) = close {
                at += 1 + memchr::memchr(close, &self.text[at + 1..])?;
            }
            at += 1;
        }
        self.peek()?;
        self.at = at;
        self.skip_space();
        Some((resolved(&self.text[start..at]), start..at))
    }

    /// `[ name=value ... ]`; the bracket at the end may stand right behind a value. Gives what is said of
    /// signed-by.
    fn options(&mut self, line: usize) -> Result<Option<super::SignedBy<'a>>, ParseError> {
        self.at += 1;
        self.skip_space();
        let mut signed_by = None;
        while self.peek() != Some(b']') {
            let broken = |found: &[u8]| ParseError::new(line, "name=value and a ] at the end", found);
            let rest = &self.text[self.at..];
            let (mut option, place) = self.next().ok_or_else(|| broken(rest))?;
            if option.len() < 3 {
                return Err(broken(&option));
            }
            if option.ends_with(b"]") {
                // A quote may stand behind it, and one that was made of %5d is none.
                let raw = self.text[place.clone()].iter().rposition(|b| *b == b']');
                self.at = place.start + raw.ok_or_else(|| broken(&option))?;
                let length = option.len() - 1;
                option = cut(option, 0..length);
            }
            let equals =
                option.iter().position(|b| *b == b'=').filter(|at| (1..option.len() - 1).contains(at));
            let equals = equals.ok_or_else(|| broken(&option))?;
            if &option[..equals] == b"signed-by" {
                let length = option.len();
                signed_by = keys(std::iter::once(cut(option, equals + 1..length)));
            }
        }
        self.at += 1;
        self.skip_space();
        Ok(signed_by)
    }
}

fn cut(word: Cow<'_, [u8]>, place: Range<usize>) -> Cow<'_, [u8]> {
    match word {
        Cow::Borrowed(word) => Cow::Borrowed(&word[place]),
        Cow::Owned(word) => Cow::Owned(word[place].to_vec()),
    }
}

/// Without quotes, and with %20 made a blank.
fn resolved(word: &[u8]) -> Cow<'_, [u8]> {
    if !word.iter().any(|b| matches!(b, b'"' | b'%')) {
        return Cow::Borrowed(word);
    }
    let digit = |at: usize| word.get(at).and_then(|b| (*b as char).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while at < word.len() {
        match (word[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'"', ..) => {}
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(out)
}

/// C's isspace.
fn is_space(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}
