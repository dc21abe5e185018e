//! Undo against an oracle that knows nothing of lines and descents. The oracle keeps real states: a
//! state is the list of changes applied to it, and the state that `--redo` would return to. A point is
//! a clone of a state, as on btrfs. After every step, whatever the history, the planner (which sees
//! only the journal) must have asked for exactly the state a person would expect, and the line of
//! descent must list exactly what is in it.
//!
//! The editor's rules, on states: a change forgets what could be redone; an undo remembers the state
//! it left; a redo returns to a remembered state as it was, with what that one remembered.

mod long;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use flipper_profiles::model::{Entry, EntryNumber, Error, Kind, ProfileId, State as Ended};
use flipper_profiles::policy::descent::{History, changes};
use flipper_profiles::policy::undo::{Ask, Facts, Plan, left_behind, plan, reset, waiting};
use proptest::prelude::*;

#[derive(Clone, Debug, Default)]
struct Contents {
    changes: Vec<EntryNumber>,
    redo: Option<Rc<Contents>>,
}

#[derive(Debug)]
struct World {
    id: ProfileId,
    entries: Vec<Entry>,
    roots: BTreeMap<EntryNumber, Contents>,
    points: BTreeMap<EntryNumber, Contents>,
    current: EntryNumber,
    in_use: Option<EntryNumber>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Change(&'static str, Ended),
    /// `dpkg --configure -a`, with this end.
    Repair(Ended),
    Unprotected,
    Rebase,
    Reset,
    Last,
    To(usize),
    Redo,
    Cancel,
    Boot,
    Stop,
    Prune(usize),
    Save,
    Point(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Change("packages", Ended::Completed)),
        1 => Just(Step::Change("set", Ended::Failed)),
        2 => Just(Step::Change("packages", Ended::Interrupted)),
        2 => Just(Step::Repair(Ended::Completed)),
        1 => Just(Step::Repair(Ended::Interrupted)),
        1 => Just(Step::Change("teleport", Ended::Completed)),
        1 => Just(Step::Unprotected),
        1 => Just(Step::Rebase),
        2 => Just(Step::Reset),
        6 => Just(Step::Last),
        3 => (0..40usize).prop_map(Step::To),
        5 => Just(Step::Redo),
        2 => Just(Step::Cancel),
        5 => Just(Step::Boot),
        1 => Just(Step::Stop),
        1 => (0..40usize).prop_map(Step::Prune),
        2 => Just(Step::Save),
        1 => (0..40usize).prop_map(Step::Point),
    ];
    prop::collection::vec(step, 1..40)
}

impl World {
    fn new() -> World {
        let first = EntryNumber::FIRST;
        let mut create = Entry::begin(first, Kind::Create, String::new());
        create.state = Ended::Completed;
        World {
            id: "lab".parse().unwrap(),
            entries: vec![create],
            roots: BTreeMap::from([(first, Contents::default())]),
            points: BTreeMap::new(),
            current: first,
            in_use: Some(first),
        }
    }

    /// The root things happen in now.
    fn live(&self) -> EntryNumber {
        self.in_use.unwrap_or(self.current)
    }

    /// An entry of the live root with its point; numbers have gaps, as in a pool of many profiles.
    fn begin(&mut self, kind: Kind, state: Ended) -> &mut Entry {
        let number = self.entries.last().unwrap().number.next().next();
        let root = self.live();
        self.points.insert(number, self.roots[&root].clone());
        let mut entry = Entry::begin(number, kind, String::new());
        (entry.root, entry.state, entry.point) = (Some(root), state, true);
        self.entries.push(entry);
        self.entries.last_mut().unwrap()
    }

    fn change(&mut self, kind: &str, state: Ended) -> EntryNumber {
        let number = self.begin(Kind::from(kind.to_owned()), state).number;
        let root = self.live();
        let contents = self.roots.get_mut(&root).unwrap();
        contents.changes.push(number);
        contents.redo = None;
        number
    }

    fn entry(&mut self, number: EntryNumber) -> &mut Entry {
        self.entries.iter_mut().find(|e| e.number == number).unwrap()
    }

    fn nth(&self, at: usize) -> EntryNumber {
        self.entries[at % self.entries.len()].number
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Change(kind, state) => {
                self.change(kind, state);
            }
            Step::Repair(state) => {
                let number = self.change("packages", state);
                self.entry(number).command_line = Some("dpkg --configure -a".into());
            }
            Step::Unprotected => {
                let number = self.change("packages", Ended::Completed);
                self.entry(number).point = false;
                self.points.remove(&number);
            }
            Step::Rebase if self.in_use.is_none_or(|root| root == self.current) => self.rebase(),
            Step::Rebase => {}
            Step::Reset => self.reset(),
            Step::Last => self.ask(Ask::Last),
            Step::To(at) => self.ask(Ask::To(self.nth(at))),
            Step::Redo => self.ask(Ask::Redo),
            Step::Cancel => self.ask(Ask::Cancel),
            Step::Boot => self.boot(),
            Step::Stop => self.in_use = None,
            Step::Prune(at) => {
                self.points.remove(&self.nth(at));
            }
            Step::Save => {
                self.begin(Kind::Save, Ended::Completed);
            }
            Step::Point(at) => self.ask(Ask::Point(self.nth(at))),
        }
    }

    /// A kind that this program does not know, and that made a root in place of the old one.
    fn rebase(&mut self) {
        let number = self.begin(Kind::from("rebase".to_owned()), Ended::Completed).number;
        let mut contents = self.points[&number].clone();
        contents.changes.push(number);
        contents.redo = None;
        self.roots = BTreeMap::from([(number, contents)]);
        (self.current, self.in_use) = (number, self.in_use.map(|_| number));
    }

    /// A root from nothing, in which the reset itself is the one change. Refused while another waits.
    fn reset(&mut self) {
        let waits = self.in_use.is_some_and(|root| root != self.current);
        let Ok(Plan::Reset { leaves, takes_back, .. }) = self.with_facts(|facts| reset(facts, false)) else {
            return assert!(waits, "refused");
        };
        assert!(!waits && leaves == self.current);
        assert_eq!(takes_back, minus(&self.roots[&leaves].changes, &[]), "a reset takes back");
        let number = self.begin(Kind::Reset, Ended::Completed).number;
        self.roots.insert(number, Contents { changes: vec![number], redo: None });
        self.current = number;
    }

    /// The old root goes; what was written into it since is kept under an entry of kind left.
    fn boot(&mut self) {
        let behind = self.left_behind();
        if !behind.is_empty() {
            self.begin(Kind::Left, Ended::Completed);
        }
        self.in_use = Some(self.current);
        self.roots.retain(|root, _| *root == self.current);
    }

    fn with_facts<T>(&self, look: impl FnOnce(&Facts<'_>) -> T) -> T {
        let points: BTreeSet<EntryNumber> = self.points.keys().copied().collect();
        look(&Facts {
            profile: &self.id,
            entries: &self.entries,
            current: self.current,
            in_use: self.in_use,
            points: &points,
        })
    }

    fn left_behind(&self) -> Vec<EntryNumber> {
        let behind = self.with_facts(left_behind);
        let staged = self.with_facts(waiting).filter(|_| !behind.is_empty());
        if let Some(staged) = staged {
            let live = &self.roots[&self.live()].changes;
            let since: Vec<_> = live.iter().rev().copied().filter(|n| *n > staged).collect();
            assert_eq!(behind, since, "what was left behind");
        }
        behind
    }

    /// Ask the planner and the oracle; they must agree; then do it.
    fn ask(&mut self, ask: Ask) {
        let planned = self.with_facts(|facts| plan(facts, ask));
        match planned {
            Ok(Plan::Cancel { entry, back_to }) => {
                assert!(matches!(ask, Ask::Cancel | Ask::Redo));
                assert_eq!((entry, Some(back_to)), (self.current, self.in_use));
                // An entry of the root in use; it has no point, for it changes nothing there.
                let cancel = self.begin(Kind::Cancel, Ended::Completed);
                (cancel.point, cancel.cancels) = (false, Some(entry));
                let number = cancel.number;
                self.points.remove(&number);
                self.entry(entry).state = Ended::Cancelled;
                self.roots.remove(&entry);
                self.current = back_to;
            }
            Ok(Plan::Reset { .. }) => unreachable!(),
            Ok(Plan::Stage { .. }) => self.stage(ask, planned.unwrap()),
            Err(error) => self.refused(ask, &error),
        }
    }

    fn stage(&mut self, ask: Ask, planned: Plan) {
        let Plan::Stage { kind, target, leaves, takes_back, brings_back, cancels, waits } = planned else {
            unreachable!()
        };
        let expected = self.expected(ask).unwrap_or_else(|| panic!("{ask:?} should be refused"));
        let now = self.roots[&self.current].changes.clone();
        assert_eq!(takes_back, minus(&now, &expected), "{ask:?} takes back");
        assert_eq!(brings_back, minus(&expected, &now), "{ask:?} brings back");
        assert_eq!((leaves, waits), (self.live(), self.in_use.is_some()));
        assert_eq!(cancels, self.in_use.filter(|root| *root != self.current).map(|_| self.current));

        let entry = self.begin(kind.clone(), Ended::Completed);
        entry.target = Some(target);
        let number = entry.number;
        let left = self.points[&number].clone();
        let mut contents = self.points[&target].clone();
        if kind == Kind::Undo {
            contents.redo = Some(Rc::new(left));
        }
        assert_eq!(contents.changes, expected, "{ask:?} stages");
        self.roots.insert(number, contents);
        if let Some(replaced) = cancels {
            self.entry(replaced).state = Ended::Cancelled;
            self.roots.remove(&replaced);
        }
        self.current = number;
    }

    /// The changes in the state that is wanted; nothing, when there is no such state.
    fn expected(&self, ask: Ask) -> Option<Vec<EntryNumber>> {
        let now = &self.roots[&self.current];
        match ask {
            Ask::Last => {
                let of = |n: &EntryNumber| self.entries.iter().find(|e| e.number == *n).unwrap();
                let plain = |n: &EntryNumber| of(n).kind.is_change() && of(n).point;
                let at = now.changes.iter().rposition(plain)?;
                let point = self.points.get(&now.changes[at])?;
                if of(&now.changes[at]).kind == Kind::Reset {
                    return Some(point.changes.clone()); // it began with nothing of what it took away
                }
                // Down from a repair to the run that was cut, as long as nothing else is between.
                let (mut first, mut down) = (at, at);
                while down > 0 && of(&now.changes[down]).command_line.is_some() {
                    down -= 1;
                    let below = of(&now.changes[down]);
                    if below.kind == Kind::Packages && below.state == Ended::Interrupted {
                        first = down;
                    }
                }
                let kept = self.points.contains_key(&now.changes[first]);
                Some(now.changes[..if kept { first } else { at }].to_vec())
            }
            Ask::To(number) => {
                let kind = &self.entries.iter().find(|e| e.number == number)?.kind;
                let by_number = matches!(kind, Kind::Undo | Kind::Redo | Kind::Left | Kind::Save);
                let allowed = by_number || now.changes.contains(&number);
                self.points.get(&number).filter(|_| allowed).map(|point| point.changes.clone())
            }
            Ask::Point(number) => self.points.get(&number).map(|point| point.changes.clone()),
            Ask::Redo => now.redo.as_ref().map(|state| state.changes.clone()),
            Ask::Cancel => None,
        }
    }

    fn refused(&self, ask: Ask, error: &Error) {
        let pruned = |n: &EntryNumber| !self.points.contains_key(n);
        match error {
            // Only the point of the very undo is missing, or nothing is wanted.
            Error::PointMissing { number } => assert!(pruned(number), "{ask:?}: {error}"),
            Error::NothingToRedo { newer, .. } => {
                assert!(self.expected(ask).is_none(), "{ask:?}: {error}");
                assert!(newer.is_none_or(|n| self.roots[&self.current].changes.contains(&n)));
            }
            Error::NoStateBefore { number } => assert!(!self.points.contains_key(number), "{ask:?}: {error}"),
            Error::NothingToCancel { .. } => assert_eq!(self.in_use.unwrap_or(self.current), self.current),
            _ => assert!(self.expected(ask).is_none(), "{ask:?}: {error}"),
        }
    }

    /// The lines of descent of every root and every point there is list exactly what is in it.
    fn agrees(&self) {
        let history = History::new(&self.entries);
        let same = |line: Vec<&Entry>, contents: &Contents, what: &str, number: &EntryNumber| {
            let line: Vec<_> = line.into_iter().filter(|e| changes(e)).map(|e| e.number).collect();
            assert_eq!(line, minus(&contents.changes, &[]), "the line of {what} {number}");
        };
        for (root, contents) in &self.roots {
            same(history.line(*root), contents, "root", root);
        }
        for (point, contents) in &self.points {
            same(history.line_before(*point), contents, "point", point);
        }
    }
}

/// What `these` has and `those` has not, newest first.
fn minus(these: &[EntryNumber], those: &[EntryNumber]) -> Vec<EntryNumber> {
    these.iter().rev().filter(|n| !those.contains(n)).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: long::cases(500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_planner_agrees_with_the_states_themselves(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.agrees();
        }
    }

    /// A journal that lost any of its entries still answers, and a line only gets shorter.
    #[test]
    fn lost_entries_shorten_lines_and_never_invent(steps in steps(), lost in prop::collection::vec(0..40usize, 1..4)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        let whole = world.entries.clone();
        for at in lost {
            let number = world.nth(at);
            if world.entries.len() > 1 {
                world.entries.retain(|e| e.number != number);
            }
        }
        for root in world.roots.keys() {
            let line = |entries: &[Entry]| -> Vec<_> {
                History::new(entries).line(*root).iter().map(|e| e.number).collect()
            };
            let before = line(&whole);
            prop_assert!(line(&world.entries).iter().all(|n| before.contains(n)));
        }
        for ask in [Ask::Last, Ask::Redo, Ask::Cancel] {
            let _ = world.with_facts(|facts| plan(facts, ask));
        }
    }
}
