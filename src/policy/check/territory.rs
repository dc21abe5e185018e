//! Whose business is a path? Most of an upper is files of packages and of people. The rest has rules of
//! its own: databases that are merged, caches that are made anew, records that follow from others. Each
//! path has one territory, so that nothing is found twice.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Territory {
    /// Of packages and people.
    Files,
    /// dpkg's and apt's own files.
    Database,
    /// The account files, with their locks and backups.
    Accounts,
    /// /etc/alternatives: links that follow from the database of alternatives.
    Alternatives,
    /// /etc/systemd/system and what deb-systemd-helper notes of it.
    Units,
    /// What ucf and debconf keep.
    Answers,
    /// Made anew by a program.
    Cache,
    /// Who this machine is, and its secrets: they go where the profile goes.
    Identity,
    /// Written as time goes by: logs, mail, data of services.
    Running,
    /// Hidden below a mount point when the profile runs.
    Hidden,
}

/// The longest prefix counts. What ends with `/` is everything below it; the directory itself is a file like
/// others.
const PLACES: &[(&str, Territory)] = &[
    ("var/lib/dpkg/", Territory::Database),
    ("var/backups/", Territory::Database),
    ("var/lib/apt/", Territory::Database),
    ("var/cache/apt/", Territory::Cache),
    ("var/lib/apt/lists/", Territory::Cache),
    ("etc/passwd", Territory::Accounts),
    ("etc/passwd-", Territory::Accounts),
    ("etc/group", Territory::Accounts),
    ("etc/group-", Territory::Accounts),
    ("etc/shadow", Territory::Accounts),
    ("etc/shadow-", Territory::Accounts),
    ("etc/gshadow", Territory::Accounts),
    ("etc/gshadow-", Territory::Accounts),
    ("etc/subuid", Territory::Accounts),
    ("etc/subuid-", Territory::Accounts),
    ("etc/subgid", Territory::Accounts),
    ("etc/subgid-", Territory::Accounts),
    ("etc/.pwd.lock", Territory::Accounts),
    ("etc/alternatives/", Territory::Alternatives),
    ("etc/systemd/system/", Territory::Units),
    ("etc/systemd/user/", Territory::Units),
    ("var/lib/systemd/deb-systemd-helper-enabled/", Territory::Units),
    ("var/lib/systemd/deb-systemd-helper-masked/", Territory::Units),
    ("var/lib/systemd/deb-systemd-user-helper-enabled/", Territory::Units),
    ("var/lib/systemd/deb-systemd-user-helper-masked/", Territory::Units),
    ("var/lib/ucf/", Territory::Answers),
    ("var/cache/debconf/", Territory::Answers),
    ("etc/ld.so.cache", Territory::Cache),
    ("var/cache/", Territory::Cache),
    ("usr/share/icons/hicolor/icon-theme.cache", Territory::Cache),
    ("usr/share/applications/mimeinfo.cache", Territory::Cache),
    ("usr/share/mime/", Territory::Cache),
    ("usr/share/mime/packages/", Territory::Files),
    ("usr/share/glib-2.0/schemas/gschemas.compiled", Territory::Cache),
    ("etc/udev/hwdb.bin", Territory::Cache),
    ("usr/lib/udev/hwdb.bin", Territory::Cache),
    ("var/lib/systemd/catalog/", Territory::Cache),
    ("usr/lib/locale/locale-archive", Territory::Cache),
    ("etc/ssl/certs/ca-certificates.crt", Territory::Cache),
    ("etc/.updated", Territory::Cache),
    ("var/.updated", Territory::Cache),
    ("etc/machine-id", Territory::Identity),
    ("var/lib/dbus/machine-id", Territory::Identity),
    ("etc/hostname", Territory::Identity),
    ("etc/adjtime", Territory::Identity),
    ("var/lib/systemd/random-seed", Territory::Identity),
    ("var/lib/systemd/credential.secret", Territory::Identity),
    ("var/log/", Territory::Running),
    ("var/mail/", Territory::Running),
    ("var/spool/", Territory::Running),
    ("var/tmp/", Territory::Running),
    ("home/", Territory::Running),
    ("root/", Territory::Running),
    ("proc/", Territory::Hidden),
    ("sys/", Territory::Hidden),
    ("dev/", Territory::Hidden),
    ("run/", Territory::Hidden),
    ("tmp/", Territory::Hidden),
];

/// Of a path relative to the root.
pub fn of(path: &[u8]) -> Territory {
    let covers = |place: &str| match place.strip_suffix('/') {
        Some(dir) => crate::model::tree::is_below(path, dir.as_bytes()),
        None => path == place.as_bytes(),
    };
    if path.starts_with(b"etc/ssh/ssh_host_") {
        return Territory::Identity;
    }
    if path.ends_with(b".pyc") || path.ends_with(b"/__pycache__") {
        return Territory::Cache;
    }
    // A check asks this of every path several times: most places are told apart by how they begin.
    let begins = |place: &str| place.as_bytes().get(..4) == path.get(..4);
    let known = PLACES
        .iter()
        .filter(|(place, _)| begins(place) && covers(place))
        .max_by_key(|(place, _)| place.len());
    known.map_or(Territory::Files, |(_, territory)| *territory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        use Territory::*;
        for (path, wanted) in [
            ("usr/bin/cat", Files),
            ("etc/passwd", Accounts),
            ("etc/passwdx", Files),
            ("var/lib/dpkg", Files),
            ("var/lib/dpkg/info/x.list", Database),
            ("var/lib/apt/extended_states", Database),
            ("var/lib/apt/lists/x", Cache),
            ("var/cache/man/index.db", Cache),
            ("var/cache/debconf/config.dat", Answers),
            ("etc/ssh/ssh_host_rsa_key", Identity),
            ("etc/ssh/sshd_config", Files),
            ("usr/share/mime/mime.cache", Cache),
            ("usr/share/mime/packages/x.xml", Files),
            ("home/anna/x", Running),
            ("home", Files),
            ("usr/lib/python3/x/__pycache__/y.cpython-311.pyc", Cache),
        ] {
            assert_eq!(of(path.as_bytes()), wanted, "{path}");
        }
    }
}
