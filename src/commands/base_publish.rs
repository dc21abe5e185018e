//! `flipper-base publish V FILE`: a base as a send stream, which `receive` takes on other devices.

use std::path::Path;

use crate::model::BaseVersion;
use crate::model::error::{Error, Exit, Result};
use crate::system::btrfs;
use crate::system::locks::Lock;
use crate::system::send::{self, Target};

use super::cli::Common;
use super::report;
use super::session::Session;

pub fn run(common: &Common, version: &str, file: &Path, parent: Option<&str>) -> Result<Exit> {
    let version: BaseVersion = version.parse()?;
    let parent: Option<BaseVersion> = parent.map(str::parse).transpose()?;
    if parent.as_ref() == Some(&version) {
        return Err(Error::Usage(format!("base {version} is no delta to itself")));
    }
    let session = Session::to_read(common)?;
    let layout = &session.pool.layout;
    // Held, as create does: no prune takes one away meanwhile.
    let kept = [Some(&version), parent.as_ref()];
    let _kept = kept.into_iter().flatten().map(|v| hold(&session, v)).collect::<Result<Vec<Lock>>>()?;
    let target = Target::named(file)?;
    if target.replaces() {
        report::confirm(&format!("replace {}?", file.display()), common.yes)?;
    }
    let from = parent.as_ref().map(|parent| layout.base(parent));
    let Some(bytes) = send::send(&layout.base(&version), from.as_deref(), &target)? else {
        return Ok(Exit::Done); // standard output may be the stream
    };
    let what = parent.as_ref().map_or("whole".to_owned(), |parent| format!("a delta to {parent}"));
    report::done(
        common.json,
        serde_json::json!({"base": version, "file": file, "bytes": bytes, "delta_to": parent}),
        format_args!(
            "published base {version} to {}: {}, {what}",
            file.display(),
            report::space::size(bytes)
        ),
    );
    Ok(Exit::Done)
}

fn hold(session: &Session, version: &BaseVersion) -> Result<Lock> {
    let base = session.pool.layout.base(version);
    let missing = || Error::NoSuchBase { version: version.clone() };
    if !btrfs::is_subvolume(&base) {
        return Err(missing());
    }
    Lock::of_directory(&base, true)?.ok_or_else(missing)
}
