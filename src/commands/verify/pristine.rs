//! What a reset goes back to, a state/ that waits for its root, and what a profile shares.

use crate::model::error::Result;
use crate::model::layout::ProfileDir;
use crate::model::{EntryNumber, ProfileId};
use crate::system::state::made;
use crate::system::{btrfs, nested, next_state, roots};

use super::{Findings, NEXT_CHANGE};
use crate::commands::session::Session;

pub fn check(
    session: &Session,
    id: &ProfileId,
    dir: &ProfileDir,
    current: Option<EntryNumber>,
    findings: &mut Findings,
) -> Result<()> {
    pristine(session, id, dir, findings)?;
    let open = session.journal.open_entries(Some(id))?;
    let expected = |number| current == Some(number) || open.iter().any(|entry| entry.number == number);
    for number in made::waiting(dir)? {
        let of = format!("{id}: .state-{number}.made");
        findings.add_if(!expected(number), "leftovers", &of, "its rebase was not completed", NEXT_CHANGE);
    }
    for number in next_state::waiting(dir)? {
        let (expected, of) = (expected(number), format!("{id}: .state-{number}"));
        findings.add_if(!expected, "leftovers", &of, "its root never became current", NEXT_CHANGE);
    }
    for number in next_state::old(dir)? {
        let of = format!("{id}: .state-{number}.old");
        let (what, remedy) = match nested::need_none_mounted(&dir.old_state(number)) {
            Err(error) => {
                (format!("it cannot be deleted: {error}"), "unmount that; the next change deletes it")
            }
            Ok(()) => ("a state/ of before is not deleted yet".into(), NEXT_CHANGE),
        };
        findings.add("leftovers", of, what, remedy);
    }
    for path in session.describe(dir).map(|profile| profile.shared).unwrap_or_default() {
        let missing = session.pool.layout.shared().join(&path).symlink_metadata().is_err();
        let what = format!("it shares /{}, which is not in @data/shared: it starts without", path.display());
        let remedy = format!("flipper-profile unshare /{} --profile {id}", path.display());
        findings.add_if(missing, "shared", &format!("profile {id}"), &what, &remedy);
    }
    Ok(())
}

/// Profiles of older programs have none, and that is no fault.
fn pristine(session: &Session, id: &ProfileId, dir: &ProfileDir, findings: &mut Findings) -> Result<()> {
    const REMEDY: &str =
        "a reset is not to be trusted; a fresh profile has another: flipper-profile create NEW";
    let (state, of) = (dir.pristine(), format!("{id}: pristine"));
    if state.path().symlink_metadata().is_err() {
        return Ok(());
    }
    if !btrfs::is_subvolume(state.path()) {
        findings.add("pristine", of, "it is no subvolume", REMEDY);
        return Ok(());
    }
    findings.add_if(!btrfs::is_read_only(state.path())?, "sealed", &of, "it can be written to", REMEDY);
    match roots::base_of(&state) {
        Ok(base) => {
            let gone = !session.pool.layout.base(&base).is_dir();
            let what = format!("it stands on base {base}, which is gone");
            let remedy = format!("import that base again: flipper-base import DIR --version {base}");
            findings.add_if(gone, "base", &of, &what, &remedy);
        }
        Err(error) => findings.add("facts", of, error, REMEDY),
    }
    Ok(())
}
