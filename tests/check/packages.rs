//! Classes P.

use crate::case::{Case, Tree};
use crate::deb::Deb;

fn tool(version: &str) -> impl Fn(&Tree) {
    let deb = Deb::new("tool", version).file("usr/bin/tool", version);
    move |tree| tree.install(std::slice::from_ref(&deb))
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

#[test]
fn p5_found_a_version_taken_back() {
    let case = Case::of(tool("2"), tool("3"), |profile| tool("1")(profile));
    case.is(&["P5 decision tool"]);
}

#[test]
fn p5_near_miss_the_candidate_is_older_than_the_base() {
    Case::of(tool("2"), tool("1"), |_| {}).is(&[]);
}

#[test]
fn p7_found_a_purged_package() {
    let purge = |profile: &Tree| drop(profile.dpkg(&["--purge", "tool"]));
    let case = Case::of(tool("1"), tool("2"), purge);
    case.is(&["P7 automatic tool"]);
    Case::of(important("Protected"), important("Protected"), |profile| {
        profile.dpkg(&["--force-remove-protected", "--purge", "tool"]);
    })
    .is(&["P7 decision tool"]);
}

/// A package that dpkg does not let go easily.
fn important(field: &str) -> impl Fn(&Tree) + use<> {
    let deb = Deb::new("tool", "1").field(&format!("{field}: yes")).file("usr/bin/tool", "tool");
    move |tree: &Tree| tree.install(&[deb.clone()])
}

#[test]
fn p23_found_an_essential_package_that_was_removed() {
    let purge = |profile: &Tree| drop(profile.dpkg(&["--force-remove-essential", "--purge", "tool"]));
    Case::of(important("Essential"), important("Essential"), purge).is(&["P23 decision tool"]);
    // It became essential afterwards.
    Case::of(tool("1"), important("Essential"), purge).is(&["P23 decision tool"]);
}

#[test]
fn p23_near_miss_essential_no_more_or_not_removed() {
    let purge = |profile: &Tree| drop(profile.dpkg(&["--force-remove-essential", "--purge", "tool"]));
    Case::of(important("Essential"), tool("1"), purge).is(&["P7 automatic tool"]);
    Case::of(important("Essential"), important("Essential"), |_| {}).is(&[]);
}

fn of(architecture: &str, more: &str, version: &str) -> impl Fn(&Tree) + use<> {
    let deb = Deb::new("tool", version).architecture(architecture).field(more).file("usr/bin/tool", version);
    move |tree: &Tree| tree.install(&[deb.clone()])
}

#[test]
fn p17_found_records_under_another_name() {
    let case = Case::of(
        of("amd64", "Section: misc", "1"),
        of("amd64", "Multi-Arch: same", "3"),
        of("amd64", "Section: misc", "2"),
    );
    case.is(&["P4 automatic tool", "P17 automatic tool"]);
    let other = |tree: &Tree| {
        let status = tree.read("var/lib/dpkg/status").replace("Architecture: amd64", "Architecture: arm64");
        tree.write("var/lib/dpkg/status", &status);
    };
    Case::of(|_| {}, other, |_| {}).is(&["P17 blocker dpkg"]);
}

#[test]
fn p17_near_miss_nothing_of_it_in_the_profile() {
    let case = Case::of(of("amd64", "Section: misc", "1"), of("amd64", "Multi-Arch: same", "2"), |_| {});
    case.is(&[]);
    Case::of(
        of("amd64", "Section: misc", "1"),
        of("all", "Section: misc", "2"),
        of("amd64", "Section: a", "2"),
    )
    .is(&["P4 automatic tool"]);
}

#[test]
fn p3_found_a_package_that_is_new() {
    let mine = |profile: &Tree| profile.install(&[Deb::new("mine", "1").file("usr/bin/mine", "mine")]);
    Case::of(|_| {}, tool("1"), mine).is(&["P1 automatic /var/lib/dpkg/status", "P3 harmless tool"]);
}

#[test]
fn p3_near_miss_a_profile_without_a_database() {
    Case::of(|_| {}, tool("1"), |profile| profile.write("srv/mine", "mine")).is(&[]);
}

#[test]
fn p7_near_miss_the_candidate_has_it_no_more() {
    let case = Case::of(tool("1"), |_| {}, |profile| drop(profile.dpkg(&["--purge", "tool"])));
    case.is(&["F6 harmless /usr/bin/tool"]);
}

fn with_postrm(version: &str) -> impl Fn(&Tree) {
    let deb = Deb::new("tool", version)
        .file("usr/bin/tool", version)
        .conffile("etc/tool.conf", "setting")
        .control("postrm", "#!/bin/sh\nexit 0\n");
    move |tree| tree.install(std::slice::from_ref(&deb))
}

#[test]
fn p8_found_a_removed_package_whose_postrm_is_in_the_base() {
    let case = Case::of(with_postrm("1"), |_| {}, |profile| drop(profile.dpkg(&["--remove", "tool"])));
    case.is(&["P8 automatic tool", "F6 harmless /usr/bin/tool"]);
}

#[test]
fn p8_near_miss_purged_or_all_in_the_profile() {
    let purged = Case::of(with_postrm("1"), |_| {}, |profile| drop(profile.dpkg(&["--purge", "tool"])));
    purged.is(&["F6 harmless /etc/tool.conf", "F6 harmless /usr/bin/tool"]);
    let own = Case::on(
        |_| {},
        |profile| {
            with_postrm("1")(profile);
            profile.dpkg(&["--remove", "tool"]);
        },
    );
    own.is(&[]);
}

#[test]
fn p10_found_a_package_that_is_only_unpacked() {
    let case = Case::on(tool("1"), |profile| {
        let deb = Deb::new("half", "1").file("usr/bin/half", "half").build(profile.path("tmp").as_path());
        profile.dpkg(&["--unpack", deb.to_str().unwrap()]);
        profile.sh("rm -rf tmp/deb*");
    });
    case.is(&["P10 blocker half"]);
}

#[test]
fn p10_found_what_a_killed_dpkg_left() {
    let case = Case::on(tool("1"), |profile| {
        let status = profile.read("var/lib/dpkg/status");
        let tool = status.split("\n\n").find(|p| p.contains("Package: tool")).unwrap().to_owned();
        profile.write("var/lib/dpkg/updates/0000", &format!("{tool}\n"));
        profile.write("var/lib/dpkg/updates/tmp.i", "padding");
    });
    case.is(&["P10 blocker /var/lib/dpkg/updates/0000"]);
}

#[test]
fn p10_near_miss_removed_with_its_settings_kept() {
    let case = Case::on(
        |_| {},
        |profile| {
            with_postrm("1")(profile);
            profile.dpkg(&["--remove", "tool"]);
        },
    );
    case.is(&[]);
}

fn marked(tree: &Tree, auto: &str) {
    tree.write(
        "var/lib/apt/extended_states",
        &format!("Package: tool\nArchitecture: all\nAuto-Installed: {auto}\n"),
    );
}

#[test]
fn p18_found_a_package_somebody_asked_for() {
    let base = |version: &'static str| {
        move |tree: &Tree| {
            tool(version)(tree);
            marked(tree, "1");
        }
    };
    Case::of(base("1"), base("2"), |profile| marked(profile, "0")).is(&["P18 automatic tool"]);
}

#[test]
fn p18_near_miss_the_mark_of_the_base() {
    let base = |version: &'static str, mark: &'static str| {
        move |tree: &Tree| {
            tool(version)(tree);
            marked(tree, mark);
        }
    };
    let case = Case::of(base("1", "1"), base("2", "0"), |profile| marked(profile, "1"));
    case.is(&[]);
}

#[test]
fn p19_found_a_held_package_of_the_base() {
    let hold = |profile: &Tree| profile.sh("echo tool hold | dpkg --root=. --set-selections");
    let case = Case::of(tool("1"), tool("2"), |profile| drop(hold(profile)));
    case.is(&["P19 decision tool", "P1 automatic /var/lib/dpkg/status"]);
}

#[test]
fn p19_near_miss_the_same_version() {
    let case =
        Case::on(tool("1"), |profile| drop(profile.sh("echo tool hold | dpkg --root=. --set-selections")));
    case.is(&[]);
}
