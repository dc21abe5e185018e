//! Relations and what they make of a set of packages, beside dpkg, apt and dose: real packages of Debian, from
//! apt's lists, and real packages with something wrong about them. All three must be there; a test that skips
//! itself would say nothing.

#[path = "relations/apt.rs"]
mod apt;
#[path = "relations/archive.rs"]
mod archive;
#[path = "relations/dose.rs"]
mod dose;
#[path = "relations/dpkg.rs"]
mod dpkg;
mod long;
#[path = "relations/made.rs"]
mod made;
#[path = "relations/merge.rs"]
mod merge;

use apt::Complaints;
use archive::archive;
use flipper_profiles::dpkg::Status;
use flipper_profiles::dpkg::relations::{Alternative, Kind, Relations, text};
use made::{Made, Random};

/// Every fourth is as Debian has it.
fn made(seed: u64) -> Vec<Made> {
    let mut random = Random::new(seed);
    let mut set = made::closed(archive(), &mut random);
    for _ in 0..if seed % 4 == 0 { 0 } else { 1 + random.below(8) } {
        made::spoil(&mut set, &mut random);
    }
    set
}

/// Only what differs, and where the status is.
fn same(seed: u64, status: &str, ours: &Complaints, theirs: &Complaints) {
    if ours != theirs {
        let file = std::env::temp_dir().join(format!("relations-{seed}.status"));
        std::fs::write(&file, status).expect("write the status");
        let (more, less): (Vec<_>, Vec<_>) =
            (ours.difference(theirs).collect(), theirs.difference(ours).collect());
        panic!("seed {seed}, {}: only we say {more:#?}, only they say {less:#?}", file.display());
    }
}

#[test]
fn sets_are_broken_where_apt_says_so() {
    let (mut broken, mut whole) = (0, 0);
    for seed in 0..long::pick(60, 1000) {
        let status = made::status(&made(seed));
        let ours = apt::ours(&status);
        same(seed, &status, &ours, &apt::check(&status));
        *if ours.is_empty() { &mut whole } else { &mut broken } += 1;
    }
    assert!(broken > 10 && whole > 3, "{broken} broken, {whole} whole");
}

#[test]
fn sets_are_broken_where_dose_says_so() {
    let (mut broken, mut exact) = (0, 0);
    for seed in 0..long::pick(60, 1000) {
        let mut set: Vec<Made> = made(seed).into_iter().filter(|p| p.state == "installed").collect();
        for (name, value) in set.iter_mut().flat_map(|p| &mut p.fields) {
            // dose has `:any` met by any package of the own architecture, and `:i386` by whoever is Multi-Arch:
            // foreign; dpkg and apt do not.
            for qualifier in [":any", ":native", ":i386", ":amd64"] {
                *value = value.replace(qualifier, "");
            }
            // It dies of a Provides with another operator than `=`.
            if name == "Provides" {
                *value = value.split(", ").filter(|p| !p.contains("(>=")).collect::<Vec<_>>().join(", ");
            }
        }
        let status = made::status(&set);
        let (theirs, (must, may)) = (dose::debcheck(&status), dose::bounds(&status));
        if !(must.is_subset(&theirs) && theirs.is_subset(&may)) {
            let file = std::env::temp_dir().join(format!("relations-dose-{seed}.status"));
            std::fs::write(&file, status).expect("write the status");
            let (missed, more): (Vec<_>, Vec<_>) =
                (must.difference(&theirs).collect(), theirs.difference(&may).collect());
            panic!("seed {seed}, {}: dose misses {missed:?} and has {more:?} more", file.display());
        }
        broken += usize::from(!theirs.is_empty());
        exact += usize::from(must == may);
    }
    assert!(broken > 10 && exact > 10, "{broken} broken, {exact} exact");
}

/// What a check tells of a profile and a candidate is what apt says of the merged database, but for what it
/// said of the profile before.
#[test]
fn merges_are_broken_where_apt_says_so() {
    let (mut broken, mut before, mut written) = (0, 0, 0);
    for seed in 0..long::pick(30, 600) {
        let three = merge::three(seed);
        let status = three.synthesised();
        let theirs = apt::check(&status);
        same(seed, &status, &apt::ours(&status), &theirs);
        let of_mine = apt::check(three.mine());
        let new: std::collections::BTreeSet<String> = theirs
            .difference(&of_mine)
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(three.told(), new, "seed {seed}");
        broken += usize::from(!new.is_empty());
        before += usize::from(!of_mine.is_empty());
        written += usize::from(merge::is_in_dpkgs_order(&status));
    }
    assert!(broken > 10 && before > 5 && written > 5, "{broken} broken, {before} before, {written} written");
}

#[test]
fn real_versions_are_in_dpkgs_order() {
    let mut random = Random::new(5);
    let versions: Vec<&str> = archive().packages.iter().map(|p| p.version).collect();
    assert!(versions.iter().all(|version| made::is_version(version)));
    let mut pairs = Vec::new();
    while pairs.len() < long::pick(5_000, 100_000) {
        let first = random.one(&versions).to_owned();
        let second = match random.below(4) {
            0 => random.one(&versions).to_owned(),
            1 => made::another_version(&made::another_version(&first, &mut random), &mut random),
            _ => made::another_version(&first, &mut random),
        };
        if made::is_version(&second) {
            pairs.push((first, second));
        }
    }
    assert_eq!(dpkg::disagrees(&pairs), [""; 0]);
}

fn ours(kind: Kind, field: flipper_profiles::dpkg::deb822::Field) -> Result<String, String> {
    let read: Result<Vec<Alternative>, _> = Relations::new(kind, &field).collect();
    read.map(|alternatives| text(&alternatives)).map_err(|e| e.to_string())
}

/// Every field of every package of Debian; in the short form of every twentieth.
#[test]
fn real_relations_are_written_as_dpkg_writes_them() {
    let names: std::collections::HashSet<&str> = archive().packages.iter().map(|p| p.name).collect();
    let some = archive().packages.iter().step_by(long::pick(20, 1)).filter(|p| names.contains(p.name));
    let mut seen = std::collections::HashSet::new();
    let set: Vec<Made> = some.filter(|p| seen.insert(p.name)).map(Made::of).collect();
    let status_text = made::status(&set);
    let status = Status::parse(status_text.as_bytes()).expect("a status");
    for kind in Kind::ALL {
        let written = dpkg::written(&status_text, kind.name()).expect("dpkg-query refuses it");
        assert_eq!(written.len(), set.len());
        let mut fields = 0;
        for (name, theirs) in written {
            let package = status.find(&name, "").expect("it is there");
            let field = package.fields().find(|f| Kind::of(f) == Some(kind));
            fields += usize::from(field.is_some());
            assert_eq!(field.map_or(Ok(String::new()), |f| ours(kind, f)), Ok(theirs), "{name}");
        }
        assert!(fields > 10, "{fields} {}", kind.name());
    }
}

/// What dpkg refuses we refuse, and what it takes we take and write as it does; only capitals, which policy
/// forbids, it makes small.
#[test]
fn relations_are_read_as_strictly_as_by_dpkg() {
    let (mut taken, mut refused) = (0, 0);
    let values = [
        "a",
        "a b",
        "a,b",
        "a , b",
        "a,",
        ",a",
        ",",
        "a,,b",
        "a|b",
        "a | b,c",
        "a |",
        "|a",
        "a||b",
        "a |,b",
        "a\n ,b",
        "a,\n b",
        "\n a",
        "a\n",
        "a:any",
        "a:native",
        "a:i386",
        "a:",
        "a :any",
        "a: any",
        "a:any:any",
        "a:-x",
        "a:any (>= 1)",
        "a(>=1)",
        "a( >= 1 )",
        "a\t(>=\t1)",
        "a (>= 1",
        "a (>= 1))",
        "a >= 1",
        "a (>= )",
        "a ()",
        "a (1)",
        "a (=1)",
        "a (< 1)",
        "a (> 1)",
        "a (<1)",
        "a (<< 1)",
        "a (>> 1)",
        "a (<> 1)",
        "a (>< 1)",
        "a (>=1 2)",
        "a (>= 1) (<< 2)",
        "a (>= 1)b",
        "a (>=\n 1)",
        "a (= 0:1)",
        "a (= 00:1-0)",
        "a (= 012:1)",
        "a (= 0:1:2)",
        "a (= 1-0)",
        "a (= 1:1-2-3)",
        "a [amd64]",
        "a <!x>",
        "a/b",
        "../a",
        "a.b+c-d_e",
        "_a",
        "-a",
        "+a",
        "a_",
        "0",
        "a;b",
        "\u{e9}",
        "a (>=1), a (<< 2), a",
        "a{b}",
        "a*",
    ];
    for kind in Kind::ALL {
        for value in values {
            let status = format!(
                "Package: p\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nMaintainer: me\n{}: {value}\nDescription: x\n",
                kind.name()
            );
            let theirs = dpkg::written(&status, kind.name()).map(|mut all| all.remove(0).1);
            let package = Status::parse(status.as_bytes()).map_err(|e| e.to_string());
            let ours = package.and_then(|s| {
                ours(kind, s.packages[0].fields().find(|f| Kind::of(f) == Some(kind)).expect("it"))
            });
            assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{}: {value:?}: {ours:?}", kind.name());
            *if ours.is_ok() { &mut taken } else { &mut refused } += 1;
        }
    }
    assert!(taken > 150 && refused > 150, "{taken} taken, {refused} refused");
}
