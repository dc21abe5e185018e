//! The table of conffiles (C1-C10), and what becomes of plain files, next to dpkg itself: the same packages are
//! upgraded in a plain root, the same things edited in it, and what dpkg leaves behind is what the findings
//! say that rebase will do. Where rebase means to do otherwise, that stands here in words.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::case::{Case, Tree};
use crate::deb::Deb;
use crate::rig::need;

/// What the person did to a file of version 1.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Did {
    Nothing,
    /// Written with its own bytes: a copy lies in the upper.
    Touched,
    Edited,
    /// To what version 2 has.
    EditedAlike,
    Deleted,
    /// Put a link to an edited file in its place.
    Linked,
    /// Put a link to a file with its own bytes in its place.
    LinkedAlike,
}

/// What a version of the package has at a path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Has {
    Nothing,
    Plain(&'static str),
    Conffile(&'static str),
    /// `remove-on-upgrade` in its conffiles.
    Removal,
}

use Did::*;

const DEEDS: [Did; 7] = [Nothing, Touched, Edited, EditedAlike, Deleted, Linked, LinkedAlike];

/// Version 1 and version 2, with a name for the file.
const CHANGES: [(&str, Has, Has); 9] = [
    ("same", Has::Conffile("one"), Has::Conffile("one")),
    ("changed", Has::Conffile("one"), Has::Conffile("two")),
    ("gone", Has::Conffile("one"), Has::Nothing),
    ("new", Has::Nothing, Has::Conffile("two")),
    ("removed", Has::Conffile("one"), Has::Removal),
    ("plain-now", Has::Conffile("one"), Has::Plain("two")),
    ("conffile-now", Has::Plain("one"), Has::Conffile("two")),
    ("plain-changed", Has::Plain("one"), Has::Plain("two")),
    ("plain-gone", Has::Plain("one"), Has::Nothing),
];

fn path(change: &str, did: Did) -> String {
    format!("etc/{change}-{did:?}")
}

/// Both packages, with every file: the second's conffiles `moved` belong to another package.
fn debs(version: &str) -> Vec<Deb> {
    let (mut tool, mut other) = (Deb::new("tool", version), Deb::new("other", version));
    other = other.field("Replaces: tool");
    for did in DEEDS {
        for (change, first, second) in CHANGES {
            let has = if version == "1" { first } else { second };
            let path = path(change, did);
            tool = match has {
                Has::Nothing => tool,
                Has::Plain(text) => tool.file(&path, text),
                Has::Conffile(text) => tool.conffile(&path, text),
                Has::Removal => tool.control("conffiles", &format!("remove-on-upgrade /{path}\n")),
            };
        }
        for (change, text) in
            [("moved", "one"), ("moved-changed", if version == "1" { "one" } else { "two" })]
        {
            let path = path(change, did);
            match version {
                "1" => tool = tool.conffile(&path, text),
                _ => other = other.conffile(&path, text),
            }
        }
    }
    if version == "1" { vec![tool] } else { vec![tool, other] }
}

/// Every file, and what was done to it.
fn files() -> Vec<(String, Did)> {
    let changes = CHANGES.iter().map(|(change, ..)| *change).chain(["moved", "moved-changed"]);
    let one = |change: &'static str| DEEDS.into_iter().map(move |did| (path(change, did), did));
    changes.flat_map(one).collect()
}

fn edit(root: &Path) {
    for (inside, did) in files() {
        let path = root.join(&inside);
        let is_new = !path.exists();
        match did {
            Nothing => {}
            Touched if is_new => {}
            Touched => fs::write(&path, fs::read(&path).unwrap()).unwrap(),
            Edited => fs::write(&path, "mine").unwrap(),
            EditedAlike => fs::write(&path, "two").unwrap(),
            Deleted if is_new => {}
            Deleted => fs::remove_file(&path).unwrap(),
            Linked | LinkedAlike => {
                let text = if did == Linked { "mine" } else { "one" };
                let target = root.join("srv").join(path.file_name().unwrap());
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::write(&target, text).unwrap();
                let _ = fs::remove_file(&path);
                symlink(Path::new("../srv").join(path.file_name().unwrap()), &path).unwrap();
            }
        }
    }
}

/// What there is of one file: its text through links, and the files beside it.
fn left(root: &Path, inside: &str) -> String {
    let mut said = Vec::new();
    for ending in ["", ".dpkg-dist", ".dpkg-old"] {
        let path = root.join(format!("{inside}{ending}"));
        if let Ok(text) = fs::read_to_string(&path) {
            let link = if path.is_symlink() { "link " } else { "" };
            said.push(format!("{link}{text}{ending}"));
        }
    }
    // dpkg moves what a link leads to.
    let target = root.join("srv").join(Path::new(inside).file_name().unwrap());
    if let Ok(text) = fs::read_to_string(format!("{}.dpkg-old", target.display())) {
        said.push(format!("link {text}.dpkg-old"));
    }
    if said.is_empty() { "nothing".into() } else { said.join(", ") }
}

/// A plain root with these packages, by dpkg.
struct Plain(std::path::PathBuf);

impl Plain {
    fn new(dir: &Path, name: &str) -> Plain {
        let root = dir.join(name);
        for inside in ["info", "updates"] {
            fs::create_dir_all(root.join("var/lib/dpkg").join(inside)).unwrap();
        }
        fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        Plain(root)
    }

    fn install(&self, debs: &[Deb]) {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", self.0.display())).args(["--force-confdef", "--force-bad-path"]);
        command.arg("--install").args(debs.iter().map(|deb| deb.build(self.0.parent().unwrap())));
        need("dpkg", command.env("DEBIAN_FRONTEND", "noninteractive"));
    }

    fn left(&self) -> BTreeMap<String, String> {
        files().into_iter().map(|(path, _)| (path.clone(), left(&self.0, &path))).collect()
    }

    /// What the database says of each conffile: its checksum and words behind it.
    fn recorded(&self) -> BTreeMap<String, String> {
        let status = fs::read_to_string(self.0.join("var/lib/dpkg/status")).unwrap();
        let lines = status.lines().filter_map(|line| line.strip_prefix(" /")?.split_once(' '));
        // Two packages may name one: the one that ships it counts.
        let mut lines: Vec<_> = lines.collect();
        lines.sort_by_key(|(_, word)| !word.ends_with("obsolete"));
        lines.into_iter().map(|(path, word)| (path.to_owned(), word.to_owned())).collect()
    }
}

/// What a finding says that rebase will leave of a file that is `mine` here and `new` in the candidate.
fn by_rebase(class: &str, severity: &str, mine: &str, new: &str) -> String {
    match (class, severity) {
        ("-" | "C1" | "C3" | "F1", _) | ("C7" | "C8" | "F3", "automatic") => new.to_owned(),
        ("C2" | "C4" | "C10", _) | ("C7", "harmless") | ("C8", "decision") => mine.to_owned(),
        ("C5", _) => format!("{new}.dpkg-dist"),
        ("C6" | "C7", _) => format!("{mine}, {new}.dpkg-dist"),
        ("C9", "decision") => format!("{mine}.dpkg-old"),
        ("F3" | "F5" | "F6", _) | ("C9", _) => new.to_owned(),
        other => panic!("{other:?} is not of this table"),
    }
}

/// Where rebase means to do otherwise than dpkg, and why.
fn differs_on_purpose(change: &str, did: Did) -> Option<&'static str> {
    match (change, did) {
        ("conffile-now", Nothing | Touched) => {
            Some("dpkg takes the text it shipped itself for the person's, and asks; the base is known here")
        }
        ("gone", Nothing | Touched) => Some("a profile made on the candidate would not have it either"),
        ("moved" | "moved-changed", Deleted) => {
            Some("dpkg forgets that it was deleted when another package has it")
        }
        ("changed" | "new" | "conffile-now" | "moved-changed", Linked | LinkedAlike) => {
            Some("dpkg leaves the candidate's as .dpkg-new beside the link, and does not record it")
        }
        _ => None,
    }
}

#[test]
fn what_rebase_says_is_what_dpkg_does() {
    let install = |version| move |tree: &Tree| tree.install(&debs(version));
    let case = Case::of(install("1"), install("2"), |profile| edit(profile.dir));
    let scratch = tempfile::tempdir().unwrap();
    let (upgraded, fresh) = (Plain::new(scratch.path(), "plain"), Plain::new(scratch.path(), "fresh"));
    upgraded.install(&debs("1"));
    edit(&upgraded.0);
    let mine = upgraded.left();
    upgraded.install(&debs("2"));
    fresh.install(&debs("2"));
    let (dpkg, new) = (upgraded.left(), fresh.left());
    let (recorded, shipped) = (upgraded.recorded(), fresh.recorded());
    let found = findings(&case);
    let mut wrong = Vec::new();
    for (path, did) in files() {
        let change = path.strip_prefix("etc/").unwrap().strip_suffix(&format!("-{did:?}")).unwrap();
        let (class, severity) = found.get(&path).map_or(("-", "-"), |(c, s)| (c.as_str(), s.as_str()));
        let in_the_upper = case.rig.root_dir("lab").join("root").join(&path).symlink_metadata().is_ok();
        let rebase = match class {
            "-" if in_the_upper => mine[&path].clone(), // nobody said it would go
            _ => by_rebase(class, severity, &mine[&path], &new[&path]),
        };
        println!("{path:32} {class:>3} {severity:10} dpkg: {:22} rebase: {rebase}", dpkg[&path]);
        // The merged database has the candidate's word, and what is kept of a package as obsolete.
        let kept = (class, severity) == ("C8", "decision");
        let word = if kept { Some(format!("{ONE} obsolete")) } else { shipped.get(&path).cloned() };
        let word = word.map(|word| word.replace("newconffile", ONE));
        let (left, noted) = (dpkg[&path] != rebase, recorded.get(&path) != word.as_ref());
        match differs_on_purpose(change, did) {
            None if left => wrong.push(format!("{path}: dpkg leaves {:?}, rebase {rebase:?}", dpkg[&path])),
            None if noted => {
                wrong.push(format!("{path}: dpkg records {:?}, rebase {word:?}", recorded.get(&path)));
            }
            Some(why) if !left => wrong.push(format!("{path} does not differ: {why}")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The MD5 of `one`.
const ONE: &str = "f97c5d29941bfb1b2fdab0874906ab82";

/// Class and severity by path; each path once.
fn findings(case: &Case) -> BTreeMap<String, (String, String)> {
    let json = case.json(&["--base", "2"]);
    let mut found = BTreeMap::new();
    for finding in json["findings"].as_array().unwrap() {
        let word = |name: &str| finding[name].as_str().unwrap().to_owned();
        if let Some(path) = finding["subject"]["path"].as_str() {
            let before = found.insert(path[1..].to_owned(), (word("class"), word("severity")));
            assert_eq!(before, None, "{path} is found twice");
        }
    }
    found
}
