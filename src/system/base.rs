//! Bases on disk: extracting a Debian root, cleaning it, sealing and publishing it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::model::error::{At, Error, Result};
use crate::model::{BaseVersion, Layout};

use super::{btrfs, files};

/// Copies a directory, or unpacks a tarball, into a fresh `@base/.incoming`.
pub fn extract(source: &Path, layout: &Layout) -> Result<PathBuf> {
    let incoming = layout.incoming_base();
    btrfs::delete_if_there(&incoming)?;
    btrfs::create(&incoming)?;
    let mut command = if source.is_dir() {
        let mut cp = Command::new("cp");
        cp.args(["--archive", "--one-file-system", "--reflink=auto", "--no-target-directory", "--"]);
        cp.arg(source).arg(&incoming);
        cp
    } else {
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--numeric-owner", "--preserve-permissions", "--same-owner"]);
        // --force-local: a colon in the name would make it a file of another machine.
        tar.args(["--xattrs", "--xattrs-include=*", "--acls", "--force-local", "--file"]);
        tar.arg(source).arg("--directory").arg(&incoming);
        tar
    };
    run(&mut command)?;
    fs::set_permissions(&incoming, fs::Permissions::from_mode(0o755)).at("set the mode of", &incoming)?;
    Ok(incoming)
}

/// Refuses a root that has a link where we are about to write or remove: an absolute one would lead
/// out of the root, to files of this machine.
pub fn need_real_directories(root: &Path, source: &Path) -> Result<()> {
    const WRITTEN_BELOW: [&str; 6] = ["etc", "usr", "usr/sbin", "var", "var/lib", "var/lib/dpkg"];
    let link = WRITTEN_BELOW.iter().find(|dir| !files::is_real_directory(root, Path::new(dir)));
    match link {
        None => Ok(()),
        Some(dir) => {
            let why = format!("/{dir} is not a directory");
            Err(Error::NotADebianRoot { path: source.to_path_buf(), why })
        }
    }
}

/// Runs a child to its end; what it says on standard error becomes the reason when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C.UTF-8").output().at("run", &program)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let why = text.lines().last().unwrap_or("failed without a word").to_owned();
    Err(Error::Child { program, why })
}

/// A path of a root that is being imported, with its links followed: None when it is not there, or
/// when they lead out of the root, to files of this machine.
pub fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let (root, found) = (fs::canonicalize(root).ok()?, fs::canonicalize(root.join(path)).ok()?);
    found.starts_with(&root).then_some(found)
}

/// What a base must not carry into every profile, as it is found in a root: paths to remove, relative
/// to it. `/etc/machine-id` becomes empty instead (a first boot without the file would mount over it).
pub fn to_clean(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut below = |dir: &str, wanted: &dyn Fn(&str, &fs::Metadata) -> bool| -> Result<()> {
        if !files::is_real_directory(root, Path::new(dir)) {
            return Ok(()); // a link would lead out of the root, to files of this machine
        }
        for name in files::names(&root.join(dir))? {
            let inside = Path::new(dir).join(&name);
            let meta = root.join(&inside).symlink_metadata().at("look at", root.join(&inside))?;
            if wanted(&name.to_string_lossy(), &meta) {
                found.push(inside);
            }
        }
        Ok(())
    };
    below("etc/ssh", &|name, _| name.starts_with("ssh_host_") && name.contains("_key"))?;
    below("var/lib/apt/lists", &|name, meta| name != "partial" && name != "auxfiles" && !meta.is_dir())?;
    below("var/cache/apt", &|name, _| name.ends_with("pkgcache.bin"))?;
    below("var/cache/apt/archives", &|name, _| name.ends_with(".deb"))?;
    below("var/lib/dpkg", &|name, _| name.ends_with("-old"))?;
    below("var/cache/debconf", &|name, _| name.ends_with("-old"))?;
    below("etc", &|name, _| {
        ["passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", "resolv.conf"].contains(&name)
    })?;
    below("var/lib/systemd", &|name, _| name == "random-seed")?;
    below("var/lib/dbus", &|name, meta| name == "machine-id" && meta.is_file())?;
    below("etc", &|name, meta| name == "machine-id" && (meta.len() > 0 || !meta.is_file()))?;
    if files::is_real_directory(root, Path::new("var/log")) {
        logs(root, Path::new("var/log"), &mut found)?;
    }
    Ok(found)
}

fn logs(root: &Path, dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for name in files::names(&root.join(dir))? {
        let inside = dir.join(name);
        let path = root.join(&inside);
        let meta = path.symlink_metadata().at("look at", &path)?;
        if meta.is_dir() {
            logs(root, &inside, found)?;
        } else if meta.len() > 0 && meta.is_file() {
            found.push(inside);
        }
    }
    Ok(())
}

/// Removes what [`to_clean`] found. Log files and machine-id stay as empty files: programs expect
/// them with their owner and mode.
pub fn clean(root: &Path, found: &[PathBuf]) -> Result<()> {
    for inside in found {
        let path = root.join(inside);
        if path.symlink_metadata().is_ok_and(|m| m.is_file())
            && (inside.starts_with("var/log") || inside == Path::new("etc/machine-id"))
        {
            let file = fs::OpenOptions::new().write(true).truncate(true).open(&path);
            file.at("empty", &path)?;
        } else {
            files::remove_tree(&path)?;
        }
    }
    Ok(())
}

/// A base without a machine-id file would have every profile mount one over a missing name.
pub fn ensure_machine_id(root: &Path) -> Result<()> {
    let Some(etc) = inside(root, "etc") else { return Ok(()) };
    let path = etc.join("machine-id");
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    fs::write(&path, b"").at("write", &path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).at("set the mode of", &path)
}

/// invoke-rc.d asks this program before it starts or stops a service (Debian policy 9.3.3.1). In a
/// run no service may be started: they would outlive nothing and talk to the machine outside.
pub const POLICY_RC_D: &str = "\
#!/bin/sh
# Of flipper-profiles: in a `flipper-profile run` no service is started (101); booted, all may (0).
[ -e /run/flipper/run ] && exit 101
exit 0
";

/// Ships policy-rc.d with the base; a root that has its own keeps it. Returns whether it was written.
pub fn ship_policy(root: &Path) -> Result<bool> {
    let Some(dir) = inside(root, "usr/sbin") else { return Ok(false) };
    let path = dir.join("policy-rc.d");
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    fs::write(&path, POLICY_RC_D).at("write", &path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).at("set the mode of", &path)?;
    Ok(true)
}

/// What a base is called, on its top directory: a stream carries it to other pools.
const NAME_ATTRIBUTE: &str = "user.flipper.base";

pub fn write_name(root: &Path, version: &BaseVersion) -> Result<()> {
    xattr::set(root, NAME_ATTRIBUTE, version.as_str().as_bytes()).at("write attributes of", root)
}

/// What a received root calls itself: by our attribute, else nothing.
pub fn name(root: &Path) -> Result<Option<String>> {
    let name = xattr::get(root, NAME_ATTRIBUTE).at("read attributes of", root)?;
    Ok(name.map(|name| String::from_utf8_lossy(&name).into_owned()))
}

/// Seals `@base/.incoming` and gives it its name: from here on it is a candidate base.
pub fn publish(layout: &Layout, version: &BaseVersion, manifest: &[u8]) -> Result<()> {
    let incoming = layout.incoming_base();
    // The manifest first: a base is never without one; a manifest without its base is a leftover.
    files::replace(&layout.manifest(version), manifest)?;
    btrfs::seal(&incoming)?;
    files::sync_file_system(&incoming)?;
    let published = layout.base(version);
    fs::rename(&incoming, &published).at("rename to", &published)?; // the visible moment
    files::sync_parent(&published)
}

/// The first base of a pool is what new profiles stand on.
pub fn make_first_current(layout: &Layout, version: &BaseVersion) -> Result<()> {
    match current(layout)? {
        None => files::replace_symlink(version.as_str(), &layout.current_base()),
        Some(_) => Ok(()),
    }
}

/// Removes what a cut import or prune left, and finishes a first import that was cut before `current`.
/// The caller holds the lock of the bases.
pub fn remove_leftovers(layout: &Layout) -> Result<()> {
    btrfs::delete_if_there(&layout.incoming_base())?;
    for name in files::names(&layout.bases())? {
        if name.to_str().is_some_and(|name| name.starts_with(".pruned-")) {
            btrfs::delete(&layout.bases().join(name))?;
        }
    }
    match (current(layout)?, versions(layout)?.as_slice()) {
        (None, [only]) => files::replace_symlink(only.as_str(), &layout.current_base()),
        _ => Ok(()),
    }
}

/// The manifest of a base that a cut import did not publish, or a cut prune removed: those that their
/// entry names, and no other. A base that is only away comes back to its manifest.
pub fn forget_manifest(layout: &Layout, version: &BaseVersion) -> Result<()> {
    if layout.base(version).exists() { Ok(()) } else { files::remove_if_there(&layout.manifest(version)) }
}

/// The versions that are published.
pub fn versions(layout: &Layout) -> Result<Vec<BaseVersion>> {
    let names = files::names(&layout.bases())?;
    let mut versions: Vec<BaseVersion> = names
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .filter(|version| btrfs::is_subvolume(&layout.base(version)))
        .collect();
    versions.sort();
    Ok(versions)
}

/// What `current` names.
pub fn current(layout: &Layout) -> Result<Option<BaseVersion>> {
    named_by(&layout.current_base())
}

/// What `good` names.
pub fn good(layout: &Layout) -> Result<Option<BaseVersion>> {
    named_by(&layout.good_base())
}

fn named_by(link: &Path) -> Result<Option<BaseVersion>> {
    match fs::read_link(link) {
        Ok(target) => Ok(target.to_str().and_then(|t| t.parse().ok())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", link),
    }
}

/// The base that deltas call by this UUID.
pub fn by_stream_uuid(layout: &Layout, uuid: &[u8; 16]) -> Result<Option<BaseVersion>> {
    for version in versions(layout)? {
        if btrfs::stream_uuids(&layout.base(&version))?.contains(uuid) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}
