//! The entries, and the index over them.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::process::Command;

use super::{findings, finds, finds_in, lab};
use crate::rig::need;

#[test]
fn what_is_wrong_with_the_journal_is_found() {
    let (rig, root, point) = lab();
    let file = format!("@journal/entries/lab/{point}.json");
    let text = fs::read_to_string(rig.in_pool(&file)).unwrap();
    for (bytes, why) in [
        ("{", "EOF"),
        (&*text.replace(&format!("\"number\": {point}"), "\"number\": 1"), "it says it is entry 1"),
        (&*text.replace("\"lab\"", "\"two\""), "it says it is an entry of two"),
    ] {
        finds_in(&rig, &file, Some(bytes.as_bytes()), &format!("entry: {file}: it cannot be read"));
        fs::write(rig.in_pool(&file), bytes).unwrap();
        assert!(findings(&rig, &[])[0].contains(why), "{why}");
        fs::write(rig.in_pool(&file), &text).unwrap();
    }
    let unprotected = text.replace("\"point\": true", "\"point\": false");
    finds_in(
        &rig,
        &file,
        Some(unprotected.as_bytes()),
        &format!("entry: lab: point {point}: its entry says that none was taken"),
    );
    finds_in(&rig, &file, None, &format!("entry: lab: point {point}: it has no entry"));
    let copy = rig.in_pool("@journal/entries/.pool").join(format!("{point}.json"));
    let of_the_pool = text.replace("\"profile\": \"lab\",", "");
    finds(
        &rig,
        &[],
        &format!("entry {point} is in lab and in .pool"),
        || fs::write(&copy, of_the_pool).unwrap(),
        || fs::remove_file(&copy).unwrap(),
    );
    finds_in(
        &rig,
        "@journal/next",
        Some(b"00000000000000000002\n"),
        "next: @journal/next: it says 2, but entry",
    );
    finds_in(&rig, "@journal/next", Some(b"\0\0\0"), "next: @journal/next: it cannot be read");
    let (closed, open) = (rig.in_pool(&file), rig.in_pool(format!("@journal/entries/lab/{point}.open.json")));
    let damage = || {
        fs::write(&open, text.replace("completed", "open")).unwrap();
        fs::remove_file(&closed).unwrap();
    };
    finds(&rig, &[], &format!("open: lab: entry {point}: it is open, and over: cut off"), damage, || {
        fs::write(&closed, &text).unwrap();
        fs::remove_file(&open).unwrap();
    });
    // A package run that may be alive is nobody's fault.
    let run = rig.start_waiting("lab");
    fs::write(&open, text.replace("completed", "open").replace("\"set\"", "\"packages\"")).unwrap();
    fs::remove_file(&closed).unwrap();
    assert_eq!((findings(&rig, &[]), rig.current("lab")), (Vec::new(), root));
    run.end();
}

/// An index that is gone or behind mends itself; one that is sure of something else is named.
#[test]
fn what_is_wrong_with_the_index_is_found() {
    let (rig, ..) = lab();
    rig.profile(&["log", "lab"]).ok();
    let index = rig.in_pool("@journal/journal.db");
    let sqlite = |statements: &str| {
        let line =
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.close()";
        need("python3", Command::new("python3").args(["-c", line]).arg(&index).arg(statements));
    };
    let rebuild = || drop(rig.profile(&["journal", "rebuild"]).ok());
    finds(
        &rig,
        &[],
        "index: @journal/journal.db: it says something else than entries",
        || sqlite("UPDATE entry SET document = replace(document, 'completed', 'failed')"),
        rebuild,
    );
    finds(&rig, &[], "index: @journal/journal.db:", || sqlite("UPDATE entry SET document = 'x'"), rebuild);
    sqlite("PRAGMA wal_checkpoint(TRUNCATE)");
    let garble = || {
        let mut file = fs::OpenOptions::new().write(true).open(&index).unwrap();
        for page in 1..4 {
            file.seek(SeekFrom::Start(page * 4096)).unwrap();
            file.write_all(&[0xaa; 2000]).unwrap();
        }
    };
    finds(&rig, &[], "index: @journal/journal.db:", garble, rebuild);
    for harmless in ["DELETE FROM entry", "UPDATE entry SET mtime = 0", "PRAGMA user_version = 77"] {
        sqlite(harmless);
        assert_eq!(findings(&rig, &[]), [""; 0], "{harmless}");
    }
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(rig.in_pool(format!("@journal/journal.db{suffix}")));
    }
    assert_eq!(findings(&rig, &[]), [""; 0], "missing");
}
