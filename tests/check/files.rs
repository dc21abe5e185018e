//! Classes F.

use std::fs;
use std::os::unix::fs::symlink;

use crate::case::{Case, Tree};
use crate::deb::Deb;
use crate::rig::need;

/// A package with a program, a document, and a directory of its own.
fn tool_deb(version: &str) -> Deb {
    Deb::new("tool", version)
        .file("usr/bin/tool", &format!("#!/bin/sh\n# {version}\n"))
        .file("usr/share/tool/data", version)
        .file("usr/share/tool/same", "the same in all versions")
}

fn tool(version: &str) -> impl Fn(&Tree) {
    let deb = tool_deb(version);
    move |tree| tree.install(std::slice::from_ref(&deb))
}

fn nothing(_: &Tree) {}

fn write(path: &str, text: &str) -> impl Fn(&Tree) {
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

// ---- marks, names, numbers -----------------------------------------------------------------------

#[test]
fn f12_found_stamps_of_an_update() {
    let case = Case::of(nothing, tool("1"), write("etc/.updated", ""));
    case.is(&["F12 automatic /etc/.updated"]);
}

#[test]
fn f12_near_miss_no_other_base() {
    Case::on(nothing, write("etc/.updated", "")).doctor_is(&[]);
}

#[test]
fn f13_found_one_name_of_two() {
    let two = |tree: &Tree| {
        tree.write("opt/two", "names");
        fs::hard_link(tree.path("opt/two"), tree.path("opt/names")).unwrap();
    };
    let case = Case::on(two, |profile| profile.copy_up("opt/two"));
    case.is(&["F1 automatic /opt/two", "F13 automatic /opt/two"]);
    assert_eq!(case.evidence("F13")["names only the base has"], "opt/names");
}

#[test]
fn f13_near_miss_both_names() {
    let two = |tree: &Tree| {
        tree.write("opt/two", "names");
        fs::hard_link(tree.path("opt/two"), tree.path("opt/names")).unwrap();
    };
    let case = Case::on(two, |profile| {
        profile.copy_up("opt/two");
        profile.copy_up("opt/names");
    });
    case.is(&["F1 automatic /opt/names", "F1 automatic /opt/two"]);
}

/// The upper as it lies in the pool, for marks no mount of ours would make.
fn upper(case: &Case, inside: &str) -> std::path::PathBuf {
    case.rig.root_dir("lab").join("root").join(inside)
}

#[test]
fn f17_found_a_redirected_directory() {
    let case = Case::on(nothing, write("srv/a", "a"));
    xattr::set(upper(&case, "srv"), "trusted.overlay.redirect", b"/opt").unwrap();
    case.is(&["F17 blocker /srv"]);
}

#[test]
fn f17_near_miss_marks_of_every_overlay() {
    let case = Case::on(tool("1"), |profile| profile.copy_up("usr/bin/tool"));
    let marks = xattr::list(upper(&case, "usr/bin/tool")).unwrap();
    assert!(marks.into_iter().any(|name| name == "trusted.overlay.origin"), "else this is no near miss");
    case.is(&["F1 automatic /usr/bin/tool"]);
}

#[test]
fn f18_found_origins() {
    let case = Case::on(tool("1"), |profile| profile.copy_up("usr/bin/tool"));
    assert!(case.json(&["--base", "2"]).to_string().contains("F18"));
    assert!(case.evidence("F18")["paths that bear it"].as_str().unwrap().parse::<u32>().unwrap() >= 1);
}

#[test]
fn f18_near_miss_nothing_copied_up_or_no_other_base() {
    let case = Case::on(tool("1"), |profile| profile.copy_up("usr/bin/tool"));
    case.doctor_is(&["F1 automatic /usr/bin/tool"]);
}

#[test]
fn f19_found_marks_of_a_user() {
    let case = Case::on(nothing, write("srv/a", "a"));
    xattr::set(upper(&case, "srv"), "user.overlay.opaque", b"y").unwrap();
    case.is(&["F19 blocker /srv"]);
}

#[test]
fn f19_found_below_a_subvolume_with_numbers_of_its_own() {
    let case = Case::on(nothing, nothing);
    need("btrfs", crate::rig::btrfs(&["subvolume", "create"]).arg(upper(&case, "nested")));
    fs::write(upper(&case, "nested/a"), "a").unwrap();
    xattr::set(upper(&case, "nested/a"), "user.overlay.opaque", b"y").unwrap();
    // Its numbers begin anew, which is found too.
    case.is(&["F19 blocker /nested/a", "F20 blocker /nested/a", "F21 blocker /nested"]);
}

#[test]
fn f19_near_miss_an_attribute_of_the_person() {
    let case = Case::on(nothing, write("srv/a", "a"));
    xattr::set(upper(&case, "srv/a"), "user.overlaid", b"y").unwrap();
    case.is(&[]);
}

#[test]
fn f20_found_numbers_of_a_base_in_the_profile() {
    let case = Case::on(nothing, write("var/a", "a"));
    // What a copy by send and receive would do: numbers from the bottom again.
    let manifest = case.rig.in_pool("@base/2.manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    let (head, rest) = text.split_once('\n').unwrap();
    let mut head: serde_json::Value = serde_json::from_str(head).unwrap();
    head["largest_inode"] = (1_u64 << 40).into();
    fs::write(&manifest, format!("{head}\n{rest}")).unwrap();
    case.is(&["F20 blocker /var"]);
}

#[test]
fn f20_near_miss_right_below_the_smallest() {
    let case = Case::on(nothing, write("srv/a", "a"));
    assert!(case.json(&["--base", "2"])["findings"].as_array().unwrap().is_empty());
}

#[test]
fn f21_found_a_subvolume() {
    let case = Case::on(nothing, nothing);
    need("btrfs", crate::rig::btrfs(&["subvolume", "create"]).arg(upper(&case, "nested")));
    case.is(&["F21 blocker /nested"]);
}

#[test]
fn f21_near_miss_a_directory() {
    Case::on(nothing, |profile| fs::create_dir(profile.path("nested")).unwrap()).is(&[]);
}

#[test]
fn f22_found_a_pipe_and_debris() {
    let case = Case::on(nothing, |profile| {
        profile.sh("mkfifo srv-pipe; mknod srv-null c 1 3; touch usr/bin/x.dpkg-new");
    });
    case.is(&["F22 harmless /srv-null", "F22 harmless /srv-pipe", "F22 harmless /usr/bin/x.dpkg-new"]);
}

#[test]
fn f22_near_miss_a_file_with_such_a_word() {
    Case::on(nothing, write("srv/a.dpkg-newer", "a")).is(&[]);
}

#[test]
fn f24_found_a_file_below_run() {
    Case::on(nothing, write("run/leftover", "a")).is(&["F24 automatic /run/leftover"]);
}

#[test]
fn f24_near_miss_beside_it() {
    Case::on(nothing, write("runs/leftover", "a")).is(&[]);
}
