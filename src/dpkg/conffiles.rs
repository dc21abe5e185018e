//! The Conffiles field of a package in the status: which configuration files dpkg watches, and the
//! checksum of each as the package shipped it. What is on disk is compared with it elsewhere.

use super::deb822::Field;
use super::error::ParseError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conffile<'a> {
    /// Absolute, e.g. `/etc/apt/apt.conf.d/01autoremove`; bytes, may hold blanks.
    pub path: &'a [u8],
    /// 32 hex digits, of the file as last installed by dpkg. Absent while dpkg has a word in its place
    /// (`newconffile`: unpacked, never configured).
    pub md5: Option<&'a str>,
    /// The package does not ship it any more; a purge removes it all the same.
    pub obsolete: bool,
    /// The next version of the package will have it removed.
    pub remove_on_upgrade: bool,
}

/// One line each: ` path md5 [obsolete] [remove-on-upgrade]` (dpkg lib/dpkg/fields.c, f_conffiles). Read
/// from the right, because a path may hold blanks.
pub(super) fn parse<'a>(field: &Field<'a>) -> Result<Vec<Conffile<'a>>, ParseError> {
    let lines = field.value().split(|b| *b == b'\n').enumerate();
    let lines = lines.filter(|(_, text)| !text.is_empty());
    lines.map(|(below, text)| parse_line(text, field.line + below)).collect()
}

fn parse_line(text: &[u8], line: usize) -> Result<Conffile<'_>, ParseError> {
    let broken = || ParseError::new(line, "the path and checksum of a conffile", text);
    let (mut path, mut word) = last_word(text).ok_or_else(broken)?;
    let mut is_last = |wanted: &[u8]| -> Result<bool, ParseError> {
        let there = word == wanted;
        if there {
            (path, word) = last_word(path).ok_or_else(broken)?;
        }
        Ok(there)
    };
    let remove_on_upgrade = is_last(b"remove-on-upgrade")?;
    let obsolete = is_last(b"obsolete")?;
    let path = path.strip_prefix(b" ").filter(|p| p.len() > 1 && p[0] == b'/').ok_or_else(broken)?;
    let digits = word.len() == 32 && word.iter().all(u8::is_ascii_hexdigit);
    let md5 = std::str::from_utf8(word).ok().filter(|_| digits);
    Ok(Conffile { path, md5, obsolete, remove_on_upgrade })
}

/// Splits at the last blank.
fn last_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|b| *b == b' ').filter(|at| at + 1 < text.len())?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "cc3493ecd2d09837ffdcc3e25fdfff18";

    fn read(lines: &str) -> Result<Vec<Conffile<'_>>, String> {
        parse(&Field { name: b"Conffiles", raw: lines.as_bytes(), line: 10 }).map_err(|e| e.to_string())
    }

    #[test]
    fn one_conffile_a_line() {
        for (line, path, obsolete, remove_on_upgrade, has_md5) in [
            (format!(" /etc/a {MD5}"), "/etc/a", false, false, true),
            (format!(" /etc/a {MD5} obsolete"), "/etc/a", true, false, true),
            (format!(" /etc/a {MD5} remove-on-upgrade"), "/etc/a", false, true, true),
            (format!(" /etc/a {MD5} obsolete remove-on-upgrade"), "/etc/a", true, true, true),
            (format!(" /etc/with two  blanks {MD5}"), "/etc/with two  blanks", false, false, true),
            (format!(" /etc/ {MD5}"), "/etc/", false, false, true),
            (" /etc/a newconffile".into(), "/etc/a", false, false, false),
            (" /etc/a obsolete obsolete".into(), "/etc/a", true, false, false),
        ] {
            let text = format!("\n{line}");
            let found = read(&text).unwrap_or_else(|e| panic!("{line}: {e}"));
            let wanted = Conffile {
                path: path.as_bytes(),
                md5: Some(MD5).filter(|_| has_md5),
                obsolete,
                remove_on_upgrade,
            };
            assert_eq!(found, [wanted], "{line}");
        }
        assert!(read("\n").unwrap().is_empty());
    }

    #[test]
    fn a_broken_line_is_named() {
        for bad in
            [" /etc/a", " /etc/a ", " /etc/a obsolete", " etc/a x", " / x", "/etc/a x", " /etc/a x ", " "]
        {
            let text = format!("\n /etc/good {MD5}\n{bad}\n /etc/good {MD5}");
            assert!(read(&text).is_err_and(|e| e.starts_with("line 12: expected the path")), "{bad:?}");
        }
    }
}
