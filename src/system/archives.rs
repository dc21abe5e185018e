//! Which archive a version came from, read from the package lists apt keeps. Slow enough (tens of
//! megabytes) that a hook does it beside dpkg, never in its way.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::model::entry::Planned;
use crate::model::error::Result;

use super::files;
use super::journal::Archives;

/// The lists of a merged root, e.g. `/var/lib/apt/lists/..._dists_trixie_main_binary-amd64_Packages`.
/// `search` finds the wanted (package, architecture, version) in the text of one list.
pub fn look_up(
    merged: &Path,
    planned: &[Planned],
    search: impl Fn(&[u8], &[Planned]) -> Vec<usize>,
) -> Result<Archives> {
    let lists = merged.join("var/lib/apt/lists");
    let mut found = Archives::new();
    for name in files::names(&lists)? {
        let Some(archive) = name.to_str().and_then(archive_of_list) else { continue };
        let Some(text) = read_list(&lists.join(&name)) else { continue };
        for hit in search(&text, planned) {
            let planned = &planned[hit];
            let version = planned.new.as_deref().unwrap_or_default();
            let key = key(&planned.package, &planned.architecture, version);
            let slot = found.entry(key).or_insert_with(|| archive.clone());
            // The same version may be in the release and in its security archive: say security.
            if is_security(&archive) {
                *slot = archive.clone();
            }
        }
    }
    Ok(found)
}

/// `nginx:amd64=1.26.3-3`
pub fn key(package: &str, architecture: &str, version: &str) -> String {
    format!("{package}:{architecture}={version}")
}

/// Debian's security archive names its suites `trixie-security`, formerly `stretch/updates`.
pub fn is_security(archive: &str) -> bool {
    archive.contains("-security") || archive.contains("/updates/")
}

/// `..._dists_trixie-security_main_binary-amd64_Packages` -> `trixie-security/main`; apt writes `/`
/// as `_` and `_` as `%5f`. A flat archive (no `dists`) is named by what stands before `Packages`.
pub fn archive_of_list(name: &str) -> Option<String> {
    let stem = [".lz4", ".gz", ".xz", ".zst", ""]
        .iter()
        .find_map(|end| name.strip_suffix(end)?.strip_suffix("_Packages"))?;
    let archive = match stem.split_once("_dists_") {
        Some((_, inside)) => inside.split_once("_binary-").map_or(inside, |(suite, _)| suite),
        None => stem.trim_end_matches(['_', '.']),
    };
    Some(archive.replace('_', "/").replace("%5f", "_"))
}

fn read_list(path: &Path) -> Option<Vec<u8>> {
    if path.extension().is_some_and(|e| {
        [OsStr::new("lz4"), OsStr::new("gz"), OsStr::new("xz"), OsStr::new("zst")].contains(&e)
    }) {
        let output = std::process::Command::new("/usr/lib/apt/apt-helper").arg("cat-file").arg(path).output();
        return output.ok().filter(|o| o.status.success()).map(|o| o.stdout);
    }
    fs::read(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_named_by_suite_and_component() {
        let cases = [
            ("mirror_debian_dists_trixie_main_binary-amd64_Packages", Some("trixie/main")),
            (
                "mirror_debian-security_dists_trixie-security_main_binary-arm64_Packages.lz4",
                Some("trixie-security/main"),
            ),
            ("_srv_repo_._Packages", Some("/srv/repo")),
            ("mirror_debian_dists_trixie_InRelease", None),
            ("lock", None),
        ];
        for (name, archive) in cases {
            assert_eq!(archive_of_list(name).as_deref(), archive, "{name}");
        }
        assert!(is_security("trixie-security/main") && !is_security("trixie/main"));
    }
}
