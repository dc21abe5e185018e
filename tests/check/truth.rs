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
        tree.write(
            "etc/ld.so.conf.d/x.conf",
            "# x\ninclude /etc/ld.so.conf.d/*.conf\n/usr/lib/special # here\n",
        );
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

// ---- another Python ------------------------------------------------------------------------------

/// A base with this Python as its own.
fn python(version: &str) -> impl Fn(&Tree) + use<> {
    let version = version.to_owned();
    move |tree: &Tree| {
        tree.write(&format!("usr/bin/python{version}"), "python");
        tree.write(&format!("usr/lib/python{version}/os.py"), "import");
        std::os::unix::fs::symlink(format!("python{version}"), tree.path("usr/bin/python3")).unwrap();
    }
}

const MODULE: &str = "usr/local/lib/python3.11/dist-packages/mine/__init__.py";

#[test]
fn p14_found_modules_and_environments_of_another_python() {
    let case = Case::of(python("3.11"), python("3.13"), |profile| {
        profile.write(MODULE, "import os\n");
        profile.write("opt/app/venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\n");
        profile.write("opt/app/venv/lib/python3.11/site-packages/x.py", "x");
        profile.write("opt/app/venv/lib/python3.11/site-packages/y.py", "y");
        profile.write("usr/lib/python3/dist-packages/pip/fast.cpython-311-x86_64-linux-gnu.so", "x");
    });
    case.is(&[
        "P14 decision /usr/local/lib/python3.11",
        "P14 decision /opt/app/venv",
        "P14 decision /usr/lib/python3/dist-packages/pip",
    ]);
}

#[test]
fn p14_found_a_package_that_does_not_say_which_python() {
    let module = "usr/lib/python3/dist-packages/fast.cpython-311-x86_64-linux-gnu.so";
    let mine = |field: &str| install(&[Deb::new("fast", "1").field(field).file(module, "fast")]);
    let case = Case::of(python("3.11"), python("3.13"), mine("Section: python"));
    case.is(&["P14 blocker fast"]);
    assert_eq!(case.evidence("P14")["candidate has"], "Python 3.13");
    // One that says so is found by its relation, and by that alone.
    let base = |version: &'static str| {
        move |tree: &Tree| {
            python(version)(tree);
            tree.install(&[Deb::new("python3", version)]);
        }
    };
    let case = Case::of(base("3.11"), base("3.13"), mine("Depends: python3 (<< 3.12)"));
    case.is(&["P11 blocker fast", P1]);
}

#[test]
fn p14_near_miss_the_same_python_or_one_of_its_own() {
    let own = |profile: &Tree| {
        // Brings its own Python, as an application may.
        profile.write("opt/app/bin/python3.11", "python");
        profile.write("opt/app/lib/python3.11/os.py", "import");
        profile.write("usr/lib/python3/dist-packages/pip/any.abi3.so", "x");
        profile.write("usr/lib/python3/dist-packages/pip/any.py", "x");
        profile.write("usr/local/lib/python3.13/dist-packages/new.py", "x");
    };
    Case::of(python("3.11"), python("3.13"), own).is(&[]);
    Case::of(python("3.11"), python("3.11"), |profile| profile.write(MODULE, "x")).is(&[]);
}

// ---- package sources -----------------------------------------------------------------------------

const ARCHIVE: &str = "http://deb.example.org/debian";

/// A base of this release, with its sources in one line each.
fn release(name: &str) -> impl Fn(&Tree) + use<> {
    let name = name.to_owned();
    move |tree: &Tree| {
        tree.write("usr/lib/os-release", &format!("ID=debian\nVERSION_CODENAME={name}\n"));
        tree.write("etc/apt/sources.list", &format!("deb {ARCHIVE} {name} main\n"));
    }
}

/// Adds a line to the profile's own copy of the base's sources.
fn add(line: &str) -> impl Fn(&Tree) + use<> {
    let line = line.to_owned();
    move |tree: &Tree| {
        let text = tree.read("etc/apt/sources.list");
        tree.write("etc/apt/sources.list", &format!("{text}{line}\n"));
    }
}

const AUTOMATIC: &str = "P20 automatic /etc/apt/sources.list";

#[test]
fn p20_found_sources_of_the_old_release() {
    let case = Case::of(release("old"), release("new"), add("# of mine"));
    case.is(&[AUTOMATIC]);
    assert_eq!(case.evidence("P20")["names the old release"], format!("{ARCHIVE} old"));
    let case = Case::of(release("old"), release("new"), add("deb http://x.example.org old-backports main"));
    case.is(&[AUTOMATIC, "P20 decision /etc/apt/sources.list"]);
    let case = Case::of(release("old"), release("new"), |profile| {
        let text = "Types: deb\nURIs: http://x.example.org/\nSuites: stable old/updates\nComponents: main\n";
        profile.write("etc/apt/sources.list.d/x.sources", text);
        profile
            .write("etc/apt/preferences.d/x", "Package: *\nPin: release n=old-backports\nPin-Priority: 5\n");
        profile.write("etc/apt/sources.list.d/broken.list", "deb\n");
    });
    case.is(&[
        "P20 decision /etc/apt/sources.list.d/x.sources",
        "P20 decision /etc/apt/preferences.d/x",
        "P20 decision /etc/apt/sources.list.d/broken.list",
    ]);
}

#[test]
fn p20_found_a_keyring_that_goes() {
    let old = |tree: &Tree| tree.write("usr/share/keyrings/x.gpg", "key");
    let source = |tree: &Tree| {
        let line = "deb [signed-by=/usr/share/keyrings/x.gpg] http://x.example.org/ stable main\n";
        tree.write("etc/apt/sources.list.d/x.list", line);
    };
    let case = Case::of(old, nothing, source);
    case.is(&["P20 decision /usr/share/keyrings/x.gpg"]);
    Case::of(old, old, source).is(&[]);
}

#[test]
fn p20_near_miss_the_same_release_or_no_release_or_switched_off() {
    Case::of(release("old"), release("old"), add("deb http://x.example.org old main")).is(&[]);
    let case = Case::of(release("old"), release("new"), |profile| {
        profile.write("etc/apt/sources.list.d/a.list", "deb http://a.example.org stable main\n");
        profile.write("etc/apt/sources.list.d/b.list", "# deb http://a.example.org old main\n");
        profile.write("etc/apt/sources.list.d/c.list", "deb http://a.example.org older main\n");
        profile.write("etc/apt/sources.list.d/d.list.save", "deb http://a.example.org old main\n");
        profile.write("etc/apt/sources.list.d/e.list", "deb http://a.example.org new main\n");
        profile.write("etc/apt/preferences.d/x", "Package: *\nPin: release n=new\nPin-Priority: 5\n");
        profile.copy_up("etc/apt/sources.list");
    });
    case.is(&["F1 automatic /etc/apt/sources.list"]);
}

// ---- kernel modules ------------------------------------------------------------------------------

/// A base with a kernel of this release and one module more for each of these.
fn kernel(release: &str, modules: &[&str]) -> impl Fn(&Tree) + use<> {
    let dir = format!("usr/lib/modules/{release}");
    let modules: Vec<String> = modules.iter().map(|name| format!("kernel/{name}.ko")).collect();
    move |tree: &Tree| {
        modules.iter().for_each(|module| tree.write(&format!("{dir}/{module}"), module));
        tree.write(&format!("{dir}/modules.dep"), &modules.join(":\n"));
    }
}

fn built(tree: &Tree) {
    tree.write("usr/lib/modules/6.1/updates/dkms/wifi.ko", "wifi");
    tree.write("usr/lib/modules/6.1/modules.dep", "wifi");
}

#[test]
fn p21_found_modules_of_a_kernel_that_goes() {
    let case = Case::of(kernel("6.1", &["a"]), kernel("6.12", &["a"]), built);
    case.is(&["P21 decision /usr/lib/modules/6.1"]);
    assert_eq!(case.evidence("P21")["kernels of the candidate"], "6.12");
    let lists = |tree: &Tree| tree.write("usr/lib/modules/6.1/modules.dep", "mine");
    let case = Case::of(kernel("6.1", &["a"]), kernel("6.12", &["a"]), lists);
    case.is(&["P21 automatic /usr/lib/modules/6.1"]);
}

#[test]
fn p21_found_lists_that_hide_new_modules() {
    let case = Case::of(kernel("6.1", &["a"]), kernel("6.1", &["a", "b"]), built);
    case.is(&["P21 automatic /usr/lib/modules/6.1"]);
}

#[test]
fn p21_near_miss_the_same_kernel_or_one_of_a_package() {
    Case::on(kernel("6.1", &["a"]), built).is(&[]);
    let own = Deb::new("linux-image-6.5", "1").file("usr/lib/modules/6.5/kernel/x.ko", "x");
    let case = Case::of(kernel("6.1", &["a"]), kernel("6.12", &["a"]), |profile| {
        profile.install(std::slice::from_ref(&own));
        profile.write("usr/lib/modules/6.5/modules.dep", "x");
    });
    case.is(&[]);
}

// ---- other languages, and other content -----------------------------------------------------------

fn package(name: &str, version: &str) -> impl Fn(&Tree) + use<> {
    install(&[Deb::new(name, version)])
}

#[test]
fn p15_found_modules_of_another_perl_and_ruby() {
    let base = |perl: &'static str, ruby: &'static str| {
        move |tree: &Tree| {
            package("perl-base", perl)(tree);
            package("ruby", ruby)(tree);
        }
    };
    let case = Case::of(base("5.36.0-7+deb12u2", "1:3.1"), base("5.40.1-6", "1:3.3"), |profile| {
        profile.write("usr/local/share/perl/5.36.0/Mine.pm", "1;");
        profile.write("usr/local/lib/x86_64-linux-gnu/perl/5.36.0/auto/Mine/Mine.so", "x");
        profile.write("var/lib/gems/3.1.0/gems/mine-1/mine.rb", "x");
    });
    case.is(&[
        "P15 decision /usr/local/share/perl/5.36.0",
        "P15 decision /usr/local/lib/x86_64-linux-gnu/perl/5.36.0",
        "P15 decision /var/lib/gems/3.1.0",
    ]);
}

#[test]
fn p15_found_a_database_whose_server_must_change() {
    let server = Deb::new("postgresql-15", "15.1").field("Depends: lib (= 1)");
    let case = Case::of(package("lib", "1"), package("lib", "2"), |profile| {
        profile.install(std::slice::from_ref(&server));
        profile.write("etc/postgresql/15/main/postgresql.conf", "port = 5432\n");
    });
    case.is(&["P15 decision postgresql-15", "P11 blocker postgresql-15", P1]);
}

#[test]
fn p15_near_miss_the_same_language_and_a_server_that_stays() {
    let mine = |profile: &Tree| profile.write("usr/local/share/perl/5.36.0/Mine.pm", "1;");
    Case::of(package("perl-base", "5.36.0-7"), package("perl-base", "5.36.0-8"), mine).is(&[]);
    Case::of(package("perl-base", "5.36.0-7"), package("perl-base", "5.40.1-6"), |profile| {
        profile.write("usr/local/share/perl/5.40.1/Mine.pm", "1;");
        profile.write("usr/local/share/doc/5.36.0/x", "x");
    })
    .is(&[]);
    let case = Case::of(package("lib", "1"), package("lib", "2"), |profile| {
        profile.install(&[Deb::new("postgresql-15", "15.1").field("Depends: lib")]);
        profile.write("etc/postgresql/15/main/postgresql.conf", "port = 5432\n");
    });
    case.is(&[P1]);
}

/// A build of a package, with the sums that dh_md5sums would have made.
fn build(version: &str, content: &str) -> Deb {
    let sum = content.len(); // any text that differs will do
    Deb::new("tool", version)
        .file("usr/bin/tool", content)
        .control("md5sums", &format!("{sum:032x}  usr/bin/tool\n"))
}

#[test]
fn p9_found_the_same_version_built_again() {
    let mine = install(&[build("1", "mine!")]);
    Case::of(install(&[build("1", "one")]), install(&[build("2", "second")]), &mine).is(&[
        "P9 decision tool",
        "G5 automatic tool",
        P1,
    ]);
    Case::of(install(&[build("1", "one")]), install(&[build("1", "one")]), &mine).is(&["P9 harmless tool"]);
    Case::of(install(&[build("1", "one")]), install(&[build("1", "mine!")]), &mine)
        .is(&["P9 automatic tool"]);
}

#[test]
fn p9_near_miss_installed_again_or_another_version() {
    let one = install(&[build("1", "one")]);
    Case::of(&one, install(&[build("2", "second")]), &one).is(&[
        "F1 automatic /usr/bin/tool",
        "G5 automatic tool",
        P1,
    ]);
    Case::of(&one, &one, install(&[build("1+mine", "mine!")])).is(&["P4 decision tool"]);
}
