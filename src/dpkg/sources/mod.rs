//! Where packages come from: sources.list and sources.list.d (sources.list(5), apt's apt-pkg/sourcelist.cc),
//! as far as a change of the base must know: which suites of which archives, and by which keys they are
//! trusted. The files belong to people: what is changed is a suite's word, everything else stays as it is.

mod deb822;
mod one_line;

use std::borrow::Cow;
use std::ops::Range;

use super::error::ParseError;

/// A stanza, or a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// From 1.
    pub line: usize,
    /// Not behind a `#` and not `Enabled: no`.
    pub enabled: bool,
    pub types: Vec<Type>,
    /// As they are written, `$(ARCH)` not filled in.
    pub uris: Vec<Cow<'a, [u8]>>,
    /// `trixie-updates`; one with a `/` at its end is a directory, which has no components.
    pub suites: Vec<Suite<'a>>,
    pub components: Vec<Cow<'a, [u8]>>,
    /// None: every key the machine trusts will do.
    pub signed_by: Option<SignedBy<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Deb,
    DebSrc,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite<'a> {
    pub name: Cow<'a, [u8]>,
    /// Where it stands in the file.
    place: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedBy<'a> {
    /// Paths of keyrings, which begin with a `/`, and fingerprints.
    Keys(Vec<Cow<'a, [u8]>>),
    /// A key that is in the file itself, its lines without the blanks and dots of the stanza.
    Block(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `deb http://mirror.example/debian trixie main`
    OneLine,
    /// `Types: deb` and so on.
    Deb822,
}

impl Type {
    fn parse(word: &[u8], line: usize) -> Result<Type, ParseError> {
        match word {
            b"deb" => Ok(Type::Deb),
            b"deb-src" => Ok(Type::DebSrc),
            _ => Err(ParseError::new(line, "deb or deb-src", word)),
        }
    }
}

/// Does apt read a file of this name in sources.list.d, and as what?
pub fn style(file_name: &[u8]) -> Option<Style> {
    if !is_read(file_name) {
        return None;
    }
    match extension(file_name)? {
        b"list" => Some(Style::OneLine),
        b"sources" => Some(Style::Deb822),
        _ => None,
    }
}

/// Names apt passes over in its directories, whatever their extension (GetListOfFilesInDir).
pub(super) fn is_read(file_name: &[u8]) -> bool {
    let good = |b: &u8| b.is_ascii_alphanumeric() || b"_-:.".contains(b);
    !file_name.is_empty() && file_name[0] != b'.' && !file_name.ends_with(b".") && file_name.iter().all(good)
}

pub(super) fn extension(file_name: &[u8]) -> Option<&[u8]> {
    let dot = file_name.iter().rposition(|b| *b == b'.')?;
    Some(&file_name[dot + 1..])
}

/// In the order of the file, those that are switched off among them. What is an error to apt is one here; of
/// what is switched off only what can be understood is shown.
pub fn parse(text: &[u8], style: Style) -> Result<Vec<Source<'_>>, ParseError> {
    match style {
        Style::OneLine => one_line::parse(text),
        Style::Deb822 => deb822::parse(text),
    }
}

/// The text with other suites: `change` is given each suite that is read, and says by which word to replace
/// it, if by any. Comments, order and everything else stay.
pub fn with_suites(
    text: &[u8],
    style: Style,
    change: impl Fn(&Source, &[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, ParseError> {
    let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
    for source in &parse(text, style)? {
        // Two stanzas never share a place, and within one they go up.
        for suite in &source.suites {
            if let Some(word) = change(source, &suite.name) {
                out.extend(&text[from..suite.place.start]);
                out.extend(word);
                from = suite.place.end;
            }
        }
    }
    out.extend(&text[from..]);
    Ok(out)
}

/// What apt asks of a source that is switched on.
fn is_whole(source: &Source, line: usize) -> Result<(), ParseError> {
    let has_colon = |uri: &Cow<[u8]>| uri.contains(&b':');
    if source.uris.is_empty() || !source.uris.iter().all(has_colon) {
        let uri = source.uris.iter().find(|uri| !has_colon(uri));
        return Err(ParseError::new(line, "a URI", uri.map_or(b"", |uri| uri)));
    }
    if source.suites.is_empty() {
        return Err(ParseError::new(line, "a suite", b""));
    }
    for suite in &source.suites {
        let is_directory = suite.name.ends_with(b"/");
        if is_directory != source.components.is_empty() {
            let expected = if is_directory { "no component" } else { "a component" };
            return Err(ParseError::new(line, expected, &suite.name));
        }
    }
    Ok(())
}

/// Divided by white space and commas.
fn keys<'a>(words: impl Iterator<Item = Cow<'a, [u8]>>) -> Option<SignedBy<'a>> {
    let cut = |b: &u8| b.is_ascii_whitespace() || *b == b',';
    let parts = |word: Cow<'a, [u8]>| -> Vec<Cow<'a, [u8]>> {
        match word {
            Cow::Borrowed(word) => word.split(cut).map(Cow::Borrowed).collect(),
            Cow::Owned(word) => word.split(cut).map(|part| Cow::Owned(part.to_vec())).collect(),
        }
    };
    let keys: Vec<_> = words.flat_map(parts).filter(|key| !key.is_empty()).collect();
    (!keys.is_empty()).then_some(SignedBy::Keys(keys))
}

#[cfg(test)]
mod tests;
