//! One row a case. A status is written as `name version state`, separated by commas; `name:arch` where
//! it matters, and the want behind the state where it is not `install`.

use super::*;
use crate::dpkg::hook_stream;

/// `nginx:all 1.0 installed hold` as a paragraph; the architecture is amd64 unless it is given.
fn text(rows: &str) -> String {
    let paragraph = |row: &str| {
        let words: Vec<_> = row.split_whitespace().collect();
        let (name, arch) = words[0].split_once(':').unwrap_or((words[0], "amd64"));
        let want = words.get(3).unwrap_or(&"install");
        let same = if name.starts_with("lib") { "Multi-Arch: same\n" } else { "" };
        let version = if words[1] == "-" { String::new() } else { format!("Version: {}\n", words[1]) };
        let state = words[2];
        format!("Package: {name}\nStatus: {want} ok {state}\nArchitecture: {arch}\n{same}{version}\n")
    };
    rows.split(',').filter(|row| !row.trim().is_empty()).map(paragraph).collect()
}

/// `upgrade nginx:amd64 1 2`, separated by commas.
fn plan(rows: &str) -> Vec<Planned> {
    let row = |row: &str| {
        let words: Vec<_> = row.split_whitespace().collect();
        let (package, architecture) = words[1].split_once(':').unwrap_or((words[1], "amd64"));
        let version = |at: usize| words.get(at).filter(|v| **v != "-").map(|v| v.to_string());
        Planned {
            package: package.into(),
            architecture: architecture.into(),
            old: version(2),
            new: version(3),
            action: serde_json::from_value(words[0].into()).unwrap(),
        }
    };
    rows.split(',').filter(|r| !r.trim().is_empty()).map(row).collect()
}

fn or_dash(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("-")
}

fn show_plan(p: &Planned) -> String {
    let action = p.action.past();
    format!("{action} {}:{} {} {}", p.package, p.architecture, or_dash(&p.old), or_dash(&p.new))
}

#[test]
fn every_package_of_the_stream_is_counted_once() {
    for (lines, wanted) in [
        (
            "a - - none < 2 amd64 none /a.deb\na - - none < 2 amd64 none **CONFIGURE**",
            "installed a:amd64 - 2",
        ),
        ("a 1 all none < 2 all none **CONFIGURE**\na 1 all none < 2 all none /a.deb", "upgraded a:all 1 2"),
        ("a 2 amd64 none > 1 amd64 none /a.deb", "downgraded a:amd64 2 1"),
        ("a 1 amd64 none = 1 amd64 none /a.deb", "reinstalled a:amd64 1 1"),
        ("a 1 amd64 none > - - none **REMOVE**", "removed a:amd64 1 -"),
        ("a 1 amd64 none = 1 amd64 none **CONFIGURE**", "configured a:amd64 1 1"),
        ("a 1 all none < 2 amd64 none /a.deb", "upgraded a:amd64 1 2"),
        (
            "a 1 amd64 none < 2 amd64 none **REMOVE**\na 1 amd64 none < 2 amd64 none /a.deb",
            "upgraded a:amd64 1 2",
        ),
        (
            "lib - - none < 1 i386 same /a.deb\nlib 1 amd64 same = 1 amd64 same /b.deb",
            "installed lib:i386 - 1, reinstalled lib:amd64 1 1",
        ),
    ] {
        let stream = hook_stream::parse(format!("VERSION 3\n\n{lines}\n").as_bytes()).unwrap();
        let found: Vec<_> = planned(&stream).iter().map(show_plan).collect();
        assert_eq!(found.join(", "), wanted, "{lines}");
    }
    let version_1 = hook_stream::parse(b"/p/a_2_all.deb\n").unwrap();
    assert_eq!(show_plan(&planned(&version_1)[0]), "installed a:all - 2");
}

/// `action name:arch old new [auto] [stuck]`
fn show_change(c: &Change) -> String {
    let action = c.action.past();
    let (old, new) = (or_dash(&c.old), or_dash(&c.new));
    let auto = if c.auto == Some(true) { " auto" } else { "" };
    let stuck = c.stuck.as_ref().map_or(String::new(), |s| format!(" {s}"));
    format!("{action} {}:{} {old} {new}{auto}{stuck}", c.package, c.architecture)
}

#[test]
fn what_changed() {
    for (before, after, plans, wanted) in [
        ("a 1 installed", "a 1 installed", "", ""),
        ("", "a 1 installed", "", "installed a:amd64 - 1"),
        ("", "b:all 1 installed", "", "installed b:all - 1 auto"),
        ("a 1 config-files deinstall", "a 1 installed", "", "installed a:amd64 - 1"),
        ("a 1 installed", "a 2 installed", "", "upgraded a:amd64 1 2"),
        ("a 1.10 installed", "a 1.9 installed", "", "downgraded a:amd64 1.10 1.9"),
        ("a 1 installed", "a 1 config-files deinstall", "", "removed a:amd64 1 -"),
        ("a 1 installed", "", "", "purged a:amd64 1 -"),
        ("a 1 installed", "a - not-installed purge", "", "purged a:amd64 1 -"),
        ("a 1 config-files deinstall", "", "", "purged a:amd64 1 -"),
        ("a 1 installed", "a 1 installed", "reinstall a 1 1", "reinstalled a:amd64 1 1"),
        (
            "a 1 installed",
            "a 1 half-configured",
            "reinstall a 1 1",
            "reinstalled a:amd64 1 1 half-configured",
        ),
        ("a 1 installed", "a 1.0-0 installed", "", "upgraded a:amd64 1 1.0-0"),
        ("a 1.0 installed", "a 1.0-0 installed", "", "reinstalled a:amd64 1.0 1.0-0"),
        ("a 1 unpacked", "a 1 installed", "", "configured a:amd64 1 1"),
        ("a 1 triggers-pending", "a 1 installed", "configure a 1 1", "configured a:amd64 1 1"),
        ("a 1 installed", "a 1 triggers-awaited", "", "configured a:amd64 1 1 triggers-awaited"),
        ("a 1 installed", "a 1 installed hold", "", "marked a:amd64 1 1"),
        ("a 1 config-files deinstall", "a 1 config-files purge", "", "marked a:amd64 - -"),
        ("a - not-installed", "a - not-installed purge", "", ""),
        ("", "a 1 unpacked", "", "installed a:amd64 - 1 unpacked"),
        ("a 1 installed", "a 2 half-configured", "upgrade a 1 2", "upgraded a:amd64 1 2 half-configured"),
        // prerm failed: the old version, no longer whole
        ("a 1 installed", "a 1 half-installed", "upgrade a 1 2", "upgraded a:amd64 1 1 half-installed"),
        ("a 1 installed", "a 1 half-configured deinstall", "", "removed a:amd64 1 1 half-configured"),
        ("a 1 installed", "a 1 half-configured", "remove a 1 -", "removed a:amd64 1 1 half-configured"),
        // stuck before and as it was: not this run's
        ("a 1 half-configured", "a 1 half-configured", "configure a 1 1", ""),
        // one package that changed its architecture, and two that never were one
        ("a:all 1 installed", "a:amd64 2 installed", "upgrade a:amd64 1 2", "upgraded a:amd64 1 2"),
        ("a:all 1 installed", "a:amd64 1 installed", "reinstall a 1 1", "reinstalled a:amd64 1 1"),
        (
            "a:i386 1 installed",
            "a:i386 1 config-files, a 1 installed",
            "",
            "installed a:amd64 - 1, removed a:i386 1 -",
        ),
        ("lib:i386 1 installed", "lib:amd64 1 installed", "", "installed lib:amd64 - 1, purged lib:i386 1 -"),
        ("a - half-installed", "a 1 installed", "", "installed a:amd64 - 1"),
        ("a 1 installed", "b 1 installed", "", "purged a:amd64 1 -, installed b:amd64 - 1 auto"),
    ] {
        let (before_text, after_text) = (text(before), text(after));
        let statuses = [&before_text, &after_text].map(|t| Status::parse(t.as_bytes()).unwrap());
        let marks = b"Package: b\nArchitecture: amd64\nAuto-Installed: 1\n";
        let auto = ExtendedStates::parse(marks).unwrap();
        let found = changes(&statuses[0], &statuses[1], &auto, &plan(plans));
        let found: Vec<_> = found.iter().map(show_change).collect();
        assert_eq!(found.join(", "), wanted, "{before} -> {after}, planned {plans}");
    }
}

#[test]
fn how_it_ended() {
    for (plans, before, after, wanted) in [
        ("", "", "a 1 installed", ""),
        ("install a - 1", "", "a 1 installed", ""),
        ("install a - 1", "", "a 2 installed", "a was not installed"),
        ("install a - 1", "", "", "a was not installed"),
        ("install a - 1", "", "a 1 unpacked", "a is unpacked"),
        ("upgrade a 1 2", "a 1 installed", "a 1 installed", "a was not upgraded"),
        ("remove a 1 -", "a 1 installed", "a 1 config-files deinstall", ""),
        ("remove a 1 -", "a 1 installed", "", ""),
        ("remove a 1 -", "a 1 installed", "a 1 installed deinstall", "a was not removed"),
        ("install a: - 1", "", "a 1 installed", ""),
        ("install a: - -", "", "a 1 installed", ""),
        ("mark a 1 1", "", "", ""),
        ("configure a 1 1", "a 1 unpacked", "a 1 installed", ""),
        (
            "install a - 1, install b - 1",
            "",
            "b 1 installed",
            "1 of 2 packages reached their state; a was not installed",
        ),
        (
            "install a - 1, install b - 1",
            "",
            "a 1 unpacked, b 1 half-configured",
            "0 of 2 packages reached their state; b is half-configured and 1 more not settled",
        ),
        // stuck before and still: apt tried, and it is what the person must know
        ("", "c 1 half-configured", "c 1 half-configured", "c is half-configured"),
        (
            "install b - 1",
            "a 1 half-configured",
            "a 1 half-configured, b 1 unpacked",
            "b is unpacked and 1 more not settled",
        ),
        ("install b - 1", "", "b 1 installed, c 1 triggers-awaited", "c is triggers-awaited"),
    ] {
        let (before_text, after_text) = (text(before), text(after));
        let before = Status::parse(before_text.as_bytes()).unwrap();
        let after = Status::parse(after_text.as_bytes()).unwrap();
        let plans = plan(plans);
        let changes = changes(&before, &after, &ExtendedStates::default(), &plans);
        let (state, reason) = state(&plans, &changes, &after);
        assert_eq!(reason.as_deref().unwrap_or(""), wanted, "{plans:?} {after_text}");
        assert_eq!(state, if wanted.is_empty() { State::Completed } else { State::Failed });
    }
}

#[test]
fn a_point_is_dropped_only_when_dpkg_never_wrote() {
    for (before, now, updates_empty, wanted) in [
        (Some(7), Some(7), true, true),
        (Some(7), Some(7), false, false),
        (Some(7), Some(8), true, false),
        (Some(7), None, true, false),
        (None, None, true, false),
    ] {
        let found = never_wrote(before, now, updates_empty);
        assert_eq!(found, wanted, "{before:?} {now:?} {updates_empty}");
    }
}

#[test]
fn counts_as_people_read_them() {
    use Action::*;
    for (counts, wanted) in [
        (&[][..], "nothing changed"),
        (&[(Install, 0)], "nothing changed"),
        (&[(Install, 2), (Upgrade, 7)], "7 upgraded, 2 installed"),
        (&[(Purge, 1), (Remove, 3), (Mark, 1)], "3 removed, 1 purged, 1 marked"),
    ] {
        assert_eq!(summary(&counts.iter().copied().collect()), wanted);
    }
}

#[test]
fn what_still_has_its_old_version_was_not_unpacked() {
    let planned = plan("upgrade a 1 2, upgrade b 1 2, downgrade c 2 1, install d - 1, upgrade e 1 2");
    let after = text("a 1 installed, b 2 installed, c 2 installed, e 1 half-installed");
    let after = Status::parse(after.as_bytes()).unwrap();
    let names: Vec<&str> = not_unpacked(&planned, &after).map(|plan| plan.package.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
}
