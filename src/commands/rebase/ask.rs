//! What a person on a terminal decides, one finding after the other. Enter takes the safe way.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::commands::report;
use crate::commands::session::Session;
use crate::model::error::Result;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::finding::{Finding, Severity, Subject};
use crate::policy::text_diff;
use crate::system::{files, upper};

use super::Move;

/// Asks until nothing is open: what is decided of a package may bring findings about its files.
pub fn all(session: &Session, moving: &mut Move) -> Result<()> {
    let mut asked: Vec<(Class, Subject)> = Vec::new();
    loop {
        let mut decided = moving.decided.clone();
        let is_open = |f: &&Finding| {
            let known = asked.iter().any(|(class, subject)| *class == f.class && *subject == f.subject);
            f.severity == Severity::Decision && f.decided.is_none() && !f.offers.is_empty() && !known
        };
        let open: Vec<Finding> = moving.planned.findings.iter().filter(is_open).cloned().collect();
        if open.is_empty() {
            return Ok(());
        }
        for finding in open {
            let answer = one(session, moving, &finding);
            if Some(answer) != finding.default {
                decided.answered(&finding, answer);
            }
            asked.push((finding.class, finding.subject));
        }
        if decided != moving.decided {
            moving.decide(decided)?;
            moving.need_no_blocker()?;
        }
    }
}

fn one(session: &Session, moving: &Move, finding: &Finding) -> Answer {
    let default = finding.default.unwrap_or(Answer::Keep);
    let difference = difference(session, moving, finding);
    report::note(format_args!("{} {}: {}", finding.class, finding.class.title(), finding.subject.text()));
    report::note(format_args!("  {default} (Enter): {}", finding.rebase));
    for offer in &finding.offers {
        report::note(format_args!("  {}: {}", offer.answer, offer.does));
    }
    let answers: Vec<&str> = finding.answers().map(Answer::name).collect();
    let shows = difference.as_ref().map_or("", |_| ", or see the difference");
    let question = format!("{}{shows}? [{default}]", answers.join(", "));
    loop {
        let said = report::answer(&question).to_lowercase();
        let found = finding.answers().find(|answer| !said.is_empty() && answer.name().starts_with(&said));
        match (found, &difference) {
            (Some(answer), _) => return answer,
            _ if said.is_empty() => return default,
            (None, Some(difference)) if "difference".starts_with(&said) || said == "see" => {
                report::note(difference.trim_end());
            }
            _ => report::note(format_args!("it can be {}", answers.join(", "))),
        }
    }
}

/// From the person's to the candidate's. None: there are no two texts.
fn difference(session: &Session, moving: &Move, finding: &Finding) -> Option<String> {
    let Subject::Path(path) = &finding.subject else { return None };
    let inside = Path::new(OsStr::from_bytes(path));
    let layout = &session.pool.layout;
    let root = moving.root();
    let mine = upper::find(&root, &layout.base(&moving.bases.from), inside);
    let new = layout.base(&moving.bases.to).join(inside);
    let read = |path: &Path| files::is_regular(path).then(|| fs::read(path).ok()).flatten();
    let (mine, new) = (mine.and_then(|mine| read(&mine))?, read(&new)?);
    text_diff::unified(&mine, &new).filter(|text| !text.is_empty())
}
