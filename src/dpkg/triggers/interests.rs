//! Who is interested in which trigger: /var/lib/dpkg/triggers/File has the paths, and every word has a
//! file of its name beside it (dpkg's lib/dpkg/triglib.c). Both follow from the packages' own lists, so
//! they are made anew where databases are merged, never merged themselves.

use std::collections::{BTreeMap, HashSet};

use super::super::error::ParseError;
use super::super::info_file::package_and_architecture;
use super::super::lines::Lines;
use super::{Directive, Kind, Verb, kind};

/// `man-db/noawait`, `libfoo:amd64`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interest<'a> {
    pub package: &'a str,
    /// There for packages that are `Multi-Arch: same`, and for no others.
    pub architecture: Option<&'a str>,
    pub awaited: bool,
}

/// The buffers in triglib.c.
const LONGEST: usize = 1024;

impl<'a> Interest<'a> {
    /// What stands behind the slash and is not `noawait` means nothing to dpkg.
    fn parse(text: &'a [u8], line: usize) -> Result<Interest<'a>, ParseError> {
        let end = text.iter().position(|b| *b == b'/').unwrap_or(text.len());
        let (package, architecture) = package_and_architecture(&text[..end], line)?;
        Ok(Interest { package, architecture, awaited: &text[end..] != b"/noawait" })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.package.bytes());
        if let Some(architecture) = self.architecture {
            out.push(b':');
            out.extend(architecture.bytes());
        }
        out.extend(if self.awaited { &b"\n"[..] } else { b"/noawait\n" });
    }
}

/// triggers/File: path and who, in the order of the file. A pair that is there twice is an error, as it is
/// for dpkg.
pub fn parse_file(input: &[u8]) -> Result<Vec<(&[u8], Interest<'_>)>, ParseError> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for line in Lines::new(input, LONGEST) {
        let (line, text) = line?;
        let blank = text.iter().position(|b| *b == b' ').filter(|_| text[0] == b'/');
        let blank = blank.ok_or_else(|| ParseError::new(line, "a path and a package", text))?;
        let (path, interest) = (&text[..blank], Interest::parse(&text[blank + 1..], line)?);
        if !seen.insert((path, interest.package, interest.architecture)) {
            return Err(ParseError::new(line, "each interest once", text));
        }
        found.push((path, interest));
    }
    Ok(found)
}

pub fn write_file(interests: &[(&[u8], Interest)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, interest) in interests {
        out.extend(*path);
        out.push(b' ');
        interest.write(&mut out);
    }
    out
}

/// triggers/ldconfig and its like: who, one a line.
pub fn parse_named(input: &[u8]) -> Result<Vec<Interest<'_>>, ParseError> {
    Lines::new(input, LONGEST).map(|line| line.and_then(|(line, text)| Interest::parse(text, line))).collect()
}

pub fn write_named(interests: &[Interest]) -> Vec<u8> {
    let mut out = Vec::new();
    interests.iter().for_each(|interest| interest.write(&mut out));
    out
}

/// Is this name in triggers/ the list of a word? `File`, `Unincorp` and `Lock` have a capital, and what
/// dpkg is still writing a suffix.
pub fn is_named(file_name: &[u8]) -> bool {
    let ours = [&b"File"[..], b"Unincorp", b"Lock", b"Unincorp.new"].contains(&file_name);
    !ours && kind(file_name) == Some(Kind::Explicit) && !file_name.ends_with(b".dpkg-new")
}

/// What triggers/ holds when these are the packages that are unpacked or more, and their directives: the paths
/// for `File`, and the words with theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interests<'a> {
    pub file: Vec<(&'a [u8], Interest<'a>)>,
    pub named: BTreeMap<&'a [u8], Vec<Interest<'a>>>,
}

impl<'a> Interests<'a> {
    /// Of a package, and its architecture if it is `Multi-Arch: same`. Of two directives for one trigger
    /// the later counts for a path, and both are written for a word, as dpkg does it.
    pub fn add(&mut self, package: &'a str, architecture: Option<&'a str>, directives: &[Directive<'a>]) {
        for directive in directives.iter().filter(|d| d.verb == Verb::Interest) {
            let interest = Interest { package, architecture, awaited: directive.awaited };
            match kind(directive.trigger) {
                Some(Kind::File) => self.add_path(directive.trigger, interest),
                _ => self.add_word(directive.trigger, interest),
            }
        }
    }

    fn add_path(&mut self, path: &'a [u8], interest: Interest<'a>) {
        let mine = |(old, i): &&mut (&[u8], Interest)| {
            *old == path && (i.package, i.architecture) == (interest.package, interest.architecture)
        };
        match self.file.iter_mut().rev().take_while(|(_, i)| i.package == interest.package).find(mine) {
            Some((_, old)) => *old = interest,
            None => self.file.push((path, interest)),
        }
    }

    /// dpkg takes the package's own line out before it writes the new one behind all others.
    fn add_word(&mut self, word: &'a [u8], interest: Interest<'a>) {
        let list = self.named.entry(word).or_default();
        list.retain(|i| (i.package, i.architecture) != (interest.package, interest.architecture));
        list.push(interest);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn paths_words_and_packages() {
        let text =
            b"/usr/share/man man-db/noawait\n/usr/share/fonts fontconfig\n/x a:i386/noawait\n/x a:amd64\n";
        let found = parse_file(text).unwrap();
        assert_eq!(found[0].0, b"/usr/share/man");
        assert_eq!(found[2].1, Interest { package: "a", architecture: Some("i386"), awaited: false });
        assert_eq!(write_file(&found), text);
        for bad in ["x a\n", "/x\n", "/x \n", "/x A b\n", "/x a:\n", "/x a:amd64\n", "/y a", "\n"] {
            let text = [&text[..], bad.as_bytes()].concat();
            assert_eq!(parse_file(&text).unwrap_err().line, 5, "{bad:?}");
        }
        let text = b"libc-bin\na:amd64/noawait\n";
        assert_eq!(write_named(&parse_named(text).unwrap()), text);
        assert_eq!(write_named(&parse_named(b"a/await\nb/what\n").unwrap()), b"a\nb\n");
        assert!(parse_named(b"../a\n").is_err() && parse_named(b"\n").is_err());
        assert!(
            is_named(b"ldconfig") && !is_named(b"File") && !is_named(b"Unincorp") && !is_named(b"x.dpkg-new")
        );
    }

    #[test]
    fn they_follow_from_the_packages() {
        let one = parse(b"interest-noawait /usr/share/man\ninterest ldconfig\nactivate x\n").unwrap();
        let two = parse(b"interest /x\ninterest-noawait /x\ninterest-noawait ldconfig\n").unwrap();
        let mut made = Interests::default();
        made.add("man-db", None, &one);
        made.add("libx", Some("amd64"), &two);
        assert_eq!(write_file(&made.file), b"/usr/share/man man-db/noawait\n/x libx:amd64/noawait\n");
        assert_eq!(made.named.len(), 1);
        assert_eq!(write_named(&made.named[&b"ldconfig"[..]]), b"man-db\nlibx:amd64/noawait\n");
    }
}
