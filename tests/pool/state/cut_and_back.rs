//! What a removal took out of state/, and the undo that brings it back; and everything that moves files in
//! or out of it, killed on the way.

use super::*;

/// A profile whose newest entry took files out of state/, with the snapshot a package run would have
/// left beside its point. Nobody wrote down what vanished: as after a run that was cut.
fn with_a_removal() -> Rig {
    let rig = with_furnished_base();
    fill(&rig, "/srv/data");
    rig.profile(&["state", "add", "lab", "/srv/data"]).ok();
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let number = rig.last_entry("lab").0;
    let (from, to) =
        (rig.in_pool("@profiles/lab/state"), rig.in_pool(format!("@profiles/lab/snapshots/{number}.state")));
    need("btrfs", crate::rig::btrfs(&["subvolume", "snapshot", "-r"]).arg(from).arg(to));
    remove_from_state(&rig);
    rig.verify();
    rig
}

fn remove_from_state(rig: &Rig) {
    rig.sh("lab", "rm -rf /srv/data/a /srv/data/mine /srv/data/mine-too; rm -f /root/.profile");
}

#[test]
fn an_undo_puts_back_what_is_gone_and_overwrites_nothing() {
    let rig = with_a_removal();
    let whole = rig.in_pool(format!("@profiles/lab/snapshots/{}.state", rig.last_entry("lab").0));
    let then = tree::read(&whole.join("srv/data")).without_mark();
    rig.sh("lab", "echo new > /root/.profile");
    let undo = ["--profile", "lab"];
    let shown = rig.undo(&[&undo[..], &["--dry-run"]].concat()).ok().out;
    for line in
        ["puts back /srv/data/a (3 files)", "puts back /srv/data/mine\n", "puts back /srv/data/mine-too\n"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let json = rig.undo(&[&undo[..], &["--dry-run", "--json"]].concat()).json();
    assert_eq!(json["state"]["puts_back"][0]["path"], "/srv/data/a");
    rig.undo(&undo).refused("not confirmed");
    assert!(!in_state(&rig, "/srv/data/a").exists());
    rig.undo(&[&undo[..], &["--yes"]].concat()).ok();
    assert_same(&then, &state_tree(&rig, "/srv/data"));
    assert_eq!(rig.sh("lab", "cat /root/.profile"), "new");
    rig.verify();
    // A clone of the state before has what state/ had before.
    remove_from_state(&rig);
    let number = rig.entries("lab").iter().rev().find(|(_, e)| e["kind"] == "set").unwrap().0;
    rig.profile(&["clone", &format!("lab@{number}"), "twin"]).ok();
    assert_eq!(rig.sh("twin", "cat /root/.profile /srv/data/mine"), "from the base\nmine");
    // The rescue program leaves state/ alone, and says so.
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    let rescued = rig.rescue(&["stage", "lab", &number.to_string(), "--yes"]).ok();
    assert!(rescued.out.contains("state/ is left as it is"), "{}", rescued.out);
    assert!(!in_state(&rig, "/srv/data/a").exists());
}

/// kill -9 before every call of such an undo: all of it is back or none, and nothing is left over.
#[test]
fn an_undo_that_puts_back_and_is_cut() {
    let rig = with_a_removal();
    let words = ["--profile", "lab", "--yes"].map(str::to_owned);
    let gone = state_tree(&rig, "/srv/data");
    let moments = trace(&rig, "flipper-undo", &words);
    let back = state_tree(&rig, "/srv/data");
    assert!(back.has("a/node") && !gone.has("a"));
    let mut cut = (0, 0);
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    for (at, moment) in chosen(&moments).into_iter().enumerate() {
        remove_from_state(&rig);
        let current = rig.current("lab");
        let options = ["-o", "/dev/null", "-e", &moment.inject()];
        let killed = under_strace(&rig, "flipper-undo", &words, &options).status == 137;
        recover(&rig, at);
        let done = rig.current("lab") != current;
        assert_same(if done { &back } else { &gone }, &state_tree(&rig, "/srv/data"));
        assert_eq!(names(&in_state(&rig, "/.flipper")), BTreeSet::new(), "{moment:?}");
        rig.verify();
        cut = (cut.0 + usize::from(killed), cut.1 + usize::from(killed && done));
        if done {
            rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
        }
    }
    assert!(cut.0 > 5 && cut.1 > 0 && cut.1 < cut.0, "{cut:?}");
}

/// kill -9 before every call of an add and of a remove: the files are where they were or where they should
/// be, each start sees them, and nothing is left over.
#[test]
fn an_add_or_a_remove_that_is_cut() {
    let rig = with_furnished_base();
    fill(&rig, "/srv/data");
    let whole = merged(&rig, "/srv/data");
    let words = |verb: &str| ["state", verb, "lab", "/srv/data"].map(str::to_owned);
    let mut cut = 0;
    for (verb, back) in [("add", "remove"), ("remove", "add")] {
        let moments = trace(&rig, "flipper-profile", &words(verb));
        rig.run("flipper-profile", &words(back).each_ref().map(String::as_str)).ok();
        for (at, moment) in chosen(&moments).into_iter().enumerate() {
            let options = ["-o", "/dev/null", "-e", &moment.inject()];
            cut += usize::from(under_strace(&rig, "flipper-profile", &words(verb), &options).status == 137);
            recover(&rig, at);
            let listed = list(&rig).iter().any(|(path, _)| path == "/srv/data");
            let seen = rig.sh("lab", "cat /srv/data/mine; grep -c ' /srv/data ' /proc/mounts || true");
            assert_eq!(seen, format!("mine\n{}", u8::from(listed)), "{verb}: {moment:?}");
            let now = if listed { state_tree(&rig, "/srv/data") } else { merged(&rig, "/srv/data") };
            assert_same(&whole, &now);
            assert_eq!(listed, in_state(&rig, "/srv/data").exists(), "{verb}: {moment:?}");
            // What is in state/ is not in the root a second time.
            let hidden = listed && !names(&upper(&rig, "/srv/data")).is_empty();
            assert!(!hidden, "{verb}: {moment:?}: {:?}", names(&upper(&rig, "/srv/data")));
            assert!(!rig.root_dir("lab").join(".state-out").exists(), "{verb}: {moment:?}");
            assert_eq!(names(&in_state(&rig, "/.flipper")), BTreeSet::new(), "{verb}: {moment:?}");
            rig.verify();
            if listed == (verb == "add") {
                rig.run("flipper-profile", &words(back).each_ref().map(String::as_str)).ok();
            }
        }
        rig.run("flipper-profile", &words(verb).each_ref().map(String::as_str)).ok();
    }
    assert!(cut > 10, "{cut} cuts");
}
