//! One cell: the run, what the journal holds after it, and the undo of it.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::driver::{COMMIT, Driver};
use crate::fault::{self, Failing};
use crate::outcome;
use crate::repo;
use crate::rig::{Done, Lab, Pool, changes};
use crate::table::Cell;
use crate::tree::Tree;

pub fn suite(debian: u32) -> &'static str {
    if debian == 12 { "bookworm" } else { "trixie" }
}

/// A pool whose profile `lab` has every driver, and version 1 of what the outcomes upgrade.
pub fn furnished(debian: u32) -> Pool {
    let pool = Pool::copy_with(suite(debian), crate::driver::packages(debian));
    furnish(&pool);
    pool
}

pub fn furnish(pool: &Pool) {
    pool.furnish(&repo::upgrades());
    pool.run("lab", "cat > /home/apt/commit; cp /home/apt/commit /home/apt/do-release-upgrade; chmod 755 /home/apt/commit /home/apt/do-release-upgrade", &[], COMMIT.as_bytes()).ok();
    pool.run("lab", INSTALL_FIRST, &[], b"").ok();
}

const INSTALL_FIRST: &str = "set -e; touch /etc/apt/sources.list # python-apt makes it
    apt-get -qq install current step-a=1 step-b=1 step-c=1 grows=1 destroys=1 breaks=1 lingers=1 big=1";

fn pool(debian: u32) -> &'static Pool {
    static POOLS: [OnceLock<Pool>; 2] = [const { OnceLock::new() }; 2];
    POOLS[usize::from(debian == 12)].get_or_init(|| furnished(debian))
}

pub fn run(cell: &Cell) {
    match cell.outcome {
        "no-space" => {
            let (pool, _alone) = fault::pool_to_fill(cell.debian);
            let seen = Before::of(pool.lab(&id(cell)), cell);
            let script = outcome::script(cell.outcome, seen.driver, &id(cell));
            let done = fault::run_on_a_full_disk(&seen.lab, &script);
            seen.judge(cell, &done);
        }
        "io-error" => on_a_bad_disk(cell),
        _ => {
            let seen = Before::of(pool(cell.debian).lab(&id(cell)), cell);
            let done = outcome::run(&seen.lab, cell.outcome, seen.driver);
            seen.judge(cell, &done);
        }
    }
}

/// Mounted three times: healthy, failing, and after the machine was started again.
fn on_a_bad_disk(cell: &Cell) {
    let failing = Failing::new(cell.debian);
    let pool = failing.healthy();
    let seen = Before::of(pool.lab(&id(cell)), cell).apart();
    drop(pool);
    let pool = failing.on_a_bad_disk();
    let script = outcome::script(cell.outcome, Driver::find(cell.driver), &id(cell));
    let done = failing.run(&Lab { pool: &pool, id: id(cell) }, &script);
    drop(pool);
    failing.repair();
    let pool = failing.healthy();
    seen.at(&pool).judge(cell, &done);
}

/// An id has 32 characters at most.
fn id(cell: &Cell) -> String {
    format!("{}-{}", &cell.driver[..cell.driver.len().min(14)], cell.outcome)
}

/// A profile before its run.
struct Before<'a> {
    lab: Lab<'a>,
    driver: &'static Driver,
    tree: Tree,
    entries: usize,
    consistent: String,
}

/// The same, while no pool is mounted.
struct Apart {
    id: String,
    driver: &'static Driver,
    tree: Tree,
    entries: usize,
    consistent: String,
}

impl Before<'_> {
    fn of<'a>(lab: Lab<'a>, cell: &Cell) -> Before<'a> {
        let driver = Driver::find(cell.driver);
        let needs = driver.prepare(outcome::ask(cell.outcome, driver));
        let id = &lab.id;
        let script = format!(
            "set -e; echo {id} > /etc/lab; rm -f /home/began-{id} /home/go-on-{id}\n{needs}\n{}",
            outcome::prepare(cell.outcome, driver)
        );
        lab.run(&script).ok();
        let (tree, entries) = (lab.tree().without(driver.own_files), lab.entries().len());
        let consistent = consistent(&lab);
        Before { lab, driver, tree, entries, consistent }
    }

    fn apart(self) -> Apart {
        Apart {
            id: self.lab.id,
            driver: self.driver,
            tree: self.tree,
            entries: self.entries,
            consistent: self.consistent,
        }
    }

    /// The entries of the run, and the way back.
    #[track_caller]
    fn judge(&self, cell: &Cell, done: &Done) {
        if cell.states == ["unprotected"] {
            return self.must_be_told(cell, done);
        }
        let mut entries = self.lab.entries();
        entries.truncate(entries.len() - self.entries);
        entries.reverse();
        let wanted = Found::wanted(cell);
        let mut found = Found::of(&entries, done);
        found.exit = found.exit.filter(|_| wanted.exit.is_some());
        assert_eq!(found.text(), wanted.text(), "\n{}\n{done:#?}\n{entries:#?}", cell.name());
        let says = entries.last().and_then(|e| e["outcome"].as_str()).unwrap_or("-");
        assert_eq!(says, cell.says, "\n{done:#?}");
        self.log_must_say(cell.says);
        self.must_go_back(cell.outcome, &entries);
    }

    /// The namespace of another cell may hold a copy of this one's overlay for a moment after the run: as
    /// long as somebody seems to be in the root, its entry reads as open.
    #[track_caller]
    fn log_must_say(&self, what: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let log = self.lab.log();
            if what == "-" || log.contains(what) {
                return;
            }
            assert!(Instant::now() < end, "{log}");
            sleep(Duration::from_millis(100));
        }
    }

    /// It ran without an entry, and said so; where nobody reads what hooks print, login tells it.
    #[track_caller]
    fn must_be_told(&self, cell: &Cell, done: &Done) {
        assert_eq!(
            (self.lab.entries().len(), Some(outcome::ended(done))),
            (self.entries, cell.exit),
            "{done:#?}"
        );
        let tree = self.lab.tree();
        tree.must_differ_from(&self.tree);
        let said = done.err.contains("this run cannot be taken back");
        assert!(said || tree.has("var/lib/flipper-profiles/unprotected"), "{done:#?}");
    }

    /// One undo for each entry that has something to take back; then dpkg and apt find all in order.
    #[track_caller]
    fn must_go_back(&self, outcome: &str, entries: &[Value]) {
        if DESTROYING.contains(&outcome) {
            assert!(!self.lab.tree().has("etc/important/letter"), "this case is no case");
        }
        for _ in entries.iter().filter(|e| e["state"] != "cancelled" && e["point"] == true) {
            self.lab.undo(&[]).ok();
        }
        // Where nothing happened, dpkg may have copied its status all the same.
        let copied: &[&str] = if entries.is_empty() { &["var/lib/dpkg/status-old"] } else { &[] };
        self.lab
            .tree()
            .without(self.driver.own_files)
            .without(copied)
            .must_be(&self.tree.clone().without(copied));
        assert_eq!(consistent(&self.lab), self.consistent, "what dpkg and apt say of themselves");
    }
}

impl Apart {
    fn at(self, pool: &Pool) -> Before<'_> {
        let lab = Lab { pool, id: self.id };
        Before {
            lab,
            driver: self.driver,
            tree: self.tree,
            entries: self.entries,
            consistent: self.consistent,
        }
    }
}

/// What their packages' scripts do before they end.
const DESTROYING: [&str; 4] = ["preinst-destroys", "postinst-fails", "kill-driver", "kill-dpkg"];

/// What the independent oracles say: dpkg of its database, apt of the dependencies.
fn consistent(lab: &Lab) -> String {
    let done = lab.run(
        "dpkg --audit; echo \"audit: $?\"; apt-get -qq check; echo \"check: $?\"; ls /var/lib/dpkg/updates",
    );
    done.ok().out
}

struct Found {
    states: Vec<String>,
    exit: Option<i32>,
    changes: Vec<String>,
}

impl Found {
    fn of(entries: &[Value], done: &Done) -> Found {
        let states = entries.iter().map(|e| e["state"].as_str().unwrap_or("?").to_owned()).collect();
        let exit = Some(outcome::ended(done));
        Found { states, exit, changes: entries.iter().flat_map(changes).collect() }
    }

    fn wanted(cell: &Cell) -> Found {
        let owned = |list: &[&str]| list.iter().map(|s| s.to_string()).collect();
        Found { states: owned(&cell.states), exit: cell.exit, changes: owned(&cell.changes) }
    }

    fn text(&self) -> String {
        format!("{} | {:?} | {}", self.states.join(" "), self.exit, self.changes.join(", "))
    }
}
