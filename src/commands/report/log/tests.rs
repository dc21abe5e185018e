//! Whole pages as text.

use super::*;
use crate::model::entry::{Change, Person, Planned};
use crate::policy::descent::tests::{history, number};

fn short(time: &str) -> String {
    time[11..16].to_owned()
}

/// A page of `text` where `current` is the root, after `edit` changed the entries. `notes`: by number.
fn written(
    text: &str,
    current: u64,
    width: usize,
    notes: &[(u64, &str)],
    edit: impl Fn(&mut Entry),
) -> String {
    let mut entries = history(text);
    entries.iter_mut().for_each(edit);
    let history = History::new(&entries);
    let row = |entry| LogRow {
        entry,
        in_line: history.contains(number(current), entry.number),
        point: entry.point,
        pruned: None,
        note: notes.iter().find(|(n, _)| *n == entry.number.get()).map(|(_, note)| note.to_string()),
    };
    let rows: Vec<_> = entries.iter().rev().map(row).collect();
    page("lab", &rows, &history, number(current), &Paper { colour: false, width, when: &short })
}

fn same(page: String, expected: &str) {
    let expected = expected.strip_prefix('\n').unwrap();
    assert!(page == expected, "\n----- written\n{page}----- expected\n{expected}-----");
}

fn packages_of(entry: &mut Entry, names: &[(&str, Action)]) {
    let change = |(package, action): &(&str, Action)| Change {
        package: package.to_string(),
        architecture: "amd64".into(),
        old: None,
        new: None,
        action: *action,
        auto: None,
        archive: None,
        security: false,
        stuck: None,
    };
    entry.changes = names.iter().map(change).collect();
}

#[test]
fn an_afternoon() {
    use Action::*;
    let text = "1 create, 2 apt @1, 3 apt @1 failed, 4 undo>3 @1, 5 set @4 bare, 6 apt @4";
    let edit = |entry: &mut Entry| match entry.number.get() {
        2 => packages_of(entry, &[("libc6", Upgrade), ("nginx", Install), ("libc-bin", Upgrade)]),
        3 => {
            packages_of(entry, &["a", "b", "c", "d", "e", "f"].map(|_| ("linux-image-arm64", Upgrade)));
            entry.outcome = Some("dpkg stopped at linux-image-arm64".into());
            entry.person = Some(Person { uid: 1000, name: Some("anna".into()) });
        }
        4 => entry.person = Some(Person { uid: 1000, name: None }),
        6 => {
            packages_of(entry, &[("vim", Purge)]);
            entry.comment = Some("too many editors".into());
        }
        _ => {}
    };
    let notes = [(4, "waits for the next start")];
    same(
        written(text, 4, 80, &notes, edit),
        r#"
lab, newest first: * is in it now, o is not
*    6  00:06  -         1 purged: vim
|       "too many editors"
*    5  00:05  -         settings changed
|       unprotected: it has no point
*    4  00:04  uid 1000  undo: back to before 3
|       waits for the next start
| o  3  00:03  anna      6 upgraded: linux-image-arm64, linux-image-arm64, ...
| |     failed: dpkg stopped at linux-image-arm64; taken back
|/
*    2  00:02  -         1 installed, 2 upgraded: nginx, libc6, libc-bin
*    1  00:01  -         profile created
"#,
    );
}

#[test]
fn branches_bend_back_to_where_they_left() {
    let twice_and_redone = "1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 undo>2 @4, 6 redo>5 @5, 7 apt @6";
    same(
        written(twice_and_redone, 6, 80, &[], |_| ()),
        "
lab, newest first: * is in it now, o is not
*      7  00:07  -  no package changed
*      6  00:06  -  redo: again as before 5
| o    5  00:05  -  undo: back to before 2
| |       taken back
* |    4  00:04  -  undo: back to before 3
| | o  3  00:03  -  no package changed
| | |     taken back
| |/
|/|
* |    2  00:02  -  no package changed
|/
*      1  00:01  -  profile created
",
    );
    let gaps_are_filled =
        "1 create, 2 apt @1, 3 apt @1, 4 undo>3 @1, 5 apt @4, 6 apt @4, 7 undo>6 @4, 8 undo>5 @7";
    same(
        written(gaps_are_filled, 8, 80, &[], |_| ()),
        "
lab, newest first: * is in it now, o is not
*      8  00:08  -  undo: back to before 5
| o    7  00:07  -  undo: back to before 6
| |       taken back
| | o  6  00:06  -  no package changed
| | |     taken back
| |/
| o    5  00:05  -  no package changed
| |       taken back
|/
*      4  00:04  -  undo: back to before 3
| o    3  00:03  -  no package changed
| |       taken back
|/
*      2  00:02  -  no package changed
*      1  00:01  -  profile created
",
    );
}

#[test]
fn a_cancelled_undo_and_a_lost_page() {
    same(
        written("1 create, 2 apt @1, 3 undo>2 @1 cancelled, 4 apt @1, 5 teleport @1", 1, 80, &[], |_| ()),
        "
lab, newest first: * is in it now, o is not
*  5  00:05  -  teleport (made by a newer program)
*  4  00:04  -  no package changed
o  3  00:03  -  undo: back to before 2
|     cancelled
*  2  00:02  -  no package changed
*  1  00:01  -  profile created
",
    );
    same(
        written(
            "5 apt @4, 6 apt @4 interrupted, 7 undo>5 @4, 8 apt @4 open",
            7,
            80,
            &[(8, "stays behind")],
            |_| (),
        ),
        "
lab, newest first: * is in it now, o is not
| o  8  00:08  -  no package changed
| |     stays behind; open
* |  7  00:07  -  undo: back to before 5
  o  6  00:06  -  no package changed
  |     interrupted; taken back
  o  5  00:05  -  no package changed
        taken back
",
    );
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let edit = |entry: &mut Entry| {
        entry.planned = vec![Planned {
            package: "a\x1b[31mb\n".into(),
            architecture: "all".into(),
            old: None,
            new: None,
            action: Action::Install,
        }];
        entry.person = Some(Person { uid: 0, name: Some("o\u{202e}o\r".into()) });
        entry.comment = Some("\u{9b}2J\t".into());
    };
    same(
        written("2 apt @1 failed", 1, 80, &[], edit),
        r#"
lab, newest first: * is in it now, o is not
*  2  00:02  o?o?  1 installed: a?[31mb?
      failed; "?2J?"
"#,
    );
}

#[test]
fn an_empty_page_and_a_narrow_coloured_one() {
    assert_eq!(
        written("1 create", 1, 10, &[], |_| ()).lines().last(),
        Some("*  1  00:01  -  profile created")
    );
    let entries = history("1 create, 2 apt @1, 3 undo>2 @1");
    let history = History::new(&entries);
    let paper = Paper { colour: true, width: 30, when: &short };
    assert_eq!(page("lab", &[], &history, number(1), &paper), "lab: nothing has happened yet\n");
    let row = LogRow { entry: &entries[1], in_line: false, point: false, pruned: None, note: None };
    same(
        page("lab", &[row], &history, number(3), &paper),
        "
lab, newest first: * is in it now, o is not
| o  \x1b[2m2  00:02  -  no package ...\x1b[0m
| |     \x1b[2mtaken back; its ...\x1b[0m
",
    );
}
