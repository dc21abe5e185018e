//! Classes P.

use crate::case::{Case, Tree};
use crate::deb::Deb;

fn tool(version: &str) -> impl Fn(&Tree) {
    let deb = Deb::new("tool", version).file("usr/bin/tool", version);
    move |tree| tree.install(&[deb.clone()])
}

#[test]
fn p1_found_a_database_of_the_old_base() {
    let case = Case::of(tool("1"), tool("2"), |profile| {
        profile.install(&[Deb::new("mine", "1").file("usr/bin/mine", "mine")]);
    });
    case.is(&["P1 automatic /var/lib/dpkg/status"]);
    assert_eq!(case.evidence("P1")["among them"], "tool");
}

#[test]
fn p1_near_miss_the_same_versions() {
    let case = Case::on(tool("1"), |profile| {
        profile.install(&[Deb::new("mine", "1").file("usr/bin/mine", "mine")]);
    });
    case.is(&[]);
}

#[test]
fn p4_found_an_upgrade_that_the_candidate_has_too() {
    let case = Case::of(tool("1"), tool("2"), |profile| tool("2")(profile));
    case.is(&["P4 automatic tool"]);
}

#[test]
fn p4_found_an_upgrade_the_candidate_lacks() {
    let case = Case::of(tool("1"), tool("1.5"), |profile| tool("2")(profile));
    case.is(&["P4 decision tool"]);
}

#[test]
fn p4_near_miss_not_upgraded_in_the_profile() {
    Case::of(tool("1"), tool("2"), |_| {}).is(&[]);
}

#[test]
fn p6_found_a_package_the_candidate_has_now() {
    Case::of(|_| {}, tool("1.0"), |profile| tool("1.0")(profile)).is(&["P6 automatic tool"]);
    Case::of(|_| {}, tool("1.0~rc1"), |profile| tool("1.0")(profile)).is(&["P6 decision tool"]);
}

#[test]
fn p6_near_miss_in_neither_base() {
    Case::on(|_| {}, |profile| tool("1.0")(profile)).is(&[]);
}
