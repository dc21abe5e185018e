//! Real bases from Debian's archive, a real profile with two dozen local changes, and the truth: the base
//! is exchanged under a copy of the profile as nobody should, and what breaks there is held against what
//! the check had said. Everything that breaks was predicted, and nothing predicted is false.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::pair::{Facts, Pair};

#[path = "../long/mod.rs"]
mod long;

/// The subjects of a class.
fn subjects(findings: &[Value], class: &str) -> BTreeSet<String> {
    let these = findings.iter().filter(|finding| finding["class"] == class);
    these
        .map(|f| f["subject"].as_object().unwrap().values().next().unwrap().as_str().unwrap().into())
        .collect()
}

/// The first word of each fact of a kind whose other words are not the same before.
fn changed(before: &Facts, after: &Facts, kind: &str) -> BTreeSet<String> {
    let none = Vec::new();
    let known = before.get(kind).unwrap_or(&none);
    let new = after.get(kind).unwrap_or(&none).iter().filter(|words| !known.contains(words));
    new.map(|words| words[0].clone()).collect()
}

/// Libraries that cannot be found any more are those the check named, no more and no fewer.
fn libraries_are_as_predicted(findings: &[Value], before: &Facts, after: &Facts) {
    assert_eq!(changed(before, after, "missing"), subjects(findings, "P12"), "missing libraries");
}

/// A program that broke has a missing library, or the check said why its interpreter does not fit.
fn programs_are_as_predicted(findings: &[Value], before: &Facts, after: &Facts) {
    let broken = |facts: &Facts| -> BTreeSet<String> {
        facts["program"].iter().filter(|words| words[1] != "0").map(|words| words[0].clone()).collect()
    };
    let binaries =
        BTreeMap::from([("ping", "/usr/bin/ping"), ("curl", "/usr/bin/curl"), ("man", "/usr/bin/man")]);
    let none = Vec::new();
    for name in broken(after).difference(&broken(before)) {
        let explained = match name.as_str() {
            "perl" => ["F1", "F2", "F4", "P4", "P11"]
                .iter()
                .any(|c| subjects(findings, c).iter().any(|s| s.contains("perl"))),
            "requests" => {
                let python = |class: &&str| subjects(findings, class).iter().any(|s| s.contains("python"));
                ["P11", "P14"].iter().any(python)
            }
            other => {
                let binary = binaries.get(other).copied().unwrap_or("");
                let lacks =
                    |words: &&Vec<String>| words[1] == binary || words[1].contains(&format!("/{other}"));
                after.get("missing").unwrap_or(&none).iter().any(|words| lacks(&words))
            }
        };
        assert!(explained, "{name} broke, and nothing was said of it");
    }
}

/// What dpkg --verify complains of beyond what it did before is in a finding, or of a package that is.
fn verify_is_as_predicted(findings: &[Value], before: &Facts, after: &Facts) {
    let said: BTreeSet<String> = findings
        .iter()
        .filter_map(|finding| finding["subject"]["path"].as_str())
        .map(|path| path.trim_end_matches("/*").to_owned())
        .collect();
    let unsaid: Vec<String> = changed(before, after, "verify")
        .into_iter()
        .filter(|path| !said.iter().any(|known| path == known || path.starts_with(&format!("{known}/"))))
        .collect();
    // What is left belongs to packages whose records are the old base's (P1), all of it.
    if !unsaid.is_empty() {
        assert!(!subjects(findings, "P1").is_empty(), "{unsaid:#?}");
    }
}

/// dpkg names the versions of the old base, and the check says so.
fn records_are_as_predicted(findings: &[Value], exchanged: &Facts, fresh: &Facts) {
    let wrong = changed(fresh, exchanged, "version").len();
    assert_eq!(wrong > 0, !subjects(findings, "P1").is_empty(), "versions dpkg is wrong about");
}

/// By the C library: an account the profile shows with another number than the candidate has (A2), one whose
/// number is somebody else's in the candidate (A3), and those the exchange hides (A1).
fn accounts_are_as_predicted(findings: &[Value], exchanged: &Facts, fresh: &Facts) {
    let (mut drifted, mut shared, mut hidden) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for kind in ["id", "gid"] {
        let numbers = |facts: &Facts| -> BTreeMap<String, String> {
            facts[kind].iter().map(|words| (words[0].clone(), words[1].clone())).collect()
        };
        let (here, there) = (numbers(exchanged), numbers(fresh));
        for (name, number) in &here {
            let given = |(other, n): (&String, &String)| n == number && here.get(other) != Some(n);
            match there.get(name) {
                Some(new) if new != number => drop(drifted.insert(name.clone())),
                None if there.iter().any(given) => drop(shared.insert(name.clone())),
                _ => {}
            }
        }
        hidden.extend(there.keys().filter(|name| !here.contains_key(*name)).cloned());
    }
    assert_eq!(subjects(findings, "A2"), drifted, "accounts with another number");
    assert_eq!(subjects(findings, "A3"), shared, "numbers of two accounts");
    let told = subjects(findings, "A1");
    assert!(hidden.is_subset(&told), "hidden accounts {hidden:?}, told {told:?}");
}

/// dpkg's table, by the checksums it has on record and those of the files: what is in the upper and not as it
/// was shipped is in the finding of its row, and nothing else is.
fn conffiles_are_as_predicted(pair: &Pair, findings: &[Value], before: &Facts, fresh: &Facts) {
    let of = |facts: &Facts| -> BTreeMap<String, (String, String)> {
        let rows = facts["conffile"].iter();
        rows.map(|words| (words[0].clone(), (words[1].clone(), words[2].clone()))).collect()
    };
    let (mine, new) = (of(before), of(fresh));
    let upper = pair.rig.root_dir("lab").join("root");
    let mut wanted: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, (was, found)) in &mine {
        let Some((is, _)) = new.get(path) else { continue };
        let in_the_upper = upper.join(&path[1..]).symlink_metadata().is_ok();
        let class = match (found == "missing", was == is) {
            _ if !in_the_upper || found == was => continue,
            (true, true) => "C4",
            (true, false) => "C5",
            _ if found == is => "C3",
            (false, true) => "C2",
            (false, false) => "C6",
        };
        wanted.entry(class).or_default().insert(path.clone());
    }
    assert!(!wanted.is_empty(), "the profile has no changed conffile");
    for class in ["C2", "C3", "C4", "C5", "C6"] {
        assert_eq!(subjects(findings, class), wanted.remove(class).unwrap_or_default(), "{class}");
    }
}

/// The stale copies are the files that hide what the candidate has.
fn copies_are_as_predicted(pair: &Pair, findings: &[Value]) {
    let candidate = pair.rig.in_pool("@base/2");
    let base = pair.rig.in_pool("@base/1");
    for class in ["F1", "F2"] {
        for path in subjects(findings, class) {
            let inside = path.trim_start_matches('/');
            let bytes = |tree: &Path| fs::read(tree.join(inside)).ok();
            let mine = bytes(&pair.rig.root_dir("lab").join("root"));
            assert_eq!(mine, bytes(&base), "{class} {path}: it is no copy");
        }
    }
    for path in subjects(findings, "F15") {
        let inside = path.trim_start_matches('/');
        let there = |tree: &Path| tree.join(inside).symlink_metadata().is_ok();
        assert!(!there(&base) && there(&candidate), "F15 {path}");
    }
    for path in subjects(findings, "F6") {
        let inside = path.trim_start_matches('/');
        assert!(candidate.join(inside).symlink_metadata().is_err(), "F6 {path}");
    }
    for path in ["/usr/bin/cat", "/usr/bin/perl"] {
        assert!(subjects(findings, "F1").contains(path), "{path}");
    }
}

fn everything_holds(candidate: &str) {
    let pair = Pair::with(candidate);
    pair.exchange("exchanged");
    let findings = pair.check();
    pair.rig.profile(&["create", "fresh", "--base", "2"]).ok();
    let (before, after, fresh) = (pair.facts("lab"), pair.facts("exchanged"), pair.facts("fresh"));
    copies_are_as_predicted(&pair, &findings);
    conffiles_are_as_predicted(&pair, &findings, &before, &fresh);
    libraries_are_as_predicted(&findings, &before, &after);
    programs_are_as_predicted(&findings, &before, &after);
    verify_is_as_predicted(&findings, &before, &after);
    records_are_as_predicted(&findings, &after, &fresh);
    accounts_are_as_predicted(&findings, &after, &fresh);
}

/// Debian 12 with its security updates; in the long form Debian 13 too.
#[test]
fn what_breaks_between_real_bases_was_predicted() {
    for candidate in long::pick(&["bookworm"][..], &["bookworm", "trixie"]) {
        everything_holds(candidate);
    }
}
