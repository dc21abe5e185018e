//! Where everything lies in a pool: pure path algebra, with one example above each accessor. The
//! pool is mounted by its top level (subvolid 5) in a private mount namespace, so every path here
//! begins with that mount point.

use std::path::{Path, PathBuf};

use super::id::{BaseVersion, EntryNumber, ProfileId};

/// The mount options of every overlay of ours. They are part of the on-disk format: a base may be
/// exchanged under an upper only if index, metacopy, redirect_dir and xino were never used on it
/// (kernel: Documentation/filesystems/overlayfs, "Changes to underlying filesystems"), and plain
/// `redirect_dir=off` means *follow* on Debian 12's kernel. noatime stands in the mount flags.
pub const OVERLAY_OPTIONS: &str = "index=off,metacopy=off,redirect_dir=nofollow,xino=off,nfs_export=off";

/// The inode floor of a production pool. Roots of profiles hold inode numbers at or above it, bases
/// only numbers below it, so overlayfs can never report two files as one (facts: `cp a b` said "are
/// the same file", and dpkg left obsolete files behind).
pub const DEFAULT_INODE_FLOOR: u64 = 1 << 20;

/// The directory of a run's own files inside a merged root, e.g. `/run/flipper/booted`.
pub const RUN_DIR: &str = "/run/flipper";

#[derive(Clone, Debug)]
pub struct Layout {
    top: PathBuf,
}

impl Layout {
    pub fn new(top: impl Into<PathBuf>) -> Self {
        Layout { top: top.into() }
    }

    /// `/run/flipper/pool/<uuid>`
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// `@base`
    pub fn bases(&self) -> PathBuf {
        self.top.join("@base")
    }

    /// `@base/13.2`
    pub fn base(&self, version: &BaseVersion) -> PathBuf {
        self.bases().join(version.as_str())
    }

    /// `@base/13.2.manifest`
    pub fn manifest(&self, version: &BaseVersion) -> PathBuf {
        self.bases().join(format!("{version}.manifest"))
    }

    /// `@base/.incoming`: what is being imported or received, one at a time
    pub fn incoming_base(&self) -> PathBuf {
        self.bases().join(".incoming")
    }

    /// `@base/current`, a symlink: the base new profiles stand on
    pub fn current_base(&self) -> PathBuf {
        self.bases().join("current")
    }

    /// `@base/good`, a symlink: the last base that proved itself; never pruned
    pub fn good_base(&self) -> PathBuf {
        self.bases().join("good")
    }

    /// `@base/lock`
    pub fn base_lock(&self) -> PathBuf {
        self.bases().join("lock")
    }

    /// `@profiles`
    pub fn profiles(&self) -> PathBuf {
        self.top.join("@profiles")
    }

    /// `@profiles/.template`: the subvolume every root descends from, its inode floor burnt
    pub fn template(&self) -> PathBuf {
        self.profiles().join(".template")
    }

    /// `@profiles/lab`
    pub fn profile(&self, id: &ProfileId) -> ProfileDir {
        ProfileDir { dir: self.profiles().join(id.as_str()) }
    }

    /// `@profiles/.new-lab`: a profile that is being made, not visible yet
    pub fn new_profile(&self, id: &ProfileId) -> ProfileDir {
        ProfileDir { dir: self.profiles().join(format!(".new-{id}")) }
    }

    /// `@profiles/.deleted-lab-57`: deleted by entry 57, kept until it is pruned
    pub fn deleted_profile(&self, id: &ProfileId, entry: EntryNumber) -> ProfileDir {
        ProfileDir { dir: self.profiles().join(format!(".deleted-{id}-{entry}")) }
    }

    /// `@profiles/.pruned-lab-57`: a deleted profile on its way out; nothing brings it back
    pub fn pruned_profile(&self, id: &ProfileId, entry: EntryNumber) -> ProfileDir {
        ProfileDir { dir: self.profiles().join(format!(".pruned-{id}-{entry}")) }
    }

    /// `@data`
    pub fn data(&self) -> PathBuf {
        self.top.join("@data")
    }

    /// `@data/home`
    pub fn home(&self) -> PathBuf {
        self.data().join("home")
    }

    /// `@data/shared`, a subvolume: what profiles have in common besides home, each path as in the profile
    pub fn shared(&self) -> PathBuf {
        self.data().join("shared")
    }

    /// `@data/identity`: the hostname and the ssh host keys of this device; only root may look into it
    pub fn identity(&self) -> PathBuf {
        self.data().join("identity")
    }

    /// `@journal`
    pub fn journal(&self) -> PathBuf {
        self.top.join("@journal")
    }

    /// `@journal/format`
    pub fn format(&self) -> PathBuf {
        self.journal().join("format")
    }

    /// `@journal/next`: the next entry number
    pub fn next(&self) -> PathBuf {
        self.journal().join("next")
    }

    /// `@journal/pool.conf`
    pub fn pool_conf(&self) -> PathBuf {
        self.journal().join("pool.conf")
    }

    /// `@journal/lock`: held for milliseconds, around a commit only
    pub fn journal_lock(&self) -> PathBuf {
        self.journal().join("lock")
    }

    /// `@journal/boot.lock`: who writes to the boot directory
    pub fn boot_lock(&self) -> PathBuf {
        self.journal().join("boot.lock")
    }

    /// `@journal/reserve`: room that is given back when the disk is full
    pub fn reserve(&self) -> PathBuf {
        self.journal().join("reserve")
    }

    /// `@journal/journal.db`
    pub fn index(&self) -> PathBuf {
        self.journal().join("journal.db")
    }

    /// `@journal/space.cache`: who holds what, as `space` last saw it
    pub fn space_cache(&self) -> PathBuf {
        self.journal().join("space.cache")
    }

    /// `@journal/entries`
    pub fn all_entries(&self) -> PathBuf {
        self.journal().join("entries")
    }

    /// `@journal/entries/lab`, or `@journal/entries/.pool` for entries of the pool itself
    pub fn entries(&self, profile: Option<&ProfileId>) -> PathBuf {
        self.all_entries().join(profile.map_or(".pool", ProfileId::as_str))
    }

    /// `@journal/entries/lab/57`: what an entry keeps beside its text, e.g. `saved/`
    pub fn papers(&self, profile: &ProfileId, entry: EntryNumber) -> PathBuf {
        self.entries(Some(profile)).join(entry.to_string())
    }

    /// `@journal/bin/0.1.0`
    pub fn programs(&self, version: &str) -> PathBuf {
        self.journal().join("bin").join(version)
    }
}

/// The directory of one profile, under whichever name it has at the moment.
#[derive(Clone, Debug)]
pub struct ProfileDir {
    dir: PathBuf,
}

impl ProfileDir {
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        ProfileDir { dir: dir.into() }
    }

    /// `@profiles/lab`
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// `@profiles/lab/profile.json`
    pub fn description(&self) -> PathBuf {
        self.dir.join("profile.json")
    }

    /// `@profiles/lab/lock`
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// `@profiles/lab/applied`: what of the device's identity its root was given last, `key=value`
    pub fn applied(&self) -> PathBuf {
        self.dir.join("applied")
    }

    /// `@profiles/lab/trial`: which state came up last, and which is being tried (`model/trial.rs`)
    pub fn trial(&self) -> PathBuf {
        self.dir.join("trial")
    }

    /// `@profiles/lab/ids`: account numbers ever given in this profile (`model/ledger.rs`)
    pub fn ids(&self) -> PathBuf {
        self.dir.join("ids")
    }

    /// `@profiles/lab/current`, a symlink to `roots/41`
    pub fn current(&self) -> PathBuf {
        self.dir.join("current")
    }

    /// `@profiles/lab/roots`
    pub fn roots(&self) -> PathBuf {
        self.dir.join("roots")
    }

    /// `@profiles/lab/roots/41`
    pub fn root(&self, number: EntryNumber) -> RootDir {
        RootDir { dir: self.roots().join(number.to_string()) }
    }

    /// `@profiles/lab/snapshots`
    pub fn snapshots(&self) -> PathBuf {
        self.dir.join("snapshots")
    }

    /// `@profiles/lab/snapshots/57`: the state before entry 57, laid out like a root
    pub fn point(&self, entry: EntryNumber) -> RootDir {
        RootDir { dir: self.snapshots().join(entry.to_string()) }
    }

    /// `@profiles/lab/snapshots/57.state`: state/ as it was then, where there is one
    pub fn point_state(&self, entry: EntryNumber) -> PathBuf {
        self.snapshots().join(format!("{entry}.state"))
    }

    /// `@profiles/lab/pristine`: the root as the profile was made, sealed; laid out like a root. Profiles
    /// of older programs have none.
    pub fn pristine(&self) -> RootDir {
        RootDir { dir: self.dir.join("pristine") }
    }

    /// `@profiles/lab/pristine.state`: state/ as the profile was made, sealed
    pub fn pristine_state(&self) -> PathBuf {
        self.dir.join("pristine.state")
    }

    /// `@profiles/lab/.state-57`: what becomes state/ once root 57 is current and nobody uses the one it
    /// replaced; afterwards for a moment the old state/
    pub fn next_state(&self, entry: EntryNumber) -> PathBuf {
        self.dir.join(format!(".state-{entry}"))
    }

    /// `@profiles/lab/.state-57.old`: the state/ that the one of root 57 took the place of, to be deleted
    pub fn old_state(&self, entry: EntryNumber) -> PathBuf {
        self.dir.join(format!(".state-{entry}.old"))
    }

    /// `@profiles/lab/.state-57.made`: what the sandbox of rebase 57 made of a copy of state/; merged into it
    /// before the next start
    pub fn made_state(&self, entry: EntryNumber) -> PathBuf {
        self.dir.join(format!(".state-{entry}.made"))
    }

    /// `@profiles/lab/state`
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }
}

/// One root (or a point, which looks the same and is read-only).
#[derive(Clone, Debug)]
pub struct RootDir {
    dir: PathBuf,
}

impl RootDir {
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        RootDir { dir: dir.into() }
    }

    /// `@profiles/lab/roots/41`: the subvolume
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// `@profiles/lab/roots/41/root`: the overlay's upperdir, mode 0755 because it becomes `/`
    pub fn upper(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// `@profiles/lab/roots/41/work`: the overlay's workdir, in the same subvolume or every copy-up fails
    pub fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// `@profiles/lab/roots/41/.floor`: the anchor that keeps the inode counter above the floor
    pub fn floor(&self) -> PathBuf {
        self.dir.join(".floor")
    }

    /// `@profiles/lab/roots/41/base`: a one-line file, read by the initramfs too
    pub fn fact(&self, fact: RootFact) -> PathBuf {
        self.dir.join(fact.file_name())
    }
}

/// The one-line files beside a root's upper. They roll back with the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootFact {
    /// The version of the base this root stands on.
    Base,
    /// Kernel arguments of this profile.
    Args,
    /// Device-tree overlays, names separated by blanks.
    Dtbo,
    /// More mounts, one fstab line each (the only fact that may have several lines).
    Mounts,
    /// The key of the kernel this root starts with, and the stamp of its files ([`super::kernel::KernelFact`]);
    /// empty until a boot directory is looked after.
    Kernel,
    /// The entry that made this root.
    Entry,
}

impl RootFact {
    pub const ALL: [RootFact; 6] =
        [Self::Base, Self::Args, Self::Dtbo, Self::Mounts, Self::Kernel, Self::Entry];

    pub fn file_name(self) -> &'static str {
        match self {
            RootFact::Base => "base",
            RootFact::Args => "args",
            RootFact::Dtbo => "dtbo",
            RootFact::Mounts => "mounts",
            RootFact::Kernel => "kernel",
            RootFact::Entry => "entry",
        }
    }
}
