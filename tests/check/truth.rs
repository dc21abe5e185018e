//! What files show and no database says: classes P12, P14, P20, P21.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::case::{Case, Tree};
use crate::deb::Deb;
use crate::rig::need;

fn nothing(_: &Tree) {}

const P1: &str = "P1 automatic /var/lib/dpkg/status";

/// Where shared objects are made, by the compiler that is here for Rust.
struct Objects(TempDir);

impl Objects {
    fn new() -> Objects {
        Objects(TempDir::new().unwrap())
    }

    /// One that is called so and needs these; `options` are the linker's.
    fn make(&self, soname: &str, needs: &[&str], options: &[&str]) -> PathBuf {
        let path = self.0.path().join(soname);
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-nostdlib", "-x", "c", "/dev/null", "-x", "none", "-Wl,--no-as-needed"]);
        cc.arg(format!("-Wl,-soname,{soname}")).args(options);
        cc.args(needs.iter().map(|name| self.0.path().join(name)));
        need("cc", cc.arg("-o").arg(&path));
        path
    }
}

const LIB: &str = "usr/lib/x86_64-linux-gnu/libx.so.1";

fn put(from: &Path, to: &str) -> impl Fn(&Tree) + use<> {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |tree: &Tree| {
        let to = tree.path(&to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&from, to).unwrap();
    }
}

fn install(debs: &[Deb]) -> impl Fn(&Tree) + use<> {
    let debs = debs.to_vec();
    move |tree| tree.install(&debs)
}

/// As Debian has libraries: the file with the version, and a link with the soname.
fn lib(path: &Path) -> Deb {
    Deb::new("libx1", "1").copy(&format!("{LIB}.0.5"), path).link(LIB, "libx.so.1.0.5")
}

#[test]
fn p12_found_a_library_that_goes_with_its_package() {
    let made = Objects::new();
    let x = made.make("libx.so.1", &[], &[]);
    let user = made.make("user", &["libx.so.1"], &[]);
    let case = Case::of(install(&[lib(&x)]), nothing, |profile| {
        put(&user, "usr/local/bin/user")(profile);
        put(&user, "opt/app/plugin.so")(profile);
        profile.chmod("opt/app/plugin.so", 0o644);
    });
    case.is(&["P12 blocker libx.so.1", "P2 harmless libx1"]);
    let evidence = case.evidence("P12");
    assert_eq!(evidence["files that need it"], "2");
    assert_eq!(evidence["among them"], "/opt/app/plugin.so, /usr/local/bin/user");
    assert_eq!(evidence["it is in the base as"], format!("/{LIB}.0.5"));
}

#[test]
fn p12_found_a_library_of_a_package_that_must_change_too() {
    let made = Objects::new();
    let x = made.make("libx.so.1", &[], &[]);
    let user = made.make("user", &["libx.so.1"], &[]);
    let mine = |field: &str| Deb::new("mine", "1").field(field).copy("usr/bin/user", &user);
    let case = Case::of(install(&[lib(&x)]), nothing, install(&[mine("Depends: libx1")]));
    case.is(&["P12 automatic libx.so.1", "P11 blocker mine", "P2 automatic libx1", P1]);
    // The same, and the package says nothing of it.
    let case = Case::of(install(&[lib(&x)]), nothing, install(&[mine("Section: misc")]));
    case.is(&["P12 blocker libx.so.1", "P2 automatic libx1", P1]);
}

#[test]
fn p12_found_another_name_of_the_library_and_a_directory_of_the_files_own() {
    let made = Objects::new();
    let x = made.make("libx.so.1", &[], &[]);
    let y = made.make("libx.so.2", &[], &[]);
    let user = made.make("user", &["libx.so.1"], &["-Wl,-rpath,$ORIGIN/../lib/private"]);
    let old = |tree: &Tree| put(&x, "usr/lib/priv/libx.so.1")(tree);
    let link = |profile: &Tree| {
        profile.write("usr/local/lib/keep", "");
        std::os::unix::fs::symlink("/usr/lib/priv", profile.path("usr/local/lib/private")).unwrap();
        put(&user, "usr/local/bin/user")(profile);
    };
    Case::of(old, put(&y, "usr/lib/priv/libx.so.2"), link).is(&["P12 blocker libx.so.1"]);
    // It is there, but not for this machine.
    let foreign = made.0.path().join("foreign");
    let mut bytes = std::fs::read(&x).unwrap();
    bytes[18..20].copy_from_slice(&183_u16.to_le_bytes());
    std::fs::write(&foreign, bytes).unwrap();
    let case = Case::of(put(&x, "usr/lib/libx.so.1"), nothing, |profile| {
        put(&user, "usr/local/bin/user")(profile);
        put(&foreign, "usr/local/lib/private/libx.so.1")(profile);
    });
    case.is(&["P12 blocker libx.so.1"]);
}

#[test]
fn p12_near_miss_the_library_is_somewhere() {
    let made = Objects::new();
    let x = made.make("libx.so.1", &[], &[]);
    let user = made.make("user", &["libx.so.1"], &[]);
    let rpath = made.make("rpath", &["libx.so.1"], &["-Wl,-rpath,/opt/app/lib"]);
    // In a directory of ld.so.conf, in one of the file's own, and in a package with another name.
    let conf = |tree: &Tree| {
        tree.write("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n");
        tree.write("etc/ld.so.conf.d/x.conf", "# x\n/usr/lib/special\n");
    };
    let old = |tree: &Tree| {
        conf(tree);
        install(&[lib(&x)])(tree);
    };
    let new = |tree: &Tree| {
        conf(tree);
        put(&x, "usr/lib/special/libx.so.1")(tree);
    };
    Case::of(old, new, put(&user, "usr/local/bin/user")).is(&["P2 harmless libx1"]);
    let case = Case::of(install(&[lib(&x)]), nothing, |profile| {
        put(&x, "opt/app/lib/libx.so.1")(profile);
        put(&rpath, "opt/app/bin/rpath")(profile);
    });
    case.is(&["P2 harmless libx1"]);
    let t64 = Deb::new("libx1t64", "1").copy(LIB, &x).field("Provides: libx1");
    let case = Case::of(install(&[lib(&x)]), install(&[t64]), put(&user, "usr/local/bin/user"));
    case.is(&["P2 harmless libx1"]);
}

#[test]
fn p12_near_miss_missing_before_or_no_file_that_stays() {
    let made = Objects::new();
    let x = made.make("libx.so.1", &[], &[]);
    let user = made.make("user", &["libx.so.1"], &[]);
    Case::on(nothing, put(&user, "usr/local/bin/user")).is(&[]);
    // A copy of the base's program is dropped, and so is what a newer package of the candidate replaces.
    let base = |tree: &Tree| {
        install(&[lib(&x), Deb::new("tool", "1").copy("usr/bin/tool", &user)])(tree);
    };
    let new = install(&[Deb::new("tool", "2").file("usr/bin/tool", "#!/bin/sh\n")]);
    Case::of(base, new, |profile| profile.copy_up("usr/bin/tool"))
        .is(&["F1 automatic /usr/bin/tool", "P2 harmless libx1"]);
}
