//! Whose and with which mode dpkg unpacks some files: /var/lib/dpkg/statoverride, `user group mode path`
//! a line (dpkg's lib/dpkg/db-fsys-override.c, src/statoverride/main.c). dpkg refuses to run when a name in
//! it is no account; which are is known elsewhere.

use std::collections::HashSet;

use super::error::ParseError;
use super::lines::Lines;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override<'a> {
    pub user: Owner<'a>,
    pub group: Owner<'a>,
    /// At most 07777.
    pub mode: u32,
    /// Absolute; may hold blanks.
    pub path: &'a [u8],
}

/// `root`, or `#104` of an account that has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner<'a> {
    Name(&'a [u8]),
    Number(u32),
}

/// Signs and blanks in front of a number, which C's strtol takes, are refused: no tool writes them.
pub fn parse(input: &[u8]) -> Result<Vec<Override<'_>>, ParseError> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for line in Lines::new(input, usize::MAX) {
        let (line, text) = line?;
        let record = parse_line(text, line)?;
        if !seen.insert(record.path) {
            return Err(ParseError::new(line, "each path once", record.path));
        }
        found.push(record);
    }
    Ok(found)
}

fn parse_line(text: &[u8], line: usize) -> Result<Override<'_>, ParseError> {
    let mut words = text.splitn(4, |b| *b == b' ');
    let [Some(user), Some(group), Some(mode), Some(path)] = [(); 4].map(|()| words.next()) else {
        return Err(ParseError::new(line, "a user, a group, a mode and a path", text));
    };
    let (user, group) = (owner(user, line)?, owner(group, line)?);
    let digits = std::str::from_utf8(mode).ok().filter(|m| m.bytes().all(|b| (b'0'..=b'7').contains(&b)));
    let mode = digits.and_then(|m| u32::from_str_radix(m, 8).ok()).filter(|m| *m <= 0o7777);
    let mode = mode.ok_or_else(|| ParseError::new(line, "an octal mode", text))?;
    if !path.starts_with(b"/") {
        return Err(ParseError::new(line, "an absolute path", path));
    }
    Ok(Override { user, group, mode, path })
}

fn owner(word: &[u8], line: usize) -> Result<Owner<'_>, ParseError> {
    let Some(digits) = word.strip_prefix(b"#") else {
        return match word {
            b"" => Err(ParseError::new(line, "an account", word)),
            name => Ok(Owner::Name(name)),
        };
    };
    let number = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
    let number =
        number.and_then(|d| d.parse().ok()).ok_or_else(|| ParseError::new(line, "a number", word))?;
    Ok(Owner::Number(number))
}

/// As dpkg-statoverride writes it; the order of the lines means nothing to it.
pub fn write(overrides: &[Override]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in overrides {
        for owner in [record.user, record.group] {
            match owner {
                Owner::Name(name) => out.extend(name),
                Owner::Number(number) => out.extend(format!("#{number}").bytes()),
            }
            out.push(b' ');
        }
        out.extend(format!("{:o} ", record.mode).bytes());
        out.extend(record.path);
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_modes_and_paths() {
        let text = b"root mail 2750 /usr/bin/ch age\n#104 #4294967295 0 /x\n";
        let found = parse(text).unwrap();
        let wanted = Override {
            user: Owner::Name(b"root"),
            group: Owner::Name(b"mail"),
            mode: 0o2750,
            path: b"/usr/bin/ch age",
        };
        assert_eq!(found[0], wanted);
        assert_eq!((found[1].user, found[1].group), (Owner::Number(104), Owner::Number(u32::MAX)));
        assert_eq!(write(&found), text);
        assert_eq!(write(&parse(b"a b 0755 /x\n").unwrap()), b"a b 755 /x\n");
    }

    #[test]
    fn what_dpkg_refuses_is_refused() {
        for bad in [
            "\n",
            "root\n",
            "root root\n",
            "root root 755\n",
            "root root 755 \n",
            "root root 755 x\n",
            "root root 10000 /y\n",
            "root root 788 /y\n",
            "root root  /y\n",
            "# root 755 /y\n",
            "#x root 755 /y\n",
            "root #-1 755 /y\n",
            "#4294967296 root 755 /y\n",
            " root 755 /y\n",
            "root root 755 /x\n",
            "root root 755 /y",
        ] {
            assert_eq!(parse(format!("a b 755 /x\n{bad}").as_bytes()).unwrap_err().line, 2, "{bad:?}");
        }
    }
}
