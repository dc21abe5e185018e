//! The calls a command makes that change something, seen by strace, and a kill before one of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::Command;

use crate::long;
use crate::rig::{Ended, Rig, ended, program_path};

/// With `?`: some architectures lack some.
const CHANGING: [&str; 30] = [
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "symlink",
    "symlinkat",
    "link",
    "linkat",
    "mknod",
    "mknodat",
    "ioctl",
    "fsync",
    "fdatasync",
    "syncfs",
    "write",
    "writev",
    "pwrite64",
    "ftruncate",
    "fchmod",
    "fchmodat",
    "chmod",
    "utimensat",
    "lsetxattr",
    "fsetxattr",
    "lremovexattr",
    "mount",
];

/// How many moments of a command the short form takes.
const SAMPLE: usize = 6;

/// One call of the command: its name, and which one of that name.
#[derive(Clone, Debug)]
pub struct Moment {
    pub call: String,
    pub nth: usize,
    pub moves_the_pointer: bool,
}

impl Moment {
    pub fn inject(&self) -> String {
        format!("inject=?{}:signal=KILL:when={}", self.call, self.nth)
    }
}

/// Runs the command whole and lists its calls.
pub fn trace(rig: &Rig, program: &str, words: &[String]) -> Vec<Moment> {
    let log = rig.path("calls");
    let calls: Vec<String> = CHANGING.iter().map(|call| format!("?{call}")).collect();
    let options = ["-o", log.to_str().unwrap(), "-e", &format!("trace={}", calls.join(","))];
    under_strace(rig, program, words, &options).ok();
    let (mut seen, mut moments) = (BTreeMap::new(), Vec::new());
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        let Some((call, rest)) = line.split_once('(').filter(|(call, _)| CHANGING.contains(call)) else {
            continue;
        };
        let nth: &mut usize = seen.entry(call.to_owned()).or_default();
        *nth += 1;
        // Out of `.new-two`: inside it nobody sees what is renamed.
        let publishes = rest.contains("/.new-") && !rest.rsplit('"').nth(1).unwrap().contains("/.new-");
        let moves_the_pointer = call.starts_with("rename") && (rest.contains("lab/current\"") || publishes);
        moments.push(Moment { call: call.to_owned(), nth: *nth, moves_the_pointer });
    }
    moments
}

pub fn chosen(moments: &[Moment]) -> Vec<Moment> {
    let pointer = moments.iter().position(|m| m.moves_the_pointer);
    let step = if long::cases(1) > 1 { 1 } else { moments.len().div_ceil(SAMPLE) };
    let near = |at: usize| pointer.is_some_and(|pointer| at.abs_diff(pointer + 1) <= 3);
    let taken = moments.iter().enumerate().filter(|(at, _)| at % step == 0 || near(*at));
    taken.map(|(_, moment)| moment.clone()).collect()
}

/// The words of a case: of flipper-undo, or a verb of flipper-profile.
pub fn called(words: &[String]) -> (&'static str, Vec<String>) {
    let of = |first: &[&str], rest: &[String]| {
        first.iter().map(|w| (*w).to_owned()).chain(rest.to_vec()).collect()
    };
    match words.split_first() {
        Some((verb, rest)) if verb == "reset" || verb == "repair" => {
            ("flipper-profile", of(&["--yes", verb, "lab"], rest))
        }
        _ => ("flipper-undo", of(&["--profile", "lab", "--yes"], words)),
    }
}

pub fn strace(rig: &Rig, words: &[String], inject: &str) -> Ended {
    let (program, words) = called(words);
    under_strace(rig, program, &words, &["-o", "/dev/null", "-e", inject])
}

pub fn under_strace(rig: &Rig, program: &str, words: &[String], options: &[&str]) -> Ended {
    ended(strace_command(rig, program, words, options).stdin(std::process::Stdio::null()))
}

pub fn strace_command(rig: &Rig, program: &str, words: &[String], options: &[&str]) -> Command {
    let there = Command::new("strace").arg("--version").output().is_ok_and(|o| o.status.success());
    assert!(there, "strace is missing: apt-get install strace");
    let command = rig.command(program, &[] as &[&OsStr]);
    let mut strace = Command::new("strace");
    strace.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    strace.arg("-qq").args(options).arg(program_path(program)).args(words);
    strace
}
