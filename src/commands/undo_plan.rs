//! Looking before an undo: the facts, the plan, and the preview in the person's language.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::dpkg::{ExtendedStates, Status};
use crate::model::entry::{Action, Change, count_actions};
use crate::model::error::{Error, Result};
use crate::model::layout::RootDir;
use crate::model::state_change::StateChange;
use crate::model::{Entry, EntryNumber, Kind};
use crate::policy::descent::History;
use crate::policy::undo::{self, Ask, Plan};
use crate::policy::{accounts, outcome, state_line};
use crate::system::{account_files, btrfs, roots, upper};

use super::recover;
use super::session::{ProfileFacts, Session};

/// What would happen, for the person and for `--json`.
pub struct Preview {
    pub plan: Plan,
    /// The changes that are taken back (for a redo: brought back).
    pub changes: Vec<Change>,
    pub conffiles: Vec<PathBuf>,
    pub left_behind: Vec<EntryNumber>,
    /// Runs that only finished the one that was cut before them, and go with it.
    pub repairs: Vec<EntryNumber>,
    /// The base changes with it: from, to.
    pub bases: Option<(String, String)>,
    /// What becomes of state/; None: it is left alone.
    pub state: Option<StateChange>,
    /// What is left, and what is returned to; None: nothing is staged.
    pub sides: Option<[State; 2]>,
}

pub fn look(session: &Session, named: Option<&str>) -> Result<ProfileFacts> {
    let id = session.profile(named)?;
    let mut facts = session.facts(&id)?;
    recover::settle(session, &mut facts.entries)?;
    Ok(facts)
}

pub fn plan(facts: &ProfileFacts, ask: Ask) -> Result<Plan> {
    undo::plan(&policy_facts(facts), ask)
}

/// Back to pristine; refused where there is none, or where it stands on another base.
pub fn reset(session: &Session, facts: &ProfileFacts, wipes: bool) -> Result<Plan> {
    let pristine = facts.dir.pristine();
    if !pristine.path().is_dir() {
        return Err(Error::NoPristine { profile: facts.id.clone() });
    }
    let plan = undo::reset(&policy_facts(facts), wipes)?;
    if let Some(inside) = btrfs::nested(&facts.dir.state())?.into_iter().find(|_| wipes) {
        let why = "a subvolume of its own is in no snapshot of state/, and --wipe is to be taken back: move it away, or delete it".into();
        return Err(Error::BadStatePath { path: Path::new("/").join(inside), why });
    }
    let (pristine, now) = (roots::base_of(&pristine)?, roots::base_of(&facts.dir.root(facts.current))?);
    if pristine != now {
        return Err(Error::PristineOnOtherBase { profile: facts.id.clone(), pristine, now });
    }
    match session.pool.layout.base(&pristine).is_dir() {
        true => Ok(plan),
        false => Err(Error::NoSuchBase { version: pristine }),
    }
}

/// What a plan makes of state/.
pub fn state_change(facts: &ProfileFacts, plan: &Plan) -> Option<StateChange> {
    match plan {
        Plan::Reset { wipes, .. } => wipes.then_some(StateChange::Fresh),
        Plan::Cancel { .. } => None,
        Plan::Stage { target, leaves, .. } => {
            let copied = |number| facts.dir.point_state(number).is_dir();
            let copy = state_line::comes_back(&History::new(&facts.entries), *leaves, *target, copied);
            copy.map(StateChange::From)
        }
    }
}

fn policy_facts(facts: &ProfileFacts) -> undo::Facts<'_> {
    undo::Facts {
        profile: &facts.id,
        entries: &facts.entries,
        current: facts.current,
        in_use: facts.in_use,
        points: &facts.points,
    }
}

pub fn waiting(facts: &ProfileFacts) -> Option<EntryNumber> {
    undo::waiting(&policy_facts(facts))
}

/// Compares the state a plan leaves with the one it returns to.
pub fn preview(session: &Session, facts: &ProfileFacts, plan: Plan) -> Result<Preview> {
    let left_behind = undo::left_behind(&policy_facts(facts));
    let repairs = undo::repairs(&policy_facts(facts), &plan);
    let state = state_change(facts, &plan);
    let (then, is_redo) = match &plan {
        Plan::Stage { target, kind, .. } => (facts.dir.point(*target), *kind == Kind::Redo),
        Plan::Reset { .. } => (facts.dir.pristine(), false),
        Plan::Cancel { .. } => {
            let (changes, conffiles) = (Vec::new(), Vec::new());
            let (bases, sides) = (None, None);
            return Ok(Preview { plan, changes, conffiles, left_behind, repairs, bases, state, sides });
        }
    };
    let now = State::read(session, facts.dir.root(plan.leaves().unwrap_or(facts.current)))?;
    let then = State::read(session, then)?;
    // A damaged database must not stop the very undo that mends it: then the packages are not named.
    let (from, to) = if is_redo { (&now, &then) } else { (&then, &now) };
    let changes = compare(from, to).unwrap_or_default();
    let conffiles = changed_conffiles(&now, &then);
    let bases = (now.base_name != then.base_name).then(|| (now.base_name.clone(), then.base_name.clone()));
    let sides = Some([then, now]);
    Ok(Preview { plan, changes, conffiles, left_behind, repairs, bases, state, sides })
}

/// The packages that differ between two states of a profile; None when a database cannot be read.
pub fn changes_between(session: &Session, from: RootDir, to: RootDir) -> Result<Option<Vec<Change>>> {
    Ok(compare(&State::read(session, from)?, &State::read(session, to)?))
}

/// One side of the comparison.
pub struct State {
    pub root: RootDir,
    pub base: PathBuf,
    base_name: String,
    /// Absent when what is there cannot be read (a FIFO, a directory).
    pub status: Option<Vec<u8>>,
    marks: Vec<u8>,
}

impl State {
    pub fn read(session: &Session, root: RootDir) -> Result<State> {
        let version = roots::base_of(&root)?;
        let base = session.pool.layout.base(&version);
        let read = |inside: &str| upper::read(&root, &base, inside).ok().map(Option::unwrap_or_default);
        let (status, marks) = (read("var/lib/dpkg/status"), read("var/lib/apt/extended_states"));
        let marks = marks.unwrap_or_default();
        Ok(State { status, marks, base_name: version.to_string(), root, base })
    }
}

/// The packages that differ; None when a database is damaged.
pub fn compare(from: &State, to: &State) -> Option<Vec<Change>> {
    let (before, after) = (from.status.as_deref()?, to.status.as_deref()?);
    let (before, after) = (Status::parse(before).ok()?, Status::parse(after).ok()?);
    let marks = ExtendedStates::parse(&to.marks).ok()?;
    Some(outcome::changes(&before, &after, &marks, &[]))
}

/// Conffiles of either side that differ between them.
fn changed_conffiles(now: &State, then: &State) -> Vec<PathBuf> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let mut paths = BTreeSet::new();
    let texts = [&now.status, &then.status].into_iter().flatten();
    for status in texts.filter_map(|s| Status::parse(s).ok()) {
        for package in &status.packages {
            let conffiles = package.conffiles().unwrap_or_default();
            paths.extend(conffiles.iter().map(|c| PathBuf::from(OsStr::from_bytes(c.path))));
        }
    }
    let differs = |path: &PathBuf| {
        let inside = path.strip_prefix("/").unwrap_or(path);
        !upper::same_file((&now.root, &now.base), (&then.root, &then.base), inside)
    };
    paths.into_iter().filter(differs).collect()
}

impl Preview {
    /// Does the new state lack our own programs, or have older ones?
    pub fn takes_us_away(&self) -> bool {
        let back = matches!(&self.plan, Plan::Stage { kind, .. } if *kind == Kind::Redo);
        let away = match back {
            true => [Action::Remove, Action::Purge, Action::Downgrade],
            false => [Action::Install, Action::Install, Action::Upgrade],
        };
        self.changes.iter().any(|c| c.package == "flipper-profiles" && away.contains(&c.action))
    }

    /// "takes back 7 upgrades and 1 removal, restores 2 conffiles, keeps the kernel"
    pub fn sentence(&self) -> String {
        let verb = match &self.plan {
            Plan::Cancel { .. } => return "drops the root that waits: the machine stays as it is".into(),
            Plan::Reset { .. } => "back to pristine: takes back",
            Plan::Stage { kind: Kind::Redo, .. } => "brings back",
            Plan::Stage { .. } => "takes back",
        };
        let counts = count_actions(self.changes.iter().map(|change| change.action));
        let packages: Vec<String> = counts.iter().map(|(a, n)| format!("{n} {}", a.noun(*n))).collect();
        let what = match packages.split_last() {
            None => "no package change".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, more)) => format!("{} and {last}", more.join(", ")),
        };
        let mut parts = vec![format!("{verb} {what}")];
        if !self.conffiles.is_empty() {
            let many = if self.conffiles.len() == 1 { "conffile" } else { "conffiles" };
            parts.push(format!("restores {} {many}", self.conffiles.len()));
        }
        if let Some((from, to)) = &self.bases {
            parts.push(format!("moves from base {from} to {to}"));
        }
        let kernel =
            self.changes.iter().any(|c| c.package.starts_with("linux-image-") && c.action != Action::Mark);
        match (&self.state, &self.plan) {
            (Some(StateChange::Fresh), _) => {
                parts.push("begins state/ anew (the old one is kept with it)".into())
            }
            (Some(StateChange::From(_)), _) => parts.push("puts state/ back whole, as it was".into()),
            (None, Plan::Reset { .. }) => parts.push("keeps state/".into()),
            (None, _) => {}
        }
        parts.push(if kernel { "changes the kernel".into() } else { "keeps the kernel".into() });
        parts.join(", ")
    }

    /// The people whose accounts the new state does not have.
    pub fn locked_accounts(&self) -> Vec<String> {
        let Some([then, now]) = &self.sides else { return Vec::new() };
        let texts = |state: &State| account_files::of_root(&state.root, &state.base);
        accounts::locked(&texts(now), &texts(then))
    }

    /// The entries that are taken back or brought back.
    pub fn entries<'a>(&self, facts: &'a ProfileFacts) -> Vec<&'a Entry> {
        let numbers = match &self.plan {
            Plan::Stage { takes_back, brings_back, .. } => [takes_back.as_slice(), brings_back],
            Plan::Reset { takes_back, .. } => [takes_back.as_slice(), &[]],
            Plan::Cancel { .. } => return Vec::new(),
        };
        let named = |number: &EntryNumber| facts.entries.iter().find(|entry| entry.number == *number);
        numbers.into_iter().flatten().filter_map(named).collect()
    }
}
