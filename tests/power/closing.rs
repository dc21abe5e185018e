//! Closing an entry is one fsync of a file with a new name; before a point it is none at all where the
//! entry lies in the metadata (system/journal.rs). That this is durable is btrfs's word, not POSIX's: here
//! the journal alone is recorded, nothing else is ever synced, and the power goes right after each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flipper_profiles::model::{Entry, EntryNumber, Kind, Layout, State};
use flipper_profiles::system::journal::Journal;
use flipper_profiles::system::{btrfs, files};

use crate::image::{Replay, Store};
use crate::log::Act;
use crate::points::{Kept, Point};
use crate::recorder::{Loop, Recorder, need, unmount};
use crate::recording::{Recording, SIZE, in_a_thread};
use crate::{check, say};

const ROUNDS: u64 = 24;

/// What was said to be so when a mark was written: `closed 7`, `open 7`; or a control, `unsynced 7` a file
/// and `unwritten 7` an entry that nobody asked for before the power went.
type Mark = (usize, String);

#[test]
fn a_closed_entry_is_closed_whatever_comes_after_it() {
    let _alone = check::alone();
    let (lost, controls) = in_a_thread(|| {
        let (recording, marks) = record();
        let store = Store::make();
        let mut replay = Replay::begin(&recording, &store, 0);
        let mut lost = Vec::new();
        let mut images = 0;
        for (at, mark) in &marks {
            let flush = recording.requests[..*at].iter().rposition(|request| request.act == Act::Flush);
            let durable = flush.map_or(0, |flush| flush + 1);
            for kept in [Kept::Nothing, Kept::Some(*at as u64)] {
                images += 1;
                let image = replay.build(&Point { durable, cut: *at, kept });
                if !holds(&image, &store.dir.path().join("top"), mark) {
                    lost.push((mark.clone(), kept));
                }
            }
        }
        let (controls, lost): (Vec<_>, Vec<_>) =
            lost.into_iter().partition(|(mark, _)| mark.starts_with("un"));
        say(format_args!(
            "power: closing: {images} images, {} lost; controls, nothing asked for: {} lost",
            lost.len(),
            controls.len()
        ));
        (lost, controls)
    });
    assert!(lost.is_empty(), "said, and not so after the cut: {lost:?}");
    for control in ["unsynced", "unwritten"] {
        let failed = controls.iter().any(|(mark, _)| mark.starts_with(control));
        assert!(failed, "{control}, and there after the cut: this test cannot fail");
    }
}

fn record() -> (Recording, Vec<Mark>) {
    let dir = tempfile::tempdir().expect("a directory");
    let recorder = Recorder::start(dir.path(), SIZE);
    need(Command::new("mkfs.btrfs").args(["--quiet", recorder.device()]));
    let top = dir.path().join("top");
    fs::create_dir(&top).expect("make");
    need(Command::new("mount").args(["-o", "noatime,commit=300", recorder.device()]).arg(&top));
    fs::create_dir_all(top.join("@journal/entries/.pool")).expect("make");
    fs::create_dir_all(top.join("@profiles")).expect("make");
    btrfs::create(&top.join("root")).expect("a subvolume");
    for round in 0..ROUNDS {
        entries(&recorder, &Layout::new(&top), round);
        points(&recorder, &Layout::new(&top), round);
    }
    unmount(&top).expect("unmount");
    let log = fs::File::open(dir.path().join("log")).expect("open the log");
    let (requests, marks) = recorder.stop();
    (Recording { log, requests, steps: Vec::new(), bases: Default::default() }, marks)
}

/// With and without a commit since the entry was begun; closed, opened again (an unattended upgrade of
/// many commits), closed again under the very name that was just removed.
fn entries(recorder: &Recorder, layout: &Layout, round: u64) {
    let journal = Journal::new(layout);
    let lock = || journal.lock().expect("the journal's lock");
    let mut entry = lock().begin(Kind::Default, "now".into(), |_| {}).expect("begin");
    if round % 2 == 0 {
        files::sync_file_system(layout.top()).expect("sync");
    }
    entry.state = State::Completed;
    lock().close(&entry).expect("close");
    recorder.mark(&format!("closed {}", entry.number));
    if round % 3 == 0 {
        entry.state = State::Open;
        lock().reopen(&entry).expect("reopen");
        recorder.mark(&format!("open {}", entry.number));
        entry.state = State::Completed;
        lock().close(&entry).expect("close");
        recorder.mark(&format!("closed {}", entry.number));
    }
    if round % 5 == 0 {
        fs::write(unsynced(layout.top(), &entry), "nobody waits for this").expect("write");
        recorder.mark(&format!("unsynced {}", entry.number));
    }
}

/// An entry, short enough to lie in the metadata or too long for it, and then a point.
fn points(recorder: &Recorder, layout: &Layout, round: u64) {
    let journal = Journal::new(layout);
    let fill = |entry: &mut Entry| entry.command_line = (round % 2 == 1).then(|| "apt ".repeat(2000));
    let locked = journal.lock().expect("the journal's lock");
    let entry = locked.begin(Kind::Packages, "now".into(), fill).expect("begin");
    let control = round % 4 > 1;
    if !control {
        journal.sync_before_point(&entry).expect("sync");
    }
    let point = layout.top().join(format!("point-{round}"));
    btrfs::point(&layout.top().join("root"), &point).expect("a point");
    recorder.mark(&format!("{} {}", if control { "unwritten" } else { "open" }, entry.number));
    btrfs::delete(&point).expect("delete");
}

fn unsynced(top: &Path, entry: &Entry) -> PathBuf {
    top.join(format!("@journal/entries/unsynced-{}", entry.number))
}

/// Is it so, as our own reader sees it after the cut?
fn holds(image: &Path, top: &Path, mark: &str) -> bool {
    let (what, number) = mark.split_once(' ').expect("two words");
    let number: EntryNumber = number.parse().expect("a number");
    fs::create_dir_all(top).expect("make");
    let device = Loop::attach(&[], image);
    need(Command::new("mount").arg(&device.path).arg(top));
    let found = Journal::new(&Layout::new(top)).entry(None, number);
    let so = match what {
        "unsynced" => top.join(format!("@journal/entries/unsynced-{number}")).exists(),
        _ => found.ok().flatten().is_some_and(|entry| entry.is_open() != (what == "closed")),
    };
    unmount(top).expect("unmount");
    check::forget(&device.path);
    so
}
