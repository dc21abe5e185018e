//! Classes C.

use std::fs;
use std::os::unix::fs::symlink;

use crate::case::{Case, Tree};
use crate::deb::Deb;

/// A package with one conffile, and a plain file that is the same in all versions.
fn tool_with(version: &str, text: &str) -> Deb {
    Deb::new("tool", version).file("usr/share/tool/same", "same").conffile("etc/tool.conf", text)
}

fn tool(version: &'static str, text: &'static str) -> impl Fn(&Tree) {
    move |tree| tree.install(&[tool_with(version, text)])
}

/// Without any conffile.
fn bare(version: &'static str) -> impl Fn(&Tree) {
    move |tree| tree.install(&[Deb::new("tool", version).file("usr/share/tool/same", "same")])
}

pub fn write(path: &'static str, text: &'static str) -> impl Fn(&Tree) {
    move |tree: &Tree| tree.write(path, text)
}

fn edit(tree: &Tree) {
    tree.write("etc/tool.conf", "mine");
}

fn delete(tree: &Tree) {
    tree.remove("etc/tool.conf");
}

pub fn nothing(_: &Tree) {}

fn rebase_says(case: &Case, class: &str) -> String {
    let json = case.json(&["--base", "2"]);
    let findings = json["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["class"] == class).unwrap();
    finding["rebase"].as_str().unwrap().to_owned()
}

// ---- dpkg's table --------------------------------------------------------------------------------

#[test]
fn c1_found_a_copy_of_what_was_shipped() {
    for text in ["one", "two"] {
        let case = Case::of(tool("1", "one"), tool("2", text), |profile| profile.copy_up("etc/tool.conf"));
        case.is(&["C1 automatic /etc/tool.conf"]);
        assert_eq!(rebase_says(&case, "C1"), "drops the copy");
        assert_eq!(case.evidence("C1")["package"], "tool");
    }
    let mode = Case::of(tool("1", "one"), tool("2", "two"), |profile| profile.chmod("etc/tool.conf", 0o600));
    mode.is(&["C1 automatic /etc/tool.conf"]);
    assert_eq!(rebase_says(&mode, "C1"), "takes the candidate's content, and keeps your owner and mode");
    mode.doctor_is(&[]);
}

#[test]
fn c1_near_miss_it_lies_in_the_base_only() {
    let case = Case::of(tool("1", "one"), tool("2", "two"), write("etc/tool.conf.d/mine", "mine"));
    case.is(&[]);
    // Upgraded in the profile: the conffile came with the package, and goes with it.
    let superseded = Case::of(tool("1", "one"), tool("3", "three"), |profile| tool("2", "two")(profile));
    superseded.is(&["P4 automatic tool"]);
}

#[test]
fn c2_found_an_edited_conffile_the_candidate_did_not_change() {
    let case = Case::of(tool("1", "one"), tool("2", "one"), edit);
    case.is(&["C2 harmless /etc/tool.conf"]);
    case.doctor_is(&[]);
    // The profile's own version is what was shipped to it last.
    let upgraded = Case::of(tool("1", "one"), tool("3", "two"), |profile| {
        tool("2", "two")(profile);
        edit(profile);
    });
    upgraded.is(&["P4 automatic tool", "C2 harmless /etc/tool.conf"]);
    // Whoever built the bases edited it: that is what was shipped, whatever is on record.
    let built = |version, text: &'static str| {
        move |tree: &Tree| {
            tool(version, "one")(tree);
            tree.write("etc/tool.conf", text);
        }
    };
    Case::of(built("1", "theirs"), built("2", "theirs"), edit).is(&["C2 harmless /etc/tool.conf"]);
    Case::of(built("1", "theirs"), built("2", "others"), edit).is(&["C6 decision /etc/tool.conf"]);
    let copy = |profile: &Tree| profile.copy_up("etc/tool.conf");
    Case::of(built("1", "theirs"), built("2", "others"), copy).is(&["C1 automatic /etc/tool.conf"]);
}

#[test]
fn c2_near_miss_a_conffile_of_an_own_package() {
    let case = Case::of(nothing, nothing, |profile| {
        tool("1", "one")(profile);
        edit(profile);
    });
    case.is(&[]);
}

#[test]
fn c2_found_a_link_in_its_place() {
    let link = |text: &'static str| {
        move |profile: &Tree| {
            profile.write("srv/tool.conf", text);
            profile.remove("etc/tool.conf");
            symlink("../srv/tool.conf", profile.path("etc/tool.conf")).unwrap();
        }
    };
    Case::of(tool("1", "one"), tool("2", "one"), link("mine")).is(&["C2 harmless /etc/tool.conf"]);
    Case::of(tool("1", "one"), tool("2", "two"), link("two")).is(&["C2 harmless /etc/tool.conf"]);
    // What is behind the link is not written over.
    Case::of(tool("1", "one"), tool("2", "two"), link("one")).is(&["C6 decision /etc/tool.conf"]);
    Case::of(tool("1", "one"), bare("2"), link("one")).is(&["C8 decision /etc/tool.conf"]);
}

#[test]
fn c3_found_the_same_change_on_both_sides() {
    let case = Case::of(tool("1", "one"), tool("2", "two"), write("etc/tool.conf", "two"));
    case.is(&["C3 automatic /etc/tool.conf"]);
}

#[test]
fn c3_near_miss_a_byte_more() {
    let case = Case::of(tool("1", "one"), tool("2", "two"), write("etc/tool.conf", "two\n"));
    case.is(&["C6 decision /etc/tool.conf"]);
}

#[test]
fn c4_found_a_deleted_conffile_the_candidate_did_not_change() {
    Case::of(tool("1", "one"), tool("2", "one"), delete).is(&["C4 harmless /etc/tool.conf"]);
}

#[test]
fn c4_near_miss_it_is_gone_from_the_candidate_too() {
    Case::of(tool("1", "one"), bare("2"), delete).is(&["F6 harmless /etc/tool.conf"]);
    let removed = Case::of(tool("1", "one"), tool("2", "one"), |profile| {
        profile.dpkg(&["--purge", "tool"]);
    });
    removed.is(&["P7 automatic tool"]);
}

#[test]
fn c5_found_a_deleted_conffile_the_candidate_changed() {
    let case = Case::of(tool("1", "one"), tool("2", "two"), delete);
    case.is(&["C5 decision /etc/tool.conf"]);
    assert_eq!(case.evidence("C5")["md5 in the candidate"], "b8a9f715dbb64fd5c56e7783c6820a61");
    // Deleted with its directory.
    let nested = |version, text: &'static str| {
        move |tree: &Tree| {
            let deb = Deb::new("tool", version)
                .conffile("etc/tool/a b.conf", text)
                .conffile("etc/tool/same.conf", "same");
            tree.install(&[deb]);
        }
    };
    let remove_all = |profile: &Tree| fs::remove_dir_all(profile.path("etc/tool")).unwrap();
    let whole = Case::of(nested("1", "one"), nested("2", "two"), remove_all);
    whole.is(&["C5 decision /etc/tool/a b.conf", "C4 harmless /etc/tool/same.conf"]);
}

#[test]
fn c5_near_miss_a_plain_file_comes_back() {
    let plain = |version, text: &'static str| {
        move |tree: &Tree| tree.install(&[Deb::new("tool", version).file("etc/tool.conf", text)])
    };
    Case::of(plain("1", "one"), plain("2", "two"), delete).is(&["F5 decision /etc/tool.conf"]);
    // A plain file that becomes a conffile comes back too: dpkg knows nothing of it.
    Case::of(plain("1", "one"), tool("2", "two"), delete).is(&["F5 decision /etc/tool.conf"]);
}

#[test]
fn c6_found_a_conffile_changed_on_both_sides() {
    let case = Case::of(tool("1", "one"), tool("2", "two"), edit);
    case.is(&["C6 decision /etc/tool.conf"]);
    let evidence = case.evidence("C6");
    assert_eq!(evidence["md5 shipped before"], "f97c5d29941bfb1b2fdab0874906ab82");
    assert_eq!(evidence["md5 in the profile"], "918b81db5e91d031548b963c93845e5b");
    assert_eq!(evidence["md5 in the candidate"], "b8a9f715dbb64fd5c56e7783c6820a61");
}

#[test]
fn c6_found_against_the_version_the_profile_had_last() {
    let case = Case::of(tool("1", "one"), tool("3", "three"), |profile| {
        tool("2", "two")(profile);
        edit(profile);
    });
    case.is(&["P4 automatic tool", "C6 decision /etc/tool.conf"]);
    assert_eq!(case.evidence("C6")["md5 shipped before"], "b8a9f715dbb64fd5c56e7783c6820a61");
}

#[test]
fn c6_found_a_link_that_leads_elsewhere() {
    let case = Case::of(tool("1", "one"), tool("2", "two"), |profile| {
        profile.remove("etc/tool.conf");
        symlink("/dev/null", profile.path("etc/tool.conf")).unwrap();
    });
    case.is(&["C6 decision /etc/tool.conf"]);
}

#[test]
fn c6_found_a_diverted_conffile() {
    let case = Case::of(tool("1", "one"), tool("2", "two"), |profile| {
        profile.tool("dpkg-divert", &["--local", "--rename"], &["--add", "/etc/tool.conf"]);
        profile.write("etc/tool.conf.distrib", "mine");
        profile.write("etc/tool.conf", "another thing");
    });
    let found: Vec<String> = case.findings().into_iter().filter(|line| line.starts_with('C')).collect();
    assert_eq!(found, ["C6 decision /etc/tool.conf.distrib"]);
}

#[test]
fn c6_near_miss_its_package_stays_as_the_profile_has_it() {
    let case = Case::of(tool("1", "one"), tool("1.5", "another"), |profile| {
        tool("2", "two")(profile);
        edit(profile);
    });
    case.is(&["P4 decision tool"]);
}

#[test]
fn c6_near_miss_a_directory_in_its_place() {
    let case = Case::of(tool("1", "one"), tool("2", "two"), |profile| {
        profile.remove("etc/tool.conf");
        profile.write("etc/tool.conf/mine", "mine");
    });
    case.is(&["F9 blocker /etc/tool.conf"]);
}

#[test]
fn c7_found_an_own_file_where_a_conffile_comes() {
    let case = Case::of(bare("1"), tool("2", "two"), edit);
    case.is(&["C7 decision /etc/tool.conf"]);
    let same = Case::of(nothing, tool("2", "two"), write("etc/tool.conf", "two"));
    same.is(&["C7 automatic /etc/tool.conf"]);
}

#[test]
fn c7_near_miss_it_comes_as_a_plain_file() {
    let plain = |tree: &Tree| tree.install(&[Deb::new("tool", "2").file("etc/tool.conf", "two")]);
    Case::of(nothing, plain, edit).is(&["F15 decision /etc/tool.conf"]);
    // dpkg remembers what was shipped before the package was removed (config-files).
    let removed = Case::of(nothing, tool("2", "two"), |profile| {
        tool("1", "one")(profile);
        profile.dpkg(&["--remove", "tool"]);
        edit(profile);
    });
    removed.is(&["C6 decision /etc/tool.conf", "P1 automatic /var/lib/dpkg/status", "G5 automatic tool"]);
}

#[test]
fn the_plan_is_another_after_an_edit_of_the_same_length() {
    let case = Case::of(tool("1", "first"), tool("3", "the third"), |profile| tool("2", "second")(profile));
    let hash = || case.json(&["--base", "2"])["plan_hash"].clone();
    let before = hash();
    assert_eq!(hash(), before);
    case.edit(|profile| fs::write(profile.path("etc/tool.conf"), "SECOND").unwrap());
    case.is(&["P4 automatic tool", "C6 decision /etc/tool.conf"]);
    assert_ne!(hash(), before);
}

// ---- packages that have it no more ---------------------------------------------------------------

#[test]
fn c8_found_a_conffile_the_package_has_no_more() {
    Case::of(tool("1", "one"), bare("2"), edit).is(&["C8 decision /etc/tool.conf"]);
    let copy = Case::of(tool("1", "one"), bare("2"), |profile| profile.copy_up("etc/tool.conf"));
    copy.is(&["C8 automatic /etc/tool.conf"]);
}

#[test]
fn c8_found_a_conffile_of_a_package_the_candidate_lacks() {
    let case = Case::of(tool("1", "one"), nothing, edit);
    case.is(&["C8 decision /etc/tool.conf", "P2 harmless tool"]);
    assert_eq!(case.evidence("C8")["in the candidate"], "no such package");
}

#[test]
fn c8_near_miss_nobody_touched_it_or_it_is_plain_now() {
    Case::of(tool("1", "one"), bare("2"), nothing).is(&[]);
    let plain = |tree: &Tree| tree.install(&[Deb::new("tool", "2").file("etc/tool.conf", "two")]);
    Case::of(tool("1", "one"), plain, edit).is(&["F3 decision /etc/tool.conf"]);
    Case::of(tool("1", "one"), plain, delete).is(&["F5 decision /etc/tool.conf"]);
}

fn to_be_removed(tree: &Tree) {
    let deb = Deb::new("tool", "2").file("usr/share/tool/same", "same");
    tree.install(&[deb.control("conffiles", "remove-on-upgrade /etc/tool.conf\n")]);
}

#[test]
fn c9_found_a_conffile_to_be_removed() {
    Case::of(tool("1", "one"), to_be_removed, edit).is(&["C9 decision /etc/tool.conf"]);
    let copy = Case::of(tool("1", "one"), to_be_removed, |profile| profile.copy_up("etc/tool.conf"));
    copy.is(&["C9 automatic /etc/tool.conf"]);
}

#[test]
fn c9_near_miss_made_again_after_it_was_removed() {
    Case::of(to_be_removed, to_be_removed, edit).is(&[]);
    Case::of(tool("1", "one"), to_be_removed, nothing).is(&[]);
}

fn moved(version: &'static str, text: &'static str) -> impl Fn(&Tree) {
    move |tree| {
        let common = Deb::new("tool-common", version).conffile("etc/tool.conf", text);
        tree.install(&[
            Deb::new("tool", version).file("usr/share/tool/same", "same"),
            common.field("Replaces: tool (<< 2)"),
        ]);
    }
}

#[test]
fn c10_found_a_conffile_of_another_package() {
    let case = Case::of(tool("1", "one"), moved("2", "one"), edit);
    case.is(&["C10 automatic /etc/tool.conf"]);
    assert_eq!(case.evidence("C10")["package"], "tool, in the candidate tool-common");
    Case::of(tool("1", "one"), moved("2", "one"), delete).is(&["C10 automatic /etc/tool.conf"]);
}

#[test]
fn c10_near_miss_it_moved_in_the_profile_before() {
    // tool has it as obsolete then, and tool-common as its own.
    let case = Case::of(tool("1", "one"), moved("3", "two"), |profile| {
        moved("2", "two")(profile);
        edit(profile);
    });
    case.is(&["P4 automatic tool", "P6 automatic tool-common", "C2 harmless /etc/tool.conf"]);
    assert_eq!(case.evidence("C2")["package"], "tool-common");
}

#[test]
fn c10_near_miss_moved_and_changed() {
    let case = Case::of(tool("1", "one"), moved("2", "two"), edit);
    case.is(&["C6 decision /etc/tool.conf"]);
    assert_eq!(case.evidence("C6")["package"], "tool, in the candidate tool-common");
}
