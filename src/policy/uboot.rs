//! What boot.scr (boot/boot.cmd) reads: `boot.env`, an environment of each profile, and two copies of the state, which
//! U-Boot writes too: it counts down, and forgets a choice it has taken. It imports names from a list only.

use std::fmt::Write;

use crate::model::ProfileId;
use crate::model::kernel::KernelKey;
use crate::model::trial::TRIES;

use super::menu::{Menu, MenuEntry};

pub const SCRIPT: &str = "boot.scr";
pub const ENVIRONMENT: &str = "boot.env";
/// The second is written first: one of them is always whole.
pub const STATE: [&str; 2] = ["state.bin", "state.bak"];

/// A number the microcontroller has for a profile, from 1 to 63.
pub type Slot = u8;

const LAST_SLOT: Slot = 63;
/// Beside a slot: its last good kernel. 0x80 and 0xc0 are kept for reset and clone.
const WANTS_GOOD: u8 = 0x40;

/// What the register says: the slot, and its complement in the high byte.
pub fn word(asked: u8) -> u16 {
    u16::from_le_bytes([asked, !asked])
}

/// The slot of a profile, as this `boot.env` says.
pub fn slot(id: &ProfileId, environment: &str) -> Option<Slot> {
    let line = environment.lines().find_map(|line| line.strip_prefix("flipper_slots="))?;
    let (word, _) =
        line.split(' ').filter_map(|text| text.split_once('/')).find(|(_, of)| *of == id.as_str())?;
    let [slot, _] = u16::from_str_radix(word.strip_prefix("0x")?, 16).ok()?.to_le_bytes();
    (1..=LAST_SLOT).contains(&slot).then_some(slot)
}

/// Each profile's slot, in the menu's order: as they were in the last `boot.env`, the others get the lowest that are
/// free. Some have none where there are more than slots.
pub fn slots(entries: &[MenuEntry], before: &str) -> Vec<(Slot, ProfileId)> {
    let mut taken: Vec<Option<Slot>> = Vec::new();
    for entry in entries {
        let slot = slot(&entry.id, before).filter(|slot| !taken.contains(&Some(*slot)));
        taken.push(slot);
    }
    for at in 0..taken.len() {
        if taken[at].is_none() {
            taken[at] = (1..=LAST_SLOT).find(|slot| !taken.contains(&Some(*slot)));
        }
    }
    let pairs = taken.into_iter().zip(entries);
    pairs.filter_map(|(slot, entry)| Some((slot?, entry.id.clone()))).collect()
}

/// `boot.env`. `before`: what it said until now.
pub fn environment(menu: &Menu<'_>, before: &str) -> String {
    let slots = slots(menu.entries, before);
    let mut of_slots = Vec::new();
    for (slot, id) in &slots {
        of_slots.push((word(*slot), id.to_string()));
    }
    for (slot, id) in &slots {
        of_slots.push((word(slot | WANTS_GOOD), format!("{id}/good")));
    }
    let join = |words: Vec<String>| words.join(" ");
    let mut lines = vec![
        ("profiles", join(menu.entries.iter().map(|entry| entry.id.to_string()).collect())),
        ("default", menu.default.map(ToString::to_string).unwrap_or_default()),
        ("root", format!("UUID={}", menu.pool_uuid)),
        ("args", menu.boot.args.clone()),
        ("words", join(of_slots.iter().map(|(word, _)| format!("{word:#06x}")).collect())),
        ("slots", join(of_slots.iter().map(|(word, id)| format!("{word:#06x}/{id}")).collect())),
    ];
    if let Some(mcu) = menu.boot.mcu {
        lines.push(("bus", mcu.bus.to_string()));
        lines.push(("chip", format!("{:#04x}", mcu.chip)));
        lines.push(("register", format!("{:#06x}", mcu.register)));
    }
    let mut text = String::from("# Written by flipper-profiles: what is changed here is lost.\n");
    for (name, value) in lines {
        let _ = writeln!(text, "flipper_{name}={}", escaped(&value));
    }
    text
}

/// `profiles/lab.env`
pub fn profile(entry: &MenuEntry) -> String {
    let good = entry.good.as_ref().filter(|_| entry.is_on_trial()).map(KernelKey::as_str);
    format!("kernel={}\ngood={}\nargs={}\n", entry.kernel, good.unwrap_or_default(), escaped(&entry.args))
}

/// `env import -t` takes the character after a backslash as it is.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\")
}

/// The starts that are left of kernels that have not come up, and the choice for one start. 1024 bytes, as
/// `env export -c -s 0x400` makes them: a CRC-32 (little-endian) of what follows, then name=value, each with a NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    once: String,
    /// `lab/6.12-1f2e3d4c` and the starts that are left
    tries: Vec<(String, u32)>,
}

const SIZE: usize = 0x400;
const CHECKSUM: usize = 4;

impl State {
    /// The first copy that is whole; without one nothing is counted and nothing chosen.
    pub fn of_copies(copies: [&[u8]; 2]) -> State {
        copies.into_iter().find_map(State::parse).unwrap_or_default()
    }

    /// None: it is damaged.
    pub fn parse(bytes: &[u8]) -> Option<State> {
        let (checksum, data) = bytes.split_first_chunk::<CHECKSUM>()?;
        if u32::from_le_bytes(*checksum) != crc32fast::hash(data) {
            return None;
        }
        let text = std::str::from_utf8(data).ok()?;
        let value = |name: &str| {
            let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
            pairs
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
                .next()
                .unwrap_or_default()
        };
        let tries = value("flipper_tries");
        let tries = tries.split(' ').filter_map(|word| word.rsplit_once(':'));
        let tries = tries.filter_map(|(of, left)| Some((of.to_owned(), left.parse().ok()?)));
        Some(State { once: value("flipper_once"), tries: tries.collect() })
    }

    /// What does not fit any more is not counted.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut data = Vec::new();
        if !self.once.is_empty() {
            data.extend(format!("flipper_once={}\0", self.once).into_bytes());
        }
        // With a blank before each, as the script leaves them.
        let mut words = String::new();
        for (of, left) in &self.tries {
            let word = format!(" {of}:{left}");
            if CHECKSUM + data.len() + "flipper_tries=\0\0".len() + words.len() + word.len() <= SIZE {
                words.push_str(&word);
            }
        }
        data.extend(format!("flipper_tries={}\0", words).into_bytes());
        data.resize(SIZE - CHECKSUM, 0);
        let mut bytes = crc32fast::hash(&data).to_le_bytes().to_vec();
        bytes.extend(data);
        bytes
    }

    pub fn once(&self) -> Option<&str> {
        Some(self.once.as_str()).filter(|id| !id.is_empty())
    }

    pub fn choose_once(&mut self, id: &ProfileId) {
        self.once = id.to_string();
    }

    /// Of a kernel on trial, the starts that are left.
    pub fn tries(&self, entry: &MenuEntry) -> Option<u32> {
        let of = counted(entry);
        self.tries.iter().find(|(name, _)| *name == of).map(|(_, left)| *left)
    }

    /// Kernels that have not come up get their starts, once each; those that have are not counted any more.
    pub fn arm(&mut self, entries: &[MenuEntry]) {
        let on_trial = entries.iter().filter(|entry| entry.is_on_trial());
        self.tries = on_trial.map(|entry| (counted(entry), self.tries(entry).unwrap_or(TRIES))).collect();
    }
}

fn counted(entry: &MenuEntry) -> String {
    format!("{}/{}", entry.id, entry.kernel)
}

#[cfg(test)]
mod tests;
