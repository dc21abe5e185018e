//! A stream whose tree is no base: refused with what its publisher must do, and nothing of it stays.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::{by_hand, named, publisher, receive};
use crate::rig::need;

type Change = fn(&Path);

fn node(dir: &Path, inside: &str, words: &[&str]) {
    need("mknod", Command::new("mknod").arg(dir.join(inside)).args(words));
}

fn status(dir: &Path, from: &str, to: &str) {
    let path = dir.join("var/lib/dpkg/status");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(&path, text.replace(from, to)).unwrap();
}

#[test]
fn what_is_no_fit_base_is_refused() {
    let faults: [(&str, Change); 17] = [
        ("os-release does not say Debian", |d| {
            fs::write(d.join("usr/lib/os-release"), "ID=other\n").unwrap()
        }),
        ("half-configured", |d| status(d, "ok installed", "ok half-configured")),
        ("it has no dpkg status", |d| fs::remove_file(d.join("var/lib/dpkg/status")).unwrap()),
        ("updates is not empty", |d| fs::write(d.join("var/lib/dpkg/updates/0001"), "").unwrap()),
        ("its /etc/fstab mounts /", |d| {
            fs::write(d.join("etc/fstab"), "UUID=1 / ext4 defaults 0 1\n").unwrap()
        }),
        ("it has no /usr/bin/dpkg", |d| fs::remove_file(d.join("usr/bin/dpkg")).unwrap()),
        ("/etc is not a directory", |d| {
            fs::remove_dir_all(d.join("etc")).unwrap();
            symlink("/etc", d.join("etc")).unwrap();
        }),
        ("/var/lib/dpkg is not a directory", |d| {
            fs::remove_dir_all(d.join("var/lib/dpkg")).unwrap();
            symlink("/var/lib/dpkg", d.join("var/lib/dpkg")).unwrap();
        }),
        // The files of this machine are no substitute.
        ("os-release does not say Debian", |d| {
            fs::remove_file(d.join("usr/lib/os-release")).unwrap();
            symlink("/etc/os-release", d.join("usr/lib/os-release")).unwrap();
        }),
        ("it is for riscv64, and this machine is", |d| {
            status(d, if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "riscv64")
        }),
        ("/etc/machine-id would be the same on every device", |d| {
            fs::write(d.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap()
        }),
        ("/etc/ssh/ssh_host_ed25519_key would be the same", |d| {
            fs::write(d.join("etc/ssh/ssh_host_ed25519_key"), "secret").unwrap()
        }),
        ("/dev/sda is a device, which no base has", |d| node(d, "dev/sda", &["b", "8", "0"])),
        ("/dev/mem is a device", |d| node(d, "dev/mem", &["c", "1", "1"])),
        ("/opt/null is a device", |d| node(d, "opt/null", &["c", "1", "3"])),
        ("/usr/lib/gone is a device", |d| node(d, "usr/lib/gone", &["c", "0", "0"])),
        ("/opt/data is of an overlay's upper", |d| {
            xattr::set(d.join("opt/data"), "trusted.overlay.opaque", b"y").unwrap()
        }),
    ];
    let (rig, streams) = publisher();
    let before = rig.names("@base");
    for (what, fault) in faults {
        let stream = streams.join("stream");
        by_hand(&rig, &stream, None, |dir| {
            named("bad")(dir);
            fault(dir);
        });
        receive(&rig, &stream, &[]).refused(what);
        assert_eq!(rig.names("@base"), before, "{what}");
        let (_, entry) = rig.last_entry(".pool");
        assert_eq!((&entry["kind"], &entry["state"]), (&"receive".into(), &"failed".into()), "{what}");
    }
    rig.verify();
}

#[test]
fn what_harms_nobody_is_received_with_a_word() {
    let harmless: [(&str, Change); 5] = [
        ("it has no policy-rc.d", |d| fs::remove_file(d.join("usr/sbin/policy-rc.d")).unwrap()),
        ("/etc/resolv.conf and 1 more", |d| {
            fs::write(d.join("etc/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
            fs::write(d.join("var/lib/apt/lists/x_InRelease"), "x").unwrap();
        }),
        ("", |d| fs::remove_file(d.join("etc/machine-id")).unwrap()),
        ("", |d| {
            for (name, minor) in
                [("null", "3"), ("zero", "5"), ("full", "7"), ("random", "8"), ("urandom", "9")]
            {
                node(d, &format!("dev/{name}"), &["c", "1", minor]);
            }
            for (name, minor) in [("tty", "0"), ("console", "1"), ("ptmx", "2")] {
                node(d, &format!("dev/{name}"), &["c", "5", minor]);
            }
        }),
        ("", |d| {
            symlink("/etc", d.join("opt/this machine")).unwrap();
            symlink("../../../../../../etc/passwd", d.join("opt/up")).unwrap();
        }),
    ];
    let (rig, streams) = publisher();
    for (n, (word, change)) in harmless.into_iter().enumerate() {
        let (stream, version) = (streams.join("stream"), format!("fine-{n}"));
        by_hand(&rig, &stream, None, change);
        let ended = receive(&rig, &stream, &["--base", &version]).ok();
        assert!(ended.err.contains(word) && ended.err.is_empty() == word.is_empty(), "{word}: {}", ended.err);
        rig.profile(&["create", &version, "--base", &version]).ok();
        assert_eq!(rig.sh(&version, "wc -c < /etc/machine-id"), "33", "each profile has one of its own");
    }
    rig.verify();
}

#[test]
fn a_stream_that_reaches_the_floor_is_refused() {
    let (rig, streams) = publisher();
    let stream = streams.join("stream");
    by_hand(&rig, &stream, None, named("big"));
    let format = rig.in_pool("@journal/format");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace("65536", "300")).unwrap();
    receive(&rig, &stream, &[]).refused("and the pool's floor is 300");
    assert!(!rig.in_pool("@base/big").exists() && !rig.in_pool("@base/big.manifest").exists());
}
