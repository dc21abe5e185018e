//! debconf's answers and questions: /var/cache/debconf/config.dat, passwords.dat and templates.dat, as its
//! File driver reads and writes them (Debconf/Format/822.pm, DbDriver/File.pm). One record to a paragraph,
//! sorted by name; values keep their `\n` as two characters, so nothing is copied.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use super::error::ParseError;

/// A question with its answer, or a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item<'a> {
    /// Template, Value, Type, Default, Description, ...: every other field there is, by its name in small
    /// letters.
    pub fields: BTreeMap<String, &'a [u8]>,
    /// The packages that use it. Without one debconf forgets it.
    pub owners: BTreeSet<&'a [u8]>,
    /// `seen`: the person was asked.
    pub flags: BTreeSet<&'a [u8]>,
    /// What is filled in for `${choices}` and its like.
    pub variables: BTreeMap<&'a [u8], &'a [u8]>,
}

/// By name, e.g. `debconf/priority`. Of two records with one name the later one counts, as it does for
/// debconf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database<'a> {
    pub items: BTreeMap<&'a [u8], Item<'a>>,
}

impl<'a> Database<'a> {
    /// A last record without an empty line behind it is whole; one without a name is an error, where
    /// debconf would drop it.
    pub fn parse(input: &'a [u8]) -> Result<Database<'a>, ParseError> {
        let (mut items, mut item) = (BTreeMap::new(), None);
        let lines = input.strip_suffix(b"\n").unwrap_or(input).split(|b| *b == b'\n').enumerate();
        for (at, text) in lines.map(|(at, text)| (at + 1, text)) {
            if text.is_empty() {
                finish(&mut items, item.take())?;
                continue;
            }
            item.get_or_insert_with(|| Reading { line: at, ..Reading::default() }).take(text, at)?;
        }
        finish(&mut items, item)?;
        Ok(Database { items })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, item) in &self.items {
            item.write(name, &mut out);
        }
        out
    }
}

fn finish<'a>(items: &mut BTreeMap<&'a [u8], Item<'a>>, item: Option<Reading<'a>>) -> Result<(), ParseError> {
    let Some(item) = item else { return Ok(()) };
    let name = item.name.ok_or_else(|| ParseError::new(item.line, "a record with a Name", b""))?;
    items.insert(name, item.item);
    Ok(())
}

#[derive(Default)]
struct Reading<'a> {
    line: usize,
    name: Option<&'a [u8]>,
    item: Item<'a>,
    in_variables: bool,
}

impl<'a> Reading<'a> {
    fn take(&mut self, text: &'a [u8], line: usize) -> Result<(), ParseError> {
        let blanks = text.iter().take_while(|b| is_space(b)).count();
        if self.in_variables && blanks > 0 {
            let (name, value) = variable(&text[blanks..])
                .ok_or_else(|| ParseError::new(line, "a variable and its value", text))?;
            self.item.variables.insert(name, value);
            return Ok(());
        }
        self.in_variables = false;
        let broken = || ParseError::new(line, "a field name and a colon", text);
        let colon = text.iter().position(|b| *b == b':').filter(|at| *at > 0).ok_or_else(broken)?;
        let key =
            std::str::from_utf8(&text[..colon]).ok().filter(|k| k.bytes().all(|b| b.is_ascii_graphic()));
        let key = key.ok_or_else(broken)?.to_ascii_lowercase();
        let value = &text[colon + 1..];
        let value = value.strip_prefix(b" ").or(value.strip_prefix(b"\t")).unwrap_or(value);
        match &*key {
            "name" => self.name = Some(value),
            "owners" => self.item.owners.extend(words(value)),
            "flags" => self.item.flags.extend(words(value)),
            "variables" => self.in_variables = true,
            _ => drop(self.item.fields.insert(key, value)),
        }
        Ok(())
    }
}

impl Item<'_> {
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.get(name).copied()
    }

    fn write(&self, name: &[u8], out: &mut Vec<u8>) {
        line(out, &[b"Name: ", name]);
        for (key, value) in &self.fields {
            let (first, rest) = key.split_at(1);
            line(out, &[first.to_ascii_uppercase().as_bytes(), rest.as_bytes(), b": ", value]);
        }
        for (key, words) in [("Owners: ", &self.owners), ("Flags: ", &self.flags)] {
            if !words.is_empty() {
                let words: Vec<&[u8]> = words.iter().copied().collect();
                line(out, &[key.as_bytes(), &words.join(&b", "[..])]);
            }
        }
        if !self.variables.is_empty() {
            line(out, &[b"Variables:"]);
            self.variables.iter().for_each(|(name, value)| line(out, &[b" ", name, b" = ", value]));
        }
        out.push(b'\n');
    }
}

fn line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend(*part));
    out.push(b'\n');
}

/// Perl's \s within a line.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Perl's split(/,\s+/): a comma without white space behind it is of the word.
fn words(value: &[u8]) -> Vec<&[u8]> {
    let value = &value[value.iter().take_while(|b| is_space(b)).count()..];
    let (mut words, mut start, mut from) = (Vec::new(), 0, 0);
    while let Some(comma) = memchr::memchr(b',', &value[from..]).map(|at| at + from) {
        let blanks = value[comma + 1..].iter().take_while(|b| is_space(b)).count();
        if blanks > 0 {
            words.push(&value[start..comma]);
            start = comma + 1 + blanks;
        }
        from = comma + 1 + blanks;
    }
    words.push(&value[start..]);
    words.retain(|word| !word.is_empty());
    words
}

/// Perl's split(/\s*=\s?/, 2): `choices = a, b`. The name is what the template calls it.
fn variable(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = text.iter().position(|b| *b == b'=')?;
    let blanks = text[..equals].iter().rev().take_while(|b| is_space(b)).count();
    let name = &text[..equals - blanks];
    let value = &text[equals + 1..];
    let value = value.strip_prefix(b" ").or(value.strip_prefix(b"\t")).unwrap_or(value);
    (!name.is_empty()).then_some((name, value))
}

/// A value as a person sees it: `\n` is a new line.
pub fn shown(value: &[u8]) -> Vec<u8> {
    let (mut out, mut from) = (Vec::with_capacity(value.len()), 0);
    for at in memmem::find_iter(value, b"\\n") {
        out.extend(&value[from..at]);
        out.push(b'\n');
        from = at + 2;
    }
    out.extend(&value[from..]);
    out
}

/// A value as it stands in the file.
pub fn stored(value: &[u8]) -> Vec<u8> {
    value.split(|b| *b == b'\n').collect::<Vec<_>>().join(&b"\\n"[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "Name: a/b\nTemplate: a/b\nValue: x\\ny\nOwners: one, two\nFlags: seen\nVariables:\n choices = p, q\n empty = \n\n\
        Name: debconf/priority\nDescription: Ignore questions: with\nExtended_description: \nOwners: debconf\n\n";

    #[test]
    fn records_are_read_and_written() {
        let found = Database::parse(CONFIG.as_bytes()).unwrap();
        let item = &found.items[&b"a/b"[..]];
        assert_eq!(item.field("value"), Some(&b"x\\ny"[..]));
        assert_eq!((shown(b"x\\ny"), stored(b"x\ny")), (b"x\ny".to_vec(), b"x\\ny".to_vec()));
        assert_eq!(item.owners.iter().collect::<Vec<_>>(), [b"one", b"two"]);
        assert!(item.flags.contains(&b"seen"[..]));
        assert_eq!(item.variables[&b"choices"[..]], b"p, q");
        assert_eq!(found.items[&b"debconf/priority"[..]].field("extended_description"), Some(&b""[..]));
        assert_eq!(String::from_utf8(found.write()).unwrap(), CONFIG);
        assert_eq!(Database::parse(b"").unwrap(), Database::default());
    }

    #[test]
    fn it_is_written_as_debconf_writes_it() {
        let text = "\n\nVALUE:x\nName: b\nflags: z,  a, k,v\nVariables: no\n\tb=2\n a  =  1\nowners: o\n\nName: a\n\nName: b\nValue: later\n";
        let found = Database::parse(text.as_bytes()).unwrap();
        assert_eq!(found.write(), b"Name: a\n\nName: b\nValue: later\n\n");
        let first = &text[..text.len() - "\nName: b\nValue: later\n".len()];
        let found = Database::parse(first.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(found.write()).unwrap(),
            "Name: a\n\nName: b\nValue: x\nOwners: o\nFlags: a, k,v, z\nVariables:\n a =  1\n b = 2\n\n"
        );
    }

    #[test]
    fn a_broken_record_is_named() {
        for (text, line) in [
            ("Value: x\n", 1),
            ("Name: a\n\nValue: x\n\nName: b\n", 3),
            ("Name: a\nno colon\n", 2),
            ("Name: a\n: x\n", 2),
            ("Name: a\n x: y\n", 2),
            ("Name: a\nVariables:\n none\n", 3),
            ("Name: a\nVariables:\n = x\n", 3),
            ("Name: a\nVariables:\n \n", 3),
            ("Name: a\n\u{e9}: y\n", 2),
        ] {
            assert_eq!(Database::parse(text.as_bytes()).unwrap_err().line, line, "{text:?}");
        }
    }
}
