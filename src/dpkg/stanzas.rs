//! Paragraphs as people write them for apt (.sources, preferences; apt's apt-pkg/tagfile.cc): there may be
//! comments anywhere, also within a value, and the last line needs no end. dpkg's own files are stricter and
//! far larger: those are read by `deb822`.

use super::error::ParseError;

#[derive(Clone, Debug)]
pub(super) struct Stanza<'a> {
    /// Of its first field, from 1.
    pub(super) line: usize,
    fields: Vec<(&'a [u8], Vec<&'a [u8]>)>,
}

impl<'a> Stanza<'a> {
    /// The lines of a value, each without the blanks at both ends. Of two fields with one name the later
    /// one counts.
    pub(super) fn lines(&self, name: &str) -> Option<&[&'a [u8]]> {
        let field = self.fields.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        field.map(|(_, lines)| &lines[..])
    }

    /// Divided by white space.
    pub(super) fn words(&self, name: &str) -> Vec<&'a [u8]> {
        let lines = self.lines(name).unwrap_or_default().iter();
        lines.flat_map(|line| line.split(u8::is_ascii_whitespace)).filter(|word| !word.is_empty()).collect()
    }

    /// A value that is one line; the first of it.
    pub(super) fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.lines(name)?.iter().find(|line| !line.is_empty()).copied()
    }
}

/// Paragraphs of comments only are none.
pub(super) fn parse(input: &[u8]) -> Result<Vec<Stanza<'_>>, ParseError> {
    let (mut found, mut current) = (Vec::new(), None::<Stanza>);
    for (at, text) in input.split(|b| *b == b'\n').enumerate() {
        let (line, text) = (at + 1, text.strip_suffix(b"\r").unwrap_or(text));
        if text.is_empty() {
            found.extend(current.take());
            continue;
        }
        if text[0] == b'#' {
            continue;
        }
        let stanza = current.get_or_insert_with(|| Stanza { line, fields: Vec::new() });
        if text[0].is_ascii_whitespace() {
            let (_, lines) = stanza.fields.last_mut().ok_or_else(|| broken(text, line))?;
            lines.push(text.trim_ascii());
            continue;
        }
        let colon = text.iter().position(|b| *b == b':').filter(|at| *at > 0);
        let (name, value) = text.split_at(colon.ok_or_else(|| broken(text, line))?);
        stanza.fields.push((name.trim_ascii_end(), vec![value[1..].trim_ascii()]));
    }
    found.extend(current);
    Ok(found)
}

fn broken(text: &[u8], line: usize) -> ParseError {
    ParseError::new(line, "a field name and a colon", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_may_be_anywhere() {
        let text = b"# top\n\n# a\nA: 1\n# in between\nB :\n x y\n# in it\n\tz \r\nA: 2\n\r\n#\n\nC:3";
        let found = parse(text).unwrap();
        assert_eq!((found.len(), found[0].line, found[1].line), (2, 4, 14));
        assert_eq!(found[0].words("b"), [&b"x"[..], b"y", b"z"]);
        assert_eq!((found[0].value("A"), found[1].value("c")), (Some(&b"2"[..]), Some(&b"3"[..])));
        assert_eq!((found[0].value("C"), parse(b"#\n").unwrap().len()), (None, 0));
        for (bad, line) in [("A: 1\nx\n", 2), (" x\n", 1), ("A: 1\n\n: x\n", 3)] {
            assert_eq!(parse(bad.as_bytes()).unwrap_err().line, line, "{bad:?}");
        }
    }
}
