//! The tiny Debian root: what `import` wants to see and a static busybox, so that a base costs
//! milliseconds and `run` works.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const BUSYBOX: &str = "/usr/bin/busybox";

const APPLETS: &[&str] = &[
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "df",
    "dd",
    "du",
    "echo",
    "env",
    "false",
    "find",
    "grep",
    "head",
    "hostname",
    "id",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mkfifo",
    "mknod",
    "mount",
    "mv",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "setsid",
    "sh",
    "sha256sum",
    "sleep",
    "stat",
    "sync",
    "tail",
    "tar",
    "test",
    "touch",
    "true",
    "umount",
    "uname",
    "wc",
    "yes",
];

pub const STATUS: &str = "\
Package: dpkg
Status: install ok installed
Priority: required
Maintainer: Nobody <nobody@example.org>
Architecture: amd64
Version: 1.22.21
Description: stands for dpkg

Package: hello
Status: install ok installed
Priority: optional
Maintainer: Nobody <nobody@example.org>
Architecture: amd64
Version: 2.10-3
Conffiles:
 /etc/hello.conf 0123456789abcdef0123456789abcdef
Description: stands for a package

";

/// Makes it at `dir`, dirty: with everything `--clean` takes out.
pub fn make(dir: &Path) {
    for inside in [
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/share/doc/hello",
        "etc/ssh",
        "etc/apt",
        "home",
        "root",
        "run",
        "proc",
        "sys",
        "dev",
        "tmp",
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/lib/dpkg/alternatives",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/cache/debconf",
        "var/log/apt",
        "var/log/private",
        "var/tmp",
        "var/lib/systemd",
        "opt/data/deep",
    ] {
        fs::create_dir_all(dir.join(inside)).unwrap();
    }
    for (name, mode) in [("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777), ("var/log/private", 0o700)] {
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for name in ["bin", "sbin", "lib"] {
        symlink(format!("usr/{name}"), dir.join(name)).unwrap();
    }
    busybox(dir);
    for (inside, text) in [
        ("usr/lib/os-release", "PRETTY_NAME=\"tiny\"\nID=debian\nVERSION_CODENAME=tiny\n"),
        ("usr/bin/dpkg", "#!/bin/sh\nexit 1\n"),
        ("usr/share/doc/hello/copyright", "free\n"),
        ("var/lib/dpkg/lock", ""),
        ("var/lib/dpkg/lock-frontend", ""),
        ("var/lib/dpkg/status", STATUS),
        ("var/lib/dpkg/info/hello.list", "/.\n/etc/hello.conf\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/hello.conf", "greeting=hello\n"),
        ("etc/fstab", "# nothing\nproc /proc proc defaults 0 0\n"),
        ("opt/data/one", "one\n"),
        ("opt/data/deep/two", "two\n"),
    ] {
        fs::write(dir.join(inside), text).unwrap();
    }
    fs::set_permissions(dir.join("usr/bin/dpkg"), fs::Permissions::from_mode(0o755)).unwrap();
    for lock in ["lock", "lock-frontend"] {
        fs::set_permissions(dir.join("var/lib/dpkg").join(lock), fs::Permissions::from_mode(0o640)).unwrap();
    }
    symlink("../usr/lib/os-release", dir.join("etc/os-release")).unwrap();
    fs::hard_link(dir.join("opt/data/one"), dir.join("opt/data/one-too")).unwrap();
    xattr::set(dir.join("opt/data/one"), "user.colour", b"green").unwrap();
    for inside in DIRT {
        fs::write(dir.join(inside), "dirt\n").unwrap();
    }
}

/// What a base must not hand on.
pub const DIRT: [&str; 11] = [
    "etc/machine-id",
    "etc/resolv.conf",
    "etc/passwd-",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "var/lib/apt/lists/mirror_dists_tiny_InRelease",
    "var/cache/apt/pkgcache.bin",
    "var/cache/debconf/config.dat-old",
    "var/lib/dpkg/status-old",
    "var/lib/systemd/random-seed",
    "var/log/apt/history.log",
];

fn busybox(dir: &Path) {
    let bytes = fs::read(BUSYBOX).unwrap_or_default();
    let is_static =
        !bytes.is_empty() && !bytes.windows(14).any(|w| w == b"/ld-linux-x86-" || w == b"/ld-linux-aarc");
    assert!(is_static, "the rig needs a static {BUSYBOX}: apt-get install busybox-static");
    let here = dir.join("usr/bin/busybox");
    fs::write(&here, bytes).unwrap();
    fs::set_permissions(&here, fs::Permissions::from_mode(0o755)).unwrap();
    for applet in APPLETS {
        symlink("busybox", dir.join("usr/bin").join(applet)).unwrap();
    }
}

/// A base of another machine's architecture is not received.
pub fn for_this_machine(dir: &Path) {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    fs::write(dir.join("var/lib/dpkg/status"), STATUS.replace("amd64", machine)).unwrap();
}

/// The tiny root with one fault, at `dir`: for imports that are refused.
pub fn make_with(dir: &Path, fault: impl FnOnce(&Path)) {
    make(dir);
    fault(dir);
}
