//! A stream that is cut or damaged anywhere, or holds what no base's stream holds: said in one sentence, and
//! nothing of it stays.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::made::*;
use super::{by_hand, named, noise, publish, publisher, receive};
use crate::rig::{Rig, btrfs, need};

/// A small stream of a base, plain and compressed.
fn streams() -> (Rig, PathBuf) {
    let (rig, streams) = publisher();
    publish(&rig, "13.2", &streams.join("plain"), &[]).ok();
    publish(&rig, "13.2", &streams.join("packed.zst"), &[]).ok();
    rig.base(&["prune", "13.2", "--yes"]).ok();
    (rig, streams)
}

/// Nothing came of it, and the pool is as it was.
#[track_caller]
fn leaves_nothing(rig: &Rig, before: &[String], stream: &Path, what: &str) -> i32 {
    let ended = receive(rig, stream, &[]);
    assert!([2, 3].contains(&ended.status), "{what}: {} {}{}", ended.status, ended.out, ended.err);
    assert_eq!(rig.names("@base"), before, "{what}");
    let said = ended.err.lines().last().unwrap_or_default();
    assert!(said.starts_with("flipper-base: ") && said.len() > 40, "{what}: {said}");
    ended.status
}

#[test]
fn a_stream_that_was_cut_anywhere_leaves_nothing() {
    let (rig, dir) = streams();
    let before = rig.names("@base");
    let whole = fs::read(dir.join("plain")).unwrap();
    let borders = borders(&whole);
    let first_ends = borders[1];
    let mut cuts = vec![0, 1, 12, 13, 16, 17, 20, 27, 40, first_ends - 1, first_ends, first_ends + 1];
    cuts.extend(borders.iter().copied().skip(2).step_by(borders.len() / 12));
    cuts.extend((1..12).map(|part| whole.len() * part / 12));
    let end = whole.len();
    cuts.extend([end - 11, end - 10, end - 9, end - 1]);
    let cut = dir.join("cut");
    for at in cuts {
        fs::write(&cut, &whole[..at]).unwrap();
        let status = leaves_nothing(&rig, &before, &cut, &format!("cut at {at} of {end}"));
        // Before anything was made of it, nothing was changed; afterwards it could not be done.
        assert_eq!(status, if at < first_ends { 2 } else { 3 }, "cut at {at}");
    }
    let packed = fs::read(dir.join("packed.zst")).unwrap();
    for part in [0, 1, 3, 4, 5, 10, packed.len() / 2, packed.len() - 5, packed.len() - 1] {
        fs::write(&cut, &packed[..part]).unwrap();
        leaves_nothing(&rig, &before, &cut, &format!("packed, cut at {part}"));
    }
    rig.verify();
    receive(&rig, &dir.join("plain"), &[]).ok();
}

#[test]
fn one_flipped_bit_anywhere_is_noticed() {
    let (rig, dir) = streams();
    let before = rig.names("@base");
    let whole = fs::read(dir.join("plain")).unwrap();
    let flipped = dir.join("flipped");
    let borders = borders(&whole);
    let middle = borders[borders.len() / 2];
    // In each field of the frame of one command, in its attributes, in the end, and here and there.
    let mut places: Vec<usize> = (middle..middle + 14).chain(whole.len() - 10..whole.len()).collect();
    places.extend([0, 13, 14, 17, 21, 23, 30, 50]);
    places.extend((1..16).map(|part| whole.len() * part / 16 + 3));
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&flipped, bytes).unwrap();
        leaves_nothing(&rig, &before, &flipped, &format!("flipped at {at}"));
    }
    let packed = fs::read(dir.join("packed.zst")).unwrap();
    for part in 1..12 {
        let mut bytes = packed.clone();
        bytes[packed.len() * part / 12] ^= 0x10;
        fs::write(&flipped, bytes).unwrap();
        leaves_nothing(&rig, &before, &flipped, &format!("packed, flipped at {part} of 12"));
    }
    rig.verify();
}

#[test]
fn what_is_no_stream_of_one_base_is_refused_before_anything_is_written() {
    let (rig, dir) = streams();
    let entries = rig.entries(".pool").len();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let tar = dir.join("root.tar");
    need("tar", Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg("/usr").arg("share/doc/zstd"));
    let packed_tar = dir.join("root.tar.zst");
    need("zstd", Command::new("zstd").arg("-q").arg(&tar).arg("-o").arg(&packed_tar));
    need("gzip", Command::new("gzip").arg("-k").arg(&tar));
    let mut newer = fs::read(dir.join("plain")).unwrap();
    newer[13] = 3;
    let cases = [
        (file("empty", b""), "it is empty"),
        (file("text", b"hello, this is a text of some length\n"), "it begins otherwise"),
        (tar, "it is a tarball"),
        (packed_tar, "it is a tarball"),
        (dir.join("root.tar.gz"), "it may be a tarball"),
        (file("newer", &newer), "it is of version 3"),
        (
            file("other name", &[begun("13.2"), command(END, &[])].concat()),
            "its subvolume is called \"13.2\"",
        ),
        (file("path", &[begun("../x"), command(END, &[])].concat()), "its subvolume is called \"../x\""),
        (dir.clone(), "it is a directory"),
    ];
    for (path, why) in &cases {
        let ended = receive(&rig, path, &["--base", "x"]).refused(why);
        assert!(ended.err.contains("flipper-base import"), "{}", ended.err);
    }
    receive(&rig, &dir.join("missing"), &[]).says(3, "cannot open");
    assert_eq!(rig.entries(".pool").len(), entries, "no entry for what was never begun");
    rig.verify();
}

#[test]
fn a_stream_holds_one_subvolume() {
    let (rig, dir) = streams();
    let before = rig.names("@base");
    for name in ["one", "two"] {
        let path = rig.in_pool(name);
        need("btrfs", btrfs(&["subvolume", "create"]).arg(&path));
        super::publishable(&path);
        rig.set_read_only(&path, true);
    }
    let (one, two) = (rig.in_pool("one"), rig.in_pool("two"));
    for more in [&[][..], &["-e"]] {
        let sent = dir.join("two");
        need("btrfs", btrfs(&["send", "--quiet"]).args(more).arg("-f").arg(&sent).arg(&one).arg(&two));
        // The first one is called as it must be, so that only the second is wrong.
        let bytes = fs::read(&sent).unwrap();
        let first = begun(".incoming");
        fs::write(&sent, [&first, &bytes[borders_of_two(&bytes)..]].concat()).unwrap();
        let ended = receive(&rig, &sent, &["--base", "x"]);
        let why = if more.is_empty() { "something follows after its end" } else { "more than one subvolume" };
        ended.refused(why);
        assert_eq!(rig.names("@base"), before);
    }
    rig.verify();
}

/// Where the second command begins.
fn borders_of_two(stream: &[u8]) -> usize {
    17 + 10 + u32::from_le_bytes(stream[17..21].try_into().unwrap()) as usize
}

/// Whoever makes a stream chooses its paths. None of them leads out of `.incoming`: not to the manifests that
/// lie beside it, and not to this machine.
#[test]
fn no_path_of_a_stream_leads_out_of_its_base() {
    let (rig, dir) = streams();
    let outside = rig.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("mine"), "mine").unwrap();
    let before = rig.names("@base");
    let manifest = fs::read(rig.in_pool("@base/13.1.manifest")).unwrap();
    let inode = |n: u8| [n, 1, 0, 0, 0, 0, 0, 0];
    let make = |path: &str| command(MKFILE, &[(PATH, path.as_bytes()), (INODE, &inode(1))]);
    let fill = |path: &str| command(WRITE, &[(PATH, path.as_bytes()), (OFFSET, &[0; 8]), (DATA, b"theirs")]);
    let link = |path: &str, to: &str| {
        command(SYMLINK, &[(PATH, path.as_bytes()), (INODE, &inode(2)), (PATH_LINK, to.as_bytes())])
    };
    let two = |number, a: &str, kind, b: &str| command(number, &[(PATH, a.as_bytes()), (kind, b.as_bytes())]);
    let mode = |path: &str| command(CHMOD, &[(PATH, path.as_bytes()), (MODE, &[0xff, 1, 0, 0, 0, 0, 0, 0])]);
    let gone = |path: &str| command(UNLINK, &[(PATH, path.as_bytes())]);
    let to_outside = outside.join("mine").to_str().unwrap().to_owned();
    let sets: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("up", vec![make("../theirs")]),
        ("up to a manifest", vec![fill("../13.1.manifest")]),
        (
            "up from below",
            vec![command(MKDIR, &[(PATH, b"d"), (INODE, &inode(3))]), gone("d/../../13.1.manifest")],
        ),
        ("rename out", vec![make("f"), two(RENAME, "f", PATH_TO, "../13.1.manifest")]),
        ("rename in", vec![two(RENAME, "../13.1.manifest", PATH_TO, "f")]),
        ("hard link", vec![two(LINK, "f", PATH_LINK, "../13.1.manifest"), fill("f")]),
        ("link to a manifest", vec![link("l", "../13.1.manifest"), fill("l")]),
        ("link to the top", vec![link("l", "/"), fill("l/13.1.manifest")]),
        ("link to the top, unlink", vec![link("l", "/"), gone("l/current")]),
        ("link up", vec![link("l", ".."), make("l/theirs"), fill("l/theirs")]),
        ("link to this machine", vec![link("l", &to_outside), fill("l")]),
        ("link's mode", vec![link("l", "/13.1.manifest"), mode("l")]),
        ("absolute", vec![fill(&to_outside)]),
    ];
    for (what, commands) in sets {
        let stream = dir.join("hostile");
        fs::write(&stream, [begun(".incoming"), commands.concat(), command(END, &[])].concat()).unwrap();
        let ended = receive(&rig, &stream, &["--base", "x"]);
        assert!([2, 3].contains(&ended.status), "{what}: {}{}", ended.out, ended.err);
        assert_eq!(rig.names("@base"), before, "{what}");
        assert_eq!(fs::read(rig.in_pool("@base/13.1.manifest")).unwrap(), manifest, "{what}");
        assert_eq!(fs::metadata(rig.in_pool("@base/13.1.manifest")).unwrap().len(), manifest.len() as u64);
        assert_eq!(fs::read(outside.join("mine")).unwrap(), b"mine", "{what}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{what}");
    }
    rig.verify();
}

/// Version 2 has writes that are compressed as they lie on the disk, and whose data has no length of its own.
#[test]
fn a_stream_of_version_2_is_received() {
    let (rig, dir) = streams();
    let incoming = rig.in_pool(".incoming");
    need("btrfs", btrfs(&["subvolume", "create"]).arg(&incoming));
    need("btrfs", btrfs(&["property", "set"]).arg(&incoming).args(["compression", "zstd"]));
    super::publishable(&incoming);
    // Paths that lead out of the root, to whoever takes data for attributes.
    let text = "\x0f\0\x08\0../../xx".repeat(200_000);
    fs::write(incoming.join("opt/text"), &text).unwrap();
    rig.sync();
    rig.set_read_only(&incoming, true);
    let stream = dir.join("v2");
    let mut send = btrfs(&["send", "--quiet", "--proto", "2", "--compressed-data", "-f"]);
    need("btrfs", send.arg(&stream).arg(&incoming));
    let length = fs::metadata(&stream).unwrap().len();
    assert_eq!(fs::read(&stream).unwrap()[13], 2);
    assert!(length < 3_000_000, "{length}: it is not compressed");
    receive(&rig, &stream, &["--base", "v2"]).ok();
    assert_eq!(fs::read_to_string(rig.in_pool("@base/v2/opt/text")).unwrap(), text);
    crate::rig::tree::assert_same(
        &crate::rig::tree::read(&incoming),
        &crate::rig::tree::read(&rig.in_pool("@base/v2")),
    );
    rig.verify();
}

/// Killed in the middle, and the next command clears up; also while standard input stands still.
#[test]
fn a_receive_that_was_killed_is_cleared_up() {
    let (rig, dir) = streams();
    let before = rig.names("@base");
    let whole = fs::read(dir.join("plain")).unwrap();
    for part in [whole.len() / 3, whole.len() - 10] {
        let args = ["receive", "-", "--base", "x"].map(std::ffi::OsStr::new);
        let mut child = rig.command("flipper-base", &args).stdin(Stdio::piped()).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        to.write_all(&whole[..part]).unwrap();
        crate::rig::within(std::time::Duration::from_secs(20), "it has begun", || {
            rig.in_pool("@base/.incoming").exists()
        });
        // While it lasts nobody else receives, imports or prunes.
        receive(&rig, &dir.join("plain"), &["--base", "y"])
            .refused("another program is working on the bases");
        child.kill().unwrap();
        child.wait().unwrap();
        let (_, entry) = rig.last_entry(".pool");
        assert_eq!((&entry["kind"], &entry["state"]), (&"receive".into(), &"open".into()));
        rig.profile(&["status"]);
        drop(to);
        rig.profile(&["default"]);
        rig.base(&["prune", "missing", "--yes"]).refused("there is no base");
        assert_eq!(rig.names("@base"), before);
        let (_, entry) = rig.last_entry(".pool");
        assert_eq!((&entry["kind"], &entry["state"]), (&"receive".into(), &"cancelled".into()));
        rig.verify();
    }
    receive(&rig, &dir.join("plain"), &[]).ok();
    rig.verify();
}

#[test]
fn a_full_disk_leaves_nothing_of_it() {
    let (rig, dir) = streams();
    let stream = dir.join("large");
    by_hand(&rig, &stream, None, |root| {
        named("large")(root);
        fs::write(root.join("opt/noise"), noise(80 << 20)).unwrap();
    });
    need("btrfs", btrfs(&["filesystem", "sync"]).arg(rig.top()));
    need("btrfs", btrfs(&["subvolume", "sync"]).arg(rig.top()));
    let before = rig.names("@base");
    let fill = rig.in_pool("@data/home/fill");
    fs::create_dir(&fill).unwrap();
    let one = |n: usize| {
        let file = fs::File::create(fill.join(n.to_string())).unwrap();
        fs2::FileExt::allocate(&file, 8 << 20)
    };
    let full = (0..1000).find(|n| one(*n).is_err()).unwrap();
    for n in full - 3..=full {
        fs::remove_file(fill.join(n.to_string())).unwrap();
    }
    rig.sync();
    let ended = receive(&rig, &stream, &[]).says(3, "No space left on device");
    assert!(ended.err.contains("free some space"), "{}", ended.err);
    assert_eq!(rig.names("@base"), before);
    let (_, entry) = rig.last_entry(".pool");
    assert_eq!((&entry["kind"], &entry["state"]), (&"receive".into(), &"failed".into()));
    fs::remove_dir_all(fill).unwrap();
    rig.sync();
    receive(&rig, &stream, &[]).ok();
    rig.verify();
}
