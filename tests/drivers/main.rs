//! Every program that runs packages, and every way a run can end: table.txt says what the journal must
//! hold after each pair, and undo must return to the very tree before it.
//!
//! Its own harness: a cell is a test, and what is not run is counted aloud.
//!
//!   cargo test --test drivers                    the cells of the short form
//!   FLIPPER_TESTS_LONG=yes cargo test --test drivers     every cell
//!   cargo test --test drivers -- 13/aptitude     the cells whose name begins so, whatever the form
//!
//! Needs root. The first run fetches a Debian root with these programs; after that no network is used.

mod cell;
mod driver;
mod fault;
mod outcome;
#[path = "../apt/repo.rs"]
mod repo;
#[path = "../apt/rig.rs"]
mod rig;
mod table;
#[path = "../apt/tree.rs"]
mod tree;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;

use table::{Cell, When};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let long = std::env::var("FLIPPER_TESTS_LONG").as_deref() == Ok("yes");
    let cells = table::cells();
    let broken = table::what_is_wrong_with(&cells);
    for line in &broken {
        println!("table.txt: {line}");
    }
    let begins = |cell: &Cell| wanted.iter().any(|name| cell.name().starts_with(name.as_str()));
    let chosen = |cell: &&Cell| match cell.when {
        When::Never => false,
        _ if !wanted.is_empty() => begins(cell),
        When::Always => true,
        When::Long => long,
    };
    let (never, possible): (Vec<&Cell>, Vec<&Cell>) = cells.iter().partition(|c| c.when == When::Never);
    let run: Vec<&Cell> = cells.iter().filter(chosen).collect();
    if words.iter().any(|word| word == "--list") {
        run.iter().for_each(|cell| println!("{}: test", cell.name()));
        return ExitCode::SUCCESS;
    }
    println!(
        "\n{} cells: {} run, {} left for the long form, {} cannot be",
        cells.len(),
        run.len(),
        possible.len() - run.len(),
        never.len()
    );
    let failed = run_all(&run);
    for name in &failed {
        println!("failed: {name}");
    }
    let (bad, good) = (
        failed.len() + usize::from(!broken.is_empty()),
        run.len() - failed.len() + usize::from(broken.is_empty()),
    );
    println!(
        "test result: {}. {good} passed; {bad} failed; {} not run\n",
        if bad == 0 { "ok" } else { "FAILED" },
        possible.len() - run.len()
    );
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A worker for each processor takes the next cell; the names of those that failed.
fn run_all(cells: &[&Cell]) -> Vec<String> {
    let queue = Mutex::new(cells.iter().copied().collect::<VecDeque<_>>());
    let failed = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(cell) = { queue.lock().unwrap().pop_front() } {
                    let done = catch_unwind(AssertUnwindSafe(|| cell::run(cell)));
                    println!("{} {}", if done.is_ok() { "ok    " } else { "FAILED" }, cell.name());
                    if done.is_err() {
                        failed.lock().unwrap().push(cell.name());
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}
