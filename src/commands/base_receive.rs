//! `flipper-base receive FILE`: a base as somebody published it. It stays sealed, byte for byte: what is not
//! fit to be a base is refused, and nothing of it mended.

use std::path::Path;

use crate::model::entry::{DELTA_TO, STREAM_UUID};
use crate::model::error::{Error, Exit, Result};
use crate::model::send_stream::{NAME, uuid_text};
use crate::model::{BaseVersion, Entry, Kind, State};
use crate::policy::settled::image_version;
use crate::system::locks::Lock;
use crate::system::stream::Stream;
use crate::system::{base, driver, files, manifest, receive};

use super::cli::Common;
use super::session::Session;
use super::{base_import, base_inspect, now, report, stage};

struct Received {
    version: BaseVersion,
    paths: u64,
}

pub fn run(common: &Common, file: &Path, version: Option<&str>) -> Result<Exit> {
    let version: Option<BaseVersion> = version.map(str::parse).transpose()?;
    let mut stream = Stream::open(file)?;
    need_name(&stream)?;
    let session = Session::to_change(common)?;
    let layout = &session.pool.layout;
    let _lock = Lock::take_soon(&layout.base_lock(), "the bases")?;
    version.as_ref().map_or(Ok(()), |version| need_free(&session, version))?;
    let parent = parent(&session, &stream)?;
    let mut entry = session.journal.lock()?.begin(Kind::Receive, now(), |entry| {
        entry.base = version;
        entry.person = Some(driver::person("/".as_ref()));
        entry.command_line = Some(format!("flipper-base receive {}", stream.path.display()));
        entry.more.insert(STREAM_UUID.to_owned(), uuid_text(&stream.first.uuid).into());
        if let Some(parent) = &parent {
            entry.more.insert(DELTA_TO.to_owned(), parent.as_str().into());
        }
    })?;
    files::sync_file_system(layout.top())?;
    match make(&session, &mut stream, &mut entry) {
        Ok(received) => {
            stage::close(&session, &mut entry, State::Completed, None)?;
            tell(&session, &received, parent.as_ref())
        }
        Err(error) => Err(base_import::give_up(&session, &mut entry, error)),
    }
}

/// Everything of it is looked at before it has a name.
fn make(session: &Session, stream: &mut Stream, entry: &mut Entry) -> Result<Received> {
    let (layout, floor) = (&session.pool.layout, session.pool.format.inode_floor);
    let bar = report::progress("receiving", stream.length.unwrap_or_default());
    receive::receive(stream, layout, |read| bar.set_position(read))?;
    bar.finish_and_clear();
    let root = layout.incoming_base();
    base::need_real_directories(&root, &stream.path)?;
    let manifest = manifest::read_tree(&root)?;
    base_inspect::need_settled(&stream.path, &root, &manifest, floor)?;
    base_inspect::need_fit_for_all(&stream.path, &root, &manifest)?;
    let version = match &entry.base {
        Some(version) => version.clone(),
        None => own_name(session, stream, &root)?,
    };
    if entry.base.is_none() {
        // A manifest that a cut leaves is removed by the name in its entry.
        entry.base = Some(version.clone());
        session.journal.lock()?.amend(entry)?;
    }
    base::publish(layout, &version, &manifest.to_bytes(&version, floor))?;
    base::make_first_current(layout, &version)?;
    Ok(Received { version, paths: manifest.paths() })
}

fn need_name(stream: &Stream) -> Result<()> {
    if stream.first.name == NAME.as_bytes() {
        return Ok(());
    }
    let name = String::from_utf8_lossy(&stream.first.name);
    let why = format!("its subvolume is called {name:?}, and that of a published base {NAME}");
    Err(Error::NotAStream { path: stream.path.clone(), why })
}

fn need_free(session: &Session, version: &BaseVersion) -> Result<()> {
    match session.pool.layout.base(version).exists() {
        true => Err(Error::BaseExists { version: version.clone() }),
        false => Ok(()),
    }
}

/// The base a delta is to be applied to; it must be here.
fn parent(session: &Session, stream: &Stream) -> Result<Option<BaseVersion>> {
    let Some(uuid) = &stream.first.parent else { return Ok(None) };
    let layout = &session.pool.layout;
    if let Some(version) = base::by_stream_uuid(layout, uuid)? {
        return Ok(Some(version));
    }
    let here: Vec<String> = base::versions(layout)?.iter().map(BaseVersion::to_string).collect();
    let here = if here.is_empty() { "no base".to_owned() } else { here.join(", ") };
    Err(Error::NoParentBase { path: stream.path.clone(), wanted: once_here(session, uuid)?, here })
}

/// A base that was called by this UUID and is gone, if the journal knows it.
fn once_here(session: &Session, uuid: &[u8; 16]) -> Result<Option<BaseVersion>> {
    let text = uuid_text(uuid);
    let entries = session.journal.entries(None)?.entries;
    let named = |entry: &&Entry| entry.more.get(STREAM_UUID).is_some_and(|uuid| *uuid == *text);
    Ok(entries
        .iter()
        .rev()
        .filter(|entry| entry.state == State::Completed)
        .find(named)
        .and_then(|e| e.base.clone()))
}

/// What the root calls itself.
fn own_name(session: &Session, stream: &Stream, root: &Path) -> Result<BaseVersion> {
    let os_release = base_inspect::read(root, "usr/lib/os-release")?.unwrap_or_default();
    let refused = |why| Error::NotADebianRoot { path: stream.path.clone(), why };
    let name = base::name(root)?.or_else(|| image_version(&os_release));
    let name =
        name.ok_or_else(|| refused("it does not say its version: name it with --base V".to_owned()))?;
    let version: BaseVersion = name.parse().map_err(|_| {
        refused(format!("it calls itself {name:?}, which is no version: name it with --base V"))
    })?;
    need_free(session, &version)?;
    Ok(version)
}

fn tell(session: &Session, received: &Received, parent: Option<&BaseVersion>) -> Result<Exit> {
    let Received { version, paths } = received;
    let current = base::current(&session.pool.layout)?.is_some_and(|c| c == *version);
    if session.common.json {
        report::json(&serde_json::json!({
            "base": version, "paths": paths, "current": current, "delta_to": parent,
        }));
        return Ok(Exit::Done);
    }
    let role = base_import::role(current);
    let came = parent.map_or(String::new(), |parent| format!(" as a delta to {parent}"));
    report::line(format_args!("received base {version}{came}: {paths} paths, sealed; {role}"));
    Ok(Exit::Done)
}
