//! `flipper-profile check [ID] [--base CANDIDATE]`: what a candidate base would do to a profile.

use sha2::{Digest, Sha256};

use crate::model::error::{Error, Exit, Result};
use crate::model::layout::RootDir;
use crate::model::tree::{Tree, Triple};
use crate::model::{BaseVersion, ProfileId};
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Verdict};
use crate::policy::check::side::Texts;
use crate::policy::check::{self, Trees};
use crate::system::layers::{Merged, Upper};
use crate::system::manifest::ManifestFile;
use crate::system::{btrfs, elf, object, roots};

use super::cli::{self, Common};
use super::report;
use super::session::Session;

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
    /// Times a profile in use may change under the look before it is told as it is.
    const LOOKS: usize = 3;
    let layout = &session.pool.layout;
    let dir = session.need_profile(id)?;
    let root = dir.root(roots::current(&dir)?);
    let base = roots::base_of(&root)?;
    let candidate = candidate.unwrap_or_else(|| base.clone());
    let open = |version: &BaseVersion| match layout.manifest(version).is_file() {
        true => ManifestFile::open(layout, version),
        false => Err(Error::NoSuchBase { version: version.clone() }),
    };
    let (old, new) = (open(&base)?, open(&candidate)?);
    let mut looks = 0;
    loop {
        looks += 1;
        let before = btrfs::generation(root.path())?;
        let (findings, plan_hash) = compare(&root, id, (&base, &old), (&candidate, &new))?;
        if btrfs::generation(root.path())? == before || looks == LOOKS {
            let profile = id.clone();
            return Ok(Checked { profile, base, candidate, findings, plan_hash });
        }
    }
}

fn compare(
    root: &RootDir,
    id: &ProfileId,
    (base, old): (&BaseVersion, &ManifestFile),
    (candidate, new): (&BaseVersion, &ManifestFile),
) -> Result<(Vec<Finding>, String)> {
    let upper = Upper::read(root, old, new)?;
    let mine = Merged { upper: &upper, base: old };
    let exchanged = Merged { upper: &upper, base: new };
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
    };
    let hash = plan_hash(&names, &upper.triples, &mine)?;
    Ok((check::check(&trees)?, hash))
}

/// Over both bases (sealed, so their names are enough), every path of the upper, and the profile's
/// package database.
fn plan_hash(names: &[String], triples: &[Triple], mine: &dyn Tree) -> Result<String> {
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name);
        hash.update([0]);
    }
    for triple in triples {
        hash.update(&triple.path);
        hash.update(format!("\0{:?}\0", (&triple.mine, triple.opaque, &triple.marks)));
    }
    let texts = Texts::read(mine)?;
    hash.update(format!("{texts:?}"));
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
