//! The account files: passwd(5), group(5), and subuid(5), which subgid(5) looks like. Lines that are no
//! account (a comment, NIS's `+`, a number that is none) are passed over; they stay where they are.

/// A line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User<'a> {
    pub name: &'a str,
    pub number: u32,
    pub group: u32,
    /// These may be in any encoding: what is no UTF-8 in them is replaced, the line counts all the same.
    pub comment: String,
    pub home: String,
    pub shell: String,
}

/// A line of group(5), or of subuid(5) with the first number of the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered<'a> {
    pub name: &'a str,
    pub number: u32,
    /// Of a group its members, of a range how many numbers it has.
    pub rest: String,
}

pub fn users(text: &[u8]) -> impl Iterator<Item = User<'_>> {
    lines(text).filter_map(|fields| {
        let [name, _, number, group, comment, home, shell] = fields[..] else { return None };
        let (name, number, group) = (word(name)?, parsed(number)?, parsed(group)?);
        let [comment, home, shell] = [comment, home, shell].map(lossy);
        Some(User { name, number, group, comment, home, shell })
    })
}

pub fn groups(text: &[u8]) -> impl Iterator<Item = Numbered<'_>> {
    lines(text).filter_map(|fields| {
        let [name, _, number, rest] = fields[..] else { return None };
        Some(Numbered { name: word(name)?, number: parsed(number)?, rest: lossy(rest) })
    })
}

pub fn ranges(text: &[u8]) -> impl Iterator<Item = Numbered<'_>> {
    lines(text).filter_map(|fields| {
        let [name, number, rest] = fields[..] else { return None };
        Some(Numbered { name: word(name)?, number: parsed(number)?, rest: lossy(rest) })
    })
}

/// The fields of every line with a name that can be one: printable, and no `+` or `-` of NIS.
fn lines(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = text.split(|b| *b == b'\n');
    let fields = lines.map(|line| line.split(|b| *b == b':').collect::<Vec<_>>());
    fields.filter(|fields| {
        let name = fields[0];
        name.iter().all(u8::is_ascii_graphic) && !matches!(name.first(), None | Some(b'+' | b'-' | b'#'))
    })
}

fn word(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok()
}

fn parsed(field: &[u8]) -> Option<u32> {
    word(field)?.parse().ok()
}

fn lossy(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Does a maintainer script, or a file of sysusers.d(5), name this account? As a whole word.
pub fn names(script: &[u8], account: &str) -> bool {
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    script.split(|b| !inner(b)).any(|word| word == account.as_bytes())
}

/// Programs whose words make an account.
const MAKERS: [&[u8]; 4] = [b"adduser", b"useradd", b"addgroup", b"groupadd"];

/// Does a maintainer script make this account, or a line of sysusers.d(5)? Only where it stands in the
/// command itself: an account `test` is not made by whoever tests something. A name in a variable is not
/// seen; the ledger knows who brought it then.
pub fn makes(script: &[u8], account: &str) -> bool {
    let script = String::from_utf8_lossy(script).replace("\\\n", " ");
    let lines = script.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    lines
        .into_iter()
        .any(|line| sysusers_line(line, account) || line.split(CUTS).any(|c| command(c, account)))
}

/// What ends a command within a line of a script.
const CUTS: [char; 7] = [';', '|', '&', '(', ')', '`', '{'];

fn command(text: &str, account: &str) -> bool {
    let unquoted = |word: &str| word.trim_matches(['"', '\'']).to_owned();
    let mut words = text.split_whitespace().map(unquoted);
    let maker = |word: &str| MAKERS.contains(&word.rsplit('/').next().unwrap_or(word).as_bytes());
    words.by_ref().any(|word| maker(&word)) && words.any(|word| word == account)
}

/// `u _chrony - "Chrony" /var/lib/chrony`, `g input -`; `u!` makes it locked.
fn sysusers_line(line: &str, account: &str) -> bool {
    let mut words = line.split_whitespace();
    matches!(words.next(), Some("u" | "u!" | "g")) && words.next() == Some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_account_is_found() {
        let text = b"root:x:0:0:root:/root:/bin/bash\n# no\n+::::::\n\xff:x:1:1:::\nshort:x:1\n_chrony:x:104:110:a, b:/var/lib/chrony:/usr/sbin/nologin\nno:x:-1:1:::\nlast:x:7:8:::";
        let names: Vec<_> = users(text).map(|user| (user.name, user.number, user.group)).collect();
        assert_eq!(names, [("root", 0, 0), ("_chrony", 104, 110), ("last", 7, 8)]);
        assert_eq!(
            groups(b"adm:x:4:a,b\n::1:\n").collect::<Vec<_>>(),
            [Numbered { name: "adm", number: 4, rest: "a,b".into() }]
        );
        let latin = users(b"jose:x:1000:1000:Jos\xe9:/home/jose:/bin/sh\n").next().unwrap();
        assert_eq!((latin.name, latin.number, latin.home.as_str()), ("jose", 1000, "/home/jose"));
        assert_eq!(ranges(b"anna:100000:65536\n1000:1:1\n").count(), 2);
        assert_eq!((users(b"").count(), groups(b"\0\n:::").count()), (0, 0));
    }

    #[test]
    fn an_account_is_made_where_it_stands_in_the_command() {
        let script = b"#!/bin/sh\n# adduser anna\nif test -x /usr/sbin/adduser; then\n  getent passwd bob || /usr/sbin/adduser --system \\\n    --home /var/lib/x --quiet 'post-gres'\nfi\ngroupadd -r plug; chown daemon x\n\xff\nu! _chrony - -\ng input -\nu tester:1 x\n";
        for name in ["post-gres", "plug", "_chrony", "input"] {
            assert!(makes(script, name), "{name}");
        }
        for name in ["test", "anna", "bob", "daemon", "x", "adduser", "post", "-", "tester"] {
            assert!(!makes(script, name), "{name}");
        }
    }

    #[test]
    fn a_name_is_a_whole_word() {
        let script = b"adduser --system --quiet _chrony\nUSER=\"post-gres\"; chown daemon: x";
        for name in ["_chrony", "post-gres", "daemon"] {
            assert!(names(script, name), "{name}");
        }
        for name in ["chrony", "post", "gres", "syst"] {
            assert!(!names(script, name), "{name}");
        }
    }
}
