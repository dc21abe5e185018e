//! What the doctor says (a check without a candidate), and what `flipper-profile repair` does about it where
//! packages are concerned. All else of a repair: tests/pool/repair.rs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::case::{Case, Tree};
use crate::deb::Deb;
use crate::rig::{Ended, need};

fn tool(version: &str) -> impl Fn(&Tree) + use<> {
    let deb = Deb::new("tool", version)
        .file("usr/bin/tool", "tool")
        .file("usr/share/doc/tool/a", "a")
        .file("usr/share/doc/tool/b", "b")
        .conffile("etc/tool.conf", "setting")
        .control("postrm", "#!/bin/sh\nexit 0\n");
    move |tree| tree.install(std::slice::from_ref(&deb))
}

fn repair(case: &Case, args: &[&str]) -> Ended {
    case.rig.profile(&[&["--yes", "repair", "lab"], args].concat())
}

fn dpkg_install(dir: &Path, deb: &Path) -> std::process::Output {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", dir.display())).args(["--force-bad-path", "--install"]).arg(deb);
    dpkg.env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap()
}

#[test]
fn the_doctor_says_nothing_of_what_only_a_rebase_carries() {
    let purge = |profile: &Tree| drop(profile.dpkg(&["--purge", "tool"]));
    Case::on(tool("1"), purge).doctor_is(&[]);
    let remove = |profile: &Tree| drop(profile.dpkg(&["--remove", "tool"]));
    Case::on(tool("1"), remove).doctor_is(&[]);
    let mark = |auto: &str| format!("Package: tool\nArchitecture: all\nAuto-Installed: {auto}\n");
    let base = |tree: &Tree| {
        tool("1")(tree);
        tree.write("var/lib/apt/extended_states", &mark("1"));
    };
    Case::on(base, |profile| profile.write("var/lib/apt/extended_states", &mark("0"))).doctor_is(&[]);
}

/// What nobody but dpkg's own programs can set right is not called set right by a repair.
#[test]
fn the_doctor_names_the_program_that_sets_it_right() {
    let waiting = "var/lib/dpkg/triggers/Unincorp";
    let case = Case::on(tool("1"), |profile| profile.write(waiting, "/usr/share/man tool\n"));
    case.doctor_is(&["P10 harmless /var/lib/dpkg/triggers/Unincorp"]);
    case.is(&["P10 automatic /var/lib/dpkg/triggers/Unincorp"]);

    let editors = |tree: &Tree| {
        tree.install(&[
            Deb::new("nano", "1").file("usr/bin/nano", "n"),
            Deb::new("ed", "1").file("usr/bin/ed", "e"),
        ]);
        for (name, priority) in [("nano", "40"), ("ed", "10")] {
            let path = format!("/usr/bin/{name}");
            let mut command = Command::new("update-alternatives");
            command.arg("--root").arg(tree.dir).args(["--quiet", "--install", "/usr/bin/editor", "editor"]);
            need("update-alternatives", command.args([&path, priority]));
        }
    };
    let case = Case::on(editors, |profile| {
        profile.sh("ln -sfn /usr/bin/ed etc/alternatives/editor"); // past update-alternatives
    });
    case.doctor_is(&["G3 harmless editor"]);
    let choices = case.json(&[])["findings"][0]["choices"].to_string();
    assert!(choices.contains("update-alternatives --auto editor"), "{choices}");
}

/// Of a file with two names one was changed: that they are two now is what somebody did.
#[test]
fn the_doctor_leaves_parted_names_parted_where_one_was_changed() {
    let two = |tree: &Tree| {
        tree.write("opt/two", "names");
        fs::hard_link(tree.path("opt/two"), tree.path("opt/names")).unwrap();
    };
    let case = Case::on(two, |profile| profile.chmod("opt/two", 0o600));
    case.doctor_is(&["F2 harmless /opt/two", "F13 harmless /opt/two"]);
    assert!(repair(&case, &[]).ok().out.contains("there is nothing to mend"));
    let case = Case::on(two, |profile| profile.copy_up("opt/two"));
    case.doctor_is(&["F1 automatic /opt/two", "F13 automatic /opt/two"]);
    repair(&case, &[]).ok();
    case.doctor_is(&[]);
}

/// Flags that chattr(1) set through the overlay are somebody's word, like a mode.
#[test]
fn f2_found_flags_of_chattr() {
    let case = Case::on(tool("1"), |profile| {
        profile.copy_up("usr/bin/tool");
        profile.sh("chattr +i usr/bin/tool");
    });
    case.doctor_is(&["F2 harmless /usr/bin/tool"]);
    case.is(&["F2 automatic /usr/bin/tool"]);
    assert_eq!(case.evidence("F2")["flags of chattr"], "set");
}

/// Everything the doctor calls automatic is gone after a repair; what a candidate would then do is the same,
/// without these.
#[test]
fn what_is_automatic_is_mended_and_dpkg_sees_no_difference() {
    let case = Case::of(tool("1"), tool("2"), |profile| {
        profile.copy_up("usr/bin/tool");
        profile.remove("usr/share/doc/tool/b");
        profile.write("etc/tool.conf", "mine");
        profile.install(&[Deb::new("own", "1").file("usr/share/own/dir/x", "x")]);
        // As it was, one file less.
        profile
            .sh("cp -a usr/share/doc/tool /tmp/t.$$; rm -r usr/share/doc/tool; mkdir usr/share/doc/tool; \
                    cp -a /tmp/t.$$/a usr/share/doc/tool; rm -r /tmp/t.$$");
        profile.copy_up("usr/share/doc/tool/a");
    });
    let verify = |case: &Case| {
        case.rig.mounted("lab", |dir| {
            let mut dpkg = Command::new("dpkg");
            String::from_utf8(
                dpkg.arg(format!("--root={}", dir.display())).arg("--verify").output().unwrap().stdout,
            )
            .unwrap()
        })
    };
    let before = verify(&case);
    assert!(before.contains("/usr/share/doc/tool/b"), "{before}");
    case.doctor_is(&[
        "F1 automatic /usr/bin/tool",
        "F1 automatic /usr/share/doc/tool/a",
        "F8 harmless /usr/share/doc/tool",
    ]);
    assert!(case.json(&["--base", "2"]).to_string().contains("F18"));
    repair(&case, &[]).ok();
    assert!(!case.json(&["--base", "2"]).to_string().contains("trusted.overlay.origin"), "notes went along");
    case.doctor_is(&["F5 harmless /usr/share/doc/tool/b"]);
    assert_eq!(verify(&case), before);
    case.rig.verify();
}

#[test]
fn a_deleted_or_changed_file_of_the_base_is_brought_back_by_name() {
    let case = Case::on(tool("1"), |profile| {
        profile.remove("usr/bin/tool");
        profile.sh("rm -r usr/share/doc/tool");
        profile.remove("etc/tool.conf");
        profile.install(&[Deb::new("other", "1").file("usr/bin/other", "other")]);
    });
    let deleted = ["F5 harmless /usr/bin/tool", "F5 harmless /usr/share/doc/tool"];
    case.doctor_is(&deleted);
    let choices = case.json(&[])["findings"][0]["choices"].to_string();
    assert!(choices.contains("flipper-profile repair lab --path /usr/bin/tool"), "{choices}");
    assert!(repair(&case, &[]).ok().out.contains("there is nothing to mend"), "nobody asked for it");
    repair(&case, &["--path", "/usr/share/doc/tool/a"])
        .refused("/usr/share/doc/tool is not there: name that");
    repair(&case, &["--path", "/etc/tool.conf"]).refused("dpkg --force-confmiss");
    let said = repair(&case, &["--path", "/bin/tool", "--path", "/usr/share/doc/tool"]).ok();
    assert!(said.out.contains("brings back /usr/bin/tool, as the base has it"), "{}", said.out);
    case.doctor_is(&[]);
    assert_eq!(
        case.rig.sh("lab", "cat /usr/bin/tool /usr/share/doc/tool/a; stat -c %a /usr/bin/tool"),
        "toola755"
    );
    // A changed one.
    case.edit(|profile| profile.write("usr/bin/tool", "mine"));
    case.doctor_is(&["F4 harmless /usr/bin/tool"]);
    let said = repair(&case, &["--path", "/usr/bin/tool"]).ok();
    assert!(said.out.contains("drops what was made of /usr/bin/tool"), "{}", said.out);
    assert_eq!(case.rig.sh("lab", "cat /usr/bin/tool"), "tool");
    case.rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(case.rig.sh("lab", "cat /usr/bin/tool"), "mine");
    case.rig.verify();
}

/// dpkg renames a directory aside that becomes a file, and overlayfs does not rename one of two layers.
#[test]
fn dpkg_replaces_a_directory_of_the_base_after_a_repair() {
    let old =
        Deb::new("exd", "1").file("usr/share/exd/filedir/a", "a").file("usr/share/exd/filedir/deep/b", "b");
    let case = Case::on(|tree| tree.install(std::slice::from_ref(&old)), |_| {});
    let new = Deb::new("exd", "2").file("usr/share/exd/filedir", "now a file").build(case.rig.dir.path());
    let failed = case.rig.mounted("lab", |dir| dpkg_install(dir, &new));
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && said.contains("Invalid cross-device link"), "{said}");
    assert!(said.contains("unable to move aside './usr/share/exd/filedir'"), "{said}");

    let said = repair(&case, &["--path", "/usr/share/exd/filedir"]).ok();
    assert!(said.err.contains("1 directory made the profile's own"), "{}", said.err);
    let done = case.rig.mounted("lab", |dir| {
        let done = dpkg_install(dir, &new);
        assert_eq!(fs::read_to_string(dir.join("usr/share/exd/filedir")).unwrap_or_default(), "now a file");
        done
    });
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    case.doctor_is(&["P4 decision exd"]);
    // And back, past the repair.
    case.rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(case.rig.sh("lab", "cat /usr/share/exd/filedir/a /usr/share/exd/filedir/deep/b"), "ab");
    case.rig.verify();
}

/// A candidate with the very same tree: the merged view of a mended profile over it is the same too.
#[test]
fn a_mended_profile_shows_what_is_new_in_the_next_base() {
    let next = |tree: &Tree| {
        tool("1")(tree);
        tree.install(&[Deb::new("own", "2").file("usr/share/own/theirs", "x")]);
    };
    let case = Case::of(tool("1"), next, |profile| {
        profile.install(&[Deb::new("mine", "1").file("usr/share/own/mine", "x")]);
        profile.copy_up("usr/bin/tool");
    });
    let found = case.findings();
    assert!(found.iter().any(|line| line.starts_with("F7 automatic /usr/share/own")), "{found:?}");
    repair(&case, &[]).ok();
    let found = case.findings();
    assert!(!found.iter().any(|line| line.starts_with("F7") || line.starts_with("F1 ")), "{found:?}");
    let mode =
        fs::metadata(case.rig.root_dir("lab").join("root/usr/share/own")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}
