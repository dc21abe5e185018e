use std::collections::BTreeMap;

use super::*;
use crate::model::difference::NodeKind;
use crate::model::tree::Object;
use crate::policy::check::finding::Severity;

/// A base of directories (`d/`) and files.
struct Base(BTreeMap<Vec<u8>, Object>);

fn object(path: &str) -> (Vec<u8>, Object) {
    let kind = if path.ends_with('/') { NodeKind::Directory } else { NodeKind::File };
    let object = Object {
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
        size: None,
        sha256: None,
        target: None,
        device: 0,
        xattrs: None,
        linked: None,
    };
    (path.trim_end_matches('/').as_bytes().to_vec(), object)
}

impl Tree for Base {
    fn find(&self, path: &[u8]) -> Result<Option<Object>> {
        Ok(self.0.get(path).cloned())
    }

    fn text(&self, _: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn below(&self, dir: &[u8], visit: &mut dyn FnMut(&[u8], &Object)) -> Result<()> {
        let mut below: Vec<_> = self.0.iter().filter(|(path, _)| tree::is_below(path, dir)).collect();
        below.sort_by(|a, b| tree::order(a.0, b.0));
        below.into_iter().for_each(|(path, object)| visit(path, object));
        Ok(())
    }

    fn texts(&self, _: &[u8], _: &[u8], _: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        Ok(())
    }
}

/// `d/!`: opaque. `d/a*`: with a note of its origin. `d/a-`: a whiteout.
fn triples(upper: &[&str], base: &Base) -> Vec<Triple> {
    let mut triples: Vec<Triple> = upper
        .iter()
        .map(|text| {
            let (path, mine) = object(text.trim_end_matches(['!', '*', '-']));
            let marks = if text.ends_with('*') { vec!["trusted.overlay.origin".into()] } else { vec![] };
            let old = base.0.get(&path).cloned().map(Box::new);
            let mine = (!text.ends_with('-')).then(|| Box::new(mine));
            Triple { mine, inode: 1, opaque: text.ends_with('!'), marks, new: old.clone(), old, path }
        })
        .collect();
    triples.sort_by(|a, b| tree::order(&a.path, &b.path));
    triples
}

fn mend(base: &[&str], upper: &[&str], findings: &[(Class, &str)]) -> Mending {
    let base = Base(base.iter().map(|path| object(path)).collect());
    let finding =
        |(class, path): &(Class, &str)| Finding::path(*class, Severity::Automatic, path.as_bytes(), "");
    let findings: Vec<Finding> = findings.iter().map(finding).collect();
    let triples = triples(upper, &base);
    plan(&Patient { findings: &findings, triples: &triples, base: &base, merged: &base }).unwrap()
}

fn text(edits: &[Edit]) -> Vec<String> {
    let path = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
    let word = |edit: &Edit| match edit {
        Edit::Drop(p) => format!("drop {}", path(p)),
        Edit::DropIfEmpty(p) => format!("rmdir {}", path(p)),
        Edit::Hide(p) => format!("hide {}", path(p)),
        Edit::Open(p) => format!("open {}", path(p)),
        Edit::Attribute { path: p, .. } => format!("strip {}", path(p)),
        other => format!("{other:?}"),
    };
    edits.iter().map(word).collect()
}

#[test]
fn nothing_to_mend_is_nothing_also_where_something_would_go_along() {
    let mending = mend(&["d/", "d/a"], &["d/", "d/a*", "new/!", "new/x"], &[(Class::F2, "d/a")]);
    assert!(mending.is_empty());
}

#[test]
fn a_copy_goes_and_notes_of_what_stays_go_along() {
    let mending = mend(
        &["d/", "d/a", "d/b"],
        &["d/", "d/a*", "d/b*", "new/!", "new/x", "gone-"],
        &[(Class::F1, "d/a"), (Class::F13, "d/a"), (Class::F6, "gone")],
    );
    assert_eq!(text(&mending.edits()), ["drop d/a", "drop gone", "strip d/b", "open new"]);
    assert_eq!(mending.outcome(), "1 copy dropped, 1 directory opened, 1 whiteout dropped");
}

/// The base's names that nobody saw are hidden one by one: the topmost of each, and none that something else
/// goes on hiding.
#[test]
fn a_directory_above_a_copy_is_opened_without_showing_anything() {
    let base = ["d/", "d/a", "d/b", "d/sub/", "d/sub/deep/", "d/sub/deep/x", "d/kept/", "d/kept/y", "e/"];
    let upper = ["d/!", "d/a", "d/own", "d/kept/!", "d/kept/mine", "e/!"];
    let mending = mend(&base, &upper, &[(Class::F1, "d/a")]);
    assert_eq!(text(&mending.edits()), ["drop d/a", "open d", "hide d/b", "hide d/sub"]);
    // A copy within what is hidden a second time: both are opened.
    let upper = ["d/!", "d/kept/!", "d/kept/y", "d/b/", "d/b/z"];
    let mending = mend(&[&base[..], &["d/kept/more"]].concat(), &upper, &[(Class::F1, "d/kept/y")]);
    let wanted = ["drop d/kept/y", "open d", "hide d/a", "hide d/sub", "open d/kept", "hide d/kept/more"];
    assert_eq!(text(&mending.edits()), wanted);
}

#[test]
fn what_nobody_sees_goes_with_the_directories_that_held_it() {
    let found = [(Class::F24, "run/a/b/c"), (Class::F24, "run/a/d"), (Class::F24, "tmp/x")];
    let mending = mend(
        &["run/", "tmp/"],
        &["run/", "run/a/!", "run/a/b/", "run/a/b/c", "run/a/d", "tmp/", "tmp/x"],
        &found,
    );
    let wanted =
        ["drop run/a/b/c", "drop run/a/d", "drop tmp/x", "open run/a", "rmdir run/a/b", "rmdir run/a"];
    assert_eq!(text(&mending.edits()), wanted);
}

#[test]
fn another_overlay_in_between_refuses_all_of_it() {
    let findings = [Finding::path(Class::F17, Severity::Blocker, b"x", "")];
    let base = Base(BTreeMap::new());
    let patient = Patient { findings: &findings, triples: &[], base: &base, merged: &base };
    assert!(matches!(plan(&patient), Err(Error::NotMendable { .. })));
    assert!(matches!(named::plan(&patient, &[b"usr".to_vec()]), Err(Error::NotMendable { .. })));
}
