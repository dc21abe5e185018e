//! What apt tells a DPkg::Pre-Install-Pkgs hook: what it was called with and what it is about to let
//! dpkg do (apt-pkg/deb/dpkgpm.cc, SendPkgsInfo). Our hook asks for version 3; versions 1 and 2 come
//! where somebody's configuration says so. Version 3:
//! ```text
//! VERSION 3
//! CommandLine::AsString=apt%20install%20hello        the whole configuration, one setting a line
//!                                                    one empty line
//! hello - - none < 2.10-3 amd64 none /var/cache/apt/archives/hello_2.10-3_amd64.deb
//! hello - - none < 2.10-3 amd64 none **CONFIGURE**
//! ```

use super::error::{ParseError, architecture_name, package_name, version_word};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookStream {
    /// 1, 2 or 3.
    pub version: u8,
    /// As apt saw it, e.g. `apt install hello`. Absent with programs that set none (python-apt) and in
    /// version 1. For people: what is not UTF-8 was replaced.
    pub command_line: Option<String>,
    /// `apt --comment` (APT::History::Comment). For people, too.
    pub comment: Option<String>,
    /// APT::Get::Purge, which `apt purge` sets too. Version 3 only.
    pub purge: bool,
    /// In apt's order. A package that is unpacked has a configure line later.
    pub actions: Vec<HookAction>,
}

impl HookStream {
    /// Are the removals purges? By the setting, or by the words somebody typed (aptitude's is not known).
    pub fn purges(&self) -> bool {
        let words = self.command_line.iter().flat_map(|line| line.split(' '));
        self.purge || words.skip(1).any(|word| word == "purge" || word == "--purge")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookAction {
    pub package: String,
    /// Absent when none is installed.
    pub old_version: Option<String>,
    /// Absent when none is installed, and before version 3. `all` stays `all`.
    pub old_arch: Option<String>,
    /// Absent for a removal, and in version 1 unless the .deb is named as the archive names it.
    pub new_version: Option<String>,
    pub new_arch: Option<String>,
    pub direction: Direction,
    pub what: What,
}

/// apt's own comparison. Compare the versions where it matters: a removal is a Downgrade here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `<`: also for what is new. All of version 1.
    Upgrade,
    /// `>`: also for a removal.
    Downgrade,
    /// `=`
    Same,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The path of the .deb, in bytes; may hold blanks.
    Unpack(Vec<u8>),
    Configure,
    /// Or a purge: apt does not say which.
    Remove,
}

/// An empty input is a version 1 with nothing to do. A torn one is an error.
pub fn parse(input: &[u8]) -> Result<HookStream, ParseError> {
    let mut lines = Lines { rest: input, line: 0 };
    let version = match input.strip_prefix(b"VERSION ") {
        None => return parse_version_1(lines),
        Some(_) => match lines.next()? {
            Some(b"VERSION 2") => 2,
            Some(b"VERSION 3") => 3,
            other => return Err(lines.wrong("VERSION 2 or VERSION 3", other.unwrap_or_default())),
        },
    };
    let mut stream = HookStream { version, ..HookStream::default() };
    parse_settings(&mut lines, &mut stream)?;
    while let Some(text) = lines.next()? {
        stream.actions.push(parse_action(text, version, &lines)?);
    }
    Ok(stream)
}

struct Lines<'a> {
    rest: &'a [u8],
    /// Of the line given last, from 1.
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, ParseError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let Some(end) = memchr::memchr(b'\n', self.rest) else {
            return Err(ParseError::end(self.line, "a newline behind the last line"));
        };
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(Some(text))
    }

    fn wrong(&self, expected: &str, found: &[u8]) -> ParseError {
        ParseError::new(self.line, expected, found)
    }
}

/// `Key::Of::It=value`, %-encoded on both sides, up to the empty line. Lists repeat `Key::=value`.
fn parse_settings(lines: &mut Lines, stream: &mut HookStream) -> Result<(), ParseError> {
    loop {
        let Some(text) = lines.next()? else {
            return Err(ParseError::end(lines.line + 1, "an empty line behind the configuration"));
        };
        if text.is_empty() {
            return Ok(());
        }
        let Some(at) = memchr::memchr(b'=', text) else {
            return Err(lines.wrong("a setting and its value", text));
        };
        if text[..at].eq_ignore_ascii_case(b"APT::Get::Purge") {
            stream.purge = matches!(&text[at + 1..], b"1" | b"true" | b"yes" | b"on");
            continue;
        }
        let slot = if text[..at].eq_ignore_ascii_case(b"CommandLine::AsString") {
            &mut stream.command_line
        } else if text[..at].eq_ignore_ascii_case(b"APT::History::Comment") {
            &mut stream.comment
        } else {
            continue;
        };
        let value = decode(&text[at + 1..]);
        *slot = Some(String::from_utf8_lossy(&value).into_owned()).filter(|v| !v.is_empty());
    }
}

/// `%20` is a blank; a `%` with anything else behind it stays as it is.
fn decode(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut decoded, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// Version 2: `name old dir new action`. Version 3: `name old arch ma dir new arch ma action`. The action
/// is the rest of the line, because a path may hold blanks.
fn parse_action(text: &[u8], version: u8, lines: &Lines) -> Result<HookAction, ParseError> {
    let count = if version == 2 { 5 } else { 9 };
    let words: Vec<&[u8]> = text.splitn(count, |b| *b == b' ').collect();
    let (name, old, old_arch, dir, new, new_arch, action) = match words[..] {
        [name, old, dir, new, action] => (name, old, &b"-"[..], dir, new, &b"-"[..], action),
        [name, old, old_arch, _, dir, new, new_arch, _, action] => {
            (name, old, old_arch, dir, new, new_arch, action)
        }
        _ => return Err(lines.wrong(&format!("an action of {count} words"), text)),
    };
    let line = lines.line;
    let present = |word: &[u8], parse: fn(&[u8], usize) -> Result<&str, ParseError>| match word {
        b"-" => Ok(None),
        word => parse(word, line).map(|text| Some(text.to_owned())),
    };
    Ok(HookAction {
        package: package_name(name, line)?.to_owned(),
        old_version: present(old, version_word)?,
        old_arch: present(old_arch, architecture_name)?,
        new_version: present(new, version_word)?,
        new_arch: present(new_arch, architecture_name)?,
        direction: match dir {
            b"<" => Direction::Upgrade,
            b">" => Direction::Downgrade,
            b"=" => Direction::Same,
            _ => return Err(lines.wrong("<, > or =", dir)),
        },
        what: match action {
            b"**CONFIGURE**" => What::Configure,
            b"**REMOVE**" => What::Remove,
            path if path.first() == Some(&b'/') => What::Unpack(path.to_vec()),
            _ => return Err(lines.wrong("a path, **CONFIGURE** or **REMOVE**", action)),
        },
    })
}

/// Only the paths of the .debs that will be unpacked: no removals, no old versions.
fn parse_version_1(mut lines: Lines) -> Result<HookStream, ParseError> {
    let mut stream = HookStream { version: 1, ..HookStream::default() };
    while let Some(path) = lines.next()? {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let Some(stem) = name.strip_suffix(b".deb").filter(|_| path.first() == Some(&b'/')) else {
            return Err(lines.wrong("the path of a .deb", path));
        };
        // The archive's name is package_version_architecture, with %3a for the colon of an epoch.
        let parts: Vec<&[u8]> = stem.split(|b| *b == b'_').collect();
        let version = decode(parts.get(1).copied().filter(|_| parts.len() == 3).unwrap_or_default());
        let arch = parts.get(2).copied().filter(|_| parts.len() == 3).unwrap_or_default();
        stream.actions.push(HookAction {
            package: package_name(parts[0], lines.line)?.to_owned(),
            old_version: None,
            old_arch: None,
            new_version: version_word(&version, lines.line).ok().map(str::to_owned),
            new_arch: architecture_name(arch, lines.line).ok().map(str::to_owned),
            direction: Direction::Upgrade,
            what: What::Unpack(path.to_vec()),
        });
    }
    Ok(stream)
}

#[cfg(test)]
mod tests;
