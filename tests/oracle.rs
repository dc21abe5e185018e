//! What our status parser finds, next to what dpkg-query and deb822-fast find in the same bytes: this
//! machine's own status, a made one with every state there is, and broken ones that both must refuse.
//! dpkg must be there; a test that skips itself would say nothing.

mod long;

#[path = "oracle/alternatives.rs"]
mod alternatives;
#[path = "oracle/archives.rs"]
mod archives;
#[path = "oracle/databases.rs"]
mod databases;
#[path = "oracle/elf.rs"]
mod elf;
#[path = "oracle/settings.rs"]
mod settings;
#[path = "oracle/strictness.rs"]
mod strictness;
#[path = "oracle/text_merge.rs"]
mod text_merge;

use std::process::Command;

use deb822_fast::borrowed::{BorrowedParagraph, parse_borrowed};
use flipper_profiles::dpkg::Status;
use flipper_profiles::dpkg::status::{Package, PackageState};
use proptest::prelude::*;

const NO_DPKG: &str = "these tests ask dpkg itself: apt-get install dpkg";

fn system_status() -> Vec<u8> {
    let text = std::fs::read("/var/lib/dpkg/status").expect(NO_DPKG);
    assert!(!text.is_empty(), "{NO_DPKG}");
    text
}

/// Every package dpkg-query shows of a status, as name, architecture, version, three words, essential
/// and conffiles; None when it refuses to read it.
fn dpkg_query(status: &[u8]) -> Option<Vec<Vec<String>>> {
    let admindir = tempfile::tempdir().expect("make a directory");
    for name in ["info", "updates", "triggers"] {
        std::fs::create_dir(admindir.path().join(name)).expect("make a directory");
    }
    std::fs::write(admindir.path().join("status"), status).expect("write a status");
    let format = "${Package}\t${Architecture}\t${Version}\t${Status}\t${Essential}\t${Conffiles}\u{1}\n";
    let mut query = Command::new("dpkg-query");
    query.arg("--admindir").arg(admindir.path()).args(["-W", "-f", format]).env("LC_ALL", "C.UTF-8");
    let answer = query.output().expect(NO_DPKG);
    let complaint = String::from_utf8_lossy(&answer.stderr).into_owned();
    if complaint.contains("parsing file") && complaint.contains("error") {
        return None;
    }
    let text = String::from_utf8(answer.stdout).expect("text");
    let records = text.split("\u{1}\n").filter(|r| !r.is_empty());
    Some(records.map(|r| r.splitn(6, '\t').map(str::to_owned).collect()).collect())
}

fn as_dpkg_query(text: &[u8]) {
    let status = Status::parse(text).unwrap_or_else(|e| panic!("{e}"));
    let answer = dpkg_query(text).expect("dpkg-query refuses what we read");
    for words in &answer {
        let p = status.find(&words[0], &words[1]).unwrap_or_else(|| panic!("{words:?} is missing"));
        assert_eq!(p.version.unwrap_or(""), words[2], "{}", p.name);
        assert_eq!(format!("{} {} {}", p.want.name(), p.flag.name(), p.state.name()), words[3], "{}", p.name);
        assert_eq!(p.essential, words[4] == "yes", "{}", p.name);
        let show = |c: &flipper_profiles::dpkg::conffiles::Conffile| {
            let obsolete = if c.obsolete { " obsolete" } else { "" };
            let remove = if c.remove_on_upgrade { " remove-on-upgrade" } else { "" };
            let path = String::from_utf8_lossy(c.path).into_owned();
            format!("{path} {}{obsolete}{remove}", c.md5.unwrap_or("newconffile"))
        };
        let conffiles: Vec<_> = p.conffiles().expect("conffiles").iter().map(show).collect();
        let wanted: Vec<_> = words[5].lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        assert_eq!(conffiles, wanted, "{}", p.name);
    }
    // dpkg-query -W hides what is not installed.
    let shown = status.packages.iter().filter(|p| p.state != PackageState::NotInstalled);
    assert_eq!(answer.len(), shown.count());
}

#[test]
fn the_status_of_this_machine_is_what_dpkg_query_shows() {
    as_dpkg_query(&system_status());
}

/// Every want with every flag and every state.
#[test]
fn every_state_is_what_dpkg_query_shows() {
    let mut text = String::new();
    for want in ["unknown", "install", "hold", "deinstall", "purge"] {
        for flag in ["ok", "reinstreq"] {
            for state in [
                "config-files",
                "half-installed",
                "unpacked",
                "half-configured",
                "triggers-awaited",
                "triggers-pending",
                "installed",
            ] {
                let triggers = match state {
                    "triggers-awaited" => "Triggers-Awaited: dpkg\n",
                    "triggers-pending" => "Triggers-Pending: x\n",
                    _ => "",
                };
                let md5 = "cc3493ecd2d09837ffdcc3e25fdfff18";
                text += &format!(
                    "Package: p-{want}-{flag}-{state}\nEssential: yes\nStatus: {want} {flag} {state}\nArchitecture: all\n\
                     Version: 1-1\n{triggers}Conffiles:\n /etc/a b {md5} obsolete\n /etc/c {md5}\n /etc/d newconffile\n \
                     /etc/e {md5} remove-on-upgrade\nMaintainer: me\nDescription: x\n\n"
                );
            }
        }
    }
    as_dpkg_query(text.as_bytes());
}

/// What dpkg refuses we refuse, and what it takes we take.
#[test]
fn we_are_as_strict_as_dpkg() {
    const GOOD: &str = "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\
        Conffiles:\n /etc/a cc3493ecd2d09837ffdcc3e25fdfff18\nMaintainer: me\nDescription: x\n y\n";
    let (mut taken, mut refused) = (0, 0);
    for (old, new) in [
        ("", ""),
        ("Package", "\n\nPACKAGE"),
        ("Package:", "Package :"),
        ("install ok", "Install  OK"),
        ("Version: 1\n", "Version:\n 1\n"),
        ("Description: x\n", "Description: x\nX-Unknown: \u{e9}\n"),
        ("Package: a", "Package: a_b"),
        ("install ok installed", "deinstall ok not-installed"),
        ("Status: install ok installed\n", ""),
        ("install ok installed", "install ok half-installed"),
        ("installed\nArchitecture: all\nVersion: 1\n", "half-installed\nArchitecture: all\n"),
        ("installed\nArchitecture: all\nVersion: 1\n", "not-installed\nArchitecture: all\n"),
        ("installed\nArchitecture: all\nVersion: 1\n", "unpacked\nArchitecture: all\n"),
        ("installed\nArchitecture: all\nVersion: 1\n", "config-files\nArchitecture: all\n"),
        ("Architecture: all\n", ""),
        ("Package: a\n", ""),
        ("Version: 1\n", ""),
        (" y\n", " y"),
        (" y\n", " \n"),
        ("Maintainer: me\n", "Maintainer: me\n \t \n"),
        ("Maintainer: me\n", "Maintainer: me\n\tmore\n \n \n"),
        ("Maintainer: me\n", "Maintainer: me\n\n"),
        ("Conffiles:\n", "Conffiles: \n"),
        ("Conffiles:\n", "Conffiles:\n \n"),
        (" y\n", "y\n"),
        ("Package: a", "Package: ../a"),
        ("Package: a", "Package: a b"),
        ("install ok", "perhaps ok"),
        ("ok installed", "ok"),
        ("ok installed", "ok installed twice"),
        ("ok installed", "ok perfect"),
        ("Version: 1", "Version: 1\nVersion: 1"),
        ("Version: 1", "Essential: maybe\nVersion: 1"),
        ("Version: 1", "Multi-Arch: some\nVersion: 1"),
        ("Version: 1", ": 1"),
        ("Version: 1", "-Version: 1"),
        (" /etc/a cc", "/etc/a cc"),
        (" /etc/a cc3493ecd2d09837ffdcc3e25fdfff18", " /etc/a"),
    ] {
        let text = GOOD.replacen(old, new, 1);
        let ours = Status::parse(text.as_bytes()).and_then(|s| s.packages[0].conffiles().map(|_| ()));
        let theirs = dpkg_query(text.as_bytes());
        assert_eq!(ours.is_ok(), theirs.is_some(), "{old:?} -> {new:?}: {ours:?}, dpkg-query: {theirs:?}");
        if ours.is_ok() {
            as_dpkg_query(text.as_bytes());
        }
        *if ours.is_ok() { &mut taken } else { &mut refused } += 1;
    }
    assert!(taken >= 8 && refused >= 15, "{taken} taken, {refused} refused");
}

fn same_fields(ours: &Package, theirs: &BorrowedParagraph) {
    // deb822-fast drops the blanks in front of continuation lines; so do both here.
    let lines = |text: &str| text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect();
    let our_value = |raw: &[u8]| -> Vec<String> { lines(std::str::from_utf8(raw).expect("UTF-8")) };
    let found: Vec<_> = ours.fields().map(|f| (f.name, our_value(f.raw))).collect();
    let wanted: Vec<_> = theirs.iter().map(|f| (f.name().as_bytes(), lines(&f.join()))).collect();
    assert_eq!(found, wanted, "{}", ours.name);
}

fn as_deb822_fast(text: &str) {
    let ours = Status::parse(text.as_bytes()).expect("ours");
    let theirs = parse_borrowed(text).expect("deb822-fast");
    assert_eq!(ours.packages.len(), theirs.len());
    ours.packages.iter().zip(&theirs).for_each(|(p, t)| same_fields(p, t));
}

#[test]
fn the_status_of_this_machine_has_the_fields_deb822_fast_finds() {
    as_deb822_fast(&String::from_utf8(system_status()).expect("UTF-8"));
}

fn paragraphs() -> impl Strategy<Value = String> {
    let value = "[!-~é]([ -~é]{0,20}[!-~é])?";
    let field =
        ("X[A-Za-z0-9-]{1,12}", value, prop::collection::vec(" {1,2}[!-~]([ -~é]{0,20}[!-~])?", 0..3));
    let fields = prop::collection::vec(field, 0..5);
    let paragraph = (
        "[a-z0-9][a-z0-9+.-]{0,9}",
        "[a-z0-9]{1,5}",
        "[0-9][0-9.+~a-z]{0,6}(-[0-9]{1,2})?",
        fields,
        "\n{1,3}",
    );
    let paragraph = paragraph.prop_map(|(name, arch, version, fields, gap)| {
        let mut text = format!("Package: {name}\nStatus: install ok installed\n");
        for (number, (name, value, more)) in fields.into_iter().enumerate() {
            text += &format!("{name}-{number}: {value}\n");
            more.iter().for_each(|line| text += &format!("{line}\n"));
        }
        text + &format!("Architecture: {arch}\nVersion: {version}\n{gap}")
    });
    prop::collection::vec(paragraph, 0..6).prop_map(|paragraphs| paragraphs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: long::cases(1000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_paragraphs_read_as_deb822_fast_reads_them(text in paragraphs()) {
        as_deb822_fast(&text);
    }
}
