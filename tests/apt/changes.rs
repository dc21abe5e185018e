//! What package runs change, taken back and brought back.

use crate::rig::{Lab, Pool, changes, planned};

/// A run that ends well, its entry, undo to the tree before, redo to the tree after. Returns its changes.
#[track_caller]
fn there_and_back(lab: &Lab, script: &str) -> Vec<String> {
    let before = lab.tree();
    lab.run(script).ok().silent();
    let entry = lab.newest();
    assert_eq!(entry["kind"], "packages");
    assert_eq!(entry["state"], "completed", "{entry:#}");
    assert_eq!(entry["command_line"], script, "{entry:#}");
    assert_eq!(lab.points().last(), entry["number"].as_u64().as_ref(), "no point: {entry:#}");
    lab.back_and_forth(&before);
    changes(&entry)
}

#[test]
fn install() {
    let lab = Pool::trixie().lab("install");
    let found = there_and_back(&lab, "apt-get -qq install plain=1");
    assert_eq!(found, ["install plain - 1", "install plain-lib - 1+sec1"]);
    let entries = lab.entries();
    let kinds: Vec<_> = entries.iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["redo", "undo", "packages"]);
    let entry = &entries[2];
    assert_eq!(planned(entry), ["install plain - 1", "install plain-lib - 1+sec1"]);
    assert_eq!(entry["driver"]["name"], "apt-get");
    assert_eq!(entry["changes"][0]["auto"], false);
    assert_eq!(entry["changes"][1]["auto"], true);
    assert!(entry["ended"].is_string() && entry["outcome"].is_null(), "{entry:#}");
}

#[test]
fn upgrade_with_an_edited_conffile() {
    let lab = Pool::trixie().lab("conffile");
    lab.run("apt-get -qq install conf=1").ok();
    lab.run("echo mine >> /etc/conf.conf; rm /etc/conf.d/old").ok();
    let found = there_and_back(&lab, "apt-get -qq -o Dpkg::Options::=--force-confold install conf");
    assert_eq!(found, ["upgrade conf 1 2"]);
    assert!(lab.tree().has("etc/conf.conf.dpkg-dist"));
    lab.undo(&["--dry-run"]).ok().says("takes back 1 upgrade").says("keeps the kernel");
    // The other answer: theirs.
    lab.undo(&[]).ok();
    there_and_back(&lab, "apt-get -qq -o Dpkg::Options::=--force-confnew install conf");
    lab.undo(&["--dry-run"]).ok().says("restores 1 conffile").says("restores /etc/conf.conf");
}

#[test]
fn downgrade() {
    let lab = Pool::trixie().lab("downgrade");
    lab.run("apt-get -qq install plain").ok();
    let found = there_and_back(&lab, "apt-get -qq --allow-downgrades install plain=1");
    assert_eq!(found, ["downgrade plain 2 1"]);
    assert_eq!(planned(&lab.entries()[2]), ["downgrade plain 2 1"]);
}

#[test]
fn remove_then_purge() {
    let lab = Pool::trixie().lab("remove");
    lab.run("apt-get -qq install conf=1; echo mine >> /etc/conf.conf").ok();
    assert_eq!(there_and_back(&lab, "apt-get -qq remove conf"), ["remove conf 1 -"]);
    assert!(lab.tree().has("etc/conf.conf"));
    assert_eq!(there_and_back(&lab, "apt-get -qq purge conf"), ["purge conf 1 -"]);
    assert!(!lab.tree().has("etc/conf.conf"));
}

#[test]
fn purge_at_once_and_autoremove() {
    let lab = Pool::trixie().lab("purge");
    lab.run("apt-get -qq install conf=1 plain; echo mine >> /etc/conf.conf").ok();
    assert_eq!(there_and_back(&lab, "apt-get -qq purge conf"), ["purge conf 1 -"]);
    let found = there_and_back(&lab, "apt-get -qq autoremove --purge plain");
    assert_eq!(found, ["purge plain 2 -", "purge plain-lib 1+sec1 -"]);
}

#[test]
fn reinstall() {
    let lab = Pool::trixie().lab("reinstall");
    lab.run("apt-get -qq install plain; echo spoilt > /usr/share/plain/a").ok();
    let before = lab.tree();
    assert_eq!(there_and_back(&lab, "apt-get -qq install --reinstall plain"), ["reinstall plain 2 2"]);
    let after = lab.tree();
    assert_eq!(before.what("var/lib/dpkg/status"), after.what("var/lib/dpkg/status"), "this case is no case");
}

#[test]
fn marks_and_holds() {
    let lab = Pool::trixie().lab("marks");
    lab.run("apt-get -qq install plain=1").ok();
    lab.run("apt-mark -qq manual plain-lib; apt-mark -qq auto plain; apt-mark -qq hold plain").ok();
    assert_eq!(lab.entries().len(), 1, "apt-mark changes no package");
    there_and_back(&lab, "apt-get -qq --allow-change-held-packages install plain=2");
    lab.undo(&[]).ok();
    lab.run("apt-mark showhold; apt-mark showmanual plain plain-lib").ok().says("plain\nplain-lib\n");
    // Back before the installation: the marks made after it go with it.
    lab.undo(&[]).ok();
    let now = lab.run("apt-mark showhold; apt-mark showmanual plain plain-lib").ok().out;
    assert_eq!(now, "");
}

/// One package installed; what it must have made.
#[track_caller]
fn installing(package: &str, made: &[(&str, &str)]) {
    let lab = Pool::trixie().lab(package);
    let found = there_and_back(&lab, &format!("apt-get -qq install {package}"));
    assert_eq!(found, [format!("install {package} - 1")]);
    let tree = lab.tree();
    for (path, what) in made {
        assert!(tree.what(path).contains(what), "{path}: {}", tree.what(path));
    }
}

#[test]
fn setuid_capabilities_attributes_and_links() {
    installing(
        "special",
        &[
            ("usr/bin/special-suid", "104755 0:0"),
            ("usr/bin/special-sgid", "102755 0:0"),
            ("usr/bin/special-sgid", "user.flavour="),
            ("usr/bin/special-caps", "security.capability="),
            ("usr/share", "trusted.mark="),
            ("srv", "41755"),
            ("var/lib/special", "43770 7:9"),
            ("var/lib/special/b", "linked to var/lib/special/a"),
            ("var/lib/special/c", "120777 0:9 a"),
            ("var/lib/special/pipe", "10620 3:4"),
            ("var/lib/special/node", "20644 0:9 103"),
        ],
    );
}

#[test]
fn a_user_made_by_a_postinst() {
    installing("service", &[("var/lib/service/key", "100600"), ("etc/shadow-", "100640")]);
}

#[test]
fn odd_file_names() {
    installing(
        "odd",
        &[
            ("var/lib/odd names/ a b ", "100644"),
            (r"var/lib/odd names/new\nline", "100644"),
            (r"var/lib/odd names/bad\xff\xfeutf8", "100644"),
            (r"var/lib/odd names/dbad\xff\xfeutf8", "40755"),
            (r"var/lib/odd names/lbad\xff\xfeutf8", r"bad\xff\xfeutf8"),
            ("var/lib/odd names/*", "100644"),
        ],
    );
}

#[test]
fn alternatives() {
    installing(
        "alternative",
        &[("etc/alternatives/alt", "/usr/bin/alt-two"), ("usr/bin/alt", "/etc/alternatives/alt")],
    );
}

#[test]
fn diversions() {
    installing("divert", &[("etc/important.conf.real", "100644")]);
}

#[test]
fn stat_overrides() {
    installing("override", &[("usr/share/override", "42770 0:60")]);
}

#[test]
fn a_symlink_that_becomes_a_directory() {
    let lab = Pool::trixie().lab("turning");
    lab.run("apt-get -qq install turning=1").ok();
    assert!(lab.tree().what("usr/share/turning").contains("turning-old"));
    assert_eq!(there_and_back(&lab, "apt-get -qq install turning"), ["upgrade turning 1 2"]);
    assert!(lab.tree().has("usr/share/turning/in"));
}
