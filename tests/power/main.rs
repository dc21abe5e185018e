//! Power cuts. A workload of real programs is recorded write by write; then the power is cut at every
//! flush, and anywhere between two of them with any part of the later writes lost. Each image is mounted
//! and asked what it promises (power/judge.rs): what was acknowledged is there, and what was under way is
//! as before or as after.
//!
//! The short form takes FLIPPER_POWER_POINTS points (300) chosen by FLIPPER_POWER_SEED, `tests/run power
//! --all` every one. Needs root, and a Debian root as the apt tests do.

// These three are the apt tests' rig.
#[path = "../apt/repo.rs"]
mod repo;
#[path = "../apt/rig.rs"]
mod rig;
#[path = "../apt/tree.rs"]
mod tree;

mod check;
mod closing;
mod controls;
mod data;
mod facts;
mod image;
mod judge;
mod log;
mod machine;
mod moves;
mod points;
mod recorder;
mod recording;
#[allow(dead_code)]
#[path = "../rig/root.rs"]
mod root;
mod workload;

use std::io::Write;

use points::Choice;

/// Said past the capturing of the test harness: the number of points is the result.
fn say(text: std::fmt::Arguments) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[test]
fn whatever_the_power_cut_leaves_is_before_or_after() {
    let recording = recording::whole();
    let all = points::all(recording);
    let choice = Choice::of_environment(all.len());
    let chosen = points::choose(recording, &all, &choice);
    let ended = check::all(recording, &chosen);
    say(format_args!("power: {}", ended.sentence()));
    say(format_args!(
        "power: {} crash points of {}, seed {}",
        thousands(chosen.len()),
        thousands(all.len()),
        choice.seed
    ));
    assert!(ended.failures.is_empty(), "{} points fail:\n{}", ended.failures.len(), ended.text());
}

/// `1,234`
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
