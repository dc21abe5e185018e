//! Classes F.

use std::fs;
use std::os::unix::fs::symlink;

use crate::case::{Case, Tree};
use crate::deb::Deb;

/// A package with a program, a document, and a directory of its own.
fn tool_deb(version: &str) -> Deb {
    Deb::new("tool", version)
        .file("usr/bin/tool", &format!("#!/bin/sh\n# {version}\n"))
        .file("usr/share/tool/data", version)
        .file("usr/share/tool/same", "the same in all versions")
}

pub fn tool(version: &str) -> impl Fn(&Tree) {
    let deb = tool_deb(version);
    move |tree| tree.install(std::slice::from_ref(&deb))
}

pub fn nothing(_: &Tree) {}

pub fn write(path: &str, text: &str) -> impl Fn(&Tree) {
    move |tree: &Tree| tree.write(path, text)
}

// ---- copies --------------------------------------------------------------------------------------

#[test]
fn f1_found_a_copy_of_the_base() {
    let case = Case::of(tool("1"), tool("2"), |profile| profile.copy_up("usr/bin/tool"));
    case.is(&["F1 automatic /usr/bin/tool"]);
    assert_eq!(case.evidence("F1")["it would hide"], "another content in the candidate");
}

#[test]
fn f1_near_miss_an_own_file_with_the_same_bytes() {
    Case::on(tool("1"), |profile| profile.write("usr/local/bin/tool", "#!/bin/sh\n# 1\n")).is(&[]);
}

#[test]
fn f2_found_another_mode_and_an_attribute() {
    let case = Case::of(tool("1"), tool("2"), |profile| {
        profile.chmod("usr/bin/tool", 0o4755);
        xattr::set(profile.path("usr/share/tool/data"), "user.colour", b"green").unwrap();
    });
    case.is(&["F2 automatic /usr/bin/tool", "F2 automatic /usr/share/tool/data"]);
}

#[test]
fn f2_near_miss_changed_and_changed_back() {
    let case = Case::on(tool("1"), |profile| {
        profile.chmod("usr/bin/tool", 0o4755);
        profile.chmod("usr/bin/tool", 0o755);
    });
    case.is(&["F1 automatic /usr/bin/tool"]);
}

// ---- changed and deleted -------------------------------------------------------------------------

#[test]
fn f3_found_a_changed_document() {
    let edit = |profile: &Tree| profile.write("usr/share/tool/data", "mine");
    Case::of(tool("1"), tool("2"), edit).is(&["F3 decision /usr/share/tool/data"]);
    Case::of(tool("1"), tool("1"), edit).is(&["F3 harmless /usr/share/tool/data"]);
    let agreed = Case::of(tool("1"), tool("2"), write("usr/share/tool/data", "2"));
    agreed.is(&["F3 automatic /usr/share/tool/data"]);
}

#[test]
fn f3_near_miss_the_document_of_an_own_package() {
    let case = Case::of(nothing, nothing, |profile| {
        tool("1")(profile);
        profile.write("usr/share/tool/data", "mine");
    });
    case.is(&[]);
}

#[test]
fn f4_found_a_program_that_masks_the_candidates() {
    let edit = write("usr/bin/tool", "#!/bin/sh\n# mine\n");
    Case::of(tool("1"), tool("2"), &edit).is(&["F4 decision /usr/bin/tool"]);
    Case::of(tool("1"), tool("1"), &edit).doctor_is(&["F4 harmless /usr/bin/tool"]);
}

#[test]
fn f4_near_miss_a_document_and_a_program_elsewhere() {
    let case = Case::of(tool("1"), tool("2"), |profile| {
        profile.write("usr/share/tool/data", "mine");
        profile.write("usr/local/bin/tool", "mine");
    });
    case.is(&["F3 decision /usr/share/tool/data"]);
}

#[test]
fn f5_found_a_deleted_program() {
    Case::of(tool("1"), tool("2"), |profile| profile.remove("usr/bin/tool"))
        .is(&["F5 decision /usr/bin/tool"]);
    let same = Case::of(tool("1"), tool("2"), |profile| profile.remove("usr/share/tool/same"));
    same.is(&["F5 harmless /usr/share/tool/same"]);
    let whole = Case::of(tool("1"), tool("2"), |profile| {
        fs::remove_dir_all(profile.path("usr/share/tool")).unwrap();
    });
    whole.is(&["F5 decision /usr/share/tool/*"]);
}

#[test]
fn f5_near_miss_left_out_by_rule_or_removed_by_dpkg() {
    let excluded = Case::of(tool("1"), tool("2"), |profile| {
        profile.write("etc/dpkg/dpkg.cfg.d/local", "path-exclude=/usr/share/tool/*\n");
        profile.remove("usr/share/tool/data");
        profile.remove("usr/share/tool/same");
    });
    excluded.is(&["F5 harmless /usr/share/tool/data", "F5 harmless /usr/share/tool/same"]);
    let unowned = Case::on(write("srv/notes", "a"), |profile| profile.remove("srv/notes"));
    unowned.is(&[]);
}

#[test]
fn f6_found_a_whiteout_of_nothing() {
    let case = Case::of(write("srv/notes", "a"), nothing, |profile| profile.remove("srv/notes"));
    case.is(&["F6 harmless /srv/notes"]);
}

#[test]
fn f6_near_miss_the_candidate_has_it() {
    let case = Case::on(write("srv/notes", "a"), |profile| profile.remove("srv/notes"));
    case.is(&[]);
}

// ---- directories ---------------------------------------------------------------------------------

#[test]
fn f7_found_a_directory_dpkg_made_where_the_candidate_has_one() {
    let theirs = |tree: &Tree| {
        tree.install(&[Deb::new("theirs", "1").file("usr/lib/python3/dist-packages/theirs.py", "t")])
    };
    let case = Case::of(nothing, theirs, |profile| {
        profile.install(&[Deb::new("mine", "1").file("usr/lib/python3/dist-packages/mine.py", "m")]);
    });
    case.is(&["F7 automatic /usr/lib/python3", "P1 automatic /var/lib/dpkg/status", "P3 harmless theirs"]);
    assert_eq!(case.evidence("F7")["among them"], "/usr/lib/python3/dist-packages/theirs.py");
}

#[test]
fn f7_near_miss_the_candidate_has_nothing_there() {
    let mine = Deb::new("mine", "1").file("usr/lib/python3/dist-packages/mine.py", "m");
    Case::on(nothing, |profile| profile.install(&[mine])).is(&[]);
}

#[test]
fn f8_found_a_directory_made_anew() {
    let case = Case::of(tool("1"), tool("2"), |profile| {
        fs::remove_dir_all(profile.path("usr/share/tool")).unwrap();
        profile.write("usr/share/tool/mine", "mine");
    });
    case.is(&["F8 decision /usr/share/tool"]);
    assert_eq!(case.evidence("F8")["files of the candidate it hides"], "2");
}

#[test]
fn f8_near_miss_emptied_but_not_removed() {
    let case = Case::of(tool("1"), tool("2"), |profile| {
        profile.remove("usr/share/tool/data");
        profile.write("usr/share/tool/mine", "mine");
    });
    case.is(&["F5 decision /usr/share/tool/data"]);
}

#[test]
fn f9_found_a_link_where_the_candidate_has_files() {
    let theirs = |tree: &Tree| tree.install(&[Deb::new("theirs", "1").file("srv/theirs/x", "x")]);
    let case = Case::of(nothing, theirs, |profile| {
        fs::create_dir_all(profile.path("var/srv")).unwrap();
        symlink("var/srv", profile.path("srv")).unwrap();
    });
    case.is(&["F9 blocker /srv"]);
    let replaced = |profile: &Tree| {
        profile.remove("opt/place");
        profile.write("opt/place/inside", "mine");
    };
    Case::of(write("opt/place", "a file"), write("opt/place", "another"), replaced)
        .is(&["F9 decision /opt/place"]);
    // On one side only.
    Case::of(write("opt/place", "a file"), write("opt/place", "a file"), replaced)
        .is(&["F9 harmless /opt/place"]);
}

/// The profile has a newer version of the package, in which the directory is a file; or the other way round.
#[test]
fn f9_near_miss_the_package_itself_replaced_it() {
    let dir = |tree: &Tree| tree.install(&[Deb::new("exd", "1").file("usr/share/exd/x/a", "a")]);
    let file = |version: &'static str| {
        move |tree: &Tree| tree.install(&[Deb::new("exd", version).file("usr/share/exd/x", "x")])
    };
    let case = Case::on(dir, |profile| {
        profile.sh("rm -r usr/share/exd/x; mkdir usr/share/exd/x; touch usr/share/exd/x/a"); // dpkg can move it
        file("2")(profile);
    });
    case.is(&["P4 decision exd"]);
    let case = Case::on(file("0"), |profile| dir(profile));
    case.is(&["P4 decision exd"]);
    // Another package had files there, too, and was purged.
    let both = |tree: &Tree| {
        dir(tree);
        tree.install(&[Deb::new("other", "1").file("usr/share/exd/x/b", "b")]);
    };
    let case = Case::on(both, |profile| {
        profile.sh("rm -r usr/share/exd/x; mkdir usr/share/exd/x; touch usr/share/exd/x/a");
        profile.sh("dpkg --root=. --force-bad-path --purge other");
        file("2")(profile);
    });
    case.is(&["P4 decision exd", "P7 automatic other"]);
}

#[test]
fn f9_near_miss_directories_on_both_sides() {
    let theirs = |tree: &Tree| tree.install(&[Deb::new("theirs", "1").file("srv/theirs/x", "x")]);
    let case = Case::of(
        write("srv/a", "a"),
        |tree| {
            write("srv/a", "a")(tree);
            theirs(tree)
        },
        write("srv/mine", "m"),
    );
    case.is(&[]);
}

#[test]
fn f10_found_an_own_file_in_a_directory_that_goes() {
    let case = Case::of(write("srv/deep/a", "a"), nothing, write("srv/deep/mine", "m"));
    case.is(&["F10 harmless /srv"]);
}

#[test]
fn f10_near_miss_nothing_of_mine_in_it() {
    let case = Case::of(write("srv/deep/a", "a"), nothing, |profile| profile.copy_up("srv/deep/a"));
    case.is(&["F1 automatic /srv/deep/a"]);
}

#[test]
fn f11_found_frozen_attributes() {
    let private = |mode| {
        move |tree: &Tree| {
            tree.write("srv/private/a", "a");
            tree.chmod("srv/private", mode);
        }
    };
    Case::of(private(0o700), private(0o710), write("srv/private/mine", "m"))
        .is(&["F11 automatic /srv/private"]);
    let both = Case::of(private(0o700), private(0o710), |profile| profile.chmod("srv/private", 0o711));
    both.is(&["F11 decision /srv/private"]);
}

#[test]
fn f11_near_miss_changed_here_only() {
    let private = |tree: &Tree| tree.write("srv/private/a", "a");
    Case::on(private, |profile| profile.chmod("srv/private", 0o711)).is(&[]);
}

#[test]
fn f14_found_a_directory_where_a_link_belongs() {
    let case = Case::on(nothing, |profile| {
        profile.remove("lib");
        profile.write("lib/mine", "m");
    });
    case.is(&["F14 blocker /lib"]);
}

#[test]
fn f14_near_miss_a_package_that_still_says_lib() {
    // Its list has /lib/tool/x, which is /usr/lib/tool/x on disk: the copy is the package's.
    let old = Deb::new("aliased", "1").file("lib/aliased/x", "x");
    let base = |tree: &Tree| tree.install(std::slice::from_ref(&old));
    let case = Case::of(base, |_| {}, |profile| profile.copy_up("usr/lib/aliased/x"));
    case.is(&["F1 automatic /usr/lib/aliased/x", "P2 harmless aliased"]);
}

// ---- the candidate has it now --------------------------------------------------------------------

#[test]
fn f15_found_a_local_program_the_candidate_ships() {
    let case = Case::of(nothing, tool("1"), |profile| {
        profile.write("usr/bin/tool", "mine");
        profile.write("usr/share/tool/data", "1");
    });
    case.is(&["F15 automatic /usr/share/tool/data", "F15 decision /usr/bin/tool"]);
}

#[test]
fn f15_near_miss_the_base_had_it_already() {
    Case::on(tool("1"), write("usr/share/tool/data", "mine")).is(&["F3 harmless /usr/share/tool/data"]);
}

#[test]
fn f16_found_a_generated_file_all_three_have_differently() {
    let case = Case::of(write("srv/index", "old"), write("srv/index", "new"), write("srv/index", "mine"));
    case.is(&["F16 decision /srv/index"]);
}

#[test]
fn f16_near_miss_changed_here_only() {
    Case::on(write("srv/index", "old"), write("srv/index", "mine")).is(&[]);
}
