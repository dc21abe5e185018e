//! Which files are of a package: /var/lib/dpkg/info/NAME.list, one absolute path a line, directories
//! among them. Packages of before the merged /usr name `/bin/ls` what lies at `/usr/bin/ls`.

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::hash::Hash;

/// `coreutils.list`, `libc6:amd64.list` -> the package's name
pub fn package(file_name: &[u8]) -> Option<&str> {
    let stem = std::str::from_utf8(file_name.strip_suffix(b".list")?).ok()?;
    Some(stem.split(':').next().unwrap_or(stem))
}

/// Calls `found` with every line that is one of `wanted` (relative to /, below the merged /usr): the line as
/// it stands there without its first `/`, the path, and what stands beside that.
pub fn find<'l, 'a, P: Borrow<[u8]> + Eq + Hash, T>(
    list: &'l [u8],
    wanted: &'a HashMap<P, T>,
    mut found: impl FnMut(&'l [u8], &'a [u8], &'a T),
) {
    let mut merged = Vec::new();
    for line in list.split(|b| *b == b'\n') {
        let Some(path) = line.strip_prefix(b"/").filter(|path| !path.is_empty()) else { continue };
        let hit = match below_usr(path) {
            false => wanted.get_key_value(path),
            true => {
                merged.clear();
                merged.extend_from_slice(b"usr/");
                merged.extend_from_slice(path);
                wanted.get_key_value(&merged[..])
            }
        };
        if let Some((here, beside)) = hit {
            found(path, here.borrow(), beside);
        }
    }
}

/// Where a path (relative to /) lies on a system with a merged /usr: `bin/ls` is `usr/bin/ls`.
pub fn canonical(path: &[u8]) -> Cow<'_, [u8]> {
    match below_usr(path) {
        true => Cow::Owned([b"usr/", path].concat()),
        false => Cow::Borrowed(path),
    }
}

/// Is the first directory a link into /usr on a merged system?
fn below_usr(path: &[u8]) -> bool {
    let first = path.split(|b| *b == b'/').next().unwrap_or_default();
    path.len() > first.len() && matches!(first, b"bin" | b"sbin" | b"lib" | b"lib32" | b"lib64" | b"libx32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_lines_are_found_merged_or_not() {
        let wanted = [b"usr/bin/ls".to_vec(), b"etc/x".to_vec(), b"libfoo".to_vec()];
        let wanted: HashMap<Vec<u8>, ()> = wanted.into_iter().map(|path| (path, ())).collect();
        let mut seen = Vec::new();
        find(b"/.\n/bin\n/bin/ls\n/usr/bin/ls\n/etc/x\n/etc\n\n/libfoo", &wanted, |line, path, ()| {
            assert_eq!(canonical(line), path);
            seen.push(String::from_utf8_lossy(line).into_owned());
        });
        assert_eq!(seen, ["bin/ls", "usr/bin/ls", "etc/x", "libfoo"]);
    }

    #[test]
    fn a_list_is_named_after_its_package() {
        assert_eq!(package(b"coreutils.list"), Some("coreutils"));
        assert_eq!(package(b"libc6:amd64.list"), Some("libc6"));
        assert_eq!(package(b"libc6:amd64.md5sums"), None);
        assert_eq!(package(b"\xff.list"), None);
    }
}
