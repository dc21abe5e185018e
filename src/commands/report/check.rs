//! What `flipper-profile check` says: one page of classes with their most telling subjects, or all of it.

use serde_json::{Value, json};

use super::{count, line, table, text};
use crate::commands::check::Checked;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::finding::{Finding, Severity};
use crate::policy::mend;

/// Of the JSON. A number more when something is taken away or means another thing; fields may be added.
const SCHEMA: u32 = 1;
/// Subjects of a class that are named on the page.
const NAMED: usize = 4;

pub fn page(checked: &Checked, all: bool) {
    let Checked { profile, base, candidate, findings, .. } = checked;
    let verdict = checked.verdict();
    match checked.is_doctor() {
        true => line(format_args!("{profile} against base {base}, on which it stands: {}", verdict.word())),
        false => line(format_args!("{profile} on base {base}, against {candidate}: {}", verdict.word())),
    }
    for severity in [Severity::Blocker, Severity::Decision, Severity::Automatic, Severity::Harmless] {
        let these: Vec<&Finding> = findings.iter().filter(|f| f.severity == severity).collect();
        if these.is_empty() {
            continue;
        }
        line(format_args!("{} ({})", heading(severity, checked.is_doctor()), these.len()));
        match all {
            true => these.iter().for_each(|finding| whole(finding, checked.is_doctor())),
            false => grouped(&these),
        }
        if !all {
            how_to_decide(&these);
        }
    }
    if checked.is_doctor() && findings.iter().any(mend::mends) {
        line(format_args!("what to mend, and how: flipper-profile repair {profile} --dry-run"));
    }
    let unseen = Class::ALL.iter().filter(|class| !class.is_looked_at()).count();
    line(format_args!("{} of {} are not looked at yet", count(unseen, "class", "classes"), Class::ALL.len()));
    if !findings.is_empty() {
        let class = findings[0].class;
        let rest = if all { "" } else { "; each finding with its evidence: --all" };
        line(format_args!("what a class is: flipper-profile check --explain {class}{rest}"));
    }
}

fn heading(severity: Severity, is_doctor: bool) -> &'static str {
    match severity {
        Severity::Automatic if is_doctor => "set right by a repair",
        Severity::Blocker => "blocks the flip",
        Severity::Decision => "yours to decide; the safe way is taken unasked",
        Severity::Automatic => "set right by the rebase",
        Severity::Harmless => "harmless",
    }
}

fn grouped(findings: &[&Finding]) {
    let rows = findings.chunk_by(|a, b| a.class == b.class).map(|group| {
        let class = group[0].class;
        let mut names: Vec<String> = group.iter().take(NAMED).map(|f| f.subject.text()).collect();
        if group.len() > NAMED {
            names.push(format!("and {} more", group.len() - NAMED));
        }
        vec![format!("  {class}"), group.len().to_string(), class.title().to_owned(), names.join(", ")]
    });
    table(&rows.collect::<Vec<_>>());
}

/// What was decided, and an example of what can be.
fn how_to_decide(findings: &[&Finding]) {
    for (finding, answer) in findings.iter().filter_map(|finding| Some((finding, finding.decided?))) {
        line(format_args!("  decided: {}: {}", finding.typed(answer), finding.rebase));
    }
    let is_open = |f: &&&Finding| f.decided.is_none() && !f.offers.is_empty();
    let mut asked = findings.iter().filter(|finding| finding.severity == Severity::Decision);
    if let Some(finding) = asked.find(is_open) {
        let typed = decide(finding, finding.offers[0].answer);
        line(format_args!("  another way, e.g.: rebase {typed}; each that can be decided: --all"));
    }
}

fn whole(finding: &Finding, is_doctor: bool) {
    line(format_args!("  {} {}: {}", finding.class, finding.class.title(), finding.subject.text()));
    for (what, value) in &finding.evidence {
        line(format_args!("      {what}: {value}"));
    }
    let who = if is_doctor && mend::mends(finding) { "repair" } else { "rebase" };
    line(format_args!("      {who} {}", finding.rebase));
    if let Some(answer) = finding.decided {
        line(format_args!("      decided: {answer}"));
    }
    for choice in choices(finding) {
        line(format_args!("      or: {choice}"));
    }
}

/// What can be decided otherwise, as it is typed, and what can be done besides.
fn choices(finding: &Finding) -> Vec<String> {
    let others = finding.offers.iter().filter(|offer| finding.decided != Some(offer.answer));
    let typed = others.map(|offer| format!("{}: rebase {}", offer.does, decide(finding, offer.answer)));
    typed.chain(finding.choices.iter().cloned()).collect()
}

/// `--decide C6:/etc/tool.conf=new`, quoted for a shell where that is needed.
pub fn decide(finding: &Finding, answer: Answer) -> String {
    let typed = finding.typed(answer);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/.:=_+,@%-".contains(c);
    match typed.chars().all(is_plain) {
        true => format!("--decide {typed}"),
        false => format!("--decide '{}'", typed.replace('\'', "'\\''")),
    }
}

pub fn json(checked: &Checked) -> Value {
    let finding = |f: &Finding| {
        json!({
            "class": f.class.id(),
            "title": f.class.title(),
            "severity": f.severity,
            "subject": f.subject,
            "evidence": f.evidence.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "rebase": f.rebase,
            "choices": choices(f),
            "answers": f.answers().map(Answer::name).collect::<Vec<_>>(),
            "default": f.default.map(Answer::name),
            "decided": f.decided.map(Answer::name),
            "repair_does_it": checked.is_doctor() && mend::mends(f),
        })
    };
    let unseen = Class::ALL.iter().filter(|class| !class.is_looked_at());
    json!({
        "schema": SCHEMA,
        "profile": checked.profile,
        "base": checked.base,
        "candidate": checked.candidate,
        "verdict": checked.verdict(),
        "plan_hash": checked.plan_hash,
        "findings": checked.findings.iter().map(finding).collect::<Vec<_>>(),
        "not_looked_at": unseen.map(|class| class.id()).collect::<Vec<_>>(),
    })
}

pub fn explanation(class: Class) {
    line(format_args!("{class}: {}", class.title()));
    match class.explained() {
        Some(explained) => text(format_args!("\n{explained}\n")),
        None => line("not looked at: a check says nothing about it"),
    }
}

pub fn class_json(class: Class) -> Value {
    json!({"class": class.id(), "title": class.title(), "explained": class.explained()})
}
