//! flipper-undo around package runs: from inside, while apt is at work, again and again, of a profile
//! that is broken, and of single files.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::rig::{Lab, Pool, program};

fn numbers(lab: &Lab) -> Vec<String> {
    lab.entries().iter().map(|e| e["number"].to_string()).collect()
}

#[test]
fn further_back_and_all_the_way_forth() {
    let lab = Pool::trixie().lab("chain");
    let mut trees = vec![lab.tree()];
    for script in ["apt-get -qq install plain=1", "apt-get -qq install plain", "apt-get -qq install conf"] {
        lab.run(script).ok();
        trees.push(lab.tree());
    }
    for tree in trees[..3].iter().rev() {
        lab.undo(&[]).ok();
        lab.tree().must_be(tree);
    }
    lab.undo(&[]).exits(2).says("nothing to undo in profile chain");
    for tree in &trees[1..] {
        lab.undo(&["--redo"]).ok();
        lab.tree().must_be(tree);
    }
    lab.undo(&["--redo"]).exits(2).says("nothing to redo in profile chain");
}

#[test]
fn by_number_and_undo_of_undo() {
    let lab = Pool::trixie().lab("number");
    let before = lab.tree();
    lab.run("apt-get -qq install plain=1").ok();
    lab.run("apt-get -qq install plain; apt-get -qq install conf").ok();
    let after = lab.tree();
    let first = numbers(&lab)[2].clone();
    lab.undo(&[&first, "--dry-run"]).ok().says("takes back 3 installations");
    lab.tree().must_be(&after);
    lab.undo(&[&first]).ok();
    lab.tree().must_be(&before);
    // The undo's own number: the state before it.
    let undo = numbers(&lab)[0].clone();
    lab.undo(&[&undo]).ok();
    lab.tree().must_be(&after);
    lab.undo(&["99999"]).exits(2).says("there is no entry 99999");
    lab.undo(&["x"]).exits(64);
    let log = lab.log();
    assert!(log.contains(&format!("undo: back to before {first}")), "{log}");
    assert!(log.contains(&format!("redo: again as before {undo}")), "{log}");
    // Another branch: what was undone stays reachable, and the log says that it is not in it now.
    lab.undo(&[&first]).ok();
    lab.run("apt-get -qq install special").ok();
    let log = lab.log();
    assert!(log.contains("taken back"), "{log}");
    lab.undo(&["--redo"]).exits(2).says("nothing to redo");
}

#[test]
fn from_inside_the_run() {
    let lab = Pool::trixie().lab("inside");
    let before = lab.tree();
    let done = lab
        .run("apt-get -qq install plain; flipper-undo --yes; test -e /usr/share/plain/a; apt-get -qq install conf; flipper-profile log")
        .ok();
    assert!(done.err.contains("staged (entry "), "{}", done.err);
    assert!(
        done.err.contains("it counts when this run is left and started again; --cancel drops it"),
        "{}",
        done.err
    );
    assert!(done.err.contains("this run goes into the state that is being left"), "{}", done.err);
    assert!(done.out.contains("waits until the running root is left"), "{}", done.out);
    lab.tree().must_be(&before);
    // What was left is kept and can be returned to.
    let kept = lab.entries().into_iter().find(|e| e["kind"] == "left");
    assert!(kept.is_none_or(|e| e["state"] == "completed"), "{:?}", lab.entries());
    let conf =
        lab.entries().into_iter().find(|e| e["changes"][0]["package"] == "conf").expect("the late run");
    assert_eq!(conf["state"], "completed");
}

#[test]
fn from_inside_and_cancelled() {
    let lab = Pool::trixie().lab("cancel");
    let script = "apt-get -qq install plain; flipper-undo --yes; flipper-undo --cancel --yes; flipper-undo --cancel --yes";
    lab.run(script)
        .exits(2)
        .says("nothing waits for a boot in profile cancel")
        .says("): cancel stays as it is");
    assert!(lab.tree().has("usr/share/plain/a"));
    assert_eq!(
        (&lab.entries()[0]["kind"], &lab.entries()[1]["state"]),
        (&"cancel".into(), &"cancelled".into())
    );
    // --redo of a waiting undo is --cancel; twice undone from inside goes further back.
    lab.run("flipper-undo --yes; flipper-undo --redo --yes").ok();
    assert!(lab.tree().has("usr/share/plain/a"));
    lab.run("apt-get -qq install conf").ok();
    lab.run("flipper-undo --yes; flipper-undo --yes").ok();
    let tree = lab.tree();
    assert!(!tree.has("usr/share/plain/a") && !tree.has("etc/conf.conf"));
}

/// A run in the background, waiting in the middle of apt.
fn busy(lab: &Lab) -> Child {
    let mark = format!("/home/began-{}", lab.id);
    let script = format!("export MARK={mark}; apt-get -qq install slow");
    let mut child = Command::new(program("flipper-profile"))
        .args(["--pool", &lab.pool.device, "run", &lab.id, "sh", "-c", &script])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    let seen = lab.pool.top.join("@data").join(&mark[1..]);
    let began = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        seen.exists()
    });
    if !began {
        let _ = child.kill().and_then(|()| child.wait().map(drop));
        panic!("slow did not begin");
    }
    child
}

#[test]
fn while_apt_is_at_work() {
    let lab = Pool::trixie().lab("busy");
    lab.run("apt-get -qq install plain").ok();
    let before = lab.tree();
    let mut child = busy(&lab);
    assert_eq!(lab.newest()["state"], "open");
    let done = lab.undo(&[]).exits(2).says("apt or dpkg is at work in this profile (process ");
    let pid = done.err.split("(process ").nth(1).and_then(|t| t.split(')').next()).expect("a pid");
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("that process is here");
    assert_eq!(name.trim(), "apt-get");
    lab.pool.call("flipper-profile", &["run", "busy", "true"]).exits(2).says("in use");
    assert_eq!(lab.newest()["state"], "open", "a reader or a refusal closed what is alive");
    // TERM ends the whole run.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    child.wait().expect("wait");
    assert_eq!(lab.newest()["state"], "interrupted");
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
}

#[test]
fn while_somebody_holds_a_lock_of_dpkg() {
    let lab = Pool::trixie().lab("locked");
    lab.run("apt-get -qq install plain").ok();
    for lock in ["lock-frontend", "lock"] {
        let perl = format!(
            "use Fcntl; open F, \"+>>\", \"/var/lib/dpkg/{lock}\"; my $l = pack(\"ssx4qqlx4\", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $l) or die; print \"$$\\n\"; close STDOUT; sleep 60"
        );
        let script = format!(
            "set -e; perl -e '$|=1; {perl}' > /tmp/pid & until test -s /tmp/pid; do sleep 0.05; kill -0 $!; done
             flipper-undo --yes || echo \"exit $?\"; echo \"holder $(cat /tmp/pid)\""
        );
        let done = lab.run(&script).ok();
        assert!(done.out.contains("exit 2"), "{lock}: {done:?}");
        let pid = done.out.split("holder ").nth(1).expect("a pid").trim().to_owned();
        assert!(
            done.err.contains(&format!("is at work in this profile (process {pid})")),
            "{lock}: {done:?}"
        );
    }
    assert_eq!(lab.entries().len(), 1);
}

#[test]
fn a_profile_that_lost_a_library() {
    let lab = Pool::trixie().lab("broken");
    let before = lab.tree();
    for library in ["libsqlite3.so.0", "libc.so.6", "libbtrfsutil.so.1"] {
        lab.run("apt-get -qq install plain").ok();
        lab.run(&format!("rm /usr/lib/*-linux-gnu/{library}")).ok();
        let missing = lab.pool.call("flipper-profile", &["run", "broken", "flipper-undo", "--list"]);
        assert_ne!(missing.status, 0, "{library} is not missed: this case is no case");
        lab.undo(&[]).ok();
        lab.tree().must_be(&before);
    }
    lab.run("apt-get -qq install plain").ok();
    lab.run("rm -r /var/lib/dpkg /usr/bin/dpkg").ok();
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
}

/// The hook is started again and again while dpkg replaces the libraries of the root.
#[test]
fn the_hooks_need_no_library() {
    let lab = Pool::trixie().lab("static");
    lab.run("rm /usr/lib/*-linux-gnu/libsqlite3.so.0 /usr/lib/*-linux-gnu/libbtrfsutil.so.1").ok();
    let before = lab.tree();
    lab.run("apt-get -qq install plain").ok().silent();
    assert_eq!(lab.newest()["state"], "completed");
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
}

/// Nobody asks for it: when the run is over, its entry is in SQLite.
#[test]
fn every_run_is_in_the_index() {
    let pool = Pool::copy("trixie"); // of its own: the index is of the whole pool
    let lab = pool.lab("indexed");
    // Process 1 is the one that holds the run together.
    let all_done =
        "while grep -lxE 'flipper-(hook|profile)' /proc/[0-9]*/comm | grep -qv /1/; do sleep 0.1; done";
    lab.run(&format!("apt-get -qq install plain; {all_done}")).ok();
    let refreshed = lab.pool.call("flipper-profile", &["journal", "refresh", "--json"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&refreshed.out).expect("JSON")["added"], 0);
    drop(lab.run("apt-get -qq purge plain; kill -9 -1")); // the index may lack this one
    assert!(lab.log().contains("1 purged: plain"), "{}", lab.log());
}

#[test]
fn rescue_from_inside() {
    let lab = Pool::trixie().lab("rescue");
    let before = lab.tree();
    for library in ["libsqlite3.so.0", "libc.so.6"] {
        lab.run("apt-get -qq install plain").ok();
        lab.run(&format!("rm /usr/lib/*-linux-gnu/{library}")).ok();
        let run = ["run", "rescue", "flipper-rescue"];
        let list = lab.pool.call("flipper-profile", &[&run[..], &["list", "rescue"]].concat()).ok();
        assert!(list.out.contains("before: apt-get -qq install plain"), "{}", list.out);
        let json = lab.pool.call("flipper-profile", &[&run[..], &["list", "--json"]].concat()).ok();
        serde_json::from_str::<Value>(&json.out).expect("JSON");
        lab.pool
            .call("flipper-profile", &[&run[..], &["stage", "rescue", "last", "--yes"]].concat())
            .ok()
            .says("staged");
        lab.tree().must_be(&before);
    }
}

#[test]
fn one_conffile_live() {
    let lab = Pool::trixie().lab("path");
    lab.run("apt-get -qq install conf=1; echo mine >> /etc/conf.conf").ok();
    lab.run("apt-get -qq -o Dpkg::Options::=--force-confnew install conf").ok();
    let after = lab.tree();
    let number = numbers(&lab)[0].clone();
    let script = format!("flipper-undo {number} --path /etc/conf.conf --yes; cat /etc/conf.conf");
    lab.run(&script).ok().says("shipped 1\nmine\n").says("1 written, 0 removed");
    assert_eq!(lab.newest()["kind"], "restore");
    assert_eq!(lab.newest()["outcome"], "put back /etc/conf.conf");
    assert!(lab.log().contains("some paths put back"), "{}", lab.log());
    lab.undo(&[]).ok();
    lab.tree().must_be(&after);
    lab.run(&format!("flipper-undo {number} --path /var/lib/dpkg/status --yes"))
        .exits(2)
        .says("cannot be restored alone");
}

#[test]
fn what_it_prints_for_programs() {
    let lab = Pool::trixie().lab("json");
    lab.run("apt-get -qq install plain=1; apt-get -qq install plain").ok();
    let number = numbers(&lab)[0].clone();
    let json = |words: &[&str]| -> Value {
        let text = lab.undo(&[words, &["--json"]].concat()).ok().out;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{words:?}: {e}\n{text}"))
    };
    assert_eq!(json(&["--list"]).as_array().map(Vec::len), Some(2));
    assert_eq!(json(&["--show", &number])["changes"][0]["action"], "upgrade");
    assert!(json(&["--dry-run"]).is_object());
    assert!(json(&[]).is_object());
    assert!(json(&["--redo"]).is_object());
    assert!(json(&[&number]).is_object());
}
