//! state/ around real package runs: a purge takes data out of it, the undo puts it back; what is there
//! again stays; a path comes with its package.

use std::path::PathBuf;

use serde_json::Value;

use crate::rig::{Lab, Pool};

/// The snapshots of state/ that are kept, by the number of their entry.
fn snapshots(lab: &Lab) -> Vec<u64> {
    let names = std::fs::read_dir(lab.dir().join("snapshots")).expect("snapshots");
    let number = |name: String| name.strip_suffix(".state").and_then(|n| n.parse().ok());
    let mut found: Vec<u64> = names.filter_map(|n| number(n.ok()?.file_name().into_string().ok()?)).collect();
    found.sort();
    found
}

fn in_state(lab: &Lab, path: &str) -> PathBuf {
    lab.dir().join("state").join(&path[1..])
}

fn add(lab: &Lab, path: &str) {
    lab.pool.call("flipper-profile", &["state", "add", &lab.id, path]).ok();
}

fn gone(entry: &Value) -> Vec<&str> {
    entry["state_gone"]
        .as_array()
        .map(|all| all.iter().map(|g| g["path"].as_str().unwrap()).collect())
        .unwrap_or_default()
}

#[test]
fn nginx_starts_again_after_its_purge_was_undone() {
    let pool = Pool::copy_with("trixie", "nginx");
    pool.furnish(&crate::repo::archive());
    let lab = pool.lab("web");
    // Nothing is listened on: the machine outside may have a server of its own.
    let starts = "rm -f /etc/nginx/sites-enabled/default; nginx -t && nginx && test -s /run/nginx.pid && nginx -s stop";
    lab.run(&format!("{starts}; echo kept >> /var/log/nginx/access.log; apt-get -qq install plain")).ok();
    lab.run("apt-get -qq purge nginx nginx-common; test ! -e /var/log/nginx").ok();
    assert_eq!(snapshots(&lab), [lab.newest()["number"].as_u64().unwrap()]);
    assert!(gone(&lab.newest()).contains(&"var/log/nginx"), "{:?}", gone(&lab.newest()));
    lab.undo(&["--dry-run"]).ok().says("puts back /var/log/nginx (");
    lab.undo(&[]).ok();
    lab.run(&format!("{starts} && grep kept /var/log/nginx/access.log")).ok();
    assert_eq!(snapshots(&lab).len(), 1);
    pool.call("flipper-profile", &["verify"]).ok();
}

#[test]
fn the_data_of_a_purged_package_comes_back() {
    let lab = Pool::trixie().lab("keeper");
    add(&lab, "/srv/keeper");
    lab.run("apt-get -qq install keeper=1; mkdir /var/log/keeper; echo l > /var/log/keeper/l; echo r > /root/.keeper; rm -f /var/log/rotated.1; echo 1 > /var/log/rotated.1").ok();
    let fill = "cd /srv/keeper; echo mine > data; ln data too; setfattr -n user.a -v b data; chmod 600 data; chown 7:8 deep; touch 'a b'";
    lab.run(fill).ok();
    let before = crate::tree::read(&in_state(&lab, "/srv/keeper"));
    assert_eq!(snapshots(&lab), [0; 0], "an installation takes nothing out of state/");
    let purged =
        lab.run("apt-get -qq purge keeper; ls -A /srv/keeper /var/log/keeper /root/.keeper").exits(2);
    assert!(
        purged.err.contains(
            "flipper-profiles: purging keeper may delete what is in /srv/keeper; flipper-undo puts it back"
        ),
        "{}",
        purged.err
    );
    let entry = lab.newest();
    assert_eq!(
        gone(&entry),
        [
            "root/.keeper",
            "srv/keeper/a b",
            "srv/keeper/data",
            "srv/keeper/deep",
            "srv/keeper/too",
            "var/log/keeper"
        ]
    );
    // A log that is rotated away since does not come back, and nothing is overwritten.
    lab.run("rm /var/log/rotated.1; echo new > /root/.keeper").ok();
    let shown = lab.undo(&["--dry-run"]).ok();
    for words in [
        "puts back /srv/keeper/data",
        "puts back /var/log/keeper (1 file)",
        "/root/.keeper is there again and stays as it is",
        "/srv/keeper stays as",
    ] {
        let wanted = shown.out.contains(words);
        assert_eq!(wanted, words != "/srv/keeper stays as", "{words}: {}", shown.out);
    }
    let json: Value = serde_json::from_str(&lab.undo(&["--dry-run", "--json"]).ok().out).unwrap();
    assert_eq!(json["state"]["there_again"], serde_json::json!(["/root/.keeper"]));
    lab.undo(&[]).ok();
    crate::tree::read(&in_state(&lab, "/srv/keeper")).must_be(&before);
    lab.run("grep -q new /root/.keeper; grep -q l /var/log/keeper/l; test ! -e /var/log/rotated.1; dpkg -s keeper").ok();
    // The undo undone, and undone again: the data stays.
    lab.undo(&["--redo"]).ok();
    lab.undo(&[]).ok();
    crate::tree::read(&in_state(&lab, "/srv/keeper")).must_be(&before);
    lab.pool.call("flipper-profile", &["verify"]).ok();
}

#[test]
fn a_plain_dpkg_is_covered_and_strict_refuses_either() {
    let lab = Pool::trixie().lab("plainly");
    add(&lab, "/srv/keeper");
    lab.run("apt-get -qq install keeper=1; echo mine > /srv/keeper/data").ok();
    lab.run("sed -i s/^strict=.*/strict=yes/ /etc/flipper/profiles.conf").ok();
    let sentence = "purging keeper may delete what is in /srv/keeper; flipper-undo puts it back";
    for line in ["apt-get -qq purge keeper", "apt-get -qq --purge remove keeper", "dpkg -P keeper"] {
        let done = lab.run(line);
        assert!(done.status != 0 && done.err.contains(sentence), "{line}: {done:?}");
        lab.run("grep -q mine /srv/keeper/data; dpkg -s keeper | grep -q 'ok installed'").ok();
    }
    // A removal leaves the data, and is no purge.
    lab.run("apt-get -qq remove keeper").ok();
    lab.undo(&[]).ok();
    lab.run("sed -i s/^strict=.*/strict=no/ /etc/flipper/profiles.conf; dpkg -P keeper; test ! -e /srv/keeper/data")
        .ok()
        .says(sentence);
    lab.undo(&[]).ok();
    lab.run("grep -q mine /srv/keeper/data; dpkg -s keeper").ok();
}

/// What removes the path itself fails, because it is mounted; the next purge does not. The data is back
/// all the same.
#[test]
fn a_purge_that_wants_the_path_itself_gone() {
    let lab = Pool::trixie().lab("sweeper");
    add(&lab, "/srv/sweeper");
    lab.run("apt-get -qq install sweeper").ok();
    let again = "apt-get -qq purge sweeper && exit 9; test -e /srv/sweeper && ! dpkg -s sweeper | grep -q 'ok installed' && apt-get -qq purge sweeper && test ! -e /srv/sweeper && ! dpkg -s sweeper";
    lab.run(again).ok().says(
        "/srv/sweeper was mounted and could not be removed; it is mounted no more: purge sweeper again",
    );
    assert!(!in_state(&lab, "/srv/sweeper").exists());
    let first = lab.entries()[1]["number"].to_string();
    lab.undo(&[&first]).ok().says("puts back /srv/sweeper/data");
    lab.run("grep -q data /srv/sweeper/data; grep -q ' /srv/sweeper ' /proc/mounts").ok();
    lab.pool.call("flipper-profile", &["verify"]).ok();
}

#[test]
fn a_run_that_was_cut_gives_back_what_is_gone_by_now() {
    let lab = Pool::trixie().lab("cutkeeper");
    add(&lab, "/srv/keeper");
    lab.run("apt-get -qq install keeper=1; echo mine > /srv/keeper/data").ok();
    // dpkg is killed when the package is gone; nobody writes down what vanished.
    lab.run("echo kill -9 -1 >> /var/lib/dpkg/info/keeper.postrm").ok();
    let _ = lab.run("apt-get -qq purge keeper");
    assert!(!in_state(&lab, "/srv/keeper/data").exists());
    assert_eq!((&lab.newest()["state"], lab.newest().get("state_gone")), (&"interrupted".into(), None));
    lab.undo(&[]).ok().says("puts back /srv/keeper/data");
    lab.run("grep -q mine /srv/keeper/data").ok();
}

#[test]
fn a_path_comes_with_its_package_and_stays_behind_another_version() {
    let lab = Pool::trixie().lab("store");
    // The package's own script wants an overlay of its own: on the root's overlay that fails.
    lab.run("apt-get -qq install podman; cat /var/lib/containers/u/made; grep ' /var/lib/containers ' /proc/mounts").ok().says("in\n");
    assert!(in_state(&lab, "/var/lib/containers/u/made").is_file());
    lab.run("grep -q ' /var/lib/containers ' /proc/mounts; cat /var/lib/containers/u/made").ok();
    lab.undo(&["--dry-run"]).ok().says("/var/lib/containers stays as version 1 left it: podman goes");
    lab.undo(&[]).ok();
    assert!(in_state(&lab, "/var/lib/containers/u/made").is_file());
    add(&lab, "/srv/keeper");
    lab.run("apt-get -qq install keeper=1; apt-get -qq install keeper").ok();
    lab.undo(&["--dry-run"]).ok().says("/srv/keeper stays as version 2 left it: keeper goes back to 1");
}
