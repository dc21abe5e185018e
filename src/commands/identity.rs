//! Who a profile is to others. Before a root is assembled, the device's hostname and ssh host keys come
//! into it, or, where they were changed in it, go from it to the device; a clone becomes somebody else.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use crate::model::carried::{HOSTS, OWN_ADDRESS};
use crate::model::config::KeyValues;
use crate::model::error::Result;
use crate::model::identity::{Hostname, Identity, is_hostname};
use crate::model::layout::{ProfileDir, RootDir};
use crate::model::{EntryNumber, Layout, ProfileId};
use crate::policy::identity::{Settle, hosts_with, settle as decide};
use crate::system::assemble::Assembly;
use crate::system::identity::{self as files_of, HOSTNAME};
use crate::system::journal::to_json;
use crate::system::{files, roots, sandbox, upper};

use super::report;
use super::session::Session;

/// Before every assembly: the root has the hostname and the keys it should have. Nobody uses it yet, and
/// the caller holds the profile's lock. Where all is so already, nothing is written.
pub fn settle(session: &Session, dir: &ProfileDir, root: &RootDir) -> Result<()> {
    let layout = &session.pool.layout;
    let base = layout.base(&roots::base_of(root)?);
    let identity = session.describe(dir)?.identity;
    let before = files_of::given(dir)?;
    let mut given = before.clone();
    hostname(layout, &identity, root, &base, &mut given)?;
    keys(layout, &identity, root, &base, &mut given)?;
    if given == before { Ok(()) } else { files::replace(&dir.applied(), given.to_text().as_bytes()) }
}

fn hostname(
    layout: &Layout,
    identity: &Identity,
    root: &RootDir,
    base: &Path,
    given: &mut KeyValues,
) -> Result<()> {
    let name = match identity.hostname() {
        Hostname::Profile => None,
        Hostname::Fixed(name) => Some(name),
        Hostname::Device => {
            let (device, here) = (device_hostname(layout)?, own_hostname(root)?);
            let last = given.get("hostname").filter(|name| !name.is_empty());
            match decide(device.as_deref(), last, here.as_deref()) {
                Settle::Take => {
                    files_of::make_device(layout)?;
                    let name = here.clone().unwrap_or_default();
                    files::replace(&files_of::device_hostname(layout), format!("{name}\n").as_bytes())?;
                    here
                }
                Settle::Give | Settle::Nothing => device,
            }
        }
    };
    if let Some(name) = &name {
        files_of::write(root, base, HOSTNAME, format!("{name}\n").as_bytes())?;
        let hosts = upper::read(root, base, HOSTS).ok().flatten().unwrap_or_default();
        if let Some(hosts) = hosts_with(&hosts, OWN_ADDRESS, name) {
            files_of::write(root, base, HOSTS, &hosts)?;
        }
    }
    // What the device did not give is not the device's when the profile asks for that again.
    let from_device = name.filter(|_| identity.hostname() == Hostname::Device);
    remember(given, "hostname", from_device.unwrap_or_default());
    Ok(())
}

fn keys(
    layout: &Layout,
    identity: &Identity,
    root: &RootDir,
    base: &Path,
    given: &mut KeyValues,
) -> Result<()> {
    let (device, here) = (files_of::keys_in(&files_of::device_keys(layout))?, files_of::keys_of(root, base)?);
    let Some(here) = here.filter(|_| !identity.own_keys()) else {
        let known: Vec<String> = given.keys().filter(|key| *key != "hostname").map(str::to_owned).collect();
        known.iter().for_each(|key| remember(given, key, String::new()));
        return Ok(());
    };
    let all: BTreeSet<&String> = device.keys().chain(here.keys()).collect();
    for key in all {
        let last = given.get(key).filter(|digest| !digest.is_empty());
        let (of_device, of_here) = (device.get(key).map(String::as_str), here.get(key).map(String::as_str));
        let settled = match decide(of_device, last, of_here) {
            Settle::Nothing => of_here,
            Settle::Give => {
                files_of::give_key(layout, key, root, base)?;
                of_device
            }
            Settle::Take => {
                files_of::make_device(layout)?;
                files_of::take_key(layout, key, root)?;
                of_here
            }
        };
        remember(given, key, settled.unwrap_or_default().to_owned());
    }
    Ok(())
}

fn remember(given: &mut KeyValues, key: &str, value: String) {
    if given.get(key).unwrap_or_default() != value {
        given.set(key, &value);
    }
}

fn device_hostname(layout: &Layout) -> Result<Option<String>> {
    Ok(Some(files::read_line(&files_of::device_hostname(layout))?).filter(|name| is_hostname(name)))
}

/// What was set in this profile, not what its base came with; None when it is no hostname.
fn own_hostname(root: &RootDir) -> Result<Option<String>> {
    let text = files::read_real(&root.upper(), Path::new(HOSTNAME))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let name = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(name.filter(|name| is_hostname(name)).map(str::to_owned))
}

/// What became of the host keys of a new profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKeys {
    /// Nothing: it has the device's, or no ssh server.
    None,
    Made,
    /// They went, and there is nothing in it to make others with.
    Gone,
}

/// A profile that is being made on a base with an ssh server: the first keys of the device are made in it.
pub fn of_new(session: &Session, aside: &ProfileDir, number: EntryNumber) -> Result<NewKeys> {
    let layout = &session.pool.layout;
    if !files_of::keys_in(&files_of::device_keys(layout))?.is_empty() {
        return Ok(NewKeys::None);
    }
    let root = aside.root(number);
    make_keys(session, aside, &root)
}

/// A clone that is being made: it asks for what its source asks for, and is somebody else.
pub fn of_clone(
    session: &Session,
    source: &ProfileDir,
    aside: &ProfileDir,
    number: EntryNumber,
) -> Result<NewKeys> {
    let root = aside.root(number);
    let base = session.pool.layout.base(&roots::base_of(&root)?);
    files_of::drop_secrets(&root, &base)?;
    let identity = session.describe(source).map(|profile| profile.identity).unwrap_or_default();
    if identity.is_default() {
        return Ok(NewKeys::None);
    }
    let mut profile = session.describe(aside)?;
    profile.identity = identity;
    files::write_unpublished(&aside.description(), &to_json(&profile))?;
    if !profile.identity.own_keys() {
        return Ok(NewKeys::None);
    }
    let had = files_of::drop_keys(&root, &base)?;
    Ok(match make_keys(session, aside, &root)? {
        NewKeys::None if had => NewKeys::Gone,
        other => other,
    })
}

/// Runs the profile's own ssh-keygen in it, where it has an ssh server.
fn make_keys(session: &Session, dir: &ProfileDir, root: &RootDir) -> Result<NewKeys> {
    let version = roots::base_of(root)?;
    let base = session.pool.layout.base(&version);
    let has = |program: &str| upper::find(root, &base, Path::new(program)).is_some();
    if !has("usr/sbin/sshd") || !has("usr/bin/ssh-keygen") {
        return Ok(NewKeys::None);
    }
    let assembly = Assembly {
        pool: &session.pool,
        profile: dir,
        root,
        base: &version,
        target: Path::new("/"), // the sandbox chooses
        state: Some(dir.state()),
    };
    let command = ["/usr/bin/ssh-keygen", "-q", "-A"].map(OsString::from);
    sandbox::once(&assembly, "localhost", &command)?;
    Ok(if files_of::keys_of(root, &base)?.is_none_or(|keys| keys.is_empty()) {
        NewKeys::Gone
    } else {
        NewKeys::Made
    })
}

pub fn tell_keys(id: &ProfileId, keys: NewKeys) {
    if keys == NewKeys::Gone {
        report::note(format_args!(
            "note: {id} has no ssh host keys; once openssh-server is in it: flipper-profile run {id} ssh-keygen -A"
        ));
    }
}

/// What `show` says: rows for people, and the object for programs.
pub fn shown(
    session: &Session,
    identity: &Identity,
    root: &RootDir,
) -> Result<(Vec<(&'static str, String)>, serde_json::Value)> {
    let base = session.pool.layout.base(&roots::base_of(root)?);
    let machine_id = upper::read(root, &base, "etc/machine-id").ok().flatten().unwrap_or_default();
    let machine_id = String::from_utf8_lossy(&machine_id).trim().to_owned();
    let (hostname_row, hostname) = hostname_shown(&session.pool.layout, identity, root)?;
    let (keys_row, keys) = keys_shown(&session.pool.layout, identity, root, &base)?;
    let network: Vec<String> =
        files_of::network_files(root)?.iter().map(|path| format!("/{}", path.display())).collect();
    let known = if network.is_empty() { "the machine-id".to_owned() } else { network.join(", ") };
    let json = serde_json::json!({
        "machine_id": machine_id,
        "hostname": hostname,
        "ssh_host_keys": keys,
        "dhcp_files": network,
    });
    let rows = vec![
        ("machine-id", machine_id),
        ("hostname", hostname_row),
        ("ssh host keys", keys_row),
        ("known to DHCP", format!("by {known}")),
    ];
    Ok((rows, json))
}

fn hostname_shown(
    layout: &Layout,
    identity: &Identity,
    root: &RootDir,
) -> Result<(String, serde_json::Value)> {
    let (policy, whose, name) = match identity.hostname() {
        Hostname::Device => ("device", "the device's", device_hostname(layout)?.or(own_hostname(root)?)),
        Hostname::Profile => ("profile", "its own", own_hostname(root)?),
        Hostname::Fixed(name) => ("fixed", "always", Some(name)),
    };
    let row = name.as_ref().map_or(whose.to_owned(), |name| format!("{name} ({whose})"));
    Ok((row, serde_json::json!({"policy": policy, "name": name})))
}

fn keys_shown(
    layout: &Layout,
    identity: &Identity,
    root: &RootDir,
    base: &Path,
) -> Result<(String, serde_json::Value)> {
    let (policy, whose, keys) = match identity.own_keys() {
        true => ("profile", "its own", files_of::keys_of(root, base)?.unwrap_or_default()),
        false => ("device", "the device's", files_of::keys_in(&files_of::device_keys(layout))?),
    };
    let kinds: Vec<&str> = keys.keys().map(|key| kind_of(key)).collect();
    let text = if kinds.is_empty() { "none yet".to_owned() } else { kinds.join(", ") };
    Ok((format!("{whose}: {text}"), serde_json::json!({"policy": policy, "kinds": kinds})))
}

/// `ssh_host_ed25519_key` -> `ed25519`
fn kind_of(key: &str) -> &str {
    key.trim_start_matches("ssh_host_").trim_end_matches("_key")
}
