//! A real profile between real bases from Debian's archive: two dozen packages, two dozen local changes.

#![allow(dead_code)] // each test binary uses a part

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::{Rig, need};

/// What the bases have besides Debian's minimum.
const INCLUDED: &str = "systemd-sysv,udev,dbus,openssh-client,python3-minimal,iproute2,ca-certificates,kmod";
/// What the profile has installed.
const INSTALLED: &str = "nginx python3-requests openssh-server postgresql-common fontconfig man-db vim-tiny git \
curl iputils-ping locales cron logrotate debsums attr";

/// One line of a fact by its words.
pub type Facts = BTreeMap<String, Vec<Vec<String>>>;

pub struct Pair {
    pub rig: Rig,
}

impl Pair {
    /// Debian 12 as it was released last, a profile on it that has lived, and a candidate.
    pub fn with(candidate: &str) -> Pair {
        let (old, new) = (root("bookworm", "released"), root(candidate, ""));
        let servers = fs::read("/etc/resolv.conf").unwrap_or_default();
        let at = fs::canonicalize("/etc/resolv.conf").ok();
        let rig = Rig::bare();
        // The rig has a /run of its own, and resolv.conf may be a link into the machine's.
        if let Some(at) = at.filter(|at| at.starts_with("/run")) {
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, servers).unwrap();
        }
        rig.profile(&["init", "--image", rig.image_name(), "--size", "6G", "--inode-floor", "65536"]).ok();
        for (version, tar) in [("1", old), ("2", new)] {
            rig.base(&["import", tar.to_str().unwrap(), "--version", version, "--clean"]).ok();
        }
        rig.hold();
        rig.profile(&["create", "lab", "--base", "1"]).ok();
        let install = format!(
            "set -e; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; \
             apt-get install -qq -y --no-install-recommends {INSTALLED}; apt-get clean"
        );
        for script in [&install[..], include_str!("../check/real-edits.sh")] {
            rig.profile(&["run", "lab", "sh", "-c", script]).ok();
        }
        Pair { rig }
    }

    /// A copy of the profile with the candidate slid under it.
    pub fn exchange(&self, id: &str) {
        self.rig.profile(&["clone", "lab", id]).ok();
        fs::write(self.rig.root_dir(id).join("base"), "2\n").unwrap();
    }

    pub fn facts(&self, id: &str) -> Facts {
        let mut command = self.rig.command("flipper-profile", &[]);
        command.args(["run", id, "sh", "-c", include_str!("../check/real-facts.sh")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let files: Vec<String> =
            self.elf_files().iter().map(|path| format!("/{}\n", path.display())).collect();
        let writer = std::thread::spawn(move || stdin.write_all(files.concat().as_bytes()));
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        writer.join().unwrap().unwrap();
        child.wait().unwrap();
        let mut facts = Facts::new();
        for line in text.lines() {
            let mut words = line.split(' ').map(str::to_owned);
            facts.entry(words.next().unwrap()).or_default().push(words.collect());
        }
        assert!(facts.contains_key("version"), "{text}");
        facts
    }

    /// The ELF files of the profile's upper.
    fn elf_files(&self) -> Vec<PathBuf> {
        let upper = self.rig.root_dir("lab").join("root");
        let mut found = Vec::new();
        let mut dirs = vec![upper.clone()];
        while let Some(dir) = dirs.pop() {
            for item in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let kind = item.file_type().unwrap();
                if kind.is_dir() {
                    dirs.push(item.path());
                } else if kind.is_file() && is_elf(&item.path()) {
                    found.push(item.path().strip_prefix(&upper).unwrap().to_owned());
                }
            }
        }
        found
    }

    pub fn check(&self) -> Vec<Value> {
        let ended = self.rig.profile(&["check", "lab", "--base", "2", "--json"]);
        let json: Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}", ended.err));
        json["findings"].as_array().unwrap().clone()
    }
}

pub fn root(suite: &str, released: &str) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/make-root");
    let said = need("make-root", Command::new(script).args([suite, "", INCLUDED, released]));
    said.lines().last().unwrap().into()
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}
