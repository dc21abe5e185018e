//! What was installed for the Python of the old base, past the packages that say so (P14): modules below
//! /usr/local, virtual environments, and compiled modules of packages that do not name a version.

use std::collections::BTreeMap;

use crate::model::error::Result;
use crate::model::tree;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, Subject, readable};
use crate::policy::check::owners::Owned;
use crate::policy::check::territory::{self, Territory};

use super::changing::Changing;
use super::paths::Paths;

const PYTHON: &[u8] = b"usr/bin/python3";
const SHARED: &[u8] = b"usr/lib/python3/dist-packages/";

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let marks = |path: &[u8]| memchr::memmem::find(path, b"/python3").is_some();
    if !look.trees.triples.iter().any(|triple| marks(&triple.path)) {
        return Ok(());
    }
    let default = |mut paths: Paths| -> Result<Option<String>> {
        let real = paths.real(PYTHON)?.unwrap_or_default();
        let version = tree::name(&real).strip_prefix(b"python");
        Ok(version.map(readable).filter(|version| version.starts_with("3.")))
    };
    let Some(was) = default(Paths::of_the_profile(look))? else { return Ok(()) };
    let is = default(Paths::of_the_merge(look))?;
    if is.as_ref() == Some(&was) {
        return Ok(());
    }
    let changing = Changing::of(found);
    for (what, files) in groups(look, &was, &changing)? {
        found.push(finding(what, files, &was, is.as_deref()));
    }
    Ok(())
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// `usr/local/lib/python3.11`
    Modules(Vec<u8>),
    /// `opt/app/venv`
    Environment(Vec<u8>),
    Package(String),
    /// `usr/lib/python3/dist-packages/x`
    Unowned(Vec<u8>),
}

/// What was made for a Python, with the number of files.
fn groups(look: &Look, was: &str, changing: &Changing) -> Result<BTreeMap<What, usize>> {
    let (dir, tag) = (format!("/lib/python{was}/"), format!(".cpython-{}-", was.replace('.', "")));
    let mut groups = BTreeMap::new();
    let mut environments: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
    for (place, triple) in look.trees.triples.iter().enumerate() {
        let path = &triple.path[..];
        let is_file = triple.mine.as_ref().is_some_and(|mine| !mine.is_directory());
        let territory = territory::of(path);
        if !is_file || !matches!(territory, Territory::Files | Territory::Running) || !look.stays(place) {
            continue;
        }
        let what = if let Some(at) = memchr::memmem::find(path, dir.as_bytes()) {
            let prefix = &path[..at];
            if !environments.contains_key(prefix) {
                environments.insert(prefix.to_vec(), is_environment(look, prefix)?);
            }
            match prefix {
                _ if environments[prefix] => Some(What::Environment(prefix.to_vec())),
                b"usr/local" => Some(What::Modules(path[..at + dir.len() - 1].to_vec())),
                _ if prefix.ends_with(b"/.local") => Some(What::Modules(path[..at + dir.len() - 1].to_vec())),
                _ => None,
            }
        } else if path.starts_with(SHARED) && memchr::memmem::find(path, tag.as_bytes()).is_some() {
            compiled(look, place, changing)
        } else {
            None
        };
        if let Some(what) = what {
            *groups.entry(what).or_insert(0) += 1;
        }
    }
    Ok(groups)
}

/// A compiled module where modules for every version of Python 3 lie.
fn compiled(look: &Look, place: usize, changing: &Changing) -> Option<What> {
    let path = &look.trees.triples[place].path;
    match look.owned(place) {
        Owned::Kept => {
            let owner = look.owners.mine.of(place).next()?;
            (!changing.has(owner)).then(|| What::Package(owner.to_owned()))
        }
        Owned::Nobody => {
            let rest = &path[SHARED.len()..];
            let top = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            Some(What::Unowned(path[..SHARED.len() + top].to_vec()))
        }
        _ => None,
    }
}

/// A virtual environment over the system's Python (PEP 405).
fn is_environment(look: &Look, prefix: &[u8]) -> Result<bool> {
    let text = look.trees.mine.text(&[prefix, b"/pyvenv.cfg"].concat())?.unwrap_or_default();
    Ok(text.split(|b| *b == b'\n').any(|line| {
        let mut parts = line.splitn(2, |b| *b == b'=').map(<[u8]>::trim_ascii);
        parts.next() == Some(b"home") && matches!(parts.next(), Some(b"/usr/bin" | b"/bin"))
    }))
}

fn finding(what: What, files: usize, was: &str, is: Option<&str>) -> Finding {
    let keeps = "keeps it, and no Python of the candidate sees it";
    let decision = |path: &[u8]| Finding::path(Class::P14, Severity::Decision, path, keeps);
    let python = match is {
        Some(is) => format!("Python {is}"),
        None => "no Python".to_owned(),
    };
    let finding = match &what {
        What::Modules(path) | What::Unowned(path) => {
            decision(path).choice("install the same modules again afterwards: pip list shows them now")
        }
        What::Environment(path) => decision(path).choice(format!(
            "make it anew afterwards: python3 -m venv --clear /{}, and install into it again",
            readable(path)
        )),
        What::Package(name) => Finding::new(
            Class::P14,
            Severity::Blocker,
            Subject::Package(name.clone()),
            "upgrades it with apt from the candidate's sources; is refused where there is no such version or no \
             network",
        )
        .choice(format!("apt remove {name}, if nobody needs it")),
    };
    finding
        .seen("made for", format!("Python {was}"))
        .seen("candidate has", python)
        .seen("files", files.to_string())
}
