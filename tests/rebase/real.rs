//! Debian 12 to 12 with its security updates, and in the long form to 13: everything works on the new base,
//! what the person did is there, and the way back is the way it was.

use std::collections::BTreeSet;
use std::fs;

use crate::booted::{Answers, boot};
use crate::pair::{Facts, Pair};
use crate::rig::tree::{Tree, assert_same, promised};

/// What the edits changed of packages' files, and nothing else: what dpkg --verify may say.
const CHANGED: [&str; 7] = [
    "/etc/bash.bashrc",
    "/etc/debconf.conf",
    "/etc/pam.conf",
    "/etc/cron.daily/dpkg",
    "/etc/update-motd.d/10-uname",
    "/usr/bin/whoami",
    "/lib/systemd/system/ssh.service",
];

fn firsts(facts: &Facts, kind: &str) -> BTreeSet<String> {
    facts.get(kind).into_iter().flatten().map(|words| words[0].clone()).collect()
}

fn merged(pair: &Pair) -> Tree {
    pair.rig.mounted("lab", promised)
}

fn stands_on(pair: &Pair, base: &str) {
    let root = pair.rig.root_dir("lab");
    assert_eq!(fs::read_to_string(root.join("base")).unwrap().trim(), base);
}

fn rebased(pair: &Pair) -> Facts {
    pair.rig.profile(&["rebase", "lab", "--base", "2", "--yes"]).ok();
    stands_on(pair, "2");
    pair.facts("lab")
}

fn everything_works(facts: &Facts) {
    for words in &facts["program"] {
        assert_eq!(words[1], "0", "{} does not run", words[0]);
    }
    assert_eq!(facts.get("missing"), None, "libraries");
}

fn only_the_persons_changes(facts: &Facts) {
    let in_adduser = |path: &String| path.starts_with("/usr/share/doc/adduser/");
    let others: Vec<String> = firsts(facts, "verify")
        .into_iter()
        .filter(|path| !CHANGED.contains(&&**path) && !in_adduser(path))
        .collect();
    assert!(others.is_empty(), "dpkg --verify: {others:?}");
}

/// Every account of the person's, and every one of the base under the base's own number.
fn accounts_are_merged(before: &Facts, now: &Facts, fresh: &Facts) {
    for kind in ["id", "gid"] {
        for words in &fresh[kind] {
            let there = now[kind].iter().find(|other| other[0] == words[0]);
            assert_eq!(there.map(|other| &other[1]), Some(&words[1]), "{kind} {}", words[0]);
        }
        let numbers: BTreeSet<&String> = now[kind].iter().map(|words| &words[1]).collect();
        assert_eq!(numbers.len(), now[kind].len(), "a number is given twice");
    }
    for name in ["alice", "svcuser", "postgres"] {
        assert!(firsts(before, "id").contains(name) && firsts(now, "id").contains(name), "{name}");
    }
}

/// What the two dozen changes came to, told by the programs that made them.
const KEPT: &str = r#"
set -e
test "$(stat -c '%U %G' /srv/svc/data)" = "svcuser profilegrp"
test "$(cat /srv/svc/data)" = data
test "$(stat -c %G /usr/lib/dbus-1.0/dbus-daemon-launch-helper)" = messagebus
test "$(stat -c '%G %a' /usr/bin/expiry)" = "mail 2750"
test "$(readlink /etc/alternatives/pager)" = /bin/more
test "$(apt-mark showhold)" = curl
test "$(/usr/bin/factor)" = mine
/usr/bin/factor.distrib 6 | grep -q '2 3'
test "$(readlink /etc/systemd/system/systemd-timesyncd.service)" = /dev/null
test -u /usr/bin/chage
grep -q '^Port 2222' /etc/ssh/sshd_config
grep -q '^# mine' /etc/pam.conf
grep -q 'de_DE.UTF-8' /etc/locale.gen
test "$(cat /usr/local/lib/python3.11/dist-packages/mine.py)" = 'x = 1'
test ! -e /usr/bin/whoami || test "$1" = trixie
test ! -e /usr/share/doc/adduser/copyright || test "$1" = trixie
test -z "$(dpkg --audit)"
apt-get check > /dev/null
for package in nginx python3-requests openssh-server postgresql-common fontconfig man-db vim-tiny git curl \
    iputils-ping locales cron logrotate debsums attr; do
    dpkg -s "$package" | grep -q 'ok installed'
    apt-mark showmanual | grep -qx "$package"
done
"#;

const ASK: &str = "
echo state=$(systemctl is-system-running --wait)
echo failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1)
for unit in cron dbus nginx ssh; do echo $unit=$(systemctl is-enabled $unit) $(systemctl is-active $unit); done
";

/// With its state/ bound over it, as a boot does.
fn boots(pair: &Pair, id: &str) -> Answers {
    let list = pair.rig.profile(&["state", "list", id, "--json"]).json();
    let paths = list.as_array().unwrap().iter().filter(|path| path["where"] == "state");
    let state = pair.rig.in_pool(format!("@profiles/{id}/state"));
    let binds = paths.map(|path| path["path"].as_str().unwrap().to_owned());
    let binds: Vec<_> = binds.map(|path| (format!("{}{path}", state.display()), path)).collect();
    pair.rig.mounted(id, |root| boot(root, &binds, ASK))
}

/// Up, with nothing that failed, and the services as they were.
fn boots_as_before(before: &Answers, now: &Answers) {
    assert_eq!((now.says("state"), now.says("failed")), ("running", ""), "{now:?} and before: {before:?}");
    for unit in ["cron", "dbus", "nginx", "ssh"] {
        assert_eq!(now.says(unit), before.says(unit), "{unit}");
    }
}

fn a_profile_moves(candidate: &str) {
    let pair = Pair::with(candidate);
    pair.rig.profile(&["create", "fresh", "--base", "2"]).ok();
    let (fresh, before, tree) = (pair.facts("fresh"), pair.facts("lab"), merged(&pair));
    let facts = rebased(&pair);
    everything_works(&facts);
    only_the_persons_changes(&facts);
    accounts_are_merged(&before, &facts, &fresh);
    pair.rig.profile(&["run", "lab", "sh", "-c", KEPT, "sh", candidate]).ok();
    // No security update of the base is masked, and nothing lies about.
    for path in ["usr/bin/cat", "usr/bin/perl", ".flipper-rebase"] {
        assert!(pair.rig.root_dir("lab").join("root").join(path).symlink_metadata().is_err(), "{path}");
    }
    let first = merged(&pair);
    // Back, and forward again to the same.
    pair.rig.undo(&["--profile", "lab", "--yes"]).ok();
    stands_on(&pair, "1");
    assert_same(&tree, &merged(&pair));
    let again = rebased(&pair);
    assert_eq!(facts, again);
    let written = ["var/lib/dpkg", "var/log", "var/cache", "var/lib/systemd", "etc/ssl", "etc/ld.so.cache"];
    assert_same(&first.without(&written), &merged(&pair).without(&written));
    // A boot writes here and there.
    pair.rig.profile(&["clone", "lab", "moved"]).ok();
    pair.rig.undo(&["--profile", "lab", "--yes"]).ok();
    boots_as_before(&boots(&pair, "lab"), &boots(&pair, "moved"));
    pair.rig.verify();
}

#[test]
fn a_real_profile_stands_on_the_next_base_and_goes_back() {
    for candidate in crate::long::pick(&["bookworm"][..], &["bookworm", "trixie"]) {
        a_profile_moves(candidate);
    }
}
