//! How a package run ended: what was planned (apt said so), what changed (the dpkg status before and
//! after), and whether the one became the other. That Post-Invoke runs proves nothing, and apt's exit
//! code is not known in a hook, so the status is the only witness.

use std::collections::BTreeMap;

use crate::dpkg::command_line::{self, Asked};
use crate::dpkg::hook_stream::{HookAction, HookStream, What};
use crate::dpkg::status::{MultiArch, Package, PackageState, Want};
use crate::dpkg::{ExtendedStates, Status, version};
use crate::model::State;
use crate::model::entry::{Action, Change, Planned};

/// One per package, in apt's order. A package that is unpacked is configured later, and one may be
/// removed for a moment to break a circle: what is unpacked counts, then what is removed.
pub fn planned(stream: &HookStream) -> Vec<Planned> {
    let mut plan: Vec<Planned> = Vec::new();
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    for next in stream.actions.iter().map(plan_of) {
        let at = *places.entry((next.package.clone(), next.architecture.clone())).or_insert(plan.len());
        match plan.get(at).map(|known| weight(known.action)) {
            None => plan.push(next),
            Some(known) if weight(next.action) > known => plan[at] = next,
            Some(_) => {}
        }
    }
    plan
}

fn plan_of(line: &HookAction) -> Planned {
    let action = match (&line.what, &line.old_version, &line.new_version) {
        (What::Remove, ..) => Action::Remove,
        (What::Configure, ..) => Action::Configure,
        (What::Unpack(_), None, _) => Action::Install,
        (What::Unpack(_), Some(_), None) => Action::Upgrade,
        (What::Unpack(_), Some(old), Some(new)) => by_versions(old, new),
    };
    Planned {
        package: line.package.clone(),
        architecture: line.new_arch.clone().or(line.old_arch.clone()).unwrap_or_default(),
        old: line.old_version.clone(),
        new: line.new_version.clone(),
        action,
    }
}

/// What a plain dpkg was to do, by its words. `shown` is what each .deb is, in the words' order.
pub fn planned_by_dpkg(asked: &Asked, shown: &[Vec<u8>], before: &Status) -> Vec<Planned> {
    let installed = |name: &str, architecture: Option<&str>| {
        let same = |p: &&Package| {
            p.name == name && p.state.has_files() && architecture.is_none_or(|a| a == p.architecture)
        };
        before.packages.iter().find(same)
    };
    let gone = |name: &String, action: Action| {
        let (name, architecture) = name.split_once(':').map_or((name.as_str(), None), |(n, a)| (n, Some(a)));
        let package = installed(name, architecture)?;
        let (architecture, old) = (package.architecture.to_owned(), package.version.map(str::to_owned));
        Some(Planned { package: name.to_owned(), architecture, old, new: None, action })
    };
    let came = |shown: &Vec<u8>| {
        let (name, version, architecture) = command_line::parse_shown(shown)?;
        let old = installed(name, Some(architecture)).or(installed(name, None)).and_then(|p| p.version);
        Some(Planned {
            package: name.to_owned(),
            architecture: architecture.to_owned(),
            old: old.map(str::to_owned),
            new: Some(version.to_owned()),
            action: old.map_or(Action::Install, |old| by_versions(old, version)),
        })
    };
    match asked {
        Asked::Archives(_) => shown.iter().filter_map(came).collect(),
        Asked::Remove(names) => names.iter().filter_map(|name| gone(name, Action::Remove)).collect(),
        Asked::Purge(names) => names.iter().filter_map(|name| gone(name, Action::Purge)).collect(),
    }
}

fn weight(action: Action) -> u8 {
    match action {
        Action::Configure => 0,
        Action::Remove => 1,
        _ => 2,
    }
}

fn by_versions(old: &str, new: &str) -> Action {
    match version::compare(old, new) {
        std::cmp::Ordering::Less => Action::Upgrade,
        std::cmp::Ordering::Equal => Action::Reinstall,
        std::cmp::Ordering::Greater => Action::Downgrade,
    }
}

/// What is different now, by name and architecture. `auto` is apt's marks after the run. A reinstall
/// leaves no trace in the status: it is believed when it was planned and the package is there. Archive
/// and security are left for the one who can read apt's lists.
pub fn changes(before: &Status, after: &Status, auto: &ExtendedStates, planned: &[Planned]) -> Vec<Change> {
    let plans: BTreeMap<_, _> =
        planned.iter().map(|p| ((p.package.as_str(), p.architecture.as_str()), p.action)).collect();
    let change = |((name, architecture), pair): ((&str, &str), Pair)| {
        // Version 2 of apt's stream has no architectures.
        let plan = plans.get(&(name, architecture)).or(plans.get(&(name, ""))).copied();
        let action = what_happened(pair, plan)?;
        let (old, new) = (pair.before, pair.after.filter(|p| p.state.has_files()));
        let old = old.filter(|p| p.state.has_files() || action == Action::Purge);
        Some(Change {
            package: name.to_owned(),
            architecture: architecture.to_owned(),
            old: old.and_then(|p| p.version).map(str::to_owned),
            new: new.and_then(|p| p.version).map(str::to_owned),
            action,
            auto: new.map(|_| auto.is_auto(name, architecture)),
            archive: None,
            security: false,
            stuck: new.filter(|p| !p.state.is_settled()).map(|p| p.state.name().to_owned()),
        })
    };
    pairs(before, after).into_iter().filter_map(change).collect()
}

#[derive(Clone, Copy, Default)]
struct Pair<'s, 'a> {
    before: Option<&'s Package<'a>>,
    after: Option<&'s Package<'a>>,
}

/// The same package before and after. One that changed its architecture (from `all` to `amd64`, say) is
/// one package under its new one, unless several architectures of it may be installed at once.
fn pairs<'s, 'a>(
    before: &'s Status<'a>,
    after: &'s Status<'a>,
) -> BTreeMap<(&'a str, &'a str), Pair<'s, 'a>> {
    let mut pairs: BTreeMap<_, Pair> = BTreeMap::new();
    for package in &before.packages {
        pairs.entry((package.name, package.architecture)).or_default().before = Some(package);
    }
    for package in &after.packages {
        pairs.entry((package.name, package.architecture)).or_default().after = Some(package);
    }
    let alone =
        |p: Option<&Package>| p.is_some_and(|p| p.state.has_files() && p.multi_arch != MultiArch::Same);
    let absent = |p: Option<&Package>| p.is_none_or(|p| p.state == PackageState::NotInstalled);
    let left = pairs.iter().filter(|(_, p)| alone(p.before) && absent(p.after));
    let left: BTreeMap<_, _> = left.map(|((name, arch), p)| (*name, (*arch, p.before))).collect();
    let came = pairs.iter().filter(|(_, p)| absent(p.before) && alone(p.after));
    let came: Vec<_> = came.map(|(key, _)| *key).collect();
    for (name, architecture) in came {
        if let Some((old_architecture, before)) = left.get(name) {
            pairs.remove(&(name, *old_architecture));
            pairs.entry((name, architecture)).or_default().before = *before;
        }
    }
    pairs
}

fn what_happened(pair: Pair, plan: Option<Action>) -> Option<Action> {
    let with_files = |p: Option<&Package>| p.is_some_and(|p| p.state.has_files());
    let with_conffiles = |p: Option<&Package>| p.is_some_and(|p| p.state == PackageState::ConfigFiles);
    match pair {
        Pair { before: Some(old), after: Some(new) } if old.state.has_files() && new.state.has_files() => {
            match (old.version, new.version) {
                (Some(was), Some(is)) if was == is => same_version(old, new, plan),
                (Some(was), Some(is)) => Some(by_versions(was, is)),
                (None, Some(_)) => Some(Action::Install),
                (_, None) => same_version(old, new, plan),
            }
        }
        Pair { before, after } if with_files(before) => {
            Some(if with_conffiles(after) { Action::Remove } else { Action::Purge })
        }
        Pair { after, .. } if with_files(after) => Some(Action::Install),
        Pair { before: Some(old), after: Some(new) }
            if with_conffiles(Some(old)) && with_conffiles(Some(new)) =>
        {
            marked_otherwise(old, new)
        }
        Pair { before, .. } if with_conffiles(before) => Some(Action::Purge),
        Pair { after, .. } if with_conffiles(after) => Some(Action::Remove),
        _ => None,
    }
}

fn same_version(old: &Package, new: &Package, plan: Option<Action>) -> Option<Action> {
    if plan == Some(Action::Reinstall) {
        return plan;
    }
    if old.state == new.state {
        return marked_otherwise(old, new);
    }
    Some(match plan {
        _ if new.state == PackageState::Installed => Action::Configure,
        // It did not get as far as it should have: `stuck` says so.
        Some(action) => action,
        None if matches!(new.want, Want::Deinstall | Want::Purge) => Action::Remove,
        None => Action::Configure,
    })
}

fn marked_otherwise(old: &Package, new: &Package) -> Option<Action> {
    ((old.want, old.flag) != (new.want, new.flag)).then_some(Action::Mark)
}

/// Completed: every planned package reached its state, and no package at all is stuck (apt tries to
/// settle those that were stuck before). Else Failed, and one sentence that says why.
pub fn state(planned: &[Planned], changes: &[Change], after: &Status) -> (State, Option<String>) {
    let missed: Vec<_> = planned.iter().filter(|p| !reached(p, after)).collect();
    let mut stuck: Vec<_> = after.packages.iter().filter(|p| !p.state.is_settled()).collect();
    // First what this run left, and there the culprit: others are unpacked because it is not configured.
    stuck.sort_by_key(|p| {
        let ours = changes.iter().any(|c| c.package == p.name && c.stuck.is_some());
        let culprit = matches!(p.state, PackageState::HalfConfigured | PackageState::HalfInstalled);
        (!ours, !culprit)
    });
    let mut reasons = Vec::new();
    if !missed.is_empty() && planned.len() > 1 {
        let reached = planned.len() - missed.len();
        reasons.push(format!("{reached} of {} packages reached their state", planned.len()));
    }
    match (stuck[..].split_first(), missed.first()) {
        (Some((p, [])), _) => reasons.push(format!("{} is {}", p.name, p.state.name())),
        (Some((p, more)), _) => {
            reasons.push(format!("{} is {} and {} more not settled", p.name, p.state.name(), more.len()));
        }
        (None, Some(p)) => reasons.push(format!("{} was not {}", p.package, p.action.past())),
        (None, None) => return (State::Completed, None),
    }
    (State::Failed, Some(reasons.join("; ")))
}

/// How many planned packages have reached their state.
pub fn progress(planned: &[Planned], now: &Status) -> usize {
    planned.iter().filter(|plan| reached(plan, now)).count()
}

/// What was to have another version and still has the old one, as settled as before: dpkg refused to unpack
/// it, or did not come to it.
pub fn not_unpacked<'a>(planned: &'a [Planned], after: &Status) -> impl Iterator<Item = &'a Planned> {
    let still_old = |plan: &&Planned| {
        let now = after.find(&plan.package, &plan.architecture);
        let has_old =
            now.is_some_and(|p| p.state == PackageState::Installed && plan.old.as_deref() == p.version);
        matches!(plan.action, Action::Upgrade | Action::Downgrade) && has_old
    };
    planned.iter().filter(still_old)
}

fn reached(plan: &Planned, after: &Status) -> bool {
    let now = after.find(&plan.package, &plan.architecture);
    match plan.action {
        Action::Mark => true,
        Action::Remove | Action::Purge => now.is_none_or(|p| !p.state.has_files()),
        _ => now.is_some_and(|p| {
            p.state == PackageState::Installed && (plan.new.is_none() || plan.new.as_deref() == p.version)
        }),
    }
}

/// Is the run's point worth nothing? Only when dpkg never wrote: /var/lib/dpkg/status is the very file
/// (by inode number) that the snapshot holds, and nothing was begun: updates/ is empty, and there is no
/// new status-new or tmp.ci, which a power cut leaves in dpkg's first moments. What the status says proves
/// nothing (a preinst may destroy much and leave it as it was), but dpkg notes what it begins in
/// updates/ before it runs the first script, and writes the status anew at its end. Not knowing is a no.
pub fn never_wrote(
    status_inode_before: Option<u64>,
    status_inode_now: Option<u64>,
    nothing_begun: bool,
) -> bool {
    status_inode_before.is_some() && status_inode_before == status_inode_now && nothing_begun
}

/// "7 upgraded, 2 installed": always in this order, which is apt's.
pub fn summary(counts: &BTreeMap<Action, usize>) -> String {
    use Action::*;
    let order = [Upgrade, Install, Downgrade, Reinstall, Remove, Purge, Configure, Mark];
    let count =
        |action: Action| counts.get(&action).filter(|n| **n > 0).map(|n| format!("{n} {}", action.past()));
    let parts: Vec<String> = order.into_iter().filter_map(count).collect();
    if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests;
