//! What systemd starts: links below /etc/systemd/system and /etc/systemd/user (systemctl(1) enable, mask;
//! systemd.unit(5)). A link is all there is to it, so it is read from its own path and target alone.

/// A link of a unit directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link<'a> {
    /// `multi-user.target.wants/cron.service`
    Pulled { by: &'a [u8], how: Pull, unit: &'a [u8] },
    /// `timers.service -> /dev/null`: it cannot be started by anything.
    Masked { unit: &'a [u8] },
    /// `sshd.service -> /usr/lib/systemd/system/ssh.service`: another name of it.
    Alias { name: &'a [u8], unit: &'a [u8] },
    /// `x.service -> /opt/x/x.service`: the unit itself, whose file lies elsewhere.
    Linked { unit: &'a [u8] },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pull {
    Wants,
    Requires,
    Upholds,
}

impl Pull {
    pub const ALL: [Pull; 3] = [Pull::Wants, Pull::Requires, Pull::Upholds];

    pub fn suffix(self) -> &'static str {
        match self {
            Pull::Wants => ".wants",
            Pull::Requires => ".requires",
            Pull::Upholds => ".upholds",
        }
    }
}

impl Link<'_> {
    /// Where it stands, relative to the directory: what `link` was given.
    pub fn path(&self) -> Vec<u8> {
        match self {
            Link::Pulled { by, how, unit } => [by, how.suffix().as_bytes(), b"/", unit].concat(),
            Link::Masked { unit } | Link::Linked { unit } => unit.to_vec(),
            Link::Alias { name, .. } => name.to_vec(),
        }
    }
}

/// Below these, relative to the root.
pub const DIRECTORIES: [&str; 2] = ["etc/systemd/system", "etc/systemd/user"];

/// `path` is relative to one of `DIRECTORIES`. None for what systemd does not look at: deeper paths, names
/// that are no units. Of a link in a .wants directory the name alone counts, its target need not be there.
pub fn link<'a>(path: &'a [u8], target: &'a [u8]) -> Option<Link<'a>> {
    let mut parts = path.split(|b| *b == b'/');
    let (first, second) = (parts.next()?, parts.next());
    match (second, parts.next()) {
        (Some(unit), None) => {
            let split = |pull: &Pull| Some((first.strip_suffix(pull.suffix().as_bytes())?, *pull));
            let (by, how) = Pull::ALL.iter().find_map(split)?;
            (is_unit(by) && is_unit(unit)).then_some(Link::Pulled { by, how, unit })
        }
        (None, _) if is_unit(first) => Some(beside(first, target)),
        _ => None,
    }
}

fn beside<'a>(name: &'a [u8], target: &'a [u8]) -> Link<'a> {
    // systemd takes an empty file for a mask, too; a link to one is not known from its target.
    if normal(target) == b"/dev/null" {
        return Link::Masked { unit: name };
    }
    let unit = target.rsplit(|b| *b == b'/').next().unwrap_or_default();
    // getty@tty1.service may be a link to the template getty@.service and is still itself.
    match unit == name || template(name).is_some_and(|template| template == unit) || !is_unit(unit) {
        true => Link::Linked { unit: name },
        false => Link::Alias { name, unit },
    }
}

/// `//dev//null` is written by some.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|a, b| *a == b'/' && *b == b'/');
    out
}

const KINDS: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// As systemd's unit_name_is_valid has it: a name, a dot, and one of the kinds there are.
pub fn is_unit(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|b| *b == b'.').filter(|at| *at > 0) else { return false };
    let kind = KINDS.iter().any(|kind| kind.as_bytes() == &name[dot + 1..]);
    let good = |b: &u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(b);
    kind && name.len() < 256 && name[0] != b'@' && name[..dot].iter().all(good)
}

/// `getty@tty1.service` -> `getty@.service`
pub fn template(name: &[u8]) -> Option<Vec<u8>> {
    let at = name.iter().position(|b| *b == b'@')?;
    let dot = name.iter().rposition(|b| *b == b'.').filter(|dot| *dot > at + 1)?;
    Some([&name[..=at], &name[dot..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_from_its_path_and_target() {
        let read = |path: &'static str, target: &'static str| link(path.as_bytes(), target.as_bytes());
        let pulled = |by: &'static str, how, unit: &'static str| {
            Some(Link::Pulled { by: by.as_bytes(), how, unit: unit.as_bytes() })
        };
        let cron = "/lib/systemd/system/cron.service";
        for path in [
            "multi-user.target.wants/cron.service",
            "a.target.requires/b.mount",
            "sshd.service",
            "cron.service",
        ] {
            assert_eq!(read(path, cron).unwrap().path(), path.as_bytes());
        }
        assert_eq!(
            read("multi-user.target.wants/cron.service", cron),
            pulled("multi-user.target", Pull::Wants, "cron.service")
        );
        assert_eq!(read("a.target.requires/b.mount", ""), pulled("a.target", Pull::Requires, "b.mount"));
        assert_eq!(
            read("a.service.upholds/x@y.service", "x@.service"),
            pulled("a.service", Pull::Upholds, "x@y.service")
        );
        for target in ["/dev/null", "//dev//null"] {
            assert_eq!(read("a.timer", target), Some(Link::Masked { unit: b"a.timer" }));
        }
        assert_eq!(
            read("sshd.service", "/lib/systemd/system/ssh.service"),
            Some(Link::Alias { name: b"sshd.service", unit: b"ssh.service" })
        );
        assert_eq!(
            read("default.target", "../../x/graphical.target"),
            Some(Link::Alias { name: b"default.target", unit: b"graphical.target" })
        );
        assert_eq!(read("a.service", "/opt/a/a.service"), Some(Link::Linked { unit: b"a.service" }));
        assert_eq!(
            read("g@1.service", "/lib/systemd/system/g@.service"),
            Some(Link::Linked { unit: b"g@1.service" })
        );
        for (path, target) in [
            ("a.wants/b.service", ""),
            ("a.target.wants/b", ""),
            ("a.target.wants/b.service/c.service", ""),
            ("a.target.wants", ""),
            ("x.conf", "/dev/null"),
            ("", ""),
            ("/a.service", ""),
            ("a.service.d/b.service", ""),
            (".service", "/dev/null"),
        ] {
            assert_eq!(read(path, target), None, "{path}");
        }
    }

    #[test]
    fn names_of_units() {
        for good in ["a.service", "a@.service", "dev-sda1.swap", "x\\x2dy.mount", "a.b.target", "a@b@c.timer"]
        {
            assert!(is_unit(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "a",
            ".service",
            "a.conf",
            "a/b.service",
            "a b.service",
            "@a.service",
            "\u{e9}.service",
            "a.service ",
        ] {
            assert!(!is_unit(bad.as_bytes()), "{bad}");
        }
        assert_eq!(template(b"getty@tty1.service"), Some(b"getty@.service".to_vec()));
        assert_eq!((template(b"getty@.service"), template(b"a.service")), (None, None));
    }
}
