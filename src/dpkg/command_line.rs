//! What a dpkg was asked for, from the words it was called with (dpkg(1), src/main/main.c). Without apt
//! nobody else says what a run was meant to do.

/// What a call of dpkg is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `-i`, `--unpack`: paths of .debs, as they were typed.
    Archives(Vec<Vec<u8>>),
    /// `-r`: `name` or `name:architecture`.
    Remove(Vec<String>),
    /// `-P`
    Purge(Vec<String>),
}

/// None where the words do not tell: other actions (`--configure -a`), and options that let dpkg choose
/// among the archives (`--recursive`, `--skip-same-version`).
pub fn parse(words: &[Vec<u8>]) -> Option<Asked> {
    const CHOOSING: [&[u8]; 6] = [
        b"--recursive",
        b"--skip-same-version",
        b"--selected-only",
        b"--refuse-downgrade",
        b"--pending",
        b"--no-act",
    ];
    let mut action = None;
    let mut rest = Vec::new();
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_slice() {
            b"--" => rest.extend(words.by_ref().cloned()),
            b"--install" | b"--unpack" => action = Some(b'i'),
            b"--remove" => action = Some(b'r'),
            b"--purge" => action = Some(b'P'),
            b"--status-fd" => drop(words.next()),
            long if CHOOSING.contains(&long) => return None,
            long if long.starts_with(b"--") => {}
            [b'-', letters @ ..] if !letters.is_empty() => action = short(letters, action)?,
            _ => rest.push(word.clone()),
        }
    }
    let names = |rest: Vec<Vec<u8>>| rest.into_iter().filter_map(|n| String::from_utf8(n).ok()).collect();
    Some(match action? {
        b'i' => Asked::Archives(rest),
        b'r' => Asked::Remove(names(rest)),
        _ => Asked::Purge(names(rest)),
    })
}

/// `-iB`: letters may stand together. None: one of them lets dpkg choose.
fn short(letters: &[u8], mut action: Option<u8>) -> Option<Option<u8>> {
    for letter in letters {
        match letter {
            b'D' => break, // its value follows: -D1, -D1000
            b'R' | b'E' | b'G' | b'O' | b'a' => return None,
            b'i' | b'r' | b'P' => action = Some(*letter),
            _ => {}
        }
    }
    Some(action)
}

/// One line of `dpkg-deb --show --showformat='${Package} ${Version} ${Architecture}\n'`.
pub fn parse_shown(line: &[u8]) -> Option<(&str, &str, &str)> {
    let mut words = std::str::from_utf8(line).ok()?.split_whitespace();
    let found = (words.next()?, words.next()?, words.next()?);
    words.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(line: &str) -> String {
        let words: Vec<Vec<u8>> = line.split(' ').map(|w| w.as_bytes().to_vec()).collect();
        let text =
            |list: Vec<Vec<u8>>| list.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        let (what, names): (_, Vec<String>) = match parse(&words) {
            None => return "unknown".to_owned(),
            Some(Asked::Archives(paths)) => ("install", text(paths)),
            Some(Asked::Remove(names)) => ("remove", names),
            Some(Asked::Purge(names)) => ("purge", names),
        };
        format!("{what} {}", names.join(" "))
    }

    #[test]
    fn what_dpkg_is_asked_for() {
        let rows = [
            ("dpkg -i a.deb b.deb", "install a.deb b.deb"),
            ("dpkg --unpack a.deb", "install a.deb"),
            ("/usr/bin/dpkg --status-fd 15 --no-triggers --unpack --auto-deconfigure a.deb", "install a.deb"),
            ("dpkg --force-all -iB -- -odd.deb", "install -odd.deb"),
            ("dpkg -D1000 -i a.deb", "install a.deb"),
            ("dpkg -r one two:amd64", "remove one two:amd64"),
            ("dpkg --purge --force-depends one", "purge one"),
            ("dpkg -Pa", "unknown"),
            ("dpkg -iE a.deb", "unknown"),
            ("dpkg -i -R dir", "unknown"),
            ("dpkg -i --skip-same-version a.deb", "unknown"),
            ("dpkg --configure -a", "unknown"),
            ("dpkg --configure one", "unknown"),
            ("dpkg", "unknown"),
        ];
        for (line, wanted) in rows {
            assert_eq!(brief(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_dpkg_deb_shows() {
        assert_eq!(parse_shown(b"plain 1:2-3 all"), Some(("plain", "1:2-3", "all")));
        assert_eq!(parse_shown(b""), None);
    }
}
