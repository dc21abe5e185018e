//! The small files of the pool that people may read and edit: `@journal/format`, `@journal/pool.conf`
//! and this root's `/etc/flipper/profiles.conf`. All are lines of `key=value`; `#` begins a comment;
//! keys nobody knows are kept, because a newer program may have written them.

use super::error::Error;
use super::id::ProfileId;

/// The format this program writes, and the oldest it can write.
pub const FORMAT: u32 = 1;

/// `key=value` lines, order and unknown keys kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValues {
    lines: Vec<String>,
}

impl KeyValues {
    pub fn parse(text: &str) -> KeyValues {
        KeyValues { lines: text.split_terminator('\n').map(str::to_owned).collect() }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| {
            let (k, v) = line.split_once('=')?;
            (k.trim() == key).then_some(v.trim())
        })
    }

    /// The keys of all lines that are settings, in the order they stand in.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let settings = self.lines.iter().filter(|line| !line.trim_start().starts_with('#'));
        settings.filter_map(|line| Some(line.split_once('=')?.0.trim()))
    }

    pub fn set(&mut self, key: &str, value: &str) {
        let line = format!("{key}={value}");
        let same = |l: &&mut String| l.split_once('=').is_some_and(|(k, _)| k.trim() == key);
        match self.lines.iter_mut().find(same) {
            Some(old) => *old = line,
            None => self.lines.push(line),
        }
    }

    pub fn to_text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// `@journal/format`: what wrote this pool, and who may still read and write it. A later format is a
/// minor step as long as `oldest_writer` stays: only additions, which older programs keep and show. It
/// is a major step for programs older than `oldest_writer`: they read it, and undo from btrfs alone.
/// `oldest_reader` rises only when what lies below `@profiles` means something else; then they leave the
/// pool alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pub format: u32,
    /// A program that knows only older formats than this must not read the pool.
    pub oldest_reader: u32,
    /// A program that knows only older formats than this must not write to the pool.
    pub oldest_writer: u32,
    /// Inode numbers of roots begin here; see [`super::layout::DEFAULT_INODE_FLOOR`].
    pub inode_floor: u64,
}

impl Format {
    pub fn parse(text: &str) -> Result<Format, Error> {
        let keys = KeyValues::parse(text);
        Ok(Format {
            format: number(&keys, "format")?,
            oldest_reader: number(&keys, "oldest_reader")?,
            oldest_writer: number(&keys, "oldest_writer")?,
            inode_floor: number(&keys, "inode_floor")?,
        })
    }

    pub fn to_text(&self) -> String {
        format!(
            "format={}\noldest_reader={}\noldest_writer={}\ninode_floor={}\n",
            self.format, self.oldest_reader, self.oldest_writer, self.inode_floor
        )
    }

    pub fn may_read(&self) -> bool {
        self.oldest_reader <= FORMAT
    }

    pub fn may_write(&self) -> bool {
        self.oldest_writer <= FORMAT
    }
}

fn number<N: std::str::FromStr>(keys: &KeyValues, key: &str) -> Result<N, Error> {
    keys.get(key).and_then(|text| text.parse().ok()).ok_or_else(|| Error::Damaged {
        what: "@journal/format".into(),
        why: format!("it has no line {key}=NUMBER"),
    })
}

/// What a fresh pool says in `@journal/pool.conf`.
pub const POOL_CONF: &str = "\
# Settings of this pool. key=value, one a line.
# default: the profile that is used when nobody names one.
default=
# How the machine boots, and where its loader reads: flipper-profile boot-method says and changes it.
# boot_method: none or grub. boot_uuid, boot_dir: the file system of the boot directory, and its path there.
# boot_args: kernel arguments of every profile.
boot_method=none
# Which points `flipper-profile prune` keeps: those that ANY of these rules wants, and always the
# pinned ones, the first of a profile, and what undo, redo and the running system need. 0: no such rule.
# keep_last: the newest points of each profile.
keep_last=10
# keep_days: every point no older than this, counted back from the newest entry of its profile.
keep_days=7
# keep_hourly ... keep_monthly: the newest point of as many hours, days, weeks and months (UTC).
keep_hourly=0
keep_daily=14
keep_weekly=8
keep_monthly=6
# keep_base_changes: the points before the last changes of the base.
keep_base_changes=3
# keep_deleted_days: how long a deleted profile can be brought back.
keep_deleted_days=30
# keep_free: percent of the file system. While less is free, deleted profiles and then the oldest points
# go that only the rules above keep, one at a time...
keep_free=5
# keep_least: ...but never the newest so many of each profile.
keep_least=3
";

/// The default profile of the pool, if one is set.
pub fn default_profile(pool_conf: &KeyValues) -> Option<ProfileId> {
    pool_conf.get("default").filter(|v| !v.is_empty()).and_then(|v| v.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_comments_survive_a_change() {
        let mut keys = KeyValues::parse("# hello\nfuture=1\ndefault=\n");
        keys.set("default", "lab");
        keys.set("new", "x");
        assert_eq!(keys.to_text(), "# hello\nfuture=1\ndefault=lab\nnew=x\n");
        assert_eq!(default_profile(&keys).unwrap().as_str(), "lab");
    }

    #[test]
    fn a_newer_format_may_be_read_and_not_written() {
        let newer = Format::parse("format=9\noldest_reader=1\noldest_writer=9\ninode_floor=65536\n").unwrap();
        assert!(newer.may_read() && !newer.may_write());
        assert!(Format::parse("format=1\n").is_err());
        // Never cut down to a number that says otherwise.
        let huge = "format=1\noldest_reader=1\noldest_writer=4294967297\ninode_floor=65536\n";
        assert!(Format::parse(huge).is_err());
    }
}
