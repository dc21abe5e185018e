//! One thing a check found, and what all of them come to.

use serde::{Serialize, Serializer};

use super::class::Class;
use super::decided::Answer;

/// From bad to good. A verdict is as bad as its worst finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The profile must not stand on the candidate as long as this is so.
    Blocker,
    /// Somebody may want another way than the safe one that is taken unasked.
    Decision,
    /// Rebase sets it right; a plain exchange of the base would not.
    Automatic,
    /// Nothing comes of it.
    Harmless,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Relative to the root, as bytes: `usr/bin/cat`
    Path(Vec<u8>),
    /// `libc6` or, of a foreign architecture or where there are several, `libc6:i386`
    Package(String),
    Account(String),
    /// Anything else that has a name, e.g. an alternative or a unit.
    Named(String),
}

impl Subject {
    /// As people read it: a path absolute, bytes that are no text escaped.
    pub fn text(&self) -> String {
        match self {
            Subject::Path(path) => format!("/{}", readable(path)),
            Subject::Package(name) | Subject::Account(name) | Subject::Named(name) => name.clone(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Subject::Path(_) => "path",
            Subject::Package(_) => "package",
            Subject::Account(_) => "account",
            Subject::Named(_) => "named",
        }
    }
}

impl Serialize for Subject {
    /// `{"path": "/usr/bin/cat"}`
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map([(self.kind(), self.text())])
    }
}

/// UTF-8 as it is, every other byte as `\xff`, a backslash doubled: nothing is lost.
pub fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub severity: Severity,
    pub class: Class,
    pub subject: Subject,
    /// What was seen: (of what, value), e.g. `("version in the profile", "1.2-3")`.
    pub evidence: Vec<(&'static str, String)>,
    /// What rebase will do, as a sentence without a full stop: "takes the base's file".
    pub rebase: String,
    /// What the person can do instead, each a whole sentence or a command.
    pub choices: Vec<String>,
    /// What is done unless the person decides; absent where there is one way only.
    pub default: Option<Answer>,
    /// What the person can decide instead.
    pub offers: Vec<Offer>,
    /// What the person decided.
    pub decided: Option<Answer>,
}

/// Another way than the default.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    pub answer: Answer,
    /// What rebase will do then, as [`Finding::rebase`] says it.
    pub does: &'static str,
}

impl Finding {
    pub fn new(class: Class, severity: Severity, subject: Subject, rebase: impl Into<String>) -> Finding {
        Finding {
            severity,
            class,
            subject,
            evidence: Vec::new(),
            rebase: rebase.into(),
            choices: Vec::new(),
            default: None,
            offers: Vec::new(),
            decided: None,
        }
    }

    pub fn path(class: Class, severity: Severity, path: &[u8], rebase: impl Into<String>) -> Finding {
        Finding::new(class, severity, Subject::Path(path.to_vec()), rebase)
    }

    pub fn package(class: Class, severity: Severity, name: &str, rebase: impl Into<String>) -> Finding {
        Finding::new(class, severity, Subject::Package(name.to_owned()), rebase)
    }

    pub fn seen(mut self, what: &'static str, value: impl Into<String>) -> Finding {
        self.evidence.push((what, value.into()));
        self
    }

    pub fn choice(mut self, choice: impl Into<String>) -> Finding {
        self.choices.push(choice.into());
        self
    }

    /// `rebase` is what the default does.
    pub fn decides(mut self, default: Answer, offers: &[(Answer, &'static str)]) -> Finding {
        self.default = Some(default);
        self.offers.extend(offers.iter().map(|(answer, does)| Offer { answer: *answer, does }));
        self
    }

    /// The default first. Empty: there is no choice.
    pub fn answers(&self) -> impl Iterator<Item = Answer> {
        self.default.into_iter().chain(self.offers.iter().map(|offer| offer.answer))
    }

    pub fn offers(&self, answer: Answer) -> bool {
        self.answers().any(|other| other == answer)
    }

    /// What is not offered is refused elsewhere ([`super::decided::Decisions::need_choices`]).
    pub fn decide(&mut self, answer: Answer) {
        self.decided = Some(answer);
        if let Some(offer) = self.offers.iter().find(|offer| offer.answer == answer) {
            self.rebase = offer.does.to_owned();
        }
    }

    /// `C6:/etc/tool.conf=new`, as `--decide` takes it.
    pub fn typed(&self, answer: Answer) -> String {
        format!("{}:{}={answer}", self.class, self.subject.text())
    }
}

/// What all findings come to (design: clean, attention, blocked).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Clean,
    Attention,
    Blocked,
}

impl Verdict {
    pub fn of(findings: &[Finding]) -> Verdict {
        match findings.iter().map(|finding| finding.severity).min() {
            Some(Severity::Blocker) => Verdict::Blocked,
            Some(Severity::Decision) => Verdict::Attention,
            _ => Verdict::Clean,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Attention => "attention",
            Verdict::Blocked => "blocked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_as_bad_as_its_worst_finding() {
        let finding = |severity| Finding::package(Class::P1, severity, "x", "");
        use Severity::*;
        for (severities, verdict) in [
            (&[][..], Verdict::Clean),
            (&[Harmless, Automatic], Verdict::Clean),
            (&[Automatic, Decision], Verdict::Attention),
            (&[Decision, Blocker, Harmless], Verdict::Blocked),
        ] {
            let findings: Vec<_> = severities.iter().map(|s| finding(*s)).collect();
            assert_eq!(Verdict::of(&findings), verdict, "{severities:?}");
        }
    }

    #[test]
    fn names_are_readable_and_nothing_is_lost() {
        assert_eq!(Subject::Path(b"etc/a b\xff\n\\\x1b".to_vec()).text(), "/etc/a b\\xff\\n\\\\\\u{1b}");
        assert_eq!(readable("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
    }
}
