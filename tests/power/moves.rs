//! Profiles move to another base, and back: one alone, with apt and without, while it runs, and all of a
//! device. The next base breaks a package the profile has in an older version, and gives an account another
//! number.

use std::path::Path;

use crate::check::{ends, is_harmless, verify};
use crate::facts::{Facts, names};
use crate::judge::Between;
use crate::machine::{Machine, call};
use crate::workload::{Sort, Step, apt, step};

/// What the first base has of its own.
pub const OLD: &str = "useradd --system --uid 850 --no-create-home moved";
/// And what it becomes.
pub const NEXT: &str = "set -e; userdel moved; useradd --system --uid 851 --no-create-home moved
    apt-get -qq install plain-partner > /dev/null 2>&1";

pub fn steps(next: String, small: String) -> Vec<Step> {
    let mut steps = one(next);
    steps.extend(all(small));
    steps
}

fn rebase(name: &'static str, to: &'static str) -> Step {
    step(name, Sort::Moves, move |m| m.profile(&["rebase", "lab", "--base", to, "--yes"]))
}

fn one(next: String) -> Vec<Step> {
    use Sort::{Live, Ours, Writing};
    let older = format!("apt-get -qq update; {}", apt("install --allow-downgrades plain=1"));
    vec![
        step("import the next one", Ours, move |m| {
            m.base(&["import", &next, "--version", "next", "--clean"])
        }),
        step("apt install for a rebase", Live, move |m| m.run(&older)),
        step("data of an account", Writing, |m| {
            m.run("echo mine > /root/moved; chown moved: /root/moved; sync")
        }),
        rebase("rebase", "next"),
        step("undo of a rebase", Ours, |m| m.undo(&[])),
        step("redo of a rebase", Ours, |m| m.undo(&["--redo"])),
        rebase("rebase without apt", "1"),
        step("enter, for a rebase", Writing, |m| m.enter("true")),
        rebase("rebase of what runs", "next"),
        step("cancel of a rebase", Ours, |m| m.undo(&["--cancel"])),
        rebase("rebase of what runs, again", "next"),
        step("leave, for a rebase", Ours, |m| m.leave()),
        step("a start on another base", Ours, |m| m.run("true")),
    ]
}

/// `third` moves, and somebody stays.
fn flip(name: &'static str, words: &'static [&'static str]) -> Step {
    let act = move |m: &mut Machine| {
        let done = m.base(words);
        let moved =
            done.out.lines().any(|line| line.starts_with("third ") && line.trim_end().ends_with(" moved"));
        assert!(moved, "{words:?}: {}{}", done.out, done.err);
        done
    };
    Step { status: 1, ..step(name, Sort::Moves, act) }
}

fn all(small: String) -> Vec<Step> {
    use Sort::{Live, Ours};
    let older = apt("install --allow-downgrades plain=1");
    vec![
        step("undo to the first base", Ours, |m| m.undo(&[])),
        step("apt install for a flip", Live, move |m| m.run(&older)),
        flip("flip", &["flip", "next", "--yes"]),
        step("rollback", Sort::Moves, |m| m.base(&["rollback", "--yes"])),
        flip("flip by name", &["flip", "next", "--profiles", "third", "--yes"]),
        step("import an old one", Ours, move |m| m.base(&["import", &small, "--version", "0", "--clean"])),
        step("prune an old base", Ours, |m| m.base(&["prune", "0", "--yes"])),
    ]
}

/// A flip that was cut is done again or, as often (`back`), taken back; a rollback and a rebase are done again.
pub fn again(
    device: &str,
    between: &Between,
    back: bool,
    facts: impl Fn() -> Result<Facts, String>,
) -> Result<(), String> {
    let (words, expected): (&[&str], &Facts) = match between.step.map(|step| step.name) {
        Some("flip") if back => (&["rollback", "--yes"], between.before),
        Some("flip") => (&["flip", "next", "--yes"], between.after),
        Some("rollback") => (&["rollback", "--yes"], between.after),
        Some("rebase") => {
            let ended = call("flipper-profile", device, &["rebase", "lab", "--base", "next", "--yes"], b"");
            let there = ended.status == 64 && ended.err.contains("it stands on base next already");
            return if there { Ok(()) } else { ends(&ended, 0, "rebase, again") };
        }
        _ => return Ok(()),
    };
    let ended = call("flipper-base", device, words, b"");
    // Before it had changed anything, or after it had done it all.
    let nothing = ended.status == 64 && ended.err.contains("there is no flip to take back");
    if !nothing {
        ends(&ended, if words[0] == "flip" { 1 } else { 0 }, words[0])?;
    }
    let now = facts()?;
    if now.current_base != expected.current_base {
        return Err(format!("{words:?}, again, and the current base is {:?}", now.current_base));
    }
    for (id, profile) in &now.profiles {
        let was = &expected.profiles[id];
        let fine =
            profile.tree.base == was.tree.base && (words[0] == "flip" || profile.tree.is_back(&was.tree));
        if !fine {
            return Err(format!("{words:?}, again, and {id}:\n{}", was.tree.differences(&profile.tree)));
        }
    }
    verify(device, is_harmless)
}

/// What gave way to a rebase is kept beside its entry, of one that came to pass.
pub fn nothing_saved_for_nothing(top: &Path, facts: &Facts) -> Result<(), String> {
    for ((owner, number), (_, state)) in &facts.entries {
        let saved = top.join("@journal/entries").join(owner).join(number.to_string()).join("saved");
        if state == "cancelled" && !names(&saved).map_err(|e| e.to_string())?.is_empty() {
            return Err(format!("entry {number} of {owner} is {state}, and there is {}", saved.display()));
        }
    }
    Ok(())
}
