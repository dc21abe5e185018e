//! `builtin.conf`: what a built-in profile says of itself. Lines of key=value, as pool.conf; keys nobody
//! knows are passed over, because a newer program may know them.

use super::config::KeyValues;
use super::id::BaseVersion;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltinConf {
    /// e.g. `router`; the id of the profile where none is asked for
    pub id: String,
    pub name: Option<String>,
    pub note: String,
    /// The base it needs: `13.2`, or a pattern, `13.*`; empty: any
    pub base: String,
    /// Kernel arguments and DT overlays it begins with; absent: as in its stream, or none.
    pub args: Option<String>,
    pub dtbo: Option<String>,
}

impl BuiltinConf {
    /// Else the reason.
    pub fn parse(text: &str) -> Result<BuiltinConf, String> {
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err("builtin.conf has control characters".into());
        }
        let keys = KeyValues::parse(text);
        let get = |key: &str| keys.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
        Ok(BuiltinConf {
            id: get("id").ok_or("builtin.conf has no line id=ID")?,
            name: get("name"),
            note: get("note").unwrap_or_default(),
            base: get("base").unwrap_or_default(),
            args: get("args"),
            dtbo: get("dtbo"),
        })
    }

    pub fn fits(&self, version: &BaseVersion) -> bool {
        self.base.is_empty() || matches(&self.base, version.as_str())
    }
}

/// `*` stands for anything, also nothing.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            places.any(|at| matches(rest, &text[at..]))
        }),
    }
}

/// The names in a `packages` file: one a line, `#` begins a comment. Else the line that is no name.
pub fn package_names(text: &str) -> Result<Vec<String>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let names: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    // Debian policy 5.6.1, with apt's `:arch`, `/suite` and `=version`. A name never begins with `-`.
    let good = |name: &String| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:/=~".contains(c))
            && !name.ends_with('-') // apt would remove it
    };
    match names.iter().find(|name| !good(name)) {
        Some(bad) => Err(format!("{bad:?} in packages is no package name")),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_built_in_says_of_itself() {
        let text = "# x\nid = router\nname=My Router\nbase=13.*\nargs=quiet a=b\nfuture=1\n";
        let conf = BuiltinConf::parse(text).unwrap();
        assert_eq!((conf.id.as_str(), conf.name.as_deref()), ("router", Some("My Router")));
        assert_eq!(conf.args.as_deref(), Some("quiet a=b"));
        assert_eq!(conf.dtbo, None);
        for (version, fits) in [("13.2", true), ("13.", true), ("13", false), ("14.13.2", false)] {
            assert_eq!(version.parse().is_ok_and(|version| conf.fits(&version)), fits, "{version}");
        }
        assert!(BuiltinConf::parse("name=x\n").is_err() && BuiltinConf::parse("id=\n").is_err());
        assert!(BuiltinConf::parse("id=a\nname=\u{1b}[2J\n").is_err());
        assert!(matches("*.2*", "13.2-x") && !matches("a*b*", "ac") && matches("*", ""));
    }

    #[test]
    fn packages_are_names_and_nothing_that_apt_would_read_otherwise() {
        let text = "nginx # the web\n\n# none\nlibc6:arm64\nfoo=1:2~x+1-1\nbar/trixie\n";
        assert_eq!(package_names(text).unwrap(), ["nginx", "libc6:arm64", "foo=1:2~x+1-1", "bar/trixie"]);
        for bad in ["-oX=y", "a b", "foo-", "--force", "../x.deb", "./x.deb", "~ninstalled", "a;b", "A"] {
            assert!(package_names(bad).is_err(), "{bad}");
        }
    }
}
