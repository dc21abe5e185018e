//! Account numbers are never given twice in a profile: the ledger, and the accounts an undo reserves.

use std::fs;

use crate::rig::Rig;
use crate::rig::tree::{assert_differ, assert_same};

const ADD: &str = "echo 'daemon:x:104:110:D,,,:/var/lib/daemon:/bin/sh' >> /etc/passwd
    echo 'daemon:!:19000::::::' >> /etc/shadow; echo 'daemon:x:110:' >> /etc/group; echo 'daemon:!::' >> /etc/gshadow
    echo 'daemon:100000:65536' >> /etc/subuid; echo secret > /var/log/daemon.log; chown 104:110 /var/log/daemon.log";

const RESERVED: &str = "daemon:x:104:110:reserved by flipper-profiles:/nonexistent:/usr/sbin/nologin";

fn with_accounts() -> Rig {
    let rig = Rig::with_lab();
    rig.sh(
        "lab",
        "echo 'root:*:19000::::::' > /etc/shadow; chmod 640 /etc/shadow; chown 0:42 /etc/shadow; echo 'root:x:0:' > /etc/group
         echo 'root:*::' > /etc/gshadow; : > /etc/subuid",
    );
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig
}

fn undo(rig: &Rig, args: &[&str]) {
    rig.undo(&[&["--profile", "lab", "--yes"], args].concat()).ok();
}

fn ledger(rig: &Rig, id: &str) -> String {
    fs::read_to_string(rig.in_pool(format!("@profiles/{id}/ids"))).unwrap()
}

#[test]
fn what_an_undo_takes_away_stays_reserved() {
    let rig = with_accounts();
    let before = rig.tree("lab");
    rig.sh("lab", ADD);
    let after = rig.tree("lab");
    assert_differ(&before, &after);
    undo(&rig, &[]);
    assert_same(&before, &rig.tree("lab"));
    assert_eq!(rig.sh("lab", "tail -n 1 /etc/passwd"), RESERVED);
    assert_eq!(
        rig.sh("lab", "cd /etc; tail -qn 1 shadow group gshadow subuid; stat -c %a:%u:%g shadow"),
        "daemon:!*flipper-reserved:1:::::1:\ndaemon:x:110:\ndaemon:!*flipper-reserved::\nflipper-reserved:100000:65536\n640:0:42"
    );
    assert_eq!(rig.sh("lab", "cat /var/log/daemon.log; stat -c %u /var/log/daemon.log"), "secret\n104");
    let text = ledger(&rig, "lab");
    for line in [
        "u 0 root - 0:root:/root:/bin/sh",
        "u 104 daemon - 110:D,,,:/var/lib/daemon:/bin/sh",
        "g 110 daemon -",
        "su 100000 daemon - 65536",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
    undo(&rig, &["--redo"]);
    assert_same(&after, &rig.tree("lab"));
    assert_eq!(rig.sh("lab", "grep -c reserved /etc/passwd || true"), "0");
    // Back and forth adds no line twice.
    undo(&rig, &[]);
    undo(&rig, &["--redo"]);
    assert_eq!(ledger(&rig, "lab"), text);
    rig.verify();
}

#[test]
fn another_account_with_that_name_keeps_it() {
    let rig = with_accounts();
    rig.sh("lab", ADD);
    undo(&rig, &[]);
    rig.sh(
        "lab",
        "sed -i 's/^daemon:x:104:/daemon:x:200:/; s/reserved by flipper-profiles/mine/' /etc/passwd",
    );
    let mine = rig.tree("lab");
    rig.profile(&["set", "lab", "--args", "splash"]).ok();
    undo(&rig, &[]);
    assert_same(&mine, &rig.tree("lab"));
    let last = rig.sh("lab", "grep ^daemon /etc/passwd; tail -n 1 /etc/passwd");
    assert!(last.starts_with("daemon:x:200:") && last.contains("\nflipper-reserved-104:x:104:"), "{last}");
}

#[test]
fn a_clone_of_an_older_state_reserves_too() {
    let rig = with_accounts();
    let point = rig.last_entry("lab").0;
    rig.sh("lab", ADD);
    rig.profile(&["clone", &format!("lab@{point}"), "then"]).ok();
    assert_eq!(
        rig.sh("then", "tail -n 1 /etc/passwd; cat /var/log/daemon.log"),
        format!("{RESERVED}\nsecret")
    );
    assert!(ledger(&rig, "then").contains("u 104 daemon "));
    rig.profile(&["clone", "lab", "now"]).ok();
    assert_eq!(rig.sh("now", "grep -c reserved /etc/passwd || true"), "0");
    assert_same(&rig.tree("lab"), &rig.tree("now"));
    rig.verify();
}

#[test]
fn what_is_broken_stops_no_undo() {
    for broken in [
        "rm /etc/passwd",
        "rm /etc/passwd; mkfifo /etc/passwd",
        "head -c 5000 /dev/zero > /etc/group",
        "rm -r /etc",
    ] {
        let rig = with_accounts();
        let before = rig.tree("lab");
        // The ledger's last line was cut.
        fs::write(rig.in_pool("@profiles/lab/ids"), "u 7 seven - 0:::\nu 1").unwrap();
        rig.sh("lab", ADD);
        rig.sh("lab", broken);
        undo(&rig, &[]);
        assert_same(&before, &rig.tree("lab"));
        assert_eq!(rig.sh("lab", "grep -c :7:0:reserved /etc/passwd"), "1", "{broken}");
        let text = ledger(&rig, "lab");
        assert!(text.contains("\nu 1\n") || text.ends_with("\nu 1"), "a line that was cut is ended: {text}");
        rig.verify();
    }
}

/// What was only reserved in a root that waited is nothing that somebody wrote into it.
#[test]
fn a_cancel_keeps_no_reserved_accounts() {
    let rig = with_accounts();
    rig.sh("lab", ADD);
    let run = rig.start_waiting("lab");
    undo(&rig, &[]);
    let waiting = rig.root_dir("lab").join("root/etc/passwd");
    assert!(fs::read_to_string(waiting).unwrap().contains(RESERVED));
    undo(&rig, &["--cancel"]);
    assert!(rig.entries("lab").iter().all(|(_, entry)| entry["kind"] != "left"), "{:?}", rig.entries("lab"));
    run.end();
    assert_eq!(rig.sh("lab", "grep -c reserved /etc/passwd || true"), "0");
    rig.verify();
}

/// A link in a profile leads out of it when it is followed from outside.
#[test]
fn accounts_of_this_machine_are_not_noted() {
    let rig = with_accounts();
    let before = rig.tree("lab");
    let mine = rig.path("passwd");
    fs::write(&mine, "stranger:x:4242:4242:S:/home/stranger:/bin/sh\n").unwrap();
    rig.sh("lab", &format!("ln -sf {} /etc/passwd", mine.display()));
    undo(&rig, &[]);
    assert_same(&before, &rig.tree("lab"));
    let elsewhere = mine.parent().unwrap();
    rig.sh("lab", &format!("cp -a /etc /opt/etc; rm -r /etc; ln -s {} /etc", elsewhere.display()));
    undo(&rig, &["--redo"]);
    undo(&rig, &[]);
    let text = ledger(&rig, "lab");
    assert!(!text.contains("stranger"), "{text}");
    rig.verify();
}

/// Who loses the way in is told so before.
#[test]
fn the_preview_names_the_people_it_locks() {
    let rig = with_accounts();
    rig.sh("lab", "echo 'old:x:1000:1000::/home/old:/bin/sh' >> /etc/passwd");
    rig.profile(&["set", "lab", "--args", "splash"]).ok();
    rig.sh("lab", ADD);
    rig.sh(
        "lab",
        "echo 'anna:x:1001:1001::/home/anna:/bin/sh' >> /etc/passwd; echo 'dyn:x:61184:61184::/:/bin/sh' >> /etc/passwd",
    );
    let preview = |args: &[&str]| rig.undo(&[&["--profile", "lab", "--dry-run"], args].concat()).ok();
    let line = |name| format!("the account {name} is locked (its number and /home stay)");
    let text = preview(&[]).out;
    assert!(text.contains(&line("anna")) && text.matches("is locked").count() == 1, "{text}");
    assert_eq!(preview(&["--json"]).json()["locked_accounts"], serde_json::json!(["anna"]));
    undo(&rig, &[]);
    let text = preview(&["--redo"]).out;
    assert!(!text.contains("is locked"), "what is locked already is not locked anew: {text}");
    let text = preview(&[]).out;
    assert!(text.contains(&line("old")) && !text.contains(&line("anna")), "{text}");
    rig.verify();
}

/// A comment in another encoding: the account is one all the same, and is not reserved beside itself.
#[test]
fn a_comment_that_is_no_utf8() {
    let rig = with_accounts();
    rig.sh("lab", "printf 'jose:x:1000:1000:Jose:/home/jose:/bin/sh\\n' >> /etc/passwd");
    rig.profile(&["set", "lab", "--args", "splash"]).ok();
    rig.sh("lab", r"sed -i 's/:Jose:/:Jos\xe9:/' /etc/passwd; grep -aq '^jose:.*/home/jose' /etc/passwd");
    rig.profile(&["set", "lab", "--args", "noisy"]).ok();
    let before = rig.tree("lab");
    rig.sh("lab", ADD);
    undo(&rig, &[]);
    undo(&rig, &["--redo"]);
    undo(&rig, &[]);
    assert_eq!(rig.sh("lab", "grep -ac ^jose: /etc/passwd; grep -ac daemon: /etc/passwd"), "1\n1");
    assert_same(&before, &rig.tree("lab"));
    rig.verify();
}
