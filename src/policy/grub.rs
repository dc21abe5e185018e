//! What GRUB reads: a menu of the profiles, the tries of kernels that have not come up, and the choice for one
//! start. Everything in it follows from the pool; GRUB itself writes its environment block only, by counting down
//! and by forgetting a choice it has taken.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::ProfileId;
use crate::model::boot::Boot;
use crate::model::kernel::KernelKey;
use crate::model::trial::TRIES;

use super::menu::{Menu, MenuEntry};

pub const CONFIG: &str = "grub.cfg";
pub const ENVIRONMENT: &str = "grubenv";

/// `flipper/grub.cfg`. GRUB's own configuration has set `flipper`, the boot directory, when it reads this.
pub fn config(menu: &Menu<'_>) -> String {
    let mut text = String::from(
        "# Written by flipper-profiles after every change of a profile: what is changed here is lost.\n",
    );
    if let Some(default) = menu.default {
        // What grub-reboot(8) chose, where GRUB's own configuration knows it, wins.
        let _ = writeln!(text, "if [ \"${{boot_once}}\" != true ]; then set default=flipper-{default}; fi");
    }
    if menu.counts {
        text.push_str(&choice_for_once(menu.entries));
    }
    for entry in menu.entries {
        text.push_str(&menu_entry(menu, entry));
    }
    for entry in menu.entries {
        text.push_str(&ways_back(menu, entry));
    }
    text
}

/// Names only from a list: what the block says is never run.
fn choice_for_once(entries: &[MenuEntry]) -> String {
    let mut text = String::from("load_env --file \"${flipper}/grubenv\" flipper_once");
    for entry in entries.iter().filter(|entry| entry.is_on_trial()) {
        let _ = write!(text, " {}", tries_variable(&entry.id));
    }
    text.push_str("\nif [ -n \"${flipper_once}\" ]; then\n");
    for (at, entry) in entries.iter().enumerate() {
        let word = if at == 0 { "if" } else { "elif" };
        let id = &entry.id;
        let _ = writeln!(text, "  {word} [ \"${{flipper_once}}\" = {id} ]; then set default=flipper-{id}");
    }
    if !entries.is_empty() {
        text.push_str("  fi\n");
    }
    text.push_str("  set flipper_once=\n  save_env --file \"${flipper}/grubenv\" flipper_once\nfi\n");
    text
}

fn menu_entry(menu: &Menu<'_>, entry: &MenuEntry) -> String {
    let (id, kernel) = (&entry.id, &entry.kernel);
    let mut text = format!("menuentry {} --id flipper-{id} {{\n", quoted(&title(entry)));
    let _ = writeln!(text, "  set flipper_kernel={kernel}\n  set flipper_fallback=");
    if let Some(good) = entry.good.as_ref().filter(|_| menu.counts && entry.is_on_trial()) {
        text.push_str(&ladder(&tries_variable(&entry.id), good));
    }
    text.push_str(&load(menu, entry, "${flipper_kernel}", "${flipper_fallback}"));
    text
}

/// GRUB cannot count: 3 2 1 0. Where the block says anything else it is lost, and nothing is counted.
fn ladder(variable: &str, good: &KernelKey) -> String {
    let mut text = String::new();
    for left in (1..=TRIES).rev() {
        let word = if left == TRIES { "if" } else { "elif" };
        let _ = writeln!(text, "  {word} [ \"${{{variable}}}\" = {left} ]; then set {variable}={}", left - 1);
    }
    let _ = writeln!(
        text,
        "  elif [ \"${{{variable}}}\" = 0 ]; then set flipper_kernel={good}; set flipper_fallback=flipper.fallback=1\n  fi"
    );
    let _ = writeln!(text, "  save_env --file \"${{flipper}}/grubenv\" {variable}");
    text
}

/// GRUB's names have no `-`, and ids no `_`.
fn tries_variable(id: &ProfileId) -> String {
    format!("flipper_tries_{}", id.as_str().replace('-', "_"))
}

/// For a person at the menu.
fn ways_back(menu: &Menu<'_>, entry: &MenuEntry) -> String {
    let (id, title) = (&entry.id, title(entry));
    let mut text = String::new();
    if let Some(good) = &entry.good {
        let words = quoted(&format!("{title}: the state that came up last"));
        let _ = writeln!(text, "menuentry {words} --id flipper-{id}-good {{");
        text.push_str(&load(menu, entry, good.as_str(), "flipper.fallback=1"));
    }
    let words = quoted(&format!("{title}: without its last change"));
    let _ = writeln!(text, "menuentry {words} --id flipper-{id}-undo {{");
    text.push_str(&load(menu, entry, entry.kernel.as_str(), "flipper.undo=last"));
    text
}

fn load(menu: &Menu<'_>, entry: &MenuEntry, kernel: &str, more: &str) -> String {
    let words = [menu.boot.args.as_str(), entry.args.as_str()];
    let words = words.into_iter().flat_map(str::split_whitespace).map(|word| format!(" {}", quoted(word)));
    format!(
        "  linux \"${{flipper}}/kernels/{kernel}/vmlinuz\" root=UUID={} boot=flipper flipper.profile={} \
flipper.kernel={kernel} {more}{}\n  initrd \"${{flipper}}/kernels/{kernel}/initrd.img\"\n}}\n",
        menu.pool_uuid,
        entry.id,
        words.collect::<String>()
    )
}

fn title(entry: &MenuEntry) -> String {
    match entry.name.as_str() {
        "" => entry.id.to_string(),
        name => name.chars().filter(|c| !c.is_control()).collect(),
    }
}

/// One word for GRUB's shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What GRUB's configuration must say for ours to be read. `pool_uuid`: where the boot directory lies on the pool,
/// GRUB reads btrfs from its top.
pub fn snippet(boot: &Boot) -> String {
    let dir = match boot.place.dir.to_str().unwrap_or_default() {
        "" => String::new(),
        dir => format!("/{dir}"),
    };
    format!(
        "search --no-floppy --fs-uuid --set=flipper_device {}\n\
         set flipper=\"($flipper_device){dir}/flipper\"\n\
         if [ -e \"${{flipper}}/{CONFIG}\" ]; then source \"${{flipper}}/{CONFIG}\"; fi\n",
        boot.place.uuid
    )
}

/// The whole configuration of a GRUB that has none: installed with --boot-directory, and nothing else.
pub fn whole(boot: &Boot) -> String {
    format!(
        "# Written by flipper-profiles, once.\n\
         insmod part_gpt\ninsmod part_msdos\ninsmod ext2\ninsmod fat\ninsmod btrfs\ninsmod linux\n\
         set timeout=3\n{}",
        snippet(boot)
    )
}

/// GRUB's environment block: 1024 bytes, lines of name=value, the rest filled up with `#`. Kernel: none; GRUB
/// manual, "Environment block".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    values: BTreeMap<String, String>,
}

const BLOCK: usize = 1024;
const SIGNATURE: &str = "# GRUB Environment Block\n";
const ONCE: &str = "flipper_once";

impl Environment {
    /// What is damaged says nothing.
    pub fn parse(bytes: &[u8]) -> Environment {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.strip_prefix(SIGNATURE).unwrap_or_default().lines();
        let pairs = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        Environment { values: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Always 1024 bytes. What does not fit any more is left out: its profile is not counted.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = SIGNATURE.as_bytes().to_vec();
        for (name, value) in &self.values {
            let line = format!("{name}={value}\n");
            if bytes.len() + line.len() <= BLOCK {
                bytes.extend(line.into_bytes());
            }
        }
        bytes.resize(BLOCK, b'#');
        bytes
    }

    pub fn once(&self) -> Option<&str> {
        self.values.get(ONCE).map(String::as_str).filter(|id| !id.is_empty())
    }

    pub fn choose_once(&mut self, id: &ProfileId) {
        self.values.insert(ONCE.into(), id.to_string());
    }

    /// Of a kernel on trial, the tries that are left.
    pub fn tries(&self, entry: &MenuEntry) -> Option<u32> {
        self.values.get(&tries_variable(&entry.id))?.parse().ok()
    }

    /// Kernels that have not come up get their tries, once each; those that have are not counted any more.
    pub fn arm(&mut self, entries: &[MenuEntry]) {
        let mut armed = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.is_on_trial()) {
            let (variable, digest) = (tries_variable(&entry.id), entry.kernel.digest());
            let of = variable.replacen("tries", "trying", 1);
            let left = match self.values.get(&of).map(String::as_str) == Some(digest) {
                true => self.values.get(&variable).cloned().unwrap_or_default(),
                false => TRIES.to_string(),
            };
            armed.insert(of, digest.to_owned());
            armed.insert(variable, left);
        }
        if let Some(once) = self.once() {
            armed.insert(ONCE.into(), once.to_owned());
        }
        self.values = armed;
    }
}

#[cfg(test)]
mod tests;
