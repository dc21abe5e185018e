//! Classes F12 to F24: marks that overlayfs, btrfs and cut runs leave, names and numbers of files.

use std::fs;

use crate::case::{Case, Tree};
use crate::files::{nothing, tool, write};
use crate::rig::need;

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
