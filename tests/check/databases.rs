//! Classes G. dpkg-divert, dpkg-statoverride, update-alternatives and systemctl's own links make them.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::case::{Case, Tree};
use crate::deb::Deb;
use crate::rig::need;

fn nothing(_: &Tree) {}

fn tool(version: &str) -> impl Fn(&Tree) {
    let deb = Deb::new("tool", version).file("usr/bin/tool", version).file("usr/bin/other", "the same");
    move |tree| tree.install(&[deb.clone()])
}

// ---- G1 ------------------------------------------------------------------------------------------

fn divert(tree: &Tree, args: &[&str]) {
    tree.tool("dpkg-divert", &["--rename"], args);
    tree.sh("rm -f var/lib/dpkg/diversions-old");
}

fn divert_by_hand(name: &'static str) -> impl Fn(&Tree) {
    move |tree| divert(tree, &["--local", "--divert", &format!("/{name}.real"), "--add", &format!("/{name}")])
}

#[test]
fn g1_found_a_file_the_candidate_has_anew() {
    let case = Case::of(tool("1"), tool("2.0"), divert_by_hand("usr/bin/tool"));
    case.is(&["G1 automatic /usr/bin/tool"]);
    assert_eq!(case.evidence("G1")["diverted"], "/usr/bin/tool to /usr/bin/tool.real, by hand");
}

#[test]
fn g1_found_two_that_clash() {
    let new = |tree: &Tree| {
        tool("2")(tree);
        divert(tree, &["--package", "better", "--divert", "/bin/tool.distrib", "--add", "/bin/tool"]);
    };
    let case = Case::of(tool("1"), new, divert_by_hand("usr/bin/tool"));
    case.is(&["G1 blocker /usr/bin/tool", "F6 harmless /usr/bin/tool"]);
}

#[test]
fn g1_found_a_diversion_of_the_candidate_and_one_it_dropped() {
    let base = |name: &'static str| {
        move |tree: &Tree| {
            tool("1")(tree);
            divert(
                tree,
                &[
                    "--package",
                    "better",
                    "--divert",
                    &format!("/{name}.distrib"),
                    "--add",
                    &format!("/{name}"),
                ],
            );
        }
    };
    let case = Case::of(base("usr/bin/other"), base("usr/bin/tool"), divert_by_hand("usr/bin/mine"));
    case.is(&["G1 automatic /usr/bin/other", "G1 automatic /usr/bin/tool"]);
}

#[test]
fn g1_found_a_file_of_a_kept_package_at_a_name_that_is_diverted_now() {
    let new = |tree: &Tree| {
        divert(tree, &["--package", "better", "--divert", "/usr/bin/mine.distrib", "--add", "/usr/bin/mine"]);
    };
    let case = Case::of(nothing, new, |profile| {
        profile.install(&[Deb::new("mine", "1").file("usr/bin/mine", "mine")]);
    });
    case.is(&["G1 automatic /usr/bin/mine"]);
}

#[test]
fn g1_near_miss_a_diversion_both_bases_have() {
    let base = |version: &'static str| {
        move |tree: &Tree| {
            tool(version)(tree);
            divert_by_hand("usr/bin/tool")(tree);
        }
    };
    Case::of(base("1"), base("2"), |profile| {
        profile.install(&[Deb::new("mine", "1").file("usr/bin/mine", "mine")]);
    })
    .is(&["P1 automatic /var/lib/dpkg/status"]);
}

#[test]
fn g1_near_miss_the_same_file_in_the_candidate() {
    Case::on(tool("1"), divert_by_hand("usr/bin/tool")).is(&[]);
}

/// dpkg goes by the names as they are written: a file its package calls /lib/x is moved by a diversion of
/// /lib/x, and not by one of /usr/lib/x, which is the same file.
#[test]
fn g1_near_miss_a_diversion_of_the_other_way_to_write_it() {
    let new = |name: &'static str| {
        move |tree: &Tree| {
            divert(
                tree,
                &["--package", "t64", "--divert", &format!("/{name}.merged"), "--add", &format!("/{name}")],
            );
        }
    };
    let install = |profile: &Tree| profile.install(&[Deb::new("old", "1").file("lib/x/lib.so", "old")]);
    Case::of(nothing, new("usr/lib/x/lib.so"), install).is(&[]);
    Case::of(nothing, new("lib/x/lib.so"), install).is(&["G1 automatic /usr/lib/x/lib.so"]);
}

// ---- G2 ------------------------------------------------------------------------------------------

fn with_group(version: &'static str, group: &'static str) -> impl Fn(&Tree) {
    move |tree| {
        tool(version)(tree);
        tree.write("etc/group", &format!("root:x:0:\n{group}"));
    }
}

fn add_override(tree: &Tree, args: &[&str]) {
    tree.tool("dpkg-statoverride", &["--update"], &[&["--add"], args].concat());
    tree.sh("rm -f var/lib/dpkg/statoverride-old");
}

#[test]
fn g2_found_a_new_content_below_an_override() {
    let case = Case::of(with_group("1", ""), with_group("2", ""), |profile| {
        add_override(profile, &["root", "root", "2750", "/usr/bin/tool"]);
    });
    case.is(&["G2 automatic /usr/bin/tool"]);
    assert_eq!(case.evidence("G2")["owner, group and mode"], "root root 2750");
}

#[test]
fn g2_found_a_group_that_is_gone() {
    let case = Case::of(with_group("1", "mail:x:8:\n"), with_group("1", ""), |profile| {
        profile.write("var/lib/dpkg/statoverride", "root mail 2750 /usr/bin/none\n");
    });
    case.is(&["G2 blocker /usr/bin/none"]);
    assert_eq!(case.evidence("G2")["no account"], "group mail");
}

#[test]
fn g2_found_records_of_both_sides() {
    let base = |mode: &'static str| {
        move |tree: &Tree| {
            with_group("1", "")(tree);
            add_override(tree, &["root", "root", mode, "/usr/bin/tool"]);
            add_override(tree, &["root", "root", mode, "/usr/bin/other"]);
        }
    };
    let case = Case::of(base("755"), base("750"), |profile| {
        profile.tool("dpkg-statoverride", &[], &["--remove", "/usr/bin/tool"]);
        add_override(profile, &["root", "root", "711", "/usr/bin/tool"]);
    });
    case.is(&["G2 decision /usr/bin/tool", "G2 automatic /usr/bin/other"]);
}

#[test]
fn g2_near_miss_the_same_content_and_the_group_is_there() {
    let case = Case::on(with_group("1", "mail:x:8:\n"), |profile| {
        profile.write("var/lib/dpkg/statoverride", "root mail 2755 /usr/bin/tool\n");
        profile.sh("chown 0:8 usr/bin/tool; chmod 2755 usr/bin/tool");
    });
    case.is(&[]);
}

// ---- G3 ------------------------------------------------------------------------------------------

fn editors(names: &'static [(&'static str, &'static str)]) -> impl Fn(&Tree) {
    move |tree| {
        for (name, priority) in names {
            let path = format!("usr/bin/{name}");
            if !tree.path(&path).exists() {
                tree.install(&[Deb::new(name, "1").file(&path, name)]);
            }
            alternatives(tree, &["--install", "/usr/bin/editor", "editor", &format!("/{path}"), priority]);
        }
    }
}

fn alternatives(tree: &Tree, args: &[&str]) {
    let mut command = Command::new("update-alternatives");
    command.arg("--root").arg(tree.dir).arg("--quiet").args(args);
    need("update-alternatives", &mut command);
}

#[test]
fn g3_found_a_choice_by_hand_that_is_gone() {
    let case = Case::of(editors(&[("nano", "40"), ("ed", "10")]), editors(&[("nano", "40")]), |profile| {
        alternatives(profile, &["--set", "editor", "/usr/bin/ed"]);
    });
    case.is(&["G3 decision editor"]);
    let evidence = case.evidence("G3");
    assert_eq!(evidence["chosen by hand and gone"], "/usr/bin/ed");
    assert_eq!(evidence["chosen instead"], "/usr/bin/nano");
}

#[test]
fn g3_found_choices_of_both_sides() {
    let case = Case::of(
        editors(&[("nano", "40")]),
        editors(&[("nano", "40"), ("micro", "50")]),
        editors(&[("vim", "30")]),
    );
    case.is(&["G3 automatic editor", "P1 automatic /var/lib/dpkg/status"]);
    let evidence = case.evidence("G3");
    assert_eq!(evidence["choices"], "/usr/bin/micro, /usr/bin/nano, /usr/bin/vim");
    assert_eq!(evidence["chosen"], "/usr/bin/micro, the best");
}

#[test]
fn g3_found_a_group_whose_last_choice_goes() {
    let case = Case::of(editors(&[("nano", "40")]), nothing, |profile| {
        alternatives(profile, &["--set", "editor", "/usr/bin/nano"]);
    });
    case.is(&["G3 decision editor"]);
}

#[test]
fn g3_near_miss_a_choice_by_hand_that_stays() {
    let base = editors(&[("nano", "40"), ("ed", "10")]);
    let case = Case::of(&base, editors(&[("nano", "40"), ("ed", "10")]), |profile| {
        alternatives(profile, &["--set", "editor", "/usr/bin/ed"]);
        editors(&[("vim", "30")])(profile);
    });
    case.is(&[]);
}

// ---- G4, G5 --------------------------------------------------------------------------------------

fn with_triggers(names: &[&str]) -> impl Fn(&Tree) {
    let deb = |name: &&str| {
        Deb::new(name, "1")
            .file(&format!("usr/share/{name}/x"), "x")
            .control("triggers", &format!("interest-noawait /usr/share/{name}\n"))
    };
    let debs: Vec<Deb> = names.iter().map(deb).collect();
    move |tree| tree.install(&debs)
}

#[test]
fn g4_found_triggers_of_another_base() {
    let case = Case::of(with_triggers(&["one"]), with_triggers(&["one", "two"]), with_triggers(&["mine"]));
    case.is(&["G4 automatic /var/lib/dpkg/triggers", "P1 automatic /var/lib/dpkg/status"]);
}

#[test]
fn g4_near_miss_the_same_triggers_in_both_bases() {
    Case::on(with_triggers(&["one"]), with_triggers(&["mine"])).is(&[]);
}

#[test]
fn g5_found_records_of_a_package_of_the_base() {
    // Installed again: its records are in the profile, and its file is, as the base has it.
    let case = Case::of(tool("1"), tool("2"), |profile| tool("1")(profile));
    case.is(&[
        "G5 automatic tool",
        "P1 automatic /var/lib/dpkg/status",
        "F1 automatic /usr/bin/tool",
        "F1 automatic /usr/bin/other",
    ]);
}

#[test]
fn g5_near_miss_the_same_version_in_the_candidate() {
    let case = Case::on(tool("1"), |profile| tool("1")(profile));
    case.is(&["F1 automatic /usr/bin/tool", "F1 automatic /usr/bin/other"]);
}

#[test]
fn g6_found_backups() {
    let case = Case::on(nothing, |profile| {
        profile.write("var/lib/dpkg/status-old", "x");
        profile.write("etc/group-", "x");
    });
    assert_eq!(case.evidence("G6")["files"], "2");
}

#[test]
fn g6_near_miss_other_names_and_no_other_base() {
    let case = Case::on(nothing, |profile| {
        profile.write("etc/thing-", "x");
        profile.write("srv/status-old", "x");
    });
    assert!(!case.json(&["--base", "2"])["findings"].to_string().contains("G6"));
    Case::on(nothing, |profile| profile.write("var/lib/dpkg/status-old", "x")).doctor_is(&[]);
}

// ---- G7, G8 --------------------------------------------------------------------------------------

const CRON: &str = "etc/systemd/system/multi-user.target.wants/cron.service";
const HELPER: &str = "var/lib/systemd/deb-systemd-helper-enabled/cron.service.dsh-also";

fn unit(tree: &Tree, name: &str) {
    tree.write(&format!("usr/lib/systemd/system/{name}"), "[Service]\n");
}

fn enable(tree: &Tree, name: &str) {
    let dir = tree.path("etc/systemd/system/multi-user.target.wants");
    std::fs::create_dir_all(&dir).unwrap();
    let _ = std::fs::remove_file(dir.join(name));
    symlink(format!("/lib/systemd/system/{name}"), dir.join(name)).unwrap();
}

/// Units in /usr, those with a `+` enabled.
fn units(names: &'static [&'static str]) -> impl Fn(&Tree) {
    move |tree| {
        for name in names {
            unit(tree, name.trim_start_matches('+'));
            if let Some(name) = name.strip_prefix('+') {
                enable(tree, name);
            }
        }
    }
}

#[test]
fn g8_found_a_link_to_a_unit_that_goes() {
    let case = Case::of(units(&["cron.service"]), nothing, |profile| enable(profile, "cron.service"));
    case.is(&[&format!("G8 decision /{CRON}")]);
}

#[test]
fn g8_found_what_a_deleted_directory_hides() {
    let case = Case::of(units(&["+cron.service"]), units(&["+cron.service", "+new.service"]), |profile| {
        drop(profile.sh("rm -r etc/systemd/system/multi-user.target.wants"))
    });
    case.is(&["G8 automatic /etc/systemd/system/multi-user.target.wants/new.service"]);
}

#[test]
fn g8_found_an_alias_that_both_changed() {
    let alias = |target: &'static str| {
        move |tree: &Tree| {
            units(&["gdm.service", "sddm.service", "lightdm.service"])(tree);
            let link = tree.path("etc/systemd/system/display-manager.service");
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            let _ = std::fs::remove_file(&link);
            symlink(format!("/usr/lib/systemd/system/{target}"), link).unwrap();
        }
    };
    let case = Case::of(alias("gdm.service"), alias("sddm.service"), alias("lightdm.service"));
    // What stands for the packages of the units is nobody's, and the same everywhere.
    assert_eq!(
        case.findings().into_iter().filter(|line| !line.starts_with("F1 ")).collect::<Vec<_>>(),
        ["G8 decision /etc/systemd/system/display-manager.service"]
    );
}

#[test]
fn g8_found_a_copy_of_a_link_the_candidate_dropped() {
    let case = Case::of(units(&["+cron.service"]), units(&["cron.service"]), |profile| {
        enable(profile, "cron.service")
    });
    case.is(&[&format!("G8 automatic /{CRON}")]);
}

#[test]
fn g8_near_miss_enabled_disabled_and_masked_in_the_profile() {
    let base = units(&["+cron.service", "+timesync.service", "own.service", "getty@.service"]);
    let case = Case::of(&base, &base, |profile| {
        profile.remove(CRON);
        enable(profile, "own.service");
        enable(profile, "getty@tty1.service");
        symlink("/dev/null", profile.path("etc/systemd/system/timesync.service")).unwrap();
        profile.write("etc/systemd/system/mine.service", "[Service]\n");
        enable(profile, "mine.service");
        // Dangling here already: not the candidate's doing.
        enable(profile, "never.service");
    });
    case.is(&[]);
}

#[test]
fn g8_near_miss_the_candidate_writes_usr_in_its_links() {
    let new = |tree: &Tree| {
        unit(tree, "cron.service");
        let dir = tree.path("etc/systemd/system/multi-user.target.wants");
        std::fs::create_dir_all(&dir).unwrap();
        symlink("/usr/lib/systemd/system/cron.service", dir.join("cron.service")).unwrap();
    };
    Case::of(units(&["cron.service"]), new, |profile| enable(profile, "cron.service")).is(&[]);
}

#[test]
fn g7_found_a_note_of_another_base() {
    let note = |text: &'static str| move |tree: &Tree| tree.write(HELPER, text);
    Case::of(note("a\n"), note("b\n"), note("a\n")).is(&[&format!("G7 automatic /{HELPER}")]);
}

#[test]
fn g7_near_miss_a_note_of_the_profile() {
    Case::on(nothing, |profile| profile.write(HELPER, "a\n")).is(&[]);
}
