//! The rig must be able to fail: a disk that lies, and a program that does not wait, are found out.

use crate::check::{self, Ended};
use crate::log::Act;
use crate::points::{self, Kept, Point, Random};
use crate::recording::{self, Recording};
use crate::say;
use crate::workload::UNDO;

/// Every point of the undo that waits, and of what comes after it.
fn of_the_undo(recording: &Recording) -> Vec<Point> {
    let undo = recording.steps.iter().find(|step| step.name == UNDO).expect("an undo");
    points::all(recording).into_iter().filter(|point| point.cut >= undo.begun).collect()
}

fn with_words<'a>(ended: &'a Ended, words: &[&str]) -> Vec<&'a String> {
    ended.failures.iter().filter(|why| words.iter().any(|word| why.contains(word))).collect()
}

/// What the next test takes away is what keeps this one.
#[test]
fn an_undo_survives_from_the_moment_it_says_so() {
    let recording = recording::tiny(false);
    let ended = check::all(&recording, &of_the_undo(&recording));
    assert!(ended.points > 20, "{} points are none", ended.points);
    assert!(ended.failures.is_empty(), "{}", ended.text());
}

#[test]
fn an_undo_that_does_not_wait_for_the_disk_is_found_out() {
    let recording = recording::tiny(true);
    let ended = check::all(&recording, &of_the_undo(&recording));
    let acknowledged = with_words(&ended, &[&format!("after {UNDO:?}")]);
    say(format_args!(
        "power: control, no fsync: {} of {} images fail, {} of them have lost what was acknowledged",
        ended.failures.len(),
        ended.points,
        acknowledged.len()
    ));
    assert!(!acknowledged.is_empty(), "nothing was lost: this rig cannot fail");
}

/// A disk that says a flush is done and has kept any part of the writes before it.
#[test]
fn a_disk_that_lies_is_found_out() {
    let recording = recording::whole();
    let flushes = recording.requests.iter().enumerate().filter(|(_, request)| request.act == Act::Flush);
    let ends: Vec<usize> = flushes.map(|(at, _)| at + 1).collect();
    let born = recording.steps[0].ended;
    let mut random = Random(1);
    let mut points: Vec<Point> = Vec::new();
    while points.len() < 40 {
        let from = random.below(ends.len() as u64 - 30) as usize;
        let to = from + 4 + random.below(20) as usize;
        let kept = Kept::Some(random.next());
        points.extend((ends[from] > born).then_some(Point { durable: ends[from], cut: ends[to], kept }));
    }
    points.sort_by_key(|point| point.durable);
    let ended = check::all(recording, &points);
    let unmounted = with_words(&ended, &["mount: "]).len();
    let failures = ended.failures.len();
    say(format_args!(
        "power: control, a lying disk: {failures} of {} images fail, {unmounted} do not mount",
        ended.points
    ));
    assert!(failures > 4 && unmounted > 0, "a disk may lie as it likes: this rig cannot fail");
}
