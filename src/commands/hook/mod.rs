//! flipper-hook: what apt and dpkg call around every package run. The rule above all others: a run
//! that cannot be protected goes on, and says so in one line; only `strict` refuses it, at `packages`,
//! where apt can still stop and we know what it is about to do, or at `dpkg-pre`.
//!
//! `pre`, `packages`, `post` are apt's three hooks of a commit; `dpkg-pre`, `dpkg-post` dpkg's own, for
//! a dpkg that no such commit stands behind (`dpkg -i`, a program that calls dpkg without libapt);
//! `kernel` is called when an initrd was made, by hand or within such a run; `login` is run when somebody logs in, `boot` by flipper-boot.service, `confirm` by
//! flipper-confirm.service.
//!
//! The program is static and has no SQLite: it starts in half the time, and it works while the package
//! run replaces the very libraries it would need.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::model::config::KeyValues;
use crate::model::error::{At, Error, Result};
use crate::system::unprotected::{self, Unprotected};
use crate::system::{driver, files, pool};

use super::{now, report};
use session::Hook;

mod boot;
mod confirm;
mod in_the_way;
mod login;
mod packages;
mod post;
mod pre;
mod session;
mod state;

const SETTINGS: &str = "/etc/flipper/profiles.conf";

/// Has SQLite, which this program would not start without.
const PROFILE_PROGRAM: &str = "/usr/sbin/flipper-profile";

pub fn main() -> ExitCode {
    super::log_to_stderr();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let verb = words.first().and_then(|w| w.to_str()).unwrap_or_default();
    let ended = match (verb, words.get(1)) {
        ("pre", None) => guarded(pre::run, unprotected).map(|()| session::announce()),
        ("dpkg-pre" | "dpkg-post", None) if session::is_announced() => Ok(()),
        ("dpkg-pre", None) => guarded(pre::run, unprotected)
            .and_then(|()| refuse_dpkg_if_strict())
            .and_then(|()| tell_of_state(&state::before_plain_dpkg())),
        ("packages", None) => plan().inspect(|()| session::announce()),
        ("post" | "dpkg-post", None) => guarded(post::run, not_closed),
        ("boot", None) => boot::run(),
        ("confirm", None) => confirm::run(),
        ("kernel", None) => guarded(post::kernel_changed, no_boot_files),
        ("login", None) => {
            login::run();
            Ok(())
        }
        _ => Err(Error::Usage("flipper-hook is called by apt and dpkg; see flipper-hook(8)".into())),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure("flipper-profiles", &error);
            ExitCode::from(error.exit() as u8)
        }
    }
}

/// Runs a step for the booted root. Anywhere else (a chroot, a container, no profile) it does nothing
/// and says nothing. A failure is told and remembered, and never stops apt here.
fn guarded(step: fn(&Hook) -> Result<()>, failed: fn(&str)) -> Result<()> {
    let booted = match pool::booted() {
        Ok(Some(booted)) => booted,
        Ok(None) => return Ok(()),
        Err(error) => {
            failed(&error.to_string());
            return Ok(());
        }
    };
    if std::env::var_os("FLIPPER_SKIP").is_some_and(|value| value == "1") {
        failed(SKIPPED);
        return Ok(());
    }
    if let Err(error) = Hook::open(booted).and_then(|hook| step(&hook)) {
        failed(&error.to_string());
    }
    Ok(())
}

/// The second hook reads apt's stream to its end whatever happens, and is where `strict` refuses.
fn plan() -> Result<()> {
    let stream = packages::read_stream()?;
    let Ok(Some(booted)) = pool::booted() else { return Ok(()) };
    let why = files::read_line(Path::new(pool::UNPROTECTED)).unwrap_or_default();
    if !why.is_empty() {
        refuse_if_strict(&why, stream.only_frees_space() || stream.removes_us())?;
        remember(&why, stream.command_line());
        return Ok(());
    }
    match Hook::open(booted).and_then(|hook| packages::run(&hook, &stream)) {
        Ok(Some(endangered)) => tell_of_state(&endangered),
        Ok(None) => {
            remember("flipper-hook pre did not finish", stream.command_line());
            Ok(())
        }
        Err(error) => {
            report::note(format_args!("flipper-profiles: this run's plan is not in the journal: {error}"));
            Ok(())
        }
    }
}

const SKIPPED: &str = "FLIPPER_SKIP=1 was asked for";

/// What was said before the run is not said again after it.
fn not_closed(why: &str) {
    if why != SKIPPED && files::read_line(Path::new(pool::UNPROTECTED)).unwrap_or_default().is_empty() {
        report::note(format_args!("flipper-profiles: the entry of this run could not be closed: {why}"));
    }
}

fn no_boot_files(why: &str) {
    if why != SKIPPED {
        report::note(format_args!("flipper-profiles: the boot directory is not up to date: {why}"));
    }
}

/// Says that this run cannot be taken back, and keeps it for `packages` and for `flipper-profile status`.
fn unprotected(why: &str) {
    report::note(format_args!("flipper-profiles: this package run is NOT protected: {why}"));
    let _ = std::fs::write(pool::UNPROTECTED, format!("{why}\n"));
}

/// A plain dpkg has no list of actions: what it removes is told by its words.
fn refuse_dpkg_if_strict() -> Result<()> {
    let Ok(Some(_)) = pool::booted() else { return Ok(()) };
    let why = files::read_line(Path::new(pool::UNPROTECTED)).unwrap_or_default();
    let dpkg = driver::of_this_hook("/".as_ref())?.and_then(|d| driver::command_line(d.pid));
    let removes = |line: String| line.split(' ').any(|w| ["-r", "-P", "--remove", "--purge"].contains(&w));
    if why.is_empty() {
        return Ok(());
    }
    refuse_if_strict(&why, dpkg.clone().is_some_and(removes))?;
    remember(&why, dpkg);
    Ok(())
}

/// It goes on without a point: told at login and by `status` until a run with one follows. Best effort: on
/// a full disk the word in /run must do.
fn remember(why: &str, command: Option<String>) {
    let driver =
        || driver::of_this_hook("/".as_ref()).ok().flatten().and_then(|d| driver::command_line(d.pid));
    let command = command.or_else(driver).unwrap_or_else(|| "a package run".to_owned());
    let run = Unprotected { at: now(), why: why.to_owned(), command };
    if let Err(error) = unprotected::remember("/".as_ref(), run) {
        tracing::warn!("{error}");
    }
}

/// A purge that would empty a state path is said before dpkg starts; `strict` refuses it.
fn tell_of_state(endangered: &[Error]) -> Result<()> {
    let skipped = std::env::var_os("FLIPPER_SKIP").is_some_and(|value| value == "1");
    let Some((first, more)) = endangered.split_first().filter(|_| !skipped) else { return Ok(()) };
    more.iter().for_each(|error| report::note(format_args!("flipper-profiles: {error}")));
    let Error::PurgesState { package, path } = first else { return Ok(()) };
    if is_strict()? {
        return Err(Error::PurgesState { package: package.clone(), path: path.clone() });
    }
    report::note(format_args!("flipper-profiles: {first}"));
    Ok(())
}

fn is_strict() -> Result<bool> {
    let text = files::read_if_there(Path::new(SETTINGS))?.unwrap_or_default();
    let settings = KeyValues::parse(&String::from_utf8_lossy(&text));
    Ok(settings.get("strict").is_some_and(|value| value == "yes"))
}

fn refuse_if_strict(why: &str, allowed: bool) -> Result<()> {
    if !is_strict()? || allowed || why == SKIPPED {
        return Ok(());
    }
    Err(Error::Unprotected { why: why.to_owned() })
}

/// The last deed of a child beside apt: it becomes the program that brings the index up to the entries.
fn refresh_index() -> Result<()> {
    let error = Command::new(PROFILE_PROGRAM).args(["journal", "refresh"]).env_clear().exec();
    Err(error).at("run", PROFILE_PROGRAM)
}
