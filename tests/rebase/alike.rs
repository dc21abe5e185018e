//! A base that is like the old one: nothing the person sees may change, whatever was done to the profile.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::pair::root;
use crate::rig::Rig;
use crate::rig::tree::{Tree, assert_same, read};

/// Two bases from one root, and a profile on the first.
pub fn alike() -> Rig {
    let tar = root("bookworm", "");
    let rig = Rig::bare();
    rig.profile(&["init", "--image", rig.image_name(), "--size", "4G", "--inode-floor", "65536"]).ok();
    for version in ["1", "2"] {
        rig.base(&["import", tar.to_str().unwrap(), "--version", version, "--clean"]).ok();
    }
    rig.hold();
    rig.profile(&["create", "lab", "--base", "1"]).ok();
    rig
}

/// What a person sees: everything, and when each file was changed last. A copy of what the base has may give
/// way to the base's own, which is older or younger and the same in all else.
fn seen(rig: &Rig) -> (Tree, BTreeMap<PathBuf, i64>) {
    let upper = rig.root_dir("lab").join("root");
    rig.mounted("lab", |dir| {
        let mut times = BTreeMap::new();
        own_times(dir, &upper, Path::new(""), &mut times);
        (read(dir).without_link_groups(), times)
    })
}

/// Of files that no base has.
fn own_times(dir: &Path, upper: &Path, inside: &Path, times: &mut BTreeMap<PathBuf, i64>) {
    for item in fs::read_dir(upper.join(inside)).unwrap().map(Result::unwrap) {
        let path = inside.join(item.file_name());
        let meta = dir.join(&path).symlink_metadata();
        if item.file_type().unwrap().is_dir() {
            own_times(dir, upper, &path, times);
        } else if let Ok(meta) = meta.filter(|_| path.starts_with("srv") || path.starts_with("opt")) {
            times.insert(path, meta.mtime_nsec());
        }
    }
}

trait Filter<T> {
    fn filter(self, is: impl FnOnce(&T) -> bool) -> Result<T, ()>;
}

impl<T, E> Filter<T> for Result<T, E> {
    fn filter(self, is: impl FnOnce(&T) -> bool) -> Result<T, ()> {
        self.map_err(|_| ()).and_then(|value| if is(&value) { Ok(value) } else { Err(()) })
    }
}

fn rebase(rig: &Rig, to: &str) {
    rig.profile(&["rebase", "lab", "--base", to, "--yes"]).ok();
}

/// Logs and caches that the proof itself writes, and backups of databases, which are of another database now.
const WRITTEN: [&str; 15] = [
    "var/log",
    "var/cache/apt",
    "var/lib/apt/lists",
    "etc/ld.so.cache",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/status-old",
];

fn nothing_changes(rig: &Rig, edits: &str) {
    rig.profile(&["run", "lab", "sh", "-c", edits]).ok();
    let (before, times) = seen(rig);
    rebase(rig, "2");
    let (after, times_after) = seen(rig);
    assert_same(&before.without(&WRITTEN), &after.clone().without(&WRITTEN));
    assert_eq!(times, times_after);
    // Twice is once: back on a base that is alike, all of it is as it was.
    rebase(rig, "1");
    assert_same(&after.without(&WRITTEN), &seen(rig).0.without(&WRITTEN));
    rig.verify();
}

/// Each kind of change the check knows, made by the tools that make it.
const EDITS: &str = r#"
set -e
touch /usr/bin/cat
chmod u+x /usr/bin/tail
chmod u+s /usr/bin/chage
setfacl -m u:mail:r /usr/bin/head 2> /dev/null || chmod g-r /usr/bin/head
rm /usr/bin/whoami
rm -r /usr/share/doc/adduser
mkdir /usr/share/doc/adduser
rm -r /usr/share/doc/bash
ln -s coreutils /usr/share/doc/bash
echo '# mine' >> /etc/bash.bashrc
rm /etc/pam.conf /etc/logrotate.d/dpkg
mkdir /etc/logrotate.d/dpkg
echo mine > /usr/share/doc/sed/copyright
mkdir -p '/srv/a b' /srv/empty /opt/x/y
printf 'data\n' > '/srv/a b/file
name'
ln '/srv/a b/file
name' /srv/second
mkfifo /srv/pipe
mknod /srv/null c 1 3
printf 'bytes' > "$(printf '/srv/\377\376')"
chown 1234:4321 /srv/second
chmod 4751 /opt/x/y
useradd --create-home --uid 1234 alice
groupadd --gid 4321 friends
gpasswd -a alice friends > /dev/null
dpkg-divert --local --rename --add /usr/bin/factor > /dev/null
printf '#!/bin/sh\necho mine\n' > /usr/bin/factor
dpkg-statoverride --update --add root mail 2750 /usr/bin/expiry
ln -sf /dev/null /etc/systemd/system/apt-daily.timer
rm -f /etc/systemd/system/timers.target.wants/fstrim.timer
update-alternatives --install /usr/bin/mine mine /bin/cat 10 > /dev/null
update-alternatives --install /usr/bin/mine mine /bin/tac 20 > /dev/null
update-alternatives --set mine /bin/cat > /dev/null
apt-mark hold sed > /dev/null
apt-mark auto grep > /dev/null
dpkg --force-depends --force-remove-essential --purge tzdata > /dev/null 2>&1
dpkg --force-depends --force-remove-essential --remove e2fsprogs > /dev/null 2>&1
echo debconf debconf/priority select low | debconf-set-selections
chmod 0701 /usr/share/doc
"#;

#[test]
fn on_a_base_that_is_alike_nothing_changes() {
    nothing_changes(&alike(), EDITS);
}

/// Lines of shell, each of which may fail: paths of the base and of the person, in any order.
fn random_edits(seed: u64, count: usize) -> String {
    let mut random = Random(seed);
    let mut text = format!("# seed {seed}\n");
    const PATHS: [&str; 16] = [
        "/usr/bin/factor",
        "/usr/share/doc/bash",
        "/usr/share/doc/sed/copyright",
        "/etc/bash.bashrc",
        "/etc/profile.d",
        "/usr/share/perl5/Debconf",
        "/usr/lib/mime/packages",
        "/srv/a",
        "/srv/a/b",
        "/srv/c",
        "/opt/x",
        "/usr/share/man/man1/cat.1.gz",
        "/usr/share/common-licenses",
        "/etc/logrotate.d/dpkg",
        "/usr/local/bin/x",
        "/var/lib/misc",
    ];
    for _ in 0..count {
        let [a, b] = [random.pick(&PATHS), random.pick(&PATHS)];
        let line = match random.below(12) {
            0 => format!("touch {a}"),
            1 => format!("chmod {:o} {a}", 0o700 | random.below(0o77)),
            2 => format!("chown {}:{} {a}", random.below(99), random.below(99)),
            3 => format!("rm -rf {a}"),
            4 => format!("mkdir -p {a}"),
            5 => format!("mv {a} {b}"),
            6 => format!("cp -a {a} {b}"),
            7 => format!("echo {} >> {a}", random.below(1000)),
            8 => format!("ln -s {b} {a}"),
            9 => format!("ln {a} {b}"),
            10 => format!("rm -rf {a}; mkdir -p {a}; echo x > {a}/new"),
            _ => format!("setfattr -n user.x -v {} {a}", random.below(9)),
        };
        text.push_str(&format!("({line}) 2> /dev/null\n"));
    }
    text + "true\n"
}

/// splitmix64
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

#[test]
fn whatever_was_done_to_it() {
    for seed in 1..=crate::long::pick(2, 20) {
        let edits = random_edits(seed, 60);
        println!("{edits}");
        nothing_changes(&alike(), &edits);
    }
}
