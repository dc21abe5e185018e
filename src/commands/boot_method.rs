//! `flipper-profile boot-method`: what picks the profile before Linux starts, and the directory it reads; and
//! `flipper-profile boot ID --once`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::ProfileId;
use crate::model::boot::{self, Boot, Method};
use crate::model::config::KeyValues;
use crate::model::error::{At, Error, Exit, Result};
use crate::policy::{grub, uboot};
use crate::system::boot_directory::{self, BootDirectory};
use crate::system::files;

use super::boot_files::{Shown, ShownEntry};
use super::cli::{BootMethod, Common};
use super::session::Session;
use super::{boot_files, boot_menu, report};

/// Where a GRUB that was installed with --boot-directory looks.
const OWN_CONFIG: &str = "grub/grub.cfg";

/// Of the package flipper-profiles-boot. FLIPPER_BOOT_SCRIPT names another.
const BOOT_SCRIPT: &str = "/usr/share/flipper-profiles/boot.scr";

pub fn run(common: &Common, asked: &BootMethod) -> Result<Exit> {
    match asked.method.as_deref() {
        None => show(common, asked.snippet),
        Some("none") => stop(common),
        Some("grub") => set_loader(common, asked, Method::Grub),
        Some(_) => set_loader(common, asked, Method::Uboot),
    }
}

fn show(common: &Common, snippet: bool) -> Result<Exit> {
    let session = Session::to_read(common)?;
    let boot = Boot::of(&session.pool.settings()?)?;
    match &boot {
        Some(boot) if snippet && boot.method == Method::Grub => report::line(grub::snippet(boot).trim_end()),
        _ if snippet => {}
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
            "slot": one.slot,
        })
    };
    let entries = shown.map(|shown| shown.entries.iter().map(entry).collect::<Vec<_>>());
    serde_json::json!({
        "method": boot.method.name(), "uuid": boot.place.uuid, "dir": format!("/{}", boot.place.dir.display()),
        "args": boot.args, "mcu": boot.mcu.map(|mcu| mcu.to_string()), "here": shown.is_some(), "entries": entries, "once": shown.and_then(|s| s.once.as_ref()),
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
        let slot = one.slot.map(|slot| format!("slot {slot}")).unwrap_or_default();
        vec![one.id.to_string(), one.kernel.to_string(), slot, state]
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

fn set_loader(common: &Common, asked: &BootMethod, method: Method) -> Result<Exit> {
    let name = method.name();
    let at = asked.at.as_deref().ok_or_else(|| {
        Error::Usage(format!(
            "boot-method {name} needs --at DIR: the mounted directory that {} reads",
            method.loader()
        ))
    })?;
    let session = Session::to_change(common)?;
    let mut settings = session.pool.settings()?;
    let boot = wanted(&settings, asked, method, at)?;
    let opened = boot_directory::open(&session.pool.layout, &session.pool.uuid, &boot.place)?;
    let dir = opened.ok_or_else(|| Error::NotWritable {
        path: at.to_path_buf(),
        why: format!("nothing here has the UUID {}", boot.place.uuid),
    })?;
    let counts = boot_menu::counts(&dir, method)?;
    let next = match method {
        Method::Uboot => put_script(&dir)?,
        _ => put_own_config(&dir, &boot)?,
    };
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
        report::note(format_args!(
            "note: {} cannot write to this file system: it counts no tries, and `boot ID --once` is refused",
            method.loader()
        ));
    }
    if let Some(next) = next {
        report::note(next);
    }
    let done = format_args!("{} finds the profiles in {}", method.loader(), at.display());
    report::done(common.json, serde_json::json!({"method": name, "uuid": boot.place.uuid}), done);
    Ok(Exit::Done)
}

fn wanted(settings: &KeyValues, asked: &BootMethod, method: Method, at: &Path) -> Result<Boot> {
    let place = boot_directory::place_of(at)?;
    let refused = |why: &str| Err(Error::NotWritable { path: at.to_path_buf(), why: why.into() });
    if !boot::is_plain(&place.dir) {
        return refused("loaders are told its path without quotes: letters, digits and . _ - @ / only");
    }
    let is_looked_through = [Path::new(""), Path::new("boot")].contains(&place.dir.as_path());
    if method == Method::Uboot && !is_looked_through {
        return refused("U-Boot looks for boot.scr at the top of a file system and in /boot there");
    }
    let before = |key| settings.get(key).unwrap_or_default();
    let args = asked.args.clone().unwrap_or_else(|| before("boot_args").to_owned());
    let mcu = match asked.mcu.as_deref().unwrap_or_else(|| before("boot_mcu")) {
        "" | "none" => None,
        text => Some(text.parse()?),
    };
    Ok(Boot { method, place, args, mcu })
}

/// A GRUB that has no configuration gets one that reads the menu. Returns what is to be done besides.
fn put_own_config(dir: &BootDirectory, boot: &Boot) -> Result<Option<&'static str>> {
    let own = dir.beside(OWN_CONFIG);
    if own.parent().is_some_and(|grub| grub.is_dir()) && !own.exists() {
        files::replace(&own, grub::whole(boot).as_bytes())?;
        return Ok(None);
    }
    Ok(Some(
        "next: update-grub, where GRUB's own configuration is made; it reads the menu of the profiles from then on",
    ))
}

/// Returns what is to be said of it.
fn put_script(dir: &BootDirectory) -> Result<Option<&'static str>> {
    let from = std::env::var_os("FLIPPER_BOOT_SCRIPT").unwrap_or_else(|| BOOT_SCRIPT.into());
    let from = PathBuf::from(from);
    let script = files::read_if_there(&from)?.ok_or_else(|| Error::NotWritable {
        path: dir.beside(uboot::SCRIPT),
        why: format!("there is no {}: apt install flipper-profiles-boot", from.display()),
    })?;
    let to = dir.beside(uboot::SCRIPT);
    if files::read_if_there(&to)?.is_none_or(|there| there != script) {
        files::replace(&to, &script)?;
    }
    // U-Boot takes it before any script of the same partition.
    let shadows = dir.beside("extlinux/extlinux.conf");
    if !shadows.exists() {
        return Ok(None);
    }
    let aside = shadows.with_extension("conf.off");
    fs::rename(&shadows, &aside).at("rename to", &aside)?;
    files::sync_parent(&aside)?;
    Ok(Some("note: extlinux/extlinux.conf is extlinux.conf.off now: U-Boot would take it before boot.scr"))
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
