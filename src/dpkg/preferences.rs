//! Pins: /etc/apt/preferences and preferences.d (apt_preferences(5), apt's apt-pkg/policy.cc, ReadPinFile).

use super::error::ParseError;
use super::sources::{extension, is_read};
use super::stanzas::{self, Stanza};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin<'a> {
    /// From 1.
    pub line: usize,
    /// Names, `libc6:amd64`, `*`, patterns such as `linux-*`, `/regex/`, `src:linux`.
    pub packages: Vec<&'a [u8]>,
    /// `version 1.2*`, `release n=trixie`, `origin "mirror.example"`.
    pub pin: &'a [u8],
    pub priority: Priority,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Never 0.
    Number(i16),
    /// For `*` alone.
    Never,
}

/// What is no pin (a stanza without Pin, a kind of pin apt does not know) is passed over, as apt does.
pub fn parse(input: &[u8]) -> Result<Vec<Pin<'_>>, ParseError> {
    stanzas::parse(input)?.iter().filter_map(|stanza| pin(stanza).transpose()).collect()
}

fn pin<'a>(stanza: &Stanza<'a>) -> Result<Option<Pin<'a>>, ParseError> {
    let line = stanza.line;
    let packages = stanza.words("Package");
    if packages.is_empty() {
        return Err(ParseError::new(line, "a stanza with Package", b""));
    }
    let all = packages == [b"*"];
    let Some(pin) = stanza.value("Pin") else { return Ok(None) };
    let kind = pin.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    // A version of every package means nothing.
    let known = |word: &str| kind.eq_ignore_ascii_case(word.as_bytes());
    let means_something = known("release") || known("origin") || (known("version") && !all);
    if !means_something {
        return Ok(None);
    }
    let value = stanza.value("Pin-Priority").unwrap_or_default();
    let expected = || ParseError::new(line, "a priority from -32768 to 32767, not 0", value);
    let priority = match (value, all) {
        (b"never", true) => Priority::Never,
        (b"never", false) => return Err(ParseError::new(line, "never for Package: * only", value)),
        _ => Priority::Number(number(value).filter(|n| *n != 0).ok_or_else(expected)?),
    };
    Ok(Some(Pin { line, packages, pin, priority }))
}

/// As C's strtol reads it: what stands behind the digits is passed over.
fn number(value: &[u8]) -> Option<i16> {
    let sign = usize::from(matches!(value.first(), Some(b'+' | b'-')));
    let digits = value[sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    let number: i16 = std::str::from_utf8(&value[..sign + digits]).ok()?.parse().ok()?;
    // The lowest is `never`, which is not for numbers.
    Some(number.max(-i16::MAX))
}

/// Does apt read a file of this name in preferences.d?
pub fn is_preferences(file_name: &[u8]) -> bool {
    is_read(file_name) && extension(file_name).is_none_or(|extension| extension == b"pref")
}

pub fn write(pins: &[Pin]) -> Vec<u8> {
    let mut out = Vec::new();
    for pin in pins {
        let priority = match pin.priority {
            Priority::Number(number) => number.to_string(),
            Priority::Never => "never".to_owned(),
        };
        let packages = pin.packages.join(&b' ');
        for part in [
            b"Package: ",
            &packages[..],
            b"\nPin: ",
            pin.pin,
            b"\nPin-Priority: ",
            priority.as_bytes(),
            b"\n\n",
        ] {
            out.extend(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins() {
        let text = b"# x\nExplanation: why\nPackage: a b:i386\n linux-*\nPin: release n=trixie, o=Debian\nPin-Priority: 990\n\n\
            Package: *\nPin: origin \"x\"\nPin-Priority: never\n\nPackage: *\nPin: version 1\nPin-Priority: 5\n\nPackage: c\n\n\
            Package: d\nPin: phase 7\n\nPackage: e\nPin: Version 1.2*\nPin-Priority: -10 # why\n";
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].packages, [&b"a"[..], b"b:i386", b"linux-*"]);
        assert_eq!(
            (found[0].line, found[0].pin, found[0].priority),
            (2, &b"release n=trixie, o=Debian"[..], Priority::Number(990))
        );
        assert_eq!((found[1].priority, found[2].priority), (Priority::Never, Priority::Number(-10)));
        let written = write(&found);
        assert!(written.starts_with(
            b"Package: a b:i386 linux-*\nPin: release n=trixie, o=Debian\nPin-Priority: 990\n\n"
        ));
        assert_eq!(write(&parse(&written).unwrap()), written);
        for bad in [
            "Pin: release a\nPin-Priority: 1\n",
            "Package: a\nPin: release a\n",
            "Package: a\nPin: release a\nPin-Priority: 0\n",
            "Package: a\nPin: release a\nPin-Priority: x\n",
            "Package: a\nPin: release a\nPin-Priority: 32768\n",
            "Package: a\nPin: release a\nPin-Priority: never\n",
            "Package: *\nPin: release a\nPin-Priority: -\n",
            "x\n",
        ] {
            assert_eq!(parse(format!("\n{bad}").as_bytes()).unwrap_err().line, 2, "{bad:?}");
        }
        assert_eq!(
            parse(b"Package: a\nPin: release a\nPin-Priority: -32768\n").unwrap()[0].priority,
            Priority::Number(-32767)
        );
    }

    #[test]
    fn apt_reads_files_by_their_names() {
        for (name, read) in [
            ("x", true),
            ("x.pref", true),
            ("x.conf", false),
            ("x.pref~", false),
            (".x", false),
            ("a b", false),
        ] {
            assert_eq!(is_preferences(name.as_bytes()), read, "{name}");
        }
    }
}
