//! The boot directory says what the pool says: the kernels of the profiles, their menu, the tries. All of it is
//! made from the pool, after every change and at every start; a new kernel is there before a pointer moves, and
//! what is named nowhere any more goes last.

use std::path::PathBuf;

use crate::model::ProfileId;
use crate::model::boot::Boot;
use crate::model::error::{Error, Result};
use crate::model::kernel::{KernelFact, KernelKey};
use crate::model::layout::{ProfileDir, RootDir, RootFact};
use crate::model::profile::Profile;
use crate::policy::kernels;
use crate::policy::menu::{Menu, MenuEntry};
use crate::system::boot_directory::{self, BootDirectory};
use crate::system::kernels::{self as files_of, Kernel};
use crate::system::locks::Lock;
use crate::system::pool::Pool;
use crate::system::{files, roots, upper};

use super::{boot_menu, report, trial};

/// What a root must have for a kernel to be confirmed.
const CONFIRMS: &str = "etc/systemd/system/multi-user.target.wants/flipper-confirm.service";

/// A profile that can be started.
struct Known {
    entry: MenuEntry,
    kernel: Kernel,
}

struct Loader<'a> {
    pool: &'a Pool,
    boot: Boot,
    dir: BootDirectory,
    default: Option<ProfileId>,
    known: Vec<Known>,
    _lock: Lock,
}

/// Best effort, after a change: the next start sees to what could not be done.
pub fn follow(pool: &Pool) {
    if let Err(error) = refresh(pool) {
        report::note(format_args!("note: the boot directory is not up to date: {error}"));
    }
}

/// After what may have changed this root's kernel: nothing is opened when it has not. A new kernel of a package run
/// comes into the boot directory with the end of the run: until then the next start takes the old one.
pub fn follow_kernel(pool: &Pool, root: &RootDir) {
    let changed = is_kept(pool).and_then(|kept| Ok(kept && !is_noted(pool, root)?));
    match changed {
        Ok(true) => follow(pool),
        Ok(false) => {}
        Err(error) => tracing::warn!("{error}"),
    }
}

/// Makes the boot directory say what the pool says.
pub fn refresh(pool: &Pool) -> Result<()> {
    let Some(loader) = Loader::open(pool)? else { return Ok(()) };
    let wanted = loader.wanted(None);
    let there = loader.fill(&wanted, &[], 0)?;
    loader.finish(there, &wanted, None)
}

/// The next start takes this profile, the one after it the default; false: it would not have its own kernel.
/// Refused where the loader cannot take the choice back, also for the default, which need not be it by then.
pub fn choose_once(pool: &Pool, id: &ProfileId) -> Result<bool> {
    let Some(loader) = Loader::open(pool)? else { return Ok(false) };
    if !loader.counts()? {
        return Err(loader.stays_for_ever());
    }
    loader.refresh_for(id)
}

/// The start that comes is to take this profile; false: it would not have its own kernel.
pub fn refresh_for(pool: &Pool, id: &ProfileId) -> Result<bool> {
    let Some(loader) = Loader::open(pool)? else { return Ok(false) };
    loader.refresh_for(id)
}

/// Before a pointer moves: the kernel of the state it will name is in the boot directory. Refused where there is
/// no room for it; a boot directory that is broken keeps nobody from an undo. `state` is a root or a point. Returns
/// what the new root is to say of its kernel.
pub fn prepare(pool: &Pool, state: &RootDir) -> Result<Option<KernelFact>> {
    match put_kernel_of(pool, state) {
        Err(error @ Error::NotWritable { .. }) => Err(error),
        Err(error) => {
            report::note(format_args!("note: the boot directory is not up to date: {error}"));
            Ok(None)
        }
        prepared => prepared,
    }
}

fn put_kernel_of(pool: &Pool, state: &RootDir) -> Result<Option<KernelFact>> {
    let Some(loader) = Loader::open(pool)? else { return Ok(None) };
    let Some((fact, kernel)) = of_root(pool, state)? else { return Ok(None) };
    let wanted = loader.wanted(Some(&fact.key));
    let at = wanted.iter().position(|key| *key == fact.key).unwrap_or_default();
    loader.fill(&wanted, &[(fact.key.clone(), kernel)], at + 1)?;
    Ok(Some(fact))
}

/// What the boot directory says now, for who asks.
pub struct Shown {
    pub entries: Vec<ShownEntry>,
    /// The profile of the next start only.
    pub once: Option<String>,
}

pub struct ShownEntry {
    pub id: ProfileId,
    pub kernel: KernelKey,
    /// Its kernel is in the boot directory.
    pub is_there: bool,
    /// It came up with it.
    pub is_good: bool,
    /// Starts that are left, where they are counted.
    pub tries: Option<u32>,
    /// What a microcontroller calls it.
    pub slot: Option<u8>,
}

/// None: its file system is not here.
pub fn look(pool: &Pool) -> Result<Option<Shown>> {
    let Some(loader) = Loader::open(pool)? else { return Ok(None) };
    let there = loader.dir.kernels()?;
    let noted = boot_menu::noted(&loader.dir, loader.boot.method)?;
    let shown = |one: &Known| ShownEntry {
        id: one.entry.id.clone(),
        kernel: one.entry.kernel.clone(),
        is_there: there.contains(&one.entry.kernel),
        is_good: one.entry.good.as_ref() == Some(&one.entry.kernel),
        tries: noted.tries(&one.entry),
        slot: noted.slot(&one.entry),
    };
    let entries = loader.known.iter().map(shown).collect();
    Ok(Some(Shown { entries, once: noted.once() }))
}

/// The kernel a root starts with, and its key, which is read again only when one of the files has changed. None:
/// it has none, or none with an initrd and modules.
pub fn of_root(pool: &Pool, root: &RootDir) -> Result<Option<(KernelFact, Kernel)>> {
    let base = pool.layout.base(&roots::base_of(root)?);
    let names = files_of::names(root, &base)?;
    let has_modules = |release: &str| files_of::has_modules(root, &base, release);
    let newest = kernels::newest(names.iter().map(String::as_str), has_modules);
    let Some(kernel) = newest.and_then(|release| files_of::of_release(root, &base, release)) else {
        return Ok(None);
    };
    let stamp = kernel.stamp()?;
    let noted = KernelFact::parse(&roots::fact(root, RootFact::Kernel)?);
    let fact = match noted.filter(|fact| fact.stamp == stamp) {
        Some(fact) => fact,
        None => KernelFact { key: kernel.key()?, stamp },
    };
    Ok(Some((fact, kernel)))
}

/// Has the kernel of this root changed since its key was noted?
fn is_noted(pool: &Pool, root: &RootDir) -> Result<bool> {
    let noted = KernelFact::parse(&roots::fact(root, RootFact::Kernel)?);
    Ok(of_root(pool, root)?.map(|(fact, _)| fact) == noted)
}

/// The pool has a boot directory that is looked after.
pub fn is_kept(pool: &Pool) -> Result<bool> {
    Ok(Boot::of(&pool.settings()?)?.is_some())
}

impl<'a> Loader<'a> {
    /// None: nothing is looked after, or its boot directory is in another machine.
    fn open(pool: &'a Pool) -> Result<Option<Loader<'a>>> {
        let settings = pool.settings()?;
        let Some(boot) = Boot::of(&settings)?.filter(|_| pool.format.may_write()) else { return Ok(None) };
        let lock = Lock::take_soon(&pool.layout.boot_lock(), "the boot directory")?;
        let Some(dir) = boot_directory::open(&pool.layout, &pool.uuid, &boot.place)? else {
            tracing::info!("there is no file system {} here", boot.place.uuid);
            return Ok(None);
        };
        let default = pool.default_profile()?;
        let mut known = Vec::new();
        for id in pool.profiles()? {
            // One that is damaged must not keep the others from starting.
            match Known::of(pool, &id) {
                Ok(found) => known.extend(found),
                Err(error) => report::note(format_args!("note: {id} is not in the boot menu: {error}")),
            }
        }
        known.sort_by_key(|one| Some(&one.entry.id) != default.as_ref());
        Ok(Some(Loader { pool, boot, dir, default, known, _lock: lock }))
    }

    fn refresh_for(&self, id: &ProfileId) -> Result<bool> {
        let Some(one) = self.known.iter().find(|one| one.entry.id == *id) else { return Ok(false) };
        let wanted = self.wanted(Some(&one.entry.kernel));
        let there = self.fill(&wanted, &[], 0)?;
        let has_it = there.contains(&one.entry.kernel);
        // The first of the menu is taken anyway.
        let is_first = self.known.first().is_some_and(|first| first.entry.id == *id);
        self.finish(there, &wanted, Some(id).filter(|_| has_it && !is_first)).map(|()| has_it)
    }

    fn wanted(&self, next: Option<&KernelKey>) -> Vec<KernelKey> {
        let good = |one: &Known| one.entry.good.clone();
        let default = self.known.iter().take(1);
        // This program may look after a pool of another machine.
        let is_of_it = |key: &KernelKey| self.known.iter().any(|one| one.is_kernel_of(key));
        let first = files_of::running().filter(is_of_it).into_iter().chain(next.cloned());
        let of_default = default.flat_map(|one| [Some(one.entry.kernel.clone()), good(one)]).flatten();
        let others = self.known.iter().map(|one| one.entry.kernel.clone());
        kernels::wanted(first.chain(of_default).chain(others).chain(self.known.iter().filter_map(good)))
    }

    /// Copies what is wanted and not there. The first `needed` of it must find room.
    fn fill(
        &self,
        wanted: &[KernelKey],
        more: &[(KernelKey, Kernel)],
        needed: usize,
    ) -> Result<Vec<KernelKey>> {
        let mut there = self.dir.kernels()?;
        for (at, key) in wanted.iter().enumerate().filter(|(_, key)| !there.contains(key)).collect::<Vec<_>>()
        {
            let of_profile = self.known.iter().find(|one| one.entry.kernel == *key).map(|one| &one.kernel);
            let given = more.iter().find(|(other, _)| other == key).map(|(_, kernel)| kernel);
            // What came up once and is not there any more is in no root either.
            let Some(kernel) = given.or(of_profile) else { continue };
            let put = self.make_room(kernel, &mut there, wanted, at).and_then(|has_room| {
                if has_room { self.dir.put(key, kernel) } else { Err(self.no_room(key, kernel)?) }
            });
            match put {
                Ok(()) => there.push(key.clone()),
                Err(error) if at < needed => return Err(error),
                // The others are there all the same.
                Err(error) => tracing::warn!("{error}"),
            }
        }
        Ok(there)
    }

    /// No menu names what is removed.
    fn make_room(
        &self,
        kernel: &Kernel,
        there: &mut Vec<KernelKey>,
        wanted: &[KernelKey],
        at: usize,
    ) -> Result<bool> {
        while !self.dir.has_room_for(kernel)? {
            let Some(victim) = kernels::gives_way(there, wanted, at).cloned() else { return Ok(false) };
            there.retain(|key| *key != victim);
            self.write(there, None)?;
            self.dir.remove(&victim)?;
        }
        Ok(true)
    }

    fn no_room(&self, key: &KernelKey, kernel: &Kernel) -> Result<Error> {
        let path = PathBuf::from(format!("the boot directory ({})", self.boot.place.uuid));
        let why =
            format!("there is no room for the {} MiB of kernel {key}", kernel.size()?.div_ceil(1 << 20));
        Ok(Error::NotWritable { path, why })
    }

    fn finish(&self, there: Vec<KernelKey>, wanted: &[KernelKey], once: Option<&ProfileId>) -> Result<()> {
        let (kept, gone): (Vec<_>, Vec<_>) = there.into_iter().partition(|key| wanted.contains(key));
        self.write(&kept, once)?;
        gone.iter().try_for_each(|key| self.dir.remove(key))
    }

    /// The menu of what is there. A profile whose kernel is not takes another for the moment: its start sees
    /// to the rest.
    fn write(&self, there: &[KernelKey], once: Option<&ProfileId>) -> Result<()> {
        let counts = self.counts()?;
        if once.is_some() && !counts {
            return Err(self.stays_for_ever());
        }
        let running = files_of::running().filter(|key| there.contains(key));
        let stand_in = running.as_ref().or(there.first());
        let entries: Vec<MenuEntry> =
            self.known.iter().filter_map(|one| one.entry.of_what_is_there(there, stand_in)).collect();
        if entries.is_empty() {
            return Ok(()); // what was there before is better than an empty menu
        }
        let menu = Menu {
            boot: &self.boot,
            pool_uuid: &self.pool.uuid,
            default: self.default.as_ref(),
            entries: &entries,
            counts,
        };
        boot_menu::write(&self.dir, &menu, once)
    }

    fn counts(&self) -> Result<bool> {
        boot_menu::counts(&self.dir, self.boot.method)
    }

    fn stays_for_ever(&self) -> Error {
        let loader = self.boot.method.loader();
        Error::Usage(format!(
            "{loader} cannot write to the file system of the boot directory: a choice for one start would stay for ever"
        ))
    }
}

impl Known {
    fn is_kernel_of(&self, key: &KernelKey) -> bool {
        self.entry.kernel == *key || self.entry.good.as_ref() == Some(key)
    }

    fn of(pool: &Pool, id: &ProfileId) -> Result<Option<Known>> {
        let dir = pool.layout.profile(id);
        let root = dir.root(roots::current(&dir)?);
        let Some((fact, kernel)) = of_root(pool, &root)? else { return Ok(None) };
        if roots::fact(&root, RootFact::Kernel)? != fact.to_string() {
            // On a full disk it is found out again the next time.
            if let Err(error) = roots::replace_fact(&root, RootFact::Kernel, &fact.to_string()) {
                tracing::warn!("{error}");
            }
        }
        let base = pool.layout.base(&roots::base_of(&root)?);
        let confirms = upper::find(&root, &base, CONFIRMS.as_ref()).is_some();
        let good = trial::read(&dir).unwrap_or_default().good_kernel.filter(|_| confirms);
        let args = roots::fact(&root, RootFact::Args)?;
        let entry = MenuEntry { id: id.clone(), name: name(&dir), kernel: fact.key, good, args };
        Ok(Some(Known { entry, kernel }))
    }
}

fn name(dir: &ProfileDir) -> String {
    let text = files::read_if_there(&dir.description()).ok().flatten().unwrap_or_default();
    serde_json::from_slice(&text).map(|profile: Profile| profile.name).unwrap_or_default()
}
