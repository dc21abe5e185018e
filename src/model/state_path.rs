//! Which paths of a profile lie in state/ and not in its roots, so that undo leaves them alone: the
//! defaults, what a package brings, and what the owner named. In state/ a path lies under its own name.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Of every profile, from its first day. Relative to the merged root, like all paths here.
pub const DEFAULTS: [&str; 8] = [
    "root",
    "var/cache",
    "var/lib/apt/lists",
    "var/lib/systemd/coredump",
    "var/log",
    "var/mail",
    "var/spool/cron",
    "var/tmp",
];

/// What pools had before a path in state/ bore a mark ([`MARK`]).
pub const UNMARKED: [&str; 4] = ["var/cache/apt", "var/lib/apt/lists", "var/log", "var/tmp"];

/// Inside a state path, and of the root all the same: debconf's answers belong to the packages.
pub const OF_THE_ROOT: [&str; 1] = ["var/cache/debconf"];

/// Of a profile from the day one of these packages appears. `mysql-server` stands for
/// `mysql-server-8.0` too.
const BROUGHT: [(&str, &[&str]); 6] = [
    ("var/lib/containerd", &["containerd", "containerd.io"]),
    ("var/lib/containers", &["podman", "buildah", "cri-o", "skopeo"]),
    ("var/lib/docker", &["docker.io", "docker-ce", "moby-engine"]),
    ("var/lib/libvirt/images", &["libvirt-daemon", "libvirt-daemon-system"]),
    ("var/lib/mysql", &["mariadb-server", "mysql-server", "mysql-community-server"]),
    ("var/lib/postgresql", &["postgresql-common", "postgresql"]),
];

/// The extended attribute of a directory that is one of these paths in state/. A directory without it is
/// only on the way to one, or was never finished.
pub const MARK: &str = "trusted.flipper.state";

/// Ours, at the top of state/: what is not in its place yet, or any more.
pub const ASIDE: &str = ".flipper";

/// The paths packages bring, each once.
pub fn brought() -> impl Iterator<Item = &'static str> {
    BROUGHT.iter().map(|(path, _)| *path)
}

/// The path this package brings.
pub fn brought_by(package: &str) -> Option<&'static str> {
    let is = |name: &&&str| {
        let version = package.strip_prefix(**name).and_then(|rest| rest.strip_prefix('-'));
        package == **name || version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    BROUGHT.iter().find(|(_, names)| names.iter().any(|name| is(&name))).map(|(path, _)| *path)
}

/// A path that may lie in state/, e.g. `srv/data`: relative, without `..`, nothing the system needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatePath(PathBuf);

/// The system itself: neither one of these nor what holds one.
const SYSTEM: [&str; 16] = [
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "opt",
    "proc",
    "run",
    "sbin",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var/lib/dpkg",
    "var/lib/apt",
];

/// Nothing below these either. What lies below /etc rolls back with the packages it configures.
const WHOLE: [&str; 13] = [
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "proc",
    "run",
    "sbin",
    "sys",
    "tmp",
    "var/lib/dpkg",
    "var/lib/flipper-profiles",
];

impl StatePath {
    /// As a person types it, with its first `/`. The error is the reason, for a sentence.
    pub fn typed(path: &Path) -> Result<StatePath, String> {
        if !path.is_absolute() {
            return Err("it does not begin with /".into());
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err("it has a .. in it".into());
        }
        let inside: PathBuf = path.components().skip(1).collect();
        StatePath::parse(&inside)
    }

    /// Relative to the merged root.
    pub fn parse(inside: &Path) -> Result<StatePath, String> {
        if inside.as_os_str().is_empty() {
            return Err("it is everything".into());
        }
        let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || inside.as_os_str().as_bytes().contains(&0) {
            return Err("it is no plain path".into());
        }
        if inside.starts_with(ASIDE) {
            return Err("the name is taken".into());
        }
        if DEFAULTS.iter().any(|path| inside == Path::new(path)) {
            return Ok(StatePath(inside.to_path_buf()));
        }
        let holds = |place: &&&str| Path::new(place).starts_with(inside);
        if let Some(place) = SYSTEM.iter().chain(&OF_THE_ROOT).find(holds) {
            return Err(format!("it would take /{place} along, which belongs to the system"));
        }
        let programs = inside.starts_with("usr") && !inside.starts_with("usr/local")
            || inside == Path::new("usr/local")
            || inside.iter().next().is_some_and(|first| first.as_bytes().starts_with(b"lib"));
        let below = WHOLE.iter().chain(&OF_THE_ROOT).find(|place| inside.starts_with(place));
        match (programs, below) {
            (true, _) => Err("programs and libraries roll back with their packages".into()),
            (_, Some(place)) => Err(format!("what lies below /{place} belongs to the system")),
            (false, None) => Ok(StatePath(inside.to_path_buf())),
        }
    }

    /// e.g. `var/log`
    pub fn inside(&self) -> &Path {
        &self.0
    }

    /// e.g. `/var/log`
    pub fn shown(&self) -> String {
        format!("/{}", self.0.display())
    }

    pub fn is_default(&self) -> bool {
        DEFAULTS.iter().any(|path| self.0 == Path::new(path))
    }

    pub fn is_brought(&self) -> bool {
        brought().any(|path| self.0 == Path::new(path))
    }

    /// Is one of the two inside the other?
    pub fn meets(&self, other: &StatePath) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

/// A path of a person's files in JSON: its text, or, when that is not UTF-8, its bytes as numbers (as in
/// the manifest of a base).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BytePath(pub PathBuf);

impl Serialize for BytePath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => to.serialize_str(text),
            None => self.0.as_os_str().as_bytes().serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for BytePath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<BytePath, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(BytePath(match Either::deserialize(from)? {
            Either::Text(text) => text.into(),
            Either::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }))
    }
}

/// In profile.json: what differs from the defaults. It does not roll back, and a clone copies it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateList {
    /// What the owner named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<BytePath>,
    /// Defaults, and paths of packages, that the owner wants in the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<BytePath>,
}

impl StateList {
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.without.is_empty()
    }

    /// Every path of the profile, sorted. `has_brought` says of a package's path whether it is there: its
    /// package is, or was. What a newer program named and this one would refuse is left out.
    pub fn paths(&self, has_brought: impl Fn(&str) -> bool) -> Vec<StatePath> {
        let defaults = DEFAULTS.iter().copied();
        let of_packages = brought().filter(|path| has_brought(path));
        let ours = defaults.chain(of_packages).map(PathBuf::from);
        let ours = ours.filter(|path| !self.without.iter().any(|without| without.0 == *path));
        let named = self.named.iter().map(|path| path.0.clone());
        let mut paths: Vec<_> = ours.chain(named).filter_map(|path| StatePath::parse(&path).ok()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    pub fn add(&mut self, path: &StatePath) {
        self.without.retain(|without| without.0 != path.0);
        if !path.is_default() && !self.named.iter().any(|named| named.0 == path.0) {
            self.named.push(BytePath(path.0.clone()));
        }
    }

    pub fn remove(&mut self, path: &StatePath) {
        self.named.retain(|named| named.0 != path.0);
        let of_ours = path.is_default() || path.is_brought();
        if of_ours && !self.without.iter().any(|without| without.0 == path.0) {
            self.without.push(BytePath(path.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_system_is_refused() {
        for good in [
            "/srv/data",
            "/opt/thing",
            "/var/lib/mysql",
            "/usr/local/share/maps",
            "/data",
            "/root",
            "/srv/a b\n",
        ] {
            assert!(StatePath::typed(Path::new(good)).is_ok(), "{good}");
        }
        let bad = [
            "",
            "/",
            "srv/data",
            "/srv/../etc",
            "/etc",
            "/etc/nginx",
            "/usr",
            "/usr/share/x",
            "/usr/local",
            "/var",
            "/var/lib",
            "/var/lib/dpkg",
            "/var/lib/dpkg/info",
            "/var/lib/apt",
            "/var/cache/debconf",
            "/var/cache/debconf/x",
            "/boot",
            "/home",
            "/home/kim",
            "/dev/shm",
            "/run/x",
            "/tmp/x",
            "/lib64",
            "/lib/x",
            "/srv",
            "/opt",
            "/.flipper/x",
            "/proc/1",
            "/sys/fs",
            "/var/lib/flipper-profiles",
        ];
        for bad in bad {
            assert!(StatePath::typed(Path::new(bad)).is_err(), "{bad}");
        }
        assert!(DEFAULTS.iter().chain(&UNMARKED).all(|path| StatePath::parse(Path::new(path)).is_ok()));
        assert!(brought().all(|path| StatePath::parse(Path::new(path)).is_ok()));
    }

    #[test]
    fn packages_bring_their_paths_under_every_version() {
        for (package, path) in [
            ("docker.io", Some("var/lib/docker")),
            ("postgresql-16", Some("var/lib/postgresql")),
            ("postgresql-common", Some("var/lib/postgresql")),
            ("postgresql-client-16", None),
            ("mysql-server-8.0", Some("var/lib/mysql")),
            ("mysql-common", None),
            ("dockerfile", None),
        ] {
            assert_eq!(brought_by(package), path, "{package}");
        }
    }

    #[test]
    fn a_list_is_read_as_it_is_written_bytes_and_all() {
        let odd = StatePath::parse(Path::new(std::ffi::OsStr::from_bytes(b"srv/a \xff\n"))).unwrap();
        let mut list = StateList::default();
        assert_eq!(serde_json::to_string(&list).unwrap(), "{}");
        list.add(&odd);
        list.add(&odd);
        list.remove(&StatePath::parse(Path::new("root")).unwrap());
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(text, r#"{"named":[[115,114,118,47,97,32,255,10]],"without":["root"]}"#);
        assert_eq!(serde_json::from_str::<StateList>(&text).unwrap(), list);
        let paths = list.paths(|path| path == "var/lib/docker");
        assert!(paths.contains(&odd) && paths.iter().any(|p| p.inside() == Path::new("var/lib/docker")));
        assert!(
            !paths.iter().any(|path| path.inside() == Path::new("root")) && paths.len() == DEFAULTS.len() + 1
        );
    }
}
