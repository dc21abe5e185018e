//! Is what is to become a base fit to be one? The same look for what is imported and what is received, and a
//! second one at what came from somebody else's machine and cannot be mended here.

use std::path::Path;

use crate::dpkg::Status;
use crate::model::error::{Error, Result};
use crate::policy::received::{self, ReceivedFacts};
use crate::policy::settled::{TreeFacts, complaints};
use crate::system::manifest::Manifest;
use crate::system::{base, btrfs, files};

use super::report;

/// `source`: what the person called it.
pub fn need_settled(source: &Path, root: &Path, manifest: &Manifest, floor: u64) -> Result<()> {
    let (os_release, status) = (read(root, "usr/lib/os-release")?, read(root, "var/lib/dpkg/status")?);
    let fstab = read(root, "etc/fstab")?.unwrap_or_default();
    let is_link = |name: &str| root.join(name).symlink_metadata().is_ok_and(|m| m.is_symlink());
    refuse(
        source,
        &complaints(&TreeFacts {
            os_release: os_release.as_deref(),
            status: status.as_deref(),
            updates: files::names(&root.join("var/lib/dpkg/updates"))?.len(),
            has_dpkg: base::inside(root, "usr/bin/dpkg").is_some_and(|path| path.is_file()),
            merged_usr: ["bin", "sbin", "lib"].into_iter().all(is_link),
            fstab_mounts_root: mounts_root(&fstab),
            largest_inode: manifest.largest_inode,
            inode_floor: floor,
        }),
    )
}

/// What came as a stream stays as it is: it is refused, or something is said of it.
pub fn need_fit_for_all(source: &Path, root: &Path, manifest: &Manifest) -> Result<()> {
    let status = read(root, "var/lib/dpkg/status")?.unwrap_or_default();
    let status = Status::parse(&status).ok();
    let dpkg = status.as_ref().and_then(|status| status.find("dpkg", ""));
    let device = |found: &crate::system::manifest::Device| (found.path.clone(), found.kind, found.number);
    let facts = ReceivedFacts {
        dirt: base::to_clean(root)?,
        devices: manifest.devices.iter().map(device).collect(),
        of_an_overlay: manifest.of_an_overlay.clone(),
        nested_subvolumes: btrfs::nested(root)?.len(),
        architecture: dpkg.map(|dpkg| dpkg.architecture.to_owned()),
        machine: received::machine(std::env::consts::ARCH).to_owned(),
        has_policy: base::inside(root, "usr/sbin/policy-rc.d").is_some(),
    };
    refuse(source, &received::complaints(&facts))?;
    for remark in received::remarks(&facts) {
        report::note(format_args!("note: {remark}"));
    }
    Ok(())
}

/// A file of the root, with its links followed as far as they stay in it.
pub fn read(root: &Path, path: &str) -> Result<Option<Vec<u8>>> {
    base::inside(root, path).map_or(Ok(None), |path| files::read_if_there(&path))
}

fn refuse(source: &Path, complaints: &[String]) -> Result<()> {
    match complaints {
        [] => Ok(()),
        found => Err(Error::NotADebianRoot { path: source.to_path_buf(), why: found.join("; ") }),
    }
}

fn mounts_root(fstab: &[u8]) -> bool {
    let text = String::from_utf8_lossy(fstab);
    text.lines()
        .any(|line| !line.trim_start().starts_with('#') && line.split_whitespace().nth(1) == Some("/"))
}
