//! `Types: deb` and so on (sourcelist.cc, ParseStanza).

use std::borrow::Cow;
use std::ops::Range;

use super::super::error::ParseError;
use super::super::stanzas::{self, Stanza};
use super::{SignedBy, Source, Suite, Type, is_whole, keys};

pub(super) fn parse(text: &[u8]) -> Result<Vec<Source<'_>>, ParseError> {
    stanzas::parse(text)?.iter().map(|stanza| source(text, stanza)).collect()
}

fn source<'a>(text: &'a [u8], stanza: &Stanza<'a>) -> Result<Source<'a>, ParseError> {
    let line = stanza.line;
    if stanza.lines("Types").is_none() {
        return Err(ParseError::new(line, "a stanza with Types", b""));
    }
    let borrowed = |name| stanza.words(name).into_iter().map(Cow::Borrowed).collect();
    let suite = |name: &'a [u8]| Suite { name: Cow::Borrowed(name), place: place(text, name) };
    let types = stanza.words("Types").into_iter().map(|word| Type::parse(word, line));
    let source = Source {
        line,
        enabled: !stanza.value("Enabled").is_some_and(is_no),
        types: types.collect::<Result<_, _>>()?,
        uris: borrowed("URIs"),
        suites: stanza.words("Suites").into_iter().map(suite).collect(),
        components: borrowed("Components"),
        signed_by: stanza.lines("Signed-By").and_then(signed_by),
    };
    if source.enabled && !source.types.is_empty() {
        is_whole(&source, line)?;
    }
    Ok(source)
}

/// Where a piece of the text stands in it.
fn place(text: &[u8], piece: &[u8]) -> Range<usize> {
    let start = piece.as_ptr() as usize - text.as_ptr() as usize;
    start..start + piece.len()
}

/// What apt's StringToBool takes for no; what it does not understand is yes.
fn is_no(value: &[u8]) -> bool {
    let words: [&[u8]; 5] = [b"no", b"false", b"without", b"off", b"disable"];
    let zero = !value.is_empty() && value.iter().all(|b| *b == b'0');
    zero || words.iter().any(|word| word.eq_ignore_ascii_case(value))
}

fn signed_by<'a>(lines: &[&'a [u8]]) -> Option<SignedBy<'a>> {
    const BEGIN: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
    if !lines.iter().any(|line| memchr::memmem::find(line, BEGIN).is_some()) {
        return keys(lines.iter().map(|line| Cow::Borrowed(*line)));
    }
    let mut block = Vec::new();
    for line in lines.iter().skip_while(|line| line.is_empty()) {
        block.extend(if *line == b"." { b"" } else { *line });
        block.push(b'\n');
    }
    Some(SignedBy::Block(block))
}
