//! `flipper-profile boot-method`: what picks the profile before Linux starts, and the directory it reads; and
//! `flipper-profile boot ID --once`.

use crate::model::ProfileId;
use crate::model::boot::{self, Boot, Method};
use crate::model::error::{Error, Exit, Result};
use crate::policy::grub;
use crate::system::{boot_directory, files};

use super::boot_files::{Shown, ShownEntry};
use super::cli::{BootMethod, Common};
use super::session::Session;
use super::{boot_files, report};

/// Where a GRUB that was installed with --boot-directory looks.
const OWN_CONFIG: &str = "grub/grub.cfg";

pub fn run(common: &Common, asked: &BootMethod) -> Result<Exit> {
    match asked.method.as_deref() {
        None => show(common, asked.snippet),
        Some("none") => stop(common),
        Some(_) => set_grub(common, asked),
    }
}

fn show(common: &Common, snippet: bool) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let boot = Boot::of(&session.pool.settings()?)?;
    match &boot {
        Some(boot) if snippet => report::line(grub::snippet(boot).trim_end()),
        None if snippet => {}
        None if common.json => report::json(&serde_json::json!({"method": "none"})),
        None => report::line("none: no boot directory is looked after"),
        Some(boot) => {
            let shown = boot_files::look(&session.pool)?;
            if common.json { report::json(&to_json(boot, shown.as_ref())) } else { in_words(boot, shown) }
        }
    }
    Ok(Exit::Done)
}

fn to_json(boot: &Boot, shown: Option<&Shown>) -> serde_json::Value {
    let entry = |one: &ShownEntry| {
        serde_json::json!({
            "profile": one.id, "kernel": one.kernel, "there": one.is_there, "good": one.is_good, "tries": one.tries,
        })
    };
    let entries = shown.map(|shown| shown.entries.iter().map(entry).collect::<Vec<_>>());
    serde_json::json!({
        "method": boot.method.name(), "uuid": boot.place.uuid, "dir": format!("/{}", boot.place.dir.display()),
        "args": boot.args, "here": shown.is_some(), "entries": entries, "once": shown.and_then(|s| s.once.as_ref()),
    })
}

fn in_words(boot: &Boot, shown: Option<Shown>) {
    let (name, place) = (boot.method.name(), &boot.place);
    report::line(format_args!("{name}, in /{} of the file system {}", place.dir.display(), place.uuid));
    if !boot.args.is_empty() {
        report::line(format_args!("kernel arguments of every profile: {}", boot.args));
    }
    let Some(shown) = shown else {
        return report::line("that file system is not in this machine");
    };
    let row = |one: &ShownEntry| {
        let state = match one.tries {
            _ if !one.is_there => "not there: its start fetches it".into(),
            Some(left) => format!("on trial: {left} starts left"),
            None if one.is_good => "came up".into(),
            None => String::new(),
        };
        vec![one.id.to_string(), one.kernel.to_string(), state]
    };
    report::table(&shown.entries.iter().map(row).collect::<Vec<_>>());
    if let Some(id) = shown.once {
        report::line(format_args!("the next start takes {id}"));
    }
}

fn stop(common: &Common) -> Result<Exit> {
    let session = Session::to_change(common)?;
    let mut settings = session.pool.settings()?;
    settings.set("boot_method", Method::None.name());
    session.write_settings(&settings)?;
    let note = "the boot directory stays as it is: nobody looks after it any more";
    report::done(common.json, serde_json::json!({"method": "none"}), note);
    Ok(Exit::Done)
}

fn set_grub(common: &Common, asked: &BootMethod) -> Result<Exit> {
    let at = asked.at.as_deref().ok_or_else(|| {
        Error::Usage("boot-method grub needs --at DIR: the mounted directory that GRUB reads".into())
    })?;
    let session = Session::to_change(common)?;
    let place = boot_directory::place_of(at)?;
    if !boot::is_plain(&place.dir) {
        let why = "GRUB is told its path without quotes: letters, digits and . _ - @ / only".into();
        return Err(Error::NotWritable { path: at.to_path_buf(), why });
    }
    let mut settings = session.pool.settings()?;
    let before = settings.get("boot_args").unwrap_or_default().to_owned();
    let boot = Boot { method: Method::Grub, place, args: asked.args.clone().unwrap_or(before) };
    let opened = boot_directory::open(&session.pool.layout, &session.pool.uuid, &boot.place)?;
    let dir = opened.ok_or_else(|| Error::NotWritable {
        path: at.to_path_buf(),
        why: format!("nothing here has the UUID {}", boot.place.uuid),
    })?;
    let own = dir.beside(OWN_CONFIG);
    let writes_own = own.parent().is_some_and(|grub| grub.is_dir()) && !own.exists();
    if writes_own {
        files::replace(&own, grub::whole(&boot).as_bytes())?;
    }
    let counts = dir.is_written_by_loaders()?;
    drop(dir);
    let old = settings.clone();
    boot.note_in(&mut settings);
    session.write_settings(&settings)?;
    // What cannot be done once cannot be looked after either.
    if let Err(error) = boot_files::refresh(&session.pool) {
        session.write_settings(&old)?;
        return Err(error);
    }
    if !counts {
        report::note(
            "note: GRUB cannot write to this file system: it counts no tries, and `boot ID --once` is refused",
        );
    }
    if !writes_own {
        report::note(
            "next: update-grub, where GRUB's own configuration is made; it reads the menu of the profiles from then on",
        );
    }
    let done = format_args!("GRUB finds the profiles in {}", at.display());
    report::done(common.json, serde_json::json!({"method": "grub", "uuid": boot.place.uuid}), done);
    Ok(Exit::Done)
}

/// The next start takes this profile, the one after it the default again.
pub fn start_once(common: &Common, id: &str, once: bool) -> Result<Exit> {
    let id: ProfileId = id.parse()?;
    if !once {
        return Err(Error::Usage(format!(
            "for the next start only: flipper-profile boot {id} --once; from now on: flipper-profile default {id}"
        )));
    }
    let session = Session::to_change(common)?;
    session.need_profile(&id)?;
    if !boot_files::is_kept(&session.pool)? {
        return Err(Error::Usage("no boot directory is looked after: flipper-profile boot-method".into()));
    }
    if !boot_files::choose_once(&session.pool, &id)? {
        let path = format!("the boot directory for {id}").into();
        return Err(Error::NotWritable { path, why: "it is not here, or the profile has no kernel".into() });
    }
    report::done(common.json, serde_json::json!({"once": id}), format_args!("the next start takes {id}"));
    Ok(Exit::Done)
}
