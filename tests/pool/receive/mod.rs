//! `flipper-base publish`, `receive`: real streams between real pools. A base arrives whole and sealed, or
//! nothing of it is there.

mod listed;
mod made;
mod refused;
mod stream;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::rig::tree::{assert_same, read};
use crate::rig::{Ended, Rig, btrfs, need, root};

pub fn receive(rig: &Rig, stream: &Path, args: &[&str]) -> Ended {
    rig.base(&[&["receive", stream.to_str().unwrap()], args].concat())
}

pub fn publish(rig: &Rig, version: &str, stream: &Path, args: &[&str]) -> Ended {
    rig.base(&[&["publish", version, stream.to_str().unwrap()], args].concat())
}

/// The tiny root as whoever publishes has it: nothing in it an import would take out, for this machine.
pub fn publishable(dir: &Path) {
    root::make(dir);
    for inside in root::DIRT {
        fs::remove_file(dir.join(inside)).unwrap();
    }
    fs::write(dir.join("etc/machine-id"), "").unwrap();
    fs::write(dir.join("usr/sbin/policy-rc.d"), "#!/bin/sh\n").unwrap();
    root::for_this_machine(dir);
}

/// A pool with base 13.2, imported from such a root, and an empty directory for streams.
pub fn publisher() -> (Rig, PathBuf) {
    let rig = Rig::new();
    let dir = rig.path("publishable");
    publishable(&dir);
    fs::write(dir.join("opt/data/big"), noise(3_000_000)).unwrap();
    rig.base(&["import", dir.to_str().unwrap(), "--version", "13.2", "--clean"]).ok();
    let streams = rig.path("streams");
    fs::create_dir(&streams).unwrap();
    (rig, streams)
}

/// Bytes that cannot be compressed, the same each time.
pub fn noise(length: usize) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What somebody without our programs publishes: a subvolume `.incoming`, sent. `parent`: made from that
/// base of the pool, and sent as a delta to it.
pub fn by_hand(rig: &Rig, stream: &Path, parent: Option<&str>, change: impl FnOnce(&Path)) {
    let place = rig.in_pool("by-hand");
    fs::create_dir_all(&place).unwrap();
    let incoming = place.join(".incoming");
    let base = parent.map(|parent| rig.in_pool(format!("@base/{parent}")));
    match &base {
        Some(base) => need("btrfs", btrfs(&["subvolume", "snapshot"]).arg(base).arg(&incoming)),
        None => need("btrfs", btrfs(&["subvolume", "create"]).arg(&incoming)),
    };
    if base.is_none() {
        publishable(&incoming);
    }
    change(&incoming);
    rig.set_read_only(&incoming, true);
    let mut send = btrfs(&["send", "--quiet", "-f"]);
    send.arg(stream);
    if let Some(base) = &base {
        send.arg("-p").arg(base);
    }
    need("btrfs", send.arg(&incoming));
    need("btrfs", btrfs(&["subvolume", "delete"]).arg(&incoming));
    fs::remove_dir(&place).unwrap();
}

pub fn named(version: &'static str) -> impl FnOnce(&Path) {
    move |dir| xattr::set(dir, "user.flipper.base", version.as_bytes()).unwrap()
}

fn base(rig: &Rig, version: &str) -> PathBuf {
    rig.in_pool(format!("@base/{version}"))
}

/// The manifest without its header.
fn manifest(rig: &Rig, version: &str) -> Vec<u8> {
    let bytes = fs::read(rig.in_pool(format!("@base/{version}.manifest"))).unwrap();
    bytes[bytes.iter().position(|b| *b == b'\n').unwrap()..].to_vec()
}

fn is_sealed(rig: &Rig, version: &str) -> bool {
    need("btrfs", btrfs(&["property", "get", "-ts"]).arg(base(rig, version)).arg("ro")) == "ro=true"
}

#[test]
fn a_published_base_is_the_same_elsewhere() {
    let (from, streams) = publisher();
    let plain = streams.join("13.2.stream");
    let packed = streams.join("13.2.stream.zst");
    let said = publish(&from, "13.2", &plain, &[]).ok().out;
    assert!(said.starts_with("published base 13.2 to ") && said.ends_with("whole\n"), "{said}");
    publish(&from, "13.2", &packed, &[]).ok();
    assert!(fs::read(&packed).unwrap().starts_with(b"\x28\xb5\x2f\xfd"));
    let to = Rig::new();
    let said = receive(&to, &plain, &[]).ok().out;
    assert!(said.starts_with("received base 13.2: ") && said.contains("a candidate"), "{said}");
    receive(&to, &packed, &["--base", "packed"]).ok();
    // From standard input, a pipe and a file.
    let piped = |file: &Path, version: &str| {
        let mut cat = Command::new("cat").arg(file).stdout(Stdio::piped()).spawn().unwrap();
        let args = ["receive", "-", "--base", version].map(std::ffi::OsStr::new);
        let ended = crate::rig::ended(to.command("flipper-base", &args).stdin(cat.stdout.take().unwrap()));
        cat.wait().unwrap();
        ended
    };
    piped(&plain, "piped").ok();
    piped(&packed, "piped-packed").ok();
    let args = ["receive", "-", "--base", "given"].map(std::ffi::OsStr::new);
    let file = fs::File::open(&packed).unwrap();
    crate::rig::ended(to.command("flipper-base", &args).stdin(file)).ok();
    let published = read(&base(&from, "13.2"));
    for version in ["13.2", "packed", "piped", "piped-packed", "given"] {
        assert_same(&published, &read(&base(&to, version)));
        assert!(is_sealed(&to, version), "{version}");
        assert_eq!(manifest(&to, version), manifest(&to, "13.2"), "{version}");
    }
    assert_eq!(fs::read_link(to.in_pool("@base/current")).unwrap(), Path::new("13.1"));
    let kinds: Vec<_> =
        to.entries(".pool").into_iter().map(|(_, e)| (e["kind"].clone(), e["state"].clone())).collect();
    let received = kinds.iter().filter(|(kind, state)| kind == "receive" && state == "completed");
    assert_eq!(received.count(), 5);
    to.verify();
    assert_eq!(to.profile(&["verify", "--deep"]).status, 0);
    to.profile(&["create", "new", "--base", "13.2"]).ok();
    assert_eq!(to.sh("new", "cat /etc/hello.conf"), "greeting=hello");
    from.verify();
}

#[test]
fn a_stream_is_received_into_a_pool_without_any_base() {
    let (from, streams) = publisher();
    let stream = streams.join("s");
    publish(&from, "13.2", &stream, &[]).ok();
    let to = Rig::new();
    fs::remove_file(to.in_pool("@base/current")).unwrap();
    to.set_read_only(&base(&to, "13.1"), false);
    need("btrfs", btrfs(&["subvolume", "delete"]).arg(base(&to, "13.1")));
    fs::remove_file(to.in_pool("@base/13.1.manifest")).unwrap();
    let said = receive(&to, &stream, &["--json"]).json();
    assert_eq!((&said["base"], &said["current"]), (&"13.2".into(), &true.into()));
    assert_eq!(fs::read_link(to.in_pool("@base/current")).unwrap(), Path::new("13.2"));
    to.profile(&["create", "lab"]).ok();
    to.verify();
}

/// 13.2 imported at A, 13.3 made from it by hand; B and C have them by streams only, each from the one before.
#[test]
fn deltas_find_their_parent_wherever_it_came_from() {
    let (a, streams) = publisher();
    let [whole, delta, again] = ["whole", "delta", "again"].map(|name| streams.join(name));
    by_hand(&a, &delta, Some("13.2"), |dir| {
        named("13.3")(dir);
        fs::write(dir.join("etc/hello.conf"), "greeting=hi\n").unwrap();
        fs::remove_file(dir.join("opt/data/deep/two")).unwrap();
        fs::rename(dir.join("opt/data/one"), dir.join("opt/data/uno")).unwrap();
    });
    // Its parent was imported here: no UUID was received with it.
    let said = receive(&a, &delta, &[]).ok().out;
    assert!(said.starts_with("received base 13.3 as a delta to 13.2: "), "{said}");
    publish(&a, "13.2", &whole, &[]).ok();
    let said = publish(&a, "13.3", &again, &["--parent", "13.2"]).ok().out;
    assert!(said.ends_with("a delta to 13.2\n"), "{said}");
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(size(&again) * 50 < size(&whole), "{} of {}", size(&again), size(&whole));

    let b = Rig::new();
    receive(&b, &again, &[]).refused("is a delta to a base that is not here; here: 13.1");
    receive(&b, &whole, &[]).ok();
    receive(&b, &again, &[]).ok();
    // By hand and by us they are the same stream to whoever has the parent.
    receive(&b, &delta, &["--base", "13.3-by-hand"]).ok();

    let c = Rig::new();
    let (whole_of_b, delta_of_b) = (streams.join("b"), streams.join("b.zst"));
    publish(&b, "13.2", &whole_of_b, &[]).ok();
    publish(&b, "13.3", &delta_of_b, &["--parent", "13.2"]).ok();
    receive(&c, &whole_of_b, &["--base", "of-b"]).ok();
    let said = receive(&c, &delta_of_b, &["--json"]).json();
    assert_eq!((&said["base"], &said["delta_to"]), (&"13.3".into(), &"of-b".into()));
    assert_eq!(c.last_entry(".pool").1["delta_to"], "of-b");
    // And a delta of A's making goes onto what came from B.
    receive(&c, &again, &["--base", "of-a"]).ok();
    let published = read(&base(&a, "13.3"));
    for (rig, version) in [(&b, "13.3"), (&b, "13.3-by-hand"), (&c, "13.3"), (&c, "of-a")] {
        assert_same(&published, &read(&base(rig, version)));
        assert!(is_sealed(rig, version));
    }
    // The parent goes: its name is remembered.
    for version in ["of-a", "13.3", "of-b"] {
        c.base(&["prune", version, "--yes"]).ok();
    }
    receive(&c, &again, &[]).refused("is a delta to base of-b that is not here; here: 13.1");
    for rig in [&a, &b, &c] {
        rig.verify();
    }
}

#[test]
fn what_a_base_is_called() {
    let (rig, streams) = publisher();
    let [ours, theirs, nameless, both, odd] =
        ["ours", "theirs", "nameless", "both", "odd"].map(|s| streams.join(s));
    let os_release = |dir: &Path, line: &str| {
        let path = dir.join("usr/lib/os-release");
        fs::write(&path, fs::read_to_string(&path).unwrap() + line).unwrap();
    };
    by_hand(&rig, &ours, None, named("13.4"));
    by_hand(&rig, &theirs, None, |dir| os_release(dir, "IMAGE_VERSION=\"13.5\"\n"));
    by_hand(&rig, &nameless, None, |_| {});
    by_hand(&rig, &both, None, |dir| {
        os_release(dir, "IMAGE_VERSION=13.6\n");
        named("13.7")(dir);
    });
    by_hand(&rig, &odd, None, named("../13"));
    assert!(receive(&rig, &ours, &[]).ok().out.starts_with("received base 13.4: "));
    assert!(receive(&rig, &theirs, &[]).ok().out.starts_with("received base 13.5: "));
    assert!(receive(&rig, &both, &[]).ok().out.starts_with("received base 13.7: "));
    let before = rig.names("@base");
    receive(&rig, &nameless, &[]).refused("it does not say its version: name it with --base V");
    receive(&rig, &odd, &[]).refused("which is no version: name it with --base V");
    receive(&rig, &ours, &[]).refused("there is a base 13.4 already");
    receive(&rig, &nameless, &["--base", "13.4"]).refused("there is a base 13.4 already");
    receive(&rig, &nameless, &["--base", "../x"]).says(64, "is not a base version");
    receive(&rig, &nameless, &["--base", "good"]).says(64, "is not a base version");
    assert_eq!(rig.names("@base"), before);
    receive(&rig, &nameless, &["--base", "13.8"]).ok();
    rig.verify();
}

#[test]
fn a_stream_appears_whole_or_not_at_all() {
    let (rig, streams) = publisher();
    let file = streams.join("13.2.stream");
    publish(&rig, "13.9", &file, &[]).refused("there is no base 13.9");
    publish(&rig, "13.2", &file, &["--parent", "13.9"]).refused("there is no base 13.9");
    publish(&rig, "13.2", &file, &["--parent", "13.2"]).says(64, "no delta to itself");
    publish(&rig, "13.2", &streams.join("missing/x"), &[]).says(3, "cannot write");
    assert_eq!(fs::read_dir(&streams).unwrap().count(), 0);
    fs::write(&file, "mine").unwrap();
    publish(&rig, "13.2", &file, &[]).refused("not confirmed");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    publish(&rig, "13.2", &file, &["--yes"]).ok();
    let length = fs::metadata(&file).unwrap().len();
    // A disk too small for it, plain and compressed.
    let small = rig.path("small");
    fs::create_dir(&small).unwrap();
    let mut mount = Command::new("mount");
    need("mount", mount.args(["-t", "tmpfs", "-o", "size=1M", "tmpfs"]).arg(&small));
    publish(&rig, "13.2", &small.join("x"), &[]).says(3, "No space left");
    publish(&rig, "13.2", &small.join("x.zst"), &[]).says(3, "No space left");
    assert_eq!(fs::read_dir(&small).unwrap().count(), 0);
    need("umount", Command::new("umount").arg(&small));
    // To standard output, and nothing else with it.
    let args = ["publish", "13.2", "-"].map(std::ffi::OsStr::new);
    let out = rig.command("flipper-base", &args).output().unwrap();
    assert!(out.status.success() && out.stdout.len() as u64 == length, "{}", out.stdout.len());
    // What is no file is written to, and stays what it is.
    let pipe = streams.join("pipe");
    need("mkfifo", Command::new("mkfifo").arg(&pipe));
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::read(pipe).unwrap().len() as u64)
    };
    publish(&rig, "13.2", &pipe, &["--yes"]).ok();
    assert_eq!(reader.join().unwrap(), length);
    let link = streams.join("link");
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    publish(&rig, "13.2", &link, &["--yes"]).says(3, "No space left");
    assert!(link.is_symlink() && !pipe.is_file());
    publish(&rig, "13.2", &streams, &["--yes"]).says(3, "it is a directory");
    // Nothing of the pool changes.
    assert_eq!(rig.last_entry(".pool").1["kind"], "import");
    rig.verify();
}
