//! A profile between two bases: `Case::of(|old| .., |new| .., |profile| ..).is(&["F1 automatic /usr/bin/x"])`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::deb::Deb;
use crate::rig::{Ended, Rig, need, root};

/// A tree that is made ready: a base before it is imported, or the profile, merged by the kernel.
pub struct Tree<'a> {
    pub dir: &'a Path,
    pub scratch: &'a Path,
}

impl Tree<'_> {
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.join(inside)
    }

    pub fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap()
    }

    pub fn chmod(&self, inside: &str, mode: u32) {
        fs::set_permissions(self.path(inside), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn remove(&self, inside: &str) {
        fs::remove_file(self.path(inside)).unwrap();
    }

    /// Copies the file up without changing anything of it.
    pub fn copy_up(&self, inside: &str) {
        let mode = fs::metadata(self.path(inside)).unwrap().permissions().mode() & 0o7777;
        self.chmod(inside, mode ^ 0o200);
        self.chmod(inside, mode);
    }

    /// Installs these with the machine's dpkg.
    pub fn install(&self, debs: &[Deb]) {
        let built: Vec<PathBuf> = debs.iter().map(|deb| deb.build(self.scratch)).collect();
        let mut args = vec!["--install".to_owned()];
        args.extend(built.iter().map(|path| path.to_str().unwrap().to_owned()));
        self.dpkg(&args.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// `dpkg --root=HERE ARGS`; it must end well. Relations are not enforced: what a check says of them
    /// is to be seen.
    pub fn dpkg(&self, args: &[&str]) -> String {
        self.tool(
            "dpkg",
            &[
                "--force-depends",
                "--force-breaks",
                "--force-conflicts",
                "--force-confdef",
                "--force-bad-path",
            ],
            args,
        )
    }

    /// A program of dpkg's that knows --root, e.g. `dpkg-divert`.
    pub fn tool(&self, program: &str, options: &[&str], args: &[&str]) -> String {
        let mut command = Command::new(program);
        command.arg(format!("--root={}", self.dir.display())).args(options).args(args);
        command.env("DEBIAN_FRONTEND", "noninteractive").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        need(program, &mut command)
    }

    /// A program of shadow's: `useradd --prefix HERE ARGS`, in the C locale.
    pub fn root_tool(&self, program: &str, args: &[&str]) -> String {
        let mut command = Command::new(program);
        command.arg("--prefix").arg(self.dir).args(args).env("LC_ALL", "C");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        need(program, &mut command)
    }

    /// A shell line of the machine's, begun in this tree.
    pub fn sh(&self, line: &str) -> String {
        need("sh", Command::new("sh").args(["-ec", line]).current_dir(self.dir))
    }
}

pub struct Case {
    pub rig: Rig,
}

impl Case {
    /// Base `1`, base `2`, and the profile `lab` on `1`, as the three say.
    pub fn of(old: impl FnOnce(&Tree), new: impl FnOnce(&Tree), profile: impl FnOnce(&Tree)) -> Case {
        let case = Case { rig: Rig::new() };
        case.import("1", old);
        case.import("2", new);
        case.rig.profile(&["create", "lab", "--base", "1"]).ok();
        case.edit(profile);
        case
    }

    /// Both bases alike.
    pub fn on(base: impl Fn(&Tree), profile: impl FnOnce(&Tree)) -> Case {
        Case::of(&base, &base, profile)
    }

    fn import(&self, version: &str, make: impl FnOnce(&Tree)) {
        let dir = self.rig.path(format!("base-{version}"));
        root::make(&dir);
        make(&Tree { dir: &dir, scratch: self.rig.dir.path() });
        self.rig.base(&["import", dir.to_str().unwrap(), "--version", version, "--clean"]).ok();
        fs::remove_dir_all(dir).unwrap();
    }

    /// More changes in the profile, through the merged mount.
    pub fn edit(&self, change: impl FnOnce(&Tree)) {
        let scratch = self.rig.dir.path();
        self.rig.mounted("lab", |dir| change(&Tree { dir, scratch }));
    }

    pub fn check(&self, args: &[&str]) -> Ended {
        self.rig.profile(&[&["check", "lab"], args].concat())
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.check(&[args, &["--json"]].concat()).out).unwrap()
    }

    /// Every finding against base 2 as `CLASS severity subject`. F18, which goes with every copy-up, and G6,
    /// which goes with every run of dpkg, are left out: their own tests ask for them.
    pub fn findings(&self) -> Vec<String> {
        let mut found = lines(&self.json(&["--base", "2"]));
        found.retain(|line| !line.starts_with("F18 ") && !line.starts_with("G6 "));
        found
    }

    /// Exactly these findings, in any order, and the exit status that goes with them.
    pub fn is(&self, wanted: &[&str]) {
        assert_is(&self.findings(), wanted);
        let status = match () {
            () if wanted.iter().any(|line| line.contains(" blocker ")) => 2,
            () if wanted.iter().any(|line| line.contains(" decision ")) => 1,
            () => 0,
        };
        assert_eq!(self.check(&["--base", "2"]).status, status);
    }

    /// Exactly these findings against the base the profile stands on.
    pub fn doctor_is(&self, wanted: &[&str]) {
        assert_is(&lines(&self.json(&[])), wanted);
    }

    /// The evidence of the only finding of a class.
    pub fn evidence(&self, class: &str) -> Value {
        let json = self.json(&["--base", "2"]);
        let findings = json["findings"].as_array().unwrap();
        let mut these = findings.iter().filter(|f| f["class"] == class);
        let finding = these.next().unwrap_or_else(|| panic!("no {class} in {json:#}"));
        assert!(these.next().is_none(), "more than one {class} in {json:#}");
        finding["evidence"].clone()
    }
}

fn lines(json: &Value) -> Vec<String> {
    let line = |finding: &Value| {
        let subject = finding["subject"].as_object().unwrap().values().next().unwrap().as_str().unwrap();
        let word = |name: &str| finding[name].as_str().unwrap().to_owned();
        format!("{} {} {subject}", word("class"), word("severity"))
    };
    json["findings"].as_array().unwrap().iter().map(line).collect()
}

fn assert_is(found: &[String], wanted: &[&str]) {
    let set = |lines: &mut dyn Iterator<Item = String>| lines.collect::<BTreeSet<_>>();
    let found_set = set(&mut found.iter().cloned());
    let wanted = set(&mut wanted.iter().map(|line| line.to_string()));
    let missing: Vec<_> = wanted.difference(&found_set).collect();
    let beyond: Vec<_> = found_set.difference(&wanted).collect();
    assert!(missing.is_empty() && beyond.is_empty(), "missing: {missing:#?}\nnot expected: {beyond:#?}");
    assert_eq!(found.len(), found_set.len(), "a finding is there twice: {found:#?}");
}
