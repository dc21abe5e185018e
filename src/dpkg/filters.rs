//! Which paths dpkg leaves out when it unpacks: path-exclude and path-include of dpkg.cfg(5). Documents and
//! translations are kept off small machines with it, and what is left out was not deleted by anybody.

/// The rules of all files of dpkg's configuration, in the order dpkg reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    rules: Vec<(bool, Vec<u8>)>,
}

impl Filters {
    /// Adds the rules of /etc/dpkg/dpkg.cfg or of a file in dpkg.cfg.d: `path-exclude=/usr/share/man/*`,
    /// with a blank instead of `=` too (dpkg src/common/dpkg-db... load_config_file).
    pub fn add(&mut self, config: &[u8]) {
        for line in config.split(|b| *b == b'\n').map(<[u8]>::trim_ascii) {
            for (name, excluded) in [(&b"path-exclude"[..], true), (b"path-include", false)] {
                let Some(rest) = line.strip_prefix(name) else { continue };
                if rest.first().is_some_and(|b| *b == b'=' || b.is_ascii_whitespace()) {
                    let pattern = rest[1..].trim_ascii();
                    let pattern = pattern.strip_prefix(b"\"").unwrap_or(pattern);
                    let pattern = pattern.strip_suffix(b"\"").unwrap_or(pattern);
                    self.rules.push((excluded, pattern.to_vec()));
                }
            }
        }
    }

    /// Is this absolute path left out? The last rule that fits counts (dpkg src/main/filters.c).
    pub fn exclude(&self, path: &[u8]) -> bool {
        let fitting = self.rules.iter().rfind(|(_, pattern)| fits(pattern, path));
        fitting.is_some_and(|(excluded, _)| *excluded)
    }
}

/// As fnmatch(3) without flags: `*` and `?` match a slash too.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on after the last `*`, one byte further each time.
    let (mut p, mut t, mut retry) = (0, 0, None);
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            None if t == text.len() => return true,
            None => None,
            Some(_) => text.get(t).and_then(|byte| one(&pattern[p..], *byte)),
        };
        match (step, retry) {
            (Some(length), _) => (p, t) = (p + length, t + 1),
            (None, Some((after, from))) if from < text.len() => {
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// How many bytes of the pattern stand for this byte; None: they do not.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => match set(rest, byte) {
            Some((inside, length)) => inside.then_some(length + 1),
            None => (byte == b'[').then_some(1), // no closing bracket: it stands for itself
        },
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// `a-z]`, `!0-9]`: is the byte in it, and how long is it with the bracket?
fn set(rest: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(rest.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let (mut at, mut inside) = (start, false);
    while at == start || *rest.get(at)? != b']' {
        let low = *rest.get(at)?;
        match rest.get(at + 1..at + 3) {
            Some([b'-', high]) if *high != b']' => {
                inside |= (low..=*high).contains(&byte);
                at += 3;
            }
            _ => {
                inside |= low == byte;
                at += 1;
            }
        }
    }
    Some((inside != negated, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_fnmatch_has_them() {
        for (pattern, text, wanted) in [
            ("/usr/share/man/*", "/usr/share/man/de/man1/ls.1.gz", true),
            ("/usr/share/man/*", "/usr/share/man", false),
            ("/usr/share/locale/*/LC_MESSAGES/*.mo", "/usr/share/locale/de/LC_MESSAGES/a/b.mo", true),
            ("*", "", true),
            ("a*b*c", "a-bb-bc", true),
            ("a*b*c", "a-bb-bd", false),
            ("a?c", "a/c", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]x", "]x", true),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn the_last_rule_counts() {
        let mut filters = Filters::default();
        filters.add(b"# x\npath-exclude=/usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n");
        filters.add(b"path-exclude=\"/usr/share/man/*\"\nforce-confdef\npath-excluded=/etc/*\n");
        for (path, wanted) in [
            ("/usr/share/doc/x/README", true),
            ("/usr/share/doc/x/copyright", false),
            ("/usr/share/man/x", true),
            ("/etc/x", false),
        ] {
            assert_eq!(filters.exclude(path.as_bytes()), wanted, "{path}");
        }
    }
}
