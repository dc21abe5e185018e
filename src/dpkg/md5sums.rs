//! What the files of a package had in them when it was built: /var/lib/dpkg/info/NAME.md5sums. dpkg
//! --verify goes by it (lib/dpkg/db-fsys-digest.c); conffiles are not in it.

use super::error::ParseError;
use super::lines::Lines;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Md5sum<'a> {
    /// 32 hex digits.
    pub md5: &'a str,
    /// Relative to /, e.g. `usr/bin/ls`; as the package has it, not below the merged /usr.
    pub path: &'a [u8],
}

const DIGITS: usize = 32;

/// `md5  path` each. dpkg does not look whether they are digits; we do.
pub fn parse(input: &[u8]) -> Result<Vec<Md5sum<'_>>, ParseError> {
    Lines::new(input, usize::MAX).map(|line| line.and_then(|(line, text)| parse_line(text, line))).collect()
}

fn parse_line(text: &[u8], line: usize) -> Result<Md5sum<'_>, ParseError> {
    let broken = || ParseError::new(line, "a checksum, two blanks and a path", text);
    let (md5, path) = text.split_at_checked(DIGITS).ok_or_else(broken)?;
    let path = path.strip_prefix(b"  ").filter(|path| !path.is_empty()).ok_or_else(broken)?;
    let md5 = std::str::from_utf8(md5).ok().filter(|m| m.bytes().all(|b| b.is_ascii_hexdigit()));
    Ok(Md5sum { md5: md5.ok_or_else(broken)?, path })
}

pub fn write(sums: &[Md5sum]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sums.len() * 80);
    for sum in sums {
        out.extend(sum.md5.bytes());
        out.extend(b"  ");
        out.extend(sum.path);
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_paths() {
        let text = b"0123456789abcdef0123456789abcdef  usr/bin/a b\n0123456789abcdef0123456789abcdeF   x\n";
        let sums = parse(text).unwrap();
        assert_eq!((sums[0].path, sums[1].path), (&b"usr/bin/a b"[..], &b" x"[..]));
        assert_eq!(write(&sums), text);
        assert!(parse(b"").unwrap().is_empty());
        for bad in [
            &b"\n"[..],
            b"0123456789abcdef0123456789abcdef",
            b"0123456789abcdef0123456789abcdef  \n",
            b"0123456789abcdef0123456789abcdef x\n",
            b"0123456789abcdef0123456789abcdex  x\n",
            b"0123456789abcdef0123456789abcdef  x",
            b"short  x\n",
        ] {
            let whole = [text, bad].concat();
            assert_eq!(parse(&whole).unwrap_err().line, 3, "{bad:?}");
        }
    }
}
