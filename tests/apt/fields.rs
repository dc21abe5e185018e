//! What an entry says of a run, and a journal in bad health.

use std::fs;

use crate::rig::{Pool, changes};

#[test]
fn archive_and_security() {
    let lab = Pool::trixie().lab("archive");
    // Many times: the look-up runs beside dpkg and must never lose.
    for round in 0..10 {
        lab.run("apt-get -qq install plain").ok().silent();
        let entry = lab.newest();
        let of = |at: usize| {
            (entry["changes"][at]["archive"].as_str(), entry["changes"][at]["security"].as_bool())
        };
        assert_eq!(of(0), (Some("/home/apt/flat"), Some(false)), "round {round}: {entry:#}");
        assert_eq!(of(1), (Some("x-security/main"), Some(true)), "round {round}: {entry:#}");
        lab.run("apt-get -qq autoremove --purge plain").ok();
        assert!(lab.newest()["changes"][0]["archive"].is_null());
    }
    // A file from nowhere.
    lab.run("apt-get -qq install /home/apt/nowhere_1_all.deb").ok();
    assert!(lab.newest()["changes"][0]["archive"].is_null(), "{:#}", lab.newest());
}

#[test]
fn who_and_why() {
    let lab = Pool::trixie().lab("who");
    lab.run("useradd --uid 4321 --no-create-home someone").ok();
    lab.run_with(
        &[("SUDO_UID", "4321")],
        "apt-get -qq -o APT::History::Comment='for the fair' install plain",
    )
    .ok();
    let entry = lab.newest();
    assert_eq!(entry["person"], serde_json::json!({"uid": 4321, "name": "someone"}));
    assert_eq!(entry["comment"], "for the fair");
    let log = lab.log();
    assert!(log.contains("someone") && log.contains("\"for the fair\""), "{log}");
    assert!(log.contains("2 installed: plain, plain-lib"), "{log}");
    lab.run_with(&[("SUDO_UID", "777")], "dpkg -i /home/apt/flat/conf_1_all.deb").ok();
    assert_eq!(lab.newest()["person"], serde_json::json!({"uid": 777}));
    // Control characters of a command line do not reach the terminal.
    lab.run("apt-get -qq -o Foo=\"$(printf 'a\\033[2Jb\\nc')\" install conf").ok();
    assert!(!lab.log().contains('\u{1b}'));
}

/// The index is made from the entries: hooks do not need it, and the next reader makes it again.
#[test]
fn the_index_is_missing_or_broken() {
    let pool = Pool::copy("trixie");
    let lab = pool.lab("index");
    lab.run("apt-get -qq install plain=1").ok();
    let index = pool.top.join("@journal/journal.db").display().to_string();
    let damage = |bytes: Option<&[u8]>| {
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(format!("{index}{end}"));
        }
        if let Some(bytes) = bytes {
            fs::write(&index, bytes).expect("write");
        }
    };
    let garbage = vec![b'x'; 100_000];
    for bytes in [None, Some(&garbage[..]), Some(b"")] {
        damage(bytes);
        lab.run("apt-get -qq install conf=1").ok().silent();
        assert_eq!(changes(&lab.newest()), ["install conf - 1"]);
        damage(bytes);
        lab.run("apt-get -qq purge conf").ok().silent();
        assert_eq!(changes(&lab.newest()), ["purge conf 1 -"]);
        let log = lab.log();
        assert!(log.contains("1 purged: conf") && log.contains("2 installed: plain, plain-lib"), "{log}");
        damage(bytes);
        pool.call("flipper-profile", &["log", "index"])
            .ok()
            .says("the journal's index was missing or damaged");
        damage(bytes);
        let before = lab.tree();
        lab.run("apt-get -qq install conf=1").ok();
        lab.back_and_forth(&before);
        lab.undo(&[]).ok();
    }
}

/// A board without a clock.
#[test]
fn the_clock_is_in_1970() {
    let lab = Pool::trixie().lab("clock");
    // faketime is a library: the hook that is shipped has no loader, so this one is linked as usual.
    let hook = std::fs::read(env!("CARGO_BIN_EXE_flipper-hook")).expect("read");
    let script = "cat > /usr/libexec/flipper-profiles/flipper-hook";
    lab.pool.run(&lab.id, script, &[], &hook).ok();
    let before = lab.tree();
    lab.run("faketime -f '1970-01-01 00:00:10' apt-get -qq install plain").ok().silent();
    let entry = lab.newest();
    assert_eq!(
        (entry["started"].as_str(), entry["state"].as_str()),
        (Some("1970-01-01T00:00:10Z"), Some("completed"))
    );
    assert!(lab.log().contains("1970-01-01 00:00"), "{}", lab.log());
    lab.back_and_forth(&before);
    // Numbers give the order, not times.
    lab.run("apt-get -qq install conf").ok();
    lab.run("faketime -f '1970-01-01 00:00:10' apt-get -qq install special").ok();
    lab.undo(&["--dry-run"]).ok().says("special");
}

/// A status dpkg cannot read: apt fails as it would without us, and undo mends it.
#[test]
fn a_broken_status() {
    let lab = Pool::trixie().lab("status");
    let before = lab.tree();
    lab.run("apt-get -qq install plain").ok();
    lab.run("echo garbage >> /var/lib/dpkg/status").ok();
    let done = lab.run("apt-get -qq install conf 2>/dev/null; echo $?");
    assert_eq!(done.out.trim(), "100");
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
}
