//! Undo before the boot: while a root waits, the machine still runs the old one. Everything here is done
//! from inside the old root, as on a booted machine; then the power goes, and the next start is the boot.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::rig::{Done, Lab, Pool, changes};
use crate::tree::{self, Tree};

/// What the initramfs writes: from here on the programs take this root for the booted one.
const BOOTED: &str = "sed -i 's/^mode=run/mode=boot/' /run/flipper/booted; ";

/// The power goes: everything in the root ends at once.
const POWER_CUT: &str = "; kill -9 -1";

/// A script in the booted root, twice in the same way: it ends by itself, or the power goes at its end.
fn each_end(id: &str, test: impl Fn(&Lab, &dyn Fn(&str) -> Done)) {
    for (name, end) in [("end", ""), ("cut", POWER_CUT)] {
        let lab = Pool::trixie().lab(&format!("{id}-{name}"));
        test(&lab, &|script| lab.run(&format!("set -e; {BOOTED}{script}{end}")));
        let words = ["--pool", &lab.pool.device];
        let verify = crate::rig::command(
            &[&[&*crate::rig::program("flipper-profile")], &words[..], &["verify"]].concat(),
            &[],
            b"",
        );
        let ours: Vec<&str> = verify.out.lines().filter(|line| line.contains(&lab.id)).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}

/// `plain` in its first and its second version; the trees before, between and after.
fn two_runs(lab: &Lab) -> [Tree; 3] {
    let before = lab.tree();
    lab.run("apt-get -qq install plain=1").ok();
    let between = lab.tree();
    lab.run("apt-get -qq install plain").ok();
    [before, between, lab.tree()]
}

fn roots(lab: &Lab) -> Vec<u64> {
    let names = fs::read_dir(lab.dir().join("roots")).expect("roots");
    names.filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// `undo completed`, newest first.
fn brief(lab: &Lab) -> Vec<String> {
    let word = |e: &Value, of: &str| e[of].as_str().unwrap_or("-").to_owned();
    lab.entries().iter().map(|e| format!("{} {}", word(e, "kind"), word(e, "state"))).collect()
}

#[track_caller]
fn newest_of(lab: &Lab, kind: &str) -> Value {
    lab.entries()
        .into_iter()
        .find(|e| e["kind"] == kind)
        .unwrap_or_else(|| panic!("no {kind}: {:?}", brief(lab)))
}

#[test]
fn a_second_undo_goes_further_back() {
    each_end("second", |lab, booted| {
        let [before, _, after] = two_runs(lab);
        let done = booted("flipper-undo --yes; flipper-undo --yes; grep -x two /usr/share/plain/a");
        assert!(done.out.contains("which waits for the next start, is dropped for it"), "{}", done.out);
        assert!(done.out.ends_with("two\n"), "the running root was changed: {}", done.out);
        lab.tree().must_be(&before);
        assert_eq!(brief(lab)[..2], ["undo completed", "undo cancelled"].map(str::to_owned));
        assert_eq!(roots(lab).len(), 1, "{:?}", roots(lab));
        // To the very state that was left, not to the one the first undo would have made.
        lab.undo(&["--redo"]).ok();
        lab.tree().must_be(&after);
    });
}

#[test]
fn apt_after_an_undo_goes_with_the_old_root_and_is_kept() {
    each_end("late", |lab, booted| {
        let [before, _, _] = two_runs(lab);
        let script =
            "flipper-undo --yes; flipper-undo --yes; apt-get -qq install conf; echo mine > /etc/conf.conf
            flipper-undo --dry-run || true; flipper-undo --cancel --dry-run";
        let done = booted(script);
        assert!(
            done.err.contains("goes into the state that is being left; flipper-undo --cancel stays"),
            "{}",
            done.err
        );
        assert!(done.out.contains("were made since and stay"), "{}", done.out);
        lab.tree().must_be(&before);
        let left = newest_of(lab, "left");
        assert_eq!(changes(&left), ["install conf - 2"]);
        let (number, conf) = (left["number"].to_string(), newest_of(lab, "packages")["number"].to_string());
        let shown = lab.undo(&["--show", &number]).ok().out;
        for words in [format!("with entry {conf} "), "conf:all".into(), "/etc/conf.conf".into()] {
            assert!(shown.contains(&words), "{words:?} is not in\n{shown}");
        }
        assert!(lab.undo(&["--list"]).ok().out.contains(&format!("{number}  ")), "it is not offered");
        // Back to it by its number: with what was written by hand; and away again.
        lab.undo(&[&number]).ok();
        let tree = lab.tree();
        assert!(tree.has("var/lib/conf-made") && tree.has("usr/share/plain/b"));
        lab.run("grep -x mine /etc/conf.conf; dpkg-query -W conf").ok().says("conf\t2");
        lab.undo(&[&lab.entries()[0]["number"].to_string()]).ok();
        lab.tree().must_be(&before);
    });
}

/// What is kept is the old root as it was, byte for byte.
#[test]
fn what_was_left_is_kept_byte_for_byte() {
    let lab = Pool::trixie().lab("bytes");
    two_runs(&lab);
    let (root, flag) = (roots(&lab)[0], lab.pool.top.join("@data/home/wait-bytes"));
    let upper = |place: String| tree::read(&lab.dir().join(place).join("root"));
    let script = format!(
        "{BOOTED}flipper-undo --yes; apt-get -qq install conf; echo x > /etc/hand; touch /home/done-bytes
             while test -e /home/wait-bytes; do sleep 0.05; done"
    );
    let written = std::thread::scope(|scope| {
        fs::write(&flag, "").expect("write");
        let run = scope.spawn(|| lab.run(&script));
        let done: PathBuf = lab.pool.top.join("@data/home/done-bytes");
        while !done.exists() {
            assert!(!run.is_finished(), "the run ended too soon");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let written = upper(format!("roots/{root}"));
        fs::remove_file(&flag).expect("remove");
        run.join().expect("the run").ok();
        written
    });
    upper(format!("snapshots/{}", newest_of(&lab, "left")["number"])).must_be(&written);
}

#[test]
fn cancel_after_apt_stays_with_it() {
    each_end("stay", |lab, booted| {
        let [_, between, after] = two_runs(lab);
        booted(
            "flipper-undo --yes; apt-get -qq install conf; flipper-undo --cancel --yes; grep -x two /usr/share/plain/a",
        );
        let with_conf = lab.tree();
        assert!(with_conf.has("etc/conf.conf"));
        let expected = ["cancel completed", "packages completed", "undo cancelled", "packages completed"];
        assert_eq!(brief(lab)[..4], expected.map(str::to_owned));
        assert!(lab.entries().iter().all(|e| e["kind"] != "left"), "nothing was left: {:?}", brief(lab));
        assert_eq!(roots(lab).len(), 1);
        let (cancel, undo) = (newest_of(lab, "cancel"), newest_of(lab, "undo"));
        assert_eq!(cancel["cancels"], undo["number"]);
        let log = lab.log();
        assert!(log.contains(&format!("cancel: entry {} dropped before its boot", undo["number"])), "{log}");
        assert!(
            log.contains(&format!("cancelled: dropped by entry {} before its boot", cancel["number"])),
            "{log}"
        );
        lab.undo(&[&cancel["number"].to_string()]).exits(2).says("there is nothing to return to");
        // The run after the undo is the newest change of the line; then come the others.
        lab.undo(&[]).ok();
        lab.tree().must_be(&after);
        lab.undo(&[]).ok();
        lab.tree().must_be(&between);
        lab.undo(&["--redo"]).ok();
        lab.undo(&["--redo"]).ok();
        lab.tree().must_be(&with_conf);
    });
}

#[test]
fn redo_of_what_waits_is_cancel() {
    each_end("redo", |lab, booted| {
        let [_, _, after] = two_runs(lab);
        let done = booted("flipper-undo --yes; flipper-undo --redo --yes");
        assert!(done.err.contains("stays as it is"), "{}", done.err);
        lab.tree().must_be(&after);
        assert_eq!(brief(lab)[..2], ["cancel completed", "undo cancelled"].map(str::to_owned));
        assert_eq!(roots(lab).len(), 1);
    });
}

#[test]
fn an_undo_is_undone_by_its_number() {
    each_end("number", |lab, booted| {
        let [before, between, after] = two_runs(lab);
        // While it waits: the state before it, staged anew.
        booted(
            "flipper-undo --yes > /tmp/x 2>&1; flipper-undo $(sed -n 's/.*(entry \\([0-9]*\\)).*/\\1/p' /tmp/x) --yes",
        );
        lab.tree().must_be(&after);
        assert_eq!(brief(lab)[..2], ["redo completed", "undo cancelled"].map(str::to_owned));
        // After its boot.
        booted("flipper-undo --yes");
        lab.tree().must_be(&between);
        let undo = newest_of(lab, "undo")["number"].to_string();
        booted("flipper-undo --yes");
        lab.tree().must_be(&before);
        booted(&format!("flipper-undo {undo} --yes"));
        lab.tree().must_be(&after);
    });
}

/// apt after an undo, and the power goes in the middle of it: the undo holds, the cut run went with the
/// root that was left.
#[test]
fn apt_is_cut_while_an_undo_waits() {
    let lab = Pool::trixie().lab("cut-late");
    let [_, between, _] = two_runs(&lab);
    let slow = "cd /tmp; apt-get -qq install slow > /dev/null 2>&1 & until test -e /tmp/slow-began; do sleep 0.05; done";
    lab.run(&format!("{BOOTED}flipper-undo --yes; {slow}{POWER_CUT}"));
    lab.tree().must_be(&between);
    let run = newest_of(&lab, "packages");
    assert_eq!(run["state"], "interrupted", "{run:#}");
    let left = newest_of(&lab, "left");
    lab.run("flipper-profile status").ok(); // exit status 0: nothing is to be told of this root
    lab.undo(&[&left["number"].to_string()]).ok();
    let tree = lab.tree();
    assert!(tree.has("var/lib/slow-half") && !tree.has("etc/important/letter"));
    lab.run("flipper-profile status").exits(1).says("was cut at ");
}
