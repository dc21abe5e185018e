//! `flipper-undo --list`: the page a person looks at when something broke. Each entry is one line
//! (graph, number, when, by whom, what), and a second one only where there is more to say: how it
//! ended, that it was taken back, that it cannot be returned to. Lists of packages are cut to the
//! width; everything from outside is made safe for a terminal first.

use super::graph::{Beside, Tree, draw};
use crate::model::entry::Action;
use crate::model::{Entry, EntryNumber, Kind, State};
use crate::policy::descent::{History, changes};

pub struct LogRow<'a> {
    pub entry: &'a Entry,
    /// In the line of descent of `current`.
    pub in_line: bool,
    /// Its point exists.
    pub point: bool,
    /// The entry that pruned it.
    pub pruned: Option<EntryNumber>,
    /// e.g. `waits for the next start`
    pub note: Option<String>,
}

/// What the page is written on.
pub struct Paper<'a> {
    pub colour: bool,
    /// In characters.
    pub width: usize,
    /// An entry's time (RFC 3339, UTC) as this person reads it, e.g. `Nov 21 14:02`.
    pub when: &'a dyn Fn(&str) -> String,
}

/// The cells of one entry, safe to print.
struct Cells {
    number: String,
    when: String,
    who: String,
    what: String,
    more: String,
}

/// `rows`: newest first. Entries may be left out; the graph then bridges them.
pub fn page(
    profile: &str,
    rows: &[LogRow<'_>],
    history: &History<'_>,
    current: EntryNumber,
    paper: &Paper<'_>,
) -> String {
    if rows.is_empty() {
        return format!("{}: nothing has happened yet\n", safe(profile));
    }
    let tree = Tree::new(history, current);
    let trunk = tree.trunk();
    let made_it = |e: &Entry| e.kind.makes_root() && e.state != State::Cancelled && trunk.contains(&e.number);
    let marks = rows.iter().map(|row| if row.in_line || made_it(row.entry) { '*' } else { 'o' });
    let nodes: Vec<_> = rows.iter().map(|row| row.entry.number).zip(marks).collect();
    let cells: Vec<_> = rows.iter().zip(&nodes).map(|(row, (_, mark))| cells(row, *mark, paper)).collect();
    let widest = |cell: fn(&Cells) -> &String| cells.iter().map(|c| length(cell(c))).max().unwrap_or(0);
    let widths = [widest(|c| &c.number), widest(|c| &c.when), widest(|c| &c.who)];

    let mut text = format!("{}, newest first: * is in it now, o is not\n", safe(profile));
    for ((beside, cells), row) in draw(&tree, &nodes).iter().zip(&cells).zip(rows) {
        write_entry(&mut text, beside, cells, widths, ink(row, beside), paper);
    }
    text
}

fn write_entry(
    text: &mut String,
    beside: &Beside,
    cells: &Cells,
    widths: [usize; 3],
    ink: Ink,
    paper: &Paper<'_>,
) {
    let Cells { number, when, who, what, more } = cells;
    let [number_width, when_width, who_width] = widths;
    for join in &beside.joins {
        push_line(text, join);
    }
    let head = format!("{number:>number_width$}  {when:when_width$}  {who:who_width$}  ");
    let used = beside.node.len() + 1 + length(&head);
    let line = format!("{head}{}", fit(what, paper.width.saturating_sub(used)));
    push_line(text, &format!("{} {}", beside.node, paint(paper, ink.line, &line)));
    if !more.is_empty() {
        let indent = number_width + 2;
        let more = fit(more, paper.width.saturating_sub(beside.under.len() + 1 + indent));
        push_line(text, &format!("{} {:indent$}{}", beside.under, "", paint(paper, ink.more, &more)));
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn cells(row: &LogRow<'_>, mark: char, paper: &Paper<'_>) -> Cells {
    let entry = row.entry;
    Cells {
        number: entry.number.to_string(),
        when: safe(&(paper.when)(&entry.started)),
        who: fit(&safe(&who(entry)), 16),
        what: safe(&what(entry)),
        more: safe(&more(row, mark).join("; ")),
    }
}

fn who(entry: &Entry) -> String {
    match (&entry.person, &entry.driver) {
        (Some(person), _) => person.name.clone().unwrap_or_else(|| format!("uid {}", person.uid)),
        (None, Some(driver)) => driver.name.clone(),
        (None, None) => "-".to_owned(),
    }
}

fn what(entry: &Entry) -> String {
    let target = entry.target.map_or("?".to_owned(), |target| target.to_string());
    match &entry.kind {
        Kind::Packages => packages(entry),
        Kind::Undo => format!("undo: back to before {target}"),
        Kind::Redo => format!("redo: again as before {target}"),
        Kind::Reset => "reset: back to pristine".to_owned(),
        Kind::Rebase => {
            let base = entry.base.as_ref().map_or("another".to_owned(), |base| base.to_string());
            format!("rebase: now on base {base}")
        }
        Kind::Repair => entry.outcome.clone().unwrap_or_else(|| "repaired".to_owned()),
        Kind::Share => entry.outcome.clone().unwrap_or_else(|| "paths shared".to_owned()),
        Kind::Cancel => {
            let dropped = entry.cancels.map_or("?".to_owned(), |dropped| dropped.to_string());
            format!("cancel: entry {dropped} dropped before its boot")
        }
        Kind::Restore if entry.target.is_some() => format!("some paths put back as before {target}"),
        Kind::Restore => "some paths put back".to_owned(),
        Kind::Create => "profile created".to_owned(),
        Kind::Clone => "profile cloned".to_owned(),
        Kind::Delete => "profile deleted".to_owned(),
        Kind::Undelete => "profile brought back".to_owned(),
        Kind::Set => "settings changed".to_owned(),
        Kind::Left => "kept: what was written after the undo".to_owned(),
        Kind::Import => "base imported".to_owned(),
        Kind::Receive => "base received".to_owned(),
        Kind::Flip => {
            let base = entry.base.as_ref().map_or("another".to_owned(), |base| base.to_string());
            format!("flip: base {base} is current")
        }
        Kind::Rollback => "rollback: what a flip moved is back".to_owned(),
        Kind::MarkGood => "base called last good".to_owned(),
        Kind::Default => "default profile chosen".to_owned(),
        Kind::PruneBase => "base removed".to_owned(),
        Kind::Save => "saved by hand".to_owned(),
        Kind::Prune => "points let go".to_owned(),
        Kind::Other(name) => format!("{name} (made by a newer program)"),
    }
}

/// `1 installed, 7 upgraded: nginx, libc6, ...`, the names in the order of the counts.
fn packages(entry: &Entry) -> String {
    let counts = entry.counts();
    if counts.is_empty() {
        return entry.command_line.clone().unwrap_or_else(|| "no package changed".to_owned());
    }
    let sums: Vec<_> = counts.iter().map(|(action, count)| format!("{count} {}", action.past())).collect();
    let planned = entry.planned.iter().map(|p| (p.action, p.package.as_str()));
    let changed = entry.changes.iter().map(|c| (c.action, c.package.as_str()));
    let mut names: Vec<(Action, &str)> =
        if entry.changes.is_empty() { planned.collect() } else { changed.collect() };
    names.sort_by_key(|(action, _)| *action);
    let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
    format!("{}: {}", sums.join(", "), names.join(", "))
}

/// What the second line says, most important first.
fn more(row: &LogRow<'_>, mark: char) -> Vec<String> {
    let entry = row.entry;
    let mut parts = Vec::new();
    parts.extend(row.note.clone());
    match (entry.state, &entry.outcome) {
        (State::Completed, _) => {}
        (state, Some(outcome)) => parts.push(format!("{}{}: {outcome}", state.name(), how_far(entry))),
        (state, None) => parts.push(state.name().to_owned()),
    }
    let can_be_undone = changes(entry) || matches!(entry.kind, Kind::Undo | Kind::Redo);
    let standing = mark == '*' || entry.state == State::Cancelled;
    if can_be_undone && !standing && row.note.is_none() {
        parts.push("taken back".to_owned());
    }
    if entry.kind.is_change() && !entry.point && !row.point {
        parts.push("unprotected: it has no point".to_owned());
    } else if let (Some(by), false) = (row.pruned, row.point) {
        parts.push(format!("point pruned (entry {by})"));
    } else if entry.point && !row.point && entry.state != State::Cancelled {
        parts.push("its point is not kept any more".to_owned());
    }
    parts.extend(entry.comment.as_ref().map(|comment| format!("\"{comment}\"")));
    parts
}

/// " at 14 of 61 packages"
fn how_far(entry: &Entry) -> String {
    let cut = entry.cut.as_ref().filter(|cut| cut.planned > 0);
    cut.map_or(String::new(), |cut| format!(" at {} of {} packages", cut.reached, cut.planned))
}

/// SGR codes of an entry's two lines.
struct Ink {
    line: &'static str,
    more: &'static str,
}

fn ink(row: &LogRow<'_>, beside: &Beside) -> Ink {
    let line = if beside.node.contains('*') { "" } else { "2" };
    let more = match row.entry.state {
        State::Failed | State::Interrupted => "31",
        _ if row.note.is_some() => "33",
        _ => "2",
    };
    Ink { line, more }
}

fn paint(paper: &Paper<'_>, code: &str, text: &str) -> String {
    if !paper.colour || code.is_empty() {
        return text.to_owned();
    }
    format!("\x1b[{code}m{}\x1b[0m", text.trim_end())
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// At most `room` characters, cut after a whole word; but never less than sixteen, however narrow the paper.
fn fit(text: &str, room: usize) -> String {
    let room = room.max(16);
    if length(text) <= room {
        return text.to_owned();
    }
    let head: String = text.chars().take(room - 3).collect();
    let whole = head.rfind(' ').map_or(head.as_str(), |at| &head[..=at]);
    format!("{whole}...")
}

/// Control characters, and those that turn the writing direction, become `?`: what stands in a
/// journal came from command lines and package files, and must not steer a terminal.
fn safe(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '?' } else { c }).collect()
}

pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
