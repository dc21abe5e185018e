//! The account ledger: every number a profile ever gave to a user or group, in `@profiles/lab/ids`. It
//! does not roll back. What lies in state/ and in /home may belong to a number long after an undo took
//! its account away, so no number is given twice.
//!
//! One line for each, only ever added to; of two lines with one number the later one counts:
//!
//! ```text
//! u 104 _chrony chrony 110:Chrony daemon,,,:/var/lib/chrony:/usr/sbin/nologin
//! g 110 _chrony chrony
//! su 100000 anna - 65536
//! ```
//! kind, number, name, the packages whose scripts name it (`,` between them, `-` for none), and the rest
//! of its line: of passwd(5) without name, password and number; of subuid(5) and subgid(5) how many.

use std::collections::BTreeMap;

/// What the numbers of a root stand in, relative to the merged root.
pub const ACCOUNT_FILES: [&str; 6] = [PASSWD, SHADOW, GROUP, GSHADOW, SUBUID, SUBGID];
pub const PASSWD: &str = "etc/passwd";
pub const SHADOW: &str = "etc/shadow";
pub const GROUP: &str = "etc/group";
pub const GSHADOW: &str = "etc/gshadow";
pub const SUBUID: &str = "etc/subuid";
pub const SUBGID: &str = "etc/subgid";

/// The [`ACCOUNT_FILES`] of one root that are there.
pub type Texts = BTreeMap<&'static str, Vec<u8>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    User,
    Group,
    /// A range of numbers for the namespaces of a user.
    SubUid,
    SubGid,
}

impl What {
    const ALL: [What; 4] = [What::User, What::Group, What::SubUid, What::SubGid];

    fn letter(self) -> &'static str {
        match self {
            What::User => "u",
            What::Group => "g",
            What::SubUid => "su",
            What::SubGid => "sg",
        }
    }
}

/// A number that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub what: What,
    pub number: u32,
    pub name: String,
    pub packages: Vec<String>,
    pub rest: String,
}

impl Given {
    /// Apart from who brought it.
    pub fn is_as(&self, other: &Given) -> bool {
        (self.what, self.number, &self.name, &self.rest)
            == (other.what, other.number, &other.name, &other.rest)
    }

    pub fn to_line(&self) -> String {
        let packages = if self.packages.is_empty() { "-".to_owned() } else { self.packages.join(",") };
        let Given { what, number, name, rest, .. } = self;
        let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
        format!("{} {number} {name} {packages}{rest}\n", what.letter())
    }

    fn parse(line: &str) -> Option<Given> {
        let mut words = line.splitn(5, ' ');
        let letter = words.next()?;
        let what = What::ALL.into_iter().find(|what| what.letter() == letter)?;
        let number = words.next()?.parse().ok()?;
        let name = words.next().filter(|name| is_name(name))?.to_owned();
        let packages = words.next().unwrap_or("-");
        let packages =
            packages.split(',').filter(|p| !p.is_empty() && *p != "-").map(str::to_owned).collect();
        Some(Given { what, number, name, packages, rest: words.next().unwrap_or_default().to_owned() })
    }
}

/// Can this stand first in a line of an account file? A `+` or `-` there is NIS's.
pub fn is_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_graphic() && b != b':';
    text.bytes().all(good) && !matches!(text.bytes().next(), None | Some(b'+' | b'-' | b'#'))
}

/// The lines that can be read, oldest first. A last line without its newline was cut while it was
/// written; the account it was about is still in the root, and is noted again.
pub fn parse(bytes: &[u8]) -> Vec<Given> {
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    String::from_utf8_lossy(&bytes[..whole]).split('\n').filter_map(Given::parse).collect()
}

/// Those of `now` that the ledger does not have as they are.
pub fn lacking(ledger: &[Given], now: Vec<Given>) -> Vec<Given> {
    let key = |given: &Given| (given.what, given.number, given.name.clone());
    let newest: BTreeMap<_, _> = ledger.iter().map(|given| (key(given), given)).collect();
    now.into_iter().filter(|given| newest.get(&key(given)).is_none_or(|known| !known.is_as(given))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "u 104 _chrony chrony 110:Chrony daemon,,,:/var/lib/chrony:/usr/sbin/nologin\n\
                        g 110 _chrony chrony\nsu 100000 anna - 65536\n";

    #[test]
    fn what_is_written_is_read() {
        let read = parse(TEXT.as_bytes());
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].rest, "110:Chrony daemon,,,:/var/lib/chrony:/usr/sbin/nologin");
        assert_eq!((read[1].what, read[1].packages.as_slice()), (What::Group, &["chrony".to_owned()][..]));
        assert_eq!(read.iter().map(Given::to_line).collect::<String>(), TEXT);
    }

    #[test]
    fn a_line_that_was_cut_or_is_unknown_is_passed_over() {
        let read = parse(format!("x 1 of-a-newer-program - \nu x y\n\nu 7\n{TEXT}u 10").as_bytes());
        assert_eq!(read, parse(TEXT.as_bytes()));
        assert_eq!(parse(b"\xff\xfe\n\0 \n"), []);
    }

    #[test]
    fn only_what_is_new_or_different_lacks() {
        let ledger = parse(TEXT.as_bytes());
        let mut now = ledger.clone();
        assert_eq!(lacking(&ledger, now.clone()), []);
        now[0].packages.clear(); // who brought it is noted once
        now[1].number = 111;
        now[2].rest = "1".into();
        assert_eq!(lacking(&ledger, now.clone()), now[1..]);
    }
}
