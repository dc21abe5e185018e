//! `flipper-profile create`: an empty root over a base, made aside and published by one rename.

use crate::model::error::{Error, Exit, Result};
use crate::model::layout::{ProfileDir, RootFact};
use crate::model::profile::{Origin, Profile};
use crate::model::state_path::StateList;
use crate::model::{BaseVersion, Entry, EntryNumber, Kind, ProfileId, State};
use crate::system::journal::to_json;
use crate::system::locks::Lock;
use crate::system::{base, btrfs, driver, files, profiles, roots, state};

use super::cli::Common;
use super::session::Session;
use super::{identity, now, report, stage};

pub fn run(
    common: &Common,
    id: &str,
    name: Option<String>,
    on: Option<String>,
    note: String,
) -> Result<Exit> {
    let id: ProfileId = id.parse()?;
    let session = Session::to_change(common)?;
    session.need_free_id(&id)?;
    let version = chosen_base(&session, on)?;
    let base = session.pool.layout.base(&version);
    let _kept =
        Lock::of_directory(&base, true)?.ok_or_else(|| Error::NoSuchBase { version: version.clone() })?;
    if !base.is_dir() {
        return Err(Error::NoSuchBase { version });
    }
    let mut entry = begin(&session, Kind::Create, &id, &version, None)?;
    let (aside, home) = (session.pool.layout.new_profile(&id), session.pool.layout.profile(&id));
    let lock = profiles::make_aside(&aside)?;
    btrfs::snapshot(&session.pool.layout.template(), aside.root(entry.number).path())?;
    state::furnish_new(&base, &aside, &aside.root(entry.number))?;
    let origin = Origin { base: Some(version.clone()), profile: None, point: None, builtin: None };
    describe(&aside, &id, name, note, origin, StateList::default())?;
    finish_root(&session, &aside, entry.number, &version)?;
    identity::of_new(&session, &aside, entry.number)?;
    profiles::seal_pristine(&aside, entry.number)?;
    profiles::publish(&aside, &home)?;
    drop(lock);
    stage::close(&session, &mut entry, State::Completed, None)?;
    if common.json {
        report::json(&serde_json::json!({"profile": id, "base": version, "root": entry.number}));
    } else {
        report::line(format_args!("made profile {id} on base {version}"));
        report::line(format_args!("next: flipper-profile run {id}"));
    }
    Ok(Exit::Done)
}

fn chosen_base(session: &Session, on: Option<String>) -> Result<BaseVersion> {
    let version = match on {
        Some(text) => text.parse()?,
        None => base::current(&session.pool.layout)?.ok_or(Error::NoBaseYet)?,
    };
    match btrfs::is_subvolume(&session.pool.layout.base(&version)) {
        true => Ok(version),
        false => Err(Error::NoSuchBase { version }),
    }
}

/// The durable open entry of a profile that is being made.
pub fn begin(
    session: &Session,
    kind: Kind,
    id: &ProfileId,
    version: &BaseVersion,
    target: Option<EntryNumber>,
) -> Result<Entry> {
    let entry = session.journal.lock()?.begin(kind, now(), |entry| {
        entry.profile = Some(id.clone());
        entry.base = Some(version.clone());
        entry.target = target;
        entry.person = Some(driver::person("/".as_ref()));
    })?;
    files::sync_file_system(session.pool.layout.top())?;
    Ok(entry)
}

pub fn describe(
    dir: &ProfileDir,
    id: &ProfileId,
    name: Option<String>,
    note: String,
    origin: Origin,
    state: StateList,
) -> Result<()> {
    let name = name.unwrap_or_else(|| id.to_string());
    super::set::need_one_line("name", &name)?;
    let (kind, created) = ("overlay".to_owned(), now());
    let profile = Profile {
        name,
        note,
        kind,
        created,
        origin,
        last_used: None,
        pins: Vec::new(),
        shared: Vec::new(),
        identity: Default::default(),
        state,
        more: Default::default(),
    };
    files::write_unpublished(&dir.description(), &to_json(&profile))
}

/// What create and clone do to a fresh root: its facts, a machine-id of its own, the pointer.
pub fn finish_root(
    session: &Session,
    dir: &ProfileDir,
    number: EntryNumber,
    version: &BaseVersion,
) -> Result<()> {
    let root = dir.root(number);
    roots::write_fact(&root, RootFact::Base, version.as_str())?;
    roots::write_fact(&root, RootFact::Entry, &number.to_string())?;
    let base = session.pool.layout.base(version);
    roots::write_into_upper(&root.upper(), &base, "etc/machine-id", &fresh_machine_id()?)?;
    roots::prove_layout(&root, &base, session.pool.format.inode_floor)?;
    roots::aim(dir, number)
}

/// 128 random bits in hex with a newline (machine-id(5)), marked as a version 4 UUID like systemd's.
fn fresh_machine_id() -> Result<Vec<u8>> {
    let text = files::read_line("/proc/sys/kernel/random/uuid".as_ref())?;
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    Ok(format!("{hex}\n").into_bytes())
}
