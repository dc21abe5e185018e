//! The small databases of dpkg, ucf and debconf, accounts, sources and pins, and ELF: what was read is
//! written, and read again it is the same.

use flipper_profiles::dpkg::account_file::{File, Record, Table};
use flipper_profiles::dpkg::alternatives::{Alternative, Mode};
use flipper_profiles::dpkg::debconf::{self, Database};
use flipper_profiles::dpkg::info_file::{self, InfoFile};
use flipper_profiles::dpkg::sources::{self, Style};
use flipper_profiles::dpkg::triggers::{self, deferred, interests};
use flipper_profiles::dpkg::{
    architectures, conffile_list, diversions, enablement, md5sums, preferences, statoverride, ucf,
};
use flipper_profiles::model::elf::Reading;
use flipper_profiles::system::elf;

use crate::engine::{Target, fuzz};

/// Of longer input, which shows how the work grows, only the reading is wanted.
const LONG: usize = 64 << 10;

/// A list of records: read, written and read again.
macro_rules! again {
    ($parse:path, $write:path, $bytes:expr) => {
        if let Some(found) = $parse($bytes).ok().filter(|_| $bytes.len() <= LONG) {
            let written = $write(&found);
            assert_eq!($parse(&written).expect("what was written is read"), found);
            assert_eq!($write(&$parse(&written).expect("again")), written);
        }
    };
}

fn lists(bytes: &[u8]) {
    again!(diversions::parse, diversions::write, bytes);
    again!(statoverride::parse, statoverride::write, bytes);
    again!(md5sums::parse, md5sums::write, bytes);
    again!(conffile_list::parse, conffile_list::write, bytes);
    again!(architectures::parse, architectures::write, bytes);
    again!(triggers::parse, triggers::write, bytes);
    again!(deferred::parse, deferred::write, bytes);
    again!(interests::parse_file, interests::write_file, bytes);
    again!(interests::parse_named, interests::write_named, bytes);
    again!(ucf::hashes, ucf::write_hashes, bytes);
    again!(ucf::owners, ucf::write_owners, bytes);
    if let Ok(found) = triggers::parse(bytes) {
        let mut made = interests::Interests::default();
        made.add("one", None, &found);
        made.add("two", Some("amd64"), &found);
        let file = interests::write_file(&made.file);
        assert_eq!(interests::parse_file(&file).expect("it is good"), made.file);
    }
    let names: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    for name in &names {
        if let Some(file) = InfoFile::parse(name) {
            assert_eq!(file.name().as_bytes(), *name);
        }
    }
    if let Ok(found) = info_file::updates(&names) {
        assert!(found.is_sorted() && found.iter().all(|name| name.iter().all(u8::is_ascii_digit)));
    }
}

#[test]
fn any_list_of_dpkg_is_read_or_refused() {
    fuzz(Target {
        name: "lists",
        corpus: vec![
            b"/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/a b\n/usr/bin/a.real\n:\n".to_vec(),
            b"root mail 2750 /usr/bin/ch age\n#104 #4294967295 0 /x\n".to_vec(),
            b"0123456789abcdef0123456789abcdef  usr/bin/a b\nfbc910d4bc9889530c92c7e8b101689b  /etc/a\n"
                .to_vec(),
            b"/etc/a b\nremove-on-upgrade /etc/c\n/etc/d\n".to_vec(),
            b"# x\nactivate-noawait ldconfig\ninterest /usr/share/man\ninterest-await x\n".to_vec(),
            b"/usr/share/man man-db/noawait\n/x libx:i386\n".to_vec(),
            b"ldconfig libc6:amd64 man-db\n/x -\nopenssh-server \t /etc/ssh/sshd_config\n".to_vec(),
            b"amd64\ni386\nlibc6:amd64.list\n0001\n0002\n".to_vec(),
        ],
        pieces: &[
            "\n",
            " ",
            "  ",
            "/a",
            "/a\n/b\n:\n",
            ":",
            "#",
            "root",
            "755",
            "/noawait",
            "interest ",
            "activate x\n",
            "interest /x\n",
            "a\n",
            "/x a\n",
            "-",
            "remove-on-upgrade ",
            "0123456789abcdef0123456789abcdef  x\n",
            "\t",
            ".",
            "0001\n",
            "a b 755 /x\n",
        ],
        read: lists,
    });
}

fn group(bytes: &[u8]) {
    let Ok(mut group) = Alternative::parse(bytes) else { return };
    let written = group.write();
    assert_eq!(Alternative::parse(&written).expect("what was written is read"), group);
    let best = group.choices.iter().map(|c| c.priority).max();
    assert_eq!(group.best(None).map(|c| c.priority), best);
    if group.mode == Mode::Auto {
        assert_eq!(group.selected(Some(b"/x")).map(|c| c.priority), best);
    }
    group.tidy();
    let tidied = group.write();
    let again = Alternative::parse(&tidied).expect("a tidy group is read");
    assert_eq!(again, group);
    let mut twice = again;
    twice.tidy();
    assert_eq!(twice, group);
}

#[test]
fn any_group_of_alternatives_is_read_or_refused() {
    fuzz(Target {
        name: "alternatives",
        corpus: vec![
            b"auto\n/usr/bin/editor\na.1.gz\n/man/a.1.gz\nb.1.gz\n/man/b.1.gz\n\n/bin/ed\n-100\n/man/ed.1.gz\n\n/bin/nano\n40\n\n/x\n\n".to_vec(),
            b"manual\n/usr/bin/pager\n\n/bin/more\n50\n/bin/less\n77\n\n".to_vec(),
        ],
        pieces: &["\n", "auto\n", "manual\n", "/a\n", "/a\n1\n", "b\n/b\n", "\n\n", "-5\n", " 7\n", "2147483647\n", "x"],
        read: group,
    });
}

fn accounts(bytes: &[u8]) {
    for file in [File::Passwd, File::Group, File::Shadow, File::Gshadow, File::Subuid] {
        let mut table = Table::parse(file, bytes);
        assert_eq!(table.write(), bytes, "any bytes are written as they were");
        if bytes.len() > LONG {
            continue;
        }
        let Some(name) = table.records().next().map(|r| r.name().to_vec()) else { continue };
        let record: Record = table.find(&name).expect("it is there").clone();
        table.remove(&name);
        assert!(table.find(&name).is_none());
        table.push(record.clone());
        let written = table.write();
        let again = Table::parse(file, &written);
        assert_eq!(again.find(&name), Some(&record));
        assert_eq!(again.records().count(), table.records().count());
    }
}

#[test]
fn any_accounts_are_written_as_they_were() {
    fuzz(Target {
        name: "account_file",
        corpus: vec![
            b"root:x:0:0:root:/root:/bin/bash\n# no\n+::::::\njose:x:1000:1000:Jos\xe9:/home/jose:/bin/sh\nlast:x:7:8:::".to_vec(),
            b"adm:x:4:a,b\nadm:*:a:b\nroot:*:1:0:99999:7:::\nanna:100000:65536\n".to_vec(),
        ],
        pieces: &["\n", ":", "::::", ",", "x:", "0:", "#", "+", "a:x:1:\n", "a:1:2\n", "a:x:1:2:::\n"],
        read: accounts,
    });
}

fn answers(bytes: &[u8]) {
    if let Ok(found) = Database::parse(bytes) {
        let written = found.write();
        let again = Database::parse(&written).expect("what was written is read");
        assert_eq!(again, found, "{}", written.escape_ascii());
        assert_eq!(again.write(), written);
    }
    let stored = debconf::stored(bytes);
    assert!(!stored.contains(&b'\n') && debconf::stored(&debconf::shown(&stored)) == stored);
}

#[test]
fn any_answers_are_read_or_refused() {
    fuzz(Target {
        name: "debconf",
        corpus: vec![
            b"Name: a/b\nTemplate: a/b\nValue: x\\ny\nOwners: one, two\nFlags: seen\nVariables:\n choices = p, q\n empty = \n\nName: c\nOwners: d\n\n".to_vec(),
            b"Name: a\nType: select\nChoices: x, y\nDescription: z\nExtended_description: \\n\\nw\nOwners: a/b\n\n".to_vec(),
        ],
        pieces: &["\n", "\n\n", "Name: a\n", "Owners: ", ", ", ",", "Flags: a, b\n", "Variables:\n", " a = b\n", "=", ":", "\\n", "\t", "value:", " "],
        read: answers,
    });
}

fn archives(bytes: &[u8]) {
    for style in [Style::OneLine, Style::Deb822] {
        let Ok(found) = sources::parse(bytes, style) else { continue };
        assert!(found.is_sorted_by_key(|source| source.line));
        if bytes.len() > LONG {
            continue;
        }
        let same = sources::with_suites(bytes, style, |_, _| None).expect("it was read");
        assert_eq!(same, bytes);
        // An open bracket makes a # behind it a letter: without it the rest of the line is another.
        if found.iter().flat_map(|source| &source.suites).any(|suite| suite.name.contains(&b'[')) {
            continue;
        }
        let changed = sources::with_suites(bytes, style, |_, suite| {
            Some([&b"x"[..], if suite.ends_with(b"/") { b"/" } else { b"" }].concat())
        });
        let changed = changed.expect("it was read");
        let again = sources::parse(&changed, style).expect("with other suites it is read, too");
        assert_eq!(again.len(), found.len());
        for (new, old) in again.iter().zip(&found) {
            assert_eq!(
                (new.line, new.enabled, &new.uris, &new.components),
                (old.line, old.enabled, &old.uris, &old.components)
            );
            assert_eq!((new.suites.len(), &new.signed_by), (old.suites.len(), &old.signed_by));
            assert!(new.suites.iter().all(|suite| matches!(&suite.name[..], b"x" | b"x/")));
        }
    }
    if let Ok(pins) = preferences::parse(bytes) {
        let written = preferences::write(&pins);
        let again = preferences::parse(&written).expect("what was written is read");
        assert_eq!(preferences::write(&again), written);
    }
    // A path, a NUL and where it leads to.
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let link = enablement::link(&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    assert!(link.is_none_or(|link| link.path() == bytes[..end]));
}

#[test]
fn any_sources_and_pins_are_read_or_refused() {
    fuzz(Target {
        name: "sources",
        corpus: vec![
            b"deb [arch=amd64 signed-by=/k/a.gpg,/b] http://a/debian trixie main contrib # c\n#deb-src http://a/ ./\ndeb cdrom:[Debian 13]/ \"a b\" %20\n".to_vec(),
            b"Types: deb deb-src\nURIs: http://a/\n http://b/\nSuites: trixie\n# no\n sid\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x\nEnabled: no\n\n# c\n".to_vec(),
            b"Package: a b\nPin: release n=trixie\nPin-Priority: 990\n\nPackage: *\nPin: origin x\nPin-Priority: never\n".to_vec(),
            b"multi-user.target.wants/cron.service\0/lib/systemd/system/cron.service".to_vec(),
        ],
        pieces: &[
            "\n", "deb ", "[", "]", "a=b", "signed-by=", "\"", "%5d", "%22", "#", "http://a/ ", "s/ ", "Types: deb\n", "Suites: x\n", "Suites:", "URIs: a:b\n",
            "Components: c\n", " ", "\t", "\r\n", "\n\n", "Enabled: no\n", "deb a:b c d\n", "Package: a\nPin: version 1\nPin-Priority: 5\n\n", ".service", "@", "/",
        ],
        read: archives,
    });
}

/// The smallest library: a header, PT_LOAD, PT_INTERP and PT_DYNAMIC, little-endian, 64 bits.
fn library() -> Vec<u8> {
    let strings = b"/lib/ld.so\0libc.so.6\0me.so.1\0$ORIGIN\0";
    let (load, interpreter, dynamic): (u32, u32, u32) = (1, 3, 2);
    let at = 64 + 3 * 56;
    let entries = [(1, 11), (14, 21), (29, 29), (15, 29), (5, at), (10, 37), (0, 0)];
    let behind = at + strings.len() as u64;
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    out.extend([0_u64, 64, 0].iter().flat_map(|n| n.to_le_bytes()));
    out.extend([0_u16, 0, 64, 56, 3, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()));
    for (kind, at, size) in [(load, 0, behind + 112), (interpreter, at, 11), (dynamic, behind, 112)] {
        out.extend(kind.to_le_bytes());
        out.extend(4_u32.to_le_bytes());
        out.extend([at, at, at, size, size, 8].iter().flat_map(|n| n.to_le_bytes()));
    }
    out.extend(strings);
    out.extend(entries.iter().flat_map(|(tag, value)| [*tag, *value]).flat_map(|n: u64| n.to_le_bytes()));
    out
}

#[test]
fn any_program_is_read_or_refused() {
    let made = elf::read_from(&mut std::io::Cursor::new(library())).expect("memory has no errors");
    let Reading::Elf(made) = made else { panic!("{made:?}") };
    assert_eq!((made.needed, made.soname), (vec![b"libc.so.6".to_vec()], Some(b"me.so.1".to_vec())));
    let mut program = std::fs::read("/bin/true").expect("coreutils");
    program.truncate(60 << 10);
    fuzz(Target {
        name: "elf",
        corpus: vec![library(), library(), program],
        pieces: &[
            "\0",
            "\0\0\0\0\0\0\0\0",
            "\x7f",
            "\x7fELF\x02\x01\x01",
            "\x7fELF\x01\x02\x01",
            "\x01\0\0\0",
            "\x02\0\0\0",
            "\x0e",
            "\x38",
            "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f",
        ],
        read: |bytes| match elf::read_from(&mut std::io::Cursor::new(bytes)).expect("memory has no errors") {
            Reading::Elf(found) => {
                let strings =
                    found.needed.iter().chain(&found.soname).chain(&found.rpath).chain(&found.runpath);
                assert!(
                    strings.chain(&found.interpreter).all(|text| text.len() < 4096 && !text.contains(&0))
                );
                assert!(found.needed.len() <= 4096);
            }
            Reading::Broken(why) => assert!(!why.is_empty()),
            Reading::Other => assert!(!bytes.starts_with(b"\x7fELF")),
        },
    });
}
