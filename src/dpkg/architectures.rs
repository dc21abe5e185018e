//! The architectures dpkg takes packages of: /var/lib/dpkg/arch, one a line, the native one first
//! (dpkg's lib/dpkg/arch.c). There is no such file where only the native one counts and dpkg never wrote it;
//! `arch-native` beside it has that one's name since dpkg 1.22.

use super::error::{ParseError, architecture_name};
use super::lines::Lines;

/// _POSIX2_LINE_MAX
const LONGEST: usize = 2048;

pub fn parse(input: &[u8]) -> Result<Vec<&str>, ParseError> {
    let lines = Lines::new(input, LONGEST);
    lines.map(|line| line.and_then(|(line, text)| architecture_name(text, line))).collect()
}

pub fn write(architectures: &[&str]) -> Vec<u8> {
    architectures.iter().flat_map(|name| [name.as_bytes(), b"\n"]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_line() {
        assert_eq!(parse(b"amd64\ni386\n").unwrap(), ["amd64", "i386"]);
        assert_eq!(write(&["amd64", "kfreebsd-i386"]), b"amd64\nkfreebsd-i386\n");
        assert!(parse(b"").unwrap().is_empty());
        for bad in [&b"amd64"[..], b"\n", b"a b\n", b"-x\n", b"../x\n"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
