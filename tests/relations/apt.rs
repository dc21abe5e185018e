//! What apt says of a status: `apt-get check` with no lists, no cache and no configuration of this machine.

use std::collections::BTreeSet;
use std::process::Command;

use flipper_profiles::dpkg::Status;
use flipper_profiles::dpkg::deb822::Field;
use flipper_profiles::dpkg::relations::{Alternative, Kind, Relations};
use flipper_profiles::policy::closure::{Installed, Violation};

const NO_APT: &str = "these tests ask apt itself: apt-get install apt";

/// `package field: relation`, in apt's words.
pub type Complaints = BTreeSet<String>;

pub fn check(status: &str) -> Complaints {
    let place = tempfile::tempdir().expect("make a directory");
    std::fs::create_dir_all(place.path().join("lists/partial")).expect("make a directory");
    std::fs::write(place.path().join("status"), status).expect("write a status");
    let at = |option: &str, name: &str| format!("{option}={}", place.path().join(name).display());
    let mut apt = Command::new("apt-get");
    apt.env("LC_ALL", "C.UTF-8").env("APT_CONFIG", "/dev/null").arg("check");
    for option in [
        at("Dir::State::status", "status"),
        at("Dir::State::Lists", "lists"),
        "Dir::State::extended_states=/dev/null".into(),
        "Dir::Etc::sourcelist=/dev/null".into(),
        "Dir::Etc::sourceparts=/dev/null".into(),
        "Dir::Cache::pkgcache=".into(),
        "Dir::Cache::srcpkgcache=".into(),
        "APT::Architecture=amd64".into(),
        "APT::Architectures::=amd64".into(),
        "APT::Architectures::=i386".into(),
        "APT::Install-Recommends=false".into(),
        "Debug::NoLocking=yes".into(),
    ] {
        apt.args(["-o", &option]);
    }
    let answer = apt.output().expect(NO_APT);
    let said = String::from_utf8(answer.stdout).expect("text");
    let complaints = read(&said);
    let errors = String::from_utf8_lossy(&answer.stderr);
    match answer.status.code() {
        Some(0) => assert!(complaints.is_empty(), "{said}"),
        Some(100) => assert!(!complaints.is_empty(), "apt-get check says nothing but\n{errors}"),
        _ => panic!("apt-get check: {}\n{errors}", answer.status),
    }
    complaints
}

/// ` curl : Depends: a (> 1) but it is not installed or`, and the lines below it.
fn read(said: &str) -> Complaints {
    let list = said.split_once("unmet dependencies:\n").map_or("", |(_, list)| list);
    let (mut package, mut relations) = ("", Vec::new());
    for line in list.lines() {
        let mut rest = line.trim();
        let starts = line.as_bytes().get(1).is_some_and(|b| *b != b' ');
        if let Some((name, more)) = rest.split_once(" : ").filter(|_| starts) {
            (package, rest) = (name, more);
        }
        let kind = ["Depends", "PreDepends", "Breaks", "Conflicts"]
            .into_iter()
            .find(|kind| rest.strip_prefix(kind).is_some_and(|after| after.starts_with(": ")));
        let target = kind.map_or(rest, |kind| &rest[kind.len() + 2..]).trim_end_matches(" or");
        let target = target.split_once(" but ").map_or(target, |(target, _)| target).trim();
        match kind {
            Some(kind) => relations.push((package, kind, target.to_owned())),
            None => {
                let last = relations.last_mut().unwrap_or_else(|| panic!("{line:?} of\n{said}"));
                last.2 += &format!(" | {target}");
            }
        }
    }
    let shown = |(package, kind, relation): (&str, &str, String)| {
        let relation = if kind.ends_with("Depends") { relation } else { of_no_architecture(&relation) };
        format!("{package} {kind}: {relation}")
    };
    relations.into_iter().map(shown).collect()
}

/// apt names every architecture that a Breaks or Conflicts hits or could hit.
fn of_no_architecture(relation: &str) -> String {
    let (name, version) = relation.split_once(" (").unwrap_or((relation, ""));
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    if version.is_empty() { name.to_owned() } else { format!("{name} ({version}") }
}

/// The same of us.
pub fn ours(status: &str) -> Complaints {
    let status = Status::parse(status.as_bytes()).expect("a status");
    let installed = Installed::new(&status, "amd64").expect("relations");
    installed.broken().iter().map(in_apts_words).collect()
}

fn in_apts_words(violation: &Violation) -> String {
    let package = violation.package;
    let foreign = !matches!(package.architecture, "amd64" | "all");
    let architecture = if foreign { format!(":{}", package.architecture) } else { String::new() };
    let (kind, relation) = match violation.kind {
        Kind::Breaks | Kind::Conflicts => (violation.kind.name(), of_no_architecture(&violation.relation)),
        kind => (if kind == Kind::PreDepends { "PreDepends" } else { "Depends" }, violation.relation.clone()),
    };
    if relation.contains("(!= ") {
        return format!("{}{architecture} {kind}: {relation}", package.name);
    }
    let field = Field { name: b"Depends", raw: relation.as_bytes(), line: 1 };
    let target = |a: Alternative| {
        let qualifier = match a.architecture {
            None if violation.kind == Kind::Breaks || violation.kind == Kind::Conflicts => "",
            None => architecture.trim_start_matches(':'),
            Some("native") => "amd64",
            Some(named) => named,
        };
        let name = if qualifier.is_empty() { a.name.to_owned() } else { format!("{}:{qualifier}", a.name) };
        match a.version {
            None => name,
            // apt has `<` for `<<`.
            Some((operator, version)) => {
                format!("{name} ({} {version})", operator.name().replace("<<", "<").replace(">>", ">"))
            }
        }
    };
    let relation: Vec<String> =
        Relations::new(Kind::Depends, &field).map(|a| target(a.expect("an alternative"))).collect();
    format!("{}{architecture} {kind}: {}", package.name, relation.join(" | "))
}
