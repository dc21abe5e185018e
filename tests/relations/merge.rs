//! The merge of three databases, each random: what `check` says of it, and what apt says of the very file it
//! is written to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use flipper_profiles::dpkg::Status;
use flipper_profiles::model::elf::Reading;
use flipper_profiles::model::error::Result;
use flipper_profiles::model::tree::{Object, Tree};
use flipper_profiles::policy::check::class::Class;
use flipper_profiles::policy::check::decided::Decisions;
use flipper_profiles::policy::check::side::{STATUS, Side, Texts};
use flipper_profiles::policy::check::together::Together;
use flipper_profiles::policy::check::{Trees, fates, findings, synthesis, with_look};

use crate::archive::archive;
use crate::made::{self, Made, Random};

/// A tree of which only the database is known.
struct Database(String);

impl Tree for Database {
    fn find(&self, _: &[u8]) -> Result<Option<Object>> {
        Ok(None)
    }

    fn text(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok((path == STATUS.as_bytes()).then(|| self.0.clone().into_bytes()))
    }

    fn below(&self, _: &[u8], _: &mut dyn FnMut(&[u8], &Object)) -> Result<()> {
        Ok(())
    }

    fn texts(&self, _: &[u8], _: &[u8], _: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        Ok(())
    }
}

/// An old base, a profile on it and a candidate; the architecture is that of dpkg in each.
pub struct Three {
    old: Database,
    mine: Database,
    new: Database,
}

pub fn three(seed: u64) -> Three {
    let mut random = Random::new(seed ^ 0x6d65_7267);
    let mut old = made::closed(archive(), &mut random);
    old.truncate(120);
    old.extend(archive().find("dpkg").map(|at| Made::of(&archive().packages[at])));
    let (mut mine, mut new) = (old.clone(), old.clone());
    for more in made::closed(archive(), &mut random).into_iter().take(40) {
        let to = if random.below(4) == 0 { &mut new } else { &mut mine };
        to.push(more);
    }
    for (set, most) in [(&mut mine, 6), (&mut new, 20)] {
        (0..random.below(most)).for_each(|_| made::spoil(set, &mut random));
    }
    let database = |set: Vec<Made>| {
        // Each once, and dpkg as it is: the native architecture is read from it.
        let dpkg = |p: &Made| p.name == "dpkg";
        let mut each = BTreeMap::new();
        set.into_iter()
            .filter(|p| !dpkg(p))
            .for_each(|p| drop(each.insert((p.name.clone(), p.architecture.clone()), p)));
        let mut set: Vec<Made> = each.into_values().collect();
        set.extend(archive().find("dpkg").map(|at| Made::of(&archive().packages[at])));
        Database(made::status(&set))
    };
    Three { old: database(old), mine: database(mine), new: database(new) }
}

impl Three {
    /// The merged database, byte by byte.
    pub fn synthesised(&self) -> String {
        let texts = [&self.old, &self.mine, &self.new].map(|tree| Texts::read(tree).expect("texts"));
        let side = |at: usize, tree| Side::new("a side", tree, &texts[at]).expect("a status");
        let (old, mine, new) = (side(0, &self.old), side(1, &self.mine), side(2, &self.new));
        let mut rows = fates::rows(&old, &mine, &new);
        Together::of(&mut rows, &mine, &new).expect("relations");
        String::from_utf8(synthesis::status(&rows, &synthesis::Obsolete::new())).expect("text")
    }

    pub fn mine(&self) -> &str {
        &self.mine.0
    }

    /// Whose relations P11 and P16 say do not hold, as apt names them.
    pub fn told(&self) -> BTreeSet<String> {
        let trees = Trees {
            triples: &[],
            old: &self.old,
            mine: &self.mine,
            new: &self.new,
            exchanged: &self.mine,
            names: ["base 1", "profile", "base 2"],
            old_largest_inode: 0,
            new_largest_inode: 0,
            elf: &|_| Ok(Reading::Other),
            md5: &|_| Ok(String::new()),
            text_of: &|_, _| Ok(None),
            decided: &Decisions::default(),
        };
        let found = with_look(&trees, findings).expect("findings");
        let of_relations = found.iter().filter(|f| matches!(f.class, Class::P11 | Class::P16));
        let said = of_relations.flat_map(|f| &f.evidence).filter(|(what, _)| *what == "does not hold");
        said.flat_map(|(_, text)| text.split("; ")).map(named).collect()
    }
}

/// `a` of `a:amd64 1 Depends: ...`, `a:i386` of `a:i386 1 ...`
fn named(line: &str) -> String {
    let name = line.split(' ').next().unwrap_or_default();
    name.strip_suffix(":amd64").unwrap_or(name).to_owned()
}

/// Name and architecture of each paragraph.
fn order(status: &str) -> Vec<(String, String)> {
    let status = Status::parse(status.as_bytes()).expect("a status");
    status.packages.iter().map(|p| (p.name.to_owned(), p.architecture.to_owned())).collect()
}

/// Holds the order against that of the file as dpkg writes it. False: dpkg does not take it, with two
/// architectures of a package that cannot stand beside each other (P16), or with a `same` that was made for one of
/// all architectures.
pub fn is_in_dpkgs_order(status: &str) -> bool {
    let root = tempfile::tempdir().expect("make a directory");
    let database = root.path().join("var/lib/dpkg");
    fs::create_dir_all(database.join("info")).expect("make a directory");
    fs::create_dir_all(database.join("updates")).expect("make a directory");
    fs::write(database.join("info/format"), "1\n").expect("write");
    fs::write(database.join("arch"), "amd64\ni386\n").expect("write");
    fs::write(database.join("status"), status).expect("write");
    let line = "echo dpkg hold | dpkg --root=. --set-selections";
    let ended = Command::new("sh").args(["-ec", line]).current_dir(root.path()).output().expect("run dpkg");
    let said = String::from_utf8_lossy(&ended.stderr);
    if ["non-coinstallable", "field but is architecture 'all'"].iter().any(|why| said.contains(why)) {
        return false;
    }
    assert!(ended.status.success(), "{said}");
    let written = fs::read_to_string(database.join("status")).expect("read");
    assert!(written.contains("hold ok installed"));
    assert_eq!(order(status), order(&written));
    true
}
