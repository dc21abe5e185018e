//! Made-up input. Versions are ordered as dpkg orders them, and in one total order; and no bytes,
//! however broken, panic a parser: these programs run inside apt. dpkg must be there; a test that skips
//! itself would say nothing. (tests/oracle.rs asks about real and good input.)

mod long;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use flipper_profiles::dpkg::account_file::{File, Table};
use flipper_profiles::dpkg::alternatives::Alternative;
use flipper_profiles::dpkg::info_file::InfoFile;
use flipper_profiles::dpkg::sources::{self, Style};
use flipper_profiles::dpkg::version::compare;
use flipper_profiles::dpkg::{ExtendedStates, Status, hook_stream};
use flipper_profiles::dpkg::{architectures, conffile_list, debconf, diversions, enablement, md5sums};
use flipper_profiles::dpkg::{preferences, statoverride, triggers, ucf};
use flipper_profiles::policy::outcome;
use flipper_profiles::system::elf;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

const NO_DPKG: &str = "these tests ask dpkg itself: apt-get install dpkg";

fn system_status() -> Vec<u8> {
    let text = std::fs::read("/var/lib/dpkg/status").expect(NO_DPKG);
    assert!(!text.is_empty(), "{NO_DPKG}");
    text
}

/// Versions dpkg takes, made of the few pieces where orders go wrong.
fn version() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[0-9]{1,2}",
        2 => "0{1,3}",
        4 => "[.+~ab]",
        2 => "[.+~AZaz]{1,3}",
        1 => "[0-9]{18,24}",
    ];
    let run = prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat());
    let epoch = prop::option::weighted(0.3, "0{0,2}[0-3]");
    let upstream = ("[0-9]", run.clone(), prop::option::weighted(0.2, run.clone()));
    // A revision must have something in it.
    let revision = prop::option::weighted(0.6, (prop_oneof!["[0~+.a]", "[0-9]"], run));
    (epoch, upstream, revision).prop_map(|(epoch, (digit, text, dashed), revision)| {
        let mut version = epoch.map_or(String::new(), |e| format!("{e}:")) + &digit + &text;
        if let (Some(more), Some(_)) = (dashed, &revision) {
            version += &format!("-{more}");
        }
        version + &revision.map_or(String::new(), |(first, rest)| format!("-{first}{rest}"))
    })
}

/// A second version that is the first with one place changed: neighbours are where orders go wrong.
fn neighbours() -> impl Strategy<Value = (String, String)> {
    let pieces = vec!["", "0", "~", "+", ".", "a", "1", "00", "-0", "0.", "~0"];
    let near = (version(), any::<prop::sample::Index>(), prop::sample::select(pieces), any::<bool>());
    let near = near.prop_map(|(version, place, piece, replace)| {
        let at = 1 + place.index(version.len());
        let after = if replace { (at + 1).min(version.len()) } else { at };
        (version.clone(), format!("{}{piece}{}", &version[..at], &version[after..]))
    });
    prop_oneof![near, (version(), version())]
}

/// What dpkg says to each pair, from one shell; None where it refuses one of the two.
fn dpkg_compares(pairs: &[(String, String)]) -> Vec<Option<Ordering>> {
    const SCRIPT: &str = r#"while read -r a b; do
        dpkg --compare-versions "$a" lt "$b"; case $? in 0) echo lt; continue ;; 1) ;; *) echo no; continue ;; esac
        if dpkg --compare-versions "$a" eq "$b"; then echo eq; else echo gt; fi
    done"#;
    assert!(Command::new("dpkg").arg("--version").stdout(Stdio::null()).status().expect(NO_DPKG).success());
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut shell = shell.spawn().expect("run sh");
    let mut input = shell.stdin.take().expect("a pipe");
    // The answers are far smaller than a pipe holds, so writing all of it first cannot block.
    for (a, b) in pairs {
        writeln!(input, "{a} {b}").expect("write to sh");
    }
    drop(input);
    let output = shell.wait_with_output().expect("wait for sh");
    let answers = String::from_utf8(output.stdout).expect("text");
    let answers = answers.lines().map(|word| match word {
        "lt" => Some(Ordering::Less),
        "eq" => Some(Ordering::Equal),
        "gt" => Some(Ordering::Greater),
        _ => None,
    });
    answers.collect()
}

#[test]
fn versions_are_ordered_as_dpkg_orders_them() {
    let mut runner = TestRunner::deterministic();
    let pairs: Vec<_> = (0..800).map(|_| neighbours().new_tree(&mut runner).unwrap().current()).collect();
    let answers = dpkg_compares(&pairs);
    assert_eq!(answers.len(), pairs.len());
    let mut seen = BTreeMap::new();
    for ((a, b), wanted) in pairs.iter().zip(answers) {
        *seen.entry(wanted).or_insert(0) += 1;
        if let Some(wanted) = wanted {
            assert_eq!(compare(a, b), wanted, "dpkg --compare-versions {a} {b}");
        }
    }
    // The generator must reach all three answers, and rarely make what dpkg refuses.
    for answer in [Ordering::Less, Ordering::Equal, Ordering::Greater] {
        assert!(seen.get(&Some(answer)).is_some_and(|n| *n > 40), "{seen:?}");
    }
    assert!(seen.get(&None).is_none_or(|n| *n < 200), "{seen:?}");
}

/// Everything that reads bytes, on these bytes. The result does not matter, that there is one does.
fn read_as_everything(bytes: &[u8]) {
    if let Ok(status) = Status::parse(bytes) {
        for package in &status.packages {
            let _ = (package.conffiles(), package.fields().count());
        }
        let _ = outcome::changes(&status, &Status::default(), &ExtendedStates::default(), &[]);
    }
    let _ = ExtendedStates::parse(bytes).map(|states| states.iter().count());
    if let Ok(stream) = hook_stream::parse(bytes) {
        let planned = outcome::planned(&stream);
        let _ = outcome::state(&planned, &[], &Status::default());
    }
    read_as_small_files(bytes);
}

/// The files a check compares; tests/fuzz has more to say about each.
fn read_as_small_files(bytes: &[u8]) {
    let _ = (diversions::parse(bytes), statoverride::parse(bytes), architectures::parse(bytes));
    let _ = (md5sums::parse(bytes), conffile_list::parse(bytes), InfoFile::parse(bytes));
    let _ = (triggers::parse(bytes), triggers::deferred::parse(bytes));
    let _ = (triggers::interests::parse_file(bytes), triggers::interests::parse_named(bytes));
    let _ = (ucf::hashes(bytes), ucf::owners(bytes), debconf::Database::parse(bytes));
    let _ = (preferences::parse(bytes), enablement::link(bytes, bytes));
    let _ = [Style::OneLine, Style::Deb822].map(|style| sources::parse(bytes, style).is_ok());
    let _ = Alternative::parse(bytes).map(|mut group| group.tidy());
    let _ = elf::read_from(&mut std::io::Cursor::new([b"\x7fELF\x02\x01\x01", bytes].concat()));
    for file in [File::Passwd, File::Group, File::Shadow, File::Gshadow, File::Subuid] {
        assert_eq!(Table::parse(file, bytes).write(), bytes);
    }
}

const STREAM: &[u8] = b"VERSION 3\nCommandLine::AsString=apt%20install%20x\nAPT::History::Comment=%c3%a9\n\n\
    a - - none < 1:2-3 amd64 same /p/a b.deb\na - - none < 1:2-3 amd64 same **CONFIGURE**\n\
    b 1 all none > - - none **REMOVE**\n";

/// A good file with a few places overwritten, taken out or doubled, and perhaps its end torn off.
fn broken(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"\n"[..]),
        Just(&b"\n\n"[..]),
        Just(&b":"[..]),
        Just(&b" "[..]),
        Just(&b"\0"[..]),
        Just(&b"\xff\xfe"[..]),
        Just(&b""[..]),
        Just(&b"%"[..]),
        Just(&b"="[..]),
        Just(&b"\nConffiles:\n "[..]),
    ];
    let places = prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, piece), 1..6);
    (places, prop::option::of(any::<prop::sample::Index>())).prop_map(move |(places, torn)| {
        let mut bytes = good.clone();
        for (at, cut, piece) in places {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, piece.iter().copied());
        }
        torn.into_iter().for_each(|at| bytes.truncate(at.index(bytes.len() + 1)));
        bytes
    })
}

/// The first bytes of the machine's own status, cut behind a paragraph.
fn some_real_paragraphs() -> Vec<u8> {
    let mut text = system_status();
    text.truncate(20_000);
    let end = text.windows(2).rposition(|pair| pair == b"\n\n").expect("a paragraph");
    text.truncate(end + 2);
    text
}

proptest! {
    #![proptest_config(Config { cases: long::cases(1500), failure_persistence: None, ..Config::default() })]

    #[test]
    fn versions_are_in_one_total_order(a in version(), (b, c) in neighbours()) {
        prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        for (x, y) in [(&a, &b), (&b, &c), (&a, &c)] {
            prop_assert_eq!(compare(x, y), compare(y, x).reverse());
        }
        let mut sorted = [a, b, c];
        sorted.sort_by(|x, y| compare(x, y));
        prop_assert!(compare(&sorted[0], &sorted[2]).is_le());
        if compare(&sorted[0], &sorted[1]).is_eq() {
            prop_assert_eq!(compare(&sorted[0], &sorted[2]), compare(&sorted[1], &sorted[2]));
        }
    }

    #[test]
    fn any_text_has_its_place_in_the_order(a in "\\PC{0,12}", b in "[0-9:~+-]{0,8}") {
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn no_text_of_the_right_letters_panics(text in "(VERSION [23]\n)?([Pp/a:%= <>*\n-]|Package: |Conffiles:|\n \n){0,60}") {
        read_as_everything(text.as_bytes());
    }

    #[test]
    fn no_broken_stream_panics(bytes in broken(STREAM.to_vec())) {
        read_as_everything(&bytes);
    }

    #[test]
    fn no_broken_status_panics(bytes in broken(some_real_paragraphs())) {
        read_as_everything(&bytes);
    }
}
