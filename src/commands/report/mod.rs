//! The one place that prints. Results go to standard output, everything said beside them to standard
//! error; a reader that went away (`| head`) is no failure.

use std::fmt::Display;
use std::io::{BufRead, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::model::entry::Change;
use crate::model::error::{Error, Result};

pub mod check;
pub mod difference;
pub mod graph;
pub mod log;
pub mod mend;
pub mod retention;
pub mod space;

/// One line of a result.
pub fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{}", safe(text));
}

/// Command lines, comments and file names come from outside and must not steer a terminal. Newlines
/// stay: some of what is printed has several lines.
fn safe(text: impl Display) -> String {
    let steers = |c: char| c != '\n' && log::steers(c);
    text.to_string().chars().map(|c| if steers(c) { '?' } else { c }).collect()
}

/// A whole text that ends with its own newline.
pub fn text(text: impl Display) {
    let _ = write!(std::io::stdout(), "{text}");
}

/// How a verb ended: the value for programs, or the sentence for people.
pub fn done(json_wanted: bool, value: serde_json::Value, sentence: impl Display) {
    if json_wanted { json(&value) } else { line(sentence) }
}

/// Something worth saying that is not the result.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{}", safe(text));
}

/// What could steer a terminal stands in a string, and is escaped there: a program reads what it is.
pub fn json(value: &serde_json::Value) {
    let mut text = String::new();
    for c in format!("{value:#}\n").chars() {
        match log::steers(c) && c != '\n' {
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
    }
    self::text(text);
}

/// The hint first, the sentence last: a small screen shows the last line. One line, whatever bytes a
/// path in it has.
pub fn failure(program: &str, error: &Error) {
    if let Some(hint) = error.hint() {
        note(format_args!("hint: {hint}"));
    }
    note(format_args!("{program}: {}", without_control(&error.to_string())));
}

fn without_control(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

pub fn usage(error: &clap::Error) {
    let _ = error.print();
}

/// Asks on a terminal; `--yes` answers; anything else is a no.
pub fn confirm(question: &str, yes: bool) -> Result<()> {
    let refused = || Error::NotConfirmed { question: question.to_owned() };
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(refused());
    }
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if answer.trim().eq_ignore_ascii_case("y") { Ok(()) } else { Err(refused()) }
}

/// One question with yes for an answer unless the person says no. Only where [`may_ask`].
pub fn ask(question: &str) -> bool {
    let _ = write!(std::io::stderr(), "{} [Y/n] ", safe(question));
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    !answer.trim().to_lowercase().starts_with('n')
}

/// A question with words for answers; nothing where the person only pressed Enter, or went away. Only where
/// [`may_ask`].
pub fn answer(question: &str) -> String {
    let _ = write!(std::io::stderr(), "{} ", safe(question));
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    answer.trim().to_owned()
}

/// Is there somebody to answer?
pub fn may_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// A bar on a terminal, nothing elsewhere.
pub fn progress(what: &str, length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent}%");
    let bar = ProgressBar::new(length).with_message(what.to_owned());
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

pub fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

pub fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(100)
}

/// `2026-11-23T02:24:00Z` -> `2026-11-23 02:24`, in local time; what is no time stays as it is.
pub fn when(rfc3339: &str) -> String {
    match chrono::DateTime::parse_from_rfc3339(rfc3339) {
        Ok(time) => time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M").to_string(),
        Err(_) => rfc3339.to_owned(),
    }
}

/// `at 03:12`, or `on 2026-11-22 at 03:12` when that was not today; in local time.
pub fn clock(rfc3339: &str) -> String {
    let Ok(time) = chrono::DateTime::parse_from_rfc3339(rfc3339) else { return format!("at {rfc3339}") };
    let time = time.with_timezone(&chrono::Local);
    let today = time.date_naive() == chrono::Local::now().date_naive();
    time.format(if today { "at %H:%M" } else { "on %Y-%m-%d at %H:%M" }).to_string()
}

/// Columns two blanks apart, as wide as their widest cell; the last one is not padded.
pub fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().enumerate().map(|(c, cell)| format!("{cell:<w$}", w = widths[c])).collect();
        line(cells.join("  ").trim_end());
    }
}

/// One changed package: what happened, name, versions, and what is special about it.
pub fn change_row(change: &Change) -> Vec<String> {
    let version = match (&change.old, &change.new) {
        (Some(old), Some(new)) if old != new => format!("{old} -> {new}"),
        (Some(version), _) | (None, Some(version)) => version.clone(),
        (None, None) => String::new(),
    };
    let mut marks: Vec<String> = Vec::new();
    marks.extend(change.archive.clone());
    marks.extend(change.security.then(|| "security".to_owned()));
    marks.extend((change.auto == Some(true)).then(|| "auto".to_owned()));
    marks.extend(change.stuck.clone());
    vec![
        format!("  {}", change.action.past()),
        format!("{}:{}", change.package, change.architecture),
        version,
        marks.join(", "),
    ]
}

/// "1 profile", "2 profiles"
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
