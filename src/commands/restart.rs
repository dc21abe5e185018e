//! The restart that a staged undo waits for. `systemctl soft-reboot` (systemd 254) ends every process and starts
//! again from /run/nextroot, under the same kernel: seconds. Not everything that waits can come that way.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};

use crate::model::booted::{Booted, Mode};
use crate::model::error::{At, Error, Exit, Result};
use crate::model::layout::RootFact;
use crate::system::state::made;
use crate::system::{files, next_state, panics, pool, roots, upper};

use super::cli;
use super::session::{ProfileFacts, Session};
use super::{assemble, report, undo_plan};

/// systemd-soft-reboot.service(8)
const NEXT_ROOT: &str = "/run/nextroot";
const SOFT_SINCE: u32 = 254;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// The person restarts.
    Later,
    /// By a soft reboot, or not at all.
    Soft,
    /// By the cheapest that is enough.
    Cheapest,
}

impl Restart {
    pub fn asked(args: &cli::Undo) -> Restart {
        match (args.soft_reboot, args.reboot) {
            (true, _) => Restart::Soft,
            (_, true) => Restart::Cheapest,
            _ => Restart::Later,
        }
    }
}

/// Before anything is done: does a machine run on this profile here, that could be restarted?
pub fn need_machine(session: &Session, facts: &ProfileFacts, asked: Restart) -> Result<()> {
    let of_it =
        |b: &Booted| b.pool == session.pool.uuid && b.profile == facts.id && facts.in_use == Some(b.root);
    let here = pool::booted()?.is_some_and(|b| b.mode == Mode::Boot && of_it(&b));
    match (asked, here && files::read_line(Path::new("/proc/1/comm"))? == "systemd") {
        (Restart::Later, _) | (_, true) => Ok(()),
        _ => Err(Error::Usage(format!(
            "this machine did not start from {}: there is nothing to restart",
            facts.id
        ))),
    }
}

/// A root waits. The profile's lock is not held any more.
pub fn restart(session: &Session, facts: &ProfileFacts, asked: Restart) -> Result<Exit> {
    if asked == Restart::Later {
        return Ok(Exit::Done);
    }
    // Of one that was cut: a plain reboot, too, would start from it.
    take_next_root_away(session)?;
    let facts = undo_plan::look(session, Some(facts.id.as_str()))?;
    // What keeps a soft reboot from being tried is no reason not to restart.
    let too_little = soft_is_too_little(session, &facts)
        .and_then(|why| match why {
            None => put_next_root(session, &facts).map(|()| None),
            why => Ok(why),
        })
        .unwrap_or_else(|error| Some(error.to_string()));
    match too_little {
        None => {
            report::note("restarting without the kernel: nothing that waits needs more");
            systemctl("soft-reboot").inspect_err(|_| {
                let _ = take_next_root_away(session);
            })?;
        }
        Some(why) if asked == Restart::Soft => {
            report::note(format_args!("a soft reboot is not enough: {why}; systemctl reboot finishes it"));
            return Ok(Exit::Attention);
        }
        Some(why) => {
            report::note(format_args!("restarting the machine: {why}"));
            systemctl("reboot")?;
        }
    }
    Ok(Exit::Done)
}

/// Why the machine itself has to restart; None when it has not.
fn soft_is_too_little(session: &Session, facts: &ProfileFacts) -> Result<Option<String>> {
    let dir = &facts.dir;
    let version = systemd_version();
    if version.is_none_or(|version| version < SOFT_SINCE) {
        let it = version.map_or("systemd is not the init here".into(), |v| format!("systemd is version {v}"));
        return Ok(Some(format!("{it}, and {SOFT_SINCE} was the first that can")));
    }
    if !next_state::waiting(dir)?.is_empty() || !made::waiting(dir)?.is_empty() {
        return Ok(Some("another state/ waits, and services have the old one open".into()));
    }
    let Some(used) = facts.in_use else { return Ok(Some("nobody knows which root runs here".into())) };
    let (now, next) = (roots::base_of(&dir.root(used))?, roots::base_of(&dir.root(facts.current))?);
    if now != next {
        return Ok(Some(format!("it goes to base {next}")));
    }
    let changed = [
        (RootFact::Args, "command line of the kernel"),
        (RootFact::Dtbo, "list of device-tree overlays"),
        (RootFact::Kernel, "kernel"),
    ];
    for (fact, name) in changed {
        let of = |root| files::read_if_there(&dir.root(root).fact(fact)).map(Option::unwrap_or_default);
        if of(used)? != of(facts.current)? {
            return Ok(Some(format!("it has another {name}")));
        }
    }
    let release = files::read_line(Path::new("/proc/sys/kernel/osrelease"))?;
    let (base, modules) = (session.pool.layout.base(&now), format!("usr/lib/modules/{release}"));
    let has = |root| upper::shows_directory(&dir.root(root), &base, Path::new(&modules));
    if has(used) && !has(facts.current) {
        return Ok(Some(format!("it has no modules for the kernel that runs, {release}")));
    }
    let of_process_1 = fs::metadata("/proc/1/ns/mnt").at("look at", "/proc/1/ns/mnt")?.ino();
    if session.pool.outer.metadata().at("look at", "/proc/self/ns/mnt")?.ino() != of_process_1 {
        return Ok(Some("this program was started where mounts are not those of the machine".into()));
    }
    Ok(None)
}

/// "systemd 257 (257.8-1~deb13u1)"
fn systemd_version() -> Option<u32> {
    let output = Command::new("systemctl").arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1)?.split('.').next()?.parse().ok()
}

fn put_next_root(session: &Session, facts: &ProfileFacts) -> Result<()> {
    let at = Path::new(NEXT_ROOT);
    fs::create_dir_all(at).at("make", at)?;
    let on_trial = files::read_if_there(Path::new(pool::ON_TRIAL))?;
    let put = assemble::next_root(session, &facts.id, at);
    if put.is_err() {
        // It speaks of the root that runs, again.
        match &on_trial {
            Some(text) => fs::write(pool::ON_TRIAL, text).at("write", pool::ON_TRIAL)?,
            None => files::remove_if_there(Path::new(pool::ON_TRIAL))?,
        }
        return put.and(take_next_root_away(session));
    }
    match Path::new(pool::ON_TRIAL).exists() {
        true => panics::restart_soon()?,
        false => panics::as_before()?,
    }
    // What the last start had to say is said.
    [pool::TOLD_AT_START, pool::GIVEN_UP].iter().try_for_each(|path| files::remove_if_there(Path::new(path)))
}

/// In the mount namespace we were started in: there it is mounted.
pub fn take_next_root_away(session: &Session) -> Result<()> {
    let ours = File::open("/proc/self/ns/mnt").at("open", "/proc/self/ns/mnt")?;
    setns(&session.pool.outer, CloneFlags::CLONE_NEWNS).at("return to the namespace of", NEXT_ROOT)?;
    while umount2(NEXT_ROOT, MntFlags::MNT_DETACH).is_ok() {}
    setns(&ours, CloneFlags::CLONE_NEWNS).at("return from the namespace of", NEXT_ROOT)?;
    files::remove_if_there(Path::new(pool::BOOTED_NEXT))
}

fn systemctl(verb: &str) -> Result<()> {
    // A plain reboot becomes a soft one by itself where something lies in /run/nextroot.
    let mut command = Command::new("systemctl");
    command.arg(verb).env("SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT", "1");
    let status = command.status().at("start", "systemctl")?;
    match status.success() {
        true => Ok(()),
        false => {
            Err(Error::Child { program: "systemctl".into(), why: format!("{verb} ended with {status}") })
        }
    }
}
