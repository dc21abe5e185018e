//! `--keep`: what the present state hands on to the root an undo or a reset makes. Asked for by path or by
//! word, or offered by name on a terminal; carried before the pointer moves, and noted in the entry.

use std::path::{Path, PathBuf};

use crate::dpkg::shadow;
use crate::model::carried::{Keeps, SHADOW};
use crate::model::error::{Error, Result};
use crate::model::layout::RootDir;
use crate::model::own::Own;
use crate::model::reserved;
use crate::model::state_path::StatePath;
use crate::model::{Entry, Kind};
use crate::policy::own::ACCOUNTS;
use crate::policy::undo::Plan;
use crate::system::{files, putback, side_by_side, state, upper};

use super::session::{ProfileFacts, Session};
use super::undo_plan::State;
use super::{report, restore};

/// What was typed.
#[derive(Debug, Default)]
pub struct Asked {
    wifi: bool,
    passwords: bool,
    /// Relative to the merged root.
    paths: Vec<PathBuf>,
}

impl Asked {
    pub fn is_empty(&self) -> bool {
        !self.by_name() && self.paths.is_empty()
    }

    /// Something that has to be looked for.
    pub fn by_name(&self) -> bool {
        self.wifi || self.passwords
    }
}

/// What left state/ after the state that a plan returns to: there it has no place yet, and the files would
/// be gone with the root. Not where a link leads elsewhere by now.
pub fn left_state(facts: &ProfileFacts, plan: &Plan, states: &[State]) -> Result<Vec<PathBuf>> {
    let Plan::Stage { kind: Kind::Undo, target, .. } = plan else { return Ok(Vec::new()) };
    let later = facts.entries.iter().filter(|entry| entry.number >= *target);
    let mut left: Vec<PathBuf> = later.filter_map(Entry::state_removed).collect();
    let in_state = state::found(&facts.dir.state())?;
    let there = |path: &PathBuf| states.iter().all(|state| need_no_links_above(state, path).is_ok());
    left.retain(|path| !in_state.iter().any(|other| other.inside() == path) && there(path));
    Ok(left)
}

pub fn asked(typed: &[PathBuf], facts: &ProfileFacts) -> Result<Asked> {
    parse(typed, &state::found(&facts.dir.state())?)
}

/// `in_state`: what lies in state/, and so in no point.
fn parse(typed: &[PathBuf], in_state: &[StatePath]) -> Result<Asked> {
    let mut asked = Asked::default();
    for path in typed {
        match path.to_str() {
            Some("wifi") => asked.wifi = true,
            Some("passwords") => asked.passwords = true,
            _ => asked.paths.push(keepable(path, in_state)?),
        }
    }
    Ok(asked)
}

/// Relative to the merged root; refused where keeping it would tear apart what belongs together.
fn keepable(path: &Path, in_state: &[StatePath]) -> Result<PathBuf> {
    let refuse = |why: &str| Err(Error::NotKeepable { path: path.to_path_buf(), why: why.into() });
    let inside = match restore::inside_a_point(path, in_state) {
        Ok(inside) => inside,
        Err(why) => return refuse(&why),
    };
    if ACCOUNTS.iter().any(|file| inside.starts_with(file) || Path::new(file).starts_with(&inside)) {
        return refuse("accounts are no files: --keep passwords, or name what lies beside them");
    }
    if is_of_packages(&inside) {
        return refuse("packages made it: name what lies in it");
    }
    Ok(inside)
}

/// Does this directory hold files of packages by the thousand? Kept, they would no longer be those of the
/// database. `usr/local` and single files below are people's own.
fn is_of_packages(inside: &Path) -> bool {
    const PLACES: [&str; 18] = [
        "bin",
        "sbin",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "boot",
        "usr",
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/lib32",
        "usr/lib64",
        "usr/libexec",
        "usr/games",
        "usr/include",
        "usr/share",
        "usr/lib/modules",
    ];
    let shared = inside.parent() == Some(Path::new("usr/share"));
    let many = ["doc", "man", "locale", "icons", "perl5", "python3"];
    let of_share = shared && many.iter().any(|name| inside.ends_with(name));
    let triplet = inside.file_name().is_some_and(|name| name.to_string_lossy().contains("-linux-gnu"));
    let of_lib = triplet && matches!(inside.parent().and_then(Path::to_str), Some("usr/lib" | "lib"));
    PLACES.iter().any(|place| inside == Path::new(place)) || of_share || of_lib
}

/// What is kept: what was asked for, what [`left_state`], and on a terminal what the person says yes to.
pub fn choose(asked: &Asked, left: &[PathBuf], own: &Own, states: &[State], may_ask: bool) -> Result<Keeps> {
    let mut keeps = Keeps { paths: asked.paths.clone(), passwords: Vec::new() };
    keeps.paths.extend(left.iter().cloned());
    for path in &asked.paths {
        for state in states {
            need_no_links_above(state, path)?;
        }
    }
    for connection in &own.connections {
        let keep = asked.wifi || may_ask && report::ask(&format!("keep {}?", connection.name));
        keeps.paths.extend(keep.then(|| connection.path.clone()));
    }
    for account in &own.passwords {
        let keep =
            asked.passwords || may_ask && report::ask(&format!("keep the present password of {account}?"));
        keeps.passwords.extend(keep.then(|| account.clone()));
    }
    keeps.paths.sort();
    keeps.paths.dedup_by(|path, kept| path.starts_with(kept));
    Ok(keeps)
}

/// A link on the way would lead to other files then than now.
fn need_no_links_above(state: &State, inside: &Path) -> Result<()> {
    let above = inside.ancestors().skip(1).filter(|path| path.components().next().is_some());
    for dir in above {
        let found = upper::find(&state.root, &state.base, dir);
        if found.is_some_and(|path| path.is_symlink()) {
            let why = format!("/{} is a link: name the place it leads to", dir.display());
            return Err(Error::NotKeepable { path: Path::new("/").join(inside), why });
        }
    }
    Ok(())
}

/// Hands them on. `then`: the point of this very entry, the state that is left, at rest.
pub fn carry(
    session: &Session,
    facts: &ProfileFacts,
    keeps: &Keeps,
    then: &RootDir,
    root: &RootDir,
) -> Result<()> {
    if keeps.is_empty() {
        return Ok(());
    }
    side_by_side::with_both(&session.pool, &facts.dir, then, root, |then, now| {
        let mut count = putback::Count::default(); // one for all: it knows the links between them
        for path in &keeps.paths {
            putback::put_back(then, now, path, &mut count)?;
        }
        keep_passwords(then, now, &keeps.passwords)
    })?;
    files::sync_file_system(session.pool.layout.top())
}

fn keep_passwords(then: &Path, now: &Path, names: &[String]) -> Result<()> {
    let read = |root| files::read_real(root, Path::new(SHADOW));
    if names.is_empty() {
        return Ok(());
    }
    let (Some(present), Some(text)) = (read(then)?, read(now)?) else { return Ok(()) };
    let present = reserved::without(SHADOW, &present, b""); // the lock of a reserved account is no password
    putback::replace_text(&now.join(SHADOW), &shadow::with_passwords(&text, &present, names))
}

/// e.g. `keeps /etc/fstab, the password of anna`; None: nothing.
pub fn sentence(keeps: &Keeps) -> Option<String> {
    let paths = keeps.paths.iter().map(|path| format!("/{}", path.display()));
    let passwords = keeps.passwords.iter().map(|name| format!("the password of {name}"));
    let all: Vec<String> = paths.chain(passwords).collect();
    (!all.is_empty()).then(|| format!("keeps {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_paths() {
        let in_state = [StatePath::parse(Path::new("var/log")).unwrap()];
        let all =
            parse(&["wifi", "passwords", "/etc/fstab", "/srv/x y/"].map(PathBuf::from), &in_state).unwrap();
        assert!(all.wifi && all.passwords);
        assert_eq!(all.paths, [PathBuf::from("etc/fstab"), "srv/x y".into()]);
        let bad = [
            "etc/fstab",
            "/",
            "/etc",
            "/etc/shadow",
            "/etc/passwd",
            "/var",
            "/var/lib",
            "/var/lib/dpkg/status",
            "/usr",
            "/usr/bin",
            "/usr/lib/x86_64-linux-gnu",
            "/usr/share/doc",
            "/home/u/x",
            "/var/log/x",
            "/run/x",
            "/a/../etc",
            "wlan",
        ];
        for path in bad {
            assert!(parse(&[PathBuf::from(path)], &in_state).is_err(), "{path}");
        }
    }
}
