//! What is asked of a manifest, in any order, is what was written: against a plain map.

use std::collections::BTreeMap;

use super::*;
use crate::model::difference::NodeKind;

/// Paths that lie close in one order and far in another, some lines longer than a piece of the file.
fn paths() -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    for dir in ["a", "a-b", "a.d", "usr", "usr/bin", "usr/lib", "z"] {
        paths.push(dir.as_bytes().to_vec());
        paths.extend((0..60).map(|n| format!("{dir}/{n}").into_bytes()));
        paths.push(format!("{dir}/no\u{e9}\"\\").into_bytes());
        paths.push([dir.as_bytes(), b"/\xff"].concat());
    }
    paths.sort_by(|a, b| tree::order(a, b));
    paths
}

fn object(number: usize) -> Object {
    let target = vec![b'x'; if number.is_multiple_of(97) { 90_000 } else { number % 300 }];
    Object {
        kind: NodeKind::Link,
        mode: 0o777,
        uid: number as u32,
        gid: 0,
        size: None,
        sha256: None,
        target: Some(target.into()),
        device: 0,
        xattrs: Some(tree::Xattrs::new()),
        linked: None,
    }
}

fn written(texts_at: bool) -> (tempfile::TempDir, ManifestFile) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    std::fs::create_dir(layout.bases()).unwrap();
    let lines: Vec<Vec<u8>> =
        paths().iter().enumerate().map(|(n, path)| line::write_object(path, &object(n))).collect();
    let length: usize = lines.iter().map(|line| line.len() + 1).sum();
    let mut header = serde_json::json!({"manifest": 1, "largest_inode": 7, "xattrs": true});
    if texts_at {
        header["texts_at"] = length.into();
    }
    let texts = paths().into_iter().step_by(3).map(|path| line::write_text(&path, &path));
    let mut bytes = header.to_string().into_bytes();
    for line in lines.into_iter().chain(texts) {
        bytes.push(b'\n');
        bytes.extend(line);
    }
    bytes.push(b'\n');
    let version = "1".parse().unwrap();
    std::fs::write(layout.manifest(&version), bytes).unwrap();
    (dir, ManifestFile::open(&layout, &version).unwrap())
}

#[test]
fn every_path_is_found_from_everywhere() {
    let paths = paths();
    let number: BTreeMap<&[u8], usize> = paths.iter().enumerate().map(|(n, p)| (&p[..], n)).collect();
    for texts_at in [true, false] {
        let (_dir, manifest) = written(texts_at);
        let mut seed: u64 = 1;
        for round in 0..2000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = if round < paths.len() { round } else { (seed >> 33) as usize % paths.len() };
            let mut wanted = paths[at].clone();
            if seed.is_multiple_of(5) {
                wanted.push(b'!');
            }
            let there = number.get(&wanted[..]);
            assert_eq!(
                manifest.find(&wanted).unwrap(),
                there.map(|n| object(*n)),
                "{}",
                wanted.escape_ascii()
            );
            let text = there.filter(|n| **n % 3 == 0).map(|_| wanted.clone());
            assert_eq!(manifest.text(&wanted).unwrap(), text);
        }
    }
}

#[test]
fn what_lies_between_two_paths_is_not_there() {
    let paths = paths();
    let (_dir, manifest) = written(true);
    let there = |path: &[u8]| paths.iter().any(|p| p == path);
    let missing = |path: &[u8]| [&b"!"[..], b"!/x", b"!0", b"/a", b"0"].map(|more| [path, more].concat());
    // Each several times: what was found for one is remembered for the next, and must not be for others.
    for path in &paths {
        for wanted in missing(path) {
            assert_eq!(
                manifest.find(&wanted).unwrap().is_some(),
                there(&wanted),
                "{}",
                wanted.escape_ascii()
            );
        }
        for wanted in missing(path).iter().rev().chain([path]) {
            assert_eq!(manifest.find(wanted).unwrap().is_some(), there(wanted), "{}", wanted.escape_ascii());
        }
    }
    assert!(manifest.find(b"").unwrap().is_none() && manifest.find(b"zz").unwrap().is_none());
    assert!(manifest.find(b"").unwrap().is_none() && manifest.find(&paths[0]).unwrap().is_some());
}

#[test]
fn what_is_below_a_directory() {
    let (_dir, manifest) = written(true);
    for dir in [&b""[..], b"a", b"a-b", b"usr", b"usr/lib", b"z", b"nowhere", b"a/1"] {
        let mut seen = Vec::new();
        manifest.below(dir, &mut |path, _| seen.push(path.to_vec())).unwrap();
        let wanted: Vec<_> = paths().into_iter().filter(|path| tree::is_below(path, dir)).collect();
        assert_eq!(seen, wanted, "{}", dir.escape_ascii());
        let mut texts = 0;
        manifest.texts(dir, b"3", &mut |path, text| texts += usize::from(path == text)).unwrap();
        let ends = paths().into_iter().step_by(3).filter(|p| tree::is_below(p, dir) && p.ends_with(b"3"));
        assert_eq!(texts, ends.count(), "{}", dir.escape_ascii());
    }
}

#[test]
fn a_torn_or_strange_manifest_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    std::fs::create_dir(layout.bases()).unwrap();
    let version = "1".parse().unwrap();
    for text in ["", "x", "{}\n", "{\"largest_inode\":1}", "{\"largest_inode\":1,\"texts_at\":99}\n"] {
        std::fs::write(layout.manifest(&version), text).unwrap();
        assert!(matches!(ManifestFile::open(&layout, &version), Err(Error::Damaged { .. })), "{text}");
    }
    std::fs::write(layout.manifest(&version), "{\"largest_inode\":1,\"texts_at\":8}\n{\"p\":\"a\n").unwrap();
    let manifest = ManifestFile::open(&layout, &version).unwrap();
    assert!(manifest.find(b"a").is_err() && manifest.below(b"", &mut |_, _| {}).is_err());
}
