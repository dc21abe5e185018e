//! What apt brings in the sandbox, from an archive in the profile: upgrades that change files of the person's, and
//! the words dpkg has for what is obsolete, next to dpkg's own upgrade of the same packages.

use std::fs;

use crate::case::Tree;
use crate::deb::Deb;
use crate::merged;
use crate::rig::Rig;

const CONFFILES: [&str; 4] = ["edited", "same", "deleted", "stays"];

/// Version 2 has one conffile only.
fn tool(version: &str) -> Deb {
    let names = if version == "1" { &CONFFILES[..] } else { &["stays"] };
    names.iter().fold(Deb::new("tool", version).file("usr/share/tool/x", version), |deb, name| {
        let path = format!("etc/tool/{name}");
        deb.file(&path, version).control("conffiles", &format!("/{path}\n"))
    })
}

/// Without any conffile in version 2.
fn bare(version: &str) -> Deb {
    let deb = Deb::new("bare", version).file("usr/share/bare/x", version);
    if version == "1" { deb.conffile("etc/bare.conf", "1") } else { deb }
}

fn edit_conffiles(tree: &Tree) {
    for path in ["etc/tool/edited", "etc/tool/stays", "etc/bare.conf"] {
        tree.write(path, "mine");
    }
    tree.remove("etc/tool/deleted");
}

fn mine(version: &str) -> Deb {
    let deb = Deb::new("mine", version).conffile("etc/mine.conf", version);
    ["edited", "same", "a b", "gone"]
        .iter()
        .filter(|name| version == "1" || **name != "gone")
        .fold(deb, |deb, name| deb.file(&format!("usr/share/mine/{name}"), version))
}

fn ahead(version: &str) -> Deb {
    Deb::new("ahead", version).file("usr/share/ahead/x", version)
}

/// An archive in the profile, and no other.
fn archive(tree: &Tree, debs: &[Deb]) {
    fs::create_dir_all(tree.path("srv/archive")).unwrap();
    for deb in debs {
        fs::copy(
            deb.build(tree.scratch),
            tree.path(&format!("srv/archive/{}_{}.deb", deb.name, deb.version)),
        )
        .unwrap();
    }
    tree.sh("cd srv/archive
         for deb in *.deb; do
             dpkg-deb -f $deb
             echo \"Filename: ./$deb\"
             echo \"Size: $(stat -c %s $deb)\"
             echo \"SHA256: $(sha256sum $deb | cut -c 1-64)\"
             echo
         done > Packages");
    tree.sh("rm -f etc/apt/sources.list etc/apt/sources.list.d/*");
    tree.write("etc/apt/sources.list", "deb [trusted=yes] file:/srv/archive ./\n");
}

/// Base 1, and base 2 of another release: apt brings the profile's packages to it.
fn pool() -> Rig {
    let base = |version: &str, tree: &Tree| {
        tree.install(&[tool(version), bare(version), ahead(version)]);
        tree.sh(&format!(
            "sed -i 's/^VERSION_CODENAME=.*/VERSION_CODENAME=release{version}/' usr/lib/os-release"
        ));
    };
    merged::pool(base, |tree| {
        tree.install(&[mine("1"), ahead("3"), Deb::new("goes", "1").file("usr/share/goes/x", "1")]);
        edit_conffiles(tree);
        for path in ["usr/share/mine/edited", "usr/share/mine/a b", "usr/share/mine/gone", "etc/mine.conf"] {
            tree.write(path, "edited");
        }
        tree.write("usr/share/goes/x", "edited");
        let conflicts = mine("2").field("Conflicts: goes");
        archive(tree, &[conflicts, ahead("2")]);
        // apt may take it away: nobody asked for it.
        tree.sh("chroot . apt-mark auto goes > /dev/null");
    })
}

#[test]
fn what_apt_writes_over_is_saved_and_counted() {
    let rig = pool();
    let said = rig.profile(&["rebase", "lab", "--base", "2", "--yes"]).ok().out;
    let (number, entry) = rig.last_entry("lab");
    assert!(said.contains("proved; 4 files of yours saved in"), "{said}");
    assert!(entry["outcome"].as_str().unwrap().contains("4 files of yours saved in"), "{entry:#}");
    let versions =
        "dpkg-query -W -f '${Package} ${Version}\\n' mine ahead tool bare goes 2> /dev/null | grep -v ' $'";
    assert_eq!(rig.sh("lab", versions), "ahead 3\nbare 2\nmine 2\ntool 2");
    assert_eq!(rig.sh("lab", "cat /usr/share/mine/* /usr/share/ahead/x"), "2223");
    // A conffile is dpkg's business: it stays, and the other lies beside.
    assert_eq!(rig.sh("lab", "cat /etc/mine.conf /etc/mine.conf.dpkg-dist"), "edited2");
    let saved = rig.in_pool(format!("@journal/entries/lab/{number}/saved"));
    for path in ["usr/share/mine/edited", "usr/share/mine/a b", "usr/share/mine/gone", "usr/share/goes/x"] {
        assert_eq!(fs::read_to_string(saved.join(path)).unwrap(), "edited", "{path}");
    }
    assert!(!saved.join("usr/share/mine/same").exists() && !saved.join("etc/mine.conf").exists());
    the_records_are_dpkgs(&rig);
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(rig.sh("lab", "cat /usr/share/mine/gone /usr/share/goes/x"), "editededited");
    rig.verify();
}

/// The same two packages, upgraded by dpkg itself in a plain root.
fn the_records_are_dpkgs(rig: &Rig) {
    let scratch = rig.dir.path();
    let plain = scratch.join("plain");
    for inside in ["info", "updates"] {
        fs::create_dir_all(plain.join("var/lib/dpkg").join(inside)).unwrap();
    }
    fs::write(plain.join("var/lib/dpkg/status"), "").unwrap();
    let tree = Tree { dir: &plain, scratch };
    tree.install(&[tool("1"), bare("1")]);
    edit_conffiles(&tree);
    tree.install(&[tool("2"), bare("2")]);
    for package in ["tool", "bare"] {
        let query = ["-W", "-f", "${Conffiles}\\n", package];
        let mut dpkg: Vec<String> =
            tree.tool("dpkg-query", &[], &query).lines().map(|line| line.trim().to_owned()).collect();
        let ours = rig.sh("lab", &format!("dpkg-query -W -f '${{Conffiles}}\\n' {package}"));
        let mut ours: Vec<String> = ours.lines().map(|line| line.trim().to_owned()).collect();
        // What nobody changed goes with a rebase, on purpose: a profile made on that base would not have it.
        dpkg.retain(|line| !line.starts_with("/etc/tool/same "));
        dpkg.sort();
        ours.sort();
        assert_eq!(ours, dpkg, "{package}");
    }
    // A purge knows of it.
    assert_eq!(rig.sh("lab", "dpkg -S /etc/bare.conf"), "bare: /etc/bare.conf");
    rig.sh("lab", "dpkg --purge bare > /dev/null 2>&1; ! test -e /etc/bare.conf");
}
