//! What a profile has besides its root: state/, what it shares with others, and its own list of both. Read
//! like everything of a pool from its files alone. A person sees neither a root nor a state/, but one laid
//! over the other: [`Profile::view`] is that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flipper_profiles::model::numbers::Bearers;
use flipper_profiles::model::state_path::{ASIDE, MARK, OF_THE_ROOT, UNMARKED};
use serde_json::Value;

use crate::facts::{Lines, Profile, Tree, lines, names};

/// The account that has another number on the next base (`moves.rs`).
const MOVED: &str = "moved";

/// A state/ or a copy of one: the paths that lie in it, whole, and what is in them. What only leads to one
/// is left out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Kept {
    pub paths: BTreeSet<PathBuf>,
    pub lines: Lines,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Data {
    pub state: Kept,
    /// What becomes state/ when nobody uses a root of the profile any more.
    pub next: Option<Kept>,
    /// `snapshots/57.state`
    pub copies: BTreeMap<u64, Kept>,
    /// The base whose accounts' numbers state/ bears, and `.state-57` beside it.
    pub bears: Option<String>,
    /// What profile.json says of state/ and of shared paths.
    pub listed: String,
    /// The listed paths that are there in `@data/shared`.
    shared: Kept,
}

/// What a person sees, without and within what undo leaves alone.
#[derive(PartialEq, Eq)]
pub struct View {
    pub root: Tree,
    pub data: Tree,
}

impl Data {
    /// `current`: the root whose state/ may wait.
    pub fn read(top: &Path, dir: &Path, current: u64) -> io::Result<Data> {
        let description: Value = serde_json::from_slice(&fs::read(dir.join("profile.json"))?)?;
        let paths = description["shared"].as_array().into_iter().flatten();
        let paths = paths.filter_map(|path| Some(PathBuf::from(path.as_str()?))).collect();
        let next = dir.join(format!(".state-{current}"));
        let mut copies = BTreeMap::new();
        for name in names(&dir.join("snapshots"))? {
            if let Some(number) = name.strip_suffix(".state").and_then(|number| number.parse().ok()) {
                copies.insert(number, Kept::read(&dir.join("snapshots").join(name))?);
            }
        }
        let (state, made) = (Kept::read(&dir.join("state"))?, dir.join(format!(".state-{current}.made")));
        let bearers = numbers(&dir.join("state"))?;
        let is_merged = bearers.as_ref().and_then(|b| b.merged).is_some_and(|n| n.get() == current);
        let next = match copies.get(&current) {
            _ if next.is_dir() => Some(Kept::read(&next)?),
            Some(before) if made.is_dir() && !is_merged => Some(merged(&state, before, &Kept::read(&made)?)),
            _ => None,
        };
        Ok(Data {
            state,
            next,
            copies,
            bears: bearers.map(|bearers| bearers.base),
            listed: format!("state {}, shared {}", description["state"], description["shared"]),
            shared: Kept::of(&top.join("@data/shared"), paths)?,
        })
    }

    /// state/ as it is when nobody uses a root.
    pub fn at_rest(&self) -> &Kept {
        self.next.as_ref().unwrap_or(&self.state)
    }

    /// Every path that is mounted over the root, once nobody uses it.
    pub fn covers(&self) -> BTreeSet<PathBuf> {
        self.at_rest().paths.iter().chain(&self.state.paths).chain(&self.shared.paths).cloned().collect()
    }
}

impl Kept {
    fn read(state: &Path) -> io::Result<Kept> {
        let mut paths = BTreeSet::new();
        find(state, Path::new(""), &mut paths)?;
        let mut kept = Kept::of(state, paths)?;
        if let Some(bearers) = numbers(state)? {
            kept.lines.values_mut().for_each(|line| *line = by_name(line, &bearers));
        }
        Ok(kept)
    }

    fn of(top: &Path, paths: BTreeSet<PathBuf>) -> io::Result<Kept> {
        let mut kept = Kept::default();
        for path in paths.into_iter().filter(|path| top.join(path).symlink_metadata().is_ok()) {
            let below = lines(&top.join(&path))?;
            // Joined to nothing, a path would end with a slash.
            let whole = |inside: PathBuf| match inside.as_os_str().is_empty() {
                true => path.clone(),
                false => path.join(inside),
            };
            let mut below: Lines = below.into_iter().map(|(inside, line)| (whole(inside), line)).collect();
            below.retain(|inside, _| !is_of_the_root(inside));
            kept.lines.extend(below);
            kept.paths.insert(path);
        }
        Ok(kept)
    }
}

/// Whose numbers a state/ says it bears.
fn numbers(state: &Path) -> io::Result<Option<Bearers>> {
    match fs::read(state.join(".numbers")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => Ok(serde_json::from_slice(&other?).ok()),
    }
}

/// What the sandbox of a rebase changed in its copy (`made`, made from `before`), where state/ is as it was.
fn merged(state: &Kept, before: &Kept, made: &Kept) -> Kept {
    let mut all = Kept { lines: state.lines.clone(), paths: &state.paths | &made.paths };
    for path in before.lines.keys().chain(made.lines.keys()) {
        let (was, is) = (before.lines.get(path), made.lines.get(path));
        if was == is || state.lines.get(path) != was {
            continue;
        }
        match is {
            Some(line) => drop(all.lines.insert(path.clone(), line.clone())),
            None => drop(all.lines.remove(path)),
        }
    }
    all
}

/// A state/ that is given other numbers is the same state/. `100644 850:850 ...` -> `100644 moved:moved ...`
fn by_name(line: &str, bearers: &Bearers) -> String {
    // Whoever has one number on both bases keeps it here: a state/ of before the first note has no names.
    let named = |number: &str, names: &BTreeMap<String, u32>| {
        let known = names.get(MOVED).is_some_and(|known| known.to_string() == number);
        if known { MOVED.to_owned() } else { number.to_owned() }
    };
    let mut words: Vec<String> = line.splitn(3, ' ').map(str::to_owned).collect();
    if let Some((user, group)) = words[1].split_once(':') {
        words[1] = format!("{}:{}", named(user, &bearers.users), named(group, &bearers.groups));
    }
    words.join(" ")
}

/// Directories that bear the mark; what is below one is part of it.
fn find(state: &Path, inside: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for item in fs::read_dir(state.join(inside))? {
        let item = item?;
        let path = inside.join(item.file_name());
        if path == Path::new(ASIDE) || !item.file_type()?.is_dir() {
            continue;
        }
        let before_marks = UNMARKED.iter().any(|unmarked| path == Path::new(unmarked));
        if before_marks || xattr::get(item.path(), MARK)?.is_some() {
            found.insert(path);
        } else {
            find(state, &path, found)?;
        }
    }
    Ok(())
}

fn is_of_the_root(inside: &Path) -> bool {
    OF_THE_ROOT.iter().any(|path| inside.starts_with(path))
}

impl Profile {
    /// As a person sees it with this state/. `covered`: what counts as data, for two views alike.
    pub fn view(&self, state: &Kept, covered: &BTreeSet<PathBuf>) -> View {
        let is_below = |inside: &Path, paths: &BTreeSet<PathBuf>| {
            !is_of_the_root(inside) && paths.iter().any(|path| inside.starts_with(path))
        };
        let mounted = state.paths.union(&self.data.shared.paths).cloned().collect();
        let mut all = self.tree.lines.clone();
        all.retain(|inside, _| !is_below(inside, &mounted));
        all.extend(state.lines.clone());
        all.extend(self.data.shared.lines.clone());
        let (data, root) = all.into_iter().partition(|(inside, _)| is_below(inside, covered));
        let of = |lines| Tree { base: self.tree.base.clone(), lines };
        View { root: of(root), data: of(data) }
    }
}

/// What must not be there any more when a profile has been recovered and nobody uses it.
pub fn left_aside(top: &Path, id: &str) -> io::Result<Option<String>> {
    let dir = top.join("@profiles").join(id);
    let mut left: Vec<String> = names(&dir)?.into_iter().filter(|name| name.starts_with(".state-")).collect();
    left.extend(names(&dir.join("state").join(ASIDE))?);
    half_copies(&top.join("@data/shared"), &mut left)?;
    Ok(left.into_iter().next())
}

/// `.music.57.new`
fn half_copies(dir: &Path, left: &mut Vec<String>) -> io::Result<()> {
    for name in names(dir)? {
        let path = dir.join(&name);
        if name.starts_with('.') && name.ends_with(".new") {
            left.push(name);
        } else if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            half_copies(&path, left)?;
        }
    }
    Ok(())
}
