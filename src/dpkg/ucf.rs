//! What ucf(1) knows of configuration files that maintainer scripts install, in /var/lib/ucf: `hashfile`
//! (the checksum of each as the package last had it), `registry` (whose it is) and `cache/` (its text).
//! `hashfile.0` and `registry.0` to `.7` are older ones that nobody reads.

use super::error::{ParseError, package_name};
use super::lines::{Lines, is_white};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash<'a> {
    /// 32 hex digits.
    pub md5: &'a str,
    /// Absolute, links resolved by whoever called ucf.
    pub path: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    pub package: &'a str,
    pub path: &'a [u8],
}

/// `hashfile`: what md5sum prints, one a line.
pub fn hashes(input: &[u8]) -> Result<Vec<Hash<'_>>, ParseError> {
    let line = |line: Result<_, ParseError>| {
        let (line, md5, path) = word_and_path(line?)?;
        let digits = md5.len() == 32 && md5.iter().all(u8::is_ascii_hexdigit);
        let md5 = std::str::from_utf8(md5).ok().filter(|_| digits);
        Ok(Hash { md5: md5.ok_or_else(|| ParseError::new(line, "a checksum and a path", path))?, path })
    };
    Lines::new(input, usize::MAX).map(line).collect()
}

pub fn write_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|h| [h.md5.as_bytes(), b"  ", h.path, b"\n"].concat()).collect()
}

/// `registry`
pub fn owners(input: &[u8]) -> Result<Vec<Owner<'_>>, ParseError> {
    let line = |line: Result<_, ParseError>| {
        let (line, package, path) = word_and_path(line?)?;
        Ok(Owner { package: package_name(package, line)?, path })
    };
    Lines::new(input, usize::MAX).map(line).collect()
}

pub fn write_owners(owners: &[Owner]) -> Vec<u8> {
    owners.iter().flat_map(|o| [o.package.as_bytes(), b" \t ", o.path, b"\n"].concat()).collect()
}

type Words<'a> = (usize, &'a [u8], &'a [u8]);

/// ucf searches for white space and a path at the end of the line.
fn word_and_path((line, text): (usize, &[u8])) -> Result<Words<'_>, ParseError> {
    let end = text.iter().position(is_white).unwrap_or(text.len());
    let blanks = text[end..].iter().take_while(|b| is_white(b)).count();
    let path = &text[end + blanks..];
    match end > 0 && path.starts_with(b"/") {
        true => Ok((line, &text[..end], path)),
        false => Err(ParseError::new(line, "a word and an absolute path", text)),
    }
}

/// The name in cache/ under which the text of this file lies: `:etc:ssh:sshd_config`. A path with a `:` of
/// its own cannot be told from it, so paths are compared by this and never made from names.
pub fn cache_name(path: &[u8]) -> Vec<u8> {
    path.iter().map(|b| if *b == b'/' { b':' } else { *b }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_owners_and_names() {
        let text = b"fbc910d4bc9889530c92c7e8b101689b  /etc/a\nfbc910d4bc9889530c92c7e8b101689b  /etc/a b\n";
        let found = hashes(text).unwrap();
        assert_eq!((found[1].path, write_hashes(&found)), (&b"/etc/a b"[..], text.to_vec()));
        let text = b"openssh-server \t /etc/ssh/sshd_config\nx \t /etc/a b\n";
        let found = owners(text).unwrap();
        assert_eq!((found[0].package, found[1].path), ("openssh-server", &b"/etc/a b"[..]));
        assert_eq!(write_owners(&found), text);
        assert_eq!(cache_name(b"/etc/ssh/sshd_config"), b":etc:ssh:sshd_config");
        assert!(hashes(b"").unwrap().is_empty() && owners(b"").unwrap().is_empty());
    }

    #[test]
    fn a_broken_line_is_named() {
        for bad in ["\n", "x\n", "x \n", "x y\n", " x /y\n", "../x /y\n", "x /y"] {
            assert_eq!(owners(format!("a /x\n{bad}").as_bytes()).unwrap_err().line, 2, "{bad:?}");
            assert_eq!(hashes(bad.as_bytes()).unwrap_err().line, 1, "{bad:?}");
        }
        assert!(hashes(b"fbc910d4bc9889530c92c7e8b101689  /etc/a\n").is_err());
    }
}
