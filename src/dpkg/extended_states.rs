//! apt's own marks, /var/lib/apt/extended_states: which packages came only because another one needed
//! them. `apt autoremove` goes by it, so it is part of what an undo brings back and a rebase carries.

use std::collections::BTreeSet;

use super::deb822::{LastLine, Reader};
use super::error::{ParseError, architecture_name, package_name};

/// The packages with `Auto-Installed: 1`, by name and architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedStates<'a> {
    auto: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> ExtendedStates<'a> {
    /// An empty (or absent) file marks nothing.
    pub fn parse(input: &'a [u8]) -> Result<ExtendedStates<'a>, ParseError> {
        let mut reader = Reader::new(input, LastLine::MayBeOpen);
        let mut auto = BTreeSet::new();
        while reader.next_paragraph() {
            let first = reader.line();
            let (mut name, mut architecture, mut marked) = (None, "", false);
            while let Some(field) = reader.next_field()? {
                let (value, line) = (field.value(), field.line);
                if field.is("Package") {
                    name = Some(package_name(value, line)?);
                } else if field.is("Architecture") {
                    architecture = architecture_name(value, line)?;
                } else if field.is("Auto-Installed") {
                    marked = value == b"1";
                }
            }
            match name {
                Some(name) if marked => drop(auto.insert((name, architecture))),
                Some(_) => {}
                None => return Err(ParseError::new(first, "a paragraph with a Package field", b"")),
            }
        }
        Ok(ExtendedStates { auto })
    }

    /// apt files a package of architecture `all` under the native one, and files from before multi-arch
    /// have none: both are found by name.
    pub fn is_auto(&self, package: &str, architecture: &str) -> bool {
        let mut marks = self.auto.range((package, "")..).take_while(|(name, _)| *name == package);
        marks.any(|(_, marked)| *marked == architecture || marked.is_empty() || architecture == "all")
    }

    /// Name and architecture as apt files them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.auto.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked() {
        let text = b"Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: b\nArchitecture: amd64\n\
            Auto-Installed: 0\n\nPackage: c\nAuto-Installed: 1\n\nPackage: ab\nArchitecture: i386\nAuto-Installed: 1";
        let states = ExtendedStates::parse(text).unwrap();
        for (package, architecture, auto) in [
            ("a", "amd64", true),
            ("a", "i386", false),
            ("a", "all", true),
            ("b", "amd64", false),
            ("c", "amd64", true),
            ("ab", "i386", true),
            ("ab", "amd64", false),
            ("d", "all", false),
        ] {
            assert_eq!(states.is_auto(package, architecture), auto, "{package}:{architecture}");
        }
        assert_eq!(states.iter().count(), 3);
        assert_eq!(ExtendedStates::parse(b"").unwrap(), ExtendedStates::default());
    }

    #[test]
    fn broken_marks_are_named() {
        let error = |text: &[u8]| ExtendedStates::parse(text).unwrap_err().line;
        assert_eq!(error(b"Package: a\n\nAuto-Installed: 1\n"), 3);
        assert_eq!(error(b"Package: a\nArchitecture: \xff\n"), 2);
        assert_eq!(error(b"nothing of that kind"), 1);
    }
}
