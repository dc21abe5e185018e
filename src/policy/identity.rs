//! The hostname and the ssh host keys of a device are the same in all profiles that ask for no others.
//! Each is held in three places: what the device has, what this profile has now, and what it was last
//! given. Who changed it since is told by the third.

/// What an assembly does about one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    Nothing,
    /// The profile gets the device's.
    Give,
    /// It was changed in the profile, or is the first of the device: the device gets the profile's.
    Take,
}

/// None: it has none.
pub fn settle<T: PartialEq + ?Sized>(device: Option<&T>, given: Option<&T>, here: Option<&T>) -> Settle {
    match (device, here) {
        (None, None) => Settle::Nothing,
        (None, Some(_)) => Settle::Take,
        (Some(_), None) => Settle::Give, // purged with its package
        (Some(device), Some(here)) if device == here => Settle::Nothing,
        (Some(_), Some(here)) if given.is_some_and(|given| given != here) => Settle::Take,
        _ => Settle::Give,
    }
}

/// hosts(5) with this name in the line of 127.0.1.1, as Debian's installer writes it: the name the line
/// has first gives way to the new one wherever it stands in it. None: it is so, or there is no such line.
pub fn hosts_with(text: &[u8], own_address: &[u8], hostname: &str) -> Option<Vec<u8>> {
    let mut now = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        let renamed = line.starts_with(own_address).then(|| renamed(line, hostname)).flatten();
        now.extend_from_slice(renamed.as_deref().unwrap_or(line.to_vec().as_slice()));
    }
    (now != text).then_some(now)
}

/// `127.0.1.1  old.lan old` -> `127.0.1.1  new.lan new`; a hostname with a dot is whole.
fn renamed(line: &[u8], hostname: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?;
    let (names, comment) = text.split_at(text.find('#').unwrap_or(text.trim_end().len()));
    let names: Vec<&str> = names.split_inclusive(char::is_whitespace).collect();
    let first = names.iter().skip(1).map(|word| word.trim()).find(|word| !word.is_empty())?;
    let old = first.split('.').next()?;
    let new = hostname.split('.').next()?;
    let is_there = names.iter().skip(1).any(|word| word.trim() == hostname);
    if is_there {
        return None;
    }
    let rename = |word: &str| match word.trim() {
        whole if whole == old => word.replacen(old, hostname, 1),
        whole if whole.split('.').next() == Some(old) => word.replacen(old, new, 1),
        _ => word.to_owned(),
    };
    let head = names.first().copied().unwrap_or_default();
    let rest: String = names.iter().skip(1).map(|word| rename(word)).collect();
    Some(format!("{head}{rest}{comment}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changed_it_last_is_followed() {
        use Settle::{Give, Nothing, Take};
        let cases = [
            (None, None, None, Nothing),
            (None, None, Some("a"), Take),
            (Some("a"), None, None, Give),
            (Some("a"), None, Some("a"), Nothing),
            (Some("a"), None, Some("b"), Give), // a clone, or a key openssh-server made
            (Some("b"), Some("a"), Some("a"), Give), // changed in another profile
            (Some("a"), Some("a"), Some("b"), Take), // changed here
            (Some("a"), Some("a"), None, Give),
        ];
        for (device, given, here, expected) in cases {
            assert_eq!(settle(device, given, here), expected, "{device:?} {given:?} {here:?}");
        }
    }

    #[test]
    fn only_the_line_of_the_machine_itself_changes() {
        let with = |text: &str, name: &str| {
            hosts_with(text.as_bytes(), b"127.0.1.1", name).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let hosts = "127.0.0.1\tlocalhost\n127.0.1.1\told.lan\told  alias # old\n10.1.1.1 old\n";
        assert_eq!(
            with(hosts, "new").unwrap(),
            "127.0.0.1\tlocalhost\n127.0.1.1\tnew.lan\tnew  alias # old\n10.1.1.1 old\n"
        );
        assert_eq!(with("127.0.1.1 old", "new").unwrap(), "127.0.1.1 new");
        for same in
            ["127.0.0.1 localhost\n", "127.0.1.1\tnew.lan new\n", "127.0.1.1\n", "127.0.1.1 # x\n", ""]
        {
            assert_eq!(with(same, "new"), None, "{same:?}");
        }
    }
}
