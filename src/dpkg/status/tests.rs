//! Paragraphs as dpkg writes them, and broken ones with the line they are broken in.

use super::*;

const TEXT: &str = "Package: base-files
Essential: yes
Status: install ok installed
Architecture: amd64
Multi-Arch: foreign
Version: 12.4+deb12u5
Conffiles:
 /etc/issue d8ccb4b34fc3ed8bc1a5b6ad6e3a1c5d
Unknown-Field: anything: at \u{e9} all
Description: base

Package: libc6
Status: hold reinstreq half-configured
Architecture: i386
Multi-Arch: same
Version: 2.36-9
Config-Version: 2.36-8
Protected: yes

Package: gone
";

#[test]
fn what_a_paragraph_says() {
    let status = Status::parse(TEXT.as_bytes()).unwrap();
    assert_eq!(status.packages.len(), 3);
    let base = status.find("base-files", "amd64").unwrap();
    assert_eq!((base.version, base.config_version), (Some("12.4+deb12u5"), None));
    assert_eq!((base.essential, base.protected, base.multi_arch), (true, false, MultiArch::Foreign));
    assert_eq!(base.conffiles().unwrap()[0].path, b"/etc/issue");
    assert_eq!(base.field("unknown-field"), Some("anything: at \u{e9} all".as_bytes()));
    assert_eq!(base.field("Depends"), None);
    let libc = status.find("libc6", "").unwrap();
    assert_eq!((libc.want, libc.flag), (Want::Hold, Flag::ReinstallRequired));
    assert_eq!((libc.state, libc.protected), (PackageState::HalfConfigured, true));
    assert_eq!(libc.config_version, Some("2.36-8"));
    assert!(libc.conffiles().unwrap().is_empty());
    let gone = status.find("gone", "").unwrap();
    assert_eq!((gone.want, gone.state), (Want::Unknown, PackageState::NotInstalled));
    assert_eq!((gone.version, gone.architecture), (None, ""));
    assert!(status.find("libc6", "amd64").is_none());
}

#[test]
fn an_empty_file_is_a_status_with_no_packages() {
    assert!(Status::parse(b"").unwrap().packages.is_empty());
    assert!(Status::parse(b"\n\n").unwrap().packages.is_empty());
}

#[test]
fn broken_input_says_where_and_what() {
    for (old, new, wanted) in [
        ("ok installed", "ok perfect", "line 3: expected the state of a package, found \"perfect\""),
        ("install ok installed", "install ok", "line 3: expected the three words of a status, found"),
        ("hold reinstreq", "hold fine", "line 13: expected ok or reinstreq, found \"fine\""),
        ("hold reinstreq", "want reinstreq", "line 13: expected install, hold,"),
        ("Package: libc6", "Package: ../x", "line 12: expected a package name, found \"../x\""),
        ("Package: libc6\n", "", "line 12: expected a paragraph with a Package field, found"),
        ("Version: 2.36-9\n", "", "line 12: expected a paragraph with a Version field, found"),
        ("Version: 2.36-9", "Version: 2 36", "line 16: expected a version, found \"2 36\""),
        ("Architecture: i386", "Architecture: i/86", "line 14: expected an architecture, found"),
        ("Essential: yes", "Essential: perhaps", "line 2: expected yes or no, found \"perhaps\""),
        ("Multi-Arch: same", "Version: 1", "line 16: expected each field once, found \"Version\""),
        ("Package: gone\n", "Package: gone", "line 20: expected a newline behind the last field"),
    ] {
        let error = Status::parse(TEXT.replace(old, new).as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{old:?} -> {new:?}: {error}");
    }
    // Only the one who asks for conffiles stumbles over them, and is told the line of the file.
    let text = TEXT.replace(" /etc/issue", " issue");
    let error = Status::parse(text.as_bytes()).unwrap().packages[0].conffiles().unwrap_err();
    assert_eq!(error.line, 8);
}

#[test]
fn what_a_killed_dpkg_left_in_updates_counts() {
    let mut status = Status::parse(TEXT.as_bytes()).unwrap();
    let update = b"Package: libc6\nStatus: install ok unpacked\nArchitecture: i386\nVersion: 3\n";
    status.amend(Status::parse(update).unwrap());
    status.amend(Status::parse(b"Package: new\nArchitecture: all\n").unwrap());
    assert_eq!(status.packages.len(), 4);
    assert_eq!(status.find("libc6", "i386").unwrap().state, PackageState::Unpacked);
}
