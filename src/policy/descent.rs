//! Which root came from which, and so: what is in a state. Undo, the log and retention all ask the
//! same question of the journal, "is this entry in what I have now?", and the answer lies nowhere in
//! a file: it follows from who made each root.
//!
//! ```text
//!  entries of lab          roots            1 ──2──3        root 1, made by entry 1
//!  1 create                made by             │
//!  2 packages  root 1      its number          └─(before 3)─4──5        root 4, made by entry 4
//!  3 packages  root 1
//!  4 undo      root 1, target 3             line of root 4: 5, then what root 1 held before 3: 2
//!  5 packages  root 4                       3 is not in it: it was taken back
//! ```
//!
//! The line of descent of a root, newest first, is what happened in it, then what had happened in the
//! root it was snapshotted from, before the moment of the snapshot, and so on down to the root that
//! `create` or `clone` made. Three rules keep it honest with a journal that lost a page:
//! - a cancelled entry never counts, but a root it made still came from where it came from;
//! - a step down must lead to a smaller number, so damaged entries can end a line but never loop it;
//! - where the entry that would lead on is lost, the line ends: nothing is guessed.

use crate::model::{Entry, EntryNumber, Kind, State};

/// The entries of ONE profile, ascending by number.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    entries: &'a [Entry],
}

/// A part of a line: what happened in `root` before `below` (in all of it, when absent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub root: EntryNumber,
    pub below: Option<EntryNumber>,
}

impl Stretch {
    /// Did this entry happen in this stretch? A root's entries have larger numbers than the root. A reset,
    /// a rebase or a repair is the first thing that happened in the root it made, and leaves the one it began
    /// in as it was.
    fn holds(self, entry: &Entry) -> bool {
        let is_here = match entry.kind {
            Kind::Reset | Kind::Rebase | Kind::Repair => entry.number == self.root,
            _ => entry.root == Some(self.root) && entry.number > self.root,
        };
        is_here && self.below.is_none_or(|below| entry.number < below)
    }
}

impl<'a> History<'a> {
    pub fn new(entries: &'a [Entry]) -> Self {
        debug_assert!(entries.is_sorted_by_key(|e| e.number), "a history ascends");
        History { entries }
    }

    pub fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    pub fn get(&self, number: EntryNumber) -> Option<&'a Entry> {
        self.entries.binary_search_by_key(&number, |e| e.number).ok().map(|at| &self.entries[at])
    }

    /// The entry that made `roots/<root>`. Absent when it is lost, or of a kind that makes none. An
    /// entry of unknown kind is believed.
    pub fn maker(&self, root: EntryNumber) -> Option<&'a Entry> {
        self.get(root).filter(|e| e.kind.makes_root() || matches!(e.kind, Kind::Other(_)))
    }

    /// The stretch whose end is the state just before an entry: what its point holds.
    pub fn before(&self, number: EntryNumber) -> Option<Stretch> {
        let root = self.get(number)?.root?;
        (root < number).then_some(Stretch { root, below: Some(number) })
    }

    /// The stretch whose end a root was snapshotted from. What an unknown kind made came, as far as
    /// we can know, from the state it left, and the entry itself is part of what the root holds.
    pub fn origin(&self, root: EntryNumber) -> Option<Stretch> {
        let maker = self.maker(root)?;
        match maker.kind {
            Kind::Undo | Kind::Redo => self.before(maker.target.filter(|target| *target < root)?),
            // Pristine is what the profile was made as: before anything happened in its first root.
            Kind::Reset => {
                let made = |e: &&Entry| e.number < root && matches!(e.kind, Kind::Create | Kind::Clone);
                let first = self.entries.iter().rev().find(made)?.number;
                Some(Stretch { root: first, below: Some(first.next()) })
            }
            Kind::Rebase | Kind::Repair => self.before(root),
            Kind::Other(_) => {
                let from = maker.root.filter(|from| *from < root)?;
                Some(Stretch { root: from, below: Some(root.next()) })
            }
            _ => None,
        }
    }

    /// The stretches a root descends through, its own first. Ends, because roots only get smaller.
    pub fn descent(&self, root: EntryNumber) -> impl Iterator<Item = Stretch> + use<'a> {
        self.from(Stretch { root, below: None })
    }

    /// The line of descent of a root, newest first: every entry whose effect is in it, and entries
    /// that happened beside it without one (a delete that was brought back). Who made the roots
    /// themselves, `descent` says.
    pub fn line(&self, root: EntryNumber) -> Vec<&'a Entry> {
        self.collect(Stretch { root, below: None })
    }

    /// The line of the state just before an entry: what a root made from its point will have.
    pub fn line_before(&self, number: EntryNumber) -> Vec<&'a Entry> {
        self.before(number).map_or_else(Vec::new, |stretch| self.collect(stretch))
    }

    pub fn contains(&self, root: EntryNumber, number: EntryNumber) -> bool {
        let Some(entry) = self.get(number).filter(|e| counts(e)) else { return false };
        self.descent(root).any(|stretch| stretch.holds(entry))
    }

    /// What changed the state within one stretch, newest first.
    pub fn changes_in(&self, stretch: Stretch) -> impl Iterator<Item = &'a Entry> + use<'a> {
        self.held_by(stretch).filter(|e| changes(e))
    }

    fn from(&self, first: Stretch) -> impl Iterator<Item = Stretch> + use<'a> {
        let history = *self;
        std::iter::successors(Some(first), move |stretch| history.origin(stretch.root))
    }

    fn held_by(&self, stretch: Stretch) -> impl Iterator<Item = &'a Entry> + use<'a> {
        self.entries.iter().rev().filter(move |e| stretch.holds(e) && counts(e))
    }

    fn collect(&self, first: Stretch) -> Vec<&'a Entry> {
        self.from(first).flat_map(|stretch| self.held_by(stretch)).collect()
    }
}

/// Did this entry change a state? An unknown kind may have, and is never passed over in silence.
pub fn changes(entry: &Entry) -> bool {
    entry.kind.is_change() || matches!(entry.kind, Kind::Other(_))
}

fn counts(entry: &Entry) -> bool {
    entry.state != State::Cancelled
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn number(n: u64) -> EntryNumber {
        n.to_string().parse().unwrap()
    }

    /// A history in a line: `1 create, 2 apt @1, 3 undo>2 @1 cancelled`. `@1`: its root; `>2`: its
    /// target; then a state other than completed; `bare`: it never had a point.
    pub(crate) fn history(text: &str) -> Vec<Entry> {
        text.split(',').map(entry).collect()
    }

    fn entry(text: &str) -> Entry {
        let mut words = text.split_whitespace();
        let at = words.next().unwrap().parse().unwrap();
        let (kind, target) = words.next().unwrap().split_once('>').map_or_else(
            || (text.split_whitespace().nth(1).unwrap(), None),
            |(kind, target)| (kind, Some(target.parse().unwrap())),
        );
        let kind = if kind == "apt" { Kind::Packages } else { Kind::from(kind.to_owned()) };
        let mut entry = Entry::begin(at, kind, format!("2026-11-01T00:{:02}:00Z", at.get() % 60));
        (entry.target, entry.state) = (target, State::Completed);
        entry.point = !matches!(entry.kind, Kind::Create | Kind::Clone);
        for word in words {
            match word {
                "failed" => entry.state = State::Failed,
                "interrupted" => entry.state = State::Interrupted,
                "cancelled" => entry.state = State::Cancelled,
                "open" => entry.state = State::Open,
                "bare" => entry.point = false,
                root => entry.root = Some(root.strip_prefix('@').unwrap().parse().unwrap()),
            }
        }
        entry
    }

    fn line(text: &str, root: u64) -> Vec<u64> {
        let entries = history(text);
        let history = History::new(&entries);
        let line: Vec<u64> = history.line(number(root)).iter().map(|e| e.number.get()).collect();
        for entry in &entries {
            let listed = line.contains(&entry.number.get());
            assert_eq!(history.contains(number(root), entry.number), listed, "{text}: {}", entry.number);
        }
        line
    }

    #[test]
    fn a_line_is_what_happened_in_a_root_and_before_it() {
        let rows: &[(&str, u64, &[u64])] = &[
            ("1 create", 1, &[]),
            ("1 create, 2 apt @1, 3 set @1", 1, &[3, 2]),
            ("1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 apt @4", 4, &[5, 2]),
            // the root that was left goes on by itself, and the undo happened in it
            ("1 create, 2 apt @1, 3 undo>2 @1, 4 apt @1", 3, &[]),
            ("1 create, 2 apt @1, 3 undo>2 @1, 4 apt @1", 1, &[4, 3, 2]),
            ("1 create, 2 apt @1, 3 undo>2 @1, 4 redo>3 @3, 5 apt @4", 4, &[5, 2]),
            ("1 create, 2 apt @1, 3 undo>2 @1 cancelled, 4 apt @1", 1, &[4, 2]),
            // a reset begins a line of its own, and undoing it returns to the old one
            ("1 create, 2 apt @1, 3 reset @1, 4 apt @3", 3, &[4, 3]),
            ("1 create, 2 apt @1, 3 reset @1, 4 apt @1", 1, &[4, 2]),
            ("1 create, 2 apt @1, 3 reset @1, 4 apt @3, 5 reset @3", 5, &[5]),
            ("1 create, 2 apt @1, 3 reset @1, 4 apt @3, 5 undo>4 @3", 5, &[3]),
            ("1 create, 2 apt @1, 3 reset @1, 4 apt @3, 5 undo>3 @3", 5, &[2]),
            ("1 create, 2 apt @1, 3 reset @1 cancelled, 4 apt @1", 1, &[4, 2]),
            // a rebase goes on with what it found, in a root of its own
            ("1 create, 2 apt @1, 3 rebase @1, 4 apt @3", 3, &[4, 3, 2]),
            ("1 create, 2 apt @1, 3 rebase @1, 4 apt @1", 1, &[4, 2]),
            ("1 create, 2 apt @1, 3 rebase @1, 4 undo>3 @3", 4, &[2]),
            ("1 create, 2 apt @1, 3 rebase @1, 4 undo>3 @3, 5 redo>4 @4", 5, &[3, 2]),
            ("1 create, 2 apt @1, 3 rebase @1 cancelled, 4 apt @1", 1, &[4, 2]),
            // clone ends the line, wherever it came from
            ("3 apt @1, 4 clone>3 @1, 5 apt @4", 4, &[5]),
        ];
        for (text, root, expected) in rows {
            assert_eq!(line(text, *root), *expected, "{text}");
        }
    }

    #[test]
    fn a_damaged_journal_ends_a_line_and_never_loops_it() {
        let rows: &[(&str, u64, &[u64])] = &[
            ("5 apt @4", 4, &[5]),                                     // the maker is lost
            ("1 create, 2 apt @1, 4 undo>3 @1, 5 apt @4", 4, &[5]),    // the target is lost
            ("4 undo @1, 5 apt @4", 4, &[5]),                          // it has no target
            ("2 apt @9, 4 undo>2 @1, 5 apt @4", 4, &[5]),              // a root younger than its entry
            ("2 apt @1, 4 undo>4 @4, 5 apt @4", 4, &[5]),              // an undo of itself
            ("4 undo>6 @6, 5 apt @4, 6 undo>5 @4, 7 apt @6", 6, &[7]), // two that made each other
            ("2 apt @1, 4 packages @1, 5 apt @4", 4, &[5]),            // a maker that makes no roots
        ];
        for (text, root, expected) in rows {
            assert_eq!(line(text, *root), *expected, "{text}");
        }
    }

    #[test]
    fn an_unknown_kind_is_a_change_and_may_have_made_a_root() {
        assert_eq!(line("1 create, 2 apt @1, 3 teleport @1, 4 apt @1", 1), [4, 3, 2]);
        assert_eq!(line("1 create, 2 apt @1, 3 convert @1, 4 apt @3", 3), [4, 3, 2]);
        assert_eq!(line("1 create, 2 apt @1, 3 convert @1, 4 apt @3, 5 undo>3 @3", 5), [2]);
    }
}
