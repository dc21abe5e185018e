//! Clean merges of texts, next to `git merge-file`: wherever both call a merge clean, both come to the same.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::Command;

use flipper_profiles::policy::text_merge::{LARGEST, clean};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// None: git calls it a conflict.
fn git(dir: &Path, [old, mine, new]: [&[u8]; 3]) -> Option<Vec<u8>> {
    for (name, text) in [("old", old), ("mine", mine), ("new", new)] {
        fs::write(dir.join(name), text).unwrap();
    }
    let mut command = Command::new("git");
    command.current_dir(dir).args(["merge-file", "-p", "-q", "mine", "old", "new"]);
    let ended = command.output().expect("these tests ask git itself: apt-get install git");
    let status = ended.status.code().expect("a status");
    assert!((0..128).contains(&status), "{}", String::from_utf8_lossy(&ended.stderr));
    (status == 0).then_some(ended.stdout)
}

/// What somebody does to the lines of a text: at a place, so many go, and these come.
type Change = (usize, usize, Vec<u8>);

fn changed(lines: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut lines = lines.to_vec();
    for (at, gone, come) in changes {
        let at = at % (lines.len() + 1);
        let end = (at + gone).min(lines.len());
        lines.splice(at..end, come.iter().copied());
    }
    lines
}

/// A line for each number; some are alike, some empty, one is no UTF-8.
fn text(lines: &[u8], ends: bool) -> Vec<u8> {
    let line = |number: &u8| match number {
        0 => b"\n".to_vec(),
        1 => b"# \xff\n".to_vec(),
        number => format!("option{number} = x\n").into_bytes(),
    };
    let mut text: Vec<u8> = lines.iter().flat_map(line).collect();
    if !ends {
        text.pop();
    }
    text
}

#[test]
fn a_clean_merge_is_gits() {
    let dir = tempfile::tempdir().unwrap();
    let change = (0usize..40, 0usize..3, vec(0u8..40, 0..3));
    let changes = move || vec(change.clone(), 1..4);
    let mut runner = TestRunner::new(Config { cases: crate::long::pick(400, 6000), ..Config::default() });
    let (both, neither) = (Cell::new(0), Cell::new(0));
    let made = (vec(0u8..40, 0..40), changes(), changes(), any::<[bool; 3]>());
    let ended = runner.run(&made, |(old, mine, new, ends)| {
        let texts = [
            text(&old, ends[0]),
            text(&changed(&old, &mine), ends[1] || ends[0]),
            text(&changed(&old, &new), ends[2] || ends[0]),
        ];
        let texts = [&texts[0][..], &texts[1], &texts[2]];
        let (ours, theirs) = (clean(texts[0], texts[1], texts[2]), git(dir.path(), texts));
        match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => {
                both.set(both.get() + 1);
                prop_assert_eq!(String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs));
            }
            (None, None) => neither.set(neither.get() + 1),
            _ => {}
        }
        Ok(())
    });
    ended.unwrap();
    let (both, neither) = (both.get(), neither.get());
    println!("clean for both: {both}, for neither: {neither}");
    assert!(both > 50 && neither > 10, "clean for both: {both}, for neither: {neither}");
}

#[test]
fn what_is_no_text_is_not_merged() {
    let text = b"a\nb\nc\nd\ne\n";
    let (mine, new) = (b"1\nb\nc\nd\ne\n", b"a\nb\nc\nd\n5\n");
    assert_eq!(clean(text, mine, new).unwrap(), b"1\nb\nc\nd\n5\n");
    assert_eq!(clean(text, b"a\nb\nc\nd\n6\n", new), None);
    for broken in [&b"a\nb\0\nc\nd\ne\n"[..], b"<<<<<<< mine\nb\nc\nd\ne\n", b"=======\r\nb\nc\nd\ne\n"] {
        assert_eq!(clean(text, broken, new), None, "{}", broken.escape_ascii());
    }
    assert_eq!(clean(text, &vec![b'\n'; LARGEST as usize + 1], new), None);
}
