//! What does not hold together in the merged database (P11), and packages of which two architectures must
//! be of one version and are not (P16).

use std::collections::BTreeMap;

use crate::dpkg::relations::Kind;
use crate::dpkg::status::{Package, Want};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity};
use crate::policy::closure::{PackageId, Violation, Why};

use super::named;

pub fn find(look: &Look, found: &mut Vec<Finding>) {
    if look.is_doctor() {
        found
            .extend(grouped(look, &look.together.broken_before).into_iter().map(|group| before(look, group)));
        return;
    }
    for group in grouped(look, &look.together.broken) {
        let of_the_candidate = group.violations.iter().all(|v| look.together.is_of_the_candidate(v));
        found.push(match group.class {
            _ if of_the_candidate => of_the_base(look, group),
            Class::P16 => out_of_step(look, group),
            _ => broken(look, group),
        });
    }
}

/// What does not hold about one package.
struct Group<'s, 'a> {
    class: Class,
    subject: PackageId<'a>,
    violations: Vec<&'s Violation<'a>>,
}

fn grouped<'s, 'a>(look: &Look<'a>, violations: &'s [Violation<'a>]) -> Vec<Group<'s, 'a>> {
    let mut groups: BTreeMap<(Class, &str, &str), Group<'s, 'a>> = BTreeMap::new();
    for violation in violations {
        let class = if is_of_siblings(violation) { Class::P16 } else { Class::P11 };
        let subject = subject(look, violation);
        let group = groups.entry((class, subject.name, subject.architecture));
        group.or_insert_with(|| Group { class, subject, violations: Vec::new() }).violations.push(violation);
    }
    groups.into_values().collect()
}

/// Two architectures of one package.
fn is_of_siblings(violation: &Violation) -> bool {
    let breaks = matches!(violation.kind, Kind::Breaks | Kind::Conflicts);
    breaks && matches!(violation.why, Why::Present(other) if other.name == violation.package.name)
}

/// The package that has to change: of the two that cannot stand beside each other, the profile's own.
fn subject<'a>(look: &Look<'a>, violation: &Violation<'a>) -> PackageId<'a> {
    match violation.why {
        Why::Present(other) if !is_own(look, &violation.package) && is_own(look, &other) => other,
        _ => violation.package,
    }
}

fn is_own(look: &Look, id: &PackageId) -> bool {
    row(look, id).is_some_and(|row| matches!(row.fate, Fate::Keep | Fate::Override))
}

fn row<'s, 'a>(look: &'s Look<'a>, id: &PackageId) -> Option<&'s Row<'a>> {
    look.together.row(id).map(|at| &look.rows[at])
}

fn finding(look: &Look, group: &Group, severity: Severity, rebase: &str) -> Finding {
    let package = row(look, &group.subject).and_then(|row| row.merged());
    let name = package.map_or_else(|| group.subject.name.to_owned(), |package| named(look, package));
    Finding::package(group.class, severity, &name, rebase).seen("does not hold", text(&group.violations))
}

fn text(violations: &[&Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(|violation| violation.to_string()).collect();
    lines.join("; ")
}

/// P11: rebase upgrades, and cannot without a network.
fn broken(look: &Look, group: Group) -> Finding {
    let rebase = match is_own(look, &group.subject) {
        true => {
            "upgrades it with apt from the candidate's sources; is refused where there is no such version or no \
             network"
        }
        false => {
            "installs what it needs with apt from the candidate's sources; is refused where there is no such \
             package or no network"
        }
    };
    let finding = finding(look, &group, Severity::Blocker, rebase);
    match held(look, &group.subject) {
        Some(package) => finding
            .seen("held", format!("at {}", super::version(package)))
            .choice(format!("apt-mark unhold {}", package.name)),
        None => finding.choice(format!("apt remove {}, if nobody needs it", group.subject.name)),
    }
}

/// P16
fn out_of_step(look: &Look, group: Group) -> Finding {
    let rebase = "upgrades it with apt from the candidate's sources; is refused where there is no such version \
                  or no network";
    let name = format!("{}:{}", group.subject.name, group.subject.architecture);
    finding(look, &group, Severity::Blocker, rebase)
        .choice(format!("apt remove {name}, if no program of that architecture is left"))
}

/// P11, P16: the candidate is so without any profile.
fn of_the_base(look: &Look, group: Group) -> Finding {
    finding(look, &group, Severity::Decision, "takes it as the candidate has it")
        .seen("whose fault", "the candidate's own, without any profile on it")
        .choice("stay on the base until another one is published")
}

/// P11, P16: it did not hold before, and no base has a part in it.
fn before(look: &Look, group: Group) -> Finding {
    finding(look, &group, Severity::Decision, "leaves it as it is").choice("apt --fix-broken install")
}

/// The package of the profile that apt may not change, and that has to be changed.
fn held<'a>(look: &Look<'a>, id: &PackageId) -> Option<&'a Package<'a>> {
    row(look, id)?.mine_installed().filter(|mine| mine.want == Want::Hold && is_own(look, id))
}

/// P19: a held package that must change.
pub fn held_back(look: &Look, row: &Row) -> Option<Finding> {
    let mine = row.mine_installed().filter(|mine| mine.want == Want::Hold)?;
    if look.is_doctor() || !matches!(row.fate, Fate::Keep | Fate::Override) {
        return None;
    }
    let is_it = |id: PackageId| (id.name, id.architecture) == (mine.name, mine.architecture);
    let violation = look.together.broken.iter().find(|violation| is_it(subject(look, violation)))?;
    let keeps = "does not upgrade it as long as it is held, and is refused";
    Some(
        Finding::package(Class::P19, Severity::Decision, &named(look, mine), keeps)
            .seen("version in the profile", super::version(mine))
            .seen("why it must change", violation.to_string())
            .choice(format!("apt-mark unhold {}", mine.name)),
    )
}
