//! What a person decides of a finding, where there is more than one way: the safe one is taken unasked, and
//! `--decide C6:/etc/tool.conf=new` takes another. A finding says which there are ([`super::finding::Offer`]).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::model::error::{Error, Result};
use crate::model::tree;

use super::class::Class;
use super::finding::{Finding, Severity, Subject, readable};

/// What stands there afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// What the profile has.
    Keep,
    /// What the candidate has.
    New,
    /// A text with the changes of both.
    Merge,
}

impl Answer {
    pub const ALL: [Answer; 3] = [Answer::Keep, Answer::New, Answer::Merge];

    pub fn name(self) -> &'static str {
        match self {
            Answer::Keep => "keep",
            Answer::New => "new",
            Answer::Merge => "merge",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(out)
    }
}

/// One of them, as it was said: `C6:/etc/tool.conf=new`, `P4:openssl=new`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    class: Class,
    answer: Answer,
}

/// By what they are about, as it was typed: a path absolute, its bytes or as [`readable`] shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    said: BTreeMap<Vec<u8>, Said>,
}

impl Decisions {
    pub fn parse<'a>(typed: impl IntoIterator<Item = &'a OsStr>) -> Result<Decisions> {
        let mut decisions = Decisions::default();
        for text in typed {
            let (class, subject, answer) = split(text.as_bytes())
                .ok_or_else(|| Error::BadDecision { text: readable(text.as_bytes()) })?;
            decisions.add(class, subject.to_vec(), answer)?;
        }
        Ok(decisions)
    }

    fn add(&mut self, class: Class, subject: Vec<u8>, answer: Answer) -> Result<()> {
        let said = Said { class, answer };
        match self.said.insert(subject.clone(), said.clone()) {
            Some(before) if before != said => Err(Error::Usage(format!(
                "two decisions about {}: {}, and {}",
                readable(&subject),
                before.answer,
                said.answer
            ))),
            _ => Ok(()),
        }
    }

    /// What somebody answered when asked about it. A later answer takes the place of an earlier one.
    pub fn answered(&mut self, finding: &Finding, answer: Answer) {
        let class = finding.class;
        self.said.insert(finding.subject.text().into_bytes(), Said { class, answer });
    }

    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// Of a path relative to the root.
    pub fn of_path(&self, path: &[u8]) -> Option<Answer> {
        if self.is_empty() {
            return None;
        }
        let absolute = [b"/", path].concat();
        let said = self.said.get(&absolute).or_else(|| self.said.get(readable(&absolute).as_bytes()));
        said.map(|said| said.answer)
    }

    pub fn says(&self, class: Class, path: &[u8], answer: Answer) -> bool {
        let finding = Finding::path(class, Severity::Decision, path, "");
        self.of(&finding) == Some(answer)
    }

    pub fn of_package(&self, name: &str) -> Option<Answer> {
        self.said.get(name.as_bytes()).map(|said| said.answer)
    }

    /// Is what a base has there to stay away? Said of the path itself, or of a directory above it: as it was
    /// deleted whole (F5, `/usr/share/doc/x/*`), or made anew (F8).
    pub fn keep_away(&self, path: &[u8]) -> bool {
        let keeps = |path: &[u8]| self.of_path(path) == Some(Answer::Keep);
        let whole = |dir: &[u8]| keeps(dir) || keeps(&[dir, b"/*"].concat());
        !self.is_empty() && (keeps(path) || tree::above(path).any(whole))
    }

    fn of(&self, finding: &Finding) -> Option<Answer> {
        let raw = match &finding.subject {
            Subject::Path(path) => self.said.get(&[b"/", &path[..]].concat()),
            _ => None,
        };
        let said = raw.or_else(|| self.said.get(finding.subject.text().as_bytes()));
        said.filter(|said| said.class == finding.class).map(|said| said.answer)
    }

    /// Notes in each finding what was decided of it.
    pub fn note_in(&self, findings: &mut [Finding]) {
        for finding in findings.iter_mut().filter(|_| !self.is_empty()) {
            if let Some(answer) = self.of(finding) {
                finding.decide(answer);
            }
        }
    }

    /// Refused where something was decided that is not there to be decided.
    pub fn need_choices(&self, findings: &[Finding]) -> Result<()> {
        for (subject, Said { class, answer }) in &self.said {
            let is_it = |f: &&Finding| {
                let path =
                    matches!(&f.subject, Subject::Path(path) if subject[..] == [b"/", &path[..]].concat());
                path || f.subject.text().as_bytes() == &subject[..]
            };
            let what = format!("{class}:{}={answer}", readable(subject));
            let mut about = findings.iter().filter(is_it).peekable();
            let why = match findings.iter().filter(is_it).find(|f| f.class == *class) {
                Some(finding) if finding.offers(*answer) => continue,
                Some(finding) => no_such_answer(finding, *answer),
                None if about.peek().is_some() => {
                    let classes: Vec<&str> = about.map(|finding| finding.class.id()).collect();
                    format!("what is found there is {}", classes.join(", "))
                }
                None => "nothing is found there".to_owned(),
            };
            return Err(Error::NotDecidable { what, why });
        }
        Ok(())
    }

    /// Each as it can be typed again.
    pub fn lines(&self) -> Vec<String> {
        let line = |(subject, said): (&Vec<u8>, &Said)| {
            format!("{}:{}={}", said.class, readable(subject), said.answer)
        };
        self.said.iter().map(line).collect()
    }
}

fn no_such_answer(finding: &Finding, answer: Answer) -> String {
    let offered: Vec<&str> = finding.answers().map(Answer::name).collect();
    match (offered.as_slice(), answer) {
        ([], _) => "there is no choice".to_owned(),
        (_, Answer::Merge) => format!("{} does not merge without a conflict", finding.subject.text()),
        (offered, _) => format!("it can be {}", offered.join(" or ")),
    }
}

/// `C6`, `/etc/a=b`, `new` of `C6:/etc/a=b=new`
fn split(text: &[u8]) -> Option<(Class, &[u8], Answer)> {
    let colon = text.iter().position(|b| *b == b':')?;
    let equals = text.iter().rposition(|b| *b == b'=')?;
    let subject = text.get(colon + 1..equals).filter(|subject| !subject.is_empty())?;
    let class = std::str::from_utf8(&text[..colon]).ok()?.parse().ok()?;
    let answer = Answer::ALL.into_iter().find(|answer| answer.name().as_bytes() == &text[equals + 1..])?;
    Some((class, subject, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &[&[u8]]) -> Result<Decisions> {
        Decisions::parse(typed.iter().map(|text| OsStr::from_bytes(text)))
    }

    #[test]
    fn what_can_be_typed() {
        let decisions = parse(&[b"c6:/etc/a=b:c=new", b"F3:/srv/\xff\n=keep", b"P4:openssl=new"]).unwrap();
        assert_eq!(decisions.of_path(b"etc/a=b:c"), Some(Answer::New));
        assert_eq!(decisions.of_path(b"srv/\xff\n"), Some(Answer::Keep));
        assert_eq!(decisions.of_package("openssl"), Some(Answer::New));
        assert_eq!(decisions.of_path(b"etc/a"), None);
        // As it is shown, so it can be typed.
        let again = decisions.lines();
        assert_eq!(again, ["C6:/etc/a=b:c=new", "F3:/srv/\\xff\\n=keep", "P4:openssl=new"]);
        let again = parse(&again.iter().map(|line| line.as_bytes()).collect::<Vec<_>>()).unwrap();
        assert_eq!(again.of_path(b"srv/\xff\n"), Some(Answer::Keep));
        for bad in ["", "C6", "C6:/x", "C6:=new", "X6:/x=new", "C6:/x=theirs", "C6=/x:new", ":/x=new"] {
            let error = parse(&[bad.as_bytes()]).unwrap_err();
            assert_eq!(error.exit() as i32, 64, "{bad}: {error}");
        }
        assert!(parse(&[b"C6:/x=new", b"C6:/x=keep"]).is_err());
        assert!(parse(&[b"C6:/x=new", b"C6:/x=new"]).is_ok());
    }

    #[test]
    fn only_what_is_there_to_be_decided() {
        let mut findings = vec![
            Finding::path(Class::C6, Severity::Decision, b"etc/x", "keeps yours")
                .decides(Answer::Keep, &[(Answer::New, "takes the candidate's")]),
            Finding::path(Class::F1, Severity::Automatic, b"etc/y", "drops the copy"),
        ];
        let refused = |typed: &str, findings: &[Finding]| {
            parse(&[typed.as_bytes()]).unwrap().need_choices(findings).map_err(|e| e.to_string())
        };
        assert_eq!(refused("C6:/etc/x=new", &findings), Ok(()));
        assert_eq!(refused("C6:/etc/x=keep", &findings), Ok(()));
        for (typed, words) in [
            ("C7:/etc/x=new", "what is found there is C6"),
            ("C6:/etc/z=new", "nothing is found there"),
            ("C6:/etc/x=merge", "/etc/x does not merge without a conflict"),
            ("F1:/etc/y=keep", "there is no choice"),
        ] {
            let said = refused(typed, &findings).unwrap_err();
            assert!(said.contains(words), "{typed}: {said}");
        }
        let decisions = parse(&[b"C6:/etc/x=new"]).unwrap();
        decisions.note_in(&mut findings);
        assert_eq!((findings[0].decided, &*findings[0].rebase), (Some(Answer::New), "takes the candidate's"));
        assert_eq!(findings[1].decided, None);
    }

    #[test]
    fn a_directory_that_stays_away_keeps_all_in_it_away() {
        let decisions = parse(&[b"F5:/usr/share/doc/x/*=keep", b"F8:/usr/share/y=keep"]).unwrap();
        assert!(decisions.keep_away(b"usr/share/doc/x/a/b") && decisions.keep_away(b"usr/share/y/a"));
        assert!(!decisions.keep_away(b"usr/share/doc/xy/a") && !decisions.keep_away(b"usr/share/doc/x"));
    }
}
