//! The kernel that runs need not be the one of the root that is about to start: a cut came between the pointer and
//! the boot directory, the pool was changed in another machine, or there was no room for every profile's kernel.
//! Then the boot directory is put right, and the machine starts again, once.

use std::path::Path;

use crate::model::ProfileId;
use crate::model::error::Result;
use crate::system::{kernels, restart};

use super::held::Held;
use super::session::Session;
use super::{boot_files, report, trial};

/// Returns when the start goes on. `root`: the merged one. Whoever calls us on a machine that is running does not
/// want it to start again.
pub fn need(session: &Session, id: &ProfileId, held: &Held, root: &Path, may_restart: bool) -> Result<()> {
    let release = kernels::running_release()?;
    let modules = root.join("usr/lib/modules");
    if modules.join(&release).is_dir() || !modules.is_dir() {
        return Ok(());
    }
    let without = format!("root {} of {id} has no modules for the kernel that runs, {release}", held.number);
    match switch(session, id, held, may_restart) {
        Ok(true) => restart::now(&format!("{without}: the machine starts again with its own")),
        Ok(false) => {
            report::note(&without);
            Ok(())
        }
        // It is started all the same: what works without them works.
        Err(error) => {
            report::note(format_args!("{without}: {error}"));
            Ok(())
        }
    }
}

/// Would another start have its kernel?
fn switch(session: &Session, id: &ProfileId, held: &Held, may_restart: bool) -> Result<bool> {
    let pool = &session.pool;
    let mut noted = trial::read(&held.dir)?;
    if !may_restart || !boot_files::is_kept(pool)? || noted.switched == Some(held.number) {
        return Ok(false);
    }
    noted.switched = Some(held.number);
    trial::write(session, &held.dir, &noted)?;
    boot_files::refresh_for(pool, id)
}
