//! `flipper-profile diff ID A [B] [PATH]`: what is different between two states of a profile.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::model::EntryNumber;
use crate::model::error::{Error, Exit, Result};
use crate::model::layout::RootDir;

use super::cli::{Common, Diff};
use super::session::{ProfileFacts, Session};
use super::{compared, report, undo_plan};

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
    let facts = undo_plan::look(&session, Some(&args.id))?;
    let (a, from) = find(&facts, from)?;
    let (b, to) = find(&facts, to)?;
    let compared = compared::compare(&session, a, b, within.as_deref())?;
    let heading = format!("{}: from {from} to {to}", facts.id);
    if common.json {
        let mut value = report::difference::json(&compared);
        value["profile"] = facts.id.as_str().into();
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

/// Where a state lies, and what to call it.
fn find(facts: &ProfileFacts, named: Named) -> Result<(RootDir, String)> {
    let number = match named {
        Named::Before(number) => {
            if !facts.points.contains(&number) {
                let known = facts.entries.iter().any(|entry| entry.number == number);
                return Err(match known {
                    true => Error::PointMissing { number },
                    false => Error::NoSuchEntry { number },
                });
            }
            return Ok((facts.dir.point(number), format!("before entry {number}")));
        }
        Named::Current => facts.current,
        Named::Now => facts.in_use.unwrap_or(facts.current),
    };
    let name = match facts.in_use {
        Some(used) if used != facts.current && number == facts.current => "the root that waits",
        Some(used) if used != facts.current => "the root in use",
        _ => "now",
    };
    Ok((facts.dir.root(number), name.to_owned()))
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
