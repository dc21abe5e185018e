//! What changed in a text, as `diff -u` shows it: for conffiles and other small files below /etc.

use diffy::{DiffOptions, PatchFormatter};

/// Bytes; what is larger nobody reads as a difference.
const LARGEST: usize = 256 << 10;

/// The hunks, without file names. None when either is no text, or too large. Absent files are empty.
pub fn unified(before: &[u8], after: &[u8]) -> Option<String> {
    let is_text = |bytes: &[u8]| bytes.len() <= LARGEST && !bytes.contains(&0);
    if !is_text(before) || !is_text(after) {
        return None;
    }
    let mut options = DiffOptions::new();
    let patch = options.set_context_len(3).create_patch_bytes(before, after);
    let mut text = Vec::new();
    PatchFormatter::new().write_patch_into(&patch, &mut text).ok()?;
    // It begins with the two names, which the page has said already.
    let hunks = text.windows(3).position(|w| w == b"@@ ").map_or(&text[text.len()..], |at| &text[at..]);
    Some(String::from_utf8_lossy(hunks).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_as_diff_shows_them() {
        let text = unified(b"a\nb\nc\n", b"a\nx\nc\nlast").unwrap();
        assert_eq!(text, "@@ -1,3 +1,4 @@\n a\n-b\n+x\n c\n+last\n\\ No newline at end of file\n");
        assert_eq!(unified(b"", b"new\n").unwrap(), "@@ -0,0 +1 @@\n+new\n");
        assert_eq!(unified(b"same\n", b"same\n").unwrap(), "");
        assert_eq!(unified(b"\0", b"text\n"), None);
        assert!(unified(b"\xff\n", b"\xfe\n").unwrap().contains('\u{fffd}'), "not UTF-8 is still text");
        assert_eq!(unified(&vec![b'a'; LARGEST + 1], b""), None);
    }
}
