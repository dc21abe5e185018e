//! The test archive: tiny packages with everything a package can do to a machine, made with dpkg-deb.
//! Two archives: a flat one without a Release file, and one laid out as a security archive.

#![allow(dead_code)] // each test binary uses a part

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::rig::{command, hex};

/// `name version`, then lines of control, then files (`@path mode content`) and scripts (`%postinst ...`).
struct Package {
    name: &'static str,
    version: &'static str,
    control: &'static str,
    /// Path, mode, content.
    files: &'static [(&'static str, u32, &'static str)],
    /// Path and target.
    links: &'static [(&'static str, &'static str)],
    /// Name and what it does (sh).
    scripts: &'static [(&'static str, &'static str)],
}

const NOTHING: Package =
    Package { name: "", version: "1", control: "", files: &[], links: &[], scripts: &[] };

/// The postinst of a daemon with an account and a log of its own: as Debian's do, it takes an account that is
/// there as it finds it.
macro_rules! daemon {
    ($name:literal) => {
        Package {
            name: $name,
            scripts: &[
                (
                    "postinst",
                    concat!(
                        "getent passwd ",
                        $name,
                        " > /dev/null || useradd --system --user-group --home-dir /var/lib/",
                        $name,
                        " --create-home --shell /bin/bash ",
                        $name,
                        "\nid -u ",
                        $name,
                        " > /dev/null\n",
                        "log=/var/log/",
                        $name,
                        ".log; test -e $log || { umask 077; echo secret of ",
                        $name,
                        " > $log; chown ",
                        $name,
                        ": $log; }"
                    ),
                ),
                (
                    "postrm",
                    concat!(
                        "test \"$1\" = purge || exit 0; userdel ",
                        $name,
                        "; rm -rf /var/lib/",
                        $name,
                        " /var/log/",
                        $name,
                        ".log"
                    ),
                ),
            ],
            ..NOTHING
        }
    };
}

const FLAT: &[Package] = &[
    Package { name: "plain", control: "Depends: plain-lib\n", files: &[("usr/share/plain/a", 0o644, "one")], ..NOTHING },
    Package {
        name: "plain",
        version: "2",
        control: "Depends: plain-lib\n",
        files: &[("usr/share/plain/a", 0o644, "two"), ("usr/share/plain/b", 0o644, "new")],
        ..NOTHING
    },
    Package { name: "plain-lib", files: &[("usr/share/plain-lib/x", 0o644, "x")], ..NOTHING },
    Package { name: "plain-partner", control: "Breaks: plain (<< 2)\n", ..NOTHING },
    Package { name: "conf", files: &[("etc/conf.conf", 0o644, "shipped 1\n"), ("etc/conf.d/old", 0o644, "old\n")], ..NOTHING },
    Package {
        name: "conf",
        version: "2",
        files: &[("etc/conf.conf", 0o644, "shipped 2\n")],
        scripts: &[("postinst", "echo made > /var/lib/conf-made")],
        ..NOTHING
    },
    Package {
        name: "special",
        files: &[
            ("usr/bin/special-suid", 0o4755, "s"),
            ("usr/bin/special-sgid", 0o2755, "g"),
            ("usr/bin/special-caps", 0o755, "c"),
        ],
        scripts: &[(
            "postinst",
            "setcap cap_net_raw+ep /usr/bin/special-caps
             setfattr -n user.flavour -v sweet /usr/bin/special-sgid
             setfattr -n trusted.mark -v deep /usr/share
             cd /var/lib; mkdir -m 3770 special; cd special; chown 7:9 .
             echo one > a; ln a b; ln -s a c; mkfifo -m 620 pipe; chown 3:4 pipe; mknod node c 1 3; chmod 1755 /srv",
        )],
        ..NOTHING
    },
    Package {
        name: "service",
        scripts: &[(
            "postinst",
            "useradd --system --home-dir /var/lib/service --create-home flipservice
             echo secret > /var/lib/service/key; chown flipservice: /var/lib/service/key; chmod 600 /var/lib/service/key",
        )],
        ..NOTHING
    },
    Package {
        name: "odd",
        scripts: &[(
            "postinst",
            r#"mkdir '/var/lib/odd names'; cd '/var/lib/odd names'; echo a > ' a b '; n="$(printf 'new\nline')"; echo b > "$n"
               b="$(printf 'bad\377\376utf8')"; echo c > "$b"; mkdir "d$b"; ln -s "$b" "l$b"; echo d > '*'; echo e > '\\'; echo f > '$HOME'"#,
        )],
        ..NOTHING
    },
    Package {
        name: "turning",
        files: &[("usr/share/turning-old/in", 0o644, "in old")],
        links: &[("usr/share/turning", "turning-old")],
        ..NOTHING
    },
    Package {
        name: "turning",
        version: "2",
        files: &[("usr/share/turning/in", 0o644, "in new"), ("usr/share/turning/more", 0o644, "more")],
        scripts: &[("preinst", "if test -L /usr/share/turning; then rm /usr/share/turning; fi")],
        ..NOTHING
    },
    Package { name: "bad-post", files: &[("usr/share/bad-post/a", 0o644, "a")], scripts: &[("postinst", "echo broken >&2; exit 1")], ..NOTHING },
    Package { name: "destroyer", scripts: &[("preinst", "rm -rf /etc/important; exit 1")], ..NOTHING },
    Package {
        name: "ruin",
        scripts: &[("preinst", "test \"$1\" = upgrade || exit 0; rm -rf /etc/important; exit 1")],
        ..NOTHING
    },
    Package { name: "stays", scripts: &[("prerm", "rm -rf /etc/important; exit 1")], ..NOTHING },
    Package { name: "clash", files: &[("usr/share/plain/a", 0o644, "mine"), ("usr/share/clash/first", 0o644, "f")], ..NOTHING },
    Package {
        name: "alternative",
        files: &[("usr/bin/alt-one", 0o755, "1"), ("usr/bin/alt-two", 0o755, "2")],
        scripts: &[(
            "postinst",
            "update-alternatives --quiet --install /usr/bin/alt alt /usr/bin/alt-one 10
             update-alternatives --quiet --install /usr/bin/alt alt /usr/bin/alt-two 20",
        )],
        ..NOTHING
    },
    Package {
        name: "divert",
        files: &[("etc/important.conf", 0o644, "of divert\n")],
        scripts: &[("preinst", "dpkg-divert --quiet --package divert --rename --divert /etc/important.conf.real --add /etc/important.conf")],
        ..NOTHING
    },
    Package {
        name: "override",
        files: &[("usr/share/override/a", 0o644, "a")],
        scripts: &[("postinst", "dpkg-statoverride --update --add root games 2770 /usr/share/override")],
        ..NOTHING
    },
    Package {
        name: "slow",
        files: &[("usr/share/slow/a", 0o644, "a")],
        scripts: &[("postinst", "test ! -e /var/lib/slow-half || exit 0; rm -rf /etc/important; echo half > /var/lib/slow-half; touch \"${MARK:-/tmp/slow-began}\"; sleep 60")],
        ..NOTHING
    },
    Package {
        name: "keeper",
        files: &[("usr/share/keeper/a", 0o644, "a")],
        scripts: &[
            ("postinst", "mkdir -p /srv/keeper/deep; test -e /srv/keeper/data || echo shipped > /srv/keeper/data"),
            ("postrm", "test \"$1\" = purge || exit 0; rm -rf /srv/keeper/*; rm -rf /var/log/keeper /root/.keeper"),
        ],
        ..NOTHING
    },
    Package {
        name: "keeper",
        version: "2",
        files: &[("usr/share/keeper/a", 0o644, "b"), ("srv/keeper/README", 0o644, "two")],
        ..NOTHING
    },
    Package {
        name: "sweeper",
        scripts: &[("postinst", "mkdir -p /srv/sweeper; echo data > /srv/sweeper/data"), ("postrm", "test \"$1\" = purge || exit 0; rm -rf /srv/sweeper")],
        ..NOTHING
    },
    Package {
        name: "podman",
        files: &[("usr/share/podman/a", 0o644, "stands for podman")],
        scripts: &[("postinst", "mkdir -p /var/lib/containers/u /var/lib/containers/w /opt/m; mount -t overlay x -o lowerdir=/usr/share,upperdir=/var/lib/containers/u,workdir=/var/lib/containers/w /opt/m; echo in > /opt/m/made; umount /opt/m")],
        ..NOTHING
    },
    Package { name: "foreign", files: &[("opt/foreign/a", 0o644, "a")], ..NOTHING },
    daemon!("daemon-a"),
    daemon!("daemon-b"),
    Package {
        name: "with-adduser",
        control: "Depends: adduser\n",
        scripts: &[("postinst", "adduser --system --quiet --group --home /var/lib/with-adduser with-adduser; chown with-adduser: /var/lib/with-adduser")],
        ..NOTHING
    },
    Package {
        name: "with-sysusers",
        files: &[("usr/lib/sysusers.d/with-sysusers.conf", 0o644, "u with-sysusers - \"A daemon\" /var/lib/with-sysusers\n")],
        scripts: &[("postinst", "systemd-sysusers with-sysusers.conf; install -d -o with-sysusers /var/lib/with-sysusers")],
        ..NOTHING
    },
];

const SECURITY: &[Package] = &[Package {
    name: "plain-lib",
    version: "1+sec1",
    files: &[("usr/share/plain-lib/x", 0o644, "safe")],
    ..NOTHING
}];

/// For the table of drivers: installed at version 1, and version 2 is what each outcome needs. An
/// archive of its own with an origin, because unattended-upgrades goes by that.
const UPGRADES: &[Package] = &[
    Package { name: "current", files: &[("usr/share/current/a", 0o644, "one")], ..NOTHING },
    Package { name: "step-a", files: &[("usr/share/step-a/a", 0o644, "one")], ..NOTHING },
    Package { name: "step-a", version: "2", files: &[("usr/share/step-a/a", 0o644, "two")], ..NOTHING },
    Package { name: "step-b", files: &[("usr/share/step-b/a", 0o644, "one")], ..NOTHING },
    Package { name: "step-b", version: "2", files: &[("usr/share/step-b/a", 0o644, "two")], ..NOTHING },
    Package { name: "step-c", files: &[("etc/step-c.conf", 0o644, "one\n")], ..NOTHING },
    Package {
        name: "step-c",
        version: "2",
        files: &[("etc/step-c.conf", 0o644, "two\n")],
        scripts: &[("postinst", "echo made > /var/lib/step-c-made")],
        ..NOTHING
    },
    Package { name: "grows", ..NOTHING },
    Package {
        name: "grows",
        version: "2",
        files: &[("usr/share/grows/first", 0o644, "f"), ("usr/share/step-a/a", 0o644, "mine")],
        ..NOTHING
    },
    Package { name: "destroys", ..NOTHING },
    Package { name: "destroys", version: "2", scripts: &[("preinst", "rm -rf /etc/important; exit 1")], ..NOTHING },
    Package { name: "breaks", ..NOTHING },
    Package {
        name: "breaks",
        version: "2",
        files: &[("usr/share/breaks/a", 0o644, "two")],
        scripts: &[("postinst", "rm -rf /etc/important; exit 1")],
        ..NOTHING
    },
    Package { name: "lingers", ..NOTHING },
    Package {
        name: "lingers",
        version: "2",
        files: &[("usr/share/lingers/a", 0o644, "two")],
        // /home is outside of what an undo takes back; the mark names the profile, so runs do not meet.
        scripts: &[(
            "postinst",
            "rm -rf /etc/important; touch /home/began-$(cat /etc/lab)
             n=0; while test ! -e /home/go-on-$(cat /etc/lab) && test $n -lt 600; do sleep 0.1; n=$((n + 1)); done
             echo half > /var/lib/lingers-half",
        )],
        ..NOTHING
    },
    Package { name: "big", ..NOTHING },
    Package {
        name: "big",
        version: "2",
        files: &[("usr/share/big/first", 0o644, "small"), ("usr/share/big/zeros", 0o644, ZEROS)],
        scripts: &[("postinst", "dd if=/dev/zero of=/usr/share/big/again bs=1M count=64; rm /usr/share/big/again")],
        ..NOTHING
    },
];

/// Stands for 64 MiB of zeros, which the archive compresses and the disk does not.
const ZEROS: &str = "64 MiB of zeros";

/// In no list: a file somebody downloaded.
const NOWHERE: &[Package] = &[Package { name: "nowhere", ..NOTHING }];

const LISTS: &str =
    "deb [trusted=yes] file:/home/apt/flat ./\ndeb [trusted=yes] file:/home/apt/secure x-security main\n";

/// Everything below /home/apt, as a tar.
pub fn archive() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let top = dir.path().join("apt");
    let architecture = architecture();
    let flat = top.join("flat");
    write(&flat.join("Packages"), packages(&flat, "./", FLAT).as_bytes());
    packages(&top, "", NOWHERE);
    let secure = top.join("secure");
    let index = format!("dists/x-security/main/binary-{}/Packages", architecture);
    let list = packages(&secure, "pool/", SECURITY);
    write(&secure.join(&index), list.as_bytes());
    let inside = index.strip_prefix("dists/x-security/").unwrap();
    let release = format!(
        "Suite: x-security\nCodename: x-security\nDate: Sat, 21 Nov 2026 00:00:00 UTC\nArchitectures: {}\nComponents: main\nSHA256:\n {} {} {inside}\n",
        architecture,
        hex(&Sha256::digest(&list)),
        list.len()
    );
    write(&secure.join("dists/x-security/Release"), release.as_bytes());
    write(&top.join("test.list"), LISTS.as_bytes());
    tar(dir.path())
}

/// /home/apt/upgrades and its list, as a tar.
pub fn upgrades() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let top = dir.path().join("apt/upgrades");
    let list = packages(&top, "./", UPGRADES);
    write(&top.join("Packages"), list.as_bytes());
    let release = format!(
        "Origin: flipper-tests\nLabel: flipper-tests\nSuite: x-upgrades\nCodename: x-upgrades\nDate: Sat, 21 Nov 2026 00:00:00 UTC\nArchitectures: {} all\nSHA256:\n {} {} Packages\n",
        architecture(),
        hex(&Sha256::digest(&list)),
        list.len()
    );
    write(&top.join("Release"), release.as_bytes());
    write(&dir.path().join("apt/test.list"), b"deb [trusted=yes] file:/home/apt/upgrades ./\n");
    tar(dir.path())
}

fn architecture() -> String {
    command(&["dpkg", "--print-architecture"], &[], b"").ok().out.trim().to_owned()
}

fn tar(dir: &Path) -> Vec<u8> {
    let tar = Command::new("tar").arg("-C").arg(dir).args(["-c", "apt"]).output().expect("tar");
    assert!(tar.status.success());
    tar.stdout
}

/// Builds the packages below `place` of an archive; the text of its Packages file.
fn packages(archive: &Path, place: &str, packages: &[Package]) -> String {
    let mut list = String::new();
    for package in packages {
        let name = format!("{place}{}_{}_all.deb", package.name, package.version);
        let path = archive.join(&name);
        let control = build(package, &path);
        let deb = fs::read(&path).expect("read");
        let sum = hex(&Sha256::digest(&deb));
        list.push_str(&format!("{control}Filename: {name}\nSize: {}\nSHA256: {sum}\n\n", deb.len()));
    }
    list
}

fn build(package: &Package, deb: &Path) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let tree = dir.path().join("tree");
    let control = format!(
        "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: tests <tests@example.org>\n{}Description: a test\n",
        package.name, package.version, package.control
    );
    write(&tree.join("DEBIAN/control"), control.as_bytes());
    for (name, does) in package.scripts {
        let path = tree.join("DEBIAN").join(name);
        let only = if *name == "postinst" { "test \"$1\" = configure || exit 0\n" } else { "" };
        write(&path, format!("#!/bin/sh\nset -e\n{only}{does}\n").as_bytes());
        mode(&path, 0o755);
    }
    let mut conffiles = String::new();
    for (path, bits, content) in package.files {
        write(&tree.join(path), content.as_bytes());
        if *content == ZEROS {
            fs::write(tree.join(path), vec![0; 64 << 20]).expect("write");
        }
        mode(&tree.join(path), *bits);
        if path.starts_with("etc/") {
            conffiles.push_str(&format!("/{path}\n"));
        }
    }
    if !conffiles.is_empty() {
        write(&tree.join("DEBIAN/conffiles"), conffiles.as_bytes());
    }
    for (path, target) in package.links {
        std::os::unix::fs::symlink(target, tree.join(path)).expect("link");
    }
    fs::create_dir_all(deb.parent().unwrap()).expect("make");
    let (from, to) = (tree.to_str().unwrap(), deb.to_str().unwrap());
    let compression = if package.files.iter().any(|f| f.2 == ZEROS) { "-Zgzip" } else { "-Znone" };
    command(&["dpkg-deb", "--root-owner-group", compression, "--build", from, to], &[], b"").ok();
    control
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).expect("make");
    fs::write(path, bytes).expect("write");
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("chmod");
}
