//! `flipper-profile verify`: the doctor of the pool. It looks and mends nothing; each finding says which
//! check found it, what it is about, what is wrong, and what to do.

use crate::model::error::{Exit, Result};

use super::cli::Common;
use super::report;
use super::session::Session;

mod bases;
mod device;
mod journal;
mod pool;
mod pristine;
mod profiles;

/// How much of a base is read again and held against its manifest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Some files of each base, spread over it.
    Sample,
    /// Every file of every base.
    Whole,
}

/// One thing that is wrong.
pub struct Finding {
    /// The name of the check, e.g. `pointer`; one word, for programs.
    check: &'static str,
    /// e.g. `profile lab`, `base 13.2`, `@journal/next`
    of: String,
    what: String,
    /// What to do; a command where there is one.
    remedy: String,
}

/// What was found so far, in the order it was looked at.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &'static str, of: impl ToString, what: impl ToString, remedy: impl ToString) {
        let (of, what, remedy) = (of.to_string(), what.to_string(), remedy.to_string());
        self.0.push(Finding { check, of, what, remedy });
    }

    fn add_if(&mut self, wrong: bool, check: &'static str, of: &str, what: &str, remedy: &str) {
        if wrong {
            self.add(check, of, what, remedy);
        }
    }
}

/// Anything that changes something clears away what a cut left.
const NEXT_CHANGE: &str =
    "the next command that changes something mends it, e.g. flipper-profile journal rebuild";

pub fn run(common: &Common, deep: bool) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let depth = if deep { Depth::Whole } else { Depth::Sample };
    let mut findings = Findings::default();
    pool::check(&session, &mut findings)?;
    device::check(&session, &mut findings);
    bases::check(&session, depth, &mut findings)?;
    for id in session.profiles()? {
        if let Err(error) = profiles::check(&session, &id, &mut findings) {
            let remedy = error.hint().unwrap_or_else(|| "look at what it names".into());
            findings.add("profile", format!("profile {id}"), error, remedy);
        }
    }
    journal::check(&session, &mut findings)?;
    tell(common, &findings.0);
    Ok(if findings.0.is_empty() { Exit::Done } else { Exit::Attention })
}

fn tell(common: &Common, findings: &[Finding]) {
    if common.json {
        let list: Vec<_> = findings
            .iter()
            .map(|f| serde_json::json!({"check": f.check, "of": f.of, "what": f.what, "remedy": f.remedy}))
            .collect();
        return report::json(&serde_json::json!({ "findings": list }));
    }
    if findings.is_empty() {
        report::line("the pool is in order");
    }
    for finding in findings {
        report::line(format_args!("{}: {}: {}", finding.check, finding.of, finding.what));
        report::line(format_args!("    {}", finding.remedy));
    }
}
