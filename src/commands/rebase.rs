//! `flipper-profile rebase ID --base V`: look, plan, show, confirm; a new root on the new base, apt over it,
//! the proof, the pointer.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::edit::Edit;
use crate::model::error::{At, Error, Exit, Result};
use crate::model::layout::RootDir;
use crate::model::{BaseVersion, Entry, Kind, ProfileId};
use crate::policy::check;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Decisions;
use crate::policy::check::fates::Fate;
use crate::policy::check::finding::{Finding, Severity, Verdict};
use crate::policy::check::truth::libraries;
use crate::policy::rebase::{self, Plan};
use crate::system::edits::{self, Place};
use crate::system::layers::Upper;
use crate::system::locks::{DpkgLocks, Lock};
use crate::system::manifest::ManifestFile;
use crate::system::state::gone;
use crate::system::{refused, roots};

use super::check::{Checked, examined, plan_hash};
use super::cli::{self, Common};
use super::remake::{self, Order, remake};
use super::session::{ProfileFacts, Session};
use super::stage::{self, Staged};
use super::{numbers, report, undo_plan};

mod ask;
mod overwritten;
mod prove;
mod solve;

/// What apt sets right in the sandbox; every other blocker refuses the rebase.
const APT_SOLVES: [Class; 4] = [Class::P11, Class::P12, Class::P14, Class::P16];

/// The two bases, as their manifests have them.
struct Bases {
    from: BaseVersion,
    to: BaseVersion,
    old: ManifestFile,
    new: ManifestFile,
}

/// A root compared with both bases, and what is to be done to it.
struct Planned {
    findings: Vec<Finding>,
    plan_hash: String,
    plan: Plan,
    /// Before anything changes: who lacks which library already.
    lacks: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// What the person asked for, by name.
    wanted: BTreeSet<String>,
    /// Packages of the new base, with their versions.
    pins: Vec<(String, String)>,
}

/// A profile and a base it may move to, looked at; nothing has changed yet.
pub struct Move {
    pub facts: ProfileFacts,
    bases: Bases,
    decided: Decisions,
    planned: Planned,
    _lock: Option<Lock>,
    _still: Option<DpkgLocks>,
}

pub fn run(common: &Common, args: &cli::Rebase) -> Result<Exit> {
    let id: ProfileId = args.id.parse()?;
    let to: BaseVersion = args.base.parse()?;
    let decided = Decisions::parse(args.decide.iter().map(OsString::as_os_str))?;
    let session = if args.dry_run { Session::to_read(common)? } else { Session::to_change(common)? };
    let mut moving = Move::look(&session, &id, to.clone(), decided, !args.dry_run)?;
    match common.json {
        true if args.dry_run => report::json(&report::check::json(&moving.checked())),
        true => {}
        false => report::check::page(&moving.checked(), args.all),
    }
    moving.need_no_blocker()?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    if !common.yes && !common.json && report::may_ask() {
        ask::all(&session, &mut moving)?;
    }
    report::confirm("go on?", common.yes)?;
    let staged = moving.go(&session)?;
    let number = staged.entry.number;
    let outcome = staged.entry.outcome.unwrap_or_default();
    let then = match staged.waits {
        true => "; restart the profile to finish, flipper-undo --cancel drops it",
        false => "; flipper-undo takes it back",
    };
    let sentence = format!("{id} is on base {to} (entry {number}): {outcome}{then}");
    report::done(common.json, serde_json::json!({"profile": id, "base": to, "entry": number}), sentence);
    Ok(Exit::Done)
}

impl Move {
    /// `locked`: the profile's lock is held until it is done.
    pub fn look(
        session: &Session,
        id: &ProfileId,
        to: BaseVersion,
        decided: Decisions,
        locked: bool,
    ) -> Result<Move> {
        session.need_profile(id)?;
        session.need_outside("a rebase")?;
        let lock = locked.then(|| session.lock_profile(id)).transpose()?;
        let facts = undo_plan::look(session, Some(id.as_str()))?;
        remake::need_none_waiting(&facts, "a rebase")?;
        // Before the look: whoever takes dpkg's locks copies their files up.
        let still = locked.then(|| stage::keep_packages_still(session, &facts)).transpose()?.flatten();
        let root = facts.dir.root(facts.current);
        let bases = bases(session, &root, to)?;
        let planned = look(&root, id, &bases, &decided)?;
        Ok(Move { facts, bases, decided, planned, _lock: lock, _still: still })
    }

    /// With these decisions.
    fn decide(&mut self, decided: Decisions) -> Result<()> {
        self.planned = look(&self.root(), &self.facts.id, &self.bases, &decided)?;
        self.decided = decided;
        Ok(())
    }

    fn root(&self) -> RootDir {
        self.facts.dir.root(self.facts.current)
    }

    pub fn checked(&self) -> Checked {
        Checked {
            profile: self.facts.id.clone(),
            base: self.bases.from.clone(),
            candidate: self.bases.to.clone(),
            findings: self.planned.findings.clone(),
            plan_hash: self.planned.plan_hash.clone(),
        }
    }

    /// What apt may solve in the sandbox blocks nothing yet.
    pub fn need_no_blocker(&self) -> Result<()> {
        let refuses = |f: &&Finding| f.severity == Severity::Blocker && !APT_SOLVES.contains(&f.class);
        match self.planned.findings.iter().find(refuses) {
            None => Ok(()),
            Some(finding) => Err(Error::Blocked {
                base: self.bases.to.clone(),
                why: format!("{} {} {}", finding.class, finding.subject.text(), finding.rebase),
            }),
        }
    }

    /// The caller has the person's yes.
    pub fn go(&self, session: &Session) -> Result<Staged> {
        let Move { facts, bases, .. } = self;
        refused::drop_kept(&session.pool, &facts.dir)?;
        let decided: Vec<String> = self.decided.lines();
        let said: String = decided.iter().map(|line| format!(" --decide '{line}'")).collect();
        let order = Order {
            kind: Kind::Rebase,
            base: bases.to.clone(),
            command_line: format!("flipper-profile rebase {} --base {}{said}", facts.id, bases.to),
        };
        remake(session, facts, &order, |entry, root| {
            entry.note_decided(decided);
            carry_out(session, self, entry, root)
        })
    }
}

fn bases(session: &Session, root: &RootDir, to: BaseVersion) -> Result<Bases> {
    let layout = &session.pool.layout;
    let from = roots::base_of(root)?;
    for version in [&from, &to] {
        if !layout.base(version).is_dir() || !layout.manifest(version).is_file() {
            return Err(Error::NoSuchBase { version: version.clone() });
        }
    }
    if from == to {
        return Err(Error::Usage(format!("it stands on base {to} already")));
    }
    let (old, new) = (ManifestFile::open(layout, &from)?, ManifestFile::open(layout, &to)?);
    Ok(Bases { from, to, old, new })
}

fn look(root: &RootDir, id: &ProfileId, bases: &Bases, decided: &Decisions) -> Result<Planned> {
    let upper = Upper::read(root, &bases.old, &bases.new)?;
    let (old, new) = ((&bases.from, &bases.old), (&bases.to, &bases.new));
    examined(&upper, id, old, new, decided, |trees, look| {
        let findings = check::findings(look)?;
        decided.need_choices(&findings)?;
        let plan_hash = plan_hash(&trees.names, trees.triples, trees.mine, &findings)?;
        // Where the profile's own stays on top, apt is not to put the base's older one in its place.
        let rows = look.rows.iter().filter(|row| row.fate != Fate::Override);
        let installed = rows.filter_map(|row| row.new).filter(|package| package.state.has_files());
        let pins = installed.filter_map(|p| Some((p.name.to_owned(), p.version?.to_owned()))).collect();
        Ok(Planned {
            plan: rebase::plan(look)?,
            lacks: libraries::missing(look)?,
            wanted: prove::asked_for(look)?,
            findings,
            plan_hash,
            pins,
        })
    })
}

/// Everything between the new root and the pointer.
fn carry_out(session: &Session, moving: &Move, entry: &mut Entry, root: &RootDir) -> Result<String> {
    let Move { facts, bases, decided, planned: shown, .. } = moving;
    let layout = &session.pool.layout;
    let point = facts.dir.point(entry.number);
    // What is carried out is planned from the point itself: it cannot change any more.
    tracing::debug!("begun");
    let planned = look(&point, &facts.id, bases, decided)?;
    if planned.plan_hash != shown.plan_hash {
        return Err(Error::Busy { what: format!("{}: something changed there since the plan", facts.id) });
    }
    tracing::debug!("planned");
    let papers = layout.papers(&facts.id, entry.number);
    fs::create_dir_all(&papers).at("make", &papers)?;
    let spinner = report::progress("rebasing", 4);
    numbers::note(session, &facts.dir, &point)?;
    let place = Place {
        upper: &root.upper(),
        old_base: &layout.base(&bases.from),
        new_base: &layout.base(&bases.to),
        saved: &papers.join("saved"),
    };
    edits::carry_out(&place, &planned.plan.edits)?;
    tracing::debug!("merged");
    numbers::copy_for_sandbox(session, &facts.dir, root, entry.number)?;
    spinner.inc(1);
    let bench =
        solve::Bench::make(root, &planned, needs_upgrade(layout.base(&bases.from), layout.base(&bases.to))?)?;
    let needs = Verdict::of(&planned.findings) == Verdict::Blocked;
    tracing::debug!("ready for apt");
    let ended = bench.run(session, facts, bases, (entry.number, root), &papers.join("apt.log"), needs)?;
    tracing::debug!("apt ended");
    spinner.inc(1);
    let mut saved: BTreeSet<Vec<u8>> = planned.plan.saved.iter().cloned().collect();
    saved.extend(overwritten::save(&point, &place)?);
    edits::carry_out(&Place { old_base: place.new_base, ..place }, &tidy(root, &facts.id, bases)?)?;
    let proof = prove::Proof { facts, bases, planned: &planned, root };
    let proved = proof.of(&ended);
    bench.remove()?;
    proved.map_err(|error| no_room(error, root, &papers.join("apt.log")))?;
    tracing::debug!("proved");
    spinner.finish_and_clear();
    entry.state_gone =
        Some(gone::between(&facts.dir.point_state(entry.number), &facts.dir.made_state(entry.number))?);
    let changes = undo_plan::changes_between(session, point, root.clone())?;
    entry.changes = changes.unwrap_or_default();
    Ok(outcome(saved.len(), &papers))
}

/// Where it was for want of room that apt or dpkg came to no end, that is what is to be said.
fn no_room(error: Error, root: &RootDir, log: &Path) -> Error {
    const SAID: &[u8] = b"No space left on device";
    let text = fs::read(log).unwrap_or_default();
    match text.windows(SAID.len()).any(|window| window == SAID) {
        true => Error::Io {
            path: root.path().into(),
            action: "work in",
            source: io::ErrorKind::StorageFull.into(),
        },
        false => error,
    }
}

/// What apt and the triggers made anew, and is as the new base has it, shows through.
fn tidy(root: &RootDir, id: &ProfileId, bases: &Bases) -> Result<Vec<Edit>> {
    let upper = Upper::read(root, &bases.new, &bases.new)?;
    let base = (&bases.to, &bases.new);
    let decided = Decisions::default();
    examined(&upper, id, base, base, &decided, |_, look| Ok(rebase::plan(look)?.edits))
}

/// Is the new base another release? Then all of the profile's packages are brought to it.
fn needs_upgrade(old: PathBuf, new: PathBuf) -> Result<bool> {
    let codename = |base: &Path| -> Result<Option<String>> {
        let Some(path) = crate::system::base::inside(base, "usr/lib/os-release") else { return Ok(None) };
        let text = fs::read_to_string(&path).at("read", &path)?;
        Ok(text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).map(str::to_owned))
    };
    Ok(codename(&old)? != codename(&new)?)
}

fn outcome(saved: usize, papers: &Path) -> String {
    match saved {
        0 => "proved".to_owned(),
        _ => format!(
            "proved; {} saved in {}",
            report::count(saved, "file of yours", "files of yours"),
            papers.join("saved").display()
        ),
    }
}
