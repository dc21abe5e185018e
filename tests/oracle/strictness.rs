//! What dpkg and update-alternatives refuse we refuse, and what they take we take: a database that is
//! written wrong stops every package run, and one that is refused for nothing stops a check.

use std::fs;
use std::path::Path;
use std::process::Command;

use flipper_profiles::dpkg::alternatives::Alternative;
use flipper_profiles::dpkg::triggers::{self, deferred, interests};
use flipper_profiles::dpkg::{conffile_list, info_file};

use crate::NO_DPKG;

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Does it end well? With what it said.
fn ends_well(command: &mut Command) -> (bool, String) {
    let output = command
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", PATH)
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}: {NO_DPKG}"));
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// An empty system below `root`.
fn empty_root(root: &Path) {
    for name in ["info", "updates", "triggers", "alternatives"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(name)).expect("make a directory");
    }
    for name in ["status", "available"] {
        fs::write(root.join("var/lib/dpkg").join(name), "").expect("write");
    }
}

/// Our answer against theirs; counts what was taken and what refused.
#[derive(Default)]
struct Score {
    taken: usize,
    refused: usize,
}

impl Score {
    fn compare(&mut self, ours: bool, (theirs, said): (bool, String), text: &str) {
        assert_eq!(ours, theirs, "{text:?}: we {}, dpkg: {said}", if ours { "take it" } else { "refuse it" });
        *if ours { &mut self.taken } else { &mut self.refused } += 1;
    }

    fn at_least(&self, taken: usize, refused: usize) {
        assert!(
            self.taken >= taken && self.refused >= refused,
            "{} taken, {} refused",
            self.taken,
            self.refused
        );
    }
}

#[test]
fn we_are_as_strict_about_triggers_as_dpkg() {
    let dir = tempfile::tempdir().expect("make a directory");
    empty_root(dir.path());
    let admindir = dir.path().join("var/lib/dpkg");
    let mut score = Score::default();
    let long = |length: usize| format!("/{} a\n", "x".repeat(length));
    let (fits, not) = (long(1019), long(1020));
    for text in [
        "",
        "/x a\n",
        "/x a\n/x b/noawait\n",
        "/x a:amd64/noawait\n/x a:i386\n",
        "/x a/what\n",
        "/x/ a\n",
        &fits,
        &not,
        "x a\n",
        "/x\n",
        "/x \n",
        "/x a b\n",
        "/x a",
        "\n",
        "/x a\n/x a\n",
        "/x a\n/x a/noawait\n",
        "/x ../a\n",
        "/x a:\n",
        "/x A\n",
        "/x -a\n",
    ] {
        fs::write(admindir.join("triggers/File"), text).expect("write");
        let theirs =
            ends_well(Command::new("dpkg").arg("--admindir").arg(&admindir).args(["--configure", "-a"]));
        score.compare(interests::parse_file(text.as_bytes()).is_ok(), theirs, text);
    }
    fs::remove_file(admindir.join("triggers/File")).expect("remove");
    for text in [
        "",
        "x a\n",
        "/x - a:amd64 b\n",
        "# x\n\n \t\n  x\t a\n",
        "x a+b.c-1\n",
        "x\n",
        "x A\n",
        "x -a\n",
        "x a_b\n",
        "x a",
        "\u{e9} a\n",
        "x ,\n",
    ] {
        fs::write(admindir.join("triggers/Unincorp"), text).expect("write");
        let theirs =
            ends_well(Command::new("dpkg").arg("--admindir").arg(&admindir).args(["--configure", "-a"]));
        score.compare(deferred::parse(text.as_bytes()).is_ok(), theirs, text);
    }
    score.at_least(10, 15);
}

#[test]
fn the_updates_that_count_are_those_dpkg_applies() {
    let mut score = Score::default();
    for names in [
        "",
        "0001 0002",
        "0010 0002 tmp.i x 0003a",
        "1",
        "0001 02",
        "12345678901",
        "1234567890 0000000001",
        "0001 x 2",
    ] {
        let dir = tempfile::tempdir().expect("make a directory");
        empty_root(dir.path());
        let names: Vec<&str> = names.split_whitespace().collect();
        for name in &names {
            let text = format!(
                "Package: p\nStatus: install ok installed\nArchitecture: all\nVersion: 1-{}\nMaintainer: me\nDescription: x\n",
                name.replace('.', "-")
            );
            fs::write(dir.path().join("var/lib/dpkg/updates").join(name), text).expect("write");
        }
        let mut query = Command::new("dpkg-query");
        query.arg("--admindir").arg(dir.path().join("var/lib/dpkg"));
        let ours = info_file::updates(&names);
        score.compare(ours.is_ok(), ends_well(query.args(["-W", "-f", "${Version}"])), &format!("{names:?}"));
        // The last one wins.
        let Ok(ours) = ours else { continue };
        let shown = query.output().expect(NO_DPKG).stdout;
        let wanted = ours.last().map_or(String::new(), |name| format!("1-{}", String::from_utf8_lossy(name)));
        assert_eq!(String::from_utf8_lossy(&shown), wanted, "{names:?}");
    }
    score.at_least(4, 3);
}

/// A package with this file beside its control, unpacked by dpkg; and the conffiles dpkg noted.
fn unpacked(name: &str, text: &str) -> ((bool, String), Vec<String>) {
    let dir = tempfile::tempdir().expect("make a directory");
    let (package, root, deb) = (dir.path().join("p"), dir.path().join("root"), dir.path().join("p.deb"));
    empty_root(&root);
    for name in ["DEBIAN", "etc"] {
        fs::create_dir_all(package.join(name)).expect("make a directory");
    }
    let control =
        "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: me <me@example.org>\nDescription: x\n";
    for (name, text) in
        [("DEBIAN/control", control), ("etc/a", "a"), ("etc/b c", "b"), (&format!("DEBIAN/{name}"), text)]
    {
        fs::write(package.join(name), text).expect("write");
    }
    let build =
        ends_well(Command::new("dpkg-deb").args(["--nocheck", "-Znone", "--build"]).arg(&package).arg(&deb));
    assert!(build.0, "{}", build.1);
    let answer = ends_well(
        Command::new("dpkg")
            .arg(format!("--root={}", root.display()))
            .args(["--force-not-root", "--unpack"])
            .arg(&deb),
    );
    let mut query = Command::new("dpkg-query");
    query.arg("--admindir").arg(root.join("var/lib/dpkg")).args(["-W", "-f", "${Conffiles}"]);
    let noted = String::from_utf8(query.output().expect(NO_DPKG).stdout).expect("text");
    let noted = noted
        .lines()
        .filter_map(|line| line.trim().split_once(" newconffile"))
        .map(|(path, _)| path.to_owned());
    (answer, noted.collect())
}

#[test]
fn we_are_as_strict_about_what_a_package_ships_as_dpkg() {
    let mut score = Score::default();
    for text in [
        "",
        "/etc/a\n",
        "/etc/a \t\n\n  \n/etc/b c\n",
        "remove-on-upgrade /etc/gone\n",
        "/etc/a",
        "etc/a\n",
        " /etc/a\n",
        "remove-on-upgrade\n",
        "remove-on-upgrade x\n",
        "keep /etc/a\n",
    ] {
        let (theirs, noted) = unpacked("conffiles", text);
        let ours = conffile_list::parse(text.as_bytes());
        score.compare(ours.is_ok(), theirs, text);
        let listed: Vec<String> =
            ours.unwrap_or_default().iter().map(|c| String::from_utf8_lossy(c.path).into_owned()).collect();
        if !noted.is_empty() {
            assert_eq!(noted, listed, "{text:?}");
        }
    }
    for text in [
        "",
        "interest /x\ninterest-noawait y\n",
        "# x\n\n\tinterest-await \t x \nactivate-noawait a_b\n",
        "interest /x\ninterest /x\n",
        "activate //\n",
        "interest\n",
        "interest \n",
        "Interest x\n",
        "interest a b\n",
        "interest /\n",
        "interest /x/\n",
        "interest //x\n",
        "interest a_b\n",
        "interest -a\n",
        "interest \u{e9}\n",
        "interest x",
    ] {
        let (theirs, _) = unpacked("triggers", text);
        score.compare(triggers::parse(text.as_bytes()).is_ok(), theirs, text);
    }
    score.at_least(8, 14);
}

#[test]
fn we_are_as_strict_about_alternatives_as_update_alternatives() {
    let dir = tempfile::tempdir().expect("make a directory");
    let mut score = Score::default();
    for text in [
        "auto\n/l\n\n/bin/sh\n1\n\n",
        "manual\n/l\na\n/a\n\n/bin/sh\n1\n/x\n/bin/ls\n -7\n\n\n",
        "auto\n/l\n\n/bin/sh\n+1\n\nmore\n",
        "auto\n/l\n\n\n",
        "sometimes\n/l\n\n\n",
        "auto\n",
        "auto\n/l\n",
        "auto\n/l\n\n",
        "auto\n/l\n\n/bin/sh\n",
        "auto\n/l\n\n/bin/sh\n\n\n",
        "auto\n/l\n\n/bin/sh\n1x\n\n",
        "auto\n/l\n\n/bin/sh\n2147483648\n\n",
        "auto\n/l\n\n/bin/sh\n1\n",
        "auto\n/l\n\n/bin/sh\n1\n\0",
        "auto\n/l\na\n/l\n\n\n",
        "auto\n/l\na\n/a\na\n/b\n\n\n",
        "auto\n/l\na\n/a\nb\n/a\n\n\n",
        "auto\n/l\n\n/bin/sh\n1\n/bin/sh\n2\n\n",
        "auto\n/l\na\n/a\n\n/bin/sh\n1\n",
    ] {
        fs::write(dir.path().join("pick"), text).expect("write");
        let mut query = Command::new("update-alternatives");
        query.arg("--admindir").arg(dir.path()).args(["--altdir", "/nonexistent"]).args(["--query", "pick"]);
        score.compare(Alternative::parse(text.as_bytes()).is_ok(), ends_well(&mut query), text);
    }
    score.at_least(4, 12);
}
