//! Classes F.

use crate::case::{Case, Tree};
use crate::deb::Deb;

fn tool(tree: &Tree) {
    tree.install(&[Deb::new("tool", "1").file("usr/bin/tool", "one").file("usr/share/tool/data", "data")]);
}

#[test]
fn f1_found_a_copy_of_the_base() {
    let case = Case::on(tool, |profile| profile.copy_up("usr/bin/tool"));
    case.is(&["F1 automatic /usr/bin/tool"]);
}

#[test]
fn f1_near_miss_an_own_file() {
    Case::on(tool, |profile| profile.write("usr/local/bin/tool", "one")).is(&[]);
}

#[test]
fn f2_found_another_mode() {
    Case::on(tool, |profile| profile.chmod("usr/bin/tool", 0o4755)).is(&["F2 automatic /usr/bin/tool"]);
}

#[test]
fn f2_near_miss_changed_and_changed_back() {
    let case = Case::on(tool, |profile| {
        profile.chmod("usr/bin/tool", 0o4755);
        profile.chmod("usr/bin/tool", 0o755);
    });
    case.is(&["F1 automatic /usr/bin/tool"]);
}
