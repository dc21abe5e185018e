//! What `flipper-profile space` says, and bytes for people. One rule everywhere: below 1 KiB as they
//! are, else the largest of KiB, MiB, GiB and TiB that leaves at least 1.0, with one decimal, rounded to
//! the nearest.

use std::path::Path;

use super::{count, line, table};
use crate::commands::space::{PoolSpace, ProfileSpace, Pruned};
use crate::commands::undo_list;
use crate::policy::space::Sizes;
use crate::system::usage::Allocated;

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Numbers and units stand under each other: every cell is as wide as this.
const WIDTH: usize = 10;

/// e.g. `12.3 MiB`
pub fn size(bytes: u64) -> String {
    let (number, unit) = split(bytes);
    format!("{number} {unit}")
}

/// The same for a column: `  12.3 MiB`, `    17 B  `.
pub fn size_cell(bytes: u64) -> String {
    let (number, unit) = split(bytes);
    format!("{number:>6} {unit:<3}")
}

/// The title of such a column, at its right end; a longer one makes the column wider.
pub fn size_title(title: &str) -> String {
    format!("{title:>WIDTH$}")
}

fn split(bytes: u64) -> (String, &'static str) {
    if bytes < 1024 {
        return (bytes.to_string(), UNITS[0]);
    }
    let mut unit = 1;
    loop {
        let one = 1u128 << (10 * unit);
        let tenths = (u128::from(bytes) * 10 + one / 2) / one;
        // 1023.95 KiB would read 1024.0 KiB: it is 1.0 MiB.
        if tenths < 10_240 || unit + 1 == UNITS.len() {
            return (format!("{}.{}", tenths / 10, tenths % 10), UNITS[unit]);
        }
        unit += 1;
    }
}

pub fn pool(device: &Path, page: &PoolSpace) {
    let usage = &page.usage;
    line(format_args!("pool on {}: {} of {} free", device.display(), size(usage.free), size(usage.total)));
    let used = |of: Allocated| format!("{} used of {} allocated", size(of.used), size(of.allocated));
    if usage.mixed {
        line(format_args!("  data and metadata together: {}", used(usage.data)));
    } else {
        line(format_args!("  data: {}", used(usage.data)));
        line(format_args!("  metadata (names, small files; in no figure below): {}", used(usage.metadata)));
    }
    line(format_args!("  not allocated yet: {}\n", size(usage.unallocated)));
    table(&pool_rows(page));
    line("\nUNIQUE is freed when it goes, SHARED is held by something else too, IF PRUNED is freed when its");
    line("points go. Data on disk, compressed.");
    if page.being_deleted > 0 {
        let many = count(page.being_deleted, "subvolume is", "subvolumes are");
        line(format_args!("{many} being deleted: what only they held is unaccounted until that is done."));
    }
    let points = count(page.points, "point", "points");
    line(format_args!("Pruning every point ({points}) would free {}.", size(page.freed_by_pruning)));
    if let Some(Pruned { points, freed }) = page.by_the_rules {
        let points = count(points, "point", "points");
        line(format_args!("flipper-profile prune would now let {points} go and free {}.", size(freed)));
    }
}

fn pool_rows(page: &PoolSpace) -> Vec<Vec<String>> {
    let head = |what: &str| titled(what, &["UNIQUE", "SHARED", "TOTAL"]);
    let mut rows = vec![titled("PROFILE", &["UNIQUE", "SHARED", "TOTAL", "IF PRUNED"])];
    rows[0].push("POINTS".to_owned());
    for profile in &page.profiles {
        let mut cells = row(&profile.name, profile.sizes);
        cells.push(size_cell(profile.freed_by_pruning));
        cells.push(profile.points.to_string());
        rows.push(cells);
    }
    rows.push(head("BASE"));
    rows.extend(page.bases.iter().map(|(version, sizes)| row(version, *sizes)));
    rows.push(head("OTHER"));
    rows.push(row("home", page.home));
    rows.push(row("elsewhere", page.elsewhere));
    if page.unaccounted > 0 && !page.usage.mixed {
        rows.push(vec!["unaccounted".to_owned(), size_cell(page.unaccounted)]);
    }
    rows
}

pub fn profile(page: &ProfileSpace) {
    let (unique, shared) = (size(page.all.unique), size(page.all.shared));
    line(format_args!("profile {}: {unique} unique, {shared} shared\n", page.id));
    let mut rows = vec![titled("", &["UNIQUE", "SHARED", "TOTAL"])];
    for (number, sizes) in &page.roots {
        let mark = match *number {
            number if number == page.current => " (current)",
            number if Some(number) == page.refused => " (refused)",
            _ => "",
        };
        rows.push(row(&format!("root {number}{mark}"), *sizes));
    }
    rows.push(row("state", page.state));
    table(&rows);
    if page.points.is_empty() {
        return;
    }
    line("");
    let mut rows = vec![["UNIQUE", "AND OLDER", "TOTAL"].map(size_title).to_vec()];
    rows[0].push("THE STATE BEFORE".to_owned());
    for point in &page.points {
        let cells = [point.sizes.unique, point.freed_with_older, point.sizes.total()];
        let mut cells = cells.map(size_cell).to_vec();
        cells.push(point.entry.as_ref().map_or(point.number.to_string(), undo_list::entry_line));
        rows.push(cells);
    }
    table(&rows);
    line("\nUNIQUE is freed when that point alone is pruned, AND OLDER when every older one goes too.");
}

fn titled(what: &str, titles: &[&str]) -> Vec<String> {
    std::iter::once(what.to_owned()).chain(titles.iter().map(|title| size_title(title))).collect()
}

fn row(name: &str, sizes: Sizes) -> Vec<String> {
    let sizes = [sizes.unique, sizes.shared, sizes.total()].map(size_cell);
    std::iter::once(name.to_owned()).chain(sizes).collect()
}

#[cfg(test)]
mod tests {
    use super::{size, size_cell};

    #[test]
    fn one_rule_for_all_sizes() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1075, "1.0 KiB"),
            (1076, "1.1 KiB"),
            (12_902_400, "12.3 MiB"),
            ((1 << 20) - 53, "1023.9 KiB"),
            ((1 << 20) - 51, "1.0 MiB"),
            ((1 << 30) - 1, "1.0 GiB"),
            (3 << 39, "1.5 TiB"),
            (u64::MAX, "16777216.0 TiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text, "{bytes}");
        }
        for bytes in [0, 9, 1023, 1024, 1 << 20, (1 << 20) - 53, 5 << 40] {
            assert_eq!(size_cell(bytes).len(), super::WIDTH, "{:?}", size_cell(bytes));
        }
    }
}
