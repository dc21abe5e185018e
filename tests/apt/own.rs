//! Which files are the person's own, among all that package runs wrote; and what is kept of them, with
//! real packages around.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::rig::{Lab, Pool};

fn own(lab: &Lab, words: &[&str]) -> Value {
    let words = [&["--profile", lab.id.as_str(), "--dry-run", "--json"], words].concat();
    let text = lab.pool.call("flipper-undo", &words).ok().out;
    serde_json::from_str::<Value>(&text).expect("JSON")["own"]["files"].clone()
}

/// What scripts make, unpack, and leave behind is the run's; what is written a moment after it is not,
/// though it lies in the same transaction of btrfs, and neither is what was written before a later run.
#[test]
fn by_hand_is_told_from_what_a_run_wrote() {
    let lab = Pool::trixie().lab("own");
    lab.run("apt-get -qq install service special odd alternative override").ok();
    assert_eq!(own(&lab, &[]), serde_json::json!([]), "nothing but the run");
    lab.run("apt-get -qq install conf && echo edited >> /etc/important.conf && echo own > /srv/own && chmod 600 /etc/important/letter").ok();
    let first = lab.newest()["number"].to_string();
    let expected = serde_json::json!(["etc/important/letter", "etc/important.conf", "srv/own"]);
    assert_eq!(own(&lab, &[]), expected, "right after the run");
    // Later runs, and one of them writes over what was the person's.
    lab.run(
        "echo mine > /var/lib/conf-made; apt-get -qq install plain=1; apt-get -qq --reinstall install conf",
    )
    .ok();
    lab.run("grep -q made /var/lib/conf-made").ok();
    let found = own(&lab, &[&first]);
    let expected = ["etc/important/letter", "etc/important.conf", "srv/own", "var/lib/conf-made"];
    assert_eq!(found, serde_json::json!(expected), "since the first of them");
    assert_eq!(own(&lab, &[]), serde_json::json!([]), "and nothing since the last");
    lab.run("rm -r /etc/important; echo x > /usr/share/plain/a; ln -s x /etc/link").ok();
    assert_eq!(own(&lab, &[]), serde_json::json!(["etc/link", "usr/share/plain/a"]), "removed is not lost");
}

/// An edited conffile is the person's; a run that was cut or that failed is still a run.
#[test]
fn conffiles_and_runs_that_ended_badly() {
    let lab = Pool::trixie().lab("ownbad");
    lab.run("apt-get -qq install conf=1").ok();
    let conffile = lab.run("dpkg-query -W -f '${Conffiles}' conf").ok().out;
    let conffile = conffile.split_whitespace().next().expect("a conffile").trim_start_matches('/').to_owned();
    lab.run("apt-get -qq install bad-post; test $? = 100; rm -f /var/lib/x").ok();
    assert_eq!(own(&lab, &[]), serde_json::json!([]));
    lab.run(&format!("echo '# mine' >> /{conffile}")).ok();
    assert_eq!(own(&lab, &[]), serde_json::json!([conffile]));
}

#[test]
fn what_is_kept_outlives_the_package_it_lay_beside() {
    let lab = Pool::trixie().lab("ownkeep");
    lab.run("useradd -m anna && echo anna:one | chpasswd").ok();
    let before = lab.tree();
    lab.run("apt-get -qq install conf service && echo mine > /etc/mine && mkdir /srv/mine && echo x > /srv/mine/x && echo anna:two | chpasswd").ok();
    let hash = lab.run("grep ^anna: /etc/shadow").ok().out;
    lab.undo(&["--keep", "/etc/mine", "--keep", "/srv/mine", "--keep", "passwords"])
        .ok()
        .says("keeps /etc/mine, /srv/mine, the password of anna");
    lab.run(
        "test \"$(cat /etc/mine /srv/mine/x)\" = \"mine\nx\" && dpkg --audit && ! getent passwd flipservice",
    )
    .ok();
    assert_eq!(lab.run("grep ^anna: /etc/shadow").ok().out, hash);
    lab.run("test \"$(stat -c '%a %G' /etc/shadow)\" = '640 shadow'").ok();
    lab.run("rm -r /etc/mine /srv/mine; sed -i 's/^anna:[^:]*/anna:x/' /etc/shadow").ok();
    lab.tree().without(&["etc/shadow"]).must_be(&before.without(&["etc/shadow"]));
}

/// A built-in that is a list of packages: apt installs them in the profile that is being made.
#[test]
fn a_built_in_of_packages() {
    let pool = Pool::trixie();
    let dir = tempfile::tempdir().expect("a directory");
    let sources = dir.path().join("files/etc/apt");
    fs::create_dir_all(sources.join("sources.list.d")).unwrap();
    fs::write(sources.join("sources.list"), "").unwrap();
    fs::write(sources.join("sources.list.d/test.list"), "deb [trusted=yes] file:/home/apt/flat ./\n")
        .unwrap();
    fs::write(dir.path().join("builtin.conf"), "id=shop\nnote=from the shop\n").unwrap();
    fs::write(dir.path().join("packages"), "conf\nservice # an account of its own\n").unwrap();
    fs::write(dir.path().join("files/etc/shop"), "open\n").unwrap();
    let path = dir.path().to_str().unwrap();
    pool.call("flipper-profile", &["install-builtin", path])
        .ok()
        .says("made profile shop from built-in shop");
    let shop = Lab { pool, id: "shop".to_owned() };
    shop.run("dpkg -s conf service >/dev/null && getent passwd flipservice && cat /etc/shop && test ! -e /run/systemd/system").ok();
    shop.run("test -z \"$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)\" && ! test -s /var/log/dpkg.log && test -d /var/log/apt").ok();
    assert_eq!(shop.entries().len(), 1, "apt's run there is no entry of its own: {:?}", shop.entries());
    let shipped = shop.tree();
    shop.run("dpkg --purge conf && rm -r /var/lib/service && echo closed > /etc/shop").ok();
    pool.call("flipper-profile", &["--yes", "reset", "shop"]).ok();
    shop.tree().must_be(&shipped);
    pool.call("flipper-profile", &["verify"]).ok();
    // What cannot be installed leaves nothing.
    fs::write(dir.path().join("packages"), "no-such-package\n").unwrap();
    pool.call("flipper-profile", &["install-builtin", path, "--id", "bad"])
        .exits(3)
        .says("apt-get: it ended with 100");
    assert!(!pool.top.join("@profiles/bad").exists() && !pool.top.join("@profiles/.new-bad").exists());
    let left = Command::new("ls").arg("-A").arg(pool.top.join("@profiles")).output().unwrap();
    assert!(!String::from_utf8_lossy(&left.stdout).contains(".new-"), "{left:?}");
}
