//! What can be typed. clap reads it; nothing of it may end in a panic, whatever bytes an argument has.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::Parser;
use flipper_profiles::commands::cli::{BaseProgram, ProfileProgram, Rescue, Undo};

use crate::engine::{Target, fuzz};

/// Words are divided by newlines. Nobody types long ones, and clap compares each with all it knows.
fn typed(bytes: &[u8]) {
    let words = bytes
        .split(|b| *b == b'\n')
        .take(50)
        .map(|word| OsString::from_vec(word[..word.len().min(200)].to_vec()));
    let words: Vec<OsString> = std::iter::once("flipper".into()).chain(words).collect();
    fn one<P: Parser>(words: &[OsString]) {
        if let Err(error) = P::try_parse_from(words) {
            assert!(!error.render().to_string().is_empty());
        }
    }
    one::<Undo>(&words);
    one::<ProfileProgram>(&words);
    one::<BaseProgram>(&words);
    one::<Rescue>(&words);
}

#[test]
fn any_words_are_understood_or_refused() {
    let lines = [
        "57\n--path\n/etc/x\n--dry-run\n--json",
        "--redo\n--profile\nlab\n--yes",
        "create\nlab\n--name\nMy lab",
        "run\n--throwaway\nlab\n--\nsh\n-c\nx",
        "log\nlab\n-n\n5",
        "init\n--image\nx\n--size\n8G\n--inode-floor\n65536",
        "import\nx\n--version\n13.2\n--clean",
        "stage\nlab\nlast\n--pool\n/dev/x",
        "save\nlab\n--note\nx",
        "journal\nrebuild",
    ];
    fuzz(Target {
        name: "cli",
        corpus: lines.iter().map(|line| line.as_bytes().to_vec()).collect(),
        pieces: &[
            "\n",
            "--",
            "-",
            "--json",
            "--pool=",
            "=",
            "-n",
            "-y",
            "--help",
            "lab",
            "57",
            "run\n",
            "log\n",
            "--version",
            "\n-\n",
        ],
        read: typed,
    });
}
