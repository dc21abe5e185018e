//! Brings state/ in line with what profile.json says, while nobody uses the root: what is listed and
//! not in state/ moves in, what is in state/ and not listed moves out.
//!
//! Each way is a copy aside, synced, then ONE rename; what it leaves behind goes after that. A cut before
//! the rename leaves everything where it was, and names aside that the next settling clears away; after
//! it, the rest is done again by the next settling.

use std::fs;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::model::error::{At, Error, Result};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::state_path::{OF_THE_ROOT, StatePath};

use super::copy::{Copy, Layers};
use super::{Mark, aside, found, is_in, is_marked, make_parents, mark, wanted};
use crate::system::{files, roots, upper};

/// One path that could not be brought where it belongs, or not be mounted. It stays where it was, whole.
pub struct Problem {
    /// None: what an earlier change left aside could not be removed.
    pub path: Option<StatePath>,
    pub error: Error,
}

/// A profile's state/ and the root it is settled with. The caller holds the profile's lock and has
/// claimed the root.
pub struct Settling<'a> {
    pub profile: &'a ProfileDir,
    pub root: &'a RootDir,
    pub base: &'a Path,
}

impl Settling<'_> {
    /// Everything. One path that fails stops no other.
    pub fn all(&self) -> Result<Vec<Problem>> {
        let left = self.remove_leftovers().err();
        let wanted = wanted(self.profile, self.root, self.base)?;
        let mut problems: Vec<_> = left.map(|error| Problem { path: None, error }).into_iter().collect();
        let mut note = |path: &StatePath, done: Result<()>| {
            problems.extend(done.err().map(|error| Problem { path: Some(path.clone()), error }));
        };
        for path in &wanted {
            if !is_in(&self.state(), path)? {
                note(path, self.move_in(path));
            } else if Mark::Came.is_on(&self.state().join(path.inside()))? {
                note(path, self.finish_in(path));
            }
        }
        for path in found(&self.state())? {
            // `var/cache/apt`, while `var/cache` could not be moved in over it.
            if !wanted.iter().any(|wanted| wanted.meets(&path)) {
                note(&path, self.move_out(&path));
            }
        }
        Ok(problems)
    }

    fn state(&self) -> PathBuf {
        self.profile.state()
    }

    fn remove_leftovers(&self) -> Result<()> {
        files::remove_tree_for_good(&self.out_aside())?;
        super::remove_leftovers(&self.state(), |_| true)
    }

    fn move_in(&self, path: &StatePath) -> Result<()> {
        match self.copy_in(path)? {
            true => self.place_in(path),
            false => Ok(()),
        }
    }

    /// The merged content of a path, aside in state/ and durable. False: the owner led the path
    /// elsewhere with a link, or made a file of it; then it is the owner's, and rolls back.
    pub fn copy_in(&self, path: &StatePath) -> Result<bool> {
        let Some(from) = self.merged(path.inside()) else { return Ok(false) };
        let new = aside(&self.state())?.join("new");
        files::remove_tree_for_good(&new)?;
        let of_the_root = of_the_root(path);
        let mut copy = Copy::new(&of_the_root);
        let old = self.state().join(path.inside());
        // What lies there without a mark holds state paths of before: what is in state/ counts.
        if old.is_dir() {
            copy.directory(&Layers::plain(&old), &new)?;
            copy.over = true;
        }
        copy.directory(&from, &new)?;
        mark(&new, Mark::Came)?;
        files::sync_file_system(&new)?;
        Ok(true)
    }

    /// Puts what [`Settling::copy_in`] made into its place, then empties the upper's.
    pub fn place_in(&self, path: &StatePath) -> Result<()> {
        let (state, new) = (self.state(), aside(&self.state())?.join("new"));
        let old = state.join(path.inside());
        make_parents(&state, path.inside(), &[&self.root.upper(), self.base])?;
        swap(&new, &old)?; // the visible moment
        files::sync_file_system(&state)?;
        files::remove_tree_for_good(&new)?;
        self.finish_in(path)
    }

    /// The upper has only the place of it from here on. Cut before the mark says so, it is done again.
    fn finish_in(&self, path: &StatePath) -> Result<()> {
        make_mount_point(self.root, self.base, path)?;
        self.empty_upper(path)?;
        files::sync_file_system(self.root.path())?;
        mark(&self.state().join(path.inside()), Mark::Whole)
    }

    fn move_out(&self, path: &StatePath) -> Result<()> {
        self.copy_out(path)?;
        self.place_out(path)
    }

    /// The content of state/ at a path, aside in the root and durable: with all that the base must not
    /// show through it.
    pub fn copy_out(&self, path: &StatePath) -> Result<()> {
        let (from, new) = (self.state().join(path.inside()), self.out_aside());
        if self.merged(path.inside()).is_none() {
            let why = format!("{} is, or lies behind, a link or a file", path.shown());
            return Err(Error::Damaged { what: self.root.upper().join(path.inside()), why });
        }
        files::remove_tree_for_good(&new)?;
        let of_the_root = of_the_root(path);
        Copy::new(&of_the_root).directory(&Layers::plain(&from), &new)?;
        for inside in &of_the_root {
            if let Some(layers) = self.merged(&path.inside().join(inside)).filter(Layers::is_there) {
                files::remove_tree_for_good(&new.join(inside))?;
                Copy::new(&[]).directory(&layers, &new.join(inside))?;
            }
        }
        if self.base.join(path.inside()).symlink_metadata().is_ok() {
            xattr::set(&new, "trusted.overlay.opaque", b"y").at("write attributes of", &new)?;
        }
        files::sync_file_system(&new)
    }

    /// Puts what [`Settling::copy_out`] made into the upper, then state/'s goes.
    pub fn place_out(&self, path: &StatePath) -> Result<()> {
        let (state, upper, new) = (self.state(), self.root.upper(), self.out_aside());
        roots::make_parents(&upper, &[self.base], path.inside())?;
        let target = upper.join(path.inside());
        if target.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            files::remove_tree_for_good(&target)?; // a whiteout
        }
        swap(&new, &target)?; // what the merged root shows from here on, once state/'s is gone
        files::sync_file_system(&upper)?;
        let gone = aside(&state)?.join("gone");
        files::remove_tree_for_good(&gone)?;
        let old = state.join(path.inside());
        files::allow_removal(&old)?; // its content is in the root by now
        fs::rename(&old, &gone).at("rename to", &gone)?; // the visible moment
        files::sync_file_system(&state)?;
        files::remove_tree_for_good(&gone)?;
        files::remove_tree_for_good(&new)?;
        remove_empty_parents(&state, path.inside())
    }

    /// `roots/41/.state-out`: in the root's subvolume, so that a rename leads into its upper.
    fn out_aside(&self) -> PathBuf {
        self.root.path().join(".state-out")
    }

    /// The layers of a merged directory; without any where nothing is there; None where it is no
    /// directory or lies behind a link.
    fn merged(&self, inside: &Path) -> Option<Layers> {
        let mut above = PathBuf::new();
        for part in inside.components() {
            above.push(part);
            let seen = upper::find(self.root, self.base, &above);
            match seen.map(|path| path.symlink_metadata()) {
                None => return Some(Layers::default()),
                Some(Ok(meta)) if meta.is_dir() => {}
                Some(_) => return None,
            }
        }
        let (upper, base) = upper::directories(self.root, self.base, inside);
        Some(Layers { upper, base: base.filter(|_| files::is_real_directory(self.base, inside)) })
    }

    /// What lies in the upper below a path that is in state/ is seen by nobody. The directory itself
    /// stays: it is what is mounted on.
    fn empty_upper(&self, path: &StatePath) -> Result<()> {
        let dir = self.root.upper().join(path.inside());
        if !files::is_real_directory(&self.root.upper(), path.inside()) {
            return Ok(());
        }
        let of_the_root = of_the_root(path);
        for name in files::names(&dir)? {
            if !of_the_root.iter().any(|inside| inside.starts_with(&name)) {
                files::remove_tree_for_good(&dir.join(name))?;
            }
        }
        Ok(())
    }
}

/// A path of a profile that is being made, with what the base has there.
pub fn fill_new(base: &Path, state: &Path, path: &StatePath) -> Result<()> {
    make_parents(state, path.inside(), &[base])?;
    let from = match files::is_real_directory(base, path.inside()) {
        true => Layers::plain(&base.join(path.inside())),
        false => Layers::default(),
    };
    let to = state.join(path.inside());
    Copy::new(&of_the_root(path)).directory(&from, &to)?;
    mark(&to, Mark::Whole)
}

/// An empty directory for a path whose package is about to come, as the root has it if it does. Without
/// the mark: until it is mounted, what the package writes goes into the root, and must not be covered.
pub fn make_empty(state: &Path, path: &StatePath, pattern: &Path) -> Result<()> {
    make_parents(state, path.inside(), &[Path::new("/")])?;
    let place = state.join(path.inside());
    files::make_dir(&place, 0o755)?;
    if pattern.is_dir() { files::copy_attributes(pattern, &place) } else { Ok(()) }
}

/// The directory a path is mounted on, in the upper where the base has none, so that the merged tree does
/// not become another with the first start. Not where something else is in its place.
pub fn make_mount_point(root: &RootDir, base: &Path, path: &StatePath) -> Result<()> {
    for inside in std::iter::once(path.inside().to_path_buf()).chain(of_the_root_whole(path)) {
        if upper::find(root, base, &inside).is_some() || behind_something(root, base, &inside) {
            continue;
        }
        roots::make_parents(&root.upper(), &[base], &inside)?;
        let dir = root.upper().join(&inside);
        files::remove_tree_for_good(&dir)?; // a whiteout
        files::make_dir(&dir, 0o755)?;
    }
    Ok(())
}

fn behind_something(root: &RootDir, base: &Path, inside: &Path) -> bool {
    let mut above = inside.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty());
    above.any(|path| {
        upper::find(root, base, path).is_some_and(|p| !p.symlink_metadata().is_ok_and(|m| m.is_dir()))
    })
}

/// What belongs to the root inside a state path, relative to it: `debconf` for `var/cache`.
pub fn of_the_root(path: &StatePath) -> Vec<PathBuf> {
    let below = OF_THE_ROOT.iter().filter_map(|inside| Path::new(inside).strip_prefix(path.inside()).ok());
    below.map(Path::to_path_buf).collect()
}

/// The same, relative to the merged root.
pub fn of_the_root_whole(path: &StatePath) -> Vec<PathBuf> {
    of_the_root(path).into_iter().map(|inside| path.inside().join(inside)).collect()
}

/// Gives `new` the name of `old` with one rename; what had it lies at `new` then.
fn swap(new: &Path, old: &Path) -> Result<()> {
    if old.symlink_metadata().is_err() {
        return fs::rename(new, old).at("rename to", old);
    }
    renameat2(AT_FDCWD, new, AT_FDCWD, old, RenameFlags::RENAME_EXCHANGE).at("exchange with", old)
}

/// Directories that only led to a path that is gone.
fn remove_empty_parents(state: &Path, inside: &Path) -> Result<()> {
    for above in inside.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()) {
        let dir = state.join(above);
        if is_marked(&dir)? || fs::remove_dir(&dir).is_err() {
            break;
        }
    }
    Ok(())
}
