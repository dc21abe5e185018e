//! Two changes of one text, made into one where they do not touch each other.

use diffy::MergeOptions;

/// Bytes; nobody writes more by hand.
pub const LARGEST: u64 = 1 << 20;

/// The old text with the changes of both sides. None where there is no clean merge: both changed the same
/// lines, or one of the three is no text (a byte 0) or too large. Never with marks of a conflict in it.
pub fn clean(old: &[u8], mine: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let is_text = |bytes: &&[u8]| bytes.len() as u64 <= LARGEST && !bytes.contains(&0);
    if ![old, mine, new].iter().all(is_text) {
        return None;
    }
    let merged = MergeOptions::new().merge_bytes(old, mine, new).ok()?;
    (!has_marks(&merged)).then_some(merged)
}

/// As tools for merging write them. A text that had them before is not merged at all.
fn has_marks(text: &[u8]) -> bool {
    const MARKS: [&[u8]; 4] = [b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>"];
    let mut lines = text.split(|b| *b == b'\n');
    lines.any(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        MARKS.iter().any(|mark| line == *mark || line.starts_with(&[mark, &b" "[..]].concat()))
    })
}
