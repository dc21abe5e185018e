//! `flipper-profile check [ID] [--base CANDIDATE]`: what a candidate base would do to a profile.

use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::model::edit::From;
use crate::model::error::{Error, Exit, Result};
use crate::model::layout::RootDir;
use crate::model::tree::{Tree, Triple};
use crate::model::{BaseVersion, ProfileId};
use crate::policy::check::class::Class;
use crate::policy::check::decided::Decisions;
use crate::policy::check::finding::{Finding, Verdict};
use crate::policy::check::side::Texts;
use crate::policy::check::{self, Trees, procedure};
use crate::policy::text_merge;
use crate::system::layers::{Merged, Upper};
use crate::system::manifest::ManifestFile;
use crate::system::{elf, object, roots};

use super::cli::{self, Common};
use super::report;
use super::session::Session;

mod circumstances;

/// One look at the root.
struct Look {
    findings: Vec<Finding>,
    plan_hash: String,
    begin: SystemTime,
    upper: Upper,
}

/// What a check says of a profile and a candidate.
pub struct Checked {
    pub profile: ProfileId,
    pub base: BaseVersion,
    pub candidate: BaseVersion,
    pub findings: Vec<Finding>,
    /// Changes whenever something changed that the findings depend on: 64 hexadecimal digits.
    pub plan_hash: String,
}

impl Checked {
    /// The profile is held against the base it stands on.
    pub fn is_doctor(&self) -> bool {
        self.base == self.candidate
    }

    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.findings)
    }
}

pub fn run(common: &Common, args: &cli::Check) -> Result<Exit> {
    if let Some(class) = &args.explain {
        return explain(common, class);
    }
    let session = Session::to_read(common)?;
    let id = session.profile(args.id.as_deref())?;
    let candidate = args.base.as_deref().map(str::parse).transpose()?;
    let checked = look(&session, &id, candidate)?;
    if common.json {
        report::json(&report::check::json(&checked));
    } else {
        report::check::page(&checked, args.all);
    }
    Ok(match checked.verdict() {
        Verdict::Clean => Exit::Done,
        Verdict::Attention => Exit::Attention,
        Verdict::Blocked => Exit::Refused,
    })
}

fn explain(common: &Common, text: &str) -> Result<Exit> {
    let Ok(class) = text.parse::<Class>() else {
        return Err(Error::Usage(format!("{text:?} is no class; they are named as F1 or P11")));
    };
    if common.json {
        report::json(&report::check::class_json(class));
    } else {
        report::check::explanation(class);
    }
    Ok(Exit::Done)
}

/// Without a candidate, the base the profile stands on. What the next boot would mount is looked at.
fn look(session: &Session, id: &ProfileId, candidate: Option<BaseVersion>) -> Result<Checked> {
    let layout = &session.pool.layout;
    let dir = session.need_profile(id)?;
    let root = dir.root(roots::current(&dir)?);
    let base = roots::base_of(&root)?;
    let candidate = candidate.unwrap_or_else(|| base.clone());
    let checked = |findings, plan_hash| {
        let (profile, base, candidate) = (id.clone(), base.clone(), candidate.clone());
        Ok(Checked { profile, base, candidate, findings, plan_hash })
    };
    if candidate != base && !layout.manifest(&candidate).is_file() {
        return Err(Error::NoSuchBase { version: candidate });
    }
    if !layout.manifest(&base).is_file() {
        return checked(vec![procedure::no_manifest(base.as_str())], hex(Sha256::digest(b"no manifest")));
    }
    let (old, new) = (ManifestFile::open(layout, &base)?, ManifestFile::open(layout, &candidate)?);
    let mut around = circumstances::around(session, &dir, &root)?;
    let mut look = || compare(&root, id, (&base, &old), (&candidate, &new));
    let (mut findings, plan_hash) = circumstances::quietly(session, &root, &mut around, &mut look)?;
    findings.extend(procedure::findings(id.as_str(), base.as_str(), candidate == base, &around));
    findings.sort();
    checked(findings, plan_hash)
}

/// What a repair begins with: the doctor's findings of one root, and what they are about.
pub struct Diagnosis {
    pub findings: Vec<Finding>,
    pub upper: Upper,
    pub base: ManifestFile,
}

/// Refused where the base has no manifest: what was changed could not be told from what was there.
pub fn diagnose(session: &Session, id: &ProfileId, root: &RootDir) -> Result<Diagnosis> {
    let (layout, version) = (&session.pool.layout, roots::base_of(root)?);
    if !layout.manifest(&version).is_file() {
        let why = format!("@base/{version}.manifest is gone: what you changed cannot be told");
        return Err(Error::NotMendable { what: id.to_string(), why });
    }
    let [base, same] = [ManifestFile::open(layout, &version)?, ManifestFile::open(layout, &version)?];
    let Look { findings, upper, .. } = compare(root, id, (&version, &base), (&version, &same))?;
    Ok(Diagnosis { findings, upper, base })
}

fn compare(
    root: &RootDir,
    id: &ProfileId,
    old: (&BaseVersion, &ManifestFile),
    new: (&BaseVersion, &ManifestFile),
) -> Result<Look> {
    let begin = SystemTime::now();
    let upper = Upper::read(root, old.1, new.1)?;
    let (findings, plan_hash) = examined(&upper, id, old, new, &Decisions::default(), |trees, look| {
        let findings = check::findings(look)?;
        let plan_hash = plan_hash(&trees.names, trees.triples, trees.mine, &findings)?;
        Ok((findings, plan_hash))
    })?;
    Ok(Look { findings, plan_hash, begin, upper })
}

/// Asks something of the comparison that a check is made of.
pub fn examined<T>(
    upper: &Upper,
    id: &ProfileId,
    (base, old): (&BaseVersion, &ManifestFile),
    (candidate, new): (&BaseVersion, &ManifestFile),
    decided: &Decisions,
    ask: impl FnOnce(&Trees, &check::Look) -> Result<T>,
) -> Result<T> {
    let mine = Merged { upper, base: old };
    let exchanged = Merged { upper, base: new };
    let names = [format!("base {base}"), format!("profile {id}"), format!("base {candidate}")];
    let trees = Trees {
        triples: &upper.triples,
        old,
        mine: &mine,
        new,
        exchanged: &exchanged,
        names: [&names[0], &names[1], &names[2]],
        old_largest_inode: old.largest_inode,
        new_largest_inode: new.largest_inode,
        elf: &|path| elf::read(&upper.on_disk(path)),
        md5: &|path| object::md5(&upper.on_disk(path)),
        text_of: &|which, path| match which {
            From::OldBase => old.small_file(path, text_merge::LARGEST),
            From::NewBase => new.small_file(path, text_merge::LARGEST),
        },
        decided,
    };
    check::with_look(&trees, |look| ask(&trees, look))
}

/// Over both bases (sealed, so their names are enough), every path of the upper, the profile's package
/// database, and what was found: a file that is no base's is not hashed unless a finding asks for it.
pub fn plan_hash(
    names: &[&str],
    triples: &[Triple],
    mine: &dyn Tree,
    findings: &[Finding],
) -> Result<String> {
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name);
        hash.update([0]);
    }
    triples.iter().for_each(|triple| add(&mut hash, triple));
    let texts = Texts::read(mine)?;
    texts.all().for_each(|text| hash.update(text));
    hash.update(format!("{findings:?}"));
    Ok(hex(hash.finalize()))
}

fn add(hash: &mut Sha256, triple: &Triple) {
    hash.update(&triple.path);
    hash.update([0, u8::from(triple.opaque)]);
    if let Some(mine) = &triple.mine {
        let numbers = [mine.kind as u64, mine.mode.into(), mine.uid.into(), mine.gid.into(), mine.device];
        numbers.into_iter().chain(mine.size).for_each(|number| hash.update(number.to_le_bytes()));
        hash.update(mine.sha256.unwrap_or_default());
        hash.update(mine.target.as_deref().unwrap_or_default());
        mine.xattrs.iter().flatten().for_each(|(name, value)| hash.update([&name[..], value].concat()));
    }
}

fn hex(digest: impl IntoIterator<Item = u8>) -> String {
    digest.into_iter().map(|byte| format!("{byte:02x}")).collect()
}
