//! How runs end that do not end well, or are nothing: which entry stays, and that apt's own exit status
//! is never ours.

use serde_json::Value;

use crate::rig::{Lab, Pool, changes, planned};

/// A run that fails: its entry, which undo takes back. Returns the entry.
#[track_caller]
fn fails(lab: &Lab, script: &str, status: i32) -> Value {
    let before = lab.tree();
    let done = lab.run(script).exits(status);
    let entry = lab.newest();
    assert_eq!(entry["state"], "failed", "{entry:#}");
    let line = format!(
        "flipper-profiles: entry {}: {}; flipper-undo takes it back",
        entry["number"],
        entry["outcome"].as_str().expect("an outcome")
    );
    assert_eq!(done.ours(), [line]);
    lab.back_and_forth(&before);
    entry
}

/// Nothing happened: no entry, no point, no word.
#[track_caller]
fn nothing(lab: &Lab, script: &str, status: i32) {
    let before = (lab.entries(), lab.points());
    lab.run(script).exits(status).silent();
    assert_eq!((lab.entries(), lab.points()), before, "{script}");
}

#[test]
fn a_postinst_fails() {
    let lab = Pool::trixie().lab("bad-post");
    let entry = fails(&lab, "apt-get -qq install bad-post plain", 100);
    assert_eq!(entry["outcome"], "2 of 3 packages reached their state; bad-post is half-configured");
    assert_eq!(changes(&entry)[0], "install bad-post - 1");
    assert_eq!(entry["changes"][0]["stuck"], "half-configured");
    let log = lab.log();
    assert!(
        log.contains("failed: 2 of 3 packages reached their state; bad-post is half-configured"),
        "{log}"
    );
}

#[test]
fn a_preinst_destroys_and_fails() {
    let lab = Pool::trixie().lab("destroyer");
    let entry = fails(&lab, "apt-get -qq install destroyer", 100);
    assert_eq!(entry["outcome"], "destroyer was not installed");
    assert_eq!(planned(&entry), ["install destroyer - 1"]);
    assert!(!lab.tree().has("etc/important/letter"), "this case is no case");
}

/// dpkg's status says nothing of it: the file is the same, byte for byte.
#[test]
fn a_preinst_destroys_and_leaves_the_status_as_it_was() {
    let lab = Pool::trixie().lab("ruin");
    lab.run("apt-get -qq install ruin").ok();
    let before = lab.tree();
    lab.run("apt-get -qq install --reinstall ruin").exits(100);
    let after = lab.tree();
    assert!(!after.has("etc/important/letter"), "this case is no case");
    assert_eq!(before.what("var/lib/dpkg/status"), after.what("var/lib/dpkg/status"), "this case is no case");
    assert_eq!(planned(&lab.newest()), ["reinstall ruin 1 1"]);
    lab.back_and_forth(&before);
}

/// A hook after ours refuses the run (apt-listbugs): no Post-Invoke, and nothing to take back.
#[test]
fn another_hook_refuses() {
    let lab = Pool::trixie().lab("refused");
    lab.run("apt-get -qq install conf=1").ok();
    let refuse = "apt-get -qq -o DPkg::Pre-Install-Pkgs::=false install plain";
    lab.run(&format!("{refuse}; test $? = 100")).ok().silent();
    assert_eq!(lab.newest()["state"], "cancelled", "{:#}", lab.newest());
    lab.undo(&["--dry-run"]).ok().says("takes back 1 installation");
    // The next run closes it.
    lab.run(&format!("{refuse}; apt-get -qq install plain")).ok().silent();
    let states: Vec<_> = lab.entries().iter().map(|e| e["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["completed", "cancelled", "cancelled", "completed"]);
}

#[test]
fn unpacking_fails() {
    let lab = Pool::trixie().lab("clash");
    lab.run("apt-get -qq install plain").ok();
    let entry = fails(&lab, "apt-get -qq install clash", 100);
    assert_eq!(entry["outcome"], "clash was not installed");
}

#[test]
fn a_removal_fails() {
    let lab = Pool::trixie().lab("stays");
    lab.run("apt-get -qq install stays").ok();
    let entry = fails(&lab, "apt-get -qq remove stays", 100);
    assert_eq!(entry["outcome"], "stays was not removed");
}

#[test]
fn nothing_leaves_nothing() {
    let lab = Pool::trixie().lab("nothing");
    lab.run("apt-get -qq install plain").ok();
    nothing(&lab, "apt-get -qq install plain", 0);
    nothing(&lab, "apt-get -qq -s install conf", 0);
    nothing(&lab, "apt-get -qq -d install conf", 0);
    nothing(&lab, "apt-get -qq update", 0);
    nothing(&lab, "echo n | apt-get -q remove plain-lib", 1);
    nothing(&lab, "apt-get -qq install there-is-no-such-package", 100);
    nothing(&lab, "apt-get -qq -o Debug::pkgDPkgPM=1 install conf >/dev/null", 0);
    nothing(&lab, "apt-mark -qq hold plain; dpkg --get-selections >/dev/null; dpkg -l >/dev/null", 0);
    nothing(&lab, "apt-get -qq clean", 0);
    // Here dpkg wrote its status anew, and might have run triggers: the tree says that it was nothing.
    nothing(&lab, "dpkg --configure -a", 0);
    nothing(&lab, "dpkg -iE /home/apt/flat/plain_2_all.deb", 0);
    // The same run, and something of the root became different meanwhile: it stays.
    lab.run("echo 'pre-invoke=echo more >> /etc/important.conf' > /etc/dpkg/dpkg.cfg.d/zz-more; dpkg --configure -a").ok();
    assert_eq!((lab.entries().len(), changes(&lab.newest())), (2, vec![]));
    lab.run("rm /etc/dpkg/dpkg.cfg.d/zz-more").ok();
    // Where dpkg does not find what it should install, it does not even run its last hook.
    lab.run("dpkg -i /home/apt/flat/there-is-none.deb 2>/dev/null").exits(2).silent();
    assert_eq!((lab.entries().len(), &lab.newest()["state"]), (3, &"cancelled".into()));
    // The same lab can have entries: the look above is a look.
    lab.run("apt-get -qq install conf").ok().silent();
    assert_eq!(lab.entries().len(), 4);
}

/// Two commits of one program are two entries, unless the program is known for many.
#[test]
fn commits_and_entries() {
    let lab = Pool::trixie().lab("commits");
    let before = lab.tree();
    lab.run("apt-get -qq install plain=1 && apt-get -qq install plain").ok().silent();
    let found: Vec<_> = lab.entries().iter().flat_map(changes).collect();
    assert_eq!(found, ["upgrade plain 1 2", "install plain - 1", "install plain-lib - 1+sec1"]);
    lab.undo(&[]).ok();
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
}

/// A program that sets apt up twice runs each of our hooks twice a commit.
#[test]
fn hooks_run_twice() {
    let lab = Pool::trixie().lab("twice");
    lab.run(
        "cd /etc/apt/apt.conf.d; for f in 00flipper-profiles zz-flipper-profiles; do
           sed -e '/Tools::Options/d' $f > again-$f.conf; done",
    )
    .ok();
    lab.run("apt-config dump | grep -c 'flipper-hook pre'").ok().says("2\n");
    let before = lab.tree();
    lab.run("apt-get -qq install plain=1").ok().silent();
    assert_eq!(lab.entries().len(), 1);
    assert_eq!(lab.points().len(), 1);
    assert_eq!(changes(&lab.newest()), ["install plain - 1", "install plain-lib - 1+sec1"]);
    lab.back_and_forth(&before);
}

/// Each dpkg invocation without apt is a run of its own.
#[test]
fn plain_dpkg() {
    let lab = Pool::trixie().lab("dpkg");
    let flat = "/home/apt/flat";
    let runs = [
        (format!("dpkg -i {flat}/conf_1_all.deb"), "install conf - 1"),
        (format!("dpkg --unpack {flat}/conf_2_all.deb"), "upgrade conf 1 2"),
        ("dpkg --configure -a".to_owned(), "configure conf 2 2"),
        ("dpkg -r conf".to_owned(), "remove conf 2 -"),
        ("dpkg -P conf".to_owned(), "purge conf 2 -"),
    ];
    for (at, (script, change)) in runs.iter().enumerate() {
        let before = lab.tree();
        let done = lab.run(&format!("{script} >/dev/null")).ok();
        let entries: Vec<_> = lab.entries().into_iter().filter(|e| e["kind"] == "packages").collect();
        assert_eq!(entries.len(), at + 1, "{script}");
        assert_eq!(changes(&entries[0]), [*change], "{script}");
        assert_eq!(entries[0]["command_line"], script.as_str());
        assert_eq!(entries[0]["driver"]["name"], "dpkg");
        // Only unpacked: dpkg was not asked for more, and still it is no settled state.
        let unsettled = script.contains("--unpack");
        assert_eq!(entries[0]["state"], if unsettled { "failed" } else { "completed" }, "{script}");
        assert_eq!(done.ours().len(), usize::from(unsettled), "{:?}", done.ours());
        lab.back_and_forth(&before);
    }
}

#[test]
fn plain_dpkg_fails() {
    let lab = Pool::trixie().lab("dpkg-fails");
    fails(&lab, "dpkg -i /home/apt/flat/bad-post_1_all.deb", 1);
    lab.undo(&[]).ok();
    // The preinst of a package dpkg does not know: only the inode of the status tells.
    let before = lab.tree();
    lab.run("dpkg -i /home/apt/flat/destroyer_1_all.deb").exits(1);
    assert!(!lab.tree().has("etc/important/letter"));
    lab.back_and_forth(&before);
}

/// Our words on standard error are none when all is well: apt prints what it prints without us.
#[test]
fn success_is_silent() {
    let with = Pool::trixie().lab("silent-with");
    let without = Pool::trixie().lab("silent-without");
    without.run("mv /usr/libexec/flipper-profiles/flipper-hook /root/").ok();
    for script in
        ["apt-get -q -y install plain", "apt-get -q -y purge plain", "dpkg -i /home/apt/flat/conf_1_all.deb"]
    {
        let (a, b) = (with.run(script).ok(), without.run(script).ok());
        assert_eq!(a.err, b.err, "{script}");
        assert!(!a.out.contains("flipper"), "{}", a.out);
    }
    assert_eq!((with.entries().len(), without.entries().len()), (3, 0));
}

/// overlayfs does not rename a directory of the base aside. The entry says what helps, and it does.
#[test]
fn a_file_takes_the_place_of_a_directory_of_the_base() {
    let lab = Pool::trixie().lab("exdev");
    // A newer tzdata in which its directory of documents is a file.
    lab.run(
        "set -e; rm -rf /home/exd; mkdir -p /home/exd/DEBIAN /home/exd/usr/share/doc; cd /home/exd
        echo text > usr/share/doc/tzdata; md5sum usr/share/doc/tzdata > DEBIAN/md5sums
        printf '%s\\n' 'Package: tzdata' 'Version: 9999' 'Architecture: all' \
            'Maintainer: Nobody <nobody@example.org>' 'Description: stands for tzdata' > DEBIAN/control
        dpkg-deb --root-owner-group -b /home/exd /home/exd.deb; rm -r /home/exd; test -d /usr/share/doc/tzdata",
    )
    .ok();
    let helps = "tzdata was not upgraded; a file takes the place of /usr/share/doc/tzdata, a directory of the base: \
                 flipper-profile repair --path /usr/share/doc/tzdata, then do this again";
    for (line, status) in [("apt-get -qq install /home/exd.deb", 100), ("dpkg -i /home/exd.deb", 1)] {
        let done = lab.run(line).exits(status).says("Invalid cross-device link");
        let entry = lab.newest();
        assert_eq!((&entry["state"], &entry["outcome"]), (&"failed".into(), &helps.into()), "{line}");
        assert!(done.ours()[0].contains(helps), "{:?}", done.ours());
    }
    let repair = ["--yes", "repair", "exdev", "--path", "/usr/share/doc/tzdata"];
    lab.pool.call("flipper-profile", &repair).ok().says("1 directory made the profile's own");
    let before = lab.tree();
    lab.run("apt-get -qq install /home/exd.deb; rm /home/exd.deb").ok().silent();
    assert_eq!(changes(&lab.newest())[0].split(' ').next(), Some("upgrade"));
    lab.back_and_forth(&before);
}
