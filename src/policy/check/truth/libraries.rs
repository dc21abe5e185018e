//! Libraries that would be missing (P12): what the files that stay need, held against what the merge shows.
//! What was missing in the profile already is not the candidate's doing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::elf::{Abi, Elf, Reading};
use crate::model::error::Result;
use crate::model::tree::{self, Object};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, Subject, readable};
use crate::policy::check::territory::{self, Territory};

use super::changing::Changing;
use super::linker;
use super::paths::{Found, Paths, join};

/// Files that are named of those that need a library.
const NAMED: usize = 3;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let users = users(look)?;
    if users.is_empty() {
        return Ok(());
    }
    let configured = linker::configured(look.trees.exchanged)?;
    let merge = View::new(look, Paths::of_the_merge(look), configured);
    let unmet = merge.unmet(&users, wanted(&users))?;
    if unmet.is_empty() {
        return Ok(());
    }
    let mut before = View::new(look, Paths::of_the_profile(look), linker::configured(look.trees.mine)?);
    let mut missing: BTreeMap<&[u8], (Vec<u8>, BTreeSet<usize>)> = BTreeMap::new();
    for (at, name) in unmet {
        if let Some(was) = before.library(&users[at], name)? {
            missing.entry(name).or_insert_with(|| (was.path, BTreeSet::new())).1.insert(at);
        }
    }
    let changing = Changing::of(found);
    for (name, (was, by)) in missing {
        found.push(finding(look, name, &was, by.iter().map(|at| &users[*at]).collect(), &changing));
    }
    Ok(())
}

/// What files of the upper do not find in the profile as it is: file and library.
pub fn missing(look: &Look) -> Result<BTreeSet<(Vec<u8>, Vec<u8>)>> {
    let users = users(look)?;
    let configured = linker::configured(look.trees.mine)?;
    let unmet = View::new(look, Paths::of_the_profile(look), configured).unmet(&users, wanted(&users))?;
    Ok(unmet.into_iter().map(|(at, name)| (users[at].path.to_vec(), name.to_vec())).collect())
}

/// A file of the upper that asks something of the dynamic linker.
struct User<'a> {
    place: usize,
    path: &'a [u8],
    elf: Elf,
}

fn users<'a>(look: &Look<'a>) -> Result<Vec<User<'a>>> {
    let mut users = Vec::new();
    for (place, triple) in look.trees.triples.iter().enumerate() {
        let Some(mine) = triple.mine.as_deref().filter(|mine| can_be_elf(&triple.path, mine)) else {
            continue;
        };
        if mine.size.is_some_and(|size| size < 64) || !look.stays(place) {
            continue;
        }
        // A file in use may be gone by now; whether it can be read at all is told elsewhere.
        if let Ok(Reading::Elf(elf)) = (look.trees.elf)(&triple.path) {
            if !elf.needed.is_empty() || elf.interpreter.is_some() {
                users.push(User { place, path: &triple.path, elf });
            }
        }
    }
    Ok(users)
}

/// Without reading it: something that runs, or is linked, where it is run.
fn can_be_elf(path: &[u8], object: &Object) -> bool {
    let of_people = path.starts_with(b"root/") || path.starts_with(b"home/");
    object.is_file()
        && (object.mode & 0o111 != 0 || memchr::memmem::find(tree::name(path), b".so").is_some())
        && (territory::of(path) == Territory::Files || of_people)
}

/// Each library once for each kind of file, with who needs it, in the order of its name: the manifests are
/// asked in their own order.
type Wanted<'u> = BTreeMap<(Abi, &'u [u8]), Vec<usize>>;

fn wanted<'u>(users: &'u [User]) -> Wanted<'u> {
    let mut wanted = Wanted::new();
    for (at, user) in users.iter().enumerate() {
        for name in user.elf.needed.iter().chain(&user.elf.interpreter) {
            wanted.entry((user.elf.abi, name)).or_default().push(at);
        }
    }
    wanted
}

/// A tree as the linker sees it.
struct View<'l> {
    look: &'l Look<'l>,
    paths: Paths<'l>,
    configured: Vec<Vec<u8>>,
    common: BTreeMap<Abi, Vec<Vec<u8>>>,
}

impl<'l> View<'l> {
    fn new(look: &'l Look<'l>, paths: Paths<'l>, configured: Vec<Vec<u8>>) -> View<'l> {
        View { look, paths, configured, common: BTreeMap::new() }
    }

    /// What no file of the tree meets: user and library.
    fn unmet<'u>(mut self, users: &'u [User], mut wanted: Wanted<'u>) -> Result<Vec<(usize, &'u [u8])>> {
        let abis: BTreeSet<Abi> = wanted.keys().map(|(abi, _)| *abi).collect();
        for abi in abis {
            for dir in self.common(abi)? {
                let mut met = Vec::new();
                for (key, _) in wanted.range((abi, &b""[..])..).take_while(|((of, _), _)| *of == abi) {
                    if !key.1.contains(&b'/') && self.fits(&join(&dir, key.1), abi)?.is_some() {
                        met.push(*key);
                    }
                }
                met.iter().for_each(|key| drop(wanted.remove(key)));
            }
        }
        let mut unmet = Vec::new();
        for ((_, name), by) in wanted {
            for at in by {
                if self.library(&users[at], name)?.is_none() {
                    unmet.push((at, name));
                }
            }
        }
        Ok(unmet)
    }

    /// What the linker would take for a library a file needs.
    fn library(&mut self, user: &User, name: &[u8]) -> Result<Option<Found>> {
        let abi = user.elf.abi;
        if name.contains(&b'/') {
            return self.paths.file(name);
        }
        let mut dirs = linker::private(&user.elf, user.path);
        dirs.extend(self.common(abi)?);
        for dir in dirs {
            if let Some(found) = self.fits(&join(&dir, name), abi)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn common(&mut self, abi: Abi) -> Result<Vec<Vec<u8>>> {
        if !self.common.contains_key(&abi) {
            let dirs = linker::common(&mut self.paths, &self.configured, abi)?;
            self.common.insert(abi, dirs);
        }
        Ok(self.common[&abi].clone())
    }

    /// A file of the base can only be judged by where it lies; one of the upper is read.
    fn fits(&mut self, path: &[u8], abi: Abi) -> Result<Option<Found>> {
        let found = self.paths.file(path)?;
        Ok(found.filter(|found| match found.is_mine {
            true => !matches!((self.look.trees.elf)(&found.path), Ok(Reading::Elf(elf)) if elf.abi != abi),
            false => true,
        }))
    }
}

fn finding(look: &Look, name: &[u8], was: &[u8], by: Vec<&User>, changing: &Changing) -> Finding {
    let changes = |user: &&User| look.owners.mine.of(user.place).any(|stem| changing.has(stem));
    let (left, upgraded): (Vec<&User>, Vec<&User>) = by.iter().partition(|user| !changes(user));
    let named = if left.is_empty() { &upgraded } else { &left };
    let files: Vec<String> =
        named.iter().take(NAMED).map(|user| format!("/{}", readable(user.path))).collect();
    let (severity, rebase) = match left.is_empty() {
        true => (Severity::Automatic, "upgrades the packages whose files need it (P11)"),
        false => (Severity::Blocker, "is refused: these files could not be run any more"),
    };
    let was = readable(was);
    let finding = Finding::new(Class::P12, severity, Subject::Named(readable(name)), rebase)
        .seen("files that need it", by.len().to_string())
        .seen("among them", files.join(", "))
        .seen("it is in the base as", format!("/{was}"));
    match left.is_empty() {
        true => finding,
        false => finding
            .choice(format!("keep a copy of the library: cp /{was} /usr/local/lib/{}", readable(name)))
            .choice("remove these files, or get them made for the candidate"),
    }
}
