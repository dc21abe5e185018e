//! The bases: sealed, below the inode floor, and still what their manifests say.

use crate::model::BaseVersion;
use crate::model::error::Result;
use crate::system::{base, btrfs, files, manifest};

use super::{Depth, Findings, NEXT_CHANGE};
use crate::commands::session::Session;

/// Paths of each base that are read again without `--deep`.
const SAMPLE: usize = 64;
/// Differences that are named; the rest is counted.
const NAMED: usize = 5;

pub fn check(session: &Session, depth: Depth, findings: &mut Findings) -> Result<()> {
    let layout = &session.pool.layout;
    let versions = base::versions(layout)?;
    for version in &versions {
        one(session, version, depth, findings)?;
    }
    current(session, &versions, findings)?;
    for name in files::names(&layout.bases())? {
        let version = name.to_str().and_then(|n| n.strip_suffix(".manifest")).and_then(|n| n.parse().ok());
        if version.is_some_and(|version: BaseVersion| !versions.contains(&version)) {
            let of = format!("@base/{}", name.to_string_lossy());
            findings.add("manifest", of, "there is no such base", "it does no harm and may be removed");
        }
    }
    Ok(())
}

fn one(session: &Session, version: &BaseVersion, depth: Depth, findings: &mut Findings) -> Result<()> {
    const AGAIN: &str = "import it again under another version, and prune this one";
    let layout = &session.pool.layout;
    let (path, of) = (layout.base(version), format!("base {version}"));
    let what = "it can be written to: it must never change under a profile";
    let seal = format!("if nothing was changed in it: btrfs property set -ts @base/{version} ro true");
    findings.add_if(!btrfs::is_read_only(&path)?, "sealed", &of, what, &seal);
    match manifest::largest_inode(layout, version) {
        Ok(largest) if largest >= session.pool.format.inode_floor => {
            let what = "it has inode numbers at the floor: files may be taken for others";
            findings.add("floor", &of, what, AGAIN);
        }
        Ok(_) => {}
        Err(error) => {
            return {
                findings.add("manifest", &of, error, AGAIN);
                Ok(())
            };
        }
    }
    let at_most = if depth == Depth::Whole { usize::MAX } else { SAMPLE };
    match manifest::differences(layout, version, at_most) {
        Ok(paths) if paths.is_empty() => {}
        Ok(paths) => {
            let names: Vec<String> = paths.iter().take(NAMED).map(|p| format!("/{}", p.display())).collect();
            let more = if paths.len() > NAMED {
                format!(" and {} more", paths.len() - NAMED)
            } else {
                String::new()
            };
            findings.add(
                "manifest",
                &of,
                format!("not as it was published: {}{more}", names.join(", ")),
                AGAIN,
            );
        }
        Err(error) => findings.add("manifest", &of, error, AGAIN),
    }
    Ok(())
}

fn current(session: &Session, versions: &[BaseVersion], findings: &mut Findings) -> Result<()> {
    const MARK: &str = "say which one has proved itself: flipper-base mark-good V";
    const CHOOSE: &str = "name the base when a profile is made: flipper-profile create ID --base V";
    let layout = &session.pool.layout;
    match base::current(layout)? {
        Some(version) if versions.contains(&version) => {}
        Some(version) => {
            findings.add(
                "current",
                "@base/current",
                format!("it names base {version}, which is not there"),
                CHOOSE,
            );
        }
        None if layout.current_base().symlink_metadata().is_ok() => {
            findings.add("current", "@base/current", "it names no base", CHOOSE);
        }
        None if versions.len() == 1 => findings.add("current", "@base/current", "it is missing", NEXT_CHANGE),
        None if !versions.is_empty() => findings.add("current", "@base/current", "it is missing", CHOOSE),
        None => {}
    }
    match base::good(layout)? {
        Some(version) if !versions.contains(&version) => {
            let what = format!("it names base {version}, which is not there");
            findings.add("good", "@base/good", what, MARK);
        }
        None if layout.good_base().symlink_metadata().is_ok() => {
            findings.add("good", "@base/good", "it names no base", MARK);
        }
        _ => {}
    }
    Ok(())
}
