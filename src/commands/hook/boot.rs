//! flipper-boot.service: a machine that started from a profile. What a cut left is closed, roots that an undo
//! left go, the pool grows to its partition, and the root is held as long as the machine runs.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use nix::unistd::pause;

use crate::commands::boot_files;
use crate::commands::cli::Common;
use crate::commands::report;
use crate::commands::session::Session;
use crate::model::booted::{Booted, Mode};
use crate::model::error::{Error, Result};
use crate::system::locks::Lock;
use crate::system::{grow, pool};

/// In pool.conf: it is done once, because its owner may make it smaller afterwards.
const GROWN: &str = "grown";

/// Who holds it longer than this is no program that only asks.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run() -> Result<()> {
    let Some(booted) = pool::booted()?.filter(|booted| booted.mode == Mode::Boot) else { return Ok(()) };
    pool::settle_booted(&booted)?;
    let held = hold(&booted)?;
    ready();
    // Until systemd ends it: the lock is what everybody asks first.
    pause();
    drop(held);
    Ok(())
}

fn hold(booted: &Booted) -> Result<Lock> {
    let common = Common::default();
    let session = Session::to_change(&common).or_else(|_| Session::to_read(&common))?;
    // What was changed from outside, or by a cut.
    boot_files::follow(&session.pool);
    if let Err(error) = grow_once(&session) {
        report::note(format_args!("note: the pool stays as large as it is: {error}"));
    }
    let root = session.pool.layout.profile(&booted.profile).root(booted.root);
    let lock = Lock::of_directory_within(root.path(), PATIENCE)?;
    // The pool is not left mounted, not even where only this process would see it.
    let _ = umount2(session.pool.layout.top(), MntFlags::MNT_DETACH);
    lock.ok_or_else(|| Error::Busy { what: format!("root {} of {}", booted.root, booted.profile) })
}

fn grow_once(session: &Session) -> Result<()> {
    let (pool, mut settings) = (&session.pool, session.pool.settings()?);
    if settings.get(GROWN).is_some() || !pool.format.may_write() || grow::room_behind(&pool.device)? == 0 {
        return Ok(());
    }
    let _lock = Lock::take_soon(&pool.layout.base_lock(), "the pool")?;
    grow::to_device(pool.layout.top(), &pool.device)?;
    settings.set(GROWN, "yes");
    session.write_settings(&settings)
}

/// sd_notify(3)
fn ready() {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let _ = UnixDatagram::unbound().and_then(|from| from.send_to(b"READY=1", socket));
}
