//! Bytes for people. One rule everywhere: below 1 KiB as they are, else the largest of KiB, MiB, GiB
//! and TiB that leaves at least 1.0, with one decimal, rounded to the nearest.

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
