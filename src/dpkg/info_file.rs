//! The names in /var/lib/dpkg/info (dpkg's lib/dpkg/db-ctrl-access.c and db-ctrl-upgrade.c), and those of
//! its sibling updates/ (dbmodify.c).

use super::error::{ParseError, architecture_name, package_name};

/// `libc6:amd64.list` is libc6, amd64, list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoFile<'a> {
    pub package: &'a str,
    /// There for packages that are `Multi-Arch: same`, and for no others.
    pub architecture: Option<&'a str>,
    /// Behind the last dot: `list`, `md5sums`, `conffiles`, `postinst`, `triggers`, `templates`, ...
    pub kind: &'a str,
}

impl<'a> InfoFile<'a> {
    /// None for what dpkg passes over: names with a dot in front, without any dot (`format`), and such as
    /// no package can have.
    pub fn parse(name: &'a [u8]) -> Option<InfoFile<'a>> {
        let dot = name.iter().rposition(|b| *b == b'.').filter(|_| name[0] != b'.')?;
        let (stem, kind) = (&name[..dot], std::str::from_utf8(&name[dot + 1..]).ok()?);
        let (package, architecture) = package_and_architecture(stem, 0).ok()?;
        Some(InfoFile { package, architecture, kind })
    }

    /// Without the kind: `libc6:amd64`, what a status calls the package as `Package` and, of those that are
    /// `Multi-Arch: same`, `Architecture`.
    pub fn stem(&self) -> String {
        self.architecture.map_or(self.package.to_owned(), |a| format!("{}:{a}", self.package))
    }

    pub fn name(&self) -> String {
        format!("{}.{}", self.stem(), self.kind)
    }
}

/// `libc6:amd64` or `coreutils` (pkg-spec.c, without its patterns).
pub(super) fn package_and_architecture(text: &[u8], line: usize) -> Result<(&str, Option<&str>), ParseError> {
    let Some(colon) = text.iter().position(|b| *b == b':') else {
        return Ok((package_name(text, line)?, None));
    };
    let (package, architecture) = (&text[..colon], &text[colon + 1..]);
    Ok((package_name(package, line)?, Some(architecture_name(architecture, line)?)))
}

/// Longer names in updates/ stop dpkg (IMPORTANTMAXLEN).
const LONGEST_UPDATE: usize = 10;

/// Which names of /var/lib/dpkg/updates count, in the order in which dpkg applies them: those that are all
/// digits. `tmp.i` beside them is padding or half a record. dpkg refuses to go on when their lengths are
/// not the same, and so does this; the line of the error is the place in `names`.
pub fn updates<N: AsRef<[u8]>>(names: &[N]) -> Result<Vec<&[u8]>, ParseError> {
    let mut counting: Vec<&[u8]> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let name = name.as_ref();
        if name.is_empty() || !name.iter().all(u8::is_ascii_digit) {
            continue;
        }
        if name.len() > LONGEST_UPDATE || counting.first().is_some_and(|first| first.len() != name.len()) {
            return Err(ParseError::new(at + 1, "names of one length in updates/", name));
        }
        counting.push(name);
    }
    counting.sort_unstable();
    Ok(counting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_and_what() {
        for (name, package, architecture, kind) in [
            ("coreutils.list", "coreutils", None, "list"),
            ("libc6:amd64.md5sums", "libc6", Some("amd64"), "md5sums"),
            ("python3.11-minimal.postinst", "python3.11-minimal", None, "postinst"),
            ("libstdc++6:i386.triggers", "libstdc++6", Some("i386"), "triggers"),
        ] {
            let found = InfoFile::parse(name.as_bytes()).unwrap();
            assert_eq!(found, InfoFile { package, architecture, kind });
            assert_eq!(found.name(), name);
        }
        for other in
            [&b""[..], b".", b"..", b".x", b"format", b"a:.list", b":x.list", b"a b.list", b"\xff.list"]
        {
            assert_eq!(InfoFile::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn updates_are_applied_in_their_order() {
        assert_eq!(updates(&["0002", "tmp.i", "0001", "", "0010"]).unwrap(), [b"0001", b"0002", b"0010"]);
        assert!(updates::<&str>(&[]).unwrap().is_empty());
        assert_eq!(updates(&["0001", "x", "02"]).unwrap_err().line, 3);
        assert!(updates(&["00000000001"]).is_err());
    }
}
