//! flipper-confirm.service: the machine came up, so the state it started from is good.

use std::path::Path;

use nix::mount::{MntFlags, umount2};

use crate::commands::cli::Common;
use crate::commands::session::Session;
use crate::commands::{boot_files, trial};
use crate::model::booted::Mode;
use crate::model::error::Result;
use crate::system::{files, kernels, panics, pool};

pub fn run() -> Result<()> {
    let Some(booted) = pool::booted()?.filter(|booted| booted.mode == Mode::Boot) else { return Ok(()) };
    let on_trial = files::read_line(Path::new(pool::ON_TRIAL))?;
    // Of a root that a soft reboot is about to start: that one confirms itself.
    if on_trial != booted.root.to_string() {
        return Ok(());
    }
    panics::as_before()?;
    let session = Session::to_read(&Common::default())?;
    session.pool.need_writable_format()?;
    let dir = session.pool.layout.profile(&booted.profile);
    let mut tried = trial::read(&dir)?;
    let (came_up, kernel) = (tried.confirm(booted.root), kernels::running());
    let is_new = kernel.is_some() && kernel != tried.good_kernel;
    if came_up || is_new || tried.switched.is_some() {
        (tried.good_kernel, tried.switched) = (kernel.or(tried.good_kernel), None);
        trial::write(&session, &dir, &tried)?;
        boot_files::follow(&session.pool);
    }
    let _ = umount2(session.pool.layout.top(), MntFlags::MNT_DETACH);
    files::remove_if_there(Path::new(pool::ON_TRIAL))
}
