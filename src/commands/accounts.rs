//! Account numbers are never given twice in a profile: what a root gives is noted in the ledger (after
//! each package run, and before a root is left), and a root that is made from an older state reserves
//! the numbers it does not have (`policy/accounts.rs`). A package that comes back finds its account.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dpkg::accounts::{makes, names};
use crate::model::Layout;
use crate::model::entry::{Change, Planned};
use crate::model::error::Result;
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::ledger::{self, ACCOUNT_FILES, Given};
use crate::model::reserved;
use crate::policy::accounts::{credit, given, reserve, reserved_names, revive};
use crate::system::{account_files, roots, upper};

/// Before a root is left: who worked in it may have added people by hand.
pub fn note(layout: &Layout, profile: &ProfileDir, root: &RootDir) -> Result<()> {
    let Ok(base) = roots::base_of(root).map(|version| layout.base(&version)) else { return Ok(()) };
    let now = given(&account_files::of_root(root, &base));
    account_files::add_to_ledger(profile, &ledger::lacking(&account_files::ledger(profile)?, now))
}

/// In a root that nobody has used yet: the numbers it lacks are reserved.
pub fn keep(profile: &ProfileDir, root: &RootDir, base: &Path) -> Result<()> {
    let ledger = account_files::ledger(profile)?;
    let texts = reserve(&ledger, &account_files::of_root(root, base));
    account_files::write_unused(root, base, &texts)
}

/// A clone has the ledger of its source: it has a copy of its state/, and the same /home.
pub fn hand_on(layout: &Layout, source: &ProfileDir, to: &ProfileDir) -> Result<()> {
    let mut all = account_files::ledger(source)?;
    if let Ok(current) = roots::current(source).map(|number| source.root(number)) {
        if let Ok(base) = roots::base_of(&current) {
            let now = given(&account_files::of_root(&current, &layout.base(&base)));
            all.extend(ledger::lacking(&all, now));
        }
    }
    account_files::add_to_ledger(to, &all)
}

/// After a package run: what it gave, each with the packages that name it. A look at six files when no
/// account changed.
pub fn note_run(
    profile: &ProfileDir,
    root: (&RootDir, &Path),
    point: &RootDir,
    changes: &[Change],
) -> Result<()> {
    let installed = packages(changes.iter().map(|change| (&change.new, change.package.as_str())));
    revive_named(profile, &installed)?;
    if account_files::are_the_same(root, (point, root.1)) {
        return Ok(());
    }
    let mut now = ledger::lacking(&account_files::ledger(profile)?, given(&account_files::live()));
    let say = |given: &Given| {
        let said = |package: &&&str| says(package, |text| names(text, &given.name));
        installed.iter().filter(said).map(|package| (*package).to_owned()).collect()
    };
    credit(&mut now, &account_files::of_root(point, root.1), say);
    account_files::add_to_ledger(profile, &now)
}

/// A plain dpkg has no plan that we know of: what its packages found reserved becomes theirs afterwards.
fn revive_named(profile: &ProfileDir, installed: &BTreeSet<&str>) -> Result<()> {
    let reserved = reserved_names(&account_files::live());
    if reserved.is_empty() {
        return Ok(());
    }
    let mut names = brought_once(&account_files::ledger(profile)?, &reserved, installed);
    let made = |name: &&String| installed.iter().any(|package| says(package, |text| makes(text, name)));
    names.extend(reserved.iter().filter(made).cloned());
    if names.is_empty() { Ok(()) } else { revive_live(profile, &names) }
}

/// Before dpkg starts: the accounts that packages of this run brought once are theirs again, so that
/// their scripts find them with home and shell.
pub fn revive_planned(profile: &ProfileDir, planned: &[Planned]) -> Result<()> {
    let reserved = reserved_names(&account_files::live());
    if reserved.is_empty() {
        return Ok(());
    }
    let installed = packages(planned.iter().map(|planned| (&planned.new, planned.package.as_str())));
    let names = brought_once(&account_files::ledger(profile)?, &reserved, &installed);
    if names.is_empty() { Ok(()) } else { revive_live(profile, &names) }
}

/// Those of the reserved that the ledger credits to a package of this run.
fn brought_once(
    ledger: &[Given],
    reserved: &BTreeSet<String>,
    installed: &BTreeSet<&str>,
) -> BTreeSet<String> {
    let of_run = |given: &&Given| given.packages.iter().any(|package| installed.contains(package.as_str()));
    let names = ledger.iter().filter(of_run).map(|given| given.name.clone());
    names.filter(|name| reserved.contains(name)).collect()
}

fn revive_live(profile: &ProfileDir, names: &BTreeSet<String>) -> Result<()> {
    let ledger = account_files::ledger(profile)?;
    let mut homes = Vec::new();
    account_files::change_live(|texts| {
        let revived = revive(&ledger, texts, names);
        homes = revived.homes;
        Ok(revived.texts)
    })?;
    for (home, user, group) in homes {
        account_files::make_home(Path::new(&home), user, group)?;
    }
    Ok(())
}

/// Those that have a version afterwards: an upgrade may bring an account too.
fn packages<'a>(all: impl Iterator<Item = (&'a Option<String>, &'a str)>) -> BTreeSet<&'a str> {
    all.filter(|(new, _)| new.is_some()).map(|(_, package)| package).collect()
}

/// Does one of the scripts of an installed package say so, or its file of sysusers.d(5)?
fn says(package: &str, so: impl Fn(&[u8]) -> bool) -> bool {
    let scripts = ["preinst", "postinst"].map(|script| format!("/var/lib/dpkg/info/{package}.{script}"));
    let sysusers = format!("/usr/lib/sysusers.d/{package}.conf");
    scripts.iter().chain([&sysusers]).any(|path| std::fs::read(path).is_ok_and(|text| so(&text)))
}

/// Is this a file of a root that is only different from its point in what was reserved?
pub fn only_reserved(inside: &Path, point: &RootDir, root: &RootDir, base: &Path) -> bool {
    let Some(inside) = ACCOUNT_FILES.into_iter().find(|file| inside == Path::new(file)) else { return false };
    let read = |state: &RootDir, inside| upper::read(state, base, inside).ok().flatten().unwrap_or_default();
    let of = |state| reserved::without(inside, &read(state, inside), &read(state, ledger::GSHADOW));
    of(point) == of(root)
}
