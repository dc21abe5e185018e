//! Finding versions in a Packages list (tens of megabytes, one paragraph a version). Not parsed as a
//! whole: the text is searched for `Package:` lines, and only paragraphs of wanted names are read.

use std::collections::HashMap;

use memchr::memmem;

/// The indices of those `wanted` (package, architecture, version) that the list holds. Architecture
/// `all` of the list serves every wanted architecture.
pub fn find(text: &[u8], wanted: &[(&str, &str, &str)]) -> Vec<usize> {
    let mut by_name: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, (package, ..)) in wanted.iter().enumerate() {
        by_name.entry(package.as_bytes()).or_default().push(at);
    }
    let mut found = Vec::new();
    let mut end = 0;
    for start in paragraph_starts(text) {
        // A second Package field says nothing, and looking for the end from each would never end.
        if start < end {
            continue;
        }
        let name = line_from(text, start);
        let Some(candidates) = by_name.get(name) else { continue };
        end = memmem::find(&text[start..], b"\n\n").map_or(text.len(), |n| start + n);
        let paragraph = &text[start..end];
        let (version, architecture) =
            (field(paragraph, b"\nVersion: "), field(paragraph, b"\nArchitecture: "));
        found.extend(candidates.iter().copied().filter(|at| {
            let (_, wanted_architecture, wanted_version) = wanted[*at];
            version == wanted_version.as_bytes()
                && (architecture == b"all" || architecture == wanted_architecture.as_bytes())
        }));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Where the value of each `Package: ` line begins.
fn paragraph_starts(text: &[u8]) -> impl Iterator<Item = usize> + '_ {
    const FIELD: &[u8] = b"Package: ";
    let first = text.starts_with(FIELD).then_some(FIELD.len());
    let others = memmem::find_iter(text, b"\nPackage: ").map(|at| at + FIELD.len() + 1);
    first.into_iter().chain(others)
}

fn line_from(text: &[u8], start: usize) -> &[u8] {
    let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |n| start + n);
    text[start..end].trim_ascii()
}

fn field<'a>(paragraph: &'a [u8], name: &[u8]) -> &'a [u8] {
    memmem::find(paragraph, name).map_or(b"", |at| line_from(paragraph, at + name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_by_name_version_and_architecture() {
        let text =
            b"Package: a\nVersion: 1\nArchitecture: all\n\nPackage: b\nArchitecture: amd64\nVersion: 2\n";
        let rows: &[((&str, &str, &str), bool)] = &[
            (("a", "amd64", "1"), true),
            (("a", "amd64", "2"), false),
            (("b", "amd64", "2"), true),
            (("b", "arm64", "2"), false),
            (("c", "amd64", "1"), false),
            (("Version", "amd64", "1"), false),
        ];
        for (wanted, there) in rows {
            assert_eq!(!find(text, &[*wanted]).is_empty(), *there, "{wanted:?}");
        }
        assert!(find(b"", &[("a", "all", "1")]).is_empty());
    }
}
