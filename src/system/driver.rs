//! Who runs this package run: the process that holds it together (apt, aptitude, a python program,
//! dpkg itself), and the person behind it.

use std::fs;
use std::path::Path;

use crate::model::entry::{Driver, Person};
use crate::model::error::Result;

use super::locks;

/// Programs between a hook and the program that runs it.
const SHELLS: [&str; 4] = ["sh", "dash", "bash", "flipper-hook"];

/// What /proc/PID/stat says of a process.
#[derive(Debug)]
pub struct Process {
    pub parent: i32,
    /// Clock ticks after boot.
    pub start: u64,
    pub name: String,
}

/// The driver of the hook that runs us: the ancestor that holds apt's lock-frontend, else the caller
/// (aptitude gives its lock away before dpkg, which takes it itself).
pub fn of_this_hook(merged: &Path) -> Result<Option<Driver>> {
    let holder = locks::frontend_holder(merged)?;
    let holding = ancestors().find(|(pid, _)| holder == Some(*pid));
    Ok(holding.map(|(pid, process)| driver(pid, process)).or_else(caller))
}

/// The nearest ancestor that is no shell; for dpkg's own hooks that dpkg. libapt forks before it runs a
/// hook, and that child is gone when the next hook comes: of a row of one name the oldest counts.
pub fn caller() -> Option<Driver> {
    let mut above = ancestors().skip_while(|(_, process)| SHELLS.contains(&process.name.as_str()));
    let first = above.next()?;
    let name = first.1.name.clone();
    let oldest = above.take_while(|(_, process)| process.name == name).last().unwrap_or(first);
    Some(driver(oldest.0, oldest.1))
}

/// Is this very process above us? A program may hold the lock in one hook and have a child run the next.
pub fn is_above_us(driver: &Driver) -> bool {
    let same_boot = driver.boot == boot_id() && driver.pid_namespace == pid_namespace();
    same_boot && ancestors().any(|(pid, process)| pid == driver.pid && process.start == driver.start)
}

/// The processes above ours, the nearest first.
fn ancestors() -> impl Iterator<Item = (i32, Process)> {
    let above = |pid: i32| (pid > 0).then(|| look(pid)).flatten().map(|process| (pid, process));
    let first = above(nix::unistd::getppid().as_raw());
    std::iter::successors(first, move |(_, process)| above(process.parent))
}

/// Does an ancestor of ours hold lock-frontend of this merged root? Then no other package run of it
/// can be alive.
pub fn ancestor_holds_frontend(merged: &Path) -> Result<bool> {
    Ok(locks::frontend_holder(merged)?.is_some_and(is_ancestor))
}

/// Does somebody else hold it? Then what called this hook will not get to change anything.
pub fn stranger_holds_frontend(merged: &Path) -> Result<bool> {
    Ok(locks::frontend_holder(merged)?.is_some_and(|holder| !is_ancestor(holder)))
}

pub fn is_ancestor(of_interest: i32) -> bool {
    ancestors().any(|(pid, _)| pid == of_interest)
}

/// Is this very process still there? A pid alone could be somebody else's by now.
pub fn is_alive(driver: &Driver) -> bool {
    let same_boot = driver.boot == boot_id() && driver.pid_namespace == pid_namespace();
    same_boot && look(driver.pid).is_some_and(|p| p.start == driver.start)
}

/// Has this very process ended? Not being able to see it (a PID namespace of this boot that is not below
/// ours) is a no.
pub fn is_gone(driver: &Driver) -> bool {
    if driver.boot != boot_id() {
        return true;
    }
    match driver.pid_namespace == pid_namespace() {
        true => !is_alive(driver),
        false => is_alive_below(driver) == Some(false),
    }
}

/// Who sees one process of a PID namespace sees all of it, under other numbers; the last of `NSpid` is
/// the number inside. None: nothing of that namespace is seen from here.
fn is_alive_below(driver: &Driver) -> Option<bool> {
    let mut seen = false;
    for name in super::files::names(Path::new("/proc")).ok()? {
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if namespace_of(&format!("/proc/{pid}/ns/pid")) != driver.pid_namespace {
            continue;
        }
        seen = true;
        let inside = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let inside = inside
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().last()?.parse().ok());
        if inside == Some(driver.pid) && look(pid).is_some_and(|p| p.start == driver.start) {
            return Some(true);
        }
    }
    seen.then_some(false)
}

/// The command line of a process, words joined by blanks.
pub fn command_line(pid: i32) -> Option<String> {
    let words = words(pid);
    let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The words a process was called with, without empty ones; none when it is gone.
pub fn words(pid: i32) -> Vec<Vec<u8>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|b| *b == 0).filter(|w| !w.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The person who asked: through sudo, pkexec or the login session; root otherwise.
pub fn person(merged: &Path) -> Person {
    let of_environment = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let of_session = || {
        let text = fs::read_to_string("/proc/self/loginuid").ok()?;
        text.trim().parse::<u32>().ok().filter(|uid| *uid != u32::MAX)
    };
    let uid = of_environment("SUDO_UID").or_else(|| of_environment("PKEXEC_UID")).or_else(of_session);
    let uid = uid.unwrap_or_else(|| nix::unistd::getuid().as_raw());
    Person { uid, name: name_of(merged, uid) }
}

fn name_of(merged: &Path, uid: u32) -> Option<String> {
    name_in_passwd(&fs::read(merged.join("etc/passwd")).ok()?, uid)
}

/// The first name with this number in a passwd(5).
pub fn name_in_passwd(bytes: &[u8], uid: u32) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn driver(pid: i32, process: Process) -> Driver {
    Driver { pid, start: process.start, pid_namespace: pid_namespace(), boot: boot_id(), name: process.name }
}

fn look(pid: i32) -> Option<Process> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `812 (apt-get) S 1 ...`: the name is in the outermost parentheses and may hold anything.
pub fn parse_stat(bytes: &[u8]) -> Option<Process> {
    let text = String::from_utf8_lossy(bytes);
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let fields: Vec<&str> = text.get(close + 1..)?.split_whitespace().collect();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
        name: text.get(open + 1..close)?.to_owned(),
    })
}

fn pid_namespace() -> u64 {
    namespace_of("/proc/self/ns/pid")
}

fn namespace_of(path: &str) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map_or(0, |m| m.ino())
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_alive_and_a_later_one_with_its_number_is_not() {
        let pid = std::process::id() as i32;
        let mut me = driver(pid, look(pid).unwrap());
        assert!(is_alive(&me));
        me.start += 1;
        assert!(!is_alive(&me));
    }
}
