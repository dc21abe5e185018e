//! The proof, before the pointer moves: what dpkg, apt and the files themselves say of the new root.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::commands::check::examined;
use crate::commands::session::ProfileFacts;
use crate::dpkg::extended_states::ExtendedStates;
use crate::dpkg::{file_list, verify};
use crate::model::error::{Error, Result};
use crate::model::layout::RootDir;
use crate::policy::check::decided::Decisions;
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::truth::libraries;
use crate::policy::check::{self, Look};
use crate::system::layers::Upper;

use super::solve::Ended;
use super::{Bases, Planned};

pub struct Proof<'a> {
    pub facts: &'a ProfileFacts,
    pub bases: &'a Bases,
    pub planned: &'a Planned,
    pub root: &'a RootDir,
}

/// What the new root is, compared with the base it stands on.
struct Seen {
    findings: Vec<Finding>,
    lacks: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// Name and version of what is installed.
    installed: BTreeMap<String, BTreeSet<String>>,
    /// Paths that are not as a package of the base has them, in the base itself: whoever built it did that.
    of_the_base: BTreeSet<Vec<u8>>,
}

impl Proof<'_> {
    /// The first thing that does not hold refuses it.
    pub fn of(&self, ended: &Ended) -> Result<()> {
        self.solved(ended)?;
        let names = verify::parse(&ended.verify).map_err(|e| self.fails(&format!("dpkg --verify: {e}")))?;
        let seen = self.look(&names)?;
        self.verified(&names, &seen)?;
        self.closed(&seen)?;
        self.complete(&seen)
    }

    fn fails(&self, why: &str) -> Error {
        Error::NotProved { profile: self.facts.id.clone(), base: self.bases.to.clone(), why: why.to_owned() }
    }

    fn solved(&self, ended: &Ended) -> Result<()> {
        let why = match (ended.status, &*ended.step) {
            (0, "done") => return self.quiet(ended),
            (_, "update") => "packages are needed, and the package lists could not be fetched",
            (_, "fix") => "apt cannot close the dependencies over that base",
            (_, "upgrade") => "apt cannot bring the packages to that release",
            (_, "triggers") => "dpkg could not finish what is to be made anew",
            _ => "the sandbox did not come to its end",
        };
        Err(self.fails(why))
    }

    /// I1, I2: dpkg and apt find nothing wrong.
    fn quiet(&self, ended: &Ended) -> Result<()> {
        if let Some(line) = ended.audit.lines().next() {
            return Err(self.fails(&format!("dpkg --audit: {line}")));
        }
        match ended.check.lines().find(|line| line.starts_with("E: ")) {
            Some(line) => Err(self.fails(&format!("apt-get check: {line}"))),
            None => Ok(()),
        }
    }

    fn look(&self, names: &[verify::Line]) -> Result<Seen> {
        let upper = Upper::read(self.root, &self.bases.new, &self.bases.new)?;
        let base = (&self.bases.to, &self.bases.new);
        examined(&upper, &self.facts.id, base, base, &Decisions::default(), |_, look| {
            let mut installed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for package in look.mine.status.packages.iter().filter(|package| package.state.has_files()) {
                let versions = installed.entry(package.name.to_owned()).or_default();
                versions.insert(package.version.unwrap_or_default().to_owned());
            }
            let of_the_base = of_the_base(look, names)?;
            Ok(Seen {
                findings: check::findings(look)?,
                lacks: libraries::missing(look)?,
                installed,
                of_the_base,
            })
        })
    }

    /// I3: dpkg --verify names the person's changes, and nothing else.
    fn verified(&self, names: &[verify::Line], seen: &Seen) -> Result<()> {
        let known = |path: &Vec<u8>| self.planned.plan.keeps(path) || seen.of_the_base.contains(path);
        let others = names.iter().map(|line| check::canonical(line.path)).filter(|path| !known(path));
        let others: Vec<String> = others.map(|path| format!("/{}", readable(&path))).collect();
        match others.as_slice() {
            [] => Ok(()),
            [first, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
                Err(self.fails(&format!("dpkg --verify names what nobody changed: {first}{more}")))
            }
        }
    }

    /// I6, I7, I10: nothing hides the base by accident, every program finds its libraries, no number twice.
    fn closed(&self, seen: &Seen) -> Result<()> {
        if let Some(finding) = seen.findings.iter().find(|finding| finding.severity == Severity::Blocker) {
            return Err(self.fails(&format!(
                "{} {}: {}",
                finding.class,
                finding.subject.text(),
                finding.class.title()
            )));
        }
        match seen.lacks.difference(&self.planned.lacks).next() {
            Some((path, name)) => {
                Err(self.fails(&format!("/{} does not find {}", readable(path), readable(name))))
            }
            None => Ok(()),
        }
    }

    /// I4, P22: the base's packages are as the base has them, and what was asked for is there.
    fn complete(&self, seen: &Seen) -> Result<()> {
        if let Some(lost) = self.planned.wanted.iter().find(|name| !seen.installed.contains_key(*name)) {
            return Err(self.fails(&format!("{lost} would not be installed any more")));
        }
        Ok(())
    }
}

/// Of what dpkg names: what nothing in the upper is about, neither the path nor what dpkg goes by there.
fn of_the_base(look: &Look, names: &[verify::Line]) -> Result<BTreeSet<Vec<u8>>> {
    const INFO: &[u8] = b"var/lib/dpkg/info";
    let untouched = |path: &[u8]| look.triple(path).is_none() && !look.is_hidden(path);
    let named = names.iter().map(|line| check::canonical(line.path));
    let named: HashMap<Vec<u8>, ()> = named.filter(|path| untouched(path)).map(|path| (path, ())).collect();
    let mut found = BTreeSet::new();
    if named.is_empty() {
        return Ok(found);
    }
    look.trees.new.texts(INFO, b".list", &mut |list, text| {
        let sums = [list.strip_suffix(b".list").unwrap_or(list), b".md5sums"].concat();
        if untouched(list) && untouched(&sums) {
            file_list::find(text, &named, |_, path, ()| {
                found.insert(path.to_vec());
            });
        }
    })?;
    Ok(found)
}

/// Packages the person asked for, that the old base did not have.
pub fn asked_for(look: &Look) -> Result<BTreeSet<String>> {
    const MARKS: &[u8] = b"var/lib/apt/extended_states";
    let states = ExtendedStates::parse(&look.mine.texts.extended_states);
    let states = states.map_err(|error| look.mine.damaged(MARKS, error))?;
    let installed = look.mine.status.packages.iter().filter(|package| package.state.has_files());
    let own = installed.filter(|package| !look.old.named(package.name).any(|old| old.state.has_files()));
    let asked = own.filter(|package| !states.is_auto(package.name, package.architecture));
    Ok(asked.map(|package| package.name.to_owned()).collect())
}
