//! The small files of the pool and of /run, and what the kernel says.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flipper_profiles::model::booted::Booted;
use flipper_profiles::model::config::{Format, KeyValues, default_profile};
use flipper_profiles::model::kept::with_unknown;
use flipper_profiles::model::layout::{ProfileDir, RootDir, RootFact};
use flipper_profiles::model::profile::Profile;
use flipper_profiles::model::send_stream::{self, Frame};
use flipper_profiles::model::{BaseVersion, EntryNumber, Layout, ProfileId};
use flipper_profiles::system::{archives, driver, files, manifest, mountinfo, roots};

use crate::engine::{Target, fuzz};

fn key_values(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut keys = KeyValues::parse(&text);
    assert_eq!(KeyValues::parse(&keys.to_text()), keys, "what is written is read back");
    let _ = default_profile(&keys);
    let before: Vec<String> = keys.to_text().lines().map(str::to_owned).collect();
    keys.set("default", "lab");
    assert_eq!(default_profile(&keys).expect("it was set").as_str(), "lab");
    let after: Vec<String> = keys.to_text().lines().map(str::to_owned).collect();
    let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    assert!(changed + (after.len() - before.len()) <= 1, "one line and no other");
    if let Ok(format) = Format::parse(&text) {
        assert_eq!(Format::parse(&format.to_text()).expect("it is read again"), format);
        assert!(!format.may_read() || format.oldest_reader <= 1);
    }
}

#[test]
fn any_settings_are_read_and_one_line_is_changed() {
    fuzz(Target {
        name: "key_values",
        corpus: vec![
            flipper_profiles::model::config::POOL_CONF.into(),
            b"format=1\noldest_reader=1\noldest_writer=1\ninode_floor=1048576\n".to_vec(),
            b"# strict\nstrict=no\n  strict = yes # x\n=\n==\n".to_vec(),
        ],
        pieces: &[
            "default=",
            "default",
            "=",
            " = ",
            "\n",
            "\r\n",
            "#",
            "format=",
            "oldest_writer=",
            "lab",
            "\t",
        ],
        read: key_values,
    });
}

#[test]
fn any_booted_file_is_read_or_refused() {
    let good = "profile=lab\nroot=41\nbase=13.2\npool=6b1d9c5e-0000-4000-8000-000000000000\ndevice=/dev/loop0\n\
        subvolid=312\nidentity=45:1048583\nmode=run\nlater=thing\n";
    fuzz(Target {
        name: "booted",
        corpus: vec![good.into(), good.replace("run", "boot").into()],
        pieces: &["profile=", "root=", "\n", "=", "mode=boot\n", "subvolid=", "\r", " ", "identity=1:2\n"],
        read: |bytes| {
            let Ok(booted) = Booted::parse(&String::from_utf8_lossy(bytes)) else { return };
            assert_eq!(Booted::parse(&booted.to_text()).expect("it is read again"), booted);
        },
    });
}

fn profile(bytes: &[u8]) {
    let Ok(profile) = serde_json::from_slice::<Profile>(bytes) else { return };
    let value = serde_json::to_value(&profile).expect("it is JSON");
    let kept = with_unknown::<Profile>(bytes, value.clone());
    let again: Profile = serde_json::from_value(kept.clone()).expect("it is read again");
    assert_eq!(serde_json::to_value(&again).expect("it is JSON"), value);
    assert_eq!(with_unknown::<Profile>(bytes, kept.clone()), kept, "keeping twice is keeping once");
}

#[test]
fn any_description_of_a_profile_is_read_or_refused() {
    let good = r#"{"name":"My lab","note":"n","kind":"overlay","created":"2026-11-23T02:24:00Z","last_used":"x",
        "origin":{"base":"13.2","profile":"lab","point":57,"stream":{"a":[1]}},"pins":[{"n":1}],"colour":null}"#;
    fuzz(Target {
        name: "profile_json",
        corpus: vec![good.into(), br#"{"name":"","kind":"fork","created":"","origin":{}}"#.to_vec()],
        pieces: JSON,
        read: profile,
    });
}

pub const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "{\"",
    "\":",
    "\"name\":",
    "\"number\":1,",
    "\\u202e",
    "\\ud800",
    "\\",
    "[[",
    "{\"a\":",
    "1e999",
    "\"more\":{}",
    "\"origin\":",
    "\u{202e}",
];

/// The one-line files of a root, `current`, and the manifest's first line, as they lie on disk.
fn files_of_a_pool(bytes: &[u8]) {
    let dir = crate::journal::scratch();
    let root = RootDir::at(dir.path());
    for fact in RootFact::ALL {
        std::fs::write(root.fact(fact), bytes).expect("write");
        let text = roots::fact(&root, fact).expect("a file is read");
        roots::write_fact(&root, fact, &text).expect("write");
        // What is written is read back, but for newlines behind it, of which one is ours.
        assert_eq!(roots::fact(&root, fact).expect("a file is read"), text.trim_end_matches('\n'));
    }
    std::fs::write(root.fact(RootFact::Base), bytes).expect("write");
    if let Ok(base) = roots::base_of(&root) {
        assert!(!base.as_str().contains('/'));
    }
    let line = files::read_line(&root.fact(RootFact::Base)).expect("a file is read");
    assert!(!line.contains('\n'));
    let _ = manifest::largest_inode_of_header(&line);
    let target = std::ffi::OsStr::from_bytes(bytes);
    if std::os::unix::fs::symlink(target, dir.path().join("current")).is_ok() {
        if let Ok(number) = roots::current(&ProfileDir::at(dir.path())) {
            assert_eq!(Path::new(target), Path::new("roots").join(number.to_string()));
        }
    }
}

#[test]
fn any_one_line_file_is_read_or_refused() {
    fuzz(Target {
        name: "files_of_a_pool",
        corpus: vec![
            b"13.2\n".to_vec(),
            b"roots/41".to_vec(),
            b"quiet systemd.unit=x\n".to_vec(),
            br#"{"manifest":1,"version":"13.2","floor":1048576,"largest_inode":21544,"paths":9321}"#.to_vec(),
        ],
        pieces: &["roots/", "41", "/", "..", "\n", " ", "13.2", "{\"largest_inode\":", "}", "current"],
        read: files_of_a_pool,
    });
}

fn mounts(bytes: &[u8]) {
    for mount in mountinfo::parse(bytes) {
        assert!(!mount.mount_point.as_os_str().as_bytes().contains(&b'\n') || bytes.contains(&b'\\'));
    }
    // A path as the kernel writes it is read as it is.
    let path: Vec<u8> = bytes.iter().copied().filter(|b| *b != 0).collect();
    let escaped: Vec<u8> = path
        .iter()
        .flat_map(|b| match b {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{b:03o}").into_bytes(),
            b => vec![*b],
        })
        .collect();
    let line = [b"36 35 98:0 / /", &escaped[..], b" rw - overlay overlay rw"].concat();
    let read = mountinfo::parse(&line);
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].mount_point.as_os_str().as_bytes(), [b"/", &path[..]].concat());
}

#[test]
fn any_mountinfo_is_read() {
    fuzz(Target {
        name: "mountinfo",
        corpus: vec![
            std::fs::read("/proc/self/mountinfo").expect("/proc"),
            b"99 22 0:45 / /mnt/a\\040b rw shared:1 - overlay overlay rw,lowerdir=/p/@base/13.2,upperdir=/p/U/root\n".to_vec(),
        ],
        pieces: &[" - ", "\\040", "\\", "\\7", "\\777", " ", "\n", "36 35 98:0 / /a rw - btrfs /dev/x rw\n", "-", ","],
        read: mounts,
    });
}

#[test]
fn any_process_and_person_is_read() {
    fuzz(Target {
        name: "proc_stat",
        corpus: vec![
            std::fs::read("/proc/self/stat").expect("/proc"),
            b"812 (a) (b)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 20\n".to_vec(),
            b"root:x:0:0:root:/root:/bin/sh\nkim:x:1000:1000::/home/kim:/bin/sh\n".to_vec(),
        ],
        pieces: &["(", ")", ") (", " ", "-1", ":", "\n", "x:x:0", "S 1"],
        read: |bytes| {
            if let Some(process) = driver::parse_stat(bytes) {
                assert!(process.name.len() <= 3 * bytes.len());
            }
            if let Some(name) = driver::name_in_passwd(bytes, 0) {
                assert!(!name.contains([':', '\n']));
            }
            let text = String::from_utf8_lossy(bytes);
            if let Some(archive) = archives::archive_of_list(&text) {
                let _ = archives::is_security(&archive);
            }
        },
    });
}

/// What `btrfs send` writes, with a difference, a link and an end.
const STREAM: &[u8] = b"btrfs-stream\0\x01\0\0\0\
    \x2d\0\0\0\x01\0\x06\x4b\x4f\xed\x0f\0\x09\0.incoming\
    \x01\0\x10\0\x20\x57\xbe\xbc\x06\xac\xa1\x46\xa4\x0b\xe1\x1c\xcb\xc7\xdf\x9a\x02\0\x08\0\x08\0\0\0\0\0\0\0\
    \x15\0\0\0\x08\0\0\0\0\0\x0f\0\x04\0etc/\x11\0\x09\0../passwd\
    \x0d\0\0\0\x0f\0\0\0\0\0\x0f\0\x03\0etc\x13\0\x02\0hi\
    \0\0\0\0\x15\0\x9d\xac\xa2\x3f";

/// Command by command, as it is handed on; lengths that lead out of the input end it.
fn stream(bytes: &[u8]) {
    let Ok(version) = send_stream::version(bytes) else { return };
    let mut rest = &bytes[send_stream::HEADER..];
    while let Some((frame, after)) = rest.split_first_chunk::<{ send_stream::FRAME }>() {
        let frame = Frame::parse(frame);
        let Some((attributes, after)) = after.split_at_checked(frame.length) else { return };
        let _ = send_stream::check(version, frame, attributes);
        // Written anew its checksum is right, whatever it says.
        if let Ok(renamed) = send_stream::renamed(frame, attributes, "13.2") {
            let (head, attributes) = renamed.split_first_chunk().expect("a frame");
            let frame = Frame::parse(head);
            assert!(frame.holds(attributes) && frame.length == attributes.len());
            let first = send_stream::first(frame, attributes);
            assert!(first.is_err() || first.is_ok_and(|first| first.name == b"13.2"));
        }
        rest = after;
    }
}

#[test]
fn any_stream_is_read_or_refused() {
    fuzz(Target {
        name: "send_stream",
        corpus: vec![STREAM.to_vec(), [&STREAM[..13], b"\x02", &STREAM[14..]].concat()],
        pieces: &[
            "btrfs-stream\0",
            "\0\0\0\0",
            "\x0f\0",
            "\x13\0",
            "\x14\0\x10\0",
            "\x02\0",
            "..",
            "/../",
            "\x15\0",
        ],
        read: stream,
    });
}

/// Names become paths: whatever is taken for one stays in its directory.
#[test]
fn any_name_is_a_name_or_refused() {
    fuzz(Target {
        name: "names",
        corpus: include_str!("../names.txt").lines().map(|line| line.as_bytes().to_vec()).collect(),
        pieces: &[
            "lab",
            "@",
            "57",
            "/",
            "..",
            ".",
            "-",
            "13.2",
            "~",
            "+",
            ".manifest",
            "current",
            "0",
            "é",
            "\0",
            "\n",
        ],
        read: |bytes| {
            let text = &*String::from_utf8_lossy(bytes);
            let layout = Layout::new("/p");
            if let Ok(id) = text.parse::<ProfileId>() {
                assert_eq!((id.as_str(), layout.profile(&id).path().components().count()), (text, 4));
            }
            if let Ok(version) = text.parse::<BaseVersion>() {
                assert_eq!((version.as_str(), layout.base(&version).components().count()), (text, 4));
            }
            if let Ok(number) = text.parse::<EntryNumber>() {
                assert_eq!((number.to_string().as_str(), number.get() > 0), (text, true));
                assert!(number.next() >= number);
            }
            if let Ok(state) = text.parse::<flipper_profiles::model::id::StateRef>() {
                let again =
                    state.point.map_or(state.profile.to_string(), |n| format!("{}@{n}", state.profile));
                assert_eq!(again, text);
            }
        },
    });
}
