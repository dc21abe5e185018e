//! passwd(5), group(5), shadow(5), gshadow(5), subuid(5) and subgid(5) with everything that is in them,
//! to be merged field by field and written again. What is no record (a comment, NIS's `+`, a number that
//! is none) keeps its place. Programs that only look something up use `accounts`.

use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    Passwd,
    Group,
    Shadow,
    Gshadow,
    /// subgid looks the same.
    Subuid,
}

/// The places of the fields. The name (of a range: its owner, a name or a number) is always the first.
pub mod place {
    pub const NAME: usize = 0;
    /// Of all but ranges.
    pub const PASSWORD: usize = 1;
    pub const UID: usize = 2;
    /// Of a user, the number of its group.
    pub const USER_GID: usize = 3;
    pub const COMMENT: usize = 4;
    pub const HOME: usize = 5;
    pub const SHELL: usize = 6;
    /// Of a group.
    pub const GID: usize = 2;
    /// Of group and gshadow: a list.
    pub const MEMBERS: usize = 3;
    /// Of gshadow: a list.
    pub const ADMINISTRATORS: usize = 2;
    /// Of shadow, in days since 1970.
    pub const LAST_CHANGE: usize = 2;
    /// Of a range: its first number, and how many.
    pub const FIRST: usize = 1;
    pub const COUNT: usize = 2;
}

impl File {
    fn fields(self) -> usize {
        match self {
            File::Passwd => 7,
            File::Shadow => 9,
            File::Group | File::Gshadow => 4,
            File::Subuid => 3,
        }
    }

    /// Without these the C library takes no account of the line.
    fn numbers(self) -> &'static [usize] {
        match self {
            File::Passwd => &[place::UID, place::USER_GID],
            File::Group => &[place::GID],
            File::Subuid => &[place::FIRST, place::COUNT],
            File::Shadow | File::Gshadow => &[],
        }
    }
}

/// A file, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<'a> {
    pub file: File,
    pub lines: Vec<Line<'a>>,
    /// The last line has no newline.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Record(Record<'a>),
    /// Without its newline.
    Other(&'a [u8]),
}

/// A line that is an account or a range: as many fields as the file has, none with a `:` or a newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    fields: Vec<Cow<'a, [u8]>>,
}

impl<'a> Table<'a> {
    /// Any bytes are such a file.
    pub fn parse(file: File, text: &'a [u8]) -> Table<'a> {
        let open = !text.is_empty() && !text.ends_with(b"\n");
        let whole = text.strip_suffix(b"\n").unwrap_or(text);
        let lines = whole.split(|b| *b == b'\n').filter(|_| !text.is_empty());
        let line = |line| Record::parse(file, line).map_or(Line::Other(line), Line::Record);
        Table { file, lines: lines.map(line).collect(), open }
    }

    pub fn records(&self) -> impl Iterator<Item = &Record<'a>> {
        self.lines.iter().filter_map(|line| match line {
            Line::Record(record) => Some(record),
            Line::Other(_) => None,
        })
    }

    /// Of several lines with one name the first counts. A range's owner may have several that all count.
    pub fn find(&self, name: &[u8]) -> Option<&Record<'a>> {
        self.records().find(|r| r.name() == name)
    }

    pub fn find_mut(&mut self, name: &[u8]) -> Option<&mut Record<'a>> {
        self.lines.iter_mut().find_map(|line| match line {
            Line::Record(record) if record.name() == name => Some(record),
            _ => None,
        })
    }

    /// A new last line.
    pub fn push(&mut self, record: Record<'a>) {
        self.lines.push(Line::Record(record));
        self.open = false;
    }

    /// Every line of this name.
    pub fn remove(&mut self, name: &[u8]) {
        self.lines.retain(|line| !matches!(line, Line::Record(record) if record.name() == name));
        self.open = false;
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for line in &self.lines {
            match line {
                Line::Record(record) => out.extend(record.fields.join(&b':')),
                Line::Other(text) => out.extend(*text),
            }
            out.push(b'\n');
        }
        if self.open {
            out.pop();
        }
        out
    }
}

impl<'a> Record<'a> {
    /// None where the file has no such line.
    pub fn new(file: File, fields: Vec<Cow<'a, [u8]>>) -> Option<Record<'a>> {
        let record = Record { fields };
        let whole = record.fields.len() == file.fields() && record.fields.iter().all(|f| is_field(f));
        let numbers = || file.numbers().iter().all(|place| record.number(*place).is_some());
        (whole && is_name(record.name()) && numbers()).then_some(record)
    }

    fn parse(file: File, line: &'a [u8]) -> Option<Record<'a>> {
        Record::new(file, line.split(|b| *b == b':').map(Cow::Borrowed).collect())
    }

    pub fn name(&self) -> &[u8] {
        self.field(place::NAME)
    }

    /// Empty behind the last.
    pub fn field(&self, place: usize) -> &[u8] {
        self.fields.get(place).map_or(b"", |field| field)
    }

    /// False, and nothing is changed, where this cannot stand.
    pub fn set(&mut self, place: usize, value: impl Into<Cow<'a, [u8]>>) -> bool {
        let value = value.into();
        let good = is_field(&value) && (place != place::NAME || is_name(&value));
        match self.fields.get_mut(place).filter(|_| good) {
            Some(field) => *field = value,
            None => return false,
        }
        true
    }

    /// As the C library reads an id: digits only.
    pub fn number(&self, place: usize) -> Option<u32> {
        let field = self.field(place);
        let digits = std::str::from_utf8(field).ok().filter(|_| field.iter().all(u8::is_ascii_digit))?;
        digits.parse().ok()
    }

    pub fn set_number(&mut self, place: usize, number: u32) -> bool {
        self.set(place, number.to_string().into_bytes())
    }

    /// A list with commas.
    pub fn list(&self, place: usize) -> Vec<&[u8]> {
        self.field(place).split(|b| *b == b',').filter(|name| !name.is_empty()).collect()
    }

    pub fn set_list(&mut self, place: usize, names: &[&[u8]]) -> bool {
        names.iter().all(|name| !name.is_empty() && !name.contains(&b','))
            && self.set(place, names.join(&b','))
    }
}

fn is_field(field: &[u8]) -> bool {
    !field.iter().any(|b| matches!(b, b':' | b'\n'))
}

/// No blank or control character in it, and none of NIS's signs in front.
fn is_name(name: &[u8]) -> bool {
    let good = |b: &u8| *b > b' ' && *b != 0x7f;
    name.iter().all(good) && !matches!(name.first(), None | Some(b'+' | b'-' | b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/bash\n# a comment\n\n+::::::\njose:x:1000:100:Jos\xe9,,,:/home/jose:\n\
        root:x:7:7:second:/:\nshort:x:1\nno:x:-1:1:::\nlast:x:4294967295:0:::/bin/sh";

    #[test]
    fn every_line_keeps_its_place() {
        let mut table = Table::parse(File::Passwd, PASSWD);
        assert_eq!(table.write(), PASSWD);
        let names: Vec<_> = table.records().map(|r| (r.name(), r.number(place::UID))).collect();
        assert_eq!(
            names,
            [(&b"root"[..], Some(0)), (b"jose", Some(1000)), (b"root", Some(7)), (b"last", Some(u32::MAX))]
        );
        let jose = table.find_mut(b"jose").unwrap();
        assert!(jose.set_number(place::UID, 1001) && jose.set(place::SHELL, &b"/bin/sh"[..]));
        assert!(
            !jose.set(place::SHELL, &b"/bin:sh"[..])
                && !jose.set(place::NAME, &b"+x"[..])
                && !jose.set(7, &b""[..])
        );
        table.remove(b"root");
        let fields = ["new", "x", "5", "6", "", "/", ""].map(|f| Cow::Borrowed(f.as_bytes()));
        table.push(Record::new(File::Passwd, fields.to_vec()).unwrap());
        assert!(Record::new(File::Passwd, fields[..6].to_vec()).is_none());
        assert_eq!(
            table.write(),
            b"# a comment\n\n+::::::\njose:x:1001:100:Jos\xe9,,,:/home/jose:/bin/sh\nshort:x:1\nno:x:-1:1:::\n\
              last:x:4294967295:0:::/bin/sh\nnew:x:5:6::/:\n"
        );
    }

    #[test]
    fn each_file_has_its_fields() {
        for (file, text, records) in [
            (File::Group, "adm:x:4:a,b\nx:x:y:\n", 1),
            (File::Shadow, "root:*:1:0:99999:7:::\nshort:*:1:\n", 1),
            (File::Gshadow, "adm:*:a:b,c\n", 1),
            (File::Subuid, "anna:100000:65536\n1000:1:1\nx:y:1\n", 2),
            (File::Passwd, "", 0),
            (File::Passwd, "\n", 0),
            (File::Passwd, "\n\n:", 0),
        ] {
            let table = Table::parse(file, text.as_bytes());
            assert_eq!((table.records().count(), table.write()), (records, text.into()), "{text:?}");
        }
        let mut table = Table::parse(File::Group, b"adm:x:4:a,,b\n");
        let adm = table.find_mut(b"adm").unwrap();
        assert_eq!(adm.list(place::MEMBERS), [b"a", b"b"]);
        assert!(!adm.set_list(place::MEMBERS, &[b"a,b"]) && !adm.set_list(place::MEMBERS, &[b""]));
        assert!(adm.set_list(place::MEMBERS, &[b"b", b"c"]));
        assert_eq!(table.write(), b"adm:x:4:b,c\n");
    }
}
