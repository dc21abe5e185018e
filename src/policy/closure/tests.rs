//! Small sets, each for one rule. What apt says of large ones: tests/relations.rs.

use super::*;

/// `NAME[:ARCH][=VERSION] FIELD: VALUE; ...`, one package a line; amd64 and 1 where nothing is said.
fn status(lines: &str) -> String {
    let paragraph = |line: &str| {
        let (package, fields) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let (package, version) = package.split_once('=').unwrap_or((package, "1"));
        let (name, architecture) = package.split_once(':').unwrap_or((package, "amd64"));
        let fields: String =
            fields.split("; ").filter(|f| !f.is_empty()).map(|f| format!("{}\n", f.trim())).collect();
        let state = if fields.contains("Status") { "" } else { "Status: install ok installed\n" };
        format!("Package: {name}\n{state}Architecture: {architecture}\nVersion: {version}\n{fields}\n")
    };
    lines.lines().filter(|l| !l.trim().is_empty()).map(paragraph).collect()
}

fn complaints(lines: &str) -> Vec<String> {
    let text = status(lines);
    let status = Status::parse(text.as_bytes()).unwrap();
    Installed::new(&status, "amd64").unwrap().broken().iter().map(|v| v.to_string()).collect()
}

#[test]
fn what_is_missing_is_said_with_its_reason() {
    let rows = [
        ("a Depends: b", "a:amd64 1 Depends: b, but nothing is or provides it"),
        ("a Pre-Depends: b (>= 2) | c\nb", "a:amd64 1 Pre-Depends: b (>= 2) | c, but b:amd64 1 is there"),
        (
            "a Depends: v (>= 2)\nb Provides: v",
            "a:amd64 1 Depends: v (>= 2), but b:amd64 1 provides no version of it",
        ),
        ("a Depends: v (>= 2)\nb Provides: v (= 1)", "a:amd64 1 Depends: v (>= 2), but b:amd64 1 provides 1"),
        ("a Depends: v\nb Provides: v (>= 1)", "a:amd64 1 Depends: v, but nothing is or provides it"),
        ("a Depends: b\nb:i386", "a:amd64 1 Depends: b, but b:i386 1 is there"),
        ("a Depends: b:any\nb Multi-Arch: foreign", "a:amd64 1 Depends: b:any, but b:amd64 1 is there"),
        ("a Depends: b:i386\nb Multi-Arch: foreign", "a:amd64 1 Depends: b:i386, but b:amd64 1 is there"),
        ("a:i386 Depends: b\nb Multi-Arch: allowed", "a:i386 1 Depends: b, but b:amd64 1 is there"),
        ("a:all Depends: b\nb:i386", "a 1 Depends: b, but b:i386 1 is there"),
        (
            "a Depends: b\nb Status: deinstall ok config-files",
            "a:amd64 1 Depends: b, but nothing is or provides it",
        ),
        (
            "a Depends: b\nb Status: install reinstreq half-installed",
            "a:amd64 1 Depends: b, but nothing is or provides it",
        ),
        ("a Breaks: b (<< 2)\nb", "a:amd64 1 Breaks: b (<< 2), and b:amd64 1 is there"),
        ("a Conflicts: v\nb Provides: v", "a:amd64 1 Conflicts: v, and b:amd64 1 is there"),
        ("a Conflicts: b\nb:i386", "a:amd64 1 Conflicts: b, and b:i386 1 is there"),
        (
            "a Conflicts: b\nb Status: install ok half-configured",
            "a:amd64 1 Conflicts: b, and b:amd64 1 is there",
        ),
    ];
    for (lines, wanted) in rows {
        assert_eq!(complaints(lines), [wanted], "{lines}");
    }
}

#[test]
fn what_holds() {
    for lines in [
        "a Depends: b (>= 1) | c, d\nb\nd",
        "a Depends: v, w (>= 2), w (<< 3)\nb Provides: v, w (= 2.5)",
        "a:i386 Depends: b, v\nb Multi-Arch: foreign; Provides: v",
        "a:i386 Depends: b:any\nb Multi-Arch: allowed",
        "a:i386 Depends: b:amd64, c:native\nb\nc:all",
        "a Depends: b:i386\nb:i386",
        "a:all Depends: b\nb",
        "a Depends: b\nb:all",
        "a Depends: a, v\na2\nb Provides: v",
        "a Depends: b, c, d, e\nb Status: install ok unpacked\nc Status: install ok half-configured\nd Status: install ok triggers-awaited\ne Status: hold ok triggers-pending",
        // Not installed, or about to go: nobody asks what they need.
        "a Status: deinstall ok config-files; Depends: x\nb Status: install ok half-installed; Depends: x",
        "a Breaks: b (<< 1), b (>> 1)\nb",
        "a Conflicts: v (<< 1), v (= 1)\nb Provides: v",
        // No package is against itself or what it provides.
        "a Conflicts: a, v; Breaks: a (<< 2); Provides: v",
        "a:i386 Multi-Arch: same; Conflicts: a, v; Provides: v\na:amd64 Multi-Arch: same; Conflicts: a, v; Provides: v",
        "a Conflicts: b:i386\nb",
        "a Recommends: x; Suggests: y; Enhances: z; Replaces: b\nb",
    ] {
        assert_eq!(complaints(lines), [""; 0], "{lines}");
    }
}

#[test]
fn siblings_are_same_and_of_one_version_or_not_there() {
    assert_eq!(complaints("a:amd64=0:1 Multi-Arch: same\na:i386=1-0 Multi-Arch: same"), [""; 0]);
    assert_eq!(
        complaints("libc6=2.41 Multi-Arch: same\nlibc6:i386=2.36 Multi-Arch: same"),
        [
            "libc6:amd64 2.41 Breaks: libc6:i386 (!= 2.41), and libc6:i386 2.36 is there",
            "libc6:i386 2.36 Breaks: libc6:amd64 (!= 2.36), and libc6:amd64 2.41 is there",
        ]
    );
    assert_eq!(
        complaints("a:all Multi-Arch: same\na:i386 Multi-Arch: same"),
        ["a 1 Conflicts: a:i386, and a:i386 1 is there"]
    );
    assert_eq!(complaints("a Multi-Arch: foreign\na:i386").len(), 2);
}

#[test]
fn who_needs_whom() {
    let text = status(
        "libssl3\nlibssl3t64 Provides: libssl3 (= 1), tls\nold Pre-Depends: libssl3\nnew Depends: libssl3t64 (>= 1)\n\
         mail Depends: tls | libc, libssl3t64\nself Depends: self\nlibssl3t64:i386 Provides: libssl3 (= 1)\nshell:all Essential: yes",
    );
    let status = Status::parse(text.as_bytes()).unwrap();
    let all = Installed::new(&status, "amd64").unwrap();
    let needs = |name, architecture| -> Vec<String> {
        let needs = all.who_needs(name, architecture);
        needs.iter().map(|n| format!("{} {}: {}", n.package.name, n.kind.name(), n.relation)).collect()
    };
    let wanted = ["new Depends: libssl3t64 (>= 1)", "mail Depends: tls | libc", "mail Depends: libssl3t64"];
    assert_eq!(needs("libssl3t64", "amd64"), wanted);
    assert_eq!(needs("libssl3t64", ""), wanted);
    // `old` has another way, nobody needs the sibling, no one needs itself, and who is not there is not needed.
    for nobody in [("libssl3", ""), ("libssl3t64", "i386"), ("self", ""), ("nothing", "")] {
        assert_eq!(needs(nobody.0, nobody.1), [""; 0], "{nobody:?}");
    }
    let successors = all.successors("libssl3");
    assert_eq!(
        successors.iter().map(|(id, version)| (id.to_string(), *version)).collect::<Vec<_>>(),
        [("libssl3t64:amd64 1".to_owned(), Some("1")), ("libssl3t64:i386 1".to_owned(), Some("1")),]
    );
    let wanted = Alternative { name: "libssl3", architecture: None, version: None, last: true };
    let providers = |architecture| all.providers(&[wanted], architecture).len();
    assert_eq!((providers("amd64"), providers("all"), providers("i386"), providers("armhf")), (2, 2, 1, 0));
    assert!(all.contains("old", "") && all.contains("old", "amd64") && !all.contains("old", "i386"));
}

#[test]
fn an_essential_package_may_be_missing() {
    let (there, here) = (status("sh:all Essential: yes\nls Essential: yes\nx"), status("sh"));
    let (there, here) = (Status::parse(there.as_bytes()).unwrap(), Status::parse(here.as_bytes()).unwrap());
    let there = Installed::new(&there, "amd64").unwrap();
    let here = Installed::new(&here, "amd64").unwrap();
    assert_eq!(here.missing_essential(&there).iter().map(|p| p.name).collect::<Vec<_>>(), ["ls"]);
    assert!(there.missing_essential(&here).is_empty());
}

#[test]
fn a_broken_relation_is_named_and_dpkg_tells_its_architecture() {
    let text = status("a\nb Depends: x y");
    let status = Status::parse(text.as_bytes()).unwrap();
    let error = Installed::new(&status, "amd64").err().unwrap().to_string();
    assert_eq!(error, "line 10: expected a comma behind a package, found \"y\"");
    let twice = text.replace("x y", "x\nDepends: y");
    let error = Installed::new(&Status::parse(twice.as_bytes()).unwrap(), "amd64").err().unwrap();
    assert_eq!(error.to_string(), "line 11: expected each field once, found \"Depends\"");
    assert_eq!(native_architecture(&status), None);
    let text = super::tests::status("dpkg:arm64\na:amd64");
    assert_eq!(native_architecture(&Status::parse(text.as_bytes()).unwrap()), Some("arm64"));
}

#[test]
fn should_one_be_there_twice_the_last_one_counts() {
    assert_eq!(complaints("b=1\na Depends: b (= 2)\nb=2"), [""; 0]);
    assert_eq!(complaints("b\na Depends: b\nb Status: deinstall ok config-files").len(), 1);
}
