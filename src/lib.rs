//! flipper-profiles: rollback and profiles for a Debian device.
//!
//! A profile is an overlayfs upper in a btrfs subvolume over a read-only Debian base. apt and dpkg
//! work in it unmodified; every package run is snapshotted before and journalled after; flipper-undo
//! takes the last change back by moving a pointer.
//!
//! ```text
//!  argv, clock, terminal          facts in, plan out          bytes in, data out
//!  +------------------+           +----------+               +------+
//!  | commands         | --------> | policy   | ------------> | dpkg |
//!  | stories, report  | --+       +----------+               +------+
//!  +------------------+   |            |
//!                         |            v
//!                         |       +----------+
//!                         |       | model    |  words: ids, layout, entries, errors
//!                         |       +----------+
//!                         |            ^
//!                         |       +----------+
//!                         +-----> | system   |  effects: btrfs, pool, journal, mounts, locks, run
//!                                 +----------+
//! ```
//! policy and system never meet; dpkg and model know nothing of ours. tests/architecture.rs holds
//! every `use crate::` against this picture.
//!
//! Where to begin: `commands/undo.rs` (the story), `policy/undo.rs` (what a plan is),
//! `commands/stage.rs` (the order in which it is done, and the one moment that counts),
//! `system/guard.rs` (what the kernel does not guard), `system/journal.rs` (what is the truth),
//! `system/changed/mod.rs` (what is different between two states, and how btrfs knows),
//! `system/receive.rs` (a stream from outside, and what it can reach),
//! `policy/closure.rs` (whether a set of packages holds together, by whose rules),
//! `policy/check/mod.rs` (what a candidate base would do to a profile), `policy/mend/mod.rs` (what a repair
//! changes without anybody seeing it), `policy/rebase/mod.rs` (the edits that put a profile on another base)
//! `commands/rebase/prove.rs` (what must hold before that counts) and `commands/assemble.rs` (what the initramfs
//! calls; `initramfs/scripts/flipper` is the story around it), `commands/boot_files.rs` (what the loader reads).
//!
//! Where this differs from the design it was built from, and why:
//! - an open entry is `57.open.json`, a closed one `57.json`: closing makes a new name, so a torn file
//!   can never replace a good one, and open entries are found by reading one directory;
//! - the pool is mounted at `/run/flipper/pool/<uuid>`: mountinfo shows an overlay's directories as
//!   they were named, and two pools may both have a profile `lab`;
//! - whether an upper is in use is asked of the kernel too, by a mount that cannot succeed
//!   (`system/guard.rs`): it knows of overlays that are in no mountinfo any more;
//! - a package run counts as empty when the status file is the very inode it was, updates/ is empty
//!   and a cut left no status-new or tmp.ci, whatever apt had planned: dpkg notes what it begins in
//!   updates/ before it runs the first script (seen with dpkg 1.21 and 1.22), and Debug::pkgDPkgPM plans
//!   much and does nothing;
//! - before the point the entry alone is synced (its name goes with the snapshot's commit), and a sync of
//!   the file system before that keeps what others renamed without one from being torn in the point;
//! - the index is written by a child beside apt (`flipper-profile journal refresh`): nobody waits for it;
//! - what a plain dpkg was to do is read from its words: no apt says it, and a failed `dpkg -i` would
//!   be called completed;
//! - apt's first hook leaves its driver's number in `/run/flipper/package-run`: dpkg's own hooks are for
//!   every dpkg that is not below that process, also where dpkg's lock is held for it;
//! - the index uses exclusive locking, without the shared-memory file: on a full disk its mapping
//!   ends a program with SIGBUS;
//! - what changed between siblings is asked of tree searches too, not of a send stream: the transaction
//!   where their lines part is known from the snapshots' parents, and roots in use can be asked as well;
//! - `mount` shows the bare merged tree, what undo takes back; home and state/ are mounted by `run`;
//! - where a newer program writes the journal, an undo leaves no entry: its number is taken by the point
//!   and the root that bear it (`commands/bare.rs`), and btrfs knows the rest (`commands/found.rs`);
//! - a cancel is an entry too, and undo and cancel name what they drop (`cancels`): whoever finds one cut
//!   after its pointer drops it then;
//! - a run that was cut is closed from outside its root too, with both of dpkg's locks held through the
//!   merged mount of the run that is still alive around it;
//! - runs without a point are noted in the root (`system/unprotected.rs`): the pool may be what failed;
//! - a deleted profile keeps its id until it is pruned, so that undo can bring it back;
//! - the reserve for a full disk holds metadata as well as data: on a split btrfs, 32 MiB of data alone
//!   help nobody whose metadata is full (`system/reserve.rs`);
//! - hostname and host keys of the device follow whichever profile changed them last: what each was given is
//!   noted (`policy/identity.rs`), or hostnamectl's work would be gone at the next start;
//! - a reserved account has its old name, and is made usable before dpkg starts when the package that brought
//!   it comes back (`commands/accounts.rs`): adduser and sysusers change nothing of an account they find;
//! - a path of state/ bears a mark, set before the rename that puts it there: what is marked is mounted, and
//!   profile.json, which has only what differs from the defaults, says what should be (`system/state/mod.rs`);
//! - what an undo puts back into state/ is copied aside before the pointer moves and takes its place after
//!   it: a full disk or a cut before leaves nothing, and whoever closes the entry after a cut finishes it;
//! - a path that something fills again after a purge is left whole as it is: single files of an older
//!   database among those of a new one would ruin both;
//! - "share of space" is a floor of free space: points give way for it only as far as they help, by the
//!   extent trees before and by statfs after each deletion (`policy/retention/space.rs`);
//! - what the person wrote is told from what runs wrote by btrfs's transactions (`policy/own.rs`): there is a
//!   point before each entry and none after it;
//! - `--keep` works through two merged mounts (`system/side_by_side.rs`), not on the upper: a directory of
//!   the base, hidden or opened again, is overlayfs's business;
//! - a new state/ (reset --wipe, and its undo) waits beside the old one, `.state-57`, until nobody uses a root
//!   of the profile any more, and then changes places with it (`system/next_state.rs`): the boot must do that
//!   before it mounts state/;
//! - a profile keeps state/ as it was made, too (`pristine.state`): packages of a built-in have directories
//!   in it that the base has not;
//! - a check reads the bases from their manifests, sorted as they are asked for (`system/manifest/read.rs`), and
//!   merges the raw upper over them itself (`system/layers`): nothing is mounted, and the old base may be gone;
//! - a base keeps its name in an extended attribute of its top directory, and its stream carries it; a published
//!   stream is that of the base itself with another name in its first command (`system/send.rs`), because a
//!   snapshot called `.incoming` would have another UUID, and no delta would find its parent;
//! - a rebase is planned a second time on its own point, which cannot change any more, and is carried out only if
//!   that plan is the one that was shown; after apt, a rebase onto the very same base tidies up what is left;
//! - state/ knows whose numbers it bears (`system/state/numbers.rs`) and is given others before a start, so that
//!   an undo of a rebase needs no reverse map in its entry;
//! - the sandbox of a rebase works on a copy of state/, and what it changed there is merged in before the next
//!   start, in the copy that then changes places with state/ (`system/state/made.rs`): services may have gone on
//!   writing, and a rebase that is refused has written nothing;
//! - what changed on one side only is kept without a word, also for files of packages: a rebase onto a base that
//!   is alike changes nothing of what the person sees;
//! - a root that a repair or a rebase made and that is dropped before its start is told from one somebody wrote
//!   into by its btrfs generation, noted in the entry before the pointer moves: there is no point to hold it
//!   against (`commands/remake.rs`, `commands/left.rs`);
//! - a root that was not proved is kept for looking as `roots/57.refused` (`system/refused.rs`): its name is no
//!   number, so nothing takes it for a root that could become current;
//! - what a person decides (`policy/check/decided.rs`) goes into the look itself, so that findings, plan, plan hash
//!   and what is done all follow from the same decisions; a text is merged only where that is clean;
//! - at a start a profile is assembled by flipper-rescue in a namespace of its own, with the code of `run`, and
//!   appears with one mount: the shell of the initramfs decides only what is tried, and in which order;
//! - a state is on trial when it is not the one that came up last: that follows from the journal, so nobody arms a
//!   counter in a boot directory, and a package run pays nothing for it. The initramfs counts, in the profile
//!   (`model/trial.rs`, `policy/trial.rs`); a loader that counts too only adds kernels that never get so far;
//! - a boot directory is made from the pool after every closed entry, and holds nothing that is not made again
//!   (`commands/boot_files.rs`): keys are named by what is in the files, so profiles on one base share a kernel, and
//!   hooks of the kernel's package have nothing to do: a run's new kernel comes with the run's end;
//! - a choice for one start lies in a block of our own beside the menu, not in the one of grub-reboot(8): that is read
//!   by a configuration made with update-grub only;
//! - where the kernel that runs is not the root's, the initramfs compares modules, not keys: another initrd of the
//!   same release is no reason to start again (`commands/running_kernel.rs`);
//! - a root in which nothing would confirm that it came up is never on trial (`system/starts.rs`), and one that has
//!   no good state before it is tried again and again: a base in memory would help nobody;
//! - a soft reboot starts from the root that `commands/restart.rs` assembled beside the one in use, with the code of
//!   a start; two booted files, told apart by the identity of `/`, say which of them runs (`system/pool.rs`);
//! - a root whose init cannot be executed is not handed over: its last change is taken back first
//!   (`system/starts.rs`), before any trial boot counts;
//! - flags of chattr(1) that were set through an overlay lie in an attribute of overlayfs's own, and count as a
//!   change of the file.

// flipper-rescue and flipper-hook are built without the index and use a part of these rooms only.
#![cfg_attr(not(feature = "index"), allow(dead_code))]

pub mod commands;
pub mod dpkg;
pub mod model;
pub mod policy;
pub mod system;
