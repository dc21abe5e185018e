//! Which files of a package are conffiles: /var/lib/dpkg/info/NAME.conffiles, as the package shipped it
//! (dpkg's src/main/unpack.c, deb_parse_conffiles; deb-conffiles(5)). Their checksums are in the status.

use super::error::ParseError;
use super::lines::Lines;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedConffile<'a> {
    /// Absolute, e.g. `/etc/issue`.
    pub path: &'a [u8],
    /// The package does not ship it any more, and has dpkg remove it.
    pub remove_on_upgrade: bool,
}

/// dpkg has room for a path of 995 bytes (MAXCONFFILENAME, less what unpack.c leaves free).
const LONGEST: usize = 998;
const REMOVE: &[u8] = b"remove-on-upgrade";

/// One path a line, perhaps with a flag in front. Blanks at the end are not of the path, and empty lines are
/// passed over.
pub fn parse(input: &[u8]) -> Result<Vec<ListedConffile<'_>>, ParseError> {
    let mut found = Vec::new();
    for line in Lines::new(input, LONGEST) {
        let (line, text) = line?;
        let text = trim_end(text);
        if text.is_empty() {
            continue;
        }
        let flagged = || text.strip_prefix(REMOVE)?.strip_prefix(b" ").filter(|path| path.starts_with(b"/"));
        found.push(match (text[0], flagged()) {
            (b'/', _) => ListedConffile { path: text, remove_on_upgrade: false },
            (_, Some(path)) => ListedConffile { path, remove_on_upgrade: true },
            _ => return Err(ParseError::new(line, "the absolute path of a conffile", text)),
        });
    }
    Ok(found)
}

/// dpkg's c_isspace.
fn trim_end(text: &[u8]) -> &[u8] {
    let blanks = text.iter().rev().take_while(|b| **b == b' ' || (b'\t'..=b'\r').contains(*b)).count();
    &text[..text.len() - blanks]
}

pub fn write(conffiles: &[ListedConffile]) -> Vec<u8> {
    let mut out = Vec::new();
    for conffile in conffiles {
        if conffile.remove_on_upgrade {
            out.extend(REMOVE);
            out.push(b' ');
        }
        out.extend(conffile.path);
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_flags() {
        let text = b"/etc/a b\nremove-on-upgrade /etc/c\n/etc/d\n";
        let found = parse(text).unwrap();
        assert_eq!(found[0], ListedConffile { path: b"/etc/a b", remove_on_upgrade: false });
        assert_eq!(found[1], ListedConffile { path: b"/etc/c", remove_on_upgrade: true });
        assert_eq!(write(&found), text);
        assert_eq!(parse(b"\n  \n/etc/a \t\r\n").unwrap().len(), 1);
        for bad in [
            "etc/a\n",
            " /etc/a\n",
            "remove-on-upgrade\n",
            "remove-on-upgrade etc/a\n",
            "keep /etc/a\n",
            "/a",
        ] {
            assert_eq!(parse(format!("/etc/x\n{bad}").as_bytes()).unwrap_err().line, 2, "{bad:?}");
        }
        assert!(parse(format!("/{}\n", "x".repeat(995)).as_bytes()).is_ok());
        assert!(parse(format!("/{}\n", "x".repeat(996)).as_bytes()).is_err());
    }
}
