//! Reads table.txt, and finds what is missing in it.

use std::collections::BTreeMap;

use crate::driver::DRIVERS;
use crate::outcome::OUTCOMES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Of the short form too.
    Always,
    Long,
    /// It cannot be; `says` has the reason.
    Never,
}

/// One driver with one outcome on one Debian.
#[derive(Clone, Debug)]
pub struct Cell {
    /// 13 or 12.
    pub debian: u32,
    pub driver: &'static str,
    pub outcome: &'static str,
    pub when: When,
    /// The states of the entries it leaves, oldest first: `completed completed`.
    pub states: Vec<&'static str>,
    /// How the driver itself ends. Absent: it depends on the moment.
    pub exit: Option<i32>,
    /// `upgrade step-a 1 2`, sorted; of all its entries.
    pub changes: Vec<&'static str>,
    /// What the log says of the newest entry, or why the cell cannot be.
    pub says: &'static str,
}

impl Cell {
    /// `13/apt-get/ok`
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.debian, self.driver, self.outcome)
    }
}

const TABLE: &str = include_str!("table.txt");

pub fn cells() -> Vec<Cell> {
    let rows = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.flat_map(|line| row(line).unwrap_or_else(|| panic!("table.txt: not a row: {line}"))).collect()
}

/// `apt-get | ok | + | . | completed | 0 | upgrade step-a 1 2 | says`: one cell for each Debian.
fn row(line: &'static str) -> Option<Vec<Cell>> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let [driver, outcome, on_13, on_12, states, exit, changes, says] = fields[..] else { return None };
    let list = |text: &'static str, by: &str| -> Vec<&'static str> {
        text.split(by).map(str::trim).filter(|word| !word.is_empty() && *word != "-").collect()
    };
    let mut cells = Vec::new();
    for (debian, mark) in [(13, on_13), (12, on_12)] {
        let when = match mark {
            "+" => When::Always,
            "." => When::Long,
            "x" => When::Never,
            "" => continue, // no such driver on this Debian, or a row of its own
            _ => return None,
        };
        let exit = if matches!(exit, "-" | "*") { None } else { Some(exit.parse().ok()?) };
        let (states, changes) = (list(states, " "), list(changes, ","));
        cells.push(Cell { debian, driver, outcome, when, states, exit, changes, says });
    }
    Some(cells)
}

/// Each driver has each outcome once, what cannot be has its reason, and the short form has every driver
/// and every outcome.
pub fn what_is_wrong_with(cells: &[Cell]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for cell in cells {
        *count.entry(cell.name()).or_default() += 1;
        if cell.when == When::Never && cell.says.len() < 10 {
            wrong.push(format!("{} cannot be, but nothing says why", cell.name()));
        }
    }
    for (debian, driver) in DRIVERS.iter().flat_map(|d| d.debians.iter().map(move |debian| (*debian, d.name)))
    {
        for outcome in OUTCOMES {
            match count.remove(&format!("{debian}/{driver}/{outcome}")) {
                Some(1) => {}
                found => {
                    wrong.push(format!("{debian}/{driver}/{outcome}: {} rows, not one", found.unwrap_or(0)))
                }
            }
        }
    }
    wrong.extend(count.keys().map(|name| format!("{name}: no such driver or outcome")));
    let short = |is: &dyn Fn(&Cell) -> bool| cells.iter().any(|c| c.when == When::Always && is(c));
    for driver in DRIVERS.iter().filter(|d| !short(&|c| c.driver == d.name)) {
        wrong.push(format!("the short form lacks the driver {}", driver.name));
    }
    for outcome in OUTCOMES.iter().filter(|o| !short(&|c| c.outcome == **o)) {
        wrong.push(format!("the short form lacks the outcome {outcome}"));
    }
    wrong
}
