//! Triggers (deb-triggers(5)): what a package is interested in and what it activates, as it shipped it in
//! /var/lib/dpkg/info/NAME.triggers (dpkg's lib/dpkg/triglib.c, trig_parse_ci).
//! /var/lib/dpkg/triggers is made from these: see `interests`; what waits there is in `deferred`.

pub mod deferred;
pub mod interests;

use super::error::ParseError;
use super::lines::{Lines, is_white, trim_white};

/// A line of NAME.triggers that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directive<'a> {
    pub verb: Verb,
    /// `/usr/share/man` or a word such as `ldconfig`.
    pub trigger: &'a [u8],
    /// Must whoever activates it wait until it was processed? Without a word about it: yes.
    pub awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Interest,
    Activate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A path: any change at or below it activates the trigger.
    File,
    /// A word, which programs and maintainer scripts name.
    Explicit,
}

const WORDS: [(&[u8], Verb, bool); 6] = [
    (b"interest", Verb::Interest, true),
    (b"interest-await", Verb::Interest, true),
    (b"interest-noawait", Verb::Interest, false),
    (b"activate", Verb::Activate, true),
    (b"activate-await", Verb::Activate, true),
    (b"activate-noawait", Verb::Activate, false),
];

/// MAXTRIGDIRECTIVE
const LONGEST: usize = 256;

/// Comments and empty lines are passed over.
pub fn parse(input: &[u8]) -> Result<Vec<Directive<'_>>, ParseError> {
    let mut found = Vec::new();
    for line in Lines::new(input, LONGEST) {
        let (line, text) = line?;
        let text = trim_white(text);
        if !text.is_empty() && text[0] != b'#' {
            found.push(directive(text, line)?);
        }
    }
    Ok(found)
}

fn directive(text: &[u8], line: usize) -> Result<Directive<'_>, ParseError> {
    let broken = || ParseError::new(line, "interest or activate and a trigger", text);
    let end = text.iter().position(is_white).ok_or_else(broken)?;
    let (_, verb, awaited) = WORDS.iter().find(|(word, ..)| *word == &text[..end]).ok_or_else(broken)?;
    let trigger = name(trim_white(&text[end..]), line)?;
    if *verb == Verb::Interest && kind(trigger).is_none() {
        return Err(ParseError::new(line, "a path or a word as trigger", trigger));
    }
    Ok(Directive { verb: *verb, trigger, awaited: *awaited })
}

/// Any printable ASCII (lib/dpkg/trigname.c).
fn name(text: &[u8], line: usize) -> Result<&[u8], ParseError> {
    match !text.is_empty() && text.iter().all(u8::is_ascii_graphic) {
        true => Ok(text),
        false => Err(ParseError::new(line, "the name of a trigger", text)),
    }
}

/// None is a name nobody can be interested in; activating it does nothing (trig_classify_byname).
pub fn kind(trigger: &[u8]) -> Option<Kind> {
    if let Some(path) = trigger.strip_prefix(b"/") {
        return path.split(|b| *b == b'/').all(|part| !part.is_empty()).then_some(Kind::File);
    }
    let good = trigger.first().is_some_and(u8::is_ascii_alphanumeric)
        && trigger.iter().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(b));
    good.then_some(Kind::Explicit)
}

/// One directive a line. `interest` and `interest-await` mean the same; the shorter is written.
pub fn write(directives: &[Directive]) -> Vec<u8> {
    let mut out = Vec::new();
    for directive in directives {
        let same = |(_, verb, awaited): &&(_, _, _)| *verb == directive.verb && *awaited == directive.awaited;
        out.extend(WORDS.iter().find(same).map_or(&b""[..], |(word, ..)| word));
        out.push(b' ');
        out.extend(directive.trigger);
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interests_and_activations() {
        let text =
            b"# Triggers added by dh_makeshlibs\n\n  activate-noawait ldconfig \ninterest /usr/share/man\n\
            interest-await x\n\tinterest-noawait\t /etc/a\nactivate some_thing\n";
        let found = parse(text).unwrap();
        let line = |d: &Directive| (d.verb, String::from_utf8_lossy(d.trigger).into_owned(), d.awaited);
        assert_eq!(
            found.iter().map(line).collect::<Vec<_>>(),
            [
                (Verb::Activate, "ldconfig".into(), false),
                (Verb::Interest, "/usr/share/man".into(), true),
                (Verb::Interest, "x".into(), true),
                (Verb::Interest, "/etc/a".into(), false),
                (Verb::Activate, "some_thing".into(), true),
            ]
        );
        let written = write(&found);
        assert!(written.starts_with(b"activate-noawait ldconfig\ninterest /usr/share/man\ninterest x\n"));
        assert_eq!(parse(&written).unwrap(), found);
        for bad in [
            "interest\n",
            "interest \n",
            "Interest x\n",
            "watch x\n",
            "interest a b\n",
            "interest \u{e9}\n",
            "interest /\n",
            "interest //a\n",
            "interest /a/\n",
            "interest a_b\n",
            "interest -x\n",
            "activate x",
        ] {
            assert_eq!(parse(format!("activate x\n{bad}").as_bytes()).unwrap_err().line, 2, "{bad:?}");
        }
        assert!(parse(format!("activate {}\n", "x".repeat(245)).as_bytes()).is_ok());
        assert!(parse(format!("activate {}\n", "x".repeat(246)).as_bytes()).is_err());
    }
}
