//! Classes C of what keeps its own records: ucf, debconf, and directories of fragments.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::case::{Case, Tree};
use crate::config::{nothing, write};
use crate::deb::Deb;
use crate::rig::need;

/// What postinsts that call ucf leave: the files, their checksums, and whose they are.
fn ship_by_ucf(tree: &Tree, files: &[(String, &str)]) {
    for (name, text) in files {
        tree.write(&format!("etc/{name}"), text);
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let records = "do printf '%s  /etc/%s\\n' $(md5sum < $file | cut -c1-32) $file >> ../var/lib/ucf/hashfile; \
                   printf 'server \\t /etc/%s\\n' $file >> ../var/lib/ucf/registry; done";
    tree.sh(&format!("mkdir -p var/lib/ucf etc; cd etc; for file in {}; {records}", names.join(" ")));
}

fn under_ucf(text: &'static str) -> impl Fn(&Tree) {
    move |tree| {
        ship_by_ucf(tree, &[("served.conf".into(), text)]);
    }
}

#[test]
fn c11_found_an_edited_file_under_ucf() {
    let edit = write("etc/served.conf", "mine");
    Case::of(under_ucf("one"), under_ucf("two"), &edit).is(&["C11 decision /etc/served.conf"]);
    Case::of(under_ucf("one"), under_ucf("one"), &edit).is(&["C11 harmless /etc/served.conf"]);
    let agreed = Case::of(under_ucf("one"), under_ucf("two"), write("etc/served.conf", "two"));
    agreed.is(&["C11 automatic /etc/served.conf"]);
    let deleted = |profile: &Tree| profile.remove("etc/served.conf");
    Case::of(under_ucf("one"), under_ucf("two"), deleted).is(&["C11 decision /etc/served.conf"]);
    Case::of(nothing, under_ucf("two"), &edit).is(&["C11 decision /etc/served.conf"]);
    let copied = Case::of(under_ucf("one"), nothing, |profile| profile.copy_up("etc/served.conf"));
    copied.is(&["C11 automatic /etc/served.conf"]);
}

#[test]
fn c11_found_records_of_both_sides() {
    let case = Case::of(under_ucf("one"), under_ucf("two"), |profile| {
        let records = profile.read("var/lib/ucf/hashfile");
        profile.write("var/lib/ucf/hashfile", &format!("{records}{}  /etc/own.conf\n", "0".repeat(32)));
    });
    case.is(&["C11 automatic /var/lib/ucf/hashfile"]);
}

#[test]
fn c11_near_miss_untouched_of_an_own_package_or_unknown_to_ucf() {
    Case::of(under_ucf("one"), under_ucf("two"), nothing).is(&[]);
    let own = Case::on(nothing, |profile| {
        profile.install(&[Deb::new("server", "1").file("usr/bin/server", "s")]);
        under_ucf("one")(profile);
        profile.write("etc/served.conf", "mine");
    });
    own.is(&[]);
    let plain = |text| move |tree: &Tree| tree.write("etc/served.conf", text);
    Case::of(plain("one"), plain("two"), plain("mine")).is(&["F16 decision /etc/served.conf"]);
}

/// What ucf leaves of a file that was shipped as `first` and `second`, with the edit between them. It has a
/// debconf of its own: the machine's may be locked.
fn by_ucf(dir: &Path, first: Option<&str>, edit: &dyn Fn(&Path), second: &str) -> String {
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(dir.join("state")).unwrap();
    let driver = |name| format!("Name: {name}\nDriver: File\nFilename: {}\n\n", at(name));
    let settings = format!("Config: c\nTemplates: t\n\n{}{}", driver("c"), driver("t"));
    fs::write(dir.join("debconf.conf"), settings).unwrap();
    let ship = |text: &str| {
        fs::write(dir.join("new"), text).unwrap();
        let mut command = Command::new("ucf");
        command.args(["--state-dir", &at("state"), &at("new"), &at("served.conf")]);
        command.env("DEBCONF_SYSTEMRC", at("debconf.conf")).env("DEBIAN_FRONTEND", "noninteractive");
        need("ucf", command.stdin(Stdio::null()));
    };
    first.iter().for_each(|text| ship(text));
    let conf = dir.join("served.conf");
    edit(&conf);
    ship(second);
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_else(|_| "nothing".into());
    format!("{}, beside it {}", text(&conf), text(&dir.join("served.conf.ucf-dist")))
}

#[test]
fn c11_found_what_ucf_itself_would_ask_about() {
    type Edit = (&'static str, fn(&Path));
    /// A name, and what was shipped before and after.
    type Ship = (&'static str, Option<&'static str>, &'static str);
    let edits: [Edit; 4] = [
        ("mine", |path| fs::write(path, "mine").unwrap()),
        ("two", |path| fs::write(path, "two").unwrap()),
        ("one", |path| fs::write(path, "one").unwrap()),
        ("nothing", |path| fs::remove_file(path).unwrap_or_default()),
    ];
    let ships: [Ship; 3] =
        [("same", Some("one"), "one"), ("changed", Some("one"), "two"), ("new", None, "two")];
    let rows: Vec<_> = ships.into_iter().flat_map(|ship| edits.map(|edit| (ship, edit))).collect();
    let name = |ship: &str, mine: &str| format!("{ship}-{mine}.conf");
    let shipped = |by: fn(&Ship) -> Option<&'static str>| {
        let rows = rows.iter().filter_map(|(ship, (mine, _))| Some((name(ship.0, mine), by(ship)?)));
        rows.collect::<Vec<_>>()
    };
    let base = |files: Vec<(String, &'static str)>| {
        move |tree: &Tree| {
            ship_by_ucf(tree, &files);
        }
    };
    let case = Case::of(base(shipped(|ship| ship.1)), base(shipped(|ship| Some(ship.2))), |profile| {
        rows.iter().for_each(|(ship, (mine, edit))| edit(&profile.path("etc").join(name(ship.0, mine))));
    });
    let found = case.findings();
    for (ship, (mine, edit)) in &rows {
        let path = format!(" /etc/{}", name(ship.0, mine));
        let rebase = match found.iter().find_map(|line| line.strip_suffix(&path)) {
            Some("C11 decision") => format!("{mine}, beside it {}", ship.2),
            Some("C11 harmless") => format!("{mine}, beside it nothing"),
            Some("C11 automatic") | None => format!("{}, beside it nothing", ship.2),
            other => panic!("{other:?}"),
        };
        let scratch = tempfile::tempdir().unwrap();
        let ucf = by_ucf(scratch.path(), ship.1, edit, ship.2);
        assert_eq!(rebase, ucf, "{} {mine}: {found:#?}", ship.0);
    }
}

fn answers(answer: &'static str, owner: &'static str) -> impl Fn(&Tree) {
    move |tree| {
        tree.write(
            "var/cache/debconf/config.dat",
            &format!(
                "Name: tool/colour\nTemplate: tool/colour\nValue: {answer}\nOwners: {owner}\nFlags: seen\n\n"
            ),
        );
    }
}

#[test]
fn c12_found_answers_of_both_sides() {
    let case = Case::of(answers("red", "tool"), answers("blue", "tool"), answers("green", "tool"));
    case.is(&["C12 automatic /var/cache/debconf/config.dat"]);
    assert_eq!(case.evidence("C12")["answers both changed"], "tool/colour");
    let owners = Case::of(answers("red", "tool"), answers("red", "tool, other"), answers("green", "tool"));
    owners.is(&["C12 automatic /var/cache/debconf/config.dat"]);
    assert!(owners.evidence("C12").get("answers both changed").is_none());
}

#[test]
fn c12_near_miss_answered_on_one_side_only() {
    Case::of(answers("red", "tool"), answers("red", "tool"), answers("green", "tool")).is(&[]);
    Case::of(answers("red", "tool"), answers("blue", "tool"), nothing).is(&[]);
    Case::of(answers("red", "tool"), answers("blue", "tool"), answers("blue", "tool")).is(&[]);
}

#[test]
fn c13_found_new_fragments_beside_own_ones() {
    let theirs = |tree: &Tree| {
        let deb = Deb::new("theirs", "1").conffile("etc/sysctl.d/50-base.conf", "a");
        tree.write("etc/sysctl.d/README", "");
        tree.install(&[deb]);
    };
    let case = Case::of(write("etc/sysctl.d/README", ""), theirs, write("etc/sysctl.d/99-mine.conf", "b"));
    case.is(&["C13 harmless /etc/sysctl.d"]);
    assert_eq!(case.evidence("C13")["new in the candidate"], "50-base.conf");
    assert_eq!(case.evidence("C13")["yours"], "99-mine.conf");
}

#[test]
fn c13_near_miss_fragments_of_packages_or_nothing_new() {
    let base = |tree: &Tree| {
        tree.write("etc/sysctl.d/README", "");
        tree.write("etc/sysctl.d/50-base.conf", "a");
    };
    Case::of(base, base, write("etc/sysctl.d/99-mine.conf", "b")).is(&[]);
    let packaged = Case::of(write("etc/sysctl.d/README", ""), base, |profile| {
        profile.install(&[Deb::new("own", "1").conffile("etc/sysctl.d/99-own.conf", "b")]);
    });
    packaged.is(&[]);
    let links =
        Case::of(write("etc/rc2.d/README", ""), write("etc/rc2.d/S01a", ""), write("etc/rc2.d/S02b", ""));
    links.is(&[]);
}
