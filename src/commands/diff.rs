//! `flipper-profile diff ID A [B] [PATH]`: what is different between two states of a profile.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::model::error::{Error, Exit, Result};
use crate::model::layout::RootDir;
use crate::model::{EntryNumber, ProfileId};

use super::cli::{Common, Diff};
use super::session::Session;
use super::{compared, report};

/// A state as a person names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// The state before this entry.
    Before(EntryNumber),
    /// The root the next boot mounts.
    Current,
    /// The root in use; the current one when none is.
    Now,
}

impl FromStr for Named {
    type Err = Error;

    fn from_str(text: &str) -> Result<Named> {
        match text {
            "current" => Ok(Named::Current),
            "now" => Ok(Named::Now),
            number => number.parse().map(Named::Before),
        }
    }
}

pub fn run(common: &Common, args: &Diff) -> Result<Exit> {
    let (to, within) = second_and_path(args)?;
    let from: Named = args.from.parse()?;
    let session = Session::to_read(common)?;
    let id = session.profile(Some(&args.id))?;
    let (a, from) = find(&session, &id, from)?;
    let (b, to) = find(&session, &id, to)?;
    let compared = compared::compare(&session, a, b, within.as_deref())?;
    let heading = format!("{id}: from {from} to {to}");
    if common.json {
        let mut value = report::difference::json(&compared);
        value["profile"] = id.as_str().into();
        (value["from"], value["to"]) = (from.into(), to.into());
        report::json(&value);
        return Ok(Exit::Done);
    }
    report::line(heading);
    report::difference::page(&compared, report::difference::Length::asked(args.stat, args.all));
    Ok(Exit::Done)
}

/// `diff lab 57 /etc` leaves the second state out: a state never begins with /.
fn second_and_path(args: &Diff) -> Result<(Named, Option<PathBuf>)> {
    let (to, path) = match (&args.to, &args.path) {
        (Some(to), None) if to.starts_with('/') => (None, Some(PathBuf::from(to))),
        (to, path) => (to.as_deref(), path.clone()),
    };
    Ok((to.map_or(Ok(Named::Current), str::parse)?, path.as_deref().map(inside).transpose()?))
}

/// `/etc/nginx/` -> `etc/nginx`
fn inside(path: &Path) -> Result<PathBuf> {
    if path.is_relative() || path.components().any(|part| part == Component::ParentDir) {
        return Err(Error::Usage(format!("{} must be an absolute path without ..", path.display())));
    }
    Ok(path.components().skip(1).collect())
}

/// Where a state lies, and what to call it. Who uses the profile is asked only where that matters: it
/// takes a look at every process.
fn find(session: &Session, id: &ProfileId, named: Named) -> Result<(RootDir, String)> {
    let dir = session.need_profile(id)?;
    if let Named::Before(number) = named {
        let point = dir.point(number);
        if point.path().is_dir() {
            return Ok((point, format!("before entry {number}")));
        }
        let known = session.journal.entries(Some(id))?.entries.iter().any(|entry| entry.number == number);
        return Err(if known { Error::PointMissing { number } } else { Error::NoSuchEntry { number } });
    }
    let facts = session.facts(id)?;
    let in_use = facts.in_use.unwrap_or(facts.current);
    let number = if named == Named::Now { in_use } else { facts.current };
    let name = match named {
        _ if in_use == facts.current => "now",
        Named::Now => "the root in use",
        _ => "the root that waits",
    };
    Ok((dir.root(number), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(to: Option<&str>, path: Option<&str>) -> Diff {
        let (to, path) = (to.map(str::to_owned), path.map(PathBuf::from));
        Diff { id: "lab".into(), from: "57".into(), to, path, stat: false, all: false }
    }

    #[test]
    fn the_second_state_may_be_left_out() {
        let read = |to, path| second_and_path(&args(to, path)).unwrap();
        assert_eq!(read(None, None), (Named::Current, None));
        assert_eq!(read(Some("/etc/"), None), (Named::Current, Some("etc".into())));
        assert_eq!(read(Some("now"), Some("/etc")), (Named::Now, Some("etc".into())));
        assert_eq!(read(Some("58"), None), (Named::Before("58".parse().unwrap()), None));
        for (to, path) in [(Some("x"), None), (Some("58"), Some("etc")), (Some("/etc/../var"), None)] {
            assert!(second_and_path(&args(to, path)).is_err(), "{to:?} {path:?}");
        }
    }
}
