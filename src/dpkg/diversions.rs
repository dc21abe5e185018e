//! Which files lie elsewhere than their packages say: /var/lib/dpkg/diversions, three lines a record
//! (dpkg's lib/dpkg/db-fsys-divert.c, src/divert/main.c). The order of the records means nothing: dpkg-divert
//! writes them in that of its hash.

use std::collections::HashSet;

use super::error::ParseError;
use super::lines::Lines;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diversion<'a> {
    /// What other packages call the file, absolute: `/usr/bin/factor`.
    pub from: &'a [u8],
    /// Where theirs lies: `/usr/bin/factor.real`.
    pub to: &'a [u8],
    /// The package whose own file keeps the name `from`. None is the owner of the machine
    /// (`dpkg-divert --local`), for whom every package's file lies at `to`.
    pub by: Option<&'a [u8]>,
}

/// MAXDIVERTFILENAME
const LONGEST: usize = 1024;
const LOCAL: &[u8] = b":";

/// A path that stands in two records, in whatever place, is an error: dpkg refuses to run with it.
pub fn parse(input: &[u8]) -> Result<Vec<Diversion<'_>>, ParseError> {
    let mut lines = Lines::new(input, LONGEST);
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    while let Some(first) = lines.next() {
        let from = first.and_then(|line| path(line, &mut seen))?;
        let to = lines.must("where it is diverted to").and_then(|line| path(line, &mut seen))?;
        let (line, by) = lines.must("the package that diverts")?;
        if by.is_empty() {
            return Err(ParseError::new(line, "the package that diverts", by));
        }
        found.push(Diversion { from, to, by: Some(by).filter(|by| *by != LOCAL) });
    }
    Ok(found)
}

fn path<'a>((line, text): (usize, &'a [u8]), seen: &mut HashSet<&'a [u8]>) -> Result<&'a [u8], ParseError> {
    if !text.starts_with(b"/") {
        return Err(ParseError::new(line, "an absolute path", text));
    }
    if !seen.insert(text) {
        return Err(ParseError::new(line, "a path of one diversion only", text));
    }
    Ok(text)
}

pub fn write(diversions: &[Diversion]) -> Vec<u8> {
    let mut out = Vec::new();
    for diversion in diversions {
        for line in [diversion.from, diversion.to, diversion.by.unwrap_or(LOCAL)] {
            out.extend(line);
            out.push(b'\n');
        }
    }
    out
}

/// Where a file of this package lies: `path`, or where it is diverted to.
pub fn lies_at<'a>(diversions: &[Diversion<'a>], package: &[u8], path: &'a [u8]) -> &'a [u8] {
    let diverted = diversions.iter().find(|d| d.from == path && d.by != Some(package));
    diverted.map_or(path, |d| d.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/a b\n/usr/bin/a.real\n:\n";

    #[test]
    fn three_lines_are_a_diversion() {
        let found = parse(TEXT).unwrap();
        assert_eq!(found[0], Diversion { from: b"/bin/sh", to: b"/bin/sh.distrib", by: Some(b"dash") });
        assert_eq!(found[1], Diversion { from: b"/usr/bin/a b", to: b"/usr/bin/a.real", by: None });
        assert_eq!(write(&found), TEXT);
        assert!(parse(b"").unwrap().is_empty());
    }

    #[test]
    fn a_package_has_its_own_file_where_it_says() {
        let found = parse(TEXT).unwrap();
        assert_eq!(lies_at(&found, b"bash", b"/bin/sh"), b"/bin/sh.distrib");
        assert_eq!(lies_at(&found, b"dash", b"/bin/sh"), b"/bin/sh");
        assert_eq!(lies_at(&found, b"coreutils", b"/usr/bin/a b"), b"/usr/bin/a.real");
        assert_eq!(lies_at(&found, b"coreutils", b"/usr/bin/b"), b"/usr/bin/b");
    }

    #[test]
    fn what_dpkg_refuses_is_refused() {
        for (bad, line) in [
            (&b"/a\n"[..], 8),
            (b"/a\n/b\n", 9),
            (b"/a\n/b\n:", 9),
            (b"/a\n/b\n\n", 9),
            (b"a\n/b\n:\n", 7),
            (b"/a\n\n:\n", 8),
            (b"/bin/sh\n/b\n:\n", 7),
            (b"/a\n/bin/sh.distrib\n:\n", 8),
            (b"/bin/sh.distrib\n/b\n:\n", 7),
            (b"/a\n/a\n:\n", 8),
        ] {
            assert_eq!(parse(&[TEXT, bad].concat()).unwrap_err().line, line, "{bad:?}");
        }
    }
}
