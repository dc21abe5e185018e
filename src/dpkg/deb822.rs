//! Reads paragraphs of `Name: value` fields (Debian policy 5.1) the way dpkg reads its own database
//! (lib/dpkg/parse.c): one pass over the bytes, nothing copied, nothing decoded. Every field comes with
//! its line, so that a parser on top can say where its input is broken.

use memchr::memchr;

use super::error::ParseError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a [u8],
    /// Everything between the colon and the last newline, continuation lines included, untrimmed:
    /// its lines are counted from `line`.
    pub raw: &'a [u8],
    /// The line of the name, from 1.
    pub line: usize,
}

impl<'a> Field<'a> {
    /// Without the blanks at both ends. Of a field whose first line is empty it keeps the newline in
    /// front, as dpkg does, so that it is no value where one word belongs.
    pub fn value(&self) -> &'a [u8] {
        let blanks = self.raw.iter().take_while(|b| **b != b'\n' && is_space(**b)).count();
        self.raw[blanks..].trim_ascii_end()
    }

    /// Field names do not depend on case (policy 5.1).
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Is a last line without its newline a torn file?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLine {
    /// dpkg writes it and refuses a database without it.
    MustEnd,
    /// apt and people's editors do not mind.
    MayBeOpen,
}

/// One pass over the input. `next_field` until it gives None, then `next_paragraph`.
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    line: usize,
    last_line: LastLine,
}

impl<'a> Reader<'a> {
    pub fn new(input: &'a [u8], last_line: LastLine) -> Reader<'a> {
        Reader { input, at: 0, line: 1, last_line }
    }

    /// A piece of a file that was read before, to have its lines counted as they are there.
    pub fn starting_at(piece: &'a [u8], line: usize) -> Reader<'a> {
        Reader { line, ..Reader::new(piece, LastLine::MustEnd) }
    }

    /// The line about to be read, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The offset of the byte about to be read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Skips empty lines. False at the end of the input.
    pub fn next_paragraph(&mut self) -> bool {
        while self.input.get(self.at) == Some(&b'\n') {
            self.at += 1;
            self.line += 1;
        }
        self.at < self.input.len()
    }

    /// The next field of this paragraph; None at the empty line (or the end) behind it. A line of blanks
    /// only does not end a paragraph: in a status, dpkg takes it for a line of the value.
    pub fn next_field(&mut self) -> Result<Option<Field<'a>>, ParseError> {
        if matches!(self.input.get(self.at), None | Some(b'\n')) {
            return Ok(None);
        }
        let (start, line) = (self.at, self.line);
        let first = self.take_line()?;
        let broken = || ParseError::new(line, "a field name and a colon", first);
        let Some(colon) = first.iter().position(|b| *b == b':' || !b.is_ascii_graphic()) else {
            return Err(broken());
        };
        let name = &first[..colon];
        let blanks = first[colon..].iter().take_while(|b| is_space(**b)).count();
        if name.is_empty() || name[0] == b'-' || first.get(colon + blanks) != Some(&b':') {
            return Err(broken());
        }
        let colon = colon + blanks;
        let mut end = start + first.len();
        while self.input.get(self.at).is_some_and(|b| *b != b'\n' && is_space(*b)) {
            self.take_line()?;
            end = self.at;
        }
        // `end` may stand behind the newline of the last continuation line.
        let raw = &self.input[start + colon + 1..end];
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        Ok(Some(Field { name, raw, line }))
    }

    /// The line at hand without its newline; moves behind it.
    fn take_line(&mut self) -> Result<&'a [u8], ParseError> {
        let rest = &self.input[self.at..];
        let length = match memchr(b'\n', rest) {
            Some(length) => length,
            None if self.last_line == LastLine::MayBeOpen => rest.len(),
            None => return Err(ParseError::end(self.line, "a newline behind the last field")),
        };
        self.at = self.input.len().min(self.at + length + 1);
        self.line += 1;
        Ok(&rest[..length])
    }
}

/// What C's isspace calls a space.
fn is_space(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field as `line name=raw`, paragraphs separated by `--`.
    fn read(input: &str, last_line: LastLine) -> Result<Vec<String>, String> {
        let mut reader = Reader::new(input.as_bytes(), last_line);
        let mut seen = Vec::new();
        while reader.next_paragraph() {
            while let Some(f) = reader.next_field().map_err(|e| e.to_string())? {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                seen.push(format!("{} {}={}", f.line, text(f.name), text(f.value())));
            }
            seen.push("--".into());
        }
        Ok(seen)
    }

    #[test]
    fn fields_lines_and_paragraphs() {
        let text = "\n\nA: 1\nB:\n x\n  y\n \n\n\nC : 3 \n";
        let wanted = ["3 A=1", "4 B=\n x\n  y", "--", "10 C=3", "--"];
        assert_eq!(read(text, LastLine::MustEnd).unwrap(), wanted);
        assert!(read("", LastLine::MustEnd).unwrap().is_empty());
        assert!(read("\n\n", LastLine::MustEnd).unwrap().is_empty());
    }

    #[test]
    fn broken_input_names_its_line() {
        for (text, wanted) in [
            ("A: 1", "line 1: expected a newline behind the last field, found the end"),
            ("A: 1\nB", "line 2: expected a newline behind the last field, found the end"),
            ("A: 1\n x", "line 2: expected a newline behind the last field, found the end"),
            ("A: 1\nB\n", "line 2: expected a field name and a colon, found \"B\""),
            ("A: 1\n: x\n", "line 2: expected a field name and a colon, found \": x\""),
            ("-A: 1\n", "line 1: expected a field name and a colon, found \"-A: 1\""),
            ("A b: 1\n", "line 1: expected a field name and a colon, found \"A b: 1\""),
            (" x\n", "line 1: expected a field name and a colon, found \" x\""),
        ] {
            assert_eq!(read(text, LastLine::MustEnd).unwrap_err(), wanted, "{text:?}");
        }
        assert_eq!(read("A: 1", LastLine::MayBeOpen).unwrap(), ["1 A=1", "--"]);
        assert_eq!(read("A: 1\n x", LastLine::MayBeOpen).unwrap(), ["1 A=1\n x", "--"]);
    }
}
