//! What an undo does for state/: it does not roll back, but what a removal or a purge took out of it
//! comes back where nothing is by now, and what stays under another version of its package is named.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::dpkg::file_list;
use crate::model::entry::{Back, Change};
use crate::model::error::Result;
use crate::model::layout::ProfileDir;
use crate::model::state_path::StatePath;
use crate::model::{Entry, EntryNumber, Kind};
use crate::policy::state::{self as policy, PutBack, Removal, Stays};
use crate::policy::undo::Plan;
use crate::system::state::{self, back, gone};
use crate::system::{files, roots, upper};

use super::report;
use super::session::{ProfileFacts, Session};

/// What an undo would do.
#[derive(Default)]
pub struct StateBack {
    pub put_back: PutBack,
    /// Beside each of `put_back.back`: how many files it is, and whether it is a directory.
    sizes: Vec<(usize, bool)>,
    stays: Vec<Stays>,
}

/// `changes` as the preview has them: from the state of then to that of now, for a redo the other way.
pub fn look(session: &Session, facts: &ProfileFacts, plan: &Plan, changes: &[Change]) -> Result<StateBack> {
    let Plan::Stage { kind, target, leaves, takes_back, .. } = plan else { return Ok(StateBack::default()) };
    let put_back = match *kind == Kind::Redo {
        true => PutBack::default(),
        false => gone_since(facts, takes_back)?,
    };
    let measure = |item: &Back| {
        let path = facts.dir.point_state(item.from).join(&item.path.0);
        Ok((back::files_in(&path)?, path.is_dir()))
    };
    let sizes = put_back.back.iter().map(measure).collect::<Result<_>>()?;
    let stays = staying(session, facts, *leaves, *target, &leaving(changes, kind))?;
    Ok(StateBack { put_back, sizes, stays })
}

/// The changes from what is left to what is taken.
fn leaving(changes: &[Change], kind: &Kind) -> Vec<Change> {
    let turned = |change: &Change| match *kind == Kind::Redo {
        true => change.clone(),
        false => Change { old: change.new.clone(), new: change.old.clone(), ..change.clone() },
    };
    changes.iter().map(turned).collect()
}

fn gone_since(facts: &ProfileFacts, takes_back: &[EntryNumber]) -> Result<PutBack> {
    let mut removals = Vec::new();
    let taken = facts.entries.iter().filter(|entry| takes_back.contains(&entry.number));
    for entry in taken.filter(|entry| facts.dir.point_state(entry.number).is_dir()) {
        removals.push(Removal { entry: entry.number, gone: gone_in(&facts.dir, entry)? });
    }
    let Some(oldest) = removals.first().map(|removal| facts.dir.point_state(removal.entry)) else {
        return Ok(PutBack::default());
    };
    let was_there = |path: &Path| oldest.join(path).symlink_metadata().is_ok();
    Ok(policy::put_back(&removals, was_there, |path| back::is_free(&facts.dir.state(), path)))
}

/// What the run itself wrote down; one that was cut could not, and then what is gone by now counts.
fn gone_in(dir: &ProfileDir, entry: &Entry) -> Result<Vec<crate::model::entry::Gone>> {
    match &entry.state_gone {
        Some(gone) => Ok(gone.clone()),
        None => gone::between(&dir.point_state(entry.number), &dir.state()),
    }
}

fn staying(
    session: &Session,
    facts: &ProfileFacts,
    leaves: EntryNumber,
    target: EntryNumber,
    changes: &[Change],
) -> Result<Vec<Stays>> {
    let paths = state::found(&facts.dir.state())?;
    let lists = [facts.dir.root(leaves), facts.dir.point(target)].map(|root| {
        let base =
            roots::base_of(&root).map(|version| session.pool.layout.base(&version)).unwrap_or_default();
        let info = Path::new("var/lib/dpkg/info");
        upper::files_in(&root, &base, info, b".list").unwrap_or_default()
    });
    let named_by = |package: &str, path: &StatePath| {
        let mut of_it = lists.iter().flatten().filter(|(name, _)| {
            file_list::package(name.as_encoded_bytes()).is_some_and(|name| name == package)
        });
        of_it.any(|(_, list)| {
            let text = files::read_if_there(list).ok().flatten().unwrap_or_default();
            let purged = policy::Purged { package: package.to_owned(), list: text, postrm: Vec::new() };
            !policy::purged(&[purged], std::slice::from_ref(path)).is_empty()
        })
    };
    Ok(policy::stays(changes, &paths, named_by))
}

impl StateBack {
    fn items(&self) -> impl Iterator<Item = (&Back, (usize, bool))> {
        self.put_back.back.iter().zip(self.sizes.iter().copied())
    }

    /// For the preview.
    pub fn show(&self) {
        for (item, (files, directory)) in self.items().take(10) {
            let what = if directory {
                format!(" ({})", report::count(files, "file", "files"))
            } else {
                String::new()
            };
            report::line(format_args!("  puts back /{}{what}", item.path.0.display()));
        }
        if self.put_back.back.len() > 10 {
            report::line(format_args!("  puts back {} more paths of state/", self.put_back.back.len() - 10));
        }
        for path in self.put_back.there_again.iter().take(10) {
            report::line(format_args!("  /{} is there again and stays as it is", path.display()));
        }
        self.stays.iter().for_each(|stays| report::line(format_args!("  {}", stays.sentence())));
    }

    pub fn json(&self) -> Value {
        let shown = |path: &PathBuf| format!("/{}", path.display());
        let back: Vec<_> = self
            .items()
            .map(|(item, (files, _))| json!({"path": shown(&item.path.0), "from": item.from, "files": files}))
            .collect();
        let stays = self.stays.iter().map(|s| {
            json!({"path": s.path.shown(), "package": s.package, "left_by": s.left_by, "becomes": s.becomes})
        });
        json!({
            "puts_back": back, "there_again": self.put_back.there_again.iter().map(shown).collect::<Vec<_>>(),
            "stays": stays.collect::<Vec<_>>(),
        })
    }

    /// Single files come back by themselves; whole directories when the person says so.
    pub fn confirmed(mut self, yes: bool) -> Vec<Back> {
        let whole: Vec<_> = self.items().filter(|(_, (files, directory))| *directory && *files > 0).collect();
        if whole.is_empty() {
            return self.put_back.back;
        }
        let names: Vec<_> = whole.iter().map(|(item, _)| format!("/{}", item.path.0.display())).collect();
        if report::confirm(&format!("put {} back too?", names.join(", ")), yes).is_ok() {
            return self.put_back.back;
        }
        let sizes = std::mem::take(&mut self.sizes);
        let kept = self.put_back.back.into_iter().zip(sizes).filter(|(_, (files, dir))| !dir || *files == 0);
        kept.map(|(item, _)| item).collect()
    }
}
