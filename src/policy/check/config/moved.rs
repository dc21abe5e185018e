//! Conffiles whose package has them no more (C8), has them removed (C9), or gave them to another (C10).

use crate::model::error::Result;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::fates::Fate;
use crate::policy::check::finding::{Finding, Severity};

use super::compared::{Compared, Row};
use super::conffiles::Entry;

/// C8. dpkg keeps such a file and notes it as obsolete. A profile made on the candidate would not have it, so
/// one that nobody changed goes.
pub fn gone(compared: &Compared, was: Entry) -> Result<Option<Finding>> {
    let path = &compared.at[..];
    if compared.mine.is_none() {
        return Ok(None);
    }
    let goes_with_it = was.row.fate == Fate::Dropped;
    let finding = match compared.mine_is_old()? && !compared.is_own_link() {
        true => Finding::path(Class::C8, Severity::Automatic, path, "drops the unchanged copy"),
        false => {
            let keeps = match goes_with_it {
                true => "keeps yours, though the candidate does not have its package",
                false => "keeps yours, and notes it as obsolete, so that a purge of its package removes it",
            };
            let removes = "takes it away, as nothing may read it any more, and saves yours";
            Finding::path(Class::C8, Severity::Decision, path, keeps)
                .decides(Answer::Keep, &[(Answer::New, removes)])
        }
    };
    let finding = finding.seen("package", was.row.name);
    Ok(Some(match goes_with_it {
        true => finding.seen("in the candidate", "no such package"),
        false => finding.seen("in the candidate", "its package does not ship it"),
    }))
}

/// C9: `remove-on-upgrade` in the package's conffiles (dpkg 1.20.6 and later).
pub fn to_be_removed(compared: &Compared, was: Entry, is: Entry) -> Result<Option<Finding>> {
    let path = &compared.at[..];
    if compared.mine.is_none() || was.conffile.remove_on_upgrade {
        return Ok(None); // what is there after the removal is the person's own
    }
    let finding = match compared.mine_is_old()? {
        true => Finding::path(Class::C9, Severity::Automatic, path, "removes it, as its package says"),
        false => {
            let moves = "takes it away, as its package says, and keeps yours as .dpkg-old";
            Finding::path(Class::C9, Severity::Decision, path, moves)
                .decides(Answer::New, &[(Answer::Keep, "keeps yours in its place")])
        }
    };
    Ok(Some(finding.seen("package", is.row.name)))
}

/// C10: kept as it is here, for another package.
pub fn kept(compared: &Compared, row: Row) -> Finding {
    let keeps = match row {
        Row::Deleted => "keeps it deleted, for the package that has it now",
        _ => "keeps yours, for the package that has it now",
    };
    Finding::path(Class::C10, Severity::Automatic, &compared.at, keeps)
}
