//! Plans as rows: a history, where it stands, what is asked, the plan in one line.

use super::*;
use crate::policy::descent::tests::history;

const TWO_RUNS: &str = "1 create, 2 apt @1, 3 apt @1";
/// Undone twice with a boot between.
const UNDONE: &str = "1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 undo>2 @4";
/// The same, and the second undo was taken back.
const REDONE: &str = "1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 undo>2 @4, 6 redo>5 @5";

fn ask(text: &str) -> Ask {
    match text {
        "last" => Ask::Last,
        "redo" => Ask::Redo,
        "cancel" => Ask::Cancel,
        to => Ask::To(to.parse().unwrap()),
    }
}

fn brief(plan: Result<Plan>) -> String {
    let list = |word: &str, numbers: &[EntryNumber]| {
        numbers.iter().map(|n| format!(" {word}{n}")).collect::<String>()
    };
    match plan {
        Ok(Plan::Stage { kind, target, leaves, takes_back, brings_back, cancels, waits }) => format!(
            "{} {target}, leaves {leaves}{}:{}{}{}",
            kind.name(),
            if waits { " in use" } else { "" },
            list("-", &takes_back),
            list("+", &brings_back),
            list("cancels ", &Vec::from_iter(cancels))
        ),
        Ok(Plan::Reset { leaves, takes_back, waits, .. }) => {
            format!("reset, leaves {leaves}{}:{}", if waits { " in use" } else { "" }, list("-", &takes_back))
        }
        Ok(Plan::Cancel { entry, back_to }) => format!("cancel {entry}, back to {back_to}"),
        Err(Error::NothingToRedo { newer, .. }) => {
            format!("nothing to redo:{}", list("", &Vec::from_iter(newer)))
        }
        Err(error) => error.to_string(),
    }
}

/// `at`: `4` current and in use, `4/1` current waits while root 1 is in use, `4/` unused.
fn answer(text: &str, at: &str, gone: &[u64], question: &str) -> (String, Vec<u64>) {
    let entries = history(text);
    let (current, in_use) = at.split_once('/').unwrap_or((at, at));
    let mut points: BTreeSet<_> = entries.iter().filter(|e| e.point).map(|e| e.number).collect();
    points.retain(|point| !gone.contains(&point.get()));
    let facts = Facts {
        profile: &"lab".parse().unwrap(),
        entries: &entries,
        current: current.parse().unwrap(),
        in_use: in_use.parse().ok(),
        points: &points,
    };
    let behind = left_behind(&facts).iter().map(|n| n.get()).collect();
    let planned = if question == "reset" { reset(&facts, false) } else { plan(&facts, ask(question)) };
    (brief(planned), behind)
}

#[test]
fn plans() {
    let rows = [
        (TWO_RUNS, "1", "last", "undo 3, leaves 1 in use: -3"),
        (TWO_RUNS, "1/", "last", "undo 3, leaves 1: -3"),
        (TWO_RUNS, "1", "2", "undo 2, leaves 1 in use: -3 -2"),
        (TWO_RUNS, "1", "7", "there is no entry 7"),
        (TWO_RUNS, "1", "redo", "nothing to redo:"),
        (TWO_RUNS, "1", "cancel", "nothing waits for a boot in profile lab"),
        ("1 create", "1", "last", "nothing to undo in profile lab"),
        ("1 create", "1", "1", "the point before entry 1 is not kept any more"),
        // what plain undo offers
        ("1 create, 2 set @1, 3 apt @1 open", "1", "last", "another program is working on entry 3"),
        ("1 create, 2 set @1, 3 apt @1 open", "1", "3", "another program is working on entry 3"),
        ("1 create, 2 apt @1, 3 apt @1 failed", "1", "last", "undo 3, leaves 1 in use: -3"),
        ("1 create, 2 apt @1, 3 apt @1 bare", "1", "last", "undo 2, leaves 1 in use: -3 -2"),
        ("1 create, 2 apt @1, 3 teleport @1", "1", "last", "undo 2, leaves 1 in use: -3 -2"),
        ("1 create, 2 apt @1, 3 teleport @1", "1", "3", "undo 3, leaves 1 in use: -3"),
        ("1 create, 2 apt @1, 3 rebase @1", "3", "3", "undo 3, leaves 3 in use: -3"),
        // back, further back, forward, further forward
        (UNDONE, "5", "last", "nothing to undo in profile lab"),
        (UNDONE, "5", "redo", "redo 5, leaves 5 in use: +2"),
        (REDONE, "6", "redo", "redo 4, leaves 6 in use: +3"),
        (REDONE, "6", "last", "undo 2, leaves 6 in use: -2"),
        (REDONE, "6", "6", "undo 6, leaves 6 in use: -2"),
        (REDONE, "6", "4", "redo 4, leaves 6 in use: +3"),
        (REDONE, "6", "3", "entry 3 is not in the line of descent of what lab is now"),
        // a change since: by number only, and then it is an undo that redo takes back
        ("1 create, 2 apt @1, 3 undo>2 @1, 4 apt @3", "3", "redo", "nothing to redo: 4"),
        ("1 create, 2 apt @1, 3 undo>2 @1, 4 apt @3", "3", "3", "undo 3, leaves 3 in use: -4 +2"),
        ("1 create, 2 apt @1, 3 undo>2 @1, 4 rebase @3", "4", "redo", "nothing to redo: 4"),
        (
            "1 create, 2 apt @1, 3 undo>2 @1, 4 set @3, 5 undo>4 @3, 6 redo>5 @5",
            "6",
            "redo",
            "nothing to redo: 4",
        ),
    ];
    for (text, at, question, expected) in rows {
        assert_eq!(answer(text, at, &[], question).0, expected, "{text} at {at}, {question}");
    }
}

#[test]
fn plans_while_a_root_waits() {
    let staged = "1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1";
    let wrote_since = "1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 apt @1, 6 set @1";
    let redo_staged = "1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 undo>2 @4, 6 redo>5 @5";
    let cancelled = "1 create, 2 apt @1, 3 undo>2 @1 cancelled, 4 apt @1";
    let cancel_entry = "1 create, 2 apt @1, 3 undo>2 @1 cancelled, 4 apt @1, 5 cancel @1 bare";
    let cancel_after_undo = "1 create, 2 apt @1, 3 undo>2 @1, 4 redo>3 @3 cancelled, 5 cancel @3 bare";
    const NO_STATE: &str =
        "entry 5 dropped what waited and changed nothing else: there is nothing to return to";
    let fell_back = "1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 apt @4";
    let rows: [(_, _, _, _, &[u64]); 17] = [
        (staged, "4/1", "last", "undo 2, leaves 1 in use: -2 cancels 4", &[]),
        (staged, "4/1", "redo", "cancel 4, back to 1", &[]),
        (staged, "4/1", "cancel", "cancel 4, back to 1", &[]),
        (staged, "4/1", "4", "redo 4, leaves 1 in use: +3 cancels 4", &[]),
        (wrote_since, "4/1", "last", "undo 2, leaves 1 in use: -2 cancels 4", &[6, 5]),
        (wrote_since, "4/1", "6", "entry 6 is not in the line of descent of what lab is now", &[6, 5]),
        (wrote_since, "4/1", "cancel", "cancel 4, back to 1", &[6, 5]),
        (redo_staged, "6/5", "redo", "redo 4, leaves 5 in use: +3 cancels 6", &[]),
        (redo_staged, "6/5", "cancel", "cancel 6, back to 5", &[]),
        (cancelled, "1", "last", "undo 4, leaves 1 in use: -4", &[]),
        (cancelled, "1", "2", "undo 2, leaves 1 in use: -4 -2", &[]),
        (cancel_entry, "1", "last", "undo 4, leaves 1 in use: -4", &[]),
        (cancel_entry, "1", "redo", "nothing to redo:", &[]),
        (cancel_entry, "1", "5", NO_STATE, &[]),
        (cancel_after_undo, "3", "redo", "redo 3, leaves 3 in use: +2", &[]),
        ("5 apt @1", "4/1", "redo", "cancel 4, back to 1", &[5]), // its entry is lost
        (fell_back, "4/1", "last", "undo 5, leaves 1 in use: -5", &[]), // root 4 is kept
    ];
    for (text, at, question, expected, behind) in rows {
        let expected = (expected.to_owned(), behind.to_vec());
        assert_eq!(answer(text, at, &[], question), expected, "{text} at {at}, {question}");
    }
}

/// A reset is a change like any other: undo takes it back, and what it took away is in the line again.
#[test]
fn resets() {
    const RESET: &str = "1 create, 2 apt @1, 3 apt @1, 4 reset @1";
    let taken_back = "1 create, 2 apt @1, 3 apt @1, 4 reset @1, 5 undo>4 @4";
    let rows = [
        (TWO_RUNS, "1", "reset", "reset, leaves 1 in use: -3 -2"),
        (TWO_RUNS, "1/", "reset", "reset, leaves 1: -3 -2"),
        ("1 create", "1/", "reset", "reset, leaves 1:"),
        ("1 create, 2 apt @1 open", "1", "reset", "another program is working on entry 2"),
        (UNDONE, "5/4", "reset", "entry 5 waits for the next start of lab: a reset must wait for it"),
        (RESET, "4", "last", "undo 4, leaves 4 in use: -4 +3 +2"),
        (RESET, "4", "3", "entry 3 is not in the line of descent of what lab is now"),
        (RESET, "4", "redo", "nothing to redo: 4"),
        (RESET, "4", "reset", "reset, leaves 4 in use: -4"),
        (RESET, "4/1", "cancel", "cancel 4, back to 1"),
        (RESET, "4/1", "redo", "nothing to redo: 4"),
        (RESET, "4/1", "last", "undo 4, leaves 1 in use: -4 +3 +2 cancels 4"),
        (taken_back, "5", "last", "undo 3, leaves 5 in use: -3"),
        (taken_back, "5", "redo", "redo 5, leaves 5 in use: -3 -2 +4"),
    ];
    for (text, at, question, expected) in rows {
        assert_eq!(answer(text, at, &[], question).0, expected, "{text} at {at}, {question}");
    }
}

#[test]
fn what_was_left_behind_comes_back_by_its_number() {
    let text = "1 create, 2 apt @1, 3 undo>2 @1, 4 apt @1, 5 left @1";
    assert_eq!(answer(text, "3", &[], "5").0, "redo 5, leaves 3 in use: +4 +2");
    assert_eq!(answer(text, "3", &[], "redo").0, "redo 3, leaves 3 in use: +2");
    let entries = history(text);
    assert_eq!(went_with(&entries, &entries[4]), Some((entries[2].number, vec![entries[3].number])));
    assert_eq!(went_with(&entries, &entries[2]), None);
}

#[test]
fn a_point_that_went_is_said_and_not_passed_over() {
    let gone = |n| format!("the point before entry {n} is not kept any more");
    assert_eq!(answer(TWO_RUNS, "1", &[3], "last").0, gone(3));
    assert_eq!(answer(TWO_RUNS, "1", &[2], "2").0, gone(2));
    assert_eq!(answer(UNDONE, "5", &[5], "redo").0, gone(5));
}

/// Entry 4 is `dpkg --configure -a` after a run that was cut.
#[test]
fn a_repair_goes_with_the_run_that_was_cut() {
    let repaired = |gone: &[u64], question: &str| {
        let mut entries = history("1 create, 2 apt @1, 3 apt @1 interrupted, 4 apt @1");
        entries[3].command_line = Some("dpkg --configure -a".into());
        let points: BTreeSet<_> =
            entries.iter().map(|e| e.number).filter(|n| !gone.contains(&n.get())).collect();
        let (profile, current) = ("lab".parse().unwrap(), EntryNumber::FIRST);
        let facts = Facts { profile: &profile, entries: &entries, current, in_use: None, points: &points };
        let plan = plan(&facts, ask(question));
        let repairs = plan.as_ref().map(|plan| repairs(&facts, plan)).unwrap_or_default();
        (brief(plan), repairs.iter().map(|n| n.get()).collect::<Vec<_>>())
    };
    let both = ("undo 3, leaves 1: -4 -3".to_owned(), vec![4]);
    assert_eq!(repaired(&[], "last"), both);
    assert_eq!(repaired(&[], "3"), both);
    assert_eq!(repaired(&[], "4"), ("undo 4, leaves 1: -4".to_owned(), vec![]));
    assert_eq!(repaired(&[], "2"), ("undo 2, leaves 1: -4 -3 -2".to_owned(), vec![]));
    // Its point went: the repair alone is still offered.
    assert_eq!(repaired(&[3], "last"), ("undo 4, leaves 1: -4".to_owned(), vec![]));
}
