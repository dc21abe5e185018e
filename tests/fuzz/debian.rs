//! The formats of Debian: what dpkg and apt wrote, or did not.

use flipper_profiles::dpkg::deb822::{Field, LastLine, Reader};
use flipper_profiles::dpkg::relations::{self, Alternative, Kind, Relations};
use flipper_profiles::dpkg::version::compare;
use flipper_profiles::dpkg::{ExtendedStates, Status, hook_stream, package_list};
use flipper_profiles::policy::closure::{Installed, Why};
use flipper_profiles::policy::outcome;
use flipper_profiles::policy::settled::{TreeFacts, complaints};

use crate::engine::{Target, fuzz};

/// Whole paragraphs of a file of this machine, up to a size that keeps a case short.
fn paragraphs_of(path: &str, at_most: usize) -> Vec<u8> {
    let mut text =
        std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}: this machine must be a Debian"));
    if text.len() > at_most {
        text.truncate(at_most);
        let end = text.windows(2).rposition(|pair| pair == b"\n\n").expect("a paragraph");
        text.truncate(end + 2);
    }
    text
}

const STATUS: &str = "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n\
    Version: 1:2.10-3\nConfig-Version: 1:2.10-2\nEssential: yes\nConffiles:\n /etc/hello.conf 0123456789abcdef0123456789abcdef\n \
    /etc/with two  blanks 0123456789abcdef0123456789abcdef obsolete remove-on-upgrade\nDescription: x\n y\n .\n z\n\n\
    Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1~rc1\n\n\
    Package: never\nStatus: purge ok not-installed\n\n";

fn deb822(bytes: &[u8]) {
    for last_line in [LastLine::MustEnd, LastLine::MayBeOpen] {
        let newlines = bytes.iter().filter(|b| **b == b'\n').count();
        let mut reader = Reader::new(bytes, last_line);
        let (mut line, mut fields) = (0, 0);
        'input: while reader.next_paragraph() {
            loop {
                let field = match reader.next_field() {
                    Ok(Some(field)) => field,
                    Ok(None) => break,
                    Err(error) => {
                        assert!(error.line >= line && error.line <= newlines + 1, "{error}");
                        break 'input;
                    }
                };
                assert!(field.line > line && field.line <= newlines + 1, "lines go up");
                assert!(!field.name.is_empty() && field.raw.len() + field.name.len() < bytes.len());
                assert!(
                    field.value().len() <= field.raw.len() && field.is(&String::from_utf8_lossy(field.name))
                );
                (line, fields) = (field.line, fields + 1);
            }
        }
        assert!(fields <= newlines + 1 && reader.offset() <= bytes.len());
    }
}

#[test]
fn any_deb822_is_read_or_refused() {
    fuzz(Target {
        name: "deb822",
        corpus: vec![paragraphs_of("/var/lib/dpkg/status", 8000), STATUS.into()],
        pieces: &[
            "\n", "\n\n", " ", "\t", ":", "a:", "A: b\n", " c\n", " .\n", "-x: y\n", "a :b\n", "#c\n", "\r\n",
        ],
        read: deb822,
    });
}

/// As text dpkg would write, with the fields we read.
fn written(status: &Status) -> Vec<u8> {
    let mut text = Vec::new();
    for p in &status.packages {
        let [want, flag, state] = [p.want.name(), p.flag.name(), p.state.name()];
        text.extend(format!("Package: {}\nStatus: {want} {flag} {state}\n", p.name).bytes());
        for (key, value) in [
            ("Architecture", Some(p.architecture)),
            ("Version", p.version),
            ("Config-Version", p.config_version),
        ] {
            if let Some(value) = value.filter(|v| !v.is_empty()) {
                text.extend(format!("{key}: {value}\n").bytes());
            }
        }
        text.push(b'\n');
    }
    text
}

fn status(bytes: &[u8]) {
    let Ok(status) = Status::parse(bytes) else { return };
    for package in &status.packages {
        assert!(package.fields().count() >= 1);
        assert_eq!(package.field("package"), Some(package.name.as_bytes()));
        for conffile in package.conffiles().unwrap_or_default() {
            assert!(conffile.path.starts_with(b"/") && conffile.path.len() > 1);
        }
        assert!(!package.name.contains('/') && !package.architecture.contains('/'));
    }
    let again = written(&status);
    let again = Status::parse(&again).unwrap_or_else(|e| panic!("what was read is not read again: {e}"));
    let brief = |s: &Status| -> Vec<String> {
        let line = |p: &flipper_profiles::dpkg::status::Package| {
            format!("{} {} {:?} {:?} {:?}", p.name, p.architecture, p.version, p.state, p.config_version)
        };
        s.packages.iter().map(line).collect()
    };
    assert_eq!(brief(&again), brief(&status));
    if status.packages.len() < 200 {
        let marks = ExtendedStates::default();
        assert!(outcome::changes(&status, &status, &marks, &[]).is_empty(), "nothing changed");
        let mut amended = status.clone();
        amended.amend(again.clone());
        assert_eq!(amended.packages.len(), status.packages.len());
    }
}

#[test]
fn any_dpkg_status_is_read_or_refused() {
    fuzz(Target {
        name: "status",
        corpus: vec![paragraphs_of("/var/lib/dpkg/status", 12_000), STATUS.into(), Vec::new()],
        pieces: &[
            "\n\n",
            "Package: a\n",
            "Status: install ok installed\n",
            "Version: 1-1\n",
            "Architecture: all\n",
            "Conffiles:\n",
            " /etc/a 0123456789abcdef0123456789abcdef obsolete\n",
            "Package: a\nStatus: install ok unpacked\nVersion: 1\n\n",
            " x\n",
            "Multi-Arch: same\n",
            "Config-Version: 0\n",
            " ",
            ":",
            "half-installed",
            "reinstreq",
        ],
        read: status,
    });
}

#[test]
fn any_marks_are_read_or_refused() {
    fuzz(Target {
        name: "extended_states",
        corpus: vec![
            b"Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: b\nAuto-Installed: 0".to_vec(),
            b"Package: hello\nArchitecture: all\nAuto-Installed: 1\nMore: x\n y\n\n".to_vec(),
        ],
        pieces: &["\n", "Package: a\n", "Architecture: i386\n", "Auto-Installed: 1\n", "\n\n", " ", ": "],
        read: |bytes| {
            let Ok(states) = ExtendedStates::parse(bytes) else { return };
            let text: String = states
                .iter()
                .map(|(name, arch)| {
                    format!(
                        "Package: {name}\n{}Auto-Installed: 1\n\n",
                        match arch {
                            "" => String::new(),
                            arch => format!("Architecture: {arch}\n"),
                        }
                    )
                })
                .collect();
            assert_eq!(ExtendedStates::parse(text.as_bytes()).expect("it is read again"), states);
            assert!(states.iter().all(|(name, arch)| states.is_auto(name, arch)));
        },
    });
}

fn stream(bytes: &[u8]) {
    let Ok(stream) = hook_stream::parse(bytes) else { return };
    assert!((1..=3).contains(&stream.version));
    let planned = outcome::planned(&stream);
    assert!(planned.len() <= stream.actions.len());
    if planned.len() < 200 {
        let status = Status::parse(STATUS.as_bytes()).expect("it is good");
        let (_, sentence) = outcome::state(&planned, &[], &status);
        assert!(sentence.is_none_or(|text| !text.contains('\n')));
    }
}

#[test]
fn any_stream_of_apt_is_read_or_refused() {
    let three = "VERSION 3\nCommandLine::AsString=apt%20install%20x\nAPT::History::Comment=%c3%a9%\nDir::=/\n\n\
        a - - none < 1:2-3 amd64 same /p/a b.deb\na - - none < 1:2-3 amd64 same **CONFIGURE**\n\
        b 1 all none > - - none **REMOVE**\nc 1 all none = 1 all none /c.deb\n";
    let two = "VERSION 2\nAPT::Architecture=amd64\n\na 1 < 2 /var/cache/a_2_all.deb\nb 1 > - **REMOVE**\n";
    let one = "/var/cache/apt/archives/a_1%3a2-3_amd64.deb\n/b.deb\n/x_y_z_w.deb\n";
    fuzz(Target {
        name: "hook_stream",
        corpus: [three, two, one, ""].iter().map(|text| text.as_bytes().to_vec()).collect(),
        pieces: &[
            "VERSION 3\n",
            "VERSION 2\n",
            "VERSION 4\n",
            "\n",
            "=",
            "a=b\n",
            "%",
            "%zz",
            "%00",
            " - ",
            "<",
            "**REMOVE**",
            "**CONFIGURE**\n",
            "a - - none < 1 all none **CONFIGURE**\n",
            "a 1 < 2 /a.deb\n",
            "/a_1_all.deb\n",
            "CommandLine::AsString=",
            "_",
        ],
        read: stream,
    });
}

fn list(bytes: &[u8]) {
    let wanted =
        [("a", "amd64", "1"), ("hello", "all", "2.10-3"), ("a", "all", "2"), ("", "", ""), ("b", "i386", "")];
    let found = package_list::find(bytes, &wanted);
    assert!(found.is_sorted() && found.iter().all(|at| *at < wanted.len()));
}

#[test]
fn any_packages_list_is_searched() {
    let text = "Package: hello\nArchitecture: amd64\nVersion: 2.10-3\nFilename: pool/h\n\nPackage: a\nVersion: 1\nArchitecture: all\n\n";
    fuzz(Target {
        name: "package_list",
        corpus: vec![text.into(), STATUS.into(), Vec::new()],
        pieces: &[
            "Package: a\n",
            "\nPackage: a",
            "\n\n",
            "Version: 1\n",
            "Architecture: all\n",
            "Package: hello",
            "Package: ",
            "\n",
            ":",
        ],
        read: list,
    });
}

#[test]
fn any_versions_have_their_place_in_the_order() {
    fuzz(Target {
        name: "version",
        corpus: vec![
            b"1:2.10-3\n1.16.2+ds-1+b3\n1.16.2+ds0-1".to_vec(),
            b"0~\n0~0\n1.0.".to_vec(),
            b"99999999999999999999999:1-0\n2:0b\n2:0b0".to_vec(),
        ],
        pieces: &["0", "1", "~", "+", "-", ":", ".", "a", "Z", "\n", "00000000", "9999999999999999999999"],
        read: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let versions: Vec<&str> = text.splitn(3, '\n').collect();
            for a in &versions {
                assert!(compare(a, a).is_eq());
                versions.iter().for_each(|b| assert_eq!(compare(a, b), compare(b, a).reverse()));
            }
            if let [a, b, c] = versions[..] {
                assert!(compare(a, b).is_gt() || compare(b, c).is_gt() || compare(a, c).is_le());
            }
        },
    });
}

#[test]
fn any_root_is_judged() {
    fuzz(Target {
        name: "settled",
        corpus: vec![STATUS.into(), b"ID=debian\nID_LIKE=\"debian x\"\n".to_vec()],
        pieces: &[
            "ID=",
            "ID_LIKE=",
            "\"",
            "debian",
            "\n",
            "Package: a\n",
            "Version: :\n",
            "Status: install ok installed\n",
        ],
        read: |bytes| {
            let facts = TreeFacts {
                os_release: Some(bytes),
                status: Some(bytes),
                updates: 0,
                has_dpkg: true,
                merged_usr: true,
                fstab_mounts_root: false,
                largest_inode: 1,
                inode_floor: 2,
            };
            assert!(complaints(&facts).iter().all(|text| !text.is_empty()));
        },
    });
}

fn relations(bytes: &[u8]) {
    let newlines = bytes.iter().filter(|b| **b == b'\n').count();
    for kind in Kind::ALL {
        let field = |raw| Field { name: kind.name().as_bytes(), raw, line: 3 };
        let read = |raw| Relations::new(kind, &field(raw)).collect::<Result<Vec<Alternative>, _>>();
        let found = match read(bytes) {
            Ok(found) => found,
            Err(error) => {
                assert!(error.line >= 3 && error.line <= newlines + 3, "{error}");
                continue;
            }
        };
        assert!(found.last().is_none_or(|alternative| alternative.last));
        let text = relations::text(&found);
        let again = read(text.as_bytes()).unwrap_or_else(|e| panic!("{text:?} is not read again: {e}"));
        assert_eq!(relations::text(&again), text);
        let brief = |all: &[Alternative]| -> Vec<_> {
            all.iter()
                .map(|a| {
                    (a.name.to_owned(), a.architecture.map(str::to_owned), a.version.map(|v| v.0), a.last)
                })
                .collect()
        };
        assert_eq!(brief(&again), brief(&found));
    }
}

#[test]
fn any_relations_are_read_or_refused() {
    fuzz(Target {
        name: "relations",
        corpus: vec![
            b"libc6 (>= 2.36), debconf (>= 0.5) | debconf-2.0, perl:any,\n python3:any (<< 3.12~)".to_vec(),
            b"a (= 0:1-2), b:i386 (< 1), c(1)|d ( >> 2 )".to_vec(),
            Vec::new(),
        ],
        pieces: &[
            ",",
            "|",
            " | ",
            ", ",
            "(",
            ")",
            ":",
            ":any",
            ":native",
            "(>= 1)",
            " (<< 2:0)",
            "<",
            ">",
            "=",
            "\n ",
            "\t",
            "a",
            "0:",
            "(= 00:1:2)",
        ],
        read: relations,
    });
}

/// A set that is whole says so, whom nobody names nobody needs, and the end is as it was told.
fn closure(bytes: &[u8]) {
    let Ok(status) = Status::parse(bytes) else { return };
    let Ok(all) = Installed::new(&status, "amd64") else { return };
    let broken = all.broken();
    for violation in &broken {
        assert!(!violation.to_string().contains('\n') && all.contains(violation.package.name, ""));
        let hit = matches!(violation.why, Why::Present(_));
        assert_eq!(hit, matches!(violation.kind, Kind::Breaks | Kind::Conflicts));
    }
    if status.packages.len() < 50 {
        for package in &status.packages {
            let needs = all.who_needs(package.name, package.architecture);
            assert!(needs.iter().all(|need| all.contains(need.package.name, need.package.architecture)));
            all.successors(package.name)
                .iter()
                .for_each(|(id, _)| assert!(all.contains(id.name, id.architecture)));
        }
    }
    assert!(all.missing_essential(&all).is_empty());
}

#[test]
fn any_set_of_packages_is_judged() {
    let set = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nMulti-Arch: same\nDepends: b (>= 1) | c:any\n\
        Breaks: d (<< 2)\n\nPackage: b\nEssential: yes\nStatus: install ok unpacked\nArchitecture: all\nVersion: 2\nProvides: c, d (= 1), a\n\n\
        Package: a\nStatus: hold ok installed\nArchitecture: i386\nMulti-Arch: same\nVersion: 2\nPre-Depends: d:i386, e\nConflicts: c, a\n\n";
    fuzz(Target {
        name: "closure",
        corpus: vec![set.into(), STATUS.into(), paragraphs_of("/var/lib/dpkg/status", 6000)],
        pieces: &[
            "\n\n",
            "Package: a\n",
            "Package: d\nStatus: install ok installed\nVersion: 1\n\n",
            "Depends: a\n",
            "Depends: c:any | a:i386 (= 1)\n",
            "Provides: a (= 2), d\n",
            "Conflicts: c\n",
            "Breaks: a:any (>> 0)\n",
            "Multi-Arch: foreign\n",
            "Architecture: all\n",
            "Architecture: i386\n",
            ", ",
            " | a",
            ":native",
        ],
        read: closure,
    });
}
