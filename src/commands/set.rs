//! `flipper-profile set` and `rename`. Name, note and identity belong to the profile and do not roll back; kernel
//! arguments, DT overlays and mounts lie in the root, roll back with it, and so are an entry.

use crate::model::error::{Error, Exit, Result};
use crate::model::layout::RootFact;
use crate::model::{Kind, ProfileId, State};
use crate::system::{btrfs, driver, files, roots};

use super::cli::{Common, Set};
use super::session::Session;
use super::{now, report, stage};

pub fn run(common: &Common, args: &Set) -> Result<Exit> {
    let id: ProfileId = args.id.parse()?;
    let facts = wanted_facts(args)?;
    let of_profile =
        [&args.name, &args.note, &args.hostname, &args.ssh_host_keys].into_iter().any(Option::is_some);
    if facts.is_empty() && !of_profile {
        return Err(Error::Usage(
            "nothing to set: give --name, --note, --hostname, --ssh-host-keys, --args, --dtbo or --mount"
                .into(),
        ));
    }
    let session = Session::to_change(common)?;
    let _lock = session.lock_profile(&id)?;
    let dir = session.need_profile(&id)?;
    if of_profile {
        let mut profile = session.describe(&dir)?;
        profile.name = args.name.clone().unwrap_or(profile.name);
        profile.note = args.note.clone().unwrap_or(profile.note);
        need_one_line("name", &profile.name)?;
        if let Some(hostname) = &args.hostname {
            profile.identity.set_hostname(hostname)?;
        }
        if let Some(whose) = &args.ssh_host_keys {
            profile.identity.set_own_keys(whose == "profile");
        }
        session.write_description(&dir, &profile)?;
    }
    if !facts.is_empty() {
        set_facts(&session, &id, &facts)?;
    }
    let who = args.hostname.is_some() || args.ssh_host_keys.is_some();
    let sentence = match facts.is_empty() {
        true if who => "set; it counts from the next start of the profile",
        true => "set",
        false => "set; it counts from the next start of the profile, and flipper-undo takes it back",
    };
    report::done(common.json, serde_json::json!({"profile": id}), sentence);
    Ok(Exit::Done)
}

pub fn rename(common: &Common, id: &str, name: &str) -> Result<Exit> {
    let args = Set {
        id: id.to_owned(),
        name: Some(name.to_owned()),
        note: None,
        hostname: None,
        ssh_host_keys: None,
        args: None,
        dtbo: None,
        mount: Vec::new(),
    };
    run(common, &args)
}

fn set_facts(session: &Session, id: &ProfileId, facts: &[(RootFact, String)]) -> Result<()> {
    let dir = session.need_profile(id)?;
    let current = roots::current(&dir)?;
    let root = dir.root(current);
    let base = roots::base_of(&root)?;
    let names: Vec<&str> = facts.iter().map(|(fact, _)| fact.file_name()).collect();
    let mut entry = session.journal.lock()?.begin(Kind::Set, now(), |entry| {
        entry.profile = Some(id.clone());
        entry.root = Some(current);
        entry.base = Some(base);
        entry.point = true;
        entry.person = Some(driver::person("/".as_ref()));
        entry.outcome = Some(format!("changed {}", names.join(", ")));
    })?;
    files::sync_file_system(dir.path())?;
    btrfs::point(root.path(), dir.point(entry.number).path())?;
    for (fact, text) in facts {
        roots::replace_fact(&root, *fact, text)?; // each is one rename; undo takes all back
    }
    let outcome = entry.outcome.clone();
    stage::close(session, &mut entry, State::Completed, outcome)
}

fn wanted_facts(args: &Set) -> Result<Vec<(RootFact, String)>> {
    let mut facts = Vec::new();
    for (fact, text) in [(RootFact::Args, &args.args), (RootFact::Dtbo, &args.dtbo)] {
        if let Some(text) = text {
            need_one_line(fact.file_name(), text)?;
            facts.push((fact, text.clone()));
        }
    }
    if !args.mount.is_empty() {
        for line in args.mount.iter().filter(|line| !line.is_empty()) {
            need_one_line("mount", line)?;
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.len() < 3 || !words[1].starts_with('/') || words[1] == "/" {
                return Err(Error::Usage(format!(
                    "{line:?} is not a line of fstab(5) with a mount point below /"
                )));
            }
        }
        facts.push((RootFact::Mounts, args.mount.join("\n").trim().to_owned()));
    }
    Ok(facts)
}

pub fn need_one_line(what: &str, text: &str) -> Result<()> {
    match text.chars().any(char::is_control) {
        true => Err(Error::Usage(format!("the {what} must be one line without control characters"))),
        false => Ok(()),
    }
}
