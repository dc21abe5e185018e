//! In which state packages are: half done (P10), held (P19), marked as automatic (P18).

use crate::dpkg::ExtendedStates;
use crate::dpkg::status::{Flag, Want};
use crate::model::error::Result;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity};

use super::{named, version};

const MEND: &str = "finish it in the profile first: dpkg --configure -a, apt --fix-broken install";
const UNINCORPORATED: &[u8] = b"var/lib/dpkg/triggers/Unincorp";

/// P10: what a run began and did not end. A rebase would carry half a package over.
pub fn unsettled(look: &Look, found: &mut Vec<Finding>) {
    for package in &look.mine.status.packages {
        if !package.state.is_settled() || package.flag != Flag::Ok {
            let state = format!("{} {}", package.flag.name(), package.state.name());
            found.push(
                Finding::package(
                    Class::P10,
                    Severity::Blocker,
                    &named(look, package),
                    "is refused until it is settled",
                )
                .seen("state", state)
                .choice(MEND),
            );
        }
    }
    for (path, _) in &look.mine.texts.updates {
        let refused = "is refused: dpkg was cut in the middle of a run";
        found.push(Finding::path(Class::P10, Severity::Blocker, path, refused).choice(MEND));
    }
    if look.triple(UNINCORPORATED).and_then(|t| t.mine.as_ref()).is_some_and(|mine| mine.size != Some(0)) {
        let runs = "runs the triggers that wait";
        found.push(match look.is_doctor() {
            true => Finding::path(Class::P10, Severity::Harmless, UNINCORPORATED, "leaves them waiting")
                .choice("run the triggers that wait: dpkg --triggers-only --pending, in the profile"),
            false => Finding::path(Class::P10, Severity::Automatic, UNINCORPORATED, runs),
        });
    }
}

/// P18: a mark of the profile on a package that is the candidate's, where the candidate has another.
pub fn automatic_marks(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    const PATH: &[u8] = b"var/lib/apt/extended_states";
    if look.triple(PATH).is_none() {
        return Ok(()); // as the base has them
    }
    let marks = |side: &super::super::side::Side| -> Result<_> {
        ExtendedStates::parse(&side.texts.extended_states)
            .map(|marks| marks.iter().map(|(n, a)| (n.to_owned(), a.to_owned())).collect::<Vec<_>>())
            .map_err(|error| side.damaged(PATH, error))
    };
    let (old, mine, new) = (marks(look.old)?, marks(look.mine)?, marks(look.new)?);
    for row in look.rows.iter().filter(|row| matches!(row.fate, Fate::Inherit | Fate::Superseded)) {
        let is = |marks: &[(String, String)]| {
            marks.iter().any(|(name, architecture)| {
                name == row.name
                    && (architecture == row.architecture
                        || architecture.is_empty()
                        || row.architecture == "all")
            })
        };
        let (old, mine, new) = (is(&old), is(&mine), is(&new));
        if let Some(package) =
            row.mine.filter(|_| mine != new && (mine != old || row.fate == Fate::Superseded))
        {
            let word = |auto: bool| if auto { "automatic" } else { "asked for" };
            found.push(
                Finding::package(
                    Class::P18,
                    Severity::Automatic,
                    &named(look, package),
                    "carries the profile's mark",
                )
                .seen("mark in the profile", word(mine))
                .seen("mark in the candidate", word(new)),
            );
        }
    }
    Ok(())
}

/// P19: a hold keeps apt from changing a package, but not a base from having another version of it.
pub fn held(look: &Look, row: &Row) -> Option<Finding> {
    let (mine, new) = (row.mine_installed().filter(|mine| mine.want == Want::Hold)?, row.new?);
    let is_held_back = row.fate == Fate::Inherit && mine.version != new.version;
    is_held_back.then(|| {
        let takes = "takes the candidate's version, and goes on holding it";
        Finding::package(Class::P19, Severity::Decision, &named(look, mine), takes)
            .seen("version in the profile", version(mine))
            .seen("version in the candidate", version(new))
            .choice(format!(
                "stay on the base as long as you need this version, or: apt-mark unhold {}",
                mine.name
            ))
    })
}
