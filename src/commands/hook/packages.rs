//! When apt has said what it will do: the plan goes beside the open entry, and the archives the new
//! versions come from are looked up by a child, beside dpkg.

use std::io::Read;
use std::time::Duration;

use crate::dpkg::hook_stream::{self, HookAction, HookStream, What};
use crate::dpkg::package_list;
use crate::model::booted::{Booted, Mode};
use crate::model::entry::{Action, Planned};
use crate::model::error::{At, Error, Result};
use crate::model::{Entry, EntryNumber};
use crate::policy::outcome;
use crate::system::journal::{Archives, PlanFile};
use crate::system::locks::Lock;
use crate::system::{archives, background, programs};

use super::session::Hook;
use super::state::{self, Intent};
use crate::commands::accounts;

/// What apt said, read to its end.
pub struct Stream {
    parsed: Result<HookStream, String>,
    planned: Vec<Planned>,
}

/// Reads apt's stream: standard input, or the descriptor it names (InfoFD).
pub fn read_stream() -> Result<Stream> {
    let mut bytes = Vec::new();
    match std::env::var("APT_HOOK_INFO_FD").ok().and_then(|fd| fd.parse::<i32>().ok()).filter(|fd| *fd > 0) {
        Some(fd) => {
            let path = format!("/proc/self/fd/{fd}");
            std::fs::File::open(&path).and_then(|mut f| f.read_to_end(&mut bytes)).at("read", &path)?;
        }
        None => drop(std::io::stdin().lock().read_to_end(&mut bytes).at("read", "standard input")?),
    }
    let parsed = hook_stream::parse(&bytes).map_err(|error| error.to_string());
    let planned = parsed.as_ref().map(outcome::planned).unwrap_or_default();
    Ok(Stream { parsed, planned })
}

impl Stream {
    /// A run that only removes: on a full disk it is the way out, so `strict` lets it pass.
    pub fn only_frees_space(&self) -> bool {
        let removes = |p: &Planned| matches!(p.action, Action::Remove | Action::Purge);
        !self.planned.is_empty() && self.planned.iter().all(removes)
    }

    pub fn command_line(&self) -> Option<String> {
        self.parsed
            .as_ref()
            .ok()
            .and_then(|parsed| parsed.command_line.clone())
            .filter(|line| !line.is_empty())
    }

    pub fn removes_us(&self) -> bool {
        self.planned.iter().any(|p| p.package == "flipper-profiles" && p.action == Action::Remove)
    }
}

/// What the run would empty in state/. None: this run has no point. The first hook was killed before its
/// entry, or between entry and point.
pub fn run(hook: &Hook, stream: &Stream) -> Result<Option<Vec<Error>>> {
    let Some(entry) = hook.open_entry()? else { return Ok(None) };
    let parsed = stream
        .parsed
        .as_ref()
        .map_err(|why| Error::Damaged { what: "what apt said to its hooks".into(), why: why.clone() })?;
    let plan = PlanFile {
        command_line: stream.command_line(),
        comment: parsed.comment.clone().filter(|text| !text.is_empty()),
        planned: together(&entry, &stream.planned),
        debs: parsed.actions.iter().filter_map(deb_of).collect(),
    };
    hook.journal.note_plan(&entry, &plan)?;
    // Without it adduser finds the account all the same, only without its home.
    let profile = hook.pool.layout.profile(&hook.booted.profile);
    if let Err(error) = accounts::revive_planned(&profile, &plan.planned) {
        tracing::warn!("reserved accounts stay reserved: {error}");
    }
    if stream.removes_us() {
        let base = hook.pool.layout.base(&hook.booted.base);
        programs::keep(&hook.pool.layout, &hook.root(), &base)?;
    }
    if plan.planned.iter().any(|planned| planned.new.is_some()) {
        look_up_beside_dpkg(hook, entry.number, &plan.planned)?;
    }
    let has_point = hook.pool.layout.profile(&hook.booted.profile).point(entry.number).path().is_dir();
    let intent = Intent { planned: &stream.planned, purges: parsed.purges() };
    Ok(has_point.then(|| state::prepare(hook, entry.number, &intent)))
}

fn deb_of(action: &HookAction) -> Option<(String, String)> {
    let What::Unpack(path) = &action.what else { return None };
    Some((action.package.clone(), String::from_utf8(path.clone()).ok()?))
}

/// A later commit of the same transaction adds to the plan of the earlier ones.
fn together(entry: &Entry, planned: &[Planned]) -> Vec<Planned> {
    let mut all = entry.planned.clone();
    for new in planned {
        let same = |old: &&mut Planned| old.package == new.package && old.architecture == new.architecture;
        match all.iter_mut().find(same) {
            Some(old) => *old = Planned { old: old.old.clone(), ..new.clone() },
            None => all.push(new.clone()),
        }
    }
    all
}

/// Held by the child that looks archives up.
const LOOKING_UP: &str = "/run/flipper/looking-up";

/// A run ends everything in it, a look-up that is not done yet too: then post waits, but not for long.
/// On a booted machine the look-up adds to the closed entry.
pub fn wait_for_look_up(booted: &Booted) -> Result<()> {
    match booted.mode {
        Mode::Run => Lock::wait_for_children(LOOKING_UP.as_ref(), Duration::from_millis(300)),
        Mode::Boot => Ok(()),
    }
}

fn look_up_beside_dpkg(hook: &Hook, number: EntryNumber, planned: &[Planned]) -> Result<()> {
    let held = Lock::for_child(LOOKING_UP.as_ref())?;
    background::start(Some(&held), || look_up(hook, number, planned))
}

/// Looks the new versions up and leaves them for post; when post was faster, adds them to the closed
/// entry.
fn look_up(hook: &Hook, number: EntryNumber, planned: &[Planned]) -> Result<()> {
    let found = archives::look_up("/".as_ref(), planned, |text, planned| {
        let wanted: Vec<_> = planned
            .iter()
            .map(|p| (p.package.as_str(), p.architecture.as_str(), p.new.as_deref().unwrap_or_default()))
            .collect();
        package_list::find(text, &wanted)
    })?;
    let profile = Some(&hook.booted.profile);
    let locked = hook.journal.lock()?;
    match hook.journal.entry(profile, number)? {
        Some(entry) if entry.is_open() => hook.journal.note_archives(profile, number, &found),
        Some(mut entry) => {
            apply(&mut entry, &found);
            locked.close(&entry)?;
            drop(locked);
            super::refresh_index()
        }
        None => Ok(()),
    }
}

/// Writes what was found into the changes of an entry.
pub fn apply(entry: &mut Entry, found: &Archives) {
    for change in &mut entry.changes {
        let Some(new) = &change.new else { continue };
        if let Some(archive) = found.get(&archives::key(&change.package, &change.architecture, new)) {
            change.security = archives::is_security(archive);
            change.archive = Some(archive.clone());
        }
    }
}
