//! Class and tests: a class that is said to be looked at has a test that builds it and one that builds a
//! near miss, and no test is about a class nobody looks at.

use std::collections::BTreeMap;
use std::process::Command;

use flipper_profiles::policy::check::class::Class;

use crate::rig::need;

#[test]
fn every_class_that_is_looked_at_is_built_and_nearly_built() {
    let list = need(
        "this test",
        Command::new(std::env::current_exe().unwrap()).args(["--list", "--format", "terse"]),
    );
    let mut tests: BTreeMap<Class, [Vec<&str>; 2]> = BTreeMap::new();
    for name in list.lines().filter_map(|line| line.strip_suffix(": test")) {
        let last = name.rsplit("::").next().unwrap();
        let Some((class, rest)) = last.split_once('_') else { continue };
        let Ok(class) = class.parse::<Class>() else { continue };
        let near = rest.starts_with("near_miss");
        assert!(near || rest.starts_with("found"), "{name}: f1_found... or f1_near_miss...");
        tests.entry(class).or_default()[usize::from(near)].push(name);
    }
    let mut wrong = Vec::new();
    for class in Class::ALL {
        let [found, near] = tests.get(class).cloned().unwrap_or_default();
        println!("{class:>4}  {}", [&found[..], &near[..]].concat().join(" "));
        match (class.is_looked_at(), found.is_empty(), near.is_empty()) {
            (true, false, false) | (false, true, true) => {}
            (true, true, _) => wrong.push(format!("{class}: no test builds it")),
            (true, _, true) => wrong.push(format!("{class}: no near miss")),
            (false, ..) => wrong.push(format!("{class}: tested, but it has no text in explain/")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
