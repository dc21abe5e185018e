//! What a person is told, at login and in `status`, of runs that were cut and of runs without a point.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::rig::{Lab, Pool};

const LOGIN: &str = "run-parts --lsbsysinit /etc/update-motd.d";

/// Starts `slow` after others, whose postinst takes its time, and waits for it.
const SLOW: &str = "cd /tmp; apt-get -qq install plain conf special slow > /dev/null 2>&1 & A=$!
    until test -e /tmp/slow-began; do sleep 0.05; done
    D=$(grep -lxE '(Name:.)?dpkg' /proc/[0-9]*/comm | head -1); D=${D#/proc/}; D=${D%/comm}; ";

/// What is ours of what a login shows, without the kernel's name and other news.
fn at_login(lab: &Lab) -> Vec<String> {
    let done = lab.run(LOGIN).ok().silent();
    let ours = done.out.lines().filter_map(|line| line.strip_prefix("flipper-profiles: "));
    ours.map(str::to_owned).collect()
}

fn status(lab: &Lab) -> Value {
    let text = lab.pool.call("flipper-profile", &["status", "--json"]).out;
    let status: Value = serde_json::from_str(&text).expect("JSON");
    status["profiles"].as_array().unwrap().iter().find(|p| p["id"] == *lab.id).expect("the profile").clone()
}

/// How many of these packages dpkg itself says are installed, with what it had only noted in updates/.
fn installed(lab: &Lab) -> usize {
    let script = "dpkg-query -W -f '${Status}\\n' plain plain-lib conf special slow 2>/dev/null | grep -cx 'install ok installed'; true";
    lab.run(script).ok().out.trim().parse().expect("a number")
}

#[test]
fn a_cut_run_with_its_numbers_until_it_is_repaired() {
    let lab = Pool::trixie().lab("told");
    let before = lab.tree();
    assert_eq!(at_login(&lab), Vec::<String>::new());
    lab.run(&format!("{SLOW} kill -9 -1"));
    let reached = installed(&lab);
    assert!((1..5).contains(&reached), "this case is no case: {reached} of 5");
    let told = at_login(&lab);
    let [line] = &told[..] else { panic!("{told:?}") };
    assert!(line.starts_with(&format!("apt-get was cut at {reached} of 5 packages at ")), "{line}");
    assert!(line.ends_with(": flipper-undo takes it back, dpkg --configure -a finishes it"), "{line}");
    // From outside, for people and for programs.
    let outside = lab.pool.call("flipper-profile", &["status"]).exits(1);
    assert!(outside.out.contains(&format!("! told: {line}")), "{}", outside.out);
    let cut = &status(&lab)["unsettled"][0];
    assert_eq!((&cut["cut"]["reached"], &cut["cut"]["planned"]), (&reached.into(), &5.into()));
    assert_eq!(cut["sentence"], line.as_str());
    let entry = lab.newest();
    let (began, at) = (entry["started"].as_str().unwrap(), cut["cut"]["at"].as_str().unwrap());
    assert!(began <= at && at <= entry["ended"].as_str().unwrap(), "{entry:#}");
    assert!(lab.log().contains(&format!("interrupted at {reached} of 5 packages: cut off")), "{}", lab.log());

    // Repaired: nothing is told any more, and both go back in one step.
    let cut_state = lab.tree();
    lab.run("dpkg --configure -a").ok();
    assert_eq!((at_login(&lab), installed(&lab)), (vec![], 5));
    let repaired = lab.tree();
    let (repair, cut) = (lab.newest()["number"].clone(), entry["number"].clone());
    let preview = lab.undo(&["--dry-run"]).ok().out;
    assert!(
        preview.contains(&format!("entry {repair} only finished entry {cut}, which was cut: one step")),
        "{preview}"
    );
    assert!(
        preview.contains(&format!("(flipper-undo {repair} takes back entry {repair} alone)")),
        "{preview}"
    );
    let json: Value = serde_json::from_str(&lab.undo(&["--dry-run", "--json"]).ok().out).expect("JSON");
    assert_eq!((&json["plan"]["target"], &json["repairs"]), (&cut, &serde_json::json!([repair])));
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
    assert_eq!(at_login(&lab), Vec::<String>::new());
    lab.undo(&["--redo"]).ok();
    lab.tree().must_be(&repaired);
    // The repair alone: the cut state is back, and told again.
    lab.undo(&[&repair.to_string()]).ok();
    lab.tree().must_be(&cut_state);
    assert_eq!(at_login(&lab), told);
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
    assert_eq!(at_login(&lab), Vec::<String>::new());
}

/// The repair is cut as well, and then taken back from the very root, before its boot.
#[test]
fn a_repair_that_is_cut_is_part_of_the_step() {
    let lab = Pool::trixie().lab("told-twice");
    let before = lab.tree();
    lab.run(&format!("{SLOW} kill -9 -1"));
    lab.run("rm -f /var/lib/slow-half; cd /tmp; dpkg --configure -a > /dev/null 2>&1 & until test -e /tmp/slow-began; do sleep 0.05; done; kill -9 -1");
    let states: Vec<String> = lab.entries().iter().map(|e| e["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["interrupted", "interrupted"]);
    let told = at_login(&lab);
    assert!(
        told.len() == 2 && told.iter().all(|line| line.contains(": flipper-undo takes it back")),
        "{told:?}"
    );
    assert!(told[0].starts_with("dpkg was cut at ") || told[0].starts_with("dpkg was cut on "), "{told:?}");
    lab.run("flipper-undo --yes; kill -9 -1");
    lab.tree().must_be(&before);
    assert_eq!(at_login(&lab), Vec::<String>::new());
}

/// pam_motd itself shows it, with the line that Debian's /etc/pam.d/login and sshd have. login(1) wants a
/// terminal of its own, so su logs in.
#[test]
fn the_real_way_in() {
    let lab = Pool::trixie().lab("told-pam");
    let line =
        lab.run("grep -x 'session *optional *pam_motd.so motd=/run/motd.dynamic' /etc/pam.d/login").ok().out;
    lab.run(&format!("sed -i '1i {}' /etc/pam.d/su", line.trim())).ok();
    let log_in = || lab.run("echo exit | su -").ok().out;
    let first = log_in();
    assert!(first.starts_with("Linux "), "this login shows no news at all: {first}");
    assert!(!first.contains("flipper-profiles"), "it is silent when there is nothing: {first}");
    lab.run(&format!("{SLOW} kill -9 -1"));
    let shown = log_in();
    assert!(shown.contains("flipper-profiles: apt-get was cut at "), "{shown}");
    // A chroot, and a root without our program, show nothing.
    lab.run("mkdir /tmp/r; mount --bind / /tmp/r; mount -t proc proc /tmp/r/proc; chroot /tmp/r run-parts --lsbsysinit /etc/update-motd.d > /tmp/out; ! grep flipper /tmp/out").ok();
    lab.run(&format!(
        "rm /usr/libexec/flipper-profiles/flipper-hook; {LOGIN} > /tmp/out; ! grep flipper /tmp/out"
    ))
    .ok();
}

#[test]
fn a_run_without_a_point_until_one_with_a_point_follows() {
    let lab = Pool::trixie().lab("told-bare");
    lab.run_with(&[("FLIPPER_SKIP", "1")], "apt-get -qq install plain=1").ok();
    lab.run_with(&[("FLIPPER_SKIP", "1")], "dpkg -i /home/apt/flat/conf_1_all.deb").ok();
    let told = at_login(&lab);
    let [apt, dpkg] = &told[..] else { panic!("{told:?}") };
    assert!(apt.starts_with("apt-get -qq install plain=1 ran without protection at "), "{apt}");
    assert!(apt.ends_with(" (FLIPPER_SKIP=1 was asked for): it cannot be taken back by itself"), "{apt}");
    assert!(dpkg.starts_with("dpkg -i /home/apt/flat/conf_1_all.deb ran without protection at "), "{dpkg}");
    let outside = lab.pool.call("flipper-profile", &["status"]).exits(1);
    assert!(outside.out.contains(&format!("! told-bare: {apt}")), "{}", outside.out);
    assert_eq!(status(&lab)["unprotected"][1]["command"], "dpkg -i /home/apt/flat/conf_1_all.deb");
    // A run with a point follows, and is taken back.
    let before = lab.tree();
    lab.run("apt-get -qq install plain").ok().silent();
    assert_eq!(at_login(&lab), Vec::<String>::new());
    assert!(!lab.tree().has("var/lib/flipper-profiles"));
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
    assert_eq!(at_login(&lab), told);
}

#[test]
fn a_run_whose_hook_failed() {
    let lab = Pool::trixie().lab("told-lost");
    let lost = "sed -i -e 's/^pool=.*/pool=00000000-0000-4000-8000-000000000000/' -e 's/^device=.*/device=\\/dev\\/null/' /run/flipper/booted; ";
    let here = lab.run(&format!("{lost} apt-get -qq install plain; {LOGIN}")).ok().out;
    assert!(here.contains("apt-get -qq install plain ran without protection at "), "{here}");
    assert!(here.contains("flipper-profiles: what was cut cannot be looked up: "), "{here}");
    assert_eq!(at_login(&lab).len(), 1);
}

/// The first hook did not even get to say so: killed before its entry, or between entry and point.
#[test]
fn a_run_whose_hook_was_killed() {
    let no_point = "$0.real pre; mkdir -p /tmp/p; mount -o subvolid=5 $(sed -n s/^device=//p /run/flipper/booted) /tmp/p
        cd /tmp/p/@profiles/$(sed -n s/^profile=//p /run/flipper/booted)/snapshots; n=$(ls | sort -n | tail -n 1); mv $n x$n";
    for (id, work) in [("told-killed", "true"), ("told-no-point", no_point)] {
        let lab = Pool::trixie().lab(id);
        lab.run(&format!(
            "cd /usr/libexec/flipper-profiles; mv flipper-hook flipper-hook.real; cat > flipper-hook << 'END'\n\
             #!/bin/sh\nif test \"$1\" = pre; then {work}; kill -9 $$; fi; exec $0.real \"$@\"\nEND\nchmod 755 flipper-hook"
        ))
        .ok();
        lab.run("apt-get -qq install plain").ok().says("this run cannot be taken back");
        let told = at_login(&lab);
        assert!(told.len() == 1 && told[0].contains("(flipper-hook pre did not finish)"), "{id}: {told:?}");
        assert!(
            lab.entries().iter().all(|e| e["point"] == false && e["state"] == "completed"),
            "{:#?}",
            lab.entries()
        );
        lab.undo(&[]).exits(2).says("nothing to undo");
    }
}

/// apt is dead and its run goes on: from outside that is seen, and undo does not wait for the run's end.
#[test]
fn a_dead_apt_in_a_living_run_is_seen_from_outside() {
    let lab = Pool::trixie().lab("told-outside");
    lab.run("apt-get -qq install plain=1").ok();
    let before = lab.tree();
    let home = lab.pool.top.join("@data/home");
    let (alive, dead, go_on) =
        (home.join("outside-alive"), home.join("outside-dead"), home.join("outside-wait"));
    fs::write(&go_on, "").expect("write");
    let wait_for = |file: &std::path::Path, run: &std::thread::ScopedJoinHandle<_>| {
        while !file.exists() {
            assert!(!run.is_finished(), "the run ended too soon");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let script = format!(
        "{SLOW} touch /home/outside-alive; while test -e /home/outside-alive; do sleep 0.05; done
         kill -9 $A $D; sleep 0.3; touch /home/outside-dead; while test -e /home/outside-wait; do sleep 0.05; done"
    );
    std::thread::scope(|scope| {
        let run = scope.spawn(|| lab.run(&script));
        wait_for(&alive, &run);
        assert_eq!(lab.newest()["state"], "open");
        lab.undo(&[]).exits(2).says("apt or dpkg is at work");
        fs::remove_file(&alive).expect("remove");
        wait_for(&dead, &run);
        assert_eq!(lab.newest()["state"], "interrupted");
        lab.undo(&[]).ok().says("staged");
        fs::remove_file(&go_on).expect("remove");
        run.join().expect("the run");
    });
    lab.tree().must_be(&before);
}
