//! Classes P again: whether packages go together.

use crate::case::{Case, Tree};
use crate::deb::Deb;

fn install(debs: &[Deb]) -> impl Fn(&Tree) + use<> {
    let debs = debs.to_vec();
    move |tree| tree.install(&debs)
}

fn lib(version: &str) -> Deb {
    Deb::new("lib", version).file("usr/share/lib/data", version)
}

/// Of the profile.
fn mine(field: &str) -> Deb {
    Deb::new("mine", "1").field(field).file("usr/share/mine/data", "mine")
}

fn nothing(_: &Tree) {}

const P1: &str = "P1 automatic /var/lib/dpkg/status";

#[test]
fn p2_found_a_package_nobody_needs() {
    let case = Case::of(install(&[lib("1")]), nothing, |profile| {
        profile.install(&[mine("Recommends: lib")]);
    });
    case.is(&["P2 automatic lib", P1]);
    Case::of(install(&[lib("1")]), nothing, nothing).is(&["P2 harmless lib"]);
}

#[test]
fn p2_found_a_package_with_a_successor() {
    let new = Deb::new("libt64", "2").field("Provides: lib (= 2)").file("usr/share/libt64/data", "2");
    let case = Case::of(install(&[lib("1")]), install(&[new]), |profile| {
        profile.install(&[mine("Depends: lib (>= 1)")]);
    });
    case.is(&["P2 automatic lib", "P3 harmless libt64", P1]);
    let evidence = case.evidence("P2");
    assert_eq!((&evidence["needed by"], &evidence["in its place"]), (&"mine 1".into(), &"libt64 2".into()));
}

#[test]
fn p2_near_miss_upgraded_in_the_profile() {
    Case::of(install(&[lib("1")]), nothing, install(&[lib("2")])).is(&["F10 harmless /usr/share/lib"]);
}

#[test]
fn p11_found_what_the_base_drops_and_a_package_needs() {
    let case = Case::of(install(&[lib("1")]), nothing, install(&[mine("Depends: lib (>= 1)")]));
    case.is(&["P2 automatic lib", "P11 blocker mine", P1]);
    let said = "mine 1 Depends: lib (>= 1), but nothing is or provides it";
    assert_eq!(case.evidence("P11")["does not hold"], said);
    assert_eq!(case.evidence("P2")["needed by"], "mine 1");
}

#[test]
fn p11_found_a_lock_step_within_a_point_release() {
    let case = Case::of(
        install(&[lib("1")]),
        install(&[lib("1+deb1")]),
        install(&[mine("Depends: lib (= 1)"), Deb::new("other", "1").field("Pre-Depends: lib (<< 1+)")]),
    );
    case.is(&["P11 blocker mine", "P11 blocker other", P1]);
}

#[test]
fn p11_found_what_the_candidate_breaks() {
    let new = lib("2").field("Breaks: mine (<< 2)").field("Conflicts: other");
    let case = Case::of(
        install(&[lib("1")]),
        install(&[new]),
        install(&[mine("Depends: lib"), Deb::new("second", "1").field("Provides: other")]),
    );
    case.is(&["P11 blocker mine", "P11 blocker second", P1]);
    // An override of the profile that a package of the candidate does not go with.
    let user = |version: &str| Deb::new("user", version).field(&format!("Depends: lib (= {version})"));
    let bases = |version: &'static str| install(&[lib(version), user(version)]);
    let case = Case::of(bases("1"), bases("2"), install(&[lib("3")]));
    case.is(&["P4 decision lib", "P11 blocker user", P1]);
}

#[test]
fn p11_near_miss_what_did_not_hold_before() {
    let case =
        Case::of(install(&[lib("1")]), install(&[lib("2")]), install(&[mine("Depends: lib (>= 3), absent")]));
    case.is(&[P1]);
    case.doctor_is(&["P11 decision mine"]);
    let holds = Case::of(
        install(&[lib("1")]),
        install(&[lib("2")]),
        install(&[mine("Depends: lib (>= 1) | absent").field("Breaks: lib (<< 1)").field("Conflicts: mine")]),
    );
    holds.is(&[P1]);
    holds.doctor_is(&[]);
}

#[test]
fn p11_found_a_candidate_that_is_broken_itself() {
    let case = Case::of(nothing, install(&[mine("Depends: absent")]), nothing);
    case.is(&["P11 decision mine"]);
}

#[test]
fn p7_found_a_removed_package_that_is_needed_again() {
    let purge = |profile: &Tree| drop(profile.dpkg(&["--purge", "lib"]));
    let user = mine("Depends: lib (>= 2)");
    let case = Case::of(install(&[lib("1")]), install(&[lib("2"), user]), purge);
    case.is(&["P7 decision lib", "P3 harmless mine", P1]);
    assert_eq!(case.evidence("P7")["needed by"], "mine 1 Depends: lib (>= 2)");
    // What comes back may need what was removed with it.
    let chain = |version: &str| {
        vec![lib(version).field("Depends: deep"), Deb::new("deep", version), Deb::new("unasked", version)]
    };
    let old = chain("1");
    let new = [chain("2"), vec![mine("Depends: lib")]].concat();
    let case = Case::of(
        move |tree: &Tree| tree.install(&old),
        move |tree: &Tree| tree.install(&new),
        |profile| drop(profile.dpkg(&["--purge", "lib", "deep", "unasked"])),
    );
    case.is(&["P7 decision lib", "P7 decision deep", "P7 automatic unasked", "P3 harmless mine", P1]);
}

fn two(version: &str, architecture: &str) -> Deb {
    Deb::new("both", version)
        .architecture(architecture)
        .field("Multi-Arch: same")
        .file("usr/share/both/same", "same")
        .file(&format!("usr/lib/{architecture}/both"), version)
}

fn with_i386(profile: &Tree) {
    profile.dpkg(&["--add-architecture", "i386"]);
    profile.install(&[two("1", "i386")]);
}

#[test]
fn p16_found_two_architectures_out_of_step() {
    let case = Case::of(install(&[two("1", "amd64")]), install(&[two("2", "amd64")]), with_i386);
    case.is(&["P16 blocker both:i386", P1]);
}

#[test]
fn p16_near_miss_the_same_version_and_another_package() {
    Case::of(install(&[two("1", "amd64"), lib("1")]), install(&[two("1", "amd64"), lib("2")]), with_i386)
        .is(&[P1]);
}

#[test]
fn p19_found_a_held_package_that_must_change() {
    let hold = |profile: &Tree| {
        profile.install(&[mine("Depends: lib (= 1)")]);
        profile.sh("echo mine hold | dpkg --root=. --set-selections");
    };
    let case = Case::of(install(&[lib("1")]), install(&[lib("2")]), hold);
    case.is(&["P11 blocker mine", "P19 decision mine", P1]);
    assert_eq!(case.evidence("P11")["held"], "at 1");
}

#[test]
fn p19_found_a_held_package_that_goes() {
    let hold = |profile: &Tree| drop(profile.sh("echo lib hold | dpkg --root=. --set-selections"));
    Case::of(install(&[lib("1")]), nothing, hold).is(&["P2 automatic lib", "P19 decision lib", P1]);
}

fn marked(auto: &'static str) -> impl Fn(&Tree) {
    move |tree: &Tree| {
        let text = format!("Package: lib\nArchitecture: amd64\nAuto-Installed: {auto}\n");
        tree.write("var/lib/apt/extended_states", &text);
    }
}

fn automatic(tree: &Tree) {
    tree.install(&[lib("1")]);
    marked("1")(tree);
}

#[test]
fn p22_found_a_package_that_was_asked_for() {
    Case::of(automatic, nothing, marked("0")).is(&["P2 harmless lib", "P22 decision lib"]);
}

#[test]
fn p22_near_miss_the_base_asked_for_it() {
    let base = |tree: &Tree| {
        tree.install(&[lib("1")]);
        marked("0")(tree);
    };
    Case::of(base, nothing, marked("0")).is(&["P2 harmless lib"]);
    Case::of(automatic, nothing, marked("1")).is(&["P2 harmless lib"]);
}

/// Of the profile and of the candidate, with the same program in both.
fn with_program(name: &str, field: &str) -> Deb {
    Deb::new(name, "1").field(field).file("usr/bin/program", name).file("usr/bin/second", name)
}

#[test]
fn p13_found_a_file_of_two_packages() {
    let mine = install(&[with_program("mine", "Section: misc")]);
    let case = Case::of(nothing, install(&[with_program("theirs", "Section: misc")]), &mine);
    case.is(&["P13 blocker mine", "P3 harmless theirs", P1]);
    assert_eq!(case.evidence("P13")["among them"], "/usr/bin/program, /usr/bin/second");
    let older = install(&[with_program("theirs", "Replaces: mine (<< 1)")]);
    Case::of(nothing, older, &mine).is(&["P13 blocker mine", "P3 harmless theirs", P1]);
    let case = Case::of(nothing, install(&[with_program("theirs", "Replaces: mine (<< 2)")]), &mine);
    case.is(&["P13 automatic mine", "P3 harmless theirs", P1]);
}

#[test]
fn p13_near_miss_a_directory_or_removed() {
    let theirs = install(&[with_program("theirs", "Section: misc")]);
    let gone = Case::of(&theirs, &theirs, |profile| {
        profile.dpkg(&["--purge", "theirs"]);
        profile.install(&[with_program("mine", "Section: misc")]);
    });
    gone.is(&["P7 automatic theirs"]);
    let directory = Case::of(
        nothing,
        install(&[Deb::new("theirs", "1").file("usr/share/both/theirs", "theirs")]),
        install(&[Deb::new("mine", "1").file("usr/share/both/mine", "mine")]),
    );
    directory.is(&["F7 automatic /usr/share/both", "P3 harmless theirs", P1]);
}
