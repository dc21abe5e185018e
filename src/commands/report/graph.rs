//! The branches beside the log. A journal is a tree: every entry follows one other, and an undo
//! follows what came before the entry it returned to. Newest first it is drawn as `git log --graph`
//! draws it, and what the profile is now always stands in the first column.
//!
//! ```text
//!  *      5      follows 4
//!  *      4      an undo of 3: follows 2
//!  |   o  3      follows 2
//!  | /
//!  *      2      follows 1
//!  *      1      created
//! ```
//!
//! A column waits for the entry it continues with; when several wait for the same one, the right ones
//! bend into the left one above it. A column that ended leaves a gap, which the next branch fills.

use std::collections::BTreeSet;

use crate::model::{Entry, EntryNumber, Kind, State};
use crate::policy::descent::History;

/// Who follows whom.
pub struct Tree<'a> {
    history: &'a History<'a>,
    /// The root each entry stands in, beside `history.entries()`: an entry that made a root stands in
    /// that one, any other in the root it happened in.
    homes: Vec<Option<EntryNumber>>,
    current: EntryNumber,
}

impl<'a> Tree<'a> {
    pub fn new(history: &'a History<'a>, current: EntryNumber) -> Self {
        let mut roots: BTreeSet<_> = history.entries().iter().filter_map(|e| e.root).collect();
        roots.insert(current);
        let home = |e: &Entry| match e.kind {
            _ if e.state == State::Cancelled => e.root,
            Kind::Other(_) if roots.contains(&e.number) => Some(e.number),
            _ if e.kind.makes_root() => Some(e.number),
            _ => e.root,
        };
        Tree { history, homes: history.entries().iter().map(home).collect(), current }
    }

    /// Always smaller than the entry.
    pub fn parent(&self, number: EntryNumber) -> Option<EntryNumber> {
        let at = self.history.entries().binary_search_by_key(&number, |e| e.number).ok()?;
        let home = self.homes[at]?;
        if home != number {
            return self.last(home, Some(number));
        }
        let origin = self.history.origin(number)?;
        self.last(origin.root, origin.below)
    }

    /// The newest entry of what the profile is now.
    pub fn tip(&self) -> Option<EntryNumber> {
        self.last(self.current, None)
    }

    /// Everything from the tip down to where the profile was made.
    pub fn trunk(&self) -> BTreeSet<EntryNumber> {
        std::iter::successors(self.tip(), |number| self.parent(*number)).collect()
    }

    fn last(&self, root: EntryNumber, below: Option<EntryNumber>) -> Option<EntryNumber> {
        let entries = self.history.entries();
        let end = below.map_or(entries.len(), |below| entries.partition_point(|e| e.number < below));
        let at = self.homes[..end].iter().rposition(|home| *home == Some(root))?;
        Some(entries[at].number)
    }

    /// The nearest entry from `number` down that the page shows, or that is older than the page.
    fn shown(&self, number: Option<EntryNumber>, page: &[EntryNumber]) -> Option<EntryNumber> {
        let oldest = page.last().copied();
        std::iter::successors(number, |number| self.parent(*number))
            .find(|number| page.binary_search_by(|shown| number.cmp(shown)).is_ok() || Some(*number) < oldest)
    }
}

/// The graph beside one entry, all lines of a page equally wide.
#[derive(Debug)]
pub struct Beside {
    /// Above the entry, where branches meet.
    pub joins: Vec<String>,
    /// On the entry's own line.
    pub node: String,
    /// On every further line of the entry.
    pub under: String,
}

/// `page`: the numbers shown, newest first, each with its mark.
pub fn draw(tree: &Tree<'_>, page: &[(EntryNumber, char)]) -> Vec<Beside> {
    let numbers: Vec<EntryNumber> = page.iter().map(|(number, _)| *number).collect();
    let mut columns = vec![tree.shown(tree.tip(), &numbers)];
    let mut drawn = Vec::new();
    for (number, mark) in page {
        let at = place(&mut columns, *number);
        let mut joins = Vec::new();
        for from in (at + 1..columns.len()).rev() {
            if columns[from] == Some(*number) {
                columns[from] = None;
                joins.extend(bend(&columns, from, at));
            }
        }
        let node = bars(&columns, Some((2 * at, *mark)));
        columns[at] = tree.shown(tree.parent(*number), &numbers);
        drawn.push(Beside { joins, node, under: bars(&columns, None) });
    }
    let width = drawn.iter().map(|beside| beside.node.len()).max().unwrap_or(0);
    for beside in &mut drawn {
        for line in beside.joins.iter_mut().chain([&mut beside.node, &mut beside.under]) {
            *line = format!("{line:width$}");
        }
    }
    drawn
}

/// The first column that waits for this entry; a new branch takes the first gap right of the trunk.
fn place(columns: &mut Vec<Option<EntryNumber>>, number: EntryNumber) -> usize {
    let waits = columns.iter().position(|column| *column == Some(number));
    let gap = || columns.iter().skip(1).position(Option::is_none).map(|at| at + 1);
    let at = waits.or_else(gap).unwrap_or(columns.len());
    columns.resize(columns.len().max(at + 1), None);
    columns[at] = Some(number);
    at
}

/// One line per column that the branch crosses on its way from `from` to `to`.
fn bend(columns: &[Option<EntryNumber>], from: usize, to: usize) -> Vec<String> {
    (to..from).rev().map(|left| bars(columns, Some((2 * left + 1, '/')))).collect()
}

fn bars(columns: &[Option<EntryNumber>], extra: Option<(usize, char)>) -> String {
    let mut line = vec![' '; 2 * columns.len()];
    for (at, _) in columns.iter().enumerate().filter(|(_, column)| column.is_some()) {
        line[2 * at] = '|';
    }
    if let Some((at, mark)) = extra {
        line[at] = mark;
    }
    line.into_iter().collect()
}
