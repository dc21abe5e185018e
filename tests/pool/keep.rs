//! What an undo takes along, and what it is told to keep.

use std::fs;

use crate::rig::tree::{Tree, assert_same};
use crate::rig::{Ended, Rig};

fn undo(rig: &Rig, args: &[&str]) -> Ended {
    rig.undo(&[&["--profile", "lab", "--yes"], args].concat())
}

/// An entry, then a day of work: files, directories, absences, links, odd names.
fn worked_since() -> (Rig, Tree) {
    let rig = Rig::with_lab();
    rig.sh(
        "lab",
        "mkdir -p /srv/deep/er; echo old > /srv/deep/er/a; echo old > /etc/a; echo old > /etc/gone; ln -s /srv /link
         echo 'anna:$old:1:0:99999:7:::' > /etc/shadow; echo 'bob:!:1:0:99999:7:::' >> /etc/shadow; chmod 640 /etc/shadow",
    );
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let then = rig.tree("lab");
    rig.sh(
        "lab",
        "echo new > /etc/a; rm /etc/gone; echo new > /srv/deep/er/a; echo b > '/srv/deep/er/b c'; ln -s nowhere /srv/deep/dangling
         rm -r /opt/data; mkdir /opt/data; echo mine > /opt/data/mine; chown 7:8 /opt/data/mine; chmod 4711 /opt/data/mine
         touch \"/etc/$(printf 'bad\\377\\nname')\"
         mkdir -p /etc/NetworkManager/system-connections
         printf '[connection]\\nid=Home\\ntype=wifi\\n' > /etc/NetworkManager/system-connections/x.nmconnection
         chmod 600 /etc/NetworkManager/system-connections/x.nmconnection
         sed -i 's/old:1/new:2/' /etc/shadow; echo 'carl:$c:3:0:::::' >> /etc/shadow",
    );
    (rig, then)
}

#[test]
fn files_of_the_persons_own_are_counted_and_named() {
    let (rig, _) = worked_since();
    let own = &rig.undo(&["--profile", "lab", "--dry-run", "--json"]).json()["own"];
    let files: Vec<&str> = own["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    let expected = [
        "etc/a",
        "etc/bad\\xff\nname",
        "opt/data/mine",
        "srv/deep/dangling",
        "srv/deep/er/a",
        "srv/deep/er/b c",
    ];
    assert_eq!(files, expected);
    assert_eq!(own["passwords"], serde_json::json!(["anna"]));
    assert_eq!(own["connections"][0]["name"], "the Wi-Fi connection 'Home'");
    let text = rig.undo(&["--profile", "lab", "--dry-run"]).ok().out;
    for line in [
        "  6 files of yours changed since: --keep PATH keeps one\n    /etc/a\n",
        "    and 3 more: -v names all",
        "  the Wi-Fi connection 'Home' goes with it: --keep wifi keeps it",
        "  the password of anna becomes the old one: --keep passwords keeps it",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let text = rig.undo(&["--profile", "lab", "--dry-run", "-v"]).ok().out;
    assert!(text.contains("/srv/deep/er/b c") && !text.contains("more: -v"), "{text}");
    // Back and forth: what was there then is not called changed since.
    undo(&rig, &[]).ok();
    let own = &rig.undo(&["--profile", "lab", "--redo", "--dry-run", "--json"]).json()["own"];
    assert_eq!(own, &serde_json::json!({"files": [], "connections": [], "passwords": []}));
    rig.sh("lab", "echo since > /etc/since");
    let own = &rig.undo(&["--profile", "lab", "--redo", "--dry-run", "--json"]).json()["own"];
    assert_eq!(own["files"], serde_json::json!(["etc/since"]));
    rig.verify();
}

#[test]
fn what_is_kept_is_as_it_is_now_and_nothing_else() {
    let (rig, then) = worked_since();
    let now = rig.tree("lab");
    let kept = ["/srv/deep", "/opt/data", "/etc/gone", "/etc/not/there"];
    let mut words = vec!["--keep", "wifi", "--keep", "passwords"];
    kept.iter().for_each(|path| words.extend(["--keep", path]));
    let preview = rig.undo(&[&["--profile", "lab", "--dry-run"], words.as_slice()].concat()).ok().out;
    assert!(
        preview.contains("keeps /etc/NetworkManager/system-connections/x.nmconnection, /etc/gone"),
        "{preview}"
    );
    assert!(preview.contains("  2 files of yours changed since"), "{preview}");
    undo(&rig, &words).ok();
    let back = rig.tree("lab");
    let left_out = ["srv/deep", "opt/data", "etc/gone", "etc/NetworkManager", "etc/shadow"];
    assert_same(&then.clone().without(&left_out), &back.clone().without(&left_out));
    for path in ["srv/deep", "opt/data", "etc/NetworkManager"] {
        assert_same(&now.clone().under(path), &back.clone().under(path));
    }
    assert!(!back.has("etc/gone") && back.has("etc/NetworkManager/system-connections/x.nmconnection"));
    let shadow = rig.sh("lab", "cat /etc/shadow; stat -c %a /etc/shadow");
    assert_eq!(shadow, "anna:$new:2:0:99999:7:::\nbob:!:1:0:99999:7:::\n640");
    let (_, entry) = rig.last_entry("lab");
    assert_eq!(entry["keeps"]["passwords"], serde_json::json!(["anna"]));
    assert_eq!(entry["keeps"]["paths"].as_array().unwrap().len(), 5);
    // The undo is taken back whole all the same.
    undo(&rig, &["--redo"]).ok();
    assert_same(&now, &rig.tree("lab"));
    rig.mounted("lab", |dir| assert!(crate::rig::tree::mistaken_for_one(dir).is_empty()));
    rig.verify();
}

#[test]
fn what_was_kept_counts_as_ones_own_again() {
    let (rig, _) = worked_since();
    rig.profile(&["set", "lab", "--args", "more"]).ok();
    undo(&rig, &["--keep", "/etc/a"]).ok();
    undo(&rig, &["--keep", "/opt/data/mine"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/a /opt/data/mine"), "old\nmine");
    rig.verify();
}

#[test]
fn refused_before_anything_changes() {
    let (rig, _) = worked_since();
    let (tree, entries) = (rig.tree("lab"), rig.entries("lab"));
    for (path, why) in [
        ("etc/a", "it must be an absolute path"),
        ("/etc/../a", "it must be an absolute path"),
        ("/", "it is everything"),
        ("/var/lib/dpkg/status", "dpkg's database"),
        ("/var", "dpkg's database"),
        ("/var/log/x", "undo leaves it alone"),
        ("/home/x", "undo leaves it alone"),
        ("/etc", "accounts are no files"),
        ("/etc/shadow", "accounts are no files"),
        ("/usr", "packages made it"),
        ("/usr/bin", "packages made it"),
        ("/usr/share", "packages made it"),
        ("/usr/lib/x86_64-linux-gnu", "packages made it"),
        ("/link/deep", "/link is a link"),
        ("wlan", "it must be an absolute path"),
    ] {
        undo(&rig, &["--keep", path]).refused(why);
    }
    assert_eq!(entries, rig.entries("lab"));
    assert_same(&tree, &rig.tree("lab"));
    rig.verify();
}

/// In use, and dropped before its start: a root nobody ran is not kept for what was handed on to it.
#[test]
fn into_a_root_that_waits() {
    let (rig, _) = worked_since();
    let run = rig.start_waiting("lab");
    undo(&rig, &["--keep", "/srv/deep", "--keep", "passwords"]).ok();
    undo(&rig, &["--cancel"]).ok();
    assert!(rig.entries("lab").iter().all(|(_, e)| e["kind"] != "left"));
    undo(&rig, &["--keep", "/srv/deep"]).ok();
    run.end();
    assert_eq!(rig.sh("lab", "cat '/srv/deep/er/b c'; cat /etc/a"), "b\nold");
    let kept = fs::read_to_string(rig.root_dir("lab").join("root/srv/deep/er/b c")).unwrap();
    assert_eq!(kept, "b\n");
    rig.verify();
}

#[test]
fn a_reset_keeps_too() {
    let (rig, _) = worked_since();
    let own = &rig.profile(&["reset", "lab", "--dry-run", "--json"]).json()["own"];
    assert!(own["files"].as_array().unwrap().iter().any(|f| f == "etc/a"), "{own}");
    rig.profile(&["--yes", "reset", "lab", "--keep", "/srv/deep", "--keep", "wifi"]).ok();
    assert_eq!(
        rig.sh(
            "lab",
            "cat /srv/deep/er/a; ls /etc/NetworkManager/system-connections; test -e /etc/a || echo no"
        ),
        "new\nx.nmconnection\nno"
    );
    rig.verify();
}

/// On a terminal each connection and each password is one question, and yes is what Enter says.
#[test]
fn a_person_is_asked_one_question_each() {
    use std::io::Write;
    let (rig, _) = worked_since();
    let program = crate::rig::program_path("flipper-undo");
    let mut script = std::process::Command::new("script");
    let line = format!("{} --pool {} --profile lab", program.display(), rig.image_name());
    script.args(["-qec", &line, "/dev/null"]).stdin(std::process::Stdio::piped());
    let script = script.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let mut script = script.expect("script(1) is missing: apt-get install bsdutils");
    script.stdin.as_mut().unwrap().write_all(b"\nno\ny\n").unwrap();
    let output = script.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for question in [
        "keep the Wi-Fi connection 'Home'? [Y/n]",
        "keep the present password of anna? [Y/n]",
        "go on? [y/N]",
    ] {
        assert!(said.contains(question), "{question}\n{said}");
    }
    assert_eq!(
        rig.sh("lab", "ls /etc/NetworkManager/system-connections; head -n 1 /etc/shadow"),
        "x.nmconnection\nanna:$old:1:0:99999:7:::"
    );
    rig.verify();
}

/// An undo reserves an account by a locked line; a redo must not hand that line on as a password.
#[test]
fn the_lock_of_a_reserved_account_is_no_password() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo 'anna:$old:1:0:99999:7:::' > /etc/shadow; chmod 640 /etc/shadow");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh(
        "lab",
        "echo 'kim:x:1001:1001::/home/kim:/bin/sh' >> /etc/passwd; echo 'kim:$kim:5:0:99999:7:::' >> /etc/shadow",
    );
    undo(&rig, &[]).ok();
    rig.sh("lab", "sed -i 's/old:1/new:2/' /etc/shadow; grep -q 'kim:!.flipper-reserved' /etc/shadow");
    let own = &rig.undo(&["--profile", "lab", "--redo", "--dry-run", "--json"]).json()["own"];
    assert_eq!(own["passwords"], serde_json::json!(["anna"]));
    undo(&rig, &["--redo", "--keep", "passwords"]).ok();
    assert_eq!(rig.sh("lab", "cat /etc/shadow"), "anna:$new:2:0:99999:7:::\nkim:$kim:5:0:99999:7:::");
    rig.verify();
}

/// A link in a profile is one in the profile: followed from outside, it leads to a file of this machine.
#[test]
fn shadow_as_a_link_is_not_followed() {
    let (rig, _) = worked_since();
    let mine = rig.path("shadow");
    fs::write(&mine, "anna:$machine:9:0:99999:7:::\n").unwrap();
    let link = format!("cp -a /etc/shadow /etc/mine; ln -sf {} /etc/shadow", mine.display());
    rig.sh("lab", &link);
    let own = &rig.undo(&["--profile", "lab", "--dry-run", "--json"]).json()["own"];
    assert_eq!(own["passwords"], serde_json::json!([]), "what is behind a link is nobody's password");
    undo(&rig, &["--keep", "passwords"]).ok();
    assert_eq!(
        rig.sh("lab", "head -n 1 /etc/shadow; stat -c %F /etc/shadow"),
        "anna:$old:1:0:99999:7:::\nregular file"
    );
    // And the other way round: the state that comes back has the link.
    undo(&rig, &["--redo", "--keep", "passwords"]).ok();
    assert_eq!(
        rig.sh("lab", "stat -c %F /etc/shadow; head -n 1 /etc/mine"),
        "symbolic link\nanna:$new:2:0:99999:7:::"
    );
    assert_eq!(fs::read_to_string(&mine).unwrap(), "anna:$machine:9:0:99999:7:::\n");
    rig.verify();
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let rig = Rig::with_lab();
    rig.sh("lab", "mkdir -p /srv/links /srv/other; echo a > /srv/links/same; echo a > /srv/links/twin");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.sh(
        "lab",
        "cd /srv; echo b > links/a; ln links/a links/b; ln links/a other/c; ln -f links/same links/twin",
    );
    undo(&rig, &["--keep", "/srv/links", "--keep", "/srv/other"]).ok();
    let numbers = rig.sh("lab", "cd /srv; stat -c %h links/a links/same; stat -c %i links/a links/b other/c | sort -u | wc -l; cat other/c");
    assert_eq!(numbers, "3\n2\n1\nb");
    rig.verify();
}
