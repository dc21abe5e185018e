//! What dose says of a set: which packages cannot be installed with what is in it. It asks of each package whether
//! some choice of what it needs holds together, so it sees less and more than `apt-get check`: two packages that
//! break each other are both well as long as nobody needs both, and who needs a broken package is broken, too.

use std::collections::BTreeSet;
use std::process::Command;

use flipper_profiles::dpkg::Status;
use flipper_profiles::dpkg::relations::{Alternative, Kind, Relations};
use flipper_profiles::policy::closure::{Installed, Why};

const NO_DOSE: &str = "these tests ask dose: apt-get install dose-distcheck";

/// Name and architecture.
type Name = (String, String);
type Names = BTreeSet<Name>;

pub fn debcheck(status: &str) -> Names {
    let place = tempfile::tempdir().expect("make a directory");
    let file = place.path().join("status");
    std::fs::write(&file, status).expect("write a status");
    let mut dose = Command::new("dose-debcheck");
    dose.args([
        "--failures",
        "--deb-native-arch=amd64",
        "--deb-foreign-archs=i386",
        "--deb-ignore-essential",
    ]);
    let answer = dose.arg(&file).output().expect(NO_DOSE);
    let text = String::from_utf8(answer.stdout).expect("text");
    assert!(text.contains("\ntotal-packages:"), "dose: {}", String::from_utf8_lossy(&answer.stderr));
    let (mut broken, mut name, mut architecture) = (Names::new(), "", "");
    for line in text.lines() {
        match line.strip_prefix("  ").and_then(|l| l.split_once(": ")) {
            Some(("package", value)) => name = value,
            Some(("architecture", value)) => architecture = value,
            Some(("status", "broken")) => drop(broken.insert((name.to_owned(), architecture.to_owned()))),
            _ => {}
        }
    }
    broken
}

struct Needs {
    package: (String, String),
    /// Who meets each of its relations.
    met_by: Vec<Vec<(String, String)>>,
}

fn needs(status: &Status, installed: &Installed) -> Vec<Needs> {
    let of = |p: &flipper_profiles::dpkg::status::Package| {
        let mut met_by = Vec::new();
        for field in p.fields() {
            let Some(kind @ (Kind::Depends | Kind::PreDepends)) = Kind::of(&field) else { continue };
            let all: Vec<Alternative> =
                Relations::new(kind, &field).collect::<Result<_, _>>().expect("relations");
            for relation in all.split_inclusive(|alternative| alternative.last) {
                let providers = installed.providers(relation, p.architecture);
                met_by
                    .push(providers.iter().map(|p| (p.name.to_owned(), p.architecture.to_owned())).collect());
            }
        }
        Needs { package: (p.name.to_owned(), p.architecture.to_owned()), met_by }
    };
    status.packages.iter().map(of).collect()
}

/// What must be broken, and what may be: the latter is more only where packages break each other, since which
/// choice is left there is what dose has its solver for.
pub fn bounds(status: &str) -> (Names, Names) {
    let status = Status::parse(status.as_bytes()).expect("a status");
    let installed = Installed::new(&status, "amd64").expect("relations");
    let needs = needs(&status, &installed);
    let grow = |mut broken: Names, spreads: &dyn Fn(&[Name], &Names) -> bool| {
        loop {
            let more: Names = needs
                .iter()
                .filter(|n| n.met_by.iter().any(|by| spreads(by, &broken)))
                .map(|n| n.package.clone())
                .collect();
            if more.is_subset(&broken) {
                return broken;
            }
            broken.extend(more);
        }
    };
    let must = grow(Names::new(), &|by, broken| by.iter().all(|p| broken.contains(p)));
    let mut fighting = Names::new();
    for violation in installed.broken() {
        if let Why::Present(other) = violation.why {
            for id in [violation.package, other] {
                fighting.insert((id.name.to_owned(), id.architecture.to_owned()));
            }
        }
    }
    fighting.extend(must.iter().cloned());
    (must, grow(fighting, &|by, broken| by.iter().any(|p| broken.contains(p))))
}
