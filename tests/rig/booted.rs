//! A merged root booted with systemd-nspawn, to its end, and what a script in it was told.

use std::fs;
use std::path::Path;
use std::process::Command;

const UNIT: &str = "[Unit]\nDescription=asks\n[Service]\nType=exec\nExecStart=/bin/sh /run/asked/ask\n";

/// What a booted system answered: each line is `name=answer`.
#[derive(Debug)]
pub struct Answers(String);

impl Answers {
    #[track_caller]
    pub fn says(&self, name: &str) -> &str {
        let mut lines = self.0.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no {name} in\n{}", self.0)).1
    }
}

/// Boots what is mounted at `root`, with these places bound over it, (from, to). `ask` is a script that answers
/// on its standard output when everything has been started; the system is switched off after it.
#[track_caller]
pub fn boot(root: &Path, binds: &[(String, String)], ask: &str) -> Answers {
    let asked = tempfile::tempdir().expect("a directory");
    let ask = format!("#!/bin/sh\nexec > /run/asked/answers 2>&1\n{ask}\nsystemctl exit 0\n");
    fs::write(asked.path().join("ask"), ask).expect("write");
    fs::write(asked.path().join("unit"), UNIT).expect("write");
    let dir = asked.path().display();
    let binds: String = binds.iter().map(|(from, to)| format!(" --bind='{from}:{to}'")).collect();
    // It wants a terminal. Its own network, so that its sshd meets no other.
    let nspawn = format!(
        "systemd-nspawn --quiet --boot --directory={} --register=no --keep-unit --link-journal=no --private-network \
         --bind={dir}:/run/asked --bind-ro={dir}/unit:/run/systemd/system/ask.service{binds} systemd.wants=ask.service",
        root.display()
    );
    let done =
        Command::new("script").args(["--quiet", "--return", "--command", &nspawn, "/dev/null"]).output();
    let done = done.unwrap_or_else(|error| {
        panic!("script and systemd-nspawn are needed ({error}): apt-get install systemd-container bsdutils")
    });
    let answers = fs::read_to_string(asked.path().join("answers"));
    Answers(answers.unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&done.stdout);
        panic!("it did not boot ({error}):\n{said}{}", String::from_utf8_lossy(&done.stderr))
    }))
}
