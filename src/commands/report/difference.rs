//! The page of what changed: packages, settings, then files in their places, the most telling first.
//! What came or went with a whole directory is one line. A page, unless all is asked for.

use std::path::Path;

use serde_json::{Value, json};

use super::{count, line, table};
use crate::commands::compared::{Compared, Text};
use crate::model::difference::{Attributes, NodeKind, PathChange, What};
use crate::model::entry::count_actions;
use crate::policy::difference::{Place, Placed, counts, word};
use crate::policy::outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Counts only.
    Stat,
    Page,
    All,
}

impl Length {
    pub fn asked(stat: bool, all: bool) -> Length {
        match (stat, all) {
            (true, _) => Length::Stat,
            (false, true) => Length::All,
            (false, false) => Length::Page,
        }
    }

    /// Lines of one place, and of one text.
    fn most(self) -> usize {
        if self == Length::All { usize::MAX } else { 12 }
    }
}

pub fn page(compared: &Compared, length: Length) {
    if compared.everything {
        line("  (no common state is kept any more: everything was compared)");
    }
    if let Some(packages) = compared.packages.as_ref().filter(|packages| !packages.is_empty()) {
        line(format_args!(
            "packages: {}",
            outcome::summary(&count_actions(packages.iter().map(|c| c.action)))
        ));
        if length != Length::Stat {
            table(&cut(packages.iter().map(super::change_row), length));
        }
    }
    for (name, before, after) in &compared.settings {
        line(format_args!("setting {name}: {before:?} -> {after:?}"));
    }
    for group in compared.files.chunk_by(|a, b| heading(&a.place) == heading(&b.place)) {
        let sums: Vec<String> =
            counts(group.iter().map(|p| &p.change)).iter().map(|(word, n)| format!("{n} {word}")).collect();
        line(format_args!("{}: {}", heading(&group[0].place), sums.join(", ")));
        match (length, &group[0].place) {
            (Length::Stat, _) | (Length::Page, Place::Bookkeeping) => {}
            (Length::Page, Place::Package(_)) => by_package(group),
            _ => files(group, compared, length),
        }
    }
    if compared.files.is_empty() {
        line("no file differs");
    }
}

fn heading(place: &Place) -> &'static str {
    match place {
        Place::Conffile(_) => "conffiles",
        Place::Configuration => "other files in /etc",
        Place::Own => "files of no package",
        Place::Unchanged(_) => "files of packages that did not change",
        Place::Package(_) => "files of these packages",
        Place::Bookkeeping => "package database and caches",
    }
}

fn by_package(group: &[Placed]) {
    let rows = group.chunk_by(|a, b| a.place == b.place).map(|files| {
        let sums: Vec<String> =
            counts(files.iter().map(|p| &p.change)).iter().map(|(word, n)| format!("{n} {word}")).collect();
        vec![format!("  {}", files[0].place.package().unwrap_or_default()), sums.join(", ")]
    });
    table(&cut(rows, Length::Page));
}

fn files(group: &[Placed], compared: &Compared, length: Length) {
    let shown = folded(group);
    for (placed, below) in shown.iter().take(length.most()) {
        line(format_args!("  {}", sentence(placed, *below)));
        match compared.texts.get(&placed.change.path) {
            Some(Text::Hunks(hunks)) => text(hunks, length),
            Some(Text::Private) => line("    (not everybody may read it: name it to see its text)"),
            None => {}
        }
    }
    more(shown.len(), length, "    ");
}

/// Without what came or went with a directory that did: that is counted at the directory.
fn folded(group: &[Placed]) -> Vec<(&Placed, usize)> {
    let mut shown: Vec<(&Placed, usize)> = Vec::new();
    for placed in group {
        let whole = |(top, _): &&mut (&Placed, usize)| {
            top.change.kind == NodeKind::Directory
                && matches!(top.change.what, What::Added | What::Removed)
                && top.change.what == placed.change.what
                && placed.change.path.starts_with(&top.change.path)
        };
        match shown.last_mut().filter(whole) {
            Some((_, below)) => *below += 1,
            None => shown.push((placed, 0)),
        }
    }
    shown
}

/// "changed          /etc/nginx/nginx.conf  (nginx; mode 644 -> 600)"
fn sentence(placed: &Placed, below: usize) -> String {
    let change = &placed.change;
    let mut beside = Vec::new();
    beside.extend(placed.place.package().map(str::to_owned));
    match &change.what {
        What::Changed { attributes } | What::Metadata { attributes } => beside.extend(said(attributes)),
        What::TypeChanged { was } => beside.push(format!("{} -> {}", was.name(), change.kind.name())),
        _ if change.kind != NodeKind::File => beside.push(change.kind.name().to_owned()),
        _ => {}
    }
    if below > 0 {
        beside.push(format!("with {} below it", count(below, "path", "paths")));
    }
    let beside = if beside.is_empty() { String::new() } else { format!("  ({})", beside.join("; ")) };
    let from = match &change.what {
        What::Renamed { from } => format!("{} -> ", shown_path(from)),
        _ => String::new(),
    };
    format!("{:<15} {from}{}{beside}", word(&change.what), shown_path(&change.path))
}

/// One line, whatever bytes the name has.
fn shown_path(path: &Path) -> String {
    format!("/{}", super::without_control(&path.display().to_string()))
}

fn said(attributes: &Attributes) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(attributes.mode.map(|(was, is)| format!("mode {was:o} -> {is:o}")));
    said.extend(attributes.owner.map(|(was, is)| format!("owner {was} -> {is}")));
    said.extend(attributes.group.map(|(was, is)| format!("group {was} -> {is}")));
    said.extend(attributes.extended.iter().cloned());
    said
}

fn text(hunks: &str, length: Length) {
    let most = length.most().saturating_mul(3);
    let lines: Vec<&str> = hunks.lines().collect();
    for one in lines.iter().take(most) {
        line(format_args!("    {}", one.replace('\t', "        ")));
    }
    if lines.len() > most {
        line(format_args!("    ... and {} more lines (--all)", lines.len() - most));
    }
}

fn cut(rows: impl Iterator<Item = Vec<String>>, length: Length) -> Vec<Vec<String>> {
    let mut rows: Vec<_> = rows.collect();
    let all = rows.len();
    if all > length.most() {
        rows.truncate(length.most());
        rows.push(vec![format!("  ... and {} more (--all)", all - length.most())]);
    }
    rows
}

fn more(all: usize, length: Length, indent: &str) {
    if all > length.most() {
        line(format_args!("{indent}... and {} more (--all)", all - length.most()));
    }
}

pub fn json(compared: &Compared) -> Value {
    let files: Vec<Value> = compared.files.iter().map(|placed| file(placed, compared)).collect();
    let settings: Vec<Value> = compared
        .settings
        .iter()
        .map(|(name, before, after)| json!({"setting": name, "before": before, "after": after}))
        .collect();
    let counts = counts(compared.files.iter().map(|p| &p.change));
    let counts: serde_json::Map<String, Value> =
        counts.into_iter().map(|(word, n)| (word.replace(' ', "-"), n.into())).collect();
    json!({
        "packages": compared.packages, "settings": settings, "files": files, "counts": counts,
        "everything_compared": compared.everything,
    })
}

fn file(placed: &Placed, compared: &Compared) -> Value {
    use std::os::unix::ffi::OsStrExt;
    let PathChange { path, .. } = &placed.change;
    let mut value = serde_json::to_value(&placed.change).unwrap_or_default();
    value["place"] = placed.place.name().into();
    if let Some(package) = placed.place.package() {
        value["package"] = package.into();
    }
    if path.to_str().is_none() {
        value["path_bytes"] = path.as_os_str().as_bytes().to_vec().into();
    }
    match compared.texts.get(path) {
        Some(Text::Hunks(hunks)) => value["diff"] = hunks.as_str().into(),
        Some(Text::Private) => value["private"] = true.into(),
        None => {}
    }
    value
}
