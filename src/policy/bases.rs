//! Which bases are kept, and why: every reason, not the first. Nothing goes that a reason keeps.
//!
//! ```text
//!  never goes       current · last good · under a root, a point or a pristine state · mounted
//!  goes by name     a candidate newer than current: it was fetched to be flipped to, and nobody has been on
//!                   it yet; who clears away what is old does not mean it
//! ```
//! A base on trial needs no reason of its own: whoever tries it stands on it.

use std::cmp::Ordering;

use crate::dpkg::version::compare;
use crate::model::{BaseVersion, EntryNumber, ProfileId};

pub struct Facts<'a> {
    /// What new profiles stand on.
    pub current: Option<&'a BaseVersion>,
    pub good: Option<&'a BaseVersion>,
    pub bases: &'a [Base],
}

pub struct Base {
    pub version: BaseVersion,
    pub standing: Vec<Standing>,
    /// Where.
    pub mounted: Option<String>,
}

/// A directory of a profile, published, deleted or in the making, and what of it stands on a base. What names
/// no base stands on every one: it cannot be proved free of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// e.g. `lab`, `.deleted-lab-57`
    pub name: String,
    pub roots: Vec<EntryNumber>,
    pub points: Vec<EntryNumber>,
    pub pristine: bool,
    /// The entry of a rebase that was not proved; its root is kept for looking.
    pub refused: Option<EntryNumber>,
}

/// Why a base is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    Current,
    LastGood,
    Standing(Standing),
    Mounted(String),
    Candidate,
}

/// One base with every reason to keep it; none: it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub version: BaseVersion,
    pub reasons: Vec<Keep>,
}

impl Kept {
    pub fn goes(&self) -> bool {
        self.reasons.is_empty()
    }

    /// What keeps it also from somebody who names it.
    pub fn holding(&self) -> impl Iterator<Item = &Keep> {
        self.reasons.iter().filter(|reason| **reason != Keep::Candidate)
    }
}

/// Every base, in the order of the facts.
#[must_use]
pub fn plan(facts: &Facts<'_>) -> Vec<Kept> {
    let kept =
        facts.bases.iter().map(|base| Kept { version: base.version.clone(), reasons: reasons(facts, base) });
    kept.collect()
}

fn reasons(facts: &Facts<'_>, base: &Base) -> Vec<Keep> {
    let is = |named: Option<&BaseVersion>| named == Some(&base.version);
    let newer = |current: &BaseVersion| compare(base.version.as_str(), current.as_str()) == Ordering::Greater;
    let mut reasons = Vec::new();
    reasons.extend(is(facts.current).then_some(Keep::Current));
    reasons.extend(is(facts.good).then_some(Keep::LastGood));
    reasons.extend(base.standing.iter().cloned().map(Keep::Standing));
    reasons.extend(base.mounted.clone().map(Keep::Mounted));
    // Where nothing is current, nothing is old.
    reasons.extend(facts.current.is_none_or(newer).then_some(Keep::Candidate));
    reasons
}

impl Keep {
    /// "current", "profile lab stands on it (root 41)", "points 57, 60 of lab (until prune lets go of them)"
    pub fn text(&self) -> String {
        match self {
            Keep::Current => "current".into(),
            Keep::LastGood => "last good".into(),
            Keep::Standing(standing) => standing.text(),
            Keep::Mounted(at) => format!("mounted at {at}"),
            Keep::Candidate => "candidate: newer than current".into(),
        }
    }
}

impl Standing {
    fn text(&self) -> String {
        let who = self.who();
        let mut parts = Vec::new();
        if !self.roots.is_empty() {
            parts.push(format!("{who} stands on it ({})", numbered("root", &self.roots)));
        }
        if !self.points.is_empty() {
            let of = who.strip_prefix("profile ").unwrap_or(&who);
            parts.push(format!("{} of {of} (until prune lets go of them)", numbered("point", &self.points)));
        }
        if let Some(number) = self.refused {
            parts.push(format!(
                "{who} has a root on it that was refused (entry {number}, until the next rebase or prune)"
            ));
        }
        if self.pristine && parts.is_empty() {
            parts.push(format!("{who} was made on it (its pristine state)"));
        }
        parts.join(", ")
    }

    fn who(&self) -> String {
        let deleted = self.name.strip_prefix(".deleted-").and_then(|name| name.rsplit_once('-'));
        match (deleted, self.name.parse::<ProfileId>()) {
            (Some((id, _)), _) => format!("deleted profile {id}"),
            (_, Ok(id)) => format!("profile {id}"),
            _ => self.name.clone(),
        }
    }
}

/// `root 41`, `points 57, 60 and 12 more`
fn numbered(what: &str, numbers: &[EntryNumber]) -> String {
    const NAMED: usize = 5;
    let named: Vec<String> = numbers.iter().take(NAMED).map(ToString::to_string).collect();
    let plural = if numbers.len() > 1 { "s" } else { "" };
    let more = numbers.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{what}{plural} {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::descent::tests::number;
    use super::*;

    fn standing(name: &str, roots: &[u64], points: &[u64], pristine: bool) -> Standing {
        let numbers = |these: &[u64]| these.iter().map(|n| number(*n)).collect();
        Standing {
            name: name.into(),
            roots: numbers(roots),
            points: numbers(points),
            pristine,
            refused: None,
        }
    }

    fn base(version: &str, standing: Vec<Standing>, mounted: Option<&str>) -> Base {
        Base { version: version.parse().unwrap(), standing, mounted: mounted.map(str::to_owned) }
    }

    #[test]
    fn every_reason_is_said() {
        let bases = [
            base("9", vec![standing("x", &[], &[3], false)], None),
            base("9.1", vec![], None),
            base("12.1", vec![standing("lab", &[41, 44], &[1, 2, 3, 4, 5, 6, 7], true)], Some("/mnt")),
            base(
                "12.2",
                vec![standing(".deleted-a-b-57", &[3], &[], false), standing("y", &[], &[], true)],
                None,
            ),
            base("12.10", vec![standing(".new-z", &[8], &[], false)], None),
        ];
        let [good, current] = ["12.1", "12.2"].map(|version| version.parse().unwrap());
        let plan = plan(&Facts { current: Some(&current), good: Some(&good), bases: &bases });
        let told: Vec<String> = plan
            .iter()
            .map(|kept| {
                let reasons: Vec<String> = kept.reasons.iter().map(Keep::text).collect();
                format!("{} {}: {}", kept.version, kept.goes(), reasons.join("; "))
            })
            .collect();
        assert_eq!(
            told,
            [
                "9 false: point 3 of x (until prune lets go of them)",
                "9.1 true: ",
                "12.1 false: last good; profile lab stands on it (roots 41, 44), points 1, 2, 3, 4, 5 and 2 more of lab \
                 (until prune lets go of them); mounted at /mnt",
                "12.2 false: current; deleted profile a-b stands on it (root 3); profile y was made on it (its pristine \
                 state)",
                "12.10 false: .new-z stands on it (root 8); candidate: newer than current",
            ]
        );
    }

    /// By name a candidate goes; nothing else that is kept does.
    #[test]
    fn who_names_a_candidate_means_it() {
        let bases = [base("2", vec![], None), base("1", vec![standing("lab", &[1], &[], true)], None)];
        let current = "1".parse().unwrap();
        let plan = plan(&Facts { current: Some(&current), good: None, bases: &bases });
        assert_eq!(
            plan.iter().map(|kept| (kept.goes(), kept.holding().count())).collect::<Vec<_>>(),
            [(false, 0), (false, 2)]
        );
        let lost = super::plan(&Facts { current: None, good: None, bases: &bases });
        assert!(lost.iter().all(|kept| !kept.goes()));
    }
}
