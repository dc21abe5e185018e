//! Runs that were cut in the middle: what the journal says of them, and that undo restores.

use crate::rig::{Lab, Pool};

/// Starts the installation of `slow`, whose postinst destroys things and then takes its time.
const SLOW: &str = "cd /tmp; apt-get -qq install slow >/dev/null 2>&1 & A=$!
    until test -e /tmp/slow-began; do sleep 0.05; done
    D=$(grep -lxE '(Name:.)?dpkg' /proc/[0-9]*/comm | head -1); D=${D#/proc/}; D=${D%/comm}; ";

#[track_caller]
fn is_interrupted_and_goes_back(lab: &Lab, before: &crate::tree::Tree) {
    let entry = lab.newest();
    assert_eq!(entry["state"], "interrupted", "{entry:#}");
    assert_eq!(entry["outcome"], "cut off: undo returns to the state before it");
    assert!(lab.log().contains("interrupted at 0 of 1 packages: cut off"), "{}", lab.log());
    let after = lab.tree();
    assert!(!after.has("etc/important/letter"), "it was not cut in the middle");
    lab.undo(&[]).ok();
    lab.tree().must_be(before);
    lab.undo(&["--redo"]).ok();
    lab.tree().must_be(&after);
}

#[test]
fn apt_is_killed() {
    let lab = Pool::trixie().lab("kill-apt");
    let before = lab.tree();
    lab.run(&format!("{SLOW} kill -9 $A; true")).ok();
    is_interrupted_and_goes_back(&lab, &before);
}

/// The machine goes off: everything in the run ends at once.
#[test]
fn everything_is_killed() {
    let lab = Pool::trixie().lab("kill-all");
    let before = lab.tree();
    lab.run(&format!("{SLOW} kill -9 -1")).ok();
    is_interrupted_and_goes_back(&lab, &before);
}

/// apt lives on and its last hook runs: the entry is closed as failed.
#[test]
fn dpkg_is_killed() {
    let lab = Pool::trixie().lab("kill-dpkg");
    let before = lab.tree();
    let done = lab.run(&format!("{SLOW} kill -9 $D; wait $A; echo apt: $?")).ok();
    assert!(done.out.contains("apt: 100"), "{}", done.out);
    let entry = lab.newest();
    assert_eq!(entry["state"], "failed", "{entry:#}");
    // What dpkg had noted in updates/ only is not in its status yet.
    assert_eq!(entry["outcome"], "slow is unpacked");
    lab.back_and_forth(&before);
}

/// While the cut run's root is still in use, the next run closes its entry.
#[test]
fn the_next_run_closes_it() {
    let lab = Pool::trixie().lab("next-run");
    let before = lab.tree();
    lab.run(&format!(
        "{SLOW} kill -9 $A $D; sleep 0.2; flipper-undo --list; dpkg --configure -a; apt-get -qq install plain"
    ))
    .ok();
    let states: Vec<_> = lab.entries().iter().map(|e| e["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["completed", "completed", "interrupted"]);
    lab.undo(&[&lab.entries()[2]["number"].to_string()]).ok();
    lab.tree().must_be(&before);
}

/// In the run that was cut, without leaving it.
#[test]
fn undo_from_inside_after_a_cut() {
    let lab = Pool::trixie().lab("cut-inside");
    let before = lab.tree();
    let done = lab.run(&format!("{SLOW} kill -9 $A $D; sleep 0.2; flipper-undo --yes")).ok();
    assert!(done.err.contains("staged"), "{}", done.err);
    lab.tree().must_be(&before);
    let states: Vec<_> = lab.entries().iter().map(|e| format!("{} {}", e["kind"], e["state"])).collect();
    assert!(states.contains(&"\"packages\" \"interrupted\"".to_owned()), "{states:?}");
}

/// A hook that is killed stops nothing. `when`: before it did its work, or after.
fn hook_killed(id: &str, verb: &str, after: bool) -> (Lab<'static>, Vec<String>) {
    let lab = Pool::trixie().lab(id);
    let work = if after { "$0.real \"$@\"; " } else { "" };
    lab.run(&format!(
        "cd /usr/libexec/flipper-profiles; mv flipper-hook flipper-hook.real
         printf '%s\\n' '#!/bin/sh' 'if test \"$1\" = {verb}; then {work}kill -9 $$; fi' 'exec $0.real \"$@\"' > flipper-hook
         chmod 755 flipper-hook"
    ))
    .ok();
    let before = lab.tree();
    let done = lab.run("apt-get -qq install plain").ok();
    let said = done.ours().into_iter().map(str::to_owned).collect();
    if let Some(entry) = lab.entries().first() {
        assert_eq!(entry["kind"], "packages");
        lab.back_and_forth(&before);
    }
    (lab, said)
}

#[test]
fn the_first_hook_is_killed() {
    let not_finished = "flipper-profiles: flipper-hook pre did not finish: this run cannot be taken back";
    let (lab, said) = hook_killed("kill-pre", "pre", false);
    assert_eq!(said, [not_finished]);
    assert_eq!(lab.entries().len(), 0);
    let (lab, said) = hook_killed("kill-after-pre", "pre", true);
    assert_eq!(said, [not_finished]);
    assert_eq!(lab.entries()[2]["state"], "completed");
}

#[test]
fn the_second_hook_is_killed() {
    let (lab, said) = hook_killed("kill-packages", "packages", false);
    assert_eq!(
        said,
        ["flipper-profiles: flipper-hook packages did not finish: the journal lacks the list of this run"]
    );
    let entry = &lab.entries()[2];
    assert_eq!(entry["state"], "completed");
    assert!(entry["planned"].is_null());
    assert_eq!(crate::rig::changes(entry), ["install plain - 2", "install plain-lib - 1+sec1"]);
}

#[test]
fn the_last_hook_is_killed() {
    let not_finished =
        "flipper-profiles: flipper-hook post did not finish: the next run or boot closes the entry";
    let (lab, said) = hook_killed("kill-post", "post", false);
    assert_eq!(said, [not_finished]);
    assert_eq!(lab.entries()[2]["state"], "interrupted");
    let (lab, said) = hook_killed("kill-after-post", "post", true);
    assert_eq!(said, [not_finished]);
    assert_eq!(lab.entries()[2]["state"], "completed");
}
